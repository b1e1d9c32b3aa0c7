"""The open chat, and what of it is saved."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.running_app import begin_chat

from easy_llama.samplers import PRESETS, DefaultSampling, SamplerSettings
from easy_llama_tui.chats.chat import Chat
from easy_llama_tui.chats.session import SamplerChoice, SessionError, from_toml, to_toml


def test_a_chat_that_is_saved_and_opened_is_the_same() -> None:
    chat = begin_chat(PRESETS["MinPSampling"].replace(seed=5, top_k=7), system="Be brief.")
    reply = chat.ask("Hello\r\nthere")
    chat.conversation.update(reply.id, content="Hi", finish="stop", ids=(1, 2))
    again = Chat.from_session(from_toml(to_toml(chat.snapshot()), "chat.toml"))
    assert again.conversation.messages == chat.conversation.messages
    assert again.snapshot().head == chat.snapshot().head
    assert (again.id, again.title, again.sampler) == (chat.id, "Hello", chat.sampler)
    assert (again.model, again.format) == (chat.model, chat.format)


@given(
    st.builds(
        SamplerSettings,
        max_len_tokens=st.none() | st.integers(-1, 10_000),
        temp=st.none() | st.floats(0, 10),
        top_p=st.none() | st.floats(0, 1),
        min_p=st.none() | st.floats(0, 1),
        repeat_penalty=st.none() | st.floats(0.5, 2),
        top_k=st.none() | st.integers(-1, 1000),
        seed=st.none() | st.integers(0, 2**32 - 2),
        penalty_last_n=st.none() | st.integers(-1, 1000),
        typical_p=st.none() | st.floats(0, 1),
        top_n_sigma=st.none() | st.floats(-1, 5),
        xtc_probability=st.none() | st.floats(0, 1),
        xtc_threshold=st.floats(0, 1),
        dry_multiplier=st.none() | st.floats(0, 5),
        dry_sequence_breakers=st.lists(
            st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)
        ),
        mirostat=st.none() | st.integers(0, 2),
        logit_bias=st.none()
        | st.dictionaries(st.integers(0, 10**6), st.just(float("-inf")) | st.floats(-100, 100)),
        grammar=st.none() | st.just('root ::= "\\"" [^\\n]* # é'),
    )
)
def test_any_sampler_does_the_same_after_saving(settings: SamplerSettings) -> None:
    again = Chat.from_session(from_toml(to_toml(begin_chat(settings).snapshot()), "chat.toml")).sampler
    # A sampler that is off comes back as the value at which it does nothing.
    off = {"max_len_tokens": -1, "temp": 1.0, "top_p": 1.0, "min_p": 0.0, "repeat_penalty": 1.0, "top_k": -1}
    off |= {"penalty_last_n": 0, "typical_p": 1.0, "top_n_sigma": -1.0, "xtc_probability": 0.0}
    off |= {"dry_multiplier": 0.0, "mirostat": 0}
    expected = settings.replace(
        **{name: value for name, value in off.items() if getattr(settings, name) is None}
    )
    assert again == expected


def test_a_file_names_the_documented_settings_and_what_differs_from_the_preset() -> None:
    values = begin_chat(SamplerSettings(seed=3, dry_multiplier=0.8)).snapshot().sampler.values
    documented = ["max_len_tokens", "temp", "top_p", "min_p", "frequency_penalty", "presence_penalty"]
    assert sorted(values) == sorted([*documented, "repeat_penalty", "top_k", "seed", "dry_multiplier"])


def test_a_schema_is_saved_with_a_chat() -> None:
    settings = SamplerSettings(json_schema={"type": "object", "properties": {"é": {"pattern": '^"$'}}})
    assert (
        Chat.from_session(from_toml(to_toml(begin_chat(settings).snapshot()), "chat.toml")).sampler
        == settings
    )


def test_what_a_file_leaves_out_is_as_in_its_preset() -> None:
    session = begin_chat().snapshot()
    short = from_toml(
        to_toml(session).replace("top_k = 40\n", "").replace("temp = 0.8", "temp = 0.1"), "chat.toml"
    )
    sampler = Chat.from_session(short).sampler
    assert (sampler.top_k, sampler.temp) == (40, 0.1)


@pytest.mark.parametrize(
    ("preset", "values"),
    [
        ("DefaultSampling", {"temp": -1.0}),
        ("DefaultSampling", {"top_k": "x"}),
        ("DefaultSampling", {"logit_bias": "{"}),
        ("DefaultSampling", {"logit_bias": "[1]"}),
        ("DefaultSampling", {"logit_bias": '{"x": 1}'}),
        ("DefaultSampling", {"logit_bias": '{"1": []}'}),
        ("DefaultSampling", {"logit_bias": 5}),
        ("DefaultSampling", {"dry_sequence_breakers": "[" * 100_000}),
        ("DefaultSampling", {"json_schema": "no JSON"}),
    ],
)
def test_a_sampler_that_makes_no_sense_is_named(preset: str, values: dict[str, float | str]) -> None:
    chat = begin_chat()
    session = chat.snapshot()
    broken = type(session)(
        **{
            name: getattr(session, name)
            for name in ("id", "title", "named", "created", "updated", "head", "model", "format", "messages")
        },
        sampler=SamplerChoice(preset, values),
    )
    with pytest.raises(SessionError, match=chat.id):
        Chat.from_session(broken)


def test_the_title_comes_from_the_first_words() -> None:
    chat = begin_chat()
    assert chat.title == "New chat"
    chat.ask("  The dog says woof\nand more")
    assert chat.title == "The dog says woof"
    assert not chat.snapshot().named


def test_a_preset_that_is_gone_leaves_the_settings_as_they_were() -> None:
    chat = begin_chat(DefaultSampling.replace(temp=0.3))
    chat.preset_name = "mine"
    chat.conversation.add("user", "Hi")
    again = Chat.from_session(chat.snapshot())
    assert (again.preset_name, again.sampler) == ("mine", chat.sampler)
