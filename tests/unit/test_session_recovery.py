"""What is read of damaged session files, and what is said of the damage."""

import random
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.sessions import BEGUN, chat

from easy_llama.samplers import SamplerSettings
from easy_llama_tui.chats.chat import Chat
from easy_llama_tui.chats.conversation import Conversation, Message
from easy_llama_tui.chats.making import Making, Recipe
from easy_llama_tui.chats.message_repair import repaired_tree
from easy_llama_tui.chats.session import DamagedSessionError, from_toml, to_toml
from easy_llama_tui.chats.session_recovery import recover
from easy_llama_tui.chats.session_store import SessionStore

FILE = Path("chats/chat.toml")
VERSIONS = sorted((Path(__file__).parent / "sessions").glob("schema-*.toml"))
MAKING = Making(Recipe("tiny", "tiny.gguf", "template", "DefaultSampling", SamplerSettings()), BEGUN, seed=7)

WORDS = (
    "woof",
    'the "cat" says """meow"""',
    "two\nlines",
    "\n\nblank lines first",
    "C:\\temp\\new\ttabs",
    'ends with a quote"',
    "'''",
    "",
    "[model]\nname = 'x'",
    "Ein Größenwahn 猫",
    "bell \x07 and cr \r",
    "x = 1\n\n[[messages]]\nnot one",
    "# no comment",
)


def long_chat(seed=1, count=12):
    draw = random.Random(seed)
    messages = []
    for number in range(1, count + 1):
        role = "user" if number % 2 else "bot"
        messages.append(
            Message(
                f"m{number}",
                f"m{draw.randrange(max(1, number - 3), number)}" if number > 1 else None,
                role,
                " ".join(draw.choices(WORDS, k=draw.randrange(1, 4))),
                BEGUN + timedelta(minutes=number),
                "stop" if role == "bot" else None,
                tuple(draw.choices(range(9), k=2)) if role == "bot" else (),
                pinned=draw.random() < 0.2,
                made=(MAKING,) if role == "bot" and draw.random() < 0.5 else (),
            )
        )
    return replace(chat(), messages=tuple(messages), head=f"m{count}", title="Dogs and cats")


def blocks_of(text):
    """Where each message begins and ends in a file of the app's own, line ends around it included."""
    starts = [match.start() for match in re.finditer(r"\n\[\[messages\]\]\nid = ", text)]
    ends = [*(start + 1 for start in starts[1:]), len(text)]
    return list(zip(starts, ends, strict=True))


def said(session):
    return [(message.id, message.role, message.content) for message in session.messages]


class TestAnyDamage:
    """Cut or changed anywhere, a file is read or refused with a reason, and no whole message is lost."""

    def check(self, original, damaged, start, end):
        """The bytes from `start` to `end` of `original` were replaced."""
        text = original.decode()
        spans = [(len(text[:one].encode()), len(text[:other].encode())) for one, other in blocks_of(text)]
        messages = from_toml(text, str(FILE)).messages
        try:
            whole = from_toml(damaged.decode("utf-8-sig"), str(FILE))
        except UnicodeDecodeError:
            whole = None
        except DamagedSessionError as error:
            whole = None
            assert str(FILE) in error.what
            assert error.line is not None or "nested too deeply" in error.what or "digits" in error.what
        recovery = recover(damaged, FILE)
        assert recovery.whole + recovery.partial == len(recovery.session.messages)
        found = {(message.role, message.content) for message in recovery.session.messages}
        for message, (begin, stop) in zip(messages, spans, strict=True):
            if end <= begin or stop <= start:
                assert (message.role, message.content) in found
        if whole is not None:
            assert recovery.session.messages == whole.messages
        # It is a chat like any other.
        again = from_toml(to_toml(recovery.session), "copy.toml")
        assert again.messages == recovery.session.messages
        Chat.from_session(again)

    @settings(max_examples=100, deadline=None)
    @given(st.integers(0, 30), st.data())
    def test_a_changed_file(self, seed, data):
        original = to_toml(long_chat(seed)).encode()
        start = data.draw(st.integers(0, len(original)))
        end = min(start + data.draw(st.integers(0, 80)), len(original))
        new = data.draw(
            st.binary(max_size=12)
            | st.sampled_from([b"", b'"', b'"""', b"'''", b"\\", b"\n", b"[", b"[[messages]]\n", b"=", b"#"])
        )
        self.check(original, original[:start] + new + original[end:], start, end)

    @settings(max_examples=50, deadline=None)
    @given(st.integers(0, 30), st.data())
    def test_a_file_that_was_cut(self, seed, data):
        original = to_toml(long_chat(seed)).encode()
        start = data.draw(st.integers(0, len(original)))
        self.check(original, original[:start], start, len(original))

    @settings(max_examples=50, deadline=None)
    @given(st.integers(0, 30), st.data())
    def test_a_file_with_zeros_where_a_disk_failed(self, seed, data):
        original = to_toml(long_chat(seed)).encode()
        start = data.draw(st.integers(0, len(original)))
        end = min(start + data.draw(st.integers(1, 600)), len(original))
        self.check(original, original[:start] + bytes(end - start) + original[end:], start, end)

    @settings(max_examples=150, deadline=None)
    @given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
    @example(b"[[messages]]\n[[messages]]\n")
    @example(b"[" * 100_000)
    @example(b"messages = 3")
    @example(b"[[messages]]\ncontent = '''x\n")
    def test_what_is_no_chat_at_all(self, data):
        recovery = recover(data, FILE)
        from_toml(to_toml(recovery.session), "copy.toml")

    @pytest.mark.parametrize("version", VERSIONS, ids=lambda path: path.stem)
    def test_each_schema_at_every_cut(self, version):
        data = version.read_bytes()
        for end in range(0, len(data), 7):
            recovery = recover(data[:end], version)
            if end > data.index(b'id = "m2"'):
                assert said(recovery.session)[0] == ("m1", "user", "The dog says woof")

    def test_a_long_file_takes_no_long_time(self):
        text = to_toml(long_chat(count=400)).replace('"""', '""', 1)
        assert len(recover(text.encode(), FILE).session.messages) >= 399
        hostile = '[[messages]]\nid = "x\ncontent = """a\n' * 1000
        assert len(recover(hostile.encode(), FILE).session.messages) > 0


class TestWhatIsKept:
    def test_everything_else_of_the_chat_where_it_can_be_read(self):
        session = long_chat()
        text = to_toml(session).replace('role = "bot"', 'role = "cat"', 1)
        recovery = recover(text.encode(), FILE)
        copy = recovery.session
        assert (copy.title, copy.head, copy.model, copy.format) == (
            "Dogs and cats", session.head, session.model, session.format
        )  # fmt: skip
        assert (copy.sampler, copy.created, copy.updated) == (
            session.sampler,
            session.created,
            session.updated,
        )
        assert said(copy) == said(session)  # a reply to a question is the bot's
        assert (recovery.whole, recovery.partial) == (11, 1)
        assert "who wrote it is lost" in recovery.notes[0]

    def test_a_cut_message_as_far_as_it_goes(self):
        text = to_toml(replace(chat(content="first line\nsecond line\n"), title="x"))
        recovery = recover(text[: text.index("line\n", text.index("second"))].encode(), FILE)
        assert said(recovery.session) == [("m1", "user", "first line\nsecond ")]
        assert (recovery.whole, recovery.partial) == (0, 1)
        assert re.fullmatch(r"Line \d+: only a part of a message could be read.", recovery.notes[-1])

    def test_bytes_that_are_no_text(self):
        data = (
            to_toml(chat(content="woof woof"))
            .encode()
            .replace(b'woof woof"\n\n[[', b"")
            .replace(b'content = "woof woof"', b'content = "wo\xfff woof"')
        )
        recovery = recover(data, FILE)
        assert recovery.session.messages[0].content == "wo\N{REPLACEMENT CHARACTER}f woof"
        assert "not UTF-8" in recovery.notes[0]

    def test_how_replies_were_made_by_recipes_that_are_left(self):
        other = replace(MAKING, recipe=replace(MAKING.recipe, model="other"))
        messages = (
            Message("m1", None, "user", "a", BEGUN),
            Message("m2", "m1", "bot", "b", BEGUN, made=(MAKING,)),
            Message("m3", "m1", "bot", "c", BEGUN, made=(other,)),
        )
        text = to_toml(replace(chat(), messages=messages, head="m3"))
        broken = text.replace('model = "tiny"', 'model = "tiny', 1)
        recovery = recover(broken.encode(), FILE)
        assert [message.made for message in recovery.session.messages] == [(), (), (other,)]
        assert any("replies were made" in note for note in recovery.notes)

    def test_a_text_that_shows_a_session_file_makes_no_messages(self):
        shown = to_toml(chat(content="not said"))
        session = replace(
            chat(),
            messages=(Message("m1", None, "user", shown, BEGUN), Message("m2", "m1", "bot", "ok", BEGUN)),
            head="m2",
        )
        broken = to_toml(session).replace("[model]", "[model", 1)
        assert said(recover(broken.encode(), FILE).session) == said(session)

    def test_windows_line_ends(self):
        text = to_toml(long_chat()).replace("[model]", "[model")
        found = recover(text.replace("\n", "\r\n").encode(), FILE)
        assert len(found.session.messages) == 12


class TestTrees:
    def tree(self, *messages):
        made = [Message(one, parent, role, f"{n}", BEGUN) for n, (one, parent, role) in enumerate(messages)]
        repaired = repaired_tree(made)
        Conversation(repaired.messages)
        return [(message.id, message.parent) for message in repaired.messages], repaired

    def test_what_is_whole_stays(self):
        tree = (("m2", "m1", "bot"), ("m1", None, "user"), ("m3", "m1", "bot"))
        found, repaired = self.tree(*tree)
        assert found == [(one, parent) for one, parent, _ in tree]
        assert repaired.notes == ()

    def test_orphans_follow_what_came_before_and_stay_alternatives(self):
        found, repaired = self.tree(
            ("m1", None, "user"), ("m2", "m1", "bot"), ("m4", "m3", "bot"), ("m5", "m3", "bot")
        )
        assert found == [("m1", None), ("m2", "m1"), ("m4", "m2"), ("m5", "m2")]
        assert repaired.notes == ("What “m4” followed, “m3”, is lost: it follows “m2” now.",)

    def test_an_orphan_with_nothing_before_begins_the_chat(self):
        assert self.tree(("m2", "m1", "bot"), ("m3", "m2", "user"))[0] == [("m2", None), ("m3", "m2")]

    def test_loops_are_opened_where_they_begin(self):
        found, repaired = self.tree(
            ("m1", None, "user"), ("m2", "m4", "bot"), ("m3", "m2", "user"), ("m4", "m3", "bot")
        )
        assert found == [("m1", None), ("m2", "m1"), ("m3", "m2"), ("m4", "m3")]
        assert repaired.notes == ("“m2” followed itself: it follows “m1” now.",)

    def test_two_with_one_id_are_both_kept(self):
        found, repaired = self.tree(("m1", None, "user"), ("m1", None, "user"), ("m2", "m1", "bot"))
        assert found == [("m1", None), ("m3", None), ("m2", "m1")]
        assert "“m1”: the second is “m3” now" in repaired.notes[0]

    def test_what_was_there_before_is_there_once(self):
        message = Message("m1", None, "user", "a", BEGUN)
        repaired = repaired_tree([message, message])
        assert (repaired.messages, repaired.doubled) == ((message,), {1})

    @settings(max_examples=200, deadline=None)
    @given(st.lists(st.tuples(st.integers(0, 9), st.none() | st.integers(0, 12)), max_size=12))
    def test_anything_becomes_a_tree_that_has_all_texts(self, pairs):
        made = [
            Message(f"m{one}", None if parent is None else f"m{parent}", "user", f"text {n}", BEGUN)
            for n, (one, parent) in enumerate(pairs)
        ]
        repaired = repaired_tree(made)
        Conversation(repaired.messages)
        assert [message.content for message in repaired.messages] == [message.content for message in made]


class TestInTheStore:
    def test_the_copy_is_a_chat_of_its_own_and_the_file_stays(self, tmp_path):
        store = SessionStore(tmp_path / "sessions")
        path = store.save(long_chat())
        damaged = path.read_text().replace('role = "bot"', "role = bot", 1)
        path.write_text(damaged)
        recovery = store.recover(chat().id)
        copy = store.save_recovered(recovery)
        assert path.read_text() == damaged
        assert copy.id != chat().id
        assert (copy.title, copy.named) == ("recovered: Dogs and cats", True)
        assert store.load(copy.id).messages == recovery.session.messages

    @pytest.mark.parametrize(
        ("old", "new", "line"),
        [
            ('role = "bot"', 'role = "cat"', "role = "),
            ('content = "x"', "content = 1", "content = 1"),
            ('parent = "m1"', 'parent = "m9"', "[[messages]]"),
            ('parent = "m1"', 'parent = "m2"', "[[messages]]"),
            ('id = "m2"', 'id = "m1"', "[[messages]]"),
            ("schema = 2", "schema = 9", "schema"),
            ("preset = ", "preset = 1 # ", "preset = 1"),
            ('policy = "drop-oldest"', 'policy = "x"', "policy"),
            ("recipe = 1", "recipe = 8", "made = ["),
            ("top_p = 0.95", "top_p = [1]", "top_p"),
            ('head = "m2"', 'head = "m7"', "head"),
            ('title = "woof"\n', "", "schema"),
        ],
    )
    def test_damage_is_reported_with_its_line(self, old, new, line):
        messages = (
            Message("m1", None, "user", "[[messages]]\nid = 'no message'\n# \" '''", BEGUN),
            Message("m2", "m1", "bot", "x", BEGUN, made=(MAKING,)),
        )
        text = to_toml(replace(chat(), messages=messages, head="m2"))
        assert old in text
        damaged = text.replace(old, new, 1)
        with pytest.raises(DamagedSessionError) as caught:
            from_toml(damaged, "chat.toml")
        number = caught.value.line
        assert f"chat.toml, line {number}" in str(caught.value)
        assert damaged.split("\n")[number - 1].startswith(line)
        if line == "[[messages]]":
            assert damaged.split("\n")[number].startswith(('id = "m2"', 'id = "m1"'))
            assert number > damaged[: damaged.index("# ")].count("\n")
