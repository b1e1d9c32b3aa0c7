"""One thing that the person can do, and the keys for it. Loads no Textual."""

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from easy_llama.record import Record
from easy_llama_tui.preferences.key_names import short, shown, with_aliases

if TYPE_CHECKING:
    from textual.binding import Binding

NO_KEY: Final = "<none>"
"""A key that nobody can press. An empty entry in Textual's keymap would leave the default in place."""


class Key(Record):
    """One thing that the person can do, and how."""

    id: str
    """Names the binding, and its key in the configuration."""

    keys: str
    """Textual's names of the keys, with commas; "" where there is none."""

    shown: str
    """How the help screen calls the keys."""

    action: str
    """The action that it runs."""

    description: str
    priority: bool = False
    """Whether it comes before the widget that has the focus."""

    typed: str = ""
    """What can be typed into the prompt instead, where a terminal swallows the key."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its keys, one by one."""
        return tuple(self.keys.split(",")) if self.keys else ()

    @property
    def all_names(self) -> tuple[str, ...]:
        """The names of its keys, with the other names that Textual may give them."""
        return tuple(alias for name in self.names for alias in with_aliases(name))

    @property
    def hint(self) -> str:
        """What the status bar calls its first key, such as "^R"; "" where there is none."""
        return short(self.names[0]) if self.keys else ""

    @property
    def said(self) -> str:
        """What a sentence calls it: its first key, else what can be typed, else its name in a list."""
        return shown(self.names[0]) if self.keys else self.typed or f"“{self.description}”"

    def with_keys(self, names: tuple[str, ...]) -> "Key":
        """Return the same with other keys."""
        return replace(self, keys=",".join(names), shown=" ".join(map(shown, names)))

    def textual_keys(self) -> str:
        """Return its keys as Textual wants them."""
        return ",".join(self.all_names) or NO_KEY

    def binding(self) -> "Binding":
        """Return it as Textual wants it."""
        from textual.binding import Binding

        return Binding(
            self.textual_keys(),
            *(self.action, self.description),
            id=self.id,
            priority=self.priority,
            show=False,
        )
