from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from easy_llama.detokenizer import StopStrings, TextStream

letters = st.text(alphabet="ab🎉é", max_size=40)


def parts_of(text: str, cuts: list[int]) -> list[str]:
    places = sorted({cut % (len(text) + 1) for cut in cuts} | {0, len(text)})
    return [text[a:b] for a, b in pairwise(places)]


def expected_before(text: str, stops: list[str]) -> str:
    """The text before the stop string that is complete first; of two that end together, the longer."""
    for end in range(1, len(text) + 1):
        if found := [stop for stop in stops if text[:end].endswith(stop)]:
            return text[: end - max(map(len, found))]
    return text


@given(
    letters, st.lists(st.text(alphabet="ab🎉", min_size=1, max_size=4), max_size=3), st.lists(st.integers(0))
)
def test_stop_strings_cut_exactly_whatever_the_parts(text: str, stops: list[str], cuts: list[int]) -> None:
    matcher = StopStrings(stops)
    shown = ""
    for part in parts_of(text, cuts):
        shown += matcher.feed(part)
        # What is shown is never taken back, and never a part of a stop string that completes later.
        assert expected_before(text, stops).startswith(shown)
    if matcher.found is None:
        shown += matcher.flush()
    assert shown == expected_before(text, stops)
    assert (matcher.found is not None) == any(stop in text for stop in stops)


@given(letters, st.lists(st.text(alphabet="ab", min_size=1, max_size=3), max_size=2))
def test_no_more_is_held_back_than_could_become_a_stop(text: str, stops: list[str]) -> None:
    matcher = StopStrings(stops)
    shown = "".join(matcher.feed(character) for character in text)
    if matcher.found is None:
        held = text[len(shown) :]
        assert held == "" or any(stop.startswith(held) for stop in stops)


@given(letters, st.lists(st.integers(0)))
def test_characters_come_whole_however_their_bytes_are_split(text: str, cuts: list[int]) -> None:
    data = text.encode()
    places = sorted({cut % (len(data) + 1) for cut in cuts} | {0, len(data)})
    stream = TextStream()
    shown = ""
    pieces = [data[a:b] for a, b in pairwise(places)]
    for number, piece in enumerate(pieces):
        shown += stream.push(number, piece)
        assert "\ufffd" not in shown
    assert shown + stream.finish() == text
    assert stream.ids() == tuple(range(len(pieces)))


def test_a_character_that_is_never_whole_is_dropped() -> None:
    stream = TextStream()
    half, rest = "🎉".encode()[:2], "🎉".encode()[2:]
    assert stream.push(1, b"ok ") == "ok "
    assert stream.push(2, half) == ""
    assert stream.finish() == ""
    assert stream.ids() == (1,)
    other = TextStream()
    assert other.push(1, half) + other.push(2, rest) == "🎉"


def test_bytes_that_are_no_character_are_shown_as_such() -> None:
    stream = TextStream()
    assert stream.push(1, b"a\xffb") == "a\ufffdb"


def test_ids_end_where_the_text_does() -> None:
    stream = TextStream(["END"])
    text = "".join(stream.push(number, piece) for number, piece in enumerate([b"one", b" two", b"EN", b"D!"]))
    assert (text, stream.stopped, stream.ids()) == ("one two", True, (0, 1))
    within = TextStream(["END"])
    text = "".join(within.push(number, piece) for number, piece in enumerate([b"one", b" twoE", b"ND"]))
    assert (text, within.ids()) == ("one two", ())


def test_of_stops_that_end_together_the_longest_wins() -> None:
    matcher = StopStrings(["bc", "abc", "c"])
    assert matcher.feed("xxabc") == "xx"
    assert matcher.found == "abc"
