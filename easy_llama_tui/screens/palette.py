"""The list of commands, to be found by typing."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from rich.style import Style
from textual import on
from textual.binding import BindingType
from textual.command import Command as Row
from textual.command import CommandList, CommandPalette, Hit
from textual.content import Content
from textual.widgets import Input, OptionList
from textual.widgets.option_list import Option

from easy_llama_tui.preferences.panel_keys import PALETTE_KEYS
from easy_llama_tui.screens.dialog import Dialog
from easy_llama_tui.screens.pick_screen import match_score
from easy_llama_tui.text.display_text import cells, wrap

_GAP = 2
_BESIDE = 6
"""Cells of a row that are no text: its padding, and the scrollbar."""
_ABOVE = 5
"""Rows of the window above the list."""


@dataclass(frozen=True, slots=True)
class Command:
    """One thing that can be done."""

    text: str
    keys: str
    """What does it without the palette."""
    run: Callable[[], Any]
    """Does it, once the palette has closed."""
    also: str = ""
    """Other words that it is found by."""


class Palette(CommandPalette, Dialog[None]):
    """Shows commands, one a row with its key, and runs the one that is chosen.

    Textual's own gathers its rows in the background, so that an Enter behind quick typing takes what was
    highlighted before it, a second one closes the screen below, and paging fails before there is a picture.
    Here the rows are there at once, and one is chosen once.
    """

    BINDINGS: ClassVar[list[BindingType]] = [key.binding() for key in PALETTE_KEYS]
    DEFAULT_CSS = """
    Palette > Vertical {
        margin-top: 1;
    }
    Palette CommandList > .option-list--option {
        text-style: not bold;
    }
    """

    def __init__(self, commands: Sequence[Command]) -> None:
        """Offer these commands, in their order while nothing is typed."""
        super().__init__(providers=(), placeholder="Type to find a command", id="--command-palette")
        self._offered = tuple(commands)
        self._is_chosen = False

    @property
    def command_list(self) -> CommandList:
        """The rows."""
        return self.query_one(CommandList)

    def on_mount(self) -> None:
        """Take keys at once, and not when there is time: what is typed meanwhile belongs here."""
        self.set_focus(self.query_one(Input))

    def on_resize(self) -> None:
        """Break the rows anew; the highlight stays where it is."""
        self.command_list.styles.max_height = max(self.size.height - _ABOVE, 3)
        row = self.command_list.highlighted
        self._gather_commands(self.query_one(Input).value.strip())
        if row is not None and row < self.command_list.option_count:
            self.command_list.highlighted = row

    def _gather_commands(self, search_value: str) -> None:  # type: ignore[override]
        """Show what matches, the best first; all where nothing is typed."""
        if self._is_chosen:
            return
        scored = [
            (score, command)
            for command in self._offered
            if (score := match_score(search_value, f"{command.text} {command.also}")) is not None
        ]
        scored.sort(key=lambda pair: -pair[0])
        rows: list[Option] = [
            Row(self._draw(command), Hit(score, command.text, command.run)) for score, command in scored
        ]
        self.command_list.set_options(
            rows or [Option("No command matches", id=self._NO_MATCHES, disabled=True)]
        )
        self.command_list.highlighted = 0 if scored else None
        self._list_visible = True
        self.add_class("-ready")

    def _draw(self, command: Command) -> Content:
        keys = max(cells(one.keys) for one in self._offered)
        longest = max(cells(one.text) for one in self._offered)
        width = max(min(longest, self.app.size.width - _BESIDE - _GAP - keys), 1)
        first, *others = [line.text for line in wrap([(command.text, Style())], width)]
        space = " " * (width - cells(first) + _GAP)
        return Content("\n").join(
            [Content.assemble(first, space, (command.keys, "bold")), *map(Content, others)]
        )

    def _action_command_list(self, action: str) -> None:
        """Move in the list; Textual's own paging fails before there is a picture."""
        pages = {"page_up": -1, "page_down": 1}.get(action)
        row = self.command_list.highlighted
        if pages is None:
            super()._action_command_list(action)
        elif row is not None:
            moved = row + pages * max(self.command_list.size.height - 1, 1)
            self.command_list.highlighted = max(0, min(self.command_list.option_count - 1, moved))

    @on(Input.Submitted)
    def _choose_highlighted(self, event: Input.Submitted) -> None:
        event.stop()
        event.prevent_default()  # Textual's own handler would come next
        if (row := self.command_list.highlighted) is not None:
            self._choose(self.command_list.get_option_at_index(row))

    @on(OptionList.OptionSelected)
    def _choose_clicked(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        event.prevent_default()
        self._choose(event.option)

    def _choose(self, option: Option) -> None:
        if isinstance(option, Row) and not self._is_chosen and self.is_active:
            self._is_chosen = True
            self.app.delay_update()
            self.dismiss()
            self.app.call_later(option.hit.command)
