"""The tables of a session file, whose values are asked for by key and kind, and what is wrong with them."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from easy_llama.record import Record
from easy_llama_tui.chats.message import storable_text, whole_second

SamplerValue = int | float | str | bool

FILE_IS_KEPT: Final = "The file is left as it is: correct it in an editor, or open another chat."


class SessionError(Exception):
    """A chat could not be read, found or saved; `str()` says what happened and what to do next."""

    def __init__(self, what: str, next_step: str) -> None:
        """Make an error of what happened, with the file, and the person's next step."""
        super().__init__(storable_text(f"{what} {next_step}"))
        self.what = storable_text(what)
        self.next_step = next_step


class Spot(Record):
    """A place in a session file: a key of the first, second, … table of a name."""

    table: str = ""
    """The name in the table's header, as in "messages"; empty at the top."""
    number: int = 1
    """Which table of that name."""
    key: str = ""
    """A key in it; empty for the table as a whole."""


class DamagedSessionError(SessionError):
    """A session file is there and can be read, but not as a chat, or not by this version."""

    def __init__(
        self, what: str, next_step: str = FILE_IS_KEPT, *, line: int | None = None, spot: Spot | None = None
    ) -> None:
        """Make an error of what is wrong, with the file.

        Args:
            what: What is wrong.
            next_step: What the person can do.
            line: The line in the file, from 1, where it is known and not yet in `what`.
            spot: Where in the file it is, where the line is not known.
        """
        super().__init__(what, next_step)
        self.line = line
        self.spot = spot

    def at_line(self, line: int, source: str) -> "DamagedSessionError":
        """Return the error with a line, which its text names after the file `source`."""
        what = self.what.replace(source, f"{source}, line {line}", 1)
        return DamagedSessionError(what, self.next_step, line=line)


class Table(Record):
    """A table of a session file, whose values are asked for by key and type."""

    values: Mapping[str, object]
    source: str
    """The file, for errors."""
    place: str = ""
    """Where in the file the table is, for errors; empty at the top."""
    name: str = ""
    """The name in its header; empty at the top."""
    number: int = 1
    """Which table of that name it is."""

    def error(self, what: str, key: str = "") -> SessionError:
        """Return the error that this table, in its file, `what`; `key` is the key that is wrong."""
        where = f"{self.source}: {self.place or 'it'}"
        return DamagedSessionError(f"{where} {what}.", spot=Spot(self.name, self.number, key))

    def text(self, key: str) -> str:
        """Return a string that must be there."""
        value = self._required(key)
        if not isinstance(value, str):
            raise self._of_wrong_type(key, "text in quotes")
        return value

    def optional_text(self, key: str) -> str | None:
        """Return a string, or None where there is none."""
        return self.text(key) if key in self.values else None

    def choice(self, key: str, choices: tuple[str, ...]) -> str:
        """Return a string that must be there and be one of `choices`."""
        value = self.text(key)
        if value not in choices:
            raise self.error(f"has {key} = {value!r}; it must be one of {', '.join(choices)}", key)
        return value

    def flag(self, key: str, *, default: bool) -> bool:
        """Return true or false."""
        value = self.values.get(key, default)
        if not isinstance(value, bool):
            raise self._of_wrong_type(key, "true or false")
        return value

    def time(self, key: str, *, default: datetime | None = None) -> datetime:
        """Return an aware time, which must be there unless there is a default."""
        if default is not None and key not in self.values:
            return default
        value = self._required(key)
        if not isinstance(value, datetime):
            raise self._of_wrong_type(key, "a date and time such as 2026-11-22T10:15:00Z")
        try:
            return whole_second(value if value.tzinfo else value.replace(tzinfo=UTC))
        except OverflowError:
            raise self.error(f"has {key} = {value}, which is no time in UTC", key) from None

    def moment(self, key: str) -> datetime:
        """Return an aware time to the fraction of a second, which must be there."""
        self.time(key)
        value = self.values[key]
        assert isinstance(value, datetime)
        return value if value.tzinfo else value.replace(tzinfo=UTC)

    def optional_number(self, key: str, *, least: int = 0, most: int = 2**53) -> int | None:
        """Return a whole number between two others, or None where there is none."""
        value = self.values.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int):
            raise self._of_wrong_type(key, "a whole number")
        if not least <= value <= most:
            raise self.error(f"has {key} = {value}; it must be from {least} to {most}", key)
        return value

    def optional_seconds(self, key: str) -> float | None:
        """Return a time in seconds, or None where there is none."""
        value = self.values.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._of_wrong_type(key, "a number of seconds")
        if not 0 <= value < 10**9:
            raise self.error(f"has {key} = {value}, which is no number of seconds", key)
        return float(value)

    def table(self, key: str) -> "Table":
        """Return a table that must be there."""
        value = self._required(key)
        if not isinstance(value, dict):
            raise self._of_wrong_type(key, f"a table, [{key}]")
        name = f"{self.name}.{key}" if self.name else key
        return Table(value, self.source, f"[{key}]", name, self.number)

    def list_of_tables(self, key: str) -> list[dict[str, object]]:
        """Return the tables of a list, which is empty where the key is not there."""
        value = self.values.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise self._of_wrong_type(key, f"a list of tables, [[{key}]]")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a list of strings, which is empty where the key is not there."""
        value = self.values.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self._of_wrong_type(key, "a list of texts in quotes")
        return tuple(value)

    def scalars_except(self, own_key: str) -> dict[str, SamplerValue]:
        """Return all numbers, strings and flags but that of `own_key`; nothing else may be there."""
        scalars: dict[str, SamplerValue] = {}
        for key, value in self.values.items():
            if not isinstance(value, SamplerValue):
                raise self._of_wrong_type(key, "a number, true, false or text in quotes")
            if key != own_key:
                scalars[key] = value
        return scalars

    def _required(self, key: str) -> object:
        if key not in self.values:
            raise self.error(f"has no {key}")
        return self.values[key]

    def _of_wrong_type(self, key: str, wanted: str) -> SessionError:
        return self.error(f"has a {key!r} of the wrong kind; it must be {wanted}", key)
