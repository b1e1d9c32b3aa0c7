import json
import os
import re
import stat
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from easy_llama_tui.chats import chat_index
from easy_llama_tui.chats.chat_index import ChatIndex, summarize
from easy_llama_tui.chats.chat_search import fold, search
from easy_llama_tui.chats.conversation import Conversation
from easy_llama_tui.chats.session import (
    ModelReference,
    SamplerChoice,
    Session,
    SessionError,
    from_toml,
    to_toml,
)
from easy_llama_tui.chats.session_skim import _skim_own_shape, header_text, skim
from easy_llama_tui.chats.session_store import SessionStore

BEGUN = datetime(2026, 11, 22, 10, 15, 0, tzinfo=UTC)

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such permissions or pipes")


def chat(session_id, *contents, title="Cats", minutes=0, **more):
    conversation = Conversation(now=lambda: BEGUN)
    for number, content in enumerate(contents or ("What do cats say?", "Meow.")):
        conversation.add("bot" if number % 2 else "user", content, finish="stop" if number % 2 else None)
    return session_of(conversation, session_id, title, minutes, **more)


def session_of(conversation, session_id="a", title="Cats", minutes=0, **more):
    return Session(
        id=session_id,
        title=title,
        named=True,
        created=BEGUN,
        updated=BEGUN + timedelta(minutes=minutes),
        head=conversation.head,
        model=ModelReference("models/small.gguf", "Small"),
        format="template",
        sampler=SamplerChoice("DefaultSampling", {"temp": 0.8}),
        messages=conversation.messages,
        **more,
    )


@pytest.fixture
def store(tmp_path):
    return SessionStore(tmp_path / "data" / "sessions")


@pytest.fixture
def index_file(tmp_path):
    return tmp_path / "cache" / "chats.json"


@pytest.fixture
def index(store, index_file):
    return ChatIndex(store, index_file)


@pytest.fixture
def read_files(monkeypatch):
    """The names of the files that are read for the list."""
    names = []
    monkeypatch.setattr(chat_index, "summarize", lambda path: names.append(path.name) or summarize(path))
    return names


def ids(chats):
    return [one.id for one in chats]


class TestSummary:
    def test_what_a_list_shows_of_a_chat(self, store, index):
        path = store.save(chat("a", "What do\n  cats   say?", "Meow.", "Why?", minutes=5))
        [one] = index.chats()
        assert (one.path, one.id, one.title, one.model_name) == (path, "a", "Cats", "Small")
        assert (one.n_messages, one.first_words) == (3, "What do cats say?")
        assert (one.updated, one.problem) == (BEGUN + timedelta(minutes=5), None)

    def test_only_the_shown_path_is_counted(self, store, index):
        conversation = Conversation(now=lambda: BEGUN)
        conversation.add("system", "Be brief.")
        conversation.add("user", "a question that was asked in other words")
        conversation.add("bot", "an answer")
        conversation.add("user", "another", parent="m1")
        store.save(session_of(conversation))
        [one] = index.chats()
        assert (one.n_messages, one.first_words) == (2, "another")

    def test_first_words_are_the_bots_where_nobody_else_spoke(self, store, index):
        conversation = Conversation(now=lambda: BEGUN)
        conversation.add("system", "Be brief.")
        conversation.add("bot", "Hello!", finish="stop")
        store.save(session_of(conversation))
        assert index.chats()[0].first_words == "Hello!"

    def test_first_words_are_few(self, store, index):
        store.save(chat("a", "word " * 1000))
        assert len(index.chats()[0].first_words) == 120

    def test_a_chat_without_messages(self, store, index):
        store.save(session_of(Conversation()))
        [one] = index.chats()
        assert (one.n_messages, one.first_words, one.problem) == (0, "", None)


class TestListing:
    def test_the_last_changed_comes_first(self, store, index):
        for session_id, minutes in (("a", 1), ("b", 3), ("c", 2)):
            store.save(chat(session_id, minutes=minutes))
        assert ids(index.chats()) == ["b", "c", "a"]

    def test_a_folder_that_is_not_there_holds_no_chats(self, index, index_file):
        assert index.chats() == ()
        assert not index_file.exists()

    def test_a_folder_that_is_a_file_is_an_error(self, store, index):
        store.folder.parent.mkdir()
        store.folder.write_text("")
        with pytest.raises(SessionError, match="could not be listed"):
            index.chats()

    def test_damaged_files_are_listed_with_their_reason(self, store, index):
        good = store.save(chat("good"))
        text = good.read_text()
        damaged = {
            "binary": b"\xff\xfe",
            "cut": text[:-20].encode(),
            "newer": b"schema = 3\n",
            "orphan": text.replace('parent = "m1"', 'parent = "m9"').encode(),
        }
        for name, data in damaged.items():
            (store.folder / f"{name}.toml").write_bytes(data)
        (store.folder / "folder.toml").mkdir()
        (store.folder / "gone.toml").symlink_to(store.folder / "nowhere")
        listed = {one.id: one for one in index.chats()}
        assert listed.keys() == {*damaged, "good", "folder", "gone"}
        assert listed["good"].problem is None
        for name in listed.keys() - {"good"}:
            assert f"{name}.toml" in listed[name].problem
        assert (listed["cut"].title, listed["orphan"].title) == ("Cats", "Cats")
        assert (listed["binary"].title, listed["newer"].title) == ("binary", "newer")

    @posix_only
    def test_a_named_pipe_does_not_hang_the_list(self, store, index):
        store.folder.mkdir(parents=True)
        os.mkfifo(store.folder / "pipe.toml")
        assert "no file" in index.chats()[0].problem

    def test_the_trash_is_not_listed(self, store, index):
        store.save(chat("a"))
        store.delete("a")
        assert index.chats() == ()


class TestIndexFile:
    def test_files_that_did_not_change_are_not_read_again(self, store, index, index_file, read_files):
        store.save(chat("a"))
        first = index.chats()
        assert index.chats() == first
        assert ChatIndex(store, index_file).chats() == first
        assert read_files == ["a.toml"]

    def test_damaged_files_are_read_each_time(self, store, index, index_file, read_files):
        store.save(chat("a"))
        (store.folder / "bad.toml").write_text("bad")
        first = index.chats()
        written = index_file.stat().st_ino
        assert index.chats() == first
        assert ChatIndex(store, index_file).chats() == first
        assert sorted(read_files) == ["a.toml", "bad.toml", "bad.toml", "bad.toml"]
        assert index_file.stat().st_ino == written

    def test_files_that_changed_are(self, store, index, index_file, read_files):
        for session_id in "ab":
            store.save(chat(session_id))
        index.chats()
        store.save(chat("a", title="Dogs"))  # of the same length
        read_files.clear()
        assert {one.title for one in ChatIndex(store, index_file).chats()} == {"Cats", "Dogs"}
        assert read_files == ["a.toml"]

    def test_a_save_of_the_same_size_at_the_same_time_is_seen(self, store, index):
        path = store.save(chat("a"))
        before = path.stat()
        index.chats()
        store.save(chat("a", title="Dogs"))
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert index.chats()[0].title == "Dogs"

    def test_chats_come_and_go(self, store, index):
        store.save(chat("a"))
        assert ids(index.chats()) == ["a"]
        store.save(chat("b", minutes=1))
        assert ids(index.chats()) == ["b", "a"]
        deleted = store.delete("a")
        assert ids(index.chats()) == ["b"]
        store.restore(deleted)
        assert ids(index.chats()) == ["b", "a"]

    @pytest.mark.parametrize("damage", ["", "{", "[]", "null", "\xff", '{"version": 1}', "[" * 100_000])
    def test_a_damaged_index_is_made_again(self, store, index, index_file, damage):
        store.save(chat("a"))
        index.chats()
        whole = index_file.read_bytes()
        index_file.write_bytes(damage.encode("latin-1"))
        assert ids(ChatIndex(store, index_file).chats()) == ["a"]
        assert index_file.read_bytes() == whole

    @pytest.mark.parametrize("row", [None, [], ["x"] * 8, [1] * 8, [1, 2, 3, "t", "m", 1, 1e300, "f"]])
    def test_a_damaged_row_is_made_again(self, store, index, index_file, row):
        store.save(chat("a"))
        index.chats()
        whole = json.loads(index_file.read_bytes())
        index_file.write_text(json.dumps(whole | {"chats": {"a.toml": row}}))
        assert ids(ChatIndex(store, index_file).chats()) == ["a"]
        assert json.loads(index_file.read_bytes()) == whole

    def test_an_index_of_another_folder_does_not_count(self, store, index, index_file, tmp_path):
        path = store.save(chat("a"))
        index.chats()
        other = SessionStore(tmp_path / "other")
        other.folder.mkdir()
        os.link(path, other.folder / "a.toml")
        [one] = ChatIndex(other, index_file).chats()
        assert one.path == other.folder / "a.toml"

    def test_an_index_that_cannot_be_written_is_no_failure(self, store, tmp_path):
        store.save(chat("a"))
        (tmp_path / "file").write_text("")
        index = ChatIndex(store, tmp_path / "file" / "chats.json")
        assert ids(index.chats()) == ["a"]
        assert ids(ChatIndex(store, None).chats()) == ["a"]

    @posix_only
    def test_the_index_is_for_its_user_alone(self, store, index, index_file):
        store.save(chat("a"))
        index.chats()
        assert stat.S_IMODE(index_file.stat().st_mode) == 0o600
        assert stat.S_IMODE(index_file.parent.stat().st_mode) == 0o700

    def test_the_index_is_not_written_when_nothing_changed(self, store, index, index_file):
        store.save(chat("a"))
        index.chats()
        inode = index_file.stat().st_ino
        index.chats()
        ChatIndex(store, index_file).chats()
        assert index_file.stat().st_ino == inode


AWKWARD = st.text(st.sampled_from('ab"\\\n\r\t\x00\x7f\x85é日😀uU0[]= #{}') | st.characters(codec="utf-8"))


@st.composite
def sessions(draw):
    conversation = Conversation(now=lambda: BEGUN)
    for number, (role, content) in enumerate(
        draw(st.lists(st.tuples(st.sampled_from(["system", "user", "bot"]), AWKWARD), max_size=6))
    ):
        parent = draw(st.sampled_from([None, *(f"m{one}" for one in range(1, number + 1))]))
        finish = draw(st.sampled_from([None, "stop", "length"])) if role == "bot" else None
        conversation.add(role, content, parent=parent, finish=finish)
    if conversation.messages:
        conversation.end_at(draw(st.sampled_from([one.id for one in conversation.messages])))
    extra = draw(st.dictionaries(st.sampled_from(["note", "tags"]), AWKWARD, max_size=1))
    return session_of(conversation, title=draw(AWKWARD), extra=extra)


def read_slowly(text):
    """Return what `from_toml` finds: the header, the shown path and the other messages; or its error."""
    try:
        session = from_toml(text, "file")
    except SessionError as error:
        return str(error)
    path = Conversation(session.messages, session.head).path()
    shown = [(one.id, one.role, one.content) for one in path]
    others = [one for one in session.messages if one not in path]
    return (
        replace(session, messages=(), head=None),
        shown,
        [(one.id, one.role, one.content) for one in others],
    )


def read_quickly(text):
    try:
        chat = skim(text, "file")
    except SessionError as error:
        return str(error)
    shown, hidden = ([(one.id, one.role, one.content) for one in part] for part in (chat.shown, chat.hidden))
    return replace(chat.header, messages=(), head=None), shown, hidden


class TestSkimming:
    @given(sessions())
    @settings(max_examples=120, deadline=None)
    def test_finds_what_toml_finds(self, session):
        text = to_toml(session)
        assert read_quickly(text) == read_slowly(text)
        if session.messages and "messages" not in header_text(text):
            assert _skim_own_shape(text, "file") is not None

    def test_reads_pinned_messages_quickly(self):
        text = to_toml(chat("a")) + "pinned = true\n"
        assert _skim_own_shape(text, "file") is not None
        assert read_quickly(text) == read_slowly(text)

    @given(sessions(), st.data())
    @settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    def test_finds_what_toml_finds_in_a_damaged_file(self, session, data):
        text = to_toml(session)
        place = data.draw(st.integers(0, len(text)))
        length = data.draw(st.integers(0, 8))
        new = data.draw(st.sampled_from(['"', '"""', "\\", "\n", "#", "[[messages]]\n", "\r", "m1", "x", ""]))
        text = text[:place] + new + text[place + length :]
        assert read_quickly(text) == read_slowly(text)

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("\n", "\r\n"),
            ("2026-11-22T10:15:00Z\ncontent", "2026-02-30T10:15:00Z\ncontent"),
            ("2026-11-22T10:15:00Z\ncontent", "2026-11-22 10:15:00\ncontent"),
            ("Meow.", r"\uD800"),
            ("Meow.", r"M\u0065ow."),
            ("Meow.", r"\q"),
            ('"m1"\nrole', '"m2"\nrole'),
            ('id = "m2"', 'id = "m1"'),
            ('head = "m2"', 'head = "m7"'),
            ('head = "m2"\n', ""),
            ('role = "user"', 'role = "poet"'),
            ('"What do cats say?"\n', '"What do cats say?"\nfinish = "stop"\n'),
            ("[[messages]]", "[[ messages ]]"),
            ("\n[model]", '\n[[ messages ]]\nid = "m9"\nrole = "user"\ncontent = "x"\n[model]'),
            ("\n[model]", '\nnote = """\n[[messages]]\n"""\n[model]'),
            ("\n[model]", '\nhead = "m1"\n[model]'),
            ("\n[model]", '\n[other]\nhead = "m1"\n[model]'),
            ("[[messages]]\n", '[[messages]]\nnote = "mine"\n'),
        ],
    )
    @pytest.mark.parametrize("count", [1, -1])
    def test_other_shapes_are_read_as_toml(self, old, new, count):
        text = to_toml(chat("a"))
        assert old in text
        changed = text.replace(old, new, count)
        assert read_quickly(changed) == read_slowly(changed)


def hits(query, store, **more):
    return list(search(query, ChatIndex(store, None).chats(), **more))


class TestSearch:
    def test_titles_and_texts_are_searched_in_either_case(self, store):
        store.save(chat("a", "Über GRÜSSE", title="one", minutes=3))
        store.save(chat("b", "nothing", title="über alles", minutes=2))
        store.save(chat("c", "nothing at all", minutes=1))
        assert [(hit.chat.id, hit.message_id, hit.match) for hit in hits("ÜBER", store)] == [
            ("a", "m1", "Über"),
            ("b", None, "über"),
        ]

    def test_the_place_of_the_match(self, store):
        store.save(chat("a", "x" * 100 + "\n  a NEEDLE in\r\nhay " + "y" * 100, "needle"))
        [hit] = hits(" needle ", store)
        assert (hit.message_id, hit.match) == ("m1", "NEEDLE")
        assert hit.before == "…" + "x" * 35 + " a "
        assert hit.after == " in hay " + "y" * 71 + "…"
        assert hit.snippet == f"{hit.before}NEEDLE{hit.after}"

    def test_the_shown_path_comes_before_what_is_hidden(self, store):
        conversation = Conversation(now=lambda: BEGUN)
        conversation.add("user", "question")
        conversation.add("bot", "cat one")
        conversation.add("bot", "cat two", parent="m1")
        store.save(session_of(conversation, title="t"))
        assert hits("cat", store)[0].message_id == "m3"
        assert hits("cat one", store)[0].message_id == "m2"

    @pytest.mark.parametrize("query", ["", "  ", "\n"])
    def test_nothing_finds_nothing(self, store, query):
        store.save(chat("a"))
        assert hits(query, store) == []

    @pytest.mark.parametrize("query", ["content", "[[messages]]", "m1", "DefaultSampling", 'role = "user"'])
    def test_what_belongs_to_the_file_is_not_found(self, store, query):
        store.save(chat("a"))
        assert hits(query, store) == []

    @pytest.mark.parametrize(
        "text",
        [
            'say "meow"',
            "C:\\new\\table",
            "\\n is a newline",
            'print("\\\\n")',
            "tab\there",
            "dos\r\nline",
            "bell \x07 rings",
            "\\u0041",
            '"""quotes"""',
            "<|im_end|>",
            "日本語 é",
        ],
    )
    def test_what_toml_escapes_is_found_as_it_was_written(self, store, text):
        store.save(chat("a", f"one line {text} it", "no", title="t"))
        store.save(chat("b", f"lines\n{text}\nmore", "no", title="t"))
        store.save(chat("c", "something else", title="t"))
        assert {hit.chat.id for hit in hits(text, store)} == {"a", "b"}
        assert {hit.match for hit in hits(text, store)} == {text}

    def test_files_edited_by_hand_are_searched_as_toml(self, store):
        path = store.save(chat("a", "QQ", title="t"))
        text = path.read_text()
        for content in (r'"caf\u00e9 au lait"', "'café au lait'", '"""caf\\\n   é au lait"""'):
            path.write_text(text.replace('"QQ"', content), encoding="utf-8")
            assert [hit.match for hit in hits("CAFÉ AU", store)] == ["café au"]
            assert hits(r"\u00e9", store) == []

    def test_damaged_files_are_searched_as_they_are(self, store):
        path = store.save(chat("a", "a lost word"))
        path.write_text(path.read_text() + "[[mess")
        [hit] = hits("lost", store)
        assert (hit.message_id, hit.match) == (None, "lost")
        assert hit.chat.problem is not None

    def test_files_that_are_gone_are_left_out(self, store):
        for session_id in "ab":
            store.save(chat(session_id, title="t"))
        chats = ChatIndex(store, None).chats()
        store.delete("a")
        assert [hit.chat.id for hit in search("meow", chats)] == ["b"]

    def test_each_find_is_told_before_the_next_file_is_read(self, store):
        for session_id, minutes in (("a", 1), ("b", 0)):
            store.save(chat(session_id, title="t", minutes=minutes))
        found = search("meow", ChatIndex(store, None).chats())
        assert next(found).chat.id == "a"
        store.delete("b")
        assert list(found) == []

    def test_can_be_cancelled_where_nothing_is_found(self, store):
        for session_id in "abc":
            store.save(chat(session_id, title="t"))
        asked = []
        assert hits("nowhere", store, is_cancelled=lambda: asked.append(1) or len(asked) == 2) == []
        assert len(asked) == 2

    @given(AWKWARD, AWKWARD, AWKWARD, st.booleans())
    @settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_any_part_of_any_text_is_found(self, tmp_path, before, part, after, capitals):
        store = SessionStore(tmp_path)
        query = part.upper() if capitals and part.isascii() else part
        text = before + part + after
        chats = [summarize(store.save(chat("a", "no", text, title="")))]
        found = list(search(query, chats))
        wanted = query.strip()
        assert bool(found) == bool(wanted)
        if found:
            assert fold(found[0].match) == fold(wanted)
            assert re.sub(r"\s+", " ", fold(found[0].match)) in re.sub(r"\s+", " ", fold(text))

    def test_folding_keeps_every_place(self):
        every = "".join(chr(code) for code in range(sys.maxunicode + 1))
        assert len(fold(every)) == len(every)
        assert fold("ΟΔΟΣ ΣΑΣ İ") == fold("οδος σας i")
