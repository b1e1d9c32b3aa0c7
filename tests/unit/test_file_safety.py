"""A chat's file and other programs: locks, foreign changes, versions that are kept, upgrades."""

import errno
import json
import os
import subprocess
import sys
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.sessions import BEGUN, chat

from easy_llama_tui.chats import file_lock, session_copies
from easy_llama_tui.chats.conversation import Message
from easy_llama_tui.chats.file_lock import FileLock, LockHolder, take
from easy_llama_tui.chats.session import SCHEMA, SessionError, from_toml, to_toml
from easy_llama_tui.chats.session_store import SessionStore
from easy_llama_tui.chats.session_upgrades import schema_in

VERSIONS = sorted((Path(__file__).parent / "sessions").glob("schema-*.toml"))
HOLD = """
import sys, time
from pathlib import Path
from easy_llama_tui.chats.session_store import SessionStore
store = SessionStore(Path(sys.argv[1]))
opened = store.open(sys.argv[2])
print("free" if opened.holder is None else str(opened.holder), flush=True)
sys.stdin.read(1)
"""


@pytest.fixture
def store(tmp_path):
    return SessionStore(tmp_path / "sessions")


@pytest.fixture
def other(store):
    """The same folder in another program, or as good as."""
    other = SessionStore(store.folder)
    yield other
    other.release_all()


@pytest.fixture
def hold(store):
    """Opens a chat in another process, and returns that."""
    started = []

    def start(chat_id):
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(store.folder), chat_id],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process, process.stdout.readline().strip()

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def kept(store, chat_id="20261122-101500-3f9c"):
    folder = store.folder / ".kept" / chat_id
    return sorted(folder.iterdir()) if folder.exists() else []


def saying(*texts):
    """A chat of these messages in a row."""
    messages = tuple(
        Message(f"m{n}", f"m{n - 1}" if n > 1 else None, "user", text, BEGUN)
        for n, text in enumerate(texts, start=1)
    )
    return replace(chat(), messages=messages, head=f"m{len(messages)}")


class TestLocks:
    def test_the_second_program_only_reads_and_knows_who_writes(self, store, hold):
        path = store.save(chat())
        process, said = hold(chat().id)
        assert said == "free"
        opened = store.open(chat().id)
        assert (opened.session, opened.holder) == (chat(), LockHolder(process.pid))
        before = path.read_bytes()
        for change in (
            lambda: store.save(chat(content="woof woof")),
            lambda: store.rename(chat().id, "Cats"),
            lambda: store.delete(chat().id),
        ):
            with pytest.raises(SessionError, match=rf"open in another ezllama \(process {process.pid}\)"):
                change()
        assert path.read_bytes() == before
        assert store.duplicate(opened.session).title == "copy of woof"

    def test_a_program_that_was_killed_holds_nothing(self, store, hold):
        store.save(chat())
        process, _ = hold(chat().id)
        assert store.open(chat().id).holder is not None
        process.kill()
        process.wait()
        assert (store.folder / ".locks" / f"{chat().id}.toml.lock").exists()
        assert store.open(chat().id).holder is None
        store.save(chat(content="woof woof"))
        store.release_all()
        assert not (store.folder / ".locks").exists()

    def test_two_chats_at_once_are_fine(self, store, hold):
        store.save(chat("a"))
        store.save(chat("b"))
        hold("a")
        assert store.open("b").holder is None
        store.save(chat("b", "woof woof"))
        assert [one.id for one in store.summaries()] == ["b", "a"]

    def test_the_newest_words_of_who_had_it_before_are_read(self, store, other):
        store.save(chat(), hold=True)
        assert other.open(chat().id).holder is not None
        store.save(chat(content="woof woof"), hold=True)
        store.release(store.path_of(chat()))
        opened = other.open(chat().id)
        assert (opened.holder, opened.session.title) == (None, "woof woof")

    def test_a_new_chat_gets_its_lock_with_its_first_save(self, store, other):
        store.save(chat(), hold=True)
        assert other.open(chat().id).holder is not None
        store.release_all()
        assert other.open(chat().id).holder is None

    def test_what_is_saved_in_passing_is_let_go(self, store, other):
        store.save(chat())
        assert other.open(chat().id).holder is None

    def test_a_file_elsewhere_is_locked_beside_itself(self, store, other, tmp_path):
        path = tmp_path / "shared.toml"
        path.write_text(to_toml(chat()))
        assert store.open(str(path)).holder is None
        assert (tmp_path / ".locks" / "shared.toml.lock").exists()
        link = tmp_path / "link.toml"
        link.symlink_to(path)
        assert other.open(str(link)).holder is not None
        store.release_all()
        assert not (tmp_path / ".locks").exists()

    def test_a_chat_that_cannot_be_read_is_not_held(self, store, other):
        path = store.save(chat())
        path.write_text("damaged")
        with pytest.raises(SessionError):
            store.open(chat().id)
        path.write_text(to_toml(chat()))
        assert other.open(chat().id).holder is None

    @pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP])
    def test_where_there_are_no_locks_chats_are_written_all_the_same(self, store, other, monkeypatch, code):
        def no_locks(_descriptor):
            raise OSError(code, "No locks here")

        monkeypatch.setattr(file_lock, "_lock", no_locks)
        store.save(chat(), hold=True)
        assert other.open(chat().id).holder is None
        other.save(chat(content="theirs"))
        store.save(chat(content="mine"), hold=True)
        # Nobody was kept from anything, and nothing is lost.
        assert [from_toml(copy.read_text(), "").title for copy in kept(store)] == ["woof", "theirs"]

    def test_a_lock_whose_file_was_removed_is_taken_anew(self, store, other):
        store.save(chat(), hold=True)
        (store.folder / ".locks" / f"{chat().id}.toml.lock").unlink()
        store.save(chat(content="woof woof"), hold=True)
        assert other.open(chat().id).holder is not None

    def test_only_one_of_many_gets_a_lock(self, tmp_path):
        path, winners, together = tmp_path / "locks" / "a.lock", [], threading.Barrier(8)

        def grab():
            together.wait()
            for _ in range(50):
                taken = take(path)
                if isinstance(taken, FileLock):
                    winners.append(1)
                    assert len(winners) == 1
                    winners.pop()
                    taken.release()

        threads = [threading.Thread(target=grab) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert winners == []
        assert not path.exists()

    def test_a_lock_file_that_was_removed_meanwhile_is_no_lock(self, tmp_path, monkeypatch):
        path = tmp_path / "a.lock"
        first, third, real = take(path), [], file_lock._lock

        def lock_late(descriptor):
            """What the second has open is removed, and a third one takes the lock, before the second does."""
            monkeypatch.setattr(file_lock, "_lock", real)
            first.release()
            third.append(take(path))
            real(descriptor)

        monkeypatch.setattr(file_lock, "_lock", lock_late)
        assert isinstance(take(path), LockHolder)
        assert third[0].is_in_force
        third[0].release()

    def test_lock_files_of_dead_programs_are_removed_some_day(self, store):
        folder = store.folder / ".locks"
        folder.mkdir(parents=True)
        old, young = folder / "old.toml.lock", folder / "young.toml.lock"
        held = take(folder / "held.toml.lock")
        for path in (old, young):
            path.write_text("{}")
        for path in (old, held.path):
            os.utime(path, (0, 0))
        store.save(chat())
        assert sorted(path.name for path in folder.iterdir()) == ["held.toml.lock", "young.toml.lock"]
        held.release()

    @pytest.mark.parametrize("note", ["", "[]", '{"pid": "x", "host": 1}', "\0", "[" * 2000])
    def test_a_note_that_is_none_is_no_harm(self, tmp_path, note):
        held = take(tmp_path / "a.lock")
        held.path.write_text(note)
        assert str(take(held.path)) == "another program"
        held.release()

    def test_a_holder_on_another_machine_is_named(self, tmp_path):
        held = take(tmp_path / "a.lock")
        held.path.write_text(json.dumps({"pid": 7, "host": "attic"}))
        assert str(take(held.path)) == "another ezllama (process 7 on attic)"
        held.release()


class TestForeignChanges:
    def test_what_another_program_wrote_is_kept_and_said(self, store):
        path = store.save(chat(), hold=True)
        path.write_text(to_toml(chat(content="theirs")))
        store.save(chat(content="mine"), hold=True)
        assert store.load(chat().id).title == "mine"
        (copy,) = kept(store)
        assert from_toml(copy.read_text(), "").title == "theirs"
        (notice,) = store.take_notices()
        assert str(copy) in notice and "Another program wrote" in notice
        assert store.take_notices() == ()
        store.save(chat(content="mine too"), hold=True)
        assert len(kept(store)) == 1

    def test_what_is_no_chat_is_kept_too(self, store):
        path = store.save(chat(), hold=True)
        path.write_bytes(b"\xff damaged")
        store.save(chat(content="woof woof"), hold=True)
        assert [copy.read_bytes() for copy in kept(store)] == [b"\xff damaged"]

    def test_a_file_that_was_only_touched_is_ours(self, store):
        path = store.save(chat(), hold=True)
        os.utime(path, (1, 1))
        store.save(chat(content="woof woof"), hold=True)
        assert (kept(store), store.take_notices()) == ([], ())

    def test_a_file_that_was_removed_is_written_anew_and_said(self, store):
        path = store.save(chat(), hold=True)
        path.unlink()
        store.save(chat(content="woof woof"), hold=True)
        assert store.load(chat().id).title == "woof woof"
        (notice,) = store.take_notices()
        assert "was removed" in notice and str(path) in notice

    def test_a_folder_that_was_removed_is_made_anew(self, store, other):
        import shutil

        store.save(chat(), hold=True)
        shutil.rmtree(store.folder)
        store.save(chat(content="woof woof"), hold=True)
        assert store.load(chat().id).title == "woof woof"
        assert other.open(chat().id).holder is not None

    def test_a_change_after_the_chat_was_read_is_seen(self, store):
        path = store.save(chat())
        store.release_all()
        session = store.open(chat().id).session
        path.write_text(to_toml(chat(content="theirs")))
        store.load(chat().id)  # as the list of chats does to export it
        store.save(replace(session, title="mine"), hold=True)
        assert [from_toml(copy.read_text(), "").title for copy in kept(store)] == ["theirs"]

    def test_a_file_that_nobody_here_has_read_is_kept(self, store):
        store.folder.mkdir()
        (store.folder / f"{chat().id}.toml").write_text("somebody's")
        store.save(chat())
        assert [copy.read_text() for copy in kept(store)] == ["somebody's"]

    def test_nothing_is_replaced_that_cannot_be_kept(self, store, monkeypatch):
        path = store.save(chat(), hold=True)
        path.write_text("theirs")

        def fail(*_args, **_kwargs):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(session_copies, "keep", fail)
        with pytest.raises(SessionError, match="No space left"):
            store.save(chat(content="mine"), hold=True)
        assert path.read_text() == "theirs"

    def test_a_save_that_fails_again_and_again_keeps_one_copy(self, store, monkeypatch):
        path = store.save(chat(), hold=True)
        path.write_text("theirs")
        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError(errno.EIO, "No disk")))
            for _ in range(3):
                with pytest.raises(SessionError, match="No disk"):
                    store.save(chat(content="mine"), hold=True)
        store.save(chat(content="mine"), hold=True)
        assert len(kept(store)) == 1

    def test_a_file_system_without_links_is_no_hindrance(self, store, monkeypatch):
        path = store.save(chat(), hold=True)
        path.write_text("theirs")
        monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(OSError(errno.EPERM, "No links")))
        store.save(chat(content="mine"), hold=True)
        (copy,) = kept(store)
        assert (copy.read_text(), copy.stat().st_mode & 0o777) == ("theirs", 0o600)


class TestWordsThatGo:
    @pytest.mark.parametrize("now", [saying("one"), saying("one", "two!"), saying("one", "new", "three")])
    @pytest.mark.parametrize("hold", [True, False])
    def test_the_version_before_is_kept(self, store, now, hold):
        store.save(saying("one", "two", "three"), hold=hold)
        store.save(now, hold=hold)
        (copy,) = kept(store)
        assert from_toml(copy.read_text(), "").messages == saying("one", "two", "three").messages
        assert store.take_notices() == ()

    @pytest.mark.parametrize("hold", [True, False])
    def test_what_only_grows_leaves_no_copies(self, store, hold):
        for texts in (("one",), ("one", ""), ("one", "t"), ("one", "two"), ("one", "two", "three")):
            store.save(saying(*texts), hold=hold)
        store.save(saying("one", "two", "three", ""), hold=hold)
        store.save(replace(saying("one", "two", "three"), title="x"), hold=hold)
        assert kept(store) == []

    def test_there_are_never_many(self, store):
        store.save(saying(*"abcdefghijklmnop"), hold=True)
        for count in range(15, 0, -1):
            store.save(saying(*"abcdefghijklmnop"[:count]), hold=True)
        assert len(kept(store)) == session_copies.KEPT_VERSIONS

    def test_old_ones_go_and_those_of_chats_with_an_older_schema_stay(self, store):
        folder = store.folder / ".kept"
        long_ago = (datetime.now(UTC) - timedelta(days=31)).strftime("%Y%m%dT%H%M%S.%fZ")
        lately = (datetime.now(UTC) - timedelta(days=29)).strftime("%Y%m%dT%H%M%S.%fZ")
        for chat_id in ("there", "gone"):
            (folder / chat_id).mkdir(parents=True)
            for name in (f"{long_ago}-00000000", f"{long_ago}-11111111-before-upgrade", f"{lately}-22222222"):
                (folder / chat_id / f"{name}.toml").write_text("x")
        (folder / "there" / "mine.txt").write_text("left alone")
        (store.folder / "there.toml").write_text("x")
        store.save(chat())
        assert sorted(path.name[:32] for path in (folder / "there").iterdir()) == [
            f"{long_ago}-11111111", f"{lately}-22222222", "mine.txt",
        ]  # fmt: skip
        assert [path.name[:32] for path in (folder / "gone").iterdir()] == [f"{lately}-22222222"]


class TestUpgrades:
    def test_there_is_a_file_of_each_version(self):
        assert [schema_in(path.read_text()) for path in VERSIONS] == list(range(1, SCHEMA + 1))

    @pytest.mark.parametrize("version", VERSIONS, ids=lambda path: path.stem)
    def test_a_file_of_each_version_is_read_and_kept_as_it_was(self, store, version):
        store.folder.mkdir()
        path = store.folder / "old.toml"
        path.write_bytes(version.read_bytes())
        session = store.open("old").session
        said = [(message.id, message.role, message.content) for message in session.messages]
        assert said[0] == ("m1", "user", "The dog says woof")
        assert len(said) == 2
        store.save(replace(session, title="changed"), hold=True)
        store.save(replace(session, title="changed again"), hold=True)
        again = store.load("old")
        assert [(message.id, message.role, message.content) for message in again.messages] == said
        assert schema_in(path.read_text()) == SCHEMA
        is_old = version is not VERSIONS[-1]
        assert [copy.read_bytes() for copy in kept(store, "old")] == [version.read_bytes()] * is_old
        assert all(copy.stem.endswith("-before-upgrade") for copy in kept(store, "old"))

    def test_a_file_of_a_later_version_is_never_written(self, store):
        store.folder.mkdir()
        path = store.folder / "new.toml"
        later = VERSIONS[-1].read_text().replace(f"schema = {SCHEMA}", f"schema = {SCHEMA + 1}")
        path.write_text(later)
        with pytest.raises(SessionError, match="newer version") as caught:
            store.open("new")
        assert caught.value.line == 1
        with pytest.raises(SessionError, match="newer version"):
            store.rename("new", "x")
        recovery = store.recover("new")
        copy = store.save_recovered(recovery)
        assert (recovery.whole, recovery.partial) == (2, 0)
        assert path.read_text() == later
        assert store.load(copy.id).messages == from_toml(VERSIONS[-1].read_text(), "").messages
