"""A GGUF's own chat template as a format: the same text as Jinja's, and nobody else's control tokens."""

import copy
import json
import pickle
import tracemalloc
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2.sandbox import ImmutableSandboxedEnvironment

from easy_llama import chat_template, template_sandbox
from easy_llama.chat_template import ChatTemplate
from easy_llama.errors import ChatTemplateError
from easy_llama.formats import build_prompt, from_chat_template, stops_of
from easy_llama.prompt import Control, Generated, Piece, Turn, Written, prompt_text

FOLDER = Path(__file__).parent / "templates"
NAMES = sorted(path.stem for path in FOLDER.glob("*.jinja"))
BOS, EOS = "<bos>", "</s>"
CONTROL_TOKENS = (
    *(
        "<bos>",
        "</s>",
        "<|im_start|>",
        "<|im_end|>",
        "<|eot_id|>",
        "<|start_header_id|>",
        "<|end_header_id|>",
    ),
    *("[INST]", "[/INST]", "<start_of_turn>", "<end_of_turn>", "<|end|>", "<|user|>", "<|assistant|>"),
    *("<|system|>", "<｜User｜>", "<｜Assistant｜>", "<｜end▁of▁sentence｜>", "<|start_of_role|>"),
    *("<|end_of_role|>", "<|end_of_text|>"),
)
SMOLLM2 = "HuggingFaceTB-SmolLM2-135M-Instruct"


def source_of(name: str) -> str:
    return (FOLDER / f"{name}.jinja").read_text()


@cache
def real(name: str) -> ChatTemplate:
    return from_chat_template(source_of(name), BOS, EOS, control_tokens=CONTROL_TOKENS)


def made(source: str, **options: Any) -> ChatTemplate:
    return from_chat_template(source, BOS, EOS, control_tokens=CONTROL_TOKENS, **options)


def refuse(message: str) -> None:
    raise jinja2.TemplateError(message)


@cache
def compiled(source: str) -> jinja2.Template:
    """A template as `transformers`' `apply_chat_template` compiles it."""
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    environment.filters["tojson"] = lambda value, **options: json.dumps(
        value, **{"ensure_ascii": False} | options
    )
    environment.globals |= {"raise_exception": refuse, "strftime_now": datetime.now().strftime}
    return environment.from_string(source)


def plain_jinja(source: str, messages: list[dict[str, str]], **variables: object) -> str:
    """What `apply_chat_template` renders."""
    fixed = {"bos_token": BOS, "eos_token": EOS, "tools": None, "documents": None}
    return compiled(source).render(messages=messages, add_generation_prompt=True, **fixed | variables)


def as_messages(turns: Sequence[Turn]) -> list[dict[str, str]]:
    roles = {"system": "system", "user": "user", "bot": "assistant"}
    return [{"role": roles[turn.role], "content": turn.content} for turn in turns]


def folded(template: ChatTemplate, turns: Sequence[Turn]) -> list[Turn]:
    """The turns with a leading system text put into the user's message where the template has no role."""
    if template.system_role or turns[0].role != "system":
        return list(turns)
    texts = [turn.content for turn in turns[:2] if turn.content.strip()]
    return [Turn("user", "\n\n".join(texts)), *turns[2:]]


def control_names(pieces: Sequence[Piece]) -> list[str]:
    """The names of control tokens in control pieces, in order."""
    found = []
    for piece in pieces:
        if isinstance(piece, Control):
            starts = [
                (start, name)
                for name in CONTROL_TOKENS
                for start in range(len(piece.text))
                if piece.text.startswith(name, start)
            ]
            found += [name for _, name in sorted(starts)]
    return found


CONVERSATIONS = {
    "one message": [Turn("user", "Hi")],
    "system": [Turn("system", "Be terse."), Turn("user", "Hi")],
    "several turns": [
        Turn("system", "Be terse."),
        Turn("user", "Hi"),
        Turn("bot", "Hello"),
        Turn("user", "How are you? 🙂"),
        Turn("bot", "Well.\n\n```python\nprint('{{ x }}')\n```"),
        Turn("user", "Good"),
    ],
    "outer space": [
        Turn("system", "\n Be terse. \n"),
        Turn("user", "  Hi\n"),
        Turn("bot", " Hello "),
        Turn("user", "\tGood\n\n"),
    ],
    "reasoning": [
        Turn("user", "Hi"),
        Turn("bot", "<think>\nA greeting.\n</think>\n\nHello"),
        Turn("user", "Good"),
        Turn("bot", "<think>\nHm</think>Yes"),
        Turn("user", "Bye"),
    ],
    "switches": [Turn("system", "Be terse. /no_think  "), Turn("user", "Hi /think")],
    "empty": [Turn("system", ""), Turn("user", " "), Turn("bot", ""), Turn("user", "")],
    "marks": [Turn("user", "\ufdd0\ufdd1\ufdd20\ufdd0"), Turn("bot", "\ue000\ufdd3"), Turn("user", "0")],
}


@pytest.mark.parametrize("conversation", CONVERSATIONS)
@pytest.mark.parametrize("name", NAMES)
def test_the_text_is_what_jinja_renders(name: str, conversation: str) -> None:
    template, turns = real(name), CONVERSATIONS[conversation]
    expected = plain_jinja(source_of(name), as_messages(folded(template, turns)))
    assert prompt_text(build_prompt(template, turns)) == expected


@pytest.mark.parametrize("conversation", CONVERSATIONS)
@pytest.mark.parametrize("name", NAMES)
def test_every_message_is_told_from_the_template(name: str, conversation: str) -> None:
    pieces = build_prompt(real(name), CONVERSATIONS[conversation])
    written = "".join(piece.text for piece in pieces if isinstance(piece, Written))
    for turn in CONVERSATIONS[conversation]:
        text = turn.content.rpartition("</think>")[2].strip()
        if "/no_think" not in text:  # SmolLM3 takes it out of the middle
            assert text in written


@pytest.mark.parametrize("name", NAMES)
def test_control_tokens_in_messages_stay_text(name: str) -> None:
    everything = " ".join(CONTROL_TOKENS)
    turns = [
        Turn("system", everything),
        Turn("user", everything + "\n"),
        Turn("bot", "<think>" + everything + "</think>\n\n" + everything),
        Turn("user", "<|im_end|>"),
    ]
    neutral = [
        Turn("system", "a"),
        Turn("user", "b"),
        Turn("bot", "<think>c</think>\n\nd"),
        Turn("user", "e"),
    ]
    template = real(name)
    pieces = build_prompt(template, turns)
    assert prompt_text(pieces) == plain_jinja(source_of(name), as_messages(folded(template, turns)))
    assert control_names(pieces) == control_names(build_prompt(template, neutral))


@pytest.mark.parametrize("name", NAMES)
def test_generated_text_keeps_its_ids(name: str) -> None:
    turns = [
        Turn("user", "Hi"),
        Turn("bot", "Hello <|im_end|>", (4, 5)),
        Turn("user", "And?\n"),
        Turn("bot", "Yes.", (6,)),
        Turn("user", "Bye"),
    ]
    generated = [piece for piece in build_prompt(real(name), turns) if isinstance(piece, Generated)]
    assert generated == [Generated("Hello <|im_end|>", (4, 5)), Generated("Yes.", (6,))]


def test_space_around_generated_text_belongs_to_it_where_the_template_keeps_it() -> None:
    turns = [Turn("user", " Hi "), Turn("bot", " Hello\n", (4, 5)), Turn("user", "Bye ")]
    for name, kept in ((SMOLLM2, True), ("meta-llama-Llama-3.2-3B-Instruct", False)):
        pieces = build_prompt(real(name), turns)
        assert (Generated(" Hello\n", (4, 5)) in pieces) is kept
        assert (Written("Hello") in pieces) is not kept
    trims_users = (
        "{% for m in messages %}<|user|>{{ m.content|trim if m.role == 'user' else m.content }}{% endfor %}"
    )
    pieces = build_prompt(made(trims_users), turns)
    assert pieces[1:4] == (Written("Hi"), Control("<|user|>"), Generated(" Hello\n", (4, 5)))


def test_a_reply_without_its_reasoning_is_written_text() -> None:
    turns = [
        Turn("user", "Hi"),
        Turn("bot", "<think>x <|im_end|></think>\n\nHello", (1, 2)),
        Turn("user", "Bye"),
    ]
    pieces = build_prompt(real("Qwen-Qwen3-0.6B"), turns)
    assert pieces[3] == Written("Hello")
    assert not any(isinstance(piece, Generated) for piece in pieces)


def test_a_reply_that_has_begun_is_left_open() -> None:
    start = (Generated("Once", (1,)), Written(" upon"))
    assert build_prompt(real(SMOLLM2), [Turn("user", "Go on")], start)[-2:] == start


PIECES_OF_TEXT = st.sampled_from(
    [
        "<|im_end|>",
        "<|im_",
        "end|>",
        "<",
        "</think>",
        "<think>",
        "/no_think",
        "[INST]",
        "[",
        " ",
        "\n",
        "a",
        "é",
        "0",
    ]
)


@settings(max_examples=150, deadline=None)
@given(
    name=st.sampled_from(NAMES),
    texts=st.lists(
        st.one_of(st.text(max_size=8), st.lists(PIECES_OF_TEXT, max_size=8).map("".join)),
        min_size=4,
        max_size=4,
    ),
    generated=st.booleans(),
)
def test_any_conversation(name: str, texts: list[str], generated: bool) -> None:
    system, first, reply, last = texts
    turns = [
        Turn("system", system),
        Turn("user", first),
        Turn("bot", reply, (1, 2, 3) if generated else ()),
        Turn("user", last),
    ]
    template = real(name)
    pieces = build_prompt(template, turns)
    assert prompt_text(pieces) == plain_jinja(source_of(name), as_messages(folded(template, turns)))
    allowed = plain_jinja(
        source_of(name), as_messages(folded(template, [_without_names(turn) for turn in turns]))
    )
    for control_token in CONTROL_TOKENS:
        assert control_names(pieces).count(control_token) <= allowed.count(control_token)
    for piece in pieces:
        assert not isinstance(piece, Generated) or piece == Generated(reply, (1, 2, 3))


def _without_names(turn: Turn) -> Turn:
    """The turn with no text that could begin a control token, but the same words for a template to see."""
    kept = {"<think>": "\0", "</think>": "\1"}
    text = turn.content
    for word, stand_in in kept.items():
        text = text.replace(word, stand_in)
    text = text.replace("<", "(").replace("[", "(")
    for word, stand_in in kept.items():
        text = text.replace(stand_in, word)
    return Turn(turn.role, text)


# Templates that look into messages in ways that marks disturb.
NASTY = {
    "first word": "{% for m in messages %}<|user|>{{ m.content.split(' ')[0] }}<|end|>{% endfor %}",
    "without a word": "{% for m in messages %}<|user|>{{ m.content|replace('/x', '') }}<|end|>{% endfor %}",
    "by its start": (
        "{% for m in messages %}<|user|>"
        "{% if m.content.startswith('<') %}tag:{% endif %}{{ m.content }}<|end|>{% endfor %}"
    ),
    "by its length": (
        "{% for m in messages %}<|user|>"
        "{% if m.content|length > 20 %}long:{% endif %}{{ m.content }}<|end|>{% endfor %}"
    ),
    "by a control token": (
        "{% for m in messages %}<|user|>"
        "{% if m.content.startswith('<|im_end|>') %}quoting:{% endif %}{{ m.content }}<|end|>{% endfor %}"
    ),
    "letter by letter": (
        "{% for m in messages %}<|user|>{{ m.content }}{% for c in m.content %}{{ c }}.{% endfor %}"
        "<|end|>{% endfor %}"
    ),
    "backwards": "{% for m in messages %}<|user|>{{ m.content|reverse }}{{ m.content }}<|end|>{% endfor %}",
    "twice": "{% for m in messages %}<|user|>{{ m.content }}{{ m.content }}<|end|>{% endfor %}",
    "as JSON": "{{ messages|tojson }}{% for m in messages %}<|user|>{{ m|tojson }}<|end|>{% endfor %}",
    "upper case": "{% for m in messages %}<|user|>{{ m.content|upper }}{{ m.content }}<|end|>{% endfor %}",
    "refusing": (
        "{% for m in messages %}{% if m.content.startswith('\ufdd0') %}{{ raise_exception('no') }}{% endif %}"
        "<|user|>{{ m.content }}<|end|>{% endfor %}"
    ),
}


@pytest.mark.parametrize(
    "content", ["<|im_end|>", "a <|end|> b </think> c", "/x<|e/xnd|>", "<|user|><|user|>", " "]
)
@pytest.mark.parametrize("source", NASTY.values(), ids=NASTY.keys())
def test_templates_that_look_into_messages(source: str, content: str) -> None:
    turns = [Turn("user", content), Turn("bot", content, (1,)), Turn("user", "quserq")]
    pieces = build_prompt(made(source), turns)
    assert prompt_text(pieces) == plain_jinja(source, as_messages(turns))
    assert [name for name in control_names(pieces) if name not in ("<|user|>", "<|end|>")] == []
    assert control_names(pieces).count("<|user|>") <= 3
    assert control_names(pieces).count("<|end|>") <= 3


def test_a_template_that_finds_a_control_token_gets_none_of_that_name() -> None:
    pieces = build_prompt(made(NASTY["by a control token"]), [Turn("user", "<|im_end|><|end|>")])
    assert prompt_text(pieces) == "<|user|>quoting:<|im_end|><|end|><|end|>"
    assert control_names(pieces) == ["<|user|>"]


OPENED = "{% for m in messages %}<|user|>{% if m.content.startswith('<b>') %}bold: {% endif %}"
CLOSED = "<|end|>{% endfor %}"
JOINING = {
    "a word": OPENED + "{{ m.content|replace('/x', '') }}" + CLOSED,
    "two words": OPENED + "{{ m.content|replace('/x', '')|replace('/y', '') }}" + CLOSED,
    "a span": OPENED + "{{ m.content.split('/x')[0] + m.content.split('/x')[-1] }}" + CLOSED,
    "all messages at once": (
        "{% set all = messages|map(attribute='content')|join %}"
        "<|user|>{% if all.startswith('<b>') %}bold: {% endif %}{{ all|replace('/x', '') }}<|end|>"
    ),
}
"""Templates that look for a word in a message, and delete another from between the halves of a name."""


@pytest.mark.parametrize(
    "content", ["<b><|e/xnd|>", "<b>a <|e/xnd|> b", "<b><|im_/xend|>", "<b><|us/xer|></s/x>"]
)
@pytest.mark.parametrize("source", JOINING.values(), ids=JOINING.keys())
def test_a_name_whose_halves_a_template_joins_is_no_control_token(source: str, content: str) -> None:
    turns = [Turn("user", content), Turn("bot", content, (1,)), Turn("user", "quserq")]
    pieces = build_prompt(made(source), turns)
    assert prompt_text(pieces) == plain_jinja(source, as_messages(turns))
    names = control_names(pieces)
    silent = control_names(build_prompt(made(source), [replace(turn, content="x") for turn in turns]))
    assert all(names.count(name) <= silent.count(name) for name in names)


def test_what_such_a_template_writes_itself_stays_a_control_token() -> None:
    pieces = build_prompt(made(JOINING["a word"]), [Turn("user", "<b>less < | e n d > more|")])
    assert control_names(pieces) == ["<|user|>", "<|end|>"]


FORGED = {
    "a huge number": "{% set k = m.content[0] %}{{ k + '9' * 6000 + k }}",
    "a number of no message": "{% set k = m.content[0] %}{{ k + '77' + k }}",
    "an end of no message": (
        "{% set k = m.content[0] %}{% set e = m.content[-1] %}{{ k + '77' + k }}a{{ e + '77' + e }}"
    ),
    "no number": "{{ m.content[0] * 2 }}",
    "other digits": "{% set k = m.content[0] %}{{ k + '٧٧' + k }}",
}


@pytest.mark.parametrize("forging", FORGED.values(), ids=FORGED.keys())
def test_a_template_that_forges_marks_is_only_not_believed(forging: str) -> None:
    source = (
        "{% for m in messages %}{% if m.content and m.content[0] > '\ufdcf' %}"
        + forging
        + "{% endif %}{{ m.content }}|{% endfor %}"
    )
    template = made(source)
    turns = [Turn("user", "Hi <|end|>"), Turn("bot", "Hello", (1,)), Turn("user", "Bye")]
    pieces = build_prompt(template, turns)
    assert prompt_text(pieces) == "Hi <|end|>|Hello|Bye|"
    assert control_names(pieces) == []


def test_a_template_without_a_system_role() -> None:
    template = real("google-gemma-2-2b-it")
    assert not template.system_role
    assert len(template.notices) == 1
    assert "system" in template.notices[0]
    turns = [Turn("system", "Be terse."), Turn("user", "Hi")]
    assert build_prompt(template, turns)[1] == Written("Be terse.\n\nHi")
    assert real(SMOLLM2).system_role
    assert real(SMOLLM2).notices == ()


def test_a_template_that_leaves_system_text_out() -> None:
    template = made("{% for m in messages if m.role != 'system' %}{{ m.role }}:{{ m.content }}\n{% endfor %}")
    assert not template.system_role
    text = prompt_text(build_prompt(template, [Turn("system", "Be terse."), Turn("user", "Hi")]))
    assert text == "user:Be terse.\n\nHi\n"


def test_system_text_in_the_middle_of_a_conversation() -> None:
    turns = [Turn("user", "Hi"), Turn("bot", "Hello"), Turn("system", "Be terse."), Turn("user", "Bye")]
    in_place = prompt_text(build_prompt(real(SMOLLM2), turns))
    assert "<|im_start|>system\nBe terse.<|im_end|>\n<|im_start|>user\nBye" in in_place
    moved = prompt_text(build_prompt(real("mistralai-Mistral-Nemo-Instruct-2407"), turns))
    assert moved.endswith("[INST]Be terse.\n\nBye[/INST]")
    at_the_end = [Turn("user", "Hi"), Turn("system", "Be terse.")]
    assert "Hi\n\nBe terse.<end_of_turn>" in prompt_text(
        build_prompt(real("google-gemma-2-2b-it"), at_the_end)
    )
    alone = prompt_text(build_prompt(real("google-gemma-2-2b-it"), [Turn("system", "Be terse.")]))
    assert "user\nBe terse.<end_of_turn>" in alone


def test_messages_as_lists_of_parts() -> None:
    source = (
        "{% for m in messages %}<|user|>{% for part in m.content if part.type == 'text' %}{{ part.text }}"
        "{% endfor %}<|end|>{% endfor %}"
    )
    pieces = build_prompt(made(source), [Turn("user", "Hi <|end|>")])
    assert pieces == (Control("<|user|>"), Written("Hi <|end|>"), Control("<|end|>"))


def test_as_a_dict_it_shows_its_affixes() -> None:
    template = real(SMOLLM2)
    assert isinstance(template, dict)
    assert dict(template) == {
        "system_prefix": "<|im_start|>system\n",
        "system_prompt": "",
        "system_suffix": "<|im_end|>\n",
        "user_prefix": "<|im_start|>user\n",
        "user_suffix": "<|im_end|>\n",
        "bot_prefix": "<|im_start|>assistant\n",
        "bot_suffix": "<|im_end|>\n",
        "stops": [],
    }
    assert template.source == source_of(SMOLLM2)
    assert template.name == "template"
    phi = real("microsoft-Phi-3.5-mini-instruct")  # ends a prompt that asks for no reply with EOS
    assert (phi["user_suffix"], phi["bot_prefix"], phi["bot_suffix"]) == (
        "<|end|>\n",
        "<|assistant|>\n",
        "<|end|>\n",
    )
    assert real("google-gemma-2-2b-it")["system_prefix"] == ""


def test_bos_is_no_part_of_a_message() -> None:
    llama = real("meta-llama-Llama-3.2-3B-Instruct")
    assert str(llama["system_prefix"]).startswith("<|start_header_id|>system")
    smollm = from_chat_template(source_of(SMOLLM2), bos_token="<|im_start|>", eos_token="<|im_end|>")
    assert smollm["system_prefix"] == "<|im_start|>system\n"


@pytest.mark.parametrize(
    ("after_reply", "stops"),
    [("</s>", []), ("<|im_end|>\n", []), ("\n", ["\nuser:"]), ("\n###\n", ["\n###"]), ("#<|end|>", ["#"])],
)
def test_text_that_follows_a_reply_ends_it(after_reply: str, stops: list[str]) -> None:
    source = f"{{% for m in messages %}}{{{{ m.role + ':' + m.content + {after_reply!r} }}}}{{% endfor %}}"
    assert stops_of(made(source)) == tuple(stops)


def test_its_own_system_prompt_can_be_set() -> None:
    template = real(SMOLLM2).copy()
    template["system_prompt"] = "Be terse."
    assert "system\nBe terse.<|im_end|>" in prompt_text(build_prompt(template, [Turn("user", "Hi")]))
    assert real(SMOLLM2)["system_prompt"] == ""


def test_copies_render_alike() -> None:
    turns = [Turn("user", "Hi")]
    template = real(SMOLLM2)
    for same in (copy.copy(template), copy.deepcopy(template), pickle.loads(pickle.dumps(template))):
        assert isinstance(same, ChatTemplate)
        assert same == template
        assert build_prompt(same, turns) == build_prompt(template, turns)


def test_more_variables() -> None:
    source = source_of("Qwen-Qwen3-0.6B")
    template = made(source, variables={"enable_thinking": False})
    text = prompt_text(build_prompt(template, [Turn("user", "Hi")]))
    assert text == plain_jinja(source, as_messages([Turn("user", "Hi")]), enable_thinking=False)
    assert text.endswith("<think>\n\n</think>\n\n")


def test_the_time_stands_still_within_one_prompt() -> None:
    template = made("{{ strftime_now('%f') }}{% for m in messages %}<|user|>{{ m.content }}{% endfor %}")
    assert Written("Hi <|user|>") in build_prompt(template, [Turn("user", "Hi <|user|>")])


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{% generation %}{{ messages[0].content }}{% endgeneration %}!", "Hi!"),
        (
            "{% for m in messages %}{% if loop.index > 1 %}{% break %}{% endif %}{{ m.content }}{% endfor %}",
            "Hi",
        ),
        ("{{ messages|tojson(indent=1) }}", '[\n {\n  "role": "user",\n  "content": "Hi"\n }\n]'),
        ("  {% if true %}\n{{ messages[0].content }}\n  {% endif %}\n", "Hi\n"),
        ("{% for c in messages %}{{ loop.length }}{{ loop.last }}{{ c.content }}{% endfor %}", "1TrueHi"),
        ("{{ messages[0].content ~ none ~ missing ~ 1.5 }}", "HiNone1.5"),
    ],
)
def test_jinja_as_transformers_sets_it_up(source: str, expected: str) -> None:
    assert prompt_text(build_prompt(made(source), [Turn("user", "Hi")])) == expected


@pytest.mark.parametrize(
    "source", ["{% for", "{{ 1 +", "{% nonsense %}", "{{ x|nonsense }}", "{{ '" + "a" * 1_000_001]
)
def test_a_template_that_does_not_compile(source: str) -> None:
    with pytest.raises(ChatTemplateError, match=r"chat template 'mine' does not compile: .*--format chatml"):
        from_chat_template(source, name="mine")


@pytest.mark.parametrize(
    "source", ["no messages", "{{ raise_exception('never') }}", "{{ missing.field.more }}"]
)
def test_a_template_that_renders_nothing(source: str) -> None:
    with pytest.raises(ChatTemplateError, match=r"chat template 'template' .*--format chatml"):
        from_chat_template(source)


def test_roles_that_do_not_alternate() -> None:
    template = real("mistralai-Mistral-Nemo-Instruct-2407")
    with pytest.raises(
        ChatTemplateError, match=r"must alternate.* Two messages of the user follow each other"
    ):
        build_prompt(template, [Turn("user", "Hi"), Turn("user", "Hello?")])
    with pytest.raises(ChatTemplateError, match=r"The bot's message comes before any of the user"):
        build_prompt(template, [Turn("bot", "Hi"), Turn("user", "Hello")])
    with pytest.raises(ChatTemplateError, match=r"no message of the user"):
        build_prompt(template, [])


TALK = "{% for m in messages %}{{ m.content }}{% endfor %}"


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ messages.__init__.__globals__['os'] }}",
        "{{ raise_exception.__globals__.keys() }}",
        "{{ ''|attr('__class__')|attr('__mro__')|first|attr('__subclasses__') }}{{ ''.__class__.x }}",
        "{{ '{0.__class__.__mro__}'.format('') }}",
        "{{ messages.append({}) }}",
        "{{ messages[0].update({'content': 'x'}) }}",
        "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
        "{{ namespace.__init__.__globals__ ~ self.__init__.__globals__.x }}",
        "{% include '/etc/passwd' %}",
        "{% import 'os' as os %}",
    ],
)
def test_templates_cannot_leave_the_sandbox(source: str) -> None:
    with pytest.raises(ChatTemplateError):
        made(source + TALK)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}", "takes longer"),
        (
            "{% set r = range(9999)|list %}{% for a in r %}{% for b in r %}{% endfor %}{% endfor %}",
            "takes longer",
        ),
        (
            "{% macro f(x) %}{% for i in range(99) %}{{ f(x - 1) if x }}{% endfor %}{% endmacro %}{{ f(9) }}",
            "takes longer",
        ),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "recursion"),
        ("{% for a in range(9999) %}{{ 'x' * 99 }}{% endfor %}", "output is too long"),
        ("{% for a in range(99999) %}literal text{% endfor %}", "output is too long"),
        ("{% set x %}{% for a in range(99999) %}literal text{% endfor %}{% endset %}", "output is too long"),
        ("{{ 'x' * 9999999999 }}", "too large"),
        ("{{ 9999999999 * [0] }}", "too large"),
        ("{{ 9 ** 99999999 }}", "too large"),
        (
            "{% set n = namespace(x=9) %}{% for i in range(99) %}{% set n.x = n.x * n.x %}{% endfor %}",
            "too large",
        ),
        (
            "{% set n = namespace(x='x') %}{% for i in range(99) %}{% set n.x = n.x + n.x %}{% endfor %}",
            "too large",
        ),
        ("{{ range(999999999)|list }}", "too big"),
    ],
)
def test_templates_that_want_too_much(monkeypatch: pytest.MonkeyPatch, source: str, reason: str) -> None:
    if reason == "takes longer":
        monkeypatch.setattr(chat_template, "MAX_SECONDS", 0.05)
    with pytest.raises(ChatTemplateError, match=reason):
        made(source + TALK)


@pytest.mark.parametrize(
    "source", ["{% for x in [1] %}{% endfor %}", "{% set x = range(1) %}", "{{ 1 }}", "a"]
)
def test_the_time_is_looked_at_everywhere(source: str) -> None:
    template = template_sandbox.compile_template(source)
    with pytest.raises(template_sandbox.TooMuchError, match="takes longer"):
        template_sandbox.render_template(template, {}, 0, deadline=0.0)


def test_nothing_is_worked_out_while_compiling() -> None:
    tracemalloc.start()
    try:
        template_sandbox.compile_template(
            "{% if x == 'x'|center(30000000) %}{% endif %}{{ 'x'|center(30000000) }}"
        )
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


def test_a_long_conversation_is_within_bounds() -> None:
    turns = [Turn(role, f"message {n} " * 20) for n in range(200) for role in ("user", "bot")]
    turns.append(Turn("user", "end"))
    for name in NAMES:
        text = prompt_text(build_prompt(real(name), turns))
        assert text == plain_jinja(source_of(name), as_messages(turns))
