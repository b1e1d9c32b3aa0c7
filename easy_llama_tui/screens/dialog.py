"""What all screens that lie over the chat share: each ends once."""

from typing import TypeVar

from textual._styles_cache import StylesCache
from textual.await_complete import AwaitComplete
from textual.screen import ModalScreen

Answer = TypeVar("Answer")


class Dialog(ModalScreen[Answer]):
    """A screen over another one, which ends with an answer."""

    def on_unmount(self) -> None:
        """Let go of the picture of the screen.

        Textual 8.2.8 remembers a result of each widget's `StylesCache` by the cache itself, and so keeps the
        lines of the last 1,024 widgets for ever, closed ones as well.
        """
        StylesCache.get_inner_outer.cache_clear()

    def dismiss(self, result: Answer | None = None) -> AwaitComplete:
        """End with an answer; without effect once it has ended, or while another screen lies over it.

        Keys that were pressed before it had gone still arrive, and would close the screen below.
        """
        return super().dismiss(result) if self.is_active else AwaitComplete()
