"""Frozen values that cost next to nothing to define."""

from collections.abc import Callable
from dataclasses import MISSING, Field, FrozenInstanceError, dataclass, field, fields
from operator import attrgetter
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, dataclass_transform

if TYPE_CHECKING:
    import inspect


class _Signature:
    """What a record takes, for `help` and editors."""

    def __get__(self, _record: object, kind: type["Record"]) -> "inspect.Signature":
        import inspect

        taken = []
        for one in (f for f in fields(kind) if f.init):
            default = one.default_factory if one.default is MISSING else one.default
            default = inspect.Parameter.empty if one.name in kind._required_fields else default
            how = inspect.Parameter.POSITIONAL_OR_KEYWORD
            taken.append(inspect.Parameter(one.name, how, default=default, annotation=one.type))
        return inspect.Signature(taken)


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
class Record:
    """What `@dataclass(frozen=True)` makes of a class, as a base class: `class Point(Record)`.

    The decorator writes six methods for every class, and compiles them when it is loaded: for the fifty
    classes that a program begins with, that took a fifth of the time to its first picture. These methods
    are inherited. `dataclasses.fields`, `replace` and `asdict` work as with any dataclass.
    """

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]
    __match_args__: ClassVar[tuple[str, ...]] = ()
    __signature__ = _Signature()
    _required_fields: ClassVar[frozenset[str]]
    _known_fields: ClassVar[frozenset[str]]
    _made_fields: ClassVar[tuple[tuple[str, Callable[[], Any]], ...]]
    _compared_fields: ClassVar["attrgetter[Any]"]

    def __init_subclass__(cls) -> None:
        dataclass(init=False, repr=False, eq=False)(cls)
        known = fields(cls)
        made = ((f.name, f.default_factory) for f in known)
        cls._made_fields = tuple((name, make) for name, make in made if make is not MISSING)
        cls._known_fields = frozenset(cls.__match_args__)
        optional = [f.name for f in known if f.default is not MISSING or f.default_factory is not MISSING]
        cls._required_fields = cls._known_fields.difference(optional)
        cls._compared_fields = attrgetter("__class__", *[f.name for f in known if f.compare])

    def __init__(self, *args: Any, **values: Any) -> None:
        """Take the fields, in their order or by name; those with a default may be left out."""
        count = len(args) + len(values)
        values.update(zip(self.__match_args__, args, strict=False))
        if len(values) != count or not (
            self._required_fields.issubset(values) and self._known_fields.issuperset(values)
        ):
            names = ", ".join(self.__match_args__)
            raise TypeError(f"{type(self).__name__} takes {names}; {args} and {sorted(values)} were given")
        for name, make in self._made_fields:
            values.setdefault(name, make())
        self.__dict__.update(values)  # past `__setattr__`
        self.__post_init__()

    def __post_init__(self) -> None:
        """Check the fields, where a class has something to check."""

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return bool(self._compared_fields(self) == self._compared_fields(other))

    def __hash__(self) -> int:
        return hash(self._compared_fields(self))

    def __repr__(self) -> str:
        shown = (f"{f.name}={getattr(self, f.name)!r}" for f in fields(self) if f.repr)
        return f"{type(self).__qualname__}({', '.join(shown)})"

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise FrozenInstanceError(f"cannot assign to field {name!r}")

    def __delattr__(self, name: str) -> NoReturn:
        raise FrozenInstanceError(f"cannot delete field {name!r}")
