import errno
import os
import re
import stat
import sys
import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from support.sessions import BEGUN, chat

from easy_llama_tui import locations
from easy_llama_tui.chats import session_store
from easy_llama_tui.chats.conversation import Conversation
from easy_llama_tui.chats.session import SessionError, to_toml
from easy_llama_tui.chats.session_store import SessionStore

PATIENCE = 30.0

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such permissions or links")


@pytest.fixture
def store(tmp_path):
    return SessionStore(tmp_path / "data" / "sessions")


def names(folder):
    return sorted(path.name for path in folder.iterdir())


class TestSavingAndLoading:
    def test_a_chat_comes_back(self, store):
        path = store.save(chat())
        assert path == store.folder / "20261122-101500-3f9c.toml"
        assert store.load("20261122-101500-3f9c") == chat()

    def test_newlines_are_not_translated(self, store):
        session = chat(content="dos\r\nmac\runix\n")
        assert b"\r" not in store.save(session).read_bytes()
        assert store.load(session.id) == session

    @posix_only
    def test_files_and_their_folder_are_for_their_user_alone(self, store):
        path = store.save(chat())
        path.chmod(0o644)
        store.save(chat(content="meow"))
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(store.folder.stat().st_mode) == 0o700

    def test_a_long_chat_is_saved_whole_as_it_grows(self, store):
        conversation = Conversation(now=lambda: BEGUN)
        for number in range(30):
            conversation.add("user", f"question {number}")
            reply = conversation.add("bot", "")
            conversation.update(reply.id, content="half")
            store.save(replace(chat(), messages=conversation.messages, head=conversation.head))
            conversation.update(reply.id, content="a whole answer", finish="stop")
        conversation.remove("m3")
        session = replace(chat(), messages=conversation.messages, head=conversation.head)
        store.save(session)
        assert store.load(session.id) == session

    @pytest.mark.parametrize("session_id", ["../escaped", "/escaped", "..", ".hidden", "a/b", "nul\0"])
    def test_an_id_cannot_leave_the_folder(self, store, session_id):
        with pytest.raises(SessionError, match="cannot name a file"):
            store.save(chat(session_id))
        assert not store.folder.exists()

    def test_a_copied_file_is_a_chat_of_its_own(self, store):
        path = store.save(chat())
        (store.folder / "copy.toml").write_bytes(path.read_bytes())
        copy = store.load("copy")
        assert copy.id == "copy"
        store.save(replace(copy, title="changed"))
        assert store.load(chat().id).title == "woof"
        assert store.load("copy").title == "changed"


class TestFinding:
    @pytest.fixture(autouse=True)
    def three_chats(self, store):
        for session_id in ("20261122-101500-aaaa", "20261122-101500-aabb", "20261123-090000-cccc"):
            store.save(chat(session_id))

    def test_the_only_chat_that_begins_so(self, store):
        assert store.load("20261123").id == "20261123-090000-cccc"

    def test_several_that_begin_so_are_named(self, store):
        with pytest.raises(SessionError, match=r"2 chats .*aaaa, .*aabb") as caught:
            store.load("20261122")
        assert "more of the id" in caught.value.next_step

    def test_a_whole_id_wins_over_a_longer_one(self, store):
        store.save(chat("20261123-090000-cccc-2"))
        assert store.load("20261123-090000-cccc").id == "20261123-090000-cccc"

    @pytest.mark.parametrize("text", ["", "2027", "../secret", "/etc/hostname", "a\0b", "x" * 5000])
    def test_what_is_no_chat(self, store, text):
        (store.folder.parent / "secret").write_text(to_toml(chat()))
        with pytest.raises(SessionError, match="There is no chat"):
            store.load(text)

    @pytest.mark.parametrize("text", ["missing.toml", "a\0b.toml"])
    def test_a_file_that_is_not_there(self, store, text):
        with pytest.raises(SessionError, match="There is no file"):
            store.load(text)

    def test_a_file_with_an_impossible_name(self, store):
        with pytest.raises(SessionError, match="could not be read"):
            store.load("x" * 5000 + ".toml")

    def test_a_folder_that_is_not_there_holds_no_chats(self, tmp_path):
        with pytest.raises(SessionError, match="There is no chat"):
            SessionStore(tmp_path / "nowhere").load("2026")


class TestFilesElsewhere:
    def test_are_saved_back_to_where_they_came_from(self, store, tmp_path):
        path = tmp_path / "shared chat.toml"
        path.write_bytes(b"\xef\xbb\xbf" + to_toml(chat()).encode())
        session = store.load(str(path))
        assert (session, session.file) == (chat(), path)
        assert store.save(replace(session, title="changed")) == path
        assert 'title = "changed"' in path.read_text(encoding="utf-8")
        assert not store.folder.exists()

    def test_a_path_into_the_folder_is_the_chat_there(self, store):
        path = store.save(chat())
        assert store.load(str(path)).file is None

    def test_a_relative_path_holds_after_the_folder_changes(self, store, tmp_path, monkeypatch):
        (tmp_path / "chat.toml").write_text(to_toml(chat()))
        monkeypatch.chdir(tmp_path)
        assert store.load("chat.toml").file == tmp_path / "chat.toml"

    @posix_only
    def test_a_link_stays_a_link(self, store, tmp_path):
        (tmp_path / "real.toml").write_text(to_toml(chat()))
        link = tmp_path / "link.toml"
        link.symlink_to(tmp_path / "real.toml")
        store.save(replace(store.load(str(link)), title="changed"))
        assert link.is_symlink()
        assert 'title = "changed"' in (tmp_path / "real.toml").read_text()


class TestListing:
    def test_the_last_changed_comes_first(self, store):
        for session_id, minutes in (("a", 1), ("b", 3), ("c", 2)):
            store.save(chat(session_id, minutes=minutes))
        assert [summary.id for summary in store.summaries()] == ["b", "c", "a"]
        latest = store.latest()
        assert (latest.id, latest.title, latest.model_name) == ("b", "woof", "Small")
        assert (latest.created, latest.updated) == (BEGUN, BEGUN + timedelta(minutes=3))
        assert latest.path == store.folder / "b.toml"

    def test_nothing_saved_yet(self, store):
        assert store.summaries() == ()
        assert store.latest() is None

    def test_damaged_files_are_reported_and_the_others_listed(self, store):
        store.save(chat("good"))
        (store.folder / "empty.toml").write_bytes(b"")
        (store.folder / "binary.toml").write_bytes(b"\xff\xfe\x00")
        (store.folder / "newer.toml").write_text("schema = 3\n")
        (store.folder / "folder.toml").mkdir()
        (store.folder / "notes.txt").write_text("not a chat")
        (store.folder / ".hidden.toml").write_text("not a chat")
        listing = store.listing()
        assert [summary.id for summary in listing.summaries] == ["good"]
        assert store.summaries() == listing.summaries
        said = sorted(error.what.removeprefix(str(store.folder)) for error in listing.damaged)
        assert [re.split("[ ,]", line)[0] for line in said[:3]] == [
            "/binary.toml",
            "/empty.toml",
            "/newer.toml",
        ]
        assert "folder.toml" in said[3]

    def test_a_damaged_file_stays_as_it_is(self, store):
        store.save(chat("good"))
        damaged = store.folder / "bad.toml"
        damaged.write_bytes(b"schema = 1\n[[mess")
        store.listing()
        with pytest.raises(SessionError, match=r"bad\.toml"):
            store.load("bad")
        assert damaged.read_bytes() == b"schema = 1\n[[mess"

    def test_messages_are_not_read_for_the_list(self, store):
        path = store.save(chat("long"))
        with path.open("ab") as file:
            file.write(b"[[messages]]\nid = damaged")
        assert [summary.id for summary in store.summaries()] == ["long"]
        with pytest.raises(SessionError, match="not valid TOML"):
            store.load("long")

    def test_a_header_that_looks_like_messages_is_read_all_the_same(self, store):
        path = store.save(chat("odd"))
        header, _, messages = path.read_text().partition("\n[model]\n")
        model, _, messages = messages.partition("\n[[messages]]\n")
        path.write_text(f'{header}note = """\n[[messages]]\n"""\n[[messages]]\n{messages}\n[model]\n{model}')
        assert [summary.title for summary in store.summaries()] == ["woof"]
        assert store.load("odd").extra == {"note": "[[messages]]\n"}

    @pytest.mark.skipif(sys.platform == "win32" or not hasattr(os, "mkfifo"), reason="needs named pipes")
    def test_a_named_pipe_does_not_hang_the_list(self, store):
        store.save(chat("good"))
        os.mkfifo(store.folder / "pipe.toml")
        assert len(store.listing().damaged) == 1

    def test_a_folder_that_is_a_file_is_an_error(self, tmp_path):
        (tmp_path / "sessions").write_text("")
        with pytest.raises(SessionError, match="could not be listed"):
            SessionStore(tmp_path / "sessions").summaries()


class TestAtomicity:
    @pytest.mark.parametrize("failing", ["replace", "fsync", "open"])
    def test_a_failed_save_leaves_the_version_before_and_nothing_else(self, store, monkeypatch, failing):
        store.save(chat())
        with monkeypatch.context() as patch:
            patch.setattr(os, failing, fail_with(OSError(errno.ENOSPC, "No space left on device")))
            with pytest.raises(SessionError, match="No space left") as caught:
                store.save(chat(content="woof, never written"))
        assert "stays in memory" in caught.value.next_step
        assert names(store.folder) == ["20261122-101500-3f9c.toml"]
        assert store.load(chat().id) == chat()

    def test_an_interrupted_save_leaves_the_version_before_and_nothing_else(self, store, monkeypatch):
        store.save(chat())
        monkeypatch.setattr(os, "fsync", fail_with(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            store.save(chat(content="woof, never written"))
        assert names(store.folder) == ["20261122-101500-3f9c.toml"]
        assert store.load(chat().id) == chat()

    def test_the_new_version_is_on_disk_before_it_takes_the_name(self, store, monkeypatch):
        steps = []
        for name in ("fsync", "replace"):
            monkeypatch.setattr(os, name, recording(steps, name, getattr(os, name)))
        store.save(chat())
        assert steps[:2] == ["fsync", "replace"]

    @posix_only
    def test_the_temporary_file_is_new_and_private_from_the_start(self, store, monkeypatch):
        seen = []

        def look(descriptor):
            state = os.fstat(descriptor)
            if stat.S_ISREG(state.st_mode):
                seen.append((stat.S_IMODE(state.st_mode), names(store.folder)))

        monkeypatch.setattr(os, "fsync", look)
        store.save(chat())
        [(mode, files)] = seen
        assert mode == 0o600
        assert [name.startswith(".") for name in files] == [True]

    def test_a_folder_that_cannot_be_synced_is_no_failure(self, store, monkeypatch):
        real = os.fsync

        def only_files(descriptor):
            if stat.S_ISDIR(os.fstat(descriptor).st_mode):
                raise OSError(errno.EINVAL, "Invalid argument")
            real(descriptor)

        monkeypatch.setattr(os, "fsync", only_files)
        store.save(chat())
        assert store.load(chat().id) == chat()

    def test_what_a_killed_save_left_is_removed_later(self, store):
        store.folder.mkdir(parents=True)
        old, running = store.folder / ".00ff.saving", store.folder / ".11ee.saving"
        for path in (old, running):
            path.write_text("half a chat")
        os.utime(old, (0, 0))
        store.save(chat())
        assert names(store.folder) == [".11ee.saving", "20261122-101500-3f9c.toml"]


class TestRenaming:
    def test_a_chat_gets_a_title_and_keeps_the_rest(self, store):
        store.save(chat())
        renamed = store.rename(chat().id, "  Cats\tand\x1b dogs ")
        assert renamed == replace(chat(), title="Cats and dogs", named=True)
        assert store.load(chat().id) == renamed

    @pytest.mark.parametrize("title", ["", "  \n", "\x1b"])
    def test_a_title_that_cannot_be_seen_is_refused(self, store, title):
        store.save(chat())
        with pytest.raises(SessionError, match="something that can be seen"):
            store.rename(chat().id, title)
        assert store.load(chat().id) == chat()

    def test_the_start_of_an_id_is_not_enough(self, store):
        store.save(chat())
        for change in (lambda: store.rename("2026", "x"), lambda: store.delete("2026")):
            with pytest.raises(SessionError, match="no chat '2026'"):
                change()
        assert store.load(chat().id) == chat()

    def test_a_damaged_chat_is_not_renamed(self, store):
        path = store.save(chat())
        path.write_text("damaged")
        with pytest.raises(SessionError, match="not valid TOML"):
            store.rename(chat().id, "x")
        assert path.read_text() == "damaged"

    def test_a_save_waits_until_a_renaming_is_done(self, store, monkeypatch):
        store.save(chat())
        saver = threading.Thread(target=store.save, args=[chat(content="newer")])
        real = store._read

        def read_while_another_saves(path):
            session = real(path)
            saver.start()
            saver.join(0.05)
            assert saver.is_alive()
            return session

        monkeypatch.setattr(store, "_read", read_while_another_saves)
        store.rename(chat().id, "Cats")
        saver.join(PATIENCE)
        monkeypatch.undo()
        assert store.load(chat().id) == chat(content="newer")


class TestDuplicating:
    def test_a_copy_is_a_chat_of_its_own(self, store, tmp_path):
        now = BEGUN + timedelta(days=1)
        original = chat(extra={"note": "mine"}, file=tmp_path / "elsewhere.toml")
        copy = store.duplicate(original, now=now)
        assert copy == replace(
            original, id=copy.id, title="copy of woof", named=True, created=now, updated=now, file=None
        )
        assert copy.id.startswith("20261123-101500-")
        assert store.load(copy.id) == copy
        assert names(store.folder) == [f"{copy.id}.toml"]

    def test_an_id_that_is_taken_is_not_given_again(self, store, monkeypatch):
        ids = iter(["taken", "taken", "free"])
        monkeypatch.setattr(session_store, "new_session_id", lambda *_args: next(ids))
        store.save(chat("taken"))
        assert store.duplicate(chat()).id == "free"
        assert store.load("taken") == chat("taken")


class TestDeleting:
    def test_a_deleted_chat_is_gone_until_it_is_restored(self, store):
        path = store.save(chat())
        store.save(chat("other"))
        data = path.read_bytes()
        deleted = store.delete(chat().id)
        assert (deleted.id, deleted.path) == (chat().id, path)
        assert [summary.id for summary in store.summaries()] == ["other"]
        with pytest.raises(SessionError, match="no chat"):
            store.load(chat().id)
        store.restore(deleted)
        assert path.read_bytes() == data
        assert names(store.folder / ".trash") == []

    def test_a_damaged_chat_can_be_deleted_and_restored(self, store):
        path = store.save(chat())
        path.write_bytes(b"\xff")
        store.restore(store.delete(chat().id))
        assert path.read_bytes() == b"\xff"

    def test_one_chat_can_be_deleted_twice(self, store):
        now = BEGUN
        store.save(chat(content="first"))
        first = store.delete(chat().id, now=now)
        store.save(chat(content="second"))
        second = store.delete(chat().id, now=now)
        store.restore(first)
        assert store.load(chat().id).title == "first"
        assert second.trashed.is_file()

    def test_a_chat_that_is_there_again_is_not_replaced(self, store):
        store.save(chat(content="old"))
        deleted = store.delete(chat().id)
        store.save(chat(content="new"))
        with pytest.raises(SessionError, match="is there again") as caught:
            store.restore(deleted)
        assert str(deleted.trashed) in caught.value.next_step
        assert store.load(chat().id).title == "new"
        assert deleted.trashed.is_file()

    def test_a_chat_is_not_restored_twice(self, store):
        path = store.save(chat())
        deleted = store.delete(chat().id)
        store.restore(deleted)
        path.unlink()
        with pytest.raises(SessionError, match="could not be brought back"):
            store.restore(deleted)

    def test_a_chat_that_cannot_be_moved_stays(self, store, monkeypatch):
        store.save(chat())
        monkeypatch.setattr(Path, "rename", fail_with(OSError(errno.EACCES, "Permission denied")))
        with pytest.raises(SessionError, match="Permission denied"):
            store.delete(chat().id)
        assert store.load(chat().id) == chat()
        assert names(store.folder / ".trash") == []

    def test_what_was_deleted_long_ago_goes_for_good(self, store):
        for session_id in "abc":
            store.save(chat(session_id))
        old = store.delete("a", now=BEGUN)
        young = store.delete("b", now=BEGUN + timedelta(seconds=1))
        (store.folder / ".trash" / "mine").mkdir()
        (store.folder / ".trash" / "mine" / "kept.toml").write_text("")
        assert store.empty_trash(now=BEGUN + timedelta(days=30)) == 0
        store.delete("c", now=BEGUN + timedelta(days=30, seconds=1))
        assert not old.trashed.parent.exists()
        assert young.trashed.is_file()
        assert store.empty_trash(now=BEGUN + timedelta(days=90)) == 2
        assert names(store.folder / ".trash") == ["mine"]
        with pytest.raises(SessionError, match="could not be brought back"):
            store.restore(old)

    def test_an_empty_trash_is_emptied(self, store):
        assert store.empty_trash() == 0

    @posix_only
    def test_the_trash_is_for_its_user_alone(self, store):
        store.save(chat())
        deleted = store.delete(chat().id)
        for folder in (store.folder / ".trash", deleted.trashed.parent):
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def fail_with(error):
    def fail(*_args, **_kwargs):
        raise error

    return fail


def recording(steps, name, real):
    def record(*args, **kwargs):
        steps.append(name)
        return real(*args, **kwargs)

    return record


class TestLocations:
    def test_each_is_a_path_of_the_apps_own_and_nothing_is_made(self, tmp_path, monkeypatch):
        for name in ("DATA", "CONFIG", "CACHE", "STATE"):
            monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name.lower()))
        paths = [
            locations.sessions_folder(),
            locations.log_file(),
            locations.config_folder(),
            locations.cache_folder(),
        ]
        assert all(isinstance(path, Path) and "easy-llama" in path.parts for path in paths)
        assert len(set(paths)) == 4
        assert list(tmp_path.iterdir()) == []
