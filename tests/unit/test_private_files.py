"""Whatever the app writes is for its user alone, and lies in the folder where it belongs."""

import contextlib
import logging
import os
import stat
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.sessions import chat

from easy_llama.samplers import DefaultSampling
from easy_llama_tui import log
from easy_llama_tui.chats.chat import Chat
from easy_llama_tui.chats.chat_exchange import FORMATS, export_chat, file_name
from easy_llama_tui.chats.chat_index import ChatIndex
from easy_llama_tui.chats.session import SessionError, from_toml, to_toml
from easy_llama_tui.chats.session_store import SessionStore
from easy_llama_tui.chats.transcript import shown_transcript
from easy_llama_tui.drafts.prompt_history import PromptHistory
from easy_llama_tui.preferences import remembered
from easy_llama_tui.private_files import make_private_folder
from easy_llama_tui.samplers.sampler_presets import PresetError, save_preset

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such permissions")


@pytest.fixture
def anybody() -> Iterator[None]:
    """A umask that hides nothing."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.fixture
def quiet_loggers() -> Iterator[None]:
    """The app's loggers, which are as they were afterwards."""
    loggers = [logging.getLogger(name) for name in ("easy_llama", "easy_llama_tui")]
    before = [(one.handlers[:], one.level, one.propagate) for one in loggers]
    yield
    for one, (handlers, level, propagate) in zip(loggers, before, strict=True):
        for handler in set(one.handlers) - set(handlers):
            handler.close()
        one.handlers[:], one.level, one.propagate = handlers, level, propagate


def modes(folder: Path) -> dict[str, str]:
    """The permissions of all below a folder, and of it."""
    return {
        str(path.relative_to(folder)): oct(stat.S_IMODE(path.lstat().st_mode))
        for path in (folder, *folder.rglob("*"))
    }


def test_all_that_is_written(
    tmp_path: Path, anybody: None, quiet_loggers: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "new" / "home"
    store = SessionStore(home / "data" / "sessions")
    path = store.save(chat(), hold=True)
    path.write_text(to_toml(chat(content="theirs")))
    store.save(chat(content="mine"), hold=True)
    monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(OSError("no links")))
    store.save(chat(content="other words"), hold=True)
    store.save(chat("gone"))
    store.delete("gone")
    store.save_recovered(store.recover(chat().id))
    assert (store.folder / ".locks").exists()
    ChatIndex(store, home / "cache" / "chats.json").chats()
    export_chat(shown_transcript(chat()), home / "chat.md")
    export_chat(shown_transcript(chat()), home / "chat.md", replace=True)
    remembered.update(home / "state" / "deep" / "state.toml", panel="sampler")
    PromptHistory(home / "state" / "history.jsonl").add("hello")
    save_preset(home / "config" / "samplers", "Mine", DefaultSampling)
    monkeypatch.setattr(log, "_MAX_BYTES", 300)
    log.log_to(home / "log" / "deep" / "app.log", verbose=False)
    for _ in range(9):
        logging.getLogger("easy_llama_tui").warning("something happened")
    found = modes(tmp_path / "new")
    assert {"home/log/deep/app.log", "home/log/deep/app.log.1"} <= found.keys()
    assert any(name.startswith("home/data/sessions/.kept/") for name in found)
    assert any(name.startswith("home/data/sessions/.trash/") for name in found)
    # The one that the other program wrote with a umask of its own is as it made it, in a folder of ours.
    assert {name for name, mode in found.items() if mode not in ("0o700", "0o600")} == set()


def test_folders_that_are_there_stay_as_they_are(tmp_path: Path, anybody: None) -> None:
    (tmp_path / "mine").mkdir(mode=0o755)
    make_private_folder(tmp_path / "mine" / "a" / "b")
    make_private_folder(tmp_path / "mine")
    assert modes(tmp_path / "mine") == {".": "0o755", "a": "0o700", "a/b": "0o700"}
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"file"):
        make_private_folder(tmp_path / "file" / "a")


HOSTILE = st.sampled_from(
    [
        "../x",
        "/etc/x",
        "..",
        ".",
        "a/../../b",
        "C:\\x",
        "..\\..\\x",
        "con",
        "\0",
        "~",
        "x" * 300,
        ".hidden",
        "",
    ]
) | st.text(max_size=40)


@settings(max_examples=25)
@given(name=HOSTILE)
def test_what_a_file_says_leads_to_no_other_folder(
    tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    top = tmp_path_factory.mktemp("top")
    store = SessionStore(top / "in" / "sessions")
    text = to_toml(replace(chat(), id=name, title=name, file=None))
    shared = top / "in" / "shared.toml"
    shared.parent.mkdir()
    shared.write_text(text)
    opened = store.open(str(shared)).session  # a stranger's file, which says what its id is
    store.save(replace(opened, title="changed"), hold=True)
    assert from_toml(shared.read_text(), "").title == "changed"
    store.duplicate(opened)
    store.save_recovered(store.recover(str(shared)))
    store.save(Chat.from_session(opened).duplicate().snapshot())
    with contextlib.suppress(SessionError):
        assert store.path_of(replace(opened, file=None)).parent == store.folder
    for kind in FORMATS:
        exported = file_name(name, kind)
        assert Path(exported).name == exported and not exported.startswith(".")
    with contextlib.suppress(PresetError):
        assert save_preset(top / "in" / "samplers", name, DefaultSampling).parent == top / "in" / "samplers"
    store.release_all()
    assert [path.name for path in top.iterdir()] == ["in"]
    assert {path.name for path in (top / "in").iterdir()} <= {"sessions", "shared.toml", "samplers"}
