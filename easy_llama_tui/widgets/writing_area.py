"""The part of the screen in which one writes."""

from textual.containers import Vertical


class WritingArea(Vertical):
    """Holds the prompt and what belongs to it; the line above it tells whether the prompt has the focus.

    That is a class and no `:focus-within`: with that, Textual styles all of it anew for each focus.
    """

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 (Textual's name)
        """Begin as it is with the focus, which the prompt has first."""
        super().__init__(id=id, classes="-focused")

    def on_descendant_focus(self) -> None:
        """Show that one can write."""
        self.add_class("-focused")

    def on_descendant_blur(self) -> None:
        """Show that keys are for something else."""
        self.remove_class("-focused")
