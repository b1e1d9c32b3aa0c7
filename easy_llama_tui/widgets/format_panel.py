"""The panel of prompt formats: which there are, and what the prompt looks like in them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.events import MouseDown, Resize
from textual.fuzzy import FuzzySearch
from textual.message import Message
from textual.widgets import Input, Static

from easy_llama_tui.preferences.panel_keys import FORMAT_KEYS
from easy_llama_tui.replies.inspection import Inspection
from easy_llama_tui.text.display_text import one_line, printable
from easy_llama_tui.text.visible_text import fitted
from easy_llama_tui.widgets.key_hints import keys_of
from easy_llama_tui.widgets.line_input import LineInput
from easy_llama_tui.widgets.prompt_preview import PromptPreview
from easy_llama_tui.widgets.row_list import PanelLines, Part, RowList

_SOURCES = {"model": "the model's", "own": "yours", "built-in": ""}
_SEARCHED = 60
"""Characters of a name that are looked through, and of what is looked for."""
_LOW = 12
"""Rows of a panel that has no room for hints."""


@dataclass(frozen=True, slots=True)
class FormatChoice:
    """A prompt format that can be chosen."""

    name: str
    label: str
    """What it is called on the screen."""

    source: Literal["model", "own", "built-in"]


class FormatPanel(Vertical):
    """Lists the prompt formats, found by typing, and previews the prompt in the one under the cursor."""

    DEFAULT_CSS = """
    FormatPanel {
        background: $surface;
        color: $foreground;

        & > Input { background: $panel; color: $foreground; }
        & > #format-list { height: 2fr; min-height: 2; }
        & > #format-notes {
            height: auto;
            max-height: 30%;
            color: $text-warning;
            background: $surface;
            scrollbar-size-vertical: 1;

            & > Static { height: auto; }
        }
        & > #format-preview { height: 3fr; min-height: 2; }

        &.lit > #format-list > .row-view--cursor {
            color: $block-cursor-foreground; background: $block-cursor-background;
        }
    }
    """

    BINDINGS: ClassVar[list[BindingType]] = [key.binding() for key in FORMAT_KEYS]

    @dataclass
    class FormatChosen(Message):
        """The person wants this format from the next turn on."""

        name: str

    @dataclass
    class FormatHighlighted(Message):
        """The cursor is on this format."""

        name: str

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 (Textual's name)
        super().__init__(id=id)
        self._search = LineInput(
            placeholder="Find a format", compact=True, id="format-search", max_length=_SEARCHED
        )
        self._list = _FormatList(id="format-list")
        self._notes = VerticalScroll(Static(id="format-notes-text"), id="format-notes", can_focus=False)
        self._count = PanelLines(id="format-count")
        self._preview = PromptPreview(id="format-preview")
        self._hints = PanelLines(id="format-hints")
        self._fuzzy = FuzzySearch()
        self._choices: tuple[FormatChoice, ...] = ()
        self._problems: tuple[str, ...] = ()
        self._inspection = Inspection()

    def compose(self) -> ComposeResult:
        """Show the list above, the preview below."""
        yield self._search
        yield self._list
        yield self._notes
        yield self._count
        yield self._preview
        yield self._hints

    def on_mount(self) -> None:
        """Show what is known."""
        hints = keys_of(self).said("Enter use it · Tab preview · {preview-ids} ids")
        self._hints.show_lines(Content.styled(hints, "$text-muted"))
        self._show_notes()
        self._show_count()

    def show_choices(
        self, names: Sequence[FormatChoice], current: str, *, problems: Sequence[str] = ()
    ) -> None:
        """Offer these formats; the cursor stays where it was.

        Args:
            names: the model's own first.
            current: the name of the one in use.
            problems: why some of the person's own cannot be used, a line each.
        """
        is_first = not self._choices
        self._choices = tuple(names)
        self._list.current = current
        self._problems = tuple(problems)
        highlighted = self._list.highlighted
        self._find(current if is_first or highlighted is None else highlighted.name)
        self._show_notes()

    def show_inspection(self, inspection: Inspection) -> None:
        """Show the prompt in the format under the cursor."""
        self._inspection = inspection
        self._preview.show_tokens(() if inspection.error else inspection.tokens)
        self._show_notes()
        self._show_count()

    @property
    def highlighted(self) -> str | None:
        """The name of the format under the cursor, if any is shown."""
        choice = self._list.highlighted
        return choice.name if choice else None

    def focus_first(self) -> None:
        """Begin to search."""
        self._search.focus()

    # What the person does

    def on_input_changed(self, message: Input.Changed) -> None:
        """Search anew."""
        message.stop()
        before = self.highlighted
        self._find(None if message.value.strip() else before or self._list.current)
        if self.highlighted not in (None, before):
            self._post_highlighted()

    def on_input_submitted(self, message: Input.Submitted) -> None:
        """Choose the format under the cursor."""
        message.stop()
        self._list.action_enter()

    def on_row_list_row_moved(self, message: RowList.RowMoved) -> None:
        """Tell which format the cursor is on."""
        message.stop()
        self._post_highlighted()

    def on_row_list_row_taken(self, message: RowList.RowTaken) -> None:
        """Tell which format was chosen."""
        message.stop()
        if self.highlighted is not None:
            self.post_message(self.FormatChosen(self.highlighted))

    def on_prompt_preview_ids_toggled(self, message: PromptPreview.IdsToggled) -> None:
        """Say how to come back."""
        message.stop()
        self._show_count()

    def on_panel_lines_pressed(self, message: PanelLines.Pressed) -> None:
        """Show the ids where the count was clicked on."""
        message.stop()
        if message.lines is self._count:
            self._preview.action_ids()

    def on_mouse_down(self, event: MouseDown) -> None:
        """Search on after a click into the list."""
        if event.widget is self._list:
            self._search.focus()

    def on_descendant_focus(self) -> None:
        """Mark the cursor of the list as the one that the arrow keys move."""
        self.set_class(self._search.has_focus, "lit")

    def on_descendant_blur(self) -> None:
        """Mark it as one that they do not move."""
        self.set_class(self._search.has_focus, "lit")

    def on_resize(self, event: Resize) -> None:
        """Leave out the hints where there is no room."""
        self._hints.display = event.size.height > _LOW
        self.call_after_refresh(self._let_notes_scroll)

    def action_move(self, rows: int) -> None:
        """Move the cursor of the list."""
        self._list.action_move(rows)

    def action_page(self, pages: int) -> None:
        """Move the cursor of the list by a page."""
        self._list.action_page(pages)

    # What is shown

    def _post_highlighted(self) -> None:
        if self.highlighted is not None:
            self.post_message(self.FormatHighlighted(self.highlighted))

    def _find(self, highlighted: str | None) -> None:
        """Show what goes with the typed text; the cursor is on that format, else on what goes best."""
        query = self._search.value.strip()
        scores = {choice.name: self._score(query, choice) for choice in self._choices}
        found = [choice for choice in self._choices if scores[choice.name] > 0]
        if query:
            found.sort(key=lambda choice: (choice.source != "model", -scores[choice.name]))
        names = [choice.name for choice in found]
        best = max(names, key=scores.__getitem__, default="")
        self._list.show_choices(
            found, names.index(highlighted if highlighted in names else best) if names else 0
        )

    def _score(self, query: str, choice: FormatChoice) -> float:
        if not query:
            return 1.0
        texts = (choice.name, choice.label)
        return max(self._fuzzy.match(query, text[:_SEARCHED])[0] for text in texts)

    def _show_notes(self) -> None:
        if not self.is_mounted:
            return
        error = self._inspection.error
        notes = [*([error] if error else self._inspection.warnings), *self._problems]
        text = self._notes.query_one(Static)
        text.update(Content("\n").join([Content(f"⚠ {printable(note)}") for note in notes]))
        self._notes.display = bool(notes)
        self.call_after_refresh(self._let_notes_scroll)

    def _let_notes_scroll(self) -> None:
        """Have Tab stop at the notes where they do not all fit, and only there."""
        self._notes.can_focus = self._notes.max_scroll_y > 0

    def _show_count(self) -> None:
        inspection = self._inspection
        count = len(inspection.tokens) or inspection.window.tokens or inspection.total
        what = keys_of(self).said("{preview-ids} " + ("hides" if self._preview.ids_shown else "shows"))
        plural = "" if count == 1 else "s"
        self._count.show_lines(
            Content.assemble((f"{count:,} token{plural}", "bold"), (f"  {what} the ids", "$text-muted"))
        )


class _FormatList(RowList, can_focus=False):
    """The formats that were found."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 (Textual's name)
        super().__init__(id=id)
        self.current = ""
        self._found: tuple[FormatChoice, ...] = ()

    @property
    def highlighted(self) -> FormatChoice | None:
        """The format under the cursor."""
        return self._found[self.cursor] if self.cursor < len(self._found) else None

    def show_choices(self, found: Sequence[FormatChoice], cursor: int) -> None:
        """Show these, with the cursor on one of them."""
        self._found = tuple(found)
        self.rows_changed(max(len(found), 1))
        self.set_cursor(cursor)

    def has_lit_cursor(self) -> bool:
        """Return whether there is anything to choose."""
        return bool(self._found)

    def draw_row(self, index: int, width: int) -> list[Part]:
        """Return a format: whether it is in use, its label, and where it is from."""
        if not self._found:
            return [Part(" No format is called that.", "muted")]
        choice = self._found[index]
        is_current = choice.name == self.current
        source = " in use" if is_current else f" {_SOURCES[choice.source]}"
        source = source.rstrip()
        return [
            Part(" "),
            Part("● " if is_current else "  ", "mark"),
            Part(
                fitted(one_line(choice.label), max(width - 3 - len(source), 4)),
                "strong" if is_current else "text",
            ),
            Part(source, "muted"),
        ]
