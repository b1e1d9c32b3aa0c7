import math
import unicodedata
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import easy_llama_tui.chats.session as session_module
from easy_llama.cache_types import CACHE_TYPES
from easy_llama.samplers import SamplerSettings
from easy_llama_tui.chats.context_window import Policy
from easy_llama_tui.chats.conversation import Conversation, Message
from easy_llama_tui.chats.making import Making, Recipe
from easy_llama_tui.chats.session import (
    ModelReference,
    SamplerChoice,
    Session,
    SessionEncoder,
    SessionError,
    from_toml,
    new_session_id,
    title_from,
    to_toml,
)
from easy_llama_tui.chats.session_skim import _skim_own_shape, skim

BEGUN = datetime(2026, 11, 22, 10, 15, 0, tzinfo=UTC)
CHANGED = datetime(2026, 11, 22, 10, 16, 12, tzinfo=UTC)

RECIPE = Recipe(
    model="SmolLM2 135M Instruct",
    file="models/SmolLM2-135M-Instruct.Q4_1.gguf",
    format="template",
    preset="DefaultSampling",
    sampler=SamplerSettings(temp=0.1 + 0.2, top_p=None),
    context_length=2048,
    threads=2,
    gpu_layers=0,
)
MAKING = Making(
    RECIPE,
    datetime(2026, 11, 22, 10, 16, 12, 301_000, tzinfo=UTC),
    seed=3048193,
    reading_seconds=0.4125,
    writing_seconds=1.9,
    prompt_tokens=20,
    reused_tokens=4,
    slid_tokens=3,
    written_tokens=34,
)

SESSION = Session(
    id="20261122-101500-3f9c",
    title="The dog says woof",
    named=False,
    created=BEGUN,
    updated=CHANGED,
    head="m2",
    model=ModelReference("models/SmolLM2-135M-Instruct.Q4_1.gguf", "SmolLM2 135M Instruct"),
    format="template",
    sampler=SamplerChoice(
        "DefaultSampling", {"top_k": 40, "temp": 0.8, "seed_fixed": False, "kind": "usual"}
    ),
    messages=(
        Message("m1", None, "user", "The dog says woof", BEGUN),
        Message(
            "m2",
            "m1",
            "bot",
            'The cat says "meow".\n\n\tprint("C:\\\\")\n',
            CHANGED,
            "stop",
            (1810, 9),
            made=(MAKING,),
        ),
    ),
)

AS_TEXT = r'''schema = 2
id = "20261122-101500-3f9c"
title = "The dog says woof"
named = false
created = 2026-11-22T10:15:00Z
updated = 2026-11-22T10:16:12Z
head = "m2"

[model]
path = "models/SmolLM2-135M-Instruct.Q4_1.gguf"
name = "SmolLM2 135M Instruct"

[format]
name = "template"

[sampler]
preset = "DefaultSampling"
top_k = 40
temp = 0.8
seed_fixed = false
kind = "usual"

[context]
policy = "drop-oldest"

[[recipes]]
model = "SmolLM2 135M Instruct"
file = "models/SmolLM2-135M-Instruct.Q4_1.gguf"
format = "template"
preset = "DefaultSampling"
context_length = 2048
threads = 2
gpu_layers = 0

[recipes.sampler]
max_len_tokens = -1
temp = 0.30000000000000004
top_p = "off"
min_p = 0.05
frequency_penalty = 0.0
presence_penalty = 0.0
repeat_penalty = 1.0
top_k = 40
penalty_last_n = 64
typical_p = 1.0
top_n_sigma = -1.0
xtc_probability = 0.0
xtc_threshold = 0.1
dry_multiplier = 0.0
dry_base = 1.75
dry_allowed_length = 2
dry_penalty_last_n = -1
dry_sequence_breakers = "[\"\\n\", \":\", \"\\\"\", \"*\"]"
mirostat = 0
mirostat_tau = 5.0
mirostat_eta = 0.1

[[messages]]
id = "m1"
role = "user"
created = 2026-11-22T10:15:00Z
content = "The dog says woof"

[[messages]]
id = "m2"
parent = "m1"
role = "bot"
created = 2026-11-22T10:16:12Z
content = """
The cat says "meow".

	print("C:\\\\")
"""
finish = "stop"
made = [
  { recipe = 1, began = 2026-11-22T10:16:12.301Z, seed = 3048193, reading = 0.412, writing = 1.9, prompt = 20, reused = 4, slid = 3, written = 34 },
]
ids = "1810 9"
'''  # noqa: E501 (a line of the file)

AS_TEXT_OF_SCHEMA_1 = """schema = 1
id = "20261122-101500-3f9c"
title = "The dog says woof"
named = false
created = 2026-11-22T10:15:00Z
updated = 2026-11-22T10:16:12Z
head = "m2"
shown = "a key that had no meaning"

[model]
path = "models/SmolLM2-135M-Instruct.Q4_1.gguf"
name = "SmolLM2 135M Instruct"

[format]
name = "template"

[sampler]
preset = "DefaultSampling"
top_k = 40

[[messages]]
id = "m1"
role = "user"
created = 2026-11-22T10:15:00Z
content = "The dog says woof"
ids = 5

[[messages]]
id = "m2"
parent = "m1"
role = "bot"
content = "meow"
finish = "stop"
pinned = true
"""

any_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)
# Made of what a TOML string has to treat with care, and what newline translation would change.
careful_text = st.text(
    st.sampled_from(
        "\"'\\\r\n\t\x00\x07\x1b\x1c\x7f\x80\x85\x9b\u2028\u2029\ufeff\ufffe\uffff\U0010ffff\u0301 a#["
    )
    | st.sampled_from(["\U0001f469", "\u200d", "\U0001f52c"]),
    max_size=30,
)
texts = any_text | careful_text
times = st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29), timezones=st.just(UTC))
sampler_values = st.dictionaries(
    texts.filter(lambda key: key != "preset"),
    st.integers() | st.floats(allow_nan=False) | st.booleans() | texts,
    max_size=5,
)

all_samplers = st.builds(
    SamplerSettings,
    temp=st.none() | st.floats(0, 10),
    top_k=st.none() | st.integers(-1, 1000),
    min_p=st.none() | st.floats(0, 1),
    dry_multiplier=st.none() | st.floats(0, 5),
    dry_sequence_breakers=st.lists(
        st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1), max_size=2
    ),
    logit_bias=st.none() | st.dictionaries(st.integers(0, 99), st.floats(-9, 9), max_size=2),
    grammar=st.none() | st.sampled_from(["off", 'root ::= "\\"" [^\\n]* # é']),
)
all_recipes = st.builds(
    Recipe,
    *(texts, texts, texts, texts, all_samplers),
    context_length=st.none() | st.integers(0, 2**20),
    threads=st.none() | st.integers(1, 99),
    gpu_layers=st.none() | st.integers(-1, 99),
    flash_attn=st.booleans(),
    batch=st.none() | st.integers(1, 4096),
    cache_type_k=st.sampled_from(CACHE_TYPES),
    cache_type_v=st.sampled_from(CACHE_TYPES),
    prompt_lookup=st.booleans(),
    draft_model=texts,
)


@st.composite
def sessions(draw):
    count = draw(st.integers(0, 8))
    names = draw(
        st.just([f"m{n}" for n in range(1, count + 1)])
        | st.permutations(range(count)).map(lambda p: [f"x{n}" for n in p])
    )
    recipes = draw(st.lists(all_recipes, min_size=1, max_size=3))
    messages = []
    for place, name in enumerate(names):
        parent = draw(st.none() | st.sampled_from(names[:place])) if place else None
        role = draw(st.sampled_from(["system", "user", "bot"]))
        finishes = [None, "stop", "length", "interrupted", "error"] if role == "bot" else [None]
        finish, pinned = draw(st.sampled_from(finishes)), draw(st.booleans())
        makings = st.builds(
            Making,
            st.sampled_from(recipes),
            draw_times := st.just(draw(times)),
            seed=st.none() | st.integers(0, 2**32 - 2),
            start=st.integers(0, 2**40),
            given_tokens=st.integers(0, 9),
            reading_seconds=st.none() | st.floats(0, 1e6),
            writing_seconds=st.none() | st.floats(0, 1e6),
            prompt_tokens=st.integers(0, 2**40),
            left_out=st.integers(0, 9),
            settings_changed=st.booleans(),
        )
        messages.append(
            Message(
                *(name, parent, role, draw(texts), draw(draw_times), finish),
                ids=tuple(draw(st.lists(st.integers(0, 2**31 - 1), max_size=3))),
                pinned=pinned,
                branch=draw(texts),
                made=tuple(draw(st.lists(makings, max_size=2))) if role == "bot" else (),
                edited=draw(st.booleans()),
                by=draw(texts),
            )
        )
    return Session(
        id=draw(texts),
        title=draw(texts),
        named=draw(st.booleans()),
        created=draw(times),
        updated=draw(times),
        head=draw(st.sampled_from(names)) if names else None,
        model=ModelReference(draw(texts), draw(texts)),
        format=draw(texts),
        sampler=SamplerChoice(draw(texts), draw(sampler_values)),
        policy=draw(st.sampled_from(Policy)),
        messages=tuple(messages),
        shown=tuple(draw(st.lists(texts, max_size=2))),
    )


def with_content(text):
    return replace(SESSION, messages=(Message("m1", None, "bot", text, BEGUN),), head="m1")


class TestTheFile:
    def test_it_reads_as_planned(self):
        assert to_toml(SESSION) == AS_TEXT

    def test_it_comes_back(self):
        assert from_toml(AS_TEXT, "chat.toml") == SESSION

    def test_few_short_messages_are_still_blocks(self):
        session = with_content("hi")
        assert to_toml(session).count("\n[[messages]]\n") == 1

    def test_a_chat_without_messages_comes_back(self):
        session = replace(SESSION, messages=(), head=None)
        assert from_toml(to_toml(session), "chat.toml") == session

    def test_replies_made_in_one_way_share_a_recipe(self):
        others = (
            Message("m3", "m1", "bot", "woof", CHANGED, "stop", made=(replace(MAKING, seed=5),)),
            Message(
                "m4",
                *("m1", "bot", "moo", CHANGED, "stop"),
                made=(MAKING, replace(MAKING, recipe=replace(RECIPE, model="other"), start=3)),
            ),
        )
        session = replace(SESSION, messages=(*SESSION.messages, *others))
        text = to_toml(session)
        assert text.count("[[recipes]]") == 2
        assert text.count("recipe = 1,") == 3
        assert text.count("recipe = 2,") == 1
        again = from_toml(text, "chat.toml")
        assert again == session
        assert again.messages[2].made[0].settings == RECIPE.sampler.replace(seed=5)

    def test_an_encoder_that_remembers_numbers_recipes_anew(self):
        later = replace(
            SESSION.messages[1], id="m3", made=(replace(MAKING, recipe=replace(RECIPE, model="x")),)
        )
        both = replace(SESSION, messages=(*SESSION.messages, later))
        encoder = SessionEncoder()
        encoder.to_toml(both)
        without = replace(both, messages=(both.messages[0], later), head="m3")
        assert encoder.to_toml(without) == to_toml(without)
        assert from_toml(encoder.to_toml(without), "chat.toml") == without

    def test_a_sampler_that_is_off_and_every_digit_come_back(self):
        again = from_toml(AS_TEXT, "chat.toml").messages[1].made[0].recipe.sampler
        assert (again.temp, again.top_p) == (0.1 + 0.2, None)

    def test_what_was_shown_elsewhere_comes_back(self):
        session = replace(SESSION, shown=("m2", 'a "b"'))
        assert 'shown = ["m2", "a \\"b\\""]\n' in to_toml(session)
        assert from_toml(to_toml(session), "chat.toml") == session

    def test_a_pinned_message_is_marked_and_comes_back(self):
        pinned = replace(SESSION.messages[0], pinned=True)
        session = replace(SESSION, messages=(pinned, SESSION.messages[1]))
        assert to_toml(session).count("\npinned = true\n") == 1
        assert "pinned" not in to_toml(SESSION)
        assert [one.pinned for one in from_toml(to_toml(session), "chat.toml").messages] == [True, False]

    @pytest.mark.parametrize("policy", Policy)
    def test_what_a_full_context_does_comes_back(self, policy):
        session = replace(SESSION, policy=policy)
        assert f'[context]\npolicy = "{policy.value}"\n' in to_toml(session)
        assert from_toml(to_toml(session), "chat.toml") == session

    def test_numbers_that_are_not_finite_come_back(self):
        choice = SamplerChoice(
            "Odd", {"above": math.inf, "below": -math.inf, "none": math.nan, "tiny": 1e-300}
        )
        values = from_toml(to_toml(replace(SESSION, sampler=choice)), "chat.toml").sampler.values
        assert (values["above"], values["below"], values["tiny"]) == (math.inf, -math.inf, 1e-300)
        assert math.isnan(values["none"])

    def test_kinds_of_sampler_values_stay_apart(self):
        choice = SamplerChoice("Odd", {"one": 1, "one_point": 1.0, "yes": True})
        values = from_toml(to_toml(replace(SESSION, sampler=choice)), "chat.toml").sampler.values
        assert [type(value) for value in values.values()] == [int, float, bool]

    def test_lone_surrogates_anywhere_leave_a_file_that_utf8_can_hold(self):
        session = replace(
            with_content("a\udc80b"), title="\ud800", model=ModelReference("models/\udcff.gguf", "\udcff")
        )
        again = from_toml(to_toml(session).encode("utf-8").decode("utf-8"), "chat.toml")
        assert again.messages[0].content == "a\ufffdb"
        assert (again.title, again.model.path) == ("\ufffd", "models/\ufffd.gguf")

    def test_controls_are_escaped_so_that_a_terminal_may_show_the_file(self):
        text = to_toml(with_content("\x1b]0;title\x07\n\x9b31m\x7f\r\n"))
        assert not [char for char in text if char != "\n" and (ord(char) < 32 or 0x7F <= ord(char) < 0xA0)]

    @pytest.mark.parametrize(
        ("text", "written"),
        [
            ("one line", '"one line"'),
            ('say "hi"', r'"say \"hi\""'),
            ("a\nb", '"""\na\nb"""'),
            ("a\n", '"""\na\n"""'),
            ("\n", '"""\n\n"""'),
            ('f("x")\n', '"""\nf("x")\n"""'),
            ('"""doc"""\n', '"""\n\\"\\""doc\\"\\""\n"""'),
            ('\nends "so"', '"""\n\nends "so\\""""'),
            ("dos\r\nlines\r\n", '"""\ndos\\r\nlines\\r\n"""'),
            ("old mac\r", '"old mac\\r"'),
        ],
    )
    def test_texts_stay_readable(self, text, written):
        session = with_content(text)
        assert f"content = {written}\n" in to_toml(session)
        assert from_toml(to_toml(session), "chat.toml") == session


class TestExactness:
    @settings(max_examples=150, deadline=None)
    @given(sessions())
    def test_any_chat_comes_back_from_its_bytes(self, tmp_path_factory, session):
        path = tmp_path_factory.getbasetemp() / "chat.toml"
        path.write_bytes(to_toml(session).encode("utf-8"))
        again = from_toml(path.read_bytes().decode("utf-8"), str(path))
        assert again == session
        assert (
            Conversation(again.messages, again.head).path()
            == Conversation(session.messages, session.head).path()
        )

    @settings(max_examples=300, deadline=None)
    @given(texts)
    @example("".join(map(chr, range(0xA0))))
    @example("\n" + "".join(map(chr, range(0xA0))))
    @example('""""""\n""\n"')
    @example("\\\n   joined?")
    @example("\r\r\n\n\r")
    @example(" \n\t\n ")
    def test_any_text_comes_back(self, text):
        session = with_content(text)
        assert from_toml(to_toml(session), "chat.toml").messages[0].content == text

    @settings(max_examples=50, deadline=None)
    @given(sessions(), sessions())
    def test_an_encoder_that_remembers_writes_the_same(self, one, other):
        encoder = SessionEncoder()
        for session in (one, other, one, replace(one, messages=one.messages[:1], head=None)):
            assert encoder.to_toml(session) == to_toml(session)

    def test_an_encoder_does_not_write_unchanged_messages_again(self, monkeypatch):
        written = []
        real = session_module._message_block
        monkeypatch.setattr(
            session_module,
            "_message_block",
            lambda message, recipes: written.append(message.id) or real(message, recipes),
        )
        encoder = SessionEncoder()
        encoder.to_toml(SESSION)
        changed = replace(SESSION.messages[1], content="more")
        encoder.to_toml(replace(SESSION, messages=(SESSION.messages[0], changed)))
        assert written == ["m1", "m2", "m2"]


def found_by(text, read):
    """Return what a way to read a file finds of its messages, or what it says is wrong."""
    try:
        return read(text)
    except SessionError as error:
        return str(error)


def read_wholly(text):
    session = from_toml(text, "file")
    shown = Conversation(session.messages, session.head).path()
    return {one.id: one.content for one in session.messages}, [one.id for one in shown]


def read_quickly(text):
    skimmed = skim(text, "file")
    return (
        {one.id: one.content for one in (*skimmed.shown, *skimmed.hidden)},
        [one.id for one in skimmed.shown],
    )


class TestSkimming:
    def test_how_a_reply_was_made_does_not_keep_a_file_from_being_read_quickly(self):
        named = replace(SESSION.messages[1], branch='a "b"', by="x", edited=True, pinned=True)
        text = to_toml(replace(SESSION, messages=(SESSION.messages[0], named), shown=("m1",)))
        assert _skim_own_shape(text, "file") is not None
        assert read_quickly(text) == read_wholly(text)

    @settings(max_examples=100, deadline=None)
    @given(sessions())
    def test_finds_what_a_whole_reading_finds(self, session):
        text = to_toml(session)
        assert found_by(text, read_quickly) == found_by(text, read_wholly)

    @settings(max_examples=250, deadline=None)
    @given(st.data())
    def test_finds_no_less_wrong_in_a_damaged_file(self, data):
        start = data.draw(st.integers(AS_TEXT.index("[[recipes]]"), len(AS_TEXT)))
        new = data.draw(st.sampled_from(["0", "9", "99", "-", '"', ".", " ", "\n", "e", "true", ", ", ""]))
        damaged = AS_TEXT[:start] + new + AS_TEXT[start + data.draw(st.integers(0, 3)) :]
        assert found_by(damaged, read_quickly) == found_by(damaged, read_wholly)

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("recipe = 1,", "recipe = 2,"),
            ("recipe = 1,", "recipe = 0,"),
            ("seed = 3048193", "seed = 4294967295"),
            ("began = 2026-11-22", "began = 2026-13-22"),
            ('role = "bot"', 'role = "user"'),
            ("[recipes.sampler]", "[recipes.sampling]"),
        ],
    )
    def test_finds_what_is_wrong_with_how_a_reply_was_made(self, old, new):
        damaged = AS_TEXT.replace(old, new)
        assert "file" in found_by(damaged, read_quickly)
        assert found_by(damaged, read_quickly) == found_by(damaged, read_wholly)


class TestReadingByHand:
    def test_unknown_keys_and_tables_at_the_top_are_kept(self):
        text = AS_TEXT.replace(
            "\n[model]",
            'tags = ["cats"]\nnotes = [{ a = 1 }]\n\n[colours]\nuser = "red"\ndays = [1979-05-27]\n\n[model]',
        )
        session = from_toml(text, "chat.toml")
        assert session.extra == {
            "tags": ["cats"],
            "notes": [{"a": 1}],
            "colours": {"user": "red", "days": [date(1979, 5, 27)]},
        }
        again = from_toml(to_toml(session), "chat.toml")
        assert again == session

    def test_unknown_keys_of_a_message_are_ignored(self):
        assert (
            from_toml(AS_TEXT.replace('role = "bot"', 'role = "bot"\nmood = "good"'), "chat.toml") == SESSION
        )

    def test_a_time_without_a_zone_is_utc_and_another_zone_is_understood(self):
        text = AS_TEXT.replace("updated = 2026-11-22T10:16:12Z", "updated = 2026-11-22T10:16:12")
        assert from_toml(text, "chat.toml").updated == CHANGED
        text = AS_TEXT.replace("updated = 2026-11-22T10:16:12Z", "updated = 2026-11-22T12:16:12+02:00")
        assert from_toml(text, "chat.toml").updated == CHANGED

    def test_what_may_be_left_out(self):
        text = AS_TEXT.replace('head = "m2"\n', "").replace("named = false\n", "")
        assert from_toml(text.replace("created = 2026-11-22T10:16:12Z\n", ""), "chat.toml") == replace(
            SESSION, messages=(SESSION.messages[0], replace(SESSION.messages[1], created=BEGUN))
        )

    def test_a_file_of_schema_1_is_understood_and_saved_as_the_present_one(self):
        session = from_toml(AS_TEXT_OF_SCHEMA_1, "chat.toml")
        question, reply = session.messages
        assert (question.content, question.ids, question.by) == ("The dog says woof", (), "")
        # Schema 1 names one model only, so that is the one which wrote.
        assert (reply.content, reply.author, reply.made) == ("meow", "SmolLM2 135M Instruct", ())
        assert (reply.finish, reply.pinned, reply.ids, session.head) == ("stop", True, (), "m2")
        assert session.extra == {"shown_of_schema_1": "a key that had no meaning"}
        text = to_toml(session)
        assert text.startswith("schema = 2\n")
        assert from_toml(text, "chat.toml") == session

    def test_a_file_of_an_older_version_leaves_out_the_oldest_messages(self):
        older = AS_TEXT.replace('[context]\npolicy = "drop-oldest"\n\n', "")
        assert older != AS_TEXT
        assert from_toml(older, "chat.toml") == SESSION

    def test_a_file_saved_with_windows_line_ends_is_understood(self):
        assert from_toml(AS_TEXT.replace("\n", "\r\n"), "chat.toml") == SESSION

    def test_the_header_alone(self):
        header = AS_TEXT.partition("[[messages]]")[0]
        assert from_toml(header, "chat.toml", header_only=True) == replace(SESSION, messages=(), head=None)


class TestDamage:
    @pytest.mark.parametrize(
        ("old", "new", "said"),
        [
            ("schema = 2", "schema = 3", "newer version"),
            ("schema = 2", 'schema = "2"', "schema = 2"),
            ("schema = 2", "schema = 0", "schema = 2"),
            ("schema = 2", "schema = true", "schema = 2"),
            ("schema = 2\n", "", "schema = 2"),
            ("[model]", "[model", "line 9"),
            ('id = "20261122-101500-3f9c"\n', "", "has no id"),
            ('title = "The dog says woof"', "title = 3", "'title'"),
            ("named = false", 'named = "no"', "'named'"),
            ("created = 2026-11-22T10:15:00Z\nupdated", 'created = "today"\nupdated', "'created'"),
            ("updated = 2026-11-22T10:16:12Z", "updated = 2026-11-22", "'updated'"),
            ("updated = 2026-11-22T10:16:12Z", "updated = 0001-01-01T00:00:00+10:00", "no time in UTC"),
            ('head = "m2"', 'head = "m3"', "the head 'm3'"),
            ('[format]\nname = "template"', 'format = "template"', "no format"),
            ("[format]", "[[format]]", "'format'"),
            ('name = "template"', "", "[format] has no name"),
            ("top_k = 40", "top_k = [40]", "[sampler] has a 'top_k'"),
            ('policy = "drop-oldest"', 'policy = "drop"', "[context] has policy = 'drop'"),
            ('policy = "drop-oldest"', "policy = 1", "[context] has a 'policy'"),
            ("[context]", "[[context]]", "'context'"),
            ('role = "bot"', 'role = "bot"\npinned = 1', "message 'm2' has a 'pinned'"),
            ("recipe = 1,", "recipe = 2,", "message 'm2', made has the recipe 2, and there are 1"),
            ("recipe = 1, ", "", "message 'm2', made has the recipe None"),
            ("seed = 3048193", "seed = -1", "made has seed = -1"),
            ("reading = 0.412", "reading = inf", "made has reading = inf"),
            ('ids = "1810 9"', 'ids = "1810 x"', "message 'm2' has ids"),
            ('ids = "1810 9"', 'ids = "1810 -9"', "message 'm2' has ids"),
            ('top_p = "off"', 'top_p = "often"', "recipe number 1 makes no sense: top_p"),
            ("context_length = 2048", "context_length = true", "recipe number 1 has a 'context_length'"),
            ('role = "bot"', 'role = "cat"', "message 'm2' has role = 'cat'"),
            ('role = "bot"', 'role = "user"', "message 'm2' is not valid"),
            ('finish = "stop"', 'finish = "bored"', "message 'm2' has finish"),
            ('id = "m2"\n', "", "message number 2 has no id"),
            ('id = "m1"', 'id = ""', "empty id"),
            ('id = "m2"', 'id = "m1"', "'m1' is given to two"),
            ('parent = "m1"', 'parent = "m9"', "message 'm2' follows 'm9'"),
            ('parent = "m1"', 'parent = "m2"', "message 'm2' follows itself"),
            ('content = "The dog says woof"', "content = 1", "message 'm1' has a 'content'"),
            ("temp = 0.8", f"temp = {'9' * 5000}", "not valid TOML"),
            ("temp = 0.8", f"temp = {'[' * 100_000}", "nested too deeply"),
        ],
    )
    def test_is_named_with_the_file_and_a_next_step(self, old, new, said):
        assert old in AS_TEXT
        with pytest.raises(SessionError) as caught:
            from_toml(AS_TEXT.replace(old, new, 1), "chats/chat.toml")
        assert "chats/chat.toml" in caught.value.what
        assert said in caught.value.what
        assert "file is left as it is" in caught.value.next_step
        assert str(caught.value) == f"{caught.value.what} {caught.value.next_step}"

    @pytest.mark.parametrize("text", ["messages = 1", "messages = [1]"])
    def test_messages_must_be_tables(self, text):
        with pytest.raises(SessionError, match=r"\[\[messages\]\]"):
            from_toml(
                text + "\n" + AS_TEXT.partition("[[messages]]")[0].replace('head = "m2"\n', ""), "chat.toml"
            )

    @settings(max_examples=150, deadline=None)
    @given(st.integers(0, len(AS_TEXT)), st.integers(0, 30), careful_text)
    def test_no_damage_raises_anything_else(self, start, length, text):
        damaged = AS_TEXT[:start] + text + AS_TEXT[start + length :]
        try:
            session = from_toml(damaged, "chat.toml")
        except SessionError:
            return
        assert from_toml(to_toml(session), "chat.toml") == session


class TestValues:
    def test_a_snapshot_does_not_follow_its_makers_mapping(self):
        values = {"temp": 0.8}
        choice = SamplerChoice("Mine", values)
        values["temp"] = 2.0
        assert choice.values == {"temp": 0.8}
        with pytest.raises(TypeError):
            choice.values["temp"] = 2.0

    def test_times_are_brought_to_whole_seconds_in_utc(self):
        there = datetime(2026, 11, 22, 12, 15, 0, 5, tzinfo=timezone(timedelta(hours=2)))
        assert replace(SESSION, created=there).created == BEGUN

    def test_a_new_id_says_when_in_utc(self):
        there = datetime(2026, 11, 22, 12, 15, 0, tzinfo=timezone(timedelta(hours=2)))
        first, second = (new_session_id(there, Random(seed)) for seed in (1, 2))
        assert first.startswith("20261122-101500-")
        assert len(first) == len("20261122-101500-3f9c")
        assert first != second


class TestTitles:
    @pytest.mark.parametrize(
        ("text", "title"),
        [
            ("The dog says woof", "The dog says woof"),
            ("  \n\n  two\t  words \r\nsecond line", "two words"),
            ("", ""),
            (" \n\x1b\n", ""),
            ("bell\x07 and \x1b[31mred\x9b0m", "bell and [31mred0m"),
            ("turned \u202eround", "turned round"),
            ("a" * 60, "a" * 60),
            ("a" * 61, "a" * 59 + "…"),
            ("word " * 12, "word " * 11 + "word"),
            ("word " * 13, "word " * 11 + "word…"),
            ("b" * 58 + " c" + " d", "b" * 58 + "…"),
            ("\U0001f469\u200d\U0001f52c\ud800", "\U0001f469\u200d\U0001f52c\ufffd"),
        ],
    )
    def test_are_the_first_line_cut_at_a_word(self, text, title):
        assert title_from(text) == title

    @settings(max_examples=200, deadline=None)
    @given(texts | st.text(st.sampled_from("ab \n\t"), min_size=55, max_size=90))
    def test_are_one_short_line(self, text):
        title = title_from(text)
        assert len(title) <= 60
        assert title == " ".join(title.split())
        assert not [char for char in title if unicodedata.category(char) == "Cc"]
