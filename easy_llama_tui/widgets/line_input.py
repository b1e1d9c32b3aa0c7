"""A line to type into, in which nothing stands that could drive the terminal or mislead its reader."""

from textual.widgets import Input

from easy_llama_tui.text.display_text import printable, without_heaps

_SPACES = str.maketrans("\n\t", "  ")


class LineInput(Input):
    """A Textual `Input`; whatever comes in, by key, paste or program, is made printable and one line."""

    def validate_value(self, value: str) -> str:
        """Return a new value as it can be shown."""
        return without_heaps(printable(value)).translate(_SPACES)
