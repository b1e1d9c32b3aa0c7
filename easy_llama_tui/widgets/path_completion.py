"""The files that an `@path` in the prompt could mean, shown above it."""

import re
from typing import Final

from textual import events
from textual.content import Content
from textual.reactive import var
from textual.widget import Widget

from easy_llama_tui.drafts.attachments import WORD_START
from easy_llama_tui.drafts.path_matches import PathFinder, PathMatch
from easy_llama_tui.widgets.prompt_input import PromptInput

MAX_ROWS: Final = 8

_POINTER: Final = "▸ "
_NO_POINTER: Final = "  "
_MAX_WORD: Final = 4096
"""How far before the cursor a word can begin."""

# The word that ends at the cursor: in an open quote, or without spaces.
_WORD: Final = re.compile(rf"""{WORD_START}@(?:(["'])(?P<quoted>(?:(?!\1).)*)|(?P<plain>(?!["'])\S*))$""")


class PathCompletion(Widget, can_focus=False):
    """A list that follows the prompt's cursor, and takes its keys while it is open.

    Tab or → writes the chosen file, or the first one; ↑ and ↓ choose; Enter writes a file that was chosen
    so; Esc closes the list until another word is begun. A click writes a file too.
    """

    ALLOW_SELECT = False
    DEFAULT_CSS = """
    PathCompletion {
        display: none;
        height: auto;
        max-height: 8;
        padding: 0 1;
        background: $surface;
        color: $foreground;
        text-wrap: nowrap;
        text-overflow: ellipsis;

        &.-open {
            display: block;
        }
    }
    """

    matches: var[tuple[PathMatch, ...]] = var[tuple[PathMatch, ...]](())
    """The files that are offered."""

    chosen_row: var[int | None] = var[int | None](None)
    """The one that ↑ and ↓ have chosen, if any."""

    def __init__(self, prompt: PromptInput, *, id: str | None = None) -> None:  # noqa: A002 (Textual's name)
        """Complete what is written in `prompt`, whose keys it takes first from now on."""
        super().__init__(id=id)
        self._for_prompt = prompt
        self._finder = PathFinder()
        self._word_start: int | None = None
        self._left_word: tuple[int, int] | None = None
        prompt.completer = self

    def on_mount(self) -> None:
        """Follow the cursor."""
        self.watch(self._for_prompt, "selection", self._follow_cursor, init=False)
        self.watch(self._for_prompt, "has_focus", self._follow_focus, init=False)

    @property
    def is_open(self) -> bool:
        """Whether there is something to choose."""
        return bool(self.matches)

    def take_key(self, key: str) -> bool:
        """Do what a key of the prompt means to the list, and return whether it means anything."""
        if not self.matches:
            return False
        if key in ("tab", "right"):
            self._write(self.chosen_row or 0)
        elif key == "enter" and self.chosen_row is not None:
            self._write(self.chosen_row)
        elif key in ("up", "down"):
            step = 1 if key == "down" else -1
            first = 0 if key == "down" else len(self.matches) - 1
            self.chosen_row = (
                first if self.chosen_row is None else (self.chosen_row + step) % len(self.matches)
            )
        elif key == "escape":
            self._leave_word()
        else:
            return False
        return True

    def on_click(self, event: events.Click) -> None:
        """Write the file that was clicked."""
        row = self._first_row() + event.y
        if row < len(self.matches) and event.y < self._n_names():
            self._write(row)
        self._for_prompt.focus()

    def render(self) -> Content:
        """Draw the files, the chosen one in the middle where they are many."""
        first, n_names = self._first_row(), self._n_names()
        rows = []
        for number, match in enumerate(self.matches[first : first + n_names], first):
            is_chosen = number == self.chosen_row
            row = Content(f"{_POINTER if is_chosen else _NO_POINTER}{match.label}")
            if is_chosen:
                row = row.stylize("bold $block-cursor-foreground on $block-cursor-background")
            rows.append(row)
        if len(self.matches) > n_names:
            rows.append(Content(f"{_NO_POINTER}{first + 1}–{first + n_names} of {len(self.matches)}"))
        return Content("\n").join(rows)

    def watch_matches(self) -> None:
        """Show the list where there is one."""
        self.set_class(bool(self.matches), "-open")
        self.refresh(layout=True)

    def watch_chosen_row(self) -> None:
        """Mark the chosen file."""
        self.refresh()

    def _n_names(self) -> int:
        return MAX_ROWS if len(self.matches) <= MAX_ROWS else MAX_ROWS - 1

    def _first_row(self) -> int:
        last = len(self.matches) - self._n_names()
        return max(0, min((self.chosen_row or 0) - self._n_names() // 2, last))

    def _follow_focus(self, has_focus: bool) -> None:
        if not has_focus:
            self._show_matches(())
        else:
            self._follow_cursor()

    def _follow_cursor(self) -> None:
        selection = self._for_prompt.selection
        row, column = selection.end
        line = self._for_prompt.document[row]
        word = None
        is_at_end = column == len(line) or re.match(r"[\s)\]}.,;:!?\"']", line[column])
        if selection.is_empty and is_at_end and self._for_prompt.has_focus:
            cut = max(0, column - _MAX_WORD)
            word = _WORD.search(line[cut:column])
        if word is None:
            self._left_word = None
            self._show_matches(())
            return
        self._word_start = cut + word.start()
        if self._left_word != (row, self._word_start):
            self._left_word = None
            written = word["plain"] if word["quoted"] is None else word["quoted"]
            self._show_matches(self._finder.matches(written, self._for_prompt.attachments_folder))

    def _show_matches(self, matches: tuple[PathMatch, ...]) -> None:
        self.chosen_row = None
        self.matches = matches

    def _leave_word(self) -> None:
        assert self._word_start is not None
        self._left_word = (self._for_prompt.cursor_location[0], self._word_start)
        self._show_matches(())

    def _write(self, number: int) -> None:
        """Write a file into the prompt; of a folder, show what is in it."""
        assert self._word_start is not None
        match = self.matches[number]
        row, column = self._for_prompt.cursor_location
        following = self._for_prompt.document[row][column : column + 1]
        text = match.reference
        if text[-1] == following and following in "\"'":
            column += 1  # the quote that was there is replaced
        elif not match.is_folder and not following:
            text += " "
        self._leave_word()
        self._for_prompt.replace(
            text, (row, self._word_start), (row, column), maintain_selection_offset=False
        )
        if match.is_folder:
            self._left_word = None
            self._follow_cursor()
