"""A thread that reads and changes files for a screen, one task after the other."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from textual.screen import Screen

from easy_llama_tui.chats.session import SessionError
from easy_llama_tui.text.display_text import one_line

Result = TypeVar("Result")


class FileThread:
    """Does what it is given in that order; what was begun is done even where the screen is closed."""

    def __init__(self, screen: Screen[Any]) -> None:
        self._screen = screen
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="files")
        self._is_closed = False

    @property
    def has_screen(self) -> bool:
        """Whether the screen is there: it takes a while to be taken apart after it is closed."""
        app = self._screen.app
        # What is told may lead to more work, which is not taken any more.
        return not self._is_closed and app.is_running and self._screen in app.screen_stack

    def do(
        self,
        work: Callable[[], Result],
        then: Callable[[Result], None],
        failed: Callable[[SessionError], None] | None = None,
    ) -> None:
        """Do `work` in the thread, then tell the screen while it is there.

        Args:
            work: May raise SessionError.
            then: Told of the result, on the UI thread, unless the screen was closed.
            failed: Told of an error, on the UI thread, in any case; without it a notice says what it was.
        """
        future = self._thread.submit(work)
        # A worker of the app, because those of a screen end with it, and a failure is told all the same.
        self._screen.app.run_worker(self._tell(future, then, failed or self.warn), exit_on_error=True)

    def close(self, *, wait: bool = False) -> None:
        """Take no more; what was given is still done."""
        self._is_closed = True
        self._thread.shutdown(wait=wait)

    def warn(self, error: SessionError) -> None:
        """Say what went wrong."""
        self._screen.app.notify(one_line(str(error)), severity="error", timeout=10, markup=False)

    async def _tell(
        self,
        future: "Future[Result]",
        then: Callable[[Result], None],
        failed: Callable[[SessionError], None],
    ) -> None:
        try:
            result = await asyncio.shield(asyncio.wrap_future(future))
        except SessionError as error:
            failed(error)
            return
        if self.has_screen:
            then(result)
