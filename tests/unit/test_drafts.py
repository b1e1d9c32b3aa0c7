"""Drafts as values, as files, and as they are written in the background."""

import os
import stat
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easy_llama_tui.drafts.draft import Draft, SentText, from_json, to_json
from easy_llama_tui.drafts.draft_store import DraftStore
from easy_llama_tui.drafts.draft_writer import DraftWriter

FULL = Draft(
    "two\nlines",
    "system",
    (1, 3),
    "aside",
    "Sure, ",
    {"m2": "an edit"},
    (SentText("m3", "sent", "message"),),
    "2026-01-01-abc",
)


@given(st.text(), st.text(), st.dictionaries(st.text(), st.text(), max_size=3))
def test_any_text_comes_back(text: str, aside: str, edits: dict[str, str]) -> None:
    draft = replace(FULL, text=text, aside=aside, edits=edits)
    assert from_json(to_json(draft)) == draft


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[" * 100_000,
        b"\xff\xfe",
        b"[]",
        b"{}",
        to_json(FULL).replace(b'"schema": 1', b'"schema": 2'),
        to_json(FULL).replace(b'"mode": "system"', b'"mode": "root"'),
        to_json(FULL).replace(b'"text": "two\\nlines"', b'"text": 7'),
        to_json(FULL).replace(b'"an edit"', b"[]"),
        to_json(FULL).replace(b'"message": "m3"', b'"message": null'),
    ],
)
def test_what_is_no_draft_is_told_and_put_aside_unharmed(data: bytes, tmp_path: Path) -> None:
    with pytest.raises(ValueError):
        from_json(data)
    store = DraftStore(tmp_path)
    path = tmp_path / f"{store.name_for('a')}.json"
    path.write_bytes(data)
    assert store.read(store.name_for("a")) is None
    (aside,) = tmp_path.iterdir()
    assert aside.suffix == ".damaged" and aside.read_bytes() == data


def test_what_was_sent_and_is_not_saved_stands_before_what_was_written_since() -> None:
    draft = Draft(text="more", sent=(SentText("m1", "one"), SentText("m2", "two")))
    assert draft.without_saved(lambda sent: sent.message_id == "m1").text == "two\nmore"
    assert draft.without_saved(lambda _: True) == Draft(text="more")
    opening = Draft(sent=(SentText("m1", "Sure", "opening"), SentText("m2", "Be brief.", "system")))
    assert opening.without_saved(lambda _: False) == Draft("Be brief.", "system", opening="Sure")


def test_an_edit_whose_message_is_gone_is_kept_as_text() -> None:
    assert FULL.with_lost_edits(lambda _: False).text == "two\nlines\nan edit"
    assert FULL.with_lost_edits(lambda _: True) == FULL


def test_a_draft_is_for_its_user_alone_and_goes_when_it_is_empty(tmp_path: Path) -> None:
    store = DraftStore(tmp_path / "drafts")
    name = store.name_for("../../etc/passwd")
    store.write(name, FULL)
    (path,) = (tmp_path / "drafts").iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert store.read(name) == FULL
    store.write(name, Draft(chat="a"))
    assert list((tmp_path / "drafts").iterdir()) == []
    store.write(name, Draft())


def test_the_draft_of_a_new_chat_goes_to_one_program_once_its_own_is_gone(tmp_path: Path) -> None:
    writing, first, second = DraftStore(tmp_path), DraftStore(tmp_path), DraftStore(tmp_path)
    name = writing.new_name()
    writing.write(name, FULL)
    assert first.take_over() is None
    writing.write(name, replace(FULL, text="newer"))  # another file, which is held too
    assert first.take_over() is None
    writing.close()
    taken = first.take_over()
    assert taken is not None and taken[1].text == "newer" and taken[0] != name
    assert first.take_over() is None and second.take_over() is None
    first.write(taken[0], Draft())
    assert list(tmp_path.iterdir()) == []


def test_the_newest_draft_of_several_comes_first(tmp_path: Path) -> None:
    for number in range(3):
        store = DraftStore(tmp_path)
        name = store.new_name()
        store.write(name, Draft(str(number)))
        os.utime(tmp_path / f"{name}.json", (number, number))
        store.close()
    store = DraftStore(tmp_path)
    found = [store.take_over() for _ in range(4)]
    assert [one and one[1].text for one in found] == ["2", "1", "0", None]


def test_half_written_files_of_a_killed_program_go_and_new_ones_stay(tmp_path: Path) -> None:
    old, new = tmp_path / ".aa.saving", tmp_path / ".bb.saving"
    for path in (old, new):
        path.write_text("{")
    os.utime(old, (0, 0))
    DraftStore(tmp_path).write("chat-a", FULL)
    assert not old.exists() and new.exists()


class SlowStore(DraftStore):
    """Waits before each write; fails as long as it is told to."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.may_write = threading.Event()
        self.error: OSError | None = None
        self.written: list[tuple[str, str]] = []

    def write(self, name: str, draft: Draft) -> None:
        assert self.may_write.wait(10)
        if self.error is not None:
            raise self.error
        self.written.append((name, draft.text))
        super().write(name, draft)


def test_only_the_newest_of_each_draft_is_written_in_order_and_typing_never_waits(tmp_path: Path) -> None:
    store = SlowStore(tmp_path)
    writer = DraftWriter(store, lambda _: None)
    began = time.monotonic()
    for text in ("a", "ab", "abc"):
        writer.submit("chat-a", Draft(text))
    writer.submit("chat-b", Draft("b"))
    assert time.monotonic() - began < 5
    assert writer.unwritten("chat-b") == Draft("b")
    store.may_write.set()
    assert writer.close(10)
    assert store.written[-2:] == [("chat-a", "abc"), ("chat-b", "b")]
    assert writer.unwritten("chat-b") is None


def test_what_cannot_be_saved_is_told_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("easy_llama_tui.drafts.draft_writer.RETRY_SECONDS", 0.01)
    store = SlowStore(tmp_path)
    store.may_write.set()
    store.error = OSError(28, "No space left on device")
    told: list[OSError | None] = []
    is_told = threading.Event()

    def tell(error: OSError | None) -> None:
        told.append(error)
        is_told.set()

    writer = DraftWriter(store, tell)
    writer.submit("chat-a", Draft("a"))
    assert is_told.wait(10)
    assert not writer.flush(0.01)
    store.error = None
    assert writer.flush(10)
    assert store.read("chat-a") == Draft("a")
    assert writer.close(10)
    assert told[0] is not None and told[-1] is None
