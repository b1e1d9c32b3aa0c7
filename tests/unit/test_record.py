"""Records are the frozen dataclasses that they stand for."""

import inspect
import pickle
from dataclasses import FrozenInstanceError, asdict, dataclass, field, fields, replace

import pytest

from easy_llama.record import Record


class Point(Record):
    """One with all that a field can be."""

    x: int
    y: int = 2
    tags: list[str] = field(default_factory=list)
    note: str = field(default="", compare=False)
    secret: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if self.x < 0:
            raise ValueError("x is negative")


class Empty(Record):
    """One without fields."""


@dataclass(frozen=True)
class Usual:
    """What a record is measured by."""

    x: int
    y: int = 2


def test_fields_are_taken_in_order_or_by_name() -> None:
    assert Point(1, 3) == Point(y=3, x=1)
    assert (Point(1).y, Point(1).tags, Point(1, tags=["a"]).tags) == (2, [], ["a"])
    assert Point(1).tags is not Point(1).tags
    match Point(1, 3):
        case Point(x, y):
            assert (x, y) == (1, 3)


@pytest.mark.parametrize(
    ("given", "named"), [((), {}), ((1, 2, [], "", "", 6), {}), ((1,), {"x": 1}), ((1,), {"z": 1})]
)
def test_what_does_not_fit_the_fields_is_refused(given: tuple[int, ...], named: dict[str, int]) -> None:
    with pytest.raises(TypeError, match="Point takes x, y, tags, note, secret"):
        Point(*given, **named)  # type: ignore[arg-type]


def test_a_record_is_checked_when_it_is_made_and_when_it_is_replaced() -> None:
    for make in (lambda: Point(-1), lambda: replace(Point(1), x=-1)):
        with pytest.raises(ValueError, match="negative"):
            make()


def test_records_are_equal_where_their_class_and_fields_are() -> None:
    assert Usual(1) != Usual(2)
    assert Point(1, note="a") == Point(1, note="b")
    assert Point(1) != Point(2)
    assert Point(1) != Empty()
    assert Empty() == Empty()
    assert len({Empty(), Empty()}) == 1
    assert Point(1).__eq__(Usual(1)) is NotImplemented


def test_a_record_cannot_be_changed() -> None:
    point = Point(1)
    with pytest.raises(FrozenInstanceError):
        point.x = 2  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        del point.x
    assert point.x == 1


def test_what_works_with_dataclasses_works_with_records() -> None:
    point = Point(1, 3, secret="s")
    assert repr(point) == "Point(x=1, y=3, tags=[], note='')"
    assert [one.name for one in fields(Point)] == ["x", "y", "tags", "note", "secret"]
    assert replace(point, x=5) == Point(5, 3, secret="s")
    assert asdict(Usual(1)) == {"x": 1, "y": 2}
    assert asdict(point) == {"x": 1, "y": 3, "tags": [], "note": "", "secret": "s"}
    assert pickle.loads(pickle.dumps(point)) == point


def test_a_record_tells_what_it_takes() -> None:
    taken = inspect.signature(Point).parameters
    assert list(taken) == ["x", "y", "tags", "note", "secret"]
    assert taken["x"].default is inspect.Parameter.empty
    assert (taken["y"].default, taken["y"].annotation) == (2, int)
