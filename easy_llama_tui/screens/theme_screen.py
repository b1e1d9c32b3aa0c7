"""Choosing the colours, which are seen at once."""

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.markup import escape
from textual.theme import Theme
from textual.timer import Timer
from textual.widgets import Input, Static

from easy_llama_tui.screens.pick_screen import PickScreen, match_score
from easy_llama_tui.text.display_text import cells, one_line
from easy_llama_tui.widgets.key_hints import keys_of
from easy_llama_tui.widgets.line_input import LineInput
from easy_llama_tui.widgets.model_row import middle_cut
from easy_llama_tui.widgets.row_list import Part, RowList

_REST_SECONDS = 0.05
"""How long the highlight rests on a theme before it is put on."""
_KIND_CELLS = 5
_INDENT = 2
"""Cells before a name, for the cursor's sign."""
_LOW = 24
"""Rows of the terminal below which the sample shows less."""


class ThemeScreen(PickScreen[str]):
    """Shows the app's themes, puts each on as it is highlighted, and ends with the name of the one to keep.

    Closed without a choice, it puts the former theme on again. It lies at the side, so that the chat shows
    the colours too where the window has room for both.
    """

    # Nothing that a person does, so nothing to change: there is nowhere else that Tab could go.
    BINDINGS: ClassVar[list[BindingType]] = [Binding("tab,shift+tab", "nothing", show=False)]
    DEFAULT_CSS = """
    ThemeScreen {
        align: right middle;
        background: transparent;
    }
    ThemeScreen #themes {
        width: 46;
        max-width: 100%;
        height: 100%;
        border: round $primary;
        background: $surface;
        color: $foreground;
    }
    ThemeScreen #themes-sample {
        height: auto;
        padding: 0 1;
        border-top: solid $foreground 20%;
        background: $background;
        color: $foreground;
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self._former = ""
        self._names: list[str] = []
        self._waiting: Timer | None = None

    def compose(self) -> ComposeResult:
        """Show the field, the list, and a sample."""
        with Vertical(id="themes") as box:
            box.border_title = "Colours"
            back = escape(keys_of(self).said("{pick-close} goes back"))
            box.border_subtitle = f"[@click=screen.choose]Enter keeps[/] · [@click=screen.close]{back}[/]"
            yield LineInput(placeholder="Type to find a theme", id="themes-query")
            yield _ThemeList(id="themes-list")
            yield Static(id="themes-none", classes="pick-none", markup=False)
            yield Static(id="themes-sample", markup=False)

    def on_mount(self) -> None:
        """Begin at the theme that is on."""
        self._former = self.app.theme
        self._filter()

    def on_resize(self) -> None:
        """Show a sample that leaves room for the list."""
        self.query_one("#themes-sample", Static).update(_sample(is_low=self.size.height < _LOW))

    def choose(self) -> None:
        """Keep the highlighted theme."""
        row = self.pick_list.highlighted_row
        if row is not None:
            self._put_on_highlighted()
            self.dismiss(self._names[row])

    def action_close(self) -> None:
        """Put the former theme on again, and close."""
        self._put_on(self._former)
        self.dismiss(None)

    def action_nothing(self) -> None:
        """Do nothing."""

    @on(Input.Changed)
    def _filter_typed(self, event: Input.Changed) -> None:
        event.stop()
        self._filter()

    @on(RowList.RowMoved)
    def _preview(self, event: RowList.RowMoved) -> None:
        event.stop()
        self._put_on_soon()

    def _filter(self) -> None:
        query = self.query_text
        found = [
            (score, name)
            for name, theme in self.app.available_themes.items()
            if (score := match_score(query, f"{name} {_kind(theme)}")) is not None
        ]
        self._names = [name for _, name in sorted(found, key=lambda pair: (-pair[0], pair[1].casefold()))]
        row = 0
        if not query and self._former in self._names:
            row = self._names.index(self._former)
        listed = self.query_one(_ThemeList)
        listed.show_themes(self._names, self._former, row)
        listed.display = bool(self._names)
        none = self.query_one("#themes-none", Static)
        none.display = not self._names
        none.update(f"None of {len(self.app.available_themes):,} themes matches.")
        if self._names:
            self._put_on_soon()

    def _put_on_soon(self) -> None:
        # A held key passes many themes; each would draw everything anew.
        if self._waiting:
            self._waiting.stop()
        self._waiting = self.set_timer(_REST_SECONDS, self._put_on_highlighted)

    def _put_on_highlighted(self) -> None:
        # Not the theme of when the timer began: a tick may wait while another row is highlighted.
        row = self.pick_list.highlighted_row
        if row is not None:
            self._put_on(self._names[row])

    def _put_on(self, name: str) -> None:
        if self._waiting:
            self._waiting.stop()
            self._waiting = None
        if self.is_active:  # what was kept stays, whatever key comes late
            self.app.theme = name


class _ThemeList(RowList, can_focus=False):
    """The themes that go with what was typed."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 (Textual's name)
        super().__init__(id=id)
        self._names: list[str] = []
        self._former = ""

    def show_themes(self, names: list[str], former: str, highlighted: int) -> None:
        """Show these, of which `former` is the one that is put on again where none is chosen."""
        self._names, self._former = names, former
        self.show_rows(len(names), highlighted)

    def draw_row(self, index: int, width: int) -> list[Part]:
        """Return the name of a theme, and whether it is dark."""
        name = self._names[index]
        mark = " ●" if name == self._former else ""
        kind = _kind(self.app.available_themes[name])
        room = max(width - _INDENT - _KIND_CELLS - 2 - len(mark), 1)
        shown = middle_cut(one_line(name), room)
        space = " " * (room - cells(shown) + 2)
        return [Part(" " * _INDENT), Part(f"{shown}{mark}{space}"), Part(kind, "muted")]


def _kind(theme: Theme) -> str:
    return "dark" if theme.dark else "light"


def _sample(*, is_low: bool) -> Content:
    """Return a little of everything that has a colour."""
    names = Content.assemble(
        ("You", "bold $secondary"),
        "  Hello  ",
        ("Bot", "bold $primary"),
        "  A ",
        ("quiet", "$text-muted"),
        " word",
    )
    code = Content.assemble(
        ("def ", "$primary"),
        ("greet", "$secondary"),
        "():  ",
        ('"hi"', "$success"),
        " ",
        ("# why", "italic $text-muted"),
    )
    bar = Content.assemble(
        ("▓▓", "$bar-system"),
        ("▓▓▓▓▓▓", "$bar-history"),
        ("▓▓", "$bar-draft"),
        ("▓▓▓", "$bar-reply"),
        "  the context",
    )
    notices = Content.assemble(
        ("✓ good", "$text-success"), "  ", ("⚠ warning", "$text-warning"), "  ", ("✗ error", "$text-error")
    )
    if is_low:
        return Content("\n").join([names, code, notices])
    probability = Content.assemble(
        ("before ████", "$probability-before"), "  ", ("after ██████", "$probability-after")
    )
    confidence = Content.assemble(
        ("unlikely", "$confidence-1"),
        (" maybe", "$confidence-2"),
        (" likely", "$confidence-3"),
        (" sure", "$confidence-4"),
    )
    text = Content.assemble(("<|user|>", "$control-text"), " ", ("what you write", "$written-text"))
    pinned = Content.assemble(("pinned", "$pinned"), "  ", ("outside the context", "$outside"))
    return Content("\n").join([names, code, bar, text, pinned, probability, confidence, notices])
