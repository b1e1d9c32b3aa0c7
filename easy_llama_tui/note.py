"""What the app notes for the process that outlives it: which chat is open, and where its log is.

Loads next to nothing: it is there before anything else is.
"""

import os

_HALF = 16 * 1024
_SIZE = 1 + 2 * _HALF


class Note:
    """A page that can be read whatever its writer died of: where it is shared, by who forked the writer."""

    def __init__(self, *, is_shared: bool = False) -> None:
        self.has_screen = False
        """Whether the app has the terminal's screen, which nobody else may draw on."""

        self.chat = ""
        """What resumes the chat that is open; "" where it is not saved."""

        self.log = ""
        """The file of the log; "" where there is none."""

        self.log_start = 0
        """How long that was when the app was started, in bytes."""

        if is_shared:
            import mmap

            self._page: mmap.mmap | bytearray = mmap.mmap(-1, _SIZE)
        else:
            self._page = bytearray(_SIZE)

    def take_screen(self) -> None:
        """Note that the screen is drawn on from now on."""
        self.has_screen = True
        self._write()

    def give_screen_back(self) -> None:
        """Note that the terminal is as it was."""
        self.has_screen = False
        self._write()

    def open_chat(self, chat: str) -> None:
        """Note what resumes the chat that is open; "" where it is not saved."""
        if chat != self.chat:
            self.chat = chat
            self._write()

    def open_log(self, path: str, start: int) -> None:
        """Note where the log is, and how long it was before this run."""
        self.log, self.log_start = path, start
        self._write()

    def read(self) -> None:
        """Take over what was noted in another process."""
        start = 1 + self._page[0] * _HALF
        half = bytes(self._page[start : start + _HALF])
        has_screen, chat, log, log_start = half.split(b"\0", 4)[:4]
        self.has_screen = bool(has_screen)
        self.chat = chat.decode()
        self.log = os.fsdecode(log)
        self.log_start = int(log_start or 0)

    def _write(self) -> None:
        screen = b"screen" if self.has_screen else b""
        fields = (screen, self.chat.encode(), os.fsencode(self.log), b"%d" % self.log_start)
        data = b"\0".join(fields).ljust(_HALF, b"\0")
        if len(data) > _HALF:
            return  # no path is that long
        # Never into the half that is read: this process may die in the middle.
        half = 1 - self._page[0]
        self._page[1 + half * _HALF : 1 + (half + 1) * _HALF] = data
        self._page[0] = half
