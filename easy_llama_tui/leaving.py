"""The end of the program, which nothing that it waits for can hold up for ever."""

import contextlib
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

LEAVE_SECONDS = 3.0
"""How long files that are being read or written may take once the person has left."""


class UnheldThreads(ThreadPoolExecutor):
    """Threads that asyncio does not wait for at its end.

    One that looks into a folder of a disk that does not answer would hold the program for ever.
    """

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more work, and go on at once."""
        super().shutdown(wait=False, cancel_futures=True)


def end_within(seconds: float, code: int) -> None:
    """End the process with this exit code, should it still be there after so many seconds.

    At its end Python waits for all threads that were given work, however long that takes.
    """

    def end() -> None:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):  # a terminal that is gone
                    stream.flush()
        os._exit(code)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
