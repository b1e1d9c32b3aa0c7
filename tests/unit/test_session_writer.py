"""The thread that saves chats: what it writes and when, what it tells, and whom it keeps out."""

import threading
import time
from dataclasses import replace

import pytest
from support.sessions import chat

from easy_llama_tui.chats.session import SessionError
from easy_llama_tui.chats.session_store import SessionStore
from easy_llama_tui.chats.session_writer import SessionWriter

PATIENCE = 30.0


def fail_with(error):
    def fail(*_args, **_kwargs):
        raise error

    return fail


class HeldStore(SessionStore):
    """A store whose saves wait until they are let go, and fail while told to."""

    def __init__(self, folder):
        super().__init__(folder)
        self.gate = threading.Event()
        self.reached = threading.Event()
        self.error = None
        self.written = []

    def save(self, session, **how):
        self.reached.set()
        assert self.gate.wait(PATIENCE)
        if self.error is not None:
            raise self.error
        self.written.append(session.title)
        return super().save(session, **how)


@pytest.fixture
def held(tmp_path):
    return HeldStore(tmp_path / "sessions")


@pytest.fixture
def errors():
    return []


@pytest.fixture
def writer(held, errors):
    writer = SessionWriter(held, lambda _, error: errors.append(error), retry_seconds=PATIENCE)
    yield writer
    held.gate.set()
    held.error = None
    assert writer.close(PATIENCE)


class TestWriter:
    def test_only_the_newest_waiting_snapshot_of_a_chat_is_written(self, held, writer):
        writer.submit(chat("a", "first"))
        assert held.reached.wait(PATIENCE)
        for content in ("second", "third", "fourth"):
            writer.submit(chat("a", content))
        writer.submit(chat("b", "another chat"))
        assert not writer.flush(0)
        held.gate.set()
        assert writer.flush(PATIENCE)
        assert held.written == ["first", "fourth", "another chat"]
        assert held.load("a").title == "fourth"

    def test_chats_are_written_in_the_order_they_came(self, held, writer):
        for session_id in "cabd":
            writer.submit(chat(session_id, session_id))
        held.gate.set()
        assert writer.flush(PATIENCE)
        assert held.written == ["c", "a", "b", "d"]

    def test_files_elsewhere_with_the_same_id_are_kept_apart(self, held, writer, tmp_path):
        writer.submit(chat("b", "first in line"))
        assert held.reached.wait(PATIENCE)
        writer.submit(chat("a", "inside"))
        writer.submit(chat("a", "outside", file=tmp_path / "a.toml"))
        held.gate.set()
        assert writer.flush(PATIENCE)
        assert held.load("a").title == "inside"
        assert held.load(str(tmp_path / "a.toml")).title == "outside"

    def test_a_failed_snapshot_is_reported_and_tried_again_on_flush(self, held, writer, errors):
        held.gate.set()
        held.error = SessionError("The disk is full.", "Make room.")
        writer.submit(chat("a", "kept"))
        assert not writer.flush(PATIENCE)
        assert errors
        assert set(errors) == {held.error}
        held.error = None
        assert writer.flush(PATIENCE)
        assert held.load("a").title == "kept"

    def test_a_failed_snapshot_is_tried_again_with_the_next_of_another_chat(self, held, writer):
        held.gate.set()
        held.error = SessionError("The disk is full.", "Make room.")
        writer.submit(chat("a", "kept"))
        assert not writer.flush(PATIENCE)
        held.error = None
        writer.submit(chat("b", "other"))
        assert writer.flush(PATIENCE)
        assert sorted(held.written) == ["kept", "other"]

    def test_a_failed_snapshot_is_not_written_after_a_newer_one(self, held, writer):
        held.error = SessionError("The disk is full.", "Make room.")
        writer.submit(chat("a", "old"))
        assert held.reached.wait(PATIENCE)
        writer.submit(chat("a", "new"))
        held.gate.set()
        assert not writer.flush(PATIENCE)
        held.error = None
        assert writer.flush(PATIENCE)
        assert held.written == ["new"]

    def test_a_failed_snapshot_is_forgotten_once_a_newer_one_is_on_disk(self, held):
        writer = SessionWriter(held, lambda *_: setattr(held, "error", None), retry_seconds=PATIENCE)
        held.error = SessionError("The disk is full.", "Make room.")
        writer.submit(chat("a", "old"))
        assert held.reached.wait(PATIENCE)
        writer.submit(chat("a", "new"))
        held.gate.set()
        assert writer.flush(PATIENCE)
        assert writer.close(PATIENCE)
        assert held.written == ["new"]

    def test_an_error_nobody_foresaw_does_not_end_the_thread(self, held, writer, errors):
        held.gate.set()
        held.error = MemoryError()
        writer.submit(chat("a"))
        assert not writer.flush(PATIENCE)
        assert isinstance(errors[0], SessionError)
        assert "MemoryError" in errors[0].what
        held.error = None
        assert writer.flush(PATIENCE)

    def test_listeners_are_told_in_the_writers_thread_before_flush_returns(self, held):
        told = []
        writer = SessionWriter(
            held, pytest.fail, lambda session: told.append((session.title, threading.current_thread().name))
        )
        held.gate.set()
        writer.submit(chat("a", "saved"))
        assert writer.flush(PATIENCE)
        assert told == [("saved", "session-writer")]
        assert writer.close(PATIENCE)

    def test_a_listener_that_fails_does_not_end_the_thread(self, held):
        writer = SessionWriter(held, fail_with(RuntimeError()), fail_with(RuntimeError()))
        held.gate.set()
        held.error = SessionError("The disk is full.", "Make room.")
        writer.submit(chat("a"))
        assert not writer.flush(PATIENCE)
        held.error = None
        assert writer.close(PATIENCE)
        assert held.written == ["woof"]

    def test_closing_writes_what_waits_and_ends_the_thread(self, held, writer):
        writer.submit(chat("a", "first"))
        writer.submit(chat("b", "second"))
        assert not writer.close(0)
        held.gate.set()
        assert writer.close(PATIENCE)
        assert held.written == ["first", "second"]
        assert not writer._thread.is_alive()
        with pytest.raises(RuntimeError, match="closed"):
            writer.submit(chat("a"))

    def test_closing_says_when_something_is_not_on_disk(self, held, errors):
        writer = SessionWriter(held, lambda _, error: errors.append(error), retry_seconds=PATIENCE)
        held.gate.set()
        held.error = SessionError("The disk is full.", "Make room.")
        writer.submit(chat("a"))
        assert not writer.close(PATIENCE)
        assert not writer.flush()
        assert not writer.close()

    def test_an_id_that_cannot_name_a_file_is_refused_at_once(self, writer):
        with pytest.raises(SessionError, match="cannot name a file"):
            writer.submit(chat("../escaped"))

    def test_a_failed_snapshot_is_tried_again_by_itself(self, held, errors):
        saved = threading.Event()
        writer = SessionWriter(
            held, lambda _, error: errors.append(error), lambda _: saved.set(), retry_seconds=0.01
        )
        held.gate.set()
        held.error = SessionError("The disk is full.", "Make room.")
        writer.submit(chat("a", "kept"))
        while len(errors) < 3:
            time.sleep(0.001)
        assert [session.title for session in writer.unsaved()] == ["kept"]
        held.error = None
        assert saved.wait(PATIENCE)
        assert writer.flush(PATIENCE)
        assert (held.written, writer.unsaved()) == (["kept"], ())
        assert writer.close(PATIENCE)

    def test_the_log_says_once_why_a_save_fails(self, held, writer, errors, caplog):
        held.gate.set()
        for reason in ("full", "full", "read-only"):
            held.error = SessionError(f"The disk is {reason}.", "Make room.")
            writer.submit(chat("a"))
            writer.flush(PATIENCE)
        assert len(errors) >= 3
        assert len(caplog.records) == 2


class TestWhoMayWrite:
    @pytest.fixture
    def other(self, held):
        return SessionStore(held.folder)

    def test_a_chat_is_kept_from_others_until_it_is_left(self, held, writer, other):
        held.gate.set()
        writer.submit(chat("a"))
        assert writer.flush(PATIENCE)
        assert other.open("a").holder is not None
        writer.leave(held.folder / "a.toml")
        while other.open("a").holder is not None:
            time.sleep(0.001)
        other.release_all()

    def test_a_chat_that_is_left_is_let_go_once_it_is_saved(self, held, writer, other):
        held.gate.set()
        writer.submit(chat("a", "first"))
        assert writer.flush(PATIENCE)
        held.error = SessionError("The disk is full.", "Make room.")
        writer.submit(chat("a", "more"))
        writer.leave(held.folder / "a.toml")
        assert not writer.flush(PATIENCE)
        assert other.open("a").holder is not None
        held.error = None
        assert writer.flush(PATIENCE)
        while (opened := other.open("a")).holder is not None:
            time.sleep(0.001)
        assert opened.session.title == "more"
        other.release_all()

    def test_a_chat_that_is_open_again_is_not_let_go(self, held, writer, other):
        held.gate.set()
        writer.submit(chat("a"))
        assert writer.flush(PATIENCE)
        held.error = SessionError("The disk is full.", "Make room.")
        writer.submit(chat("a", "more"))
        writer.leave(held.folder / "a.toml")
        writer.come_back(held.folder / "a.toml")
        held.error = None
        assert writer.flush(PATIENCE)
        writer.submit(chat("b"))
        assert writer.flush(PATIENCE)
        assert other.open("a").holder is not None

    def test_closing_lets_all_go(self, held, other):
        writer = SessionWriter(held, pytest.fail)
        held.gate.set()
        writer.submit(chat("a"))
        assert writer.close(PATIENCE)
        assert other.open("a").holder is None
        other.release_all()
        assert [path.name for path in held.folder.iterdir()] == ["a.toml"]

    def test_what_happened_to_a_file_is_told(self, held):
        told = []
        writer = SessionWriter(held, pytest.fail, on_notice=told.append)
        held.gate.set()
        writer.submit(chat("a", "mine"))
        assert writer.flush(PATIENCE)
        (held.folder / "a.toml").write_text("theirs")
        writer.submit(replace(chat("a"), title="mine too"))
        assert writer.close(PATIENCE)
        (notice,) = told
        assert "Another program wrote to the file" in notice
