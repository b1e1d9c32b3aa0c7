"""What the screens for choosing one thing share: a field that filters, a list below it, and their keys."""

from typing import ClassVar, TypeVar

from textual import events, on
from textual.binding import BindingType
from textual.widgets import Input

from easy_llama_tui.models.model_library import matches
from easy_llama_tui.preferences.panel_keys import PICK_KEYS
from easy_llama_tui.screens.dialog import Dialog
from easy_llama_tui.widgets.row_list import RowList

Choice = TypeVar("Choice")

_LEAST_SCORE = 0.5
"""What a word has to score: its letters may lie apart, but not all over the text."""


def match_score(query: str, text: str) -> float | None:
    """Return how well `text` matches what was typed, as `matches` does; None where a word is scattered."""
    scores = [matches(word, text) for word in query.split()]
    if any(score is None or score < _LEAST_SCORE for score in scores):
        return None
    return sum(score for score in scores if score is not None)


class PickScreen(Dialog[Choice | None]):
    """A screen that ends with what was chosen, or with None where it was closed.

    The field has the focus, and the keys that it does not need move in the list. A click beside the box
    closes the screen.
    """

    BINDINGS: ClassVar[list[BindingType]] = [key.binding() for key in PICK_KEYS]
    DEFAULT_CSS = """
    PickScreen {
        align: center middle;
        background: $background 60%;
    }
    PickScreen Input, PickScreen Input:focus {
        height: 1;
        padding: 0 1;
        border: none;
        background: $background;
        color: $foreground;
    }
    PickScreen RowList {
        height: 1fr;
    }
    PickScreen RowList > .row-view--cursor {
        color: $block-cursor-foreground;
        background: $block-cursor-background;
    }
    PickScreen .pick-none {
        height: 1fr;
        padding: 1 1 0 1;
        background: $surface;
        color: $text-muted;
        scrollbar-size-vertical: 1;
    }
    """

    @property
    def pick_list(self) -> RowList:
        """The list."""
        return self.query_one(RowList)

    @property
    def query_text(self) -> str:
        """What was typed to filter by."""
        return self.query_one(Input).value.strip()

    def choose(self) -> None:
        """End the screen with the highlighted row, where it can be chosen."""
        raise NotImplementedError

    def action_move(self, rows: int) -> None:
        """Move in the list, or scroll what is shown in its place where it is empty."""
        self.pick_list.action_move(rows)
        for words in self.query(".pick-none"):
            words.scroll_relative(y=rows, animate=False)

    def action_move_page(self, pages: int) -> None:
        """Move in the list by pages."""
        self.pick_list.action_page(pages)
        for words in self.query(".pick-none"):
            words.scroll_relative(y=pages * max(words.size.height - 1, 1), animate=False)

    def action_move_end(self, direction: int) -> None:
        """Move to an end of the list."""
        self.pick_list.action_move(direction * self.pick_list.row_count)

    def action_choose(self) -> None:
        """Choose the highlighted row."""
        self.choose()

    def action_close(self) -> None:
        """Close without a choice."""
        self.dismiss(None)

    @on(Input.Submitted)
    def _choose_typed(self, event: Input.Submitted) -> None:
        event.stop()
        self.choose()

    @on(RowList.RowTaken)
    def _choose_taken(self, event: RowList.RowTaken) -> None:
        event.stop()
        self.choose()

    def on_click(self, event: events.Click) -> None:
        """Close where the click was beside the box."""
        under, _ = self.get_widget_at(event.screen_x, event.screen_y)
        if under is self:
            self.action_close()
