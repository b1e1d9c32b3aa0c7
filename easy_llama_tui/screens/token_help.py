"""The keys of the token inspector, and what its words mean."""

from collections.abc import Sequence
from typing import ClassVar

from rich.style import Style
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from easy_llama_tui.preferences.key_names import shown
from easy_llama_tui.preferences.panel_keys import HELP_KEYS
from easy_llama_tui.screens.dialog import Dialog
from easy_llama_tui.text.display_text import cells, wrap
from easy_llama_tui.widgets.key_hints import keys_of

_GAP = 2
_NOT_TOLD = frozenset({"equals_sign", "underscore", "ctrl+c"})
"""Keys beside those that people think of."""
_WORDS = (
    ("probability", "that the model itself gave the token, before any sampler"),
    ("rank", "its place among all tokens of the vocabulary: 1 where none was likelier"),
    (
        "entropy",
        "how undecided the model was, in nats; 0 is certain, and x nats are as undecided as "
        "a choice among e to the x equally likely tokens",
    ),
    ("perplexity", "the same of the whole text: among how many equally likely tokens it chose on average"),
    ("surprise", "one of the 5 % least likely tokens, three at least"),
)


class TokenHelp(Dialog[None]):
    """Lists keys and what they do."""

    BINDINGS: ClassVar[list[BindingType]] = [key.binding() for key in HELP_KEYS]
    DEFAULT_CSS = """
    TokenHelp {
        align: center middle;
        background: $background 60%;
    }
    TokenHelp > #token-help {
        width: 84;
        max-width: 100%;
        height: auto;
        max-height: 100%;
        padding: 0 1;
        border: round $primary;
        background: $surface;
        color: $foreground;
    }
    TokenHelp #token-help-keys {
        height: auto;
    }
    """

    def __init__(self, bindings: Sequence[BindingType]) -> None:
        """Show these bindings."""
        super().__init__()
        self._bindings_told = tuple(one for one in bindings if isinstance(one, Binding))

    def compose(self) -> ComposeResult:
        """Show the keys in one column that scrolls."""
        with VerticalScroll(id="token-help") as box:
            box.border_title = "Tokens: keys and words"
            box.border_subtitle = Content(keys_of(self).said("{help-close} closes"))
            yield _Listing(self._bindings_told, id="token-help-keys")


class _Listing(Static):
    """The keys in one column and what they do in another, as wide as there is room."""

    def __init__(self, bindings: Sequence[Binding], id: str) -> None:  # noqa: A002 (Textual's name)
        super().__init__(id=id, markup=False)
        self._rows_told = [(_how(binding), binding.description) for binding in bindings]

    def on_resize(self) -> None:
        """Break the lines anew."""
        told = [*self._rows_told, ("", ""), *_WORDS]
        column = max(cells(how) for how, _ in told) + _GAP
        lines: list[Content] = []
        for how, what in told:
            first, *others = wrap([(what, Style())], max(self.size.width - column, 8))
            key = (how + " " * (column - cells(how)), "bold $footer-key-foreground")
            lines.append(Content.assemble(key, first.text))
            lines += [Content(" " * column + other.text) for other in others]
        self.update(Content("\n").join(lines))


def _how(binding: Binding) -> str:
    return " ".join(shown(key) for key in binding.key.split(",") if key not in _NOT_TOLD)
