"""Prompt formats as data, the prompt builder, and which format fits a model."""

import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from easy_llama import formats
from easy_llama.prompt import Control, Generated, Piece, Turn, Written, prompt_text

KEYS = {
    "system_prefix",
    "system_prompt",
    "system_suffix",
    "user_prefix",
    "user_suffix",
    "bot_prefix",
    "bot_suffix",
    "stops",
}


def test_importing_loads_no_template_engine_and_no_model() -> None:
    unwanted = ("jinja2", "llama_cpp", "numpy", "textual")
    code = f"import sys; import easy_llama.formats; print([m for m in {unwanted} if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


@pytest.mark.parametrize("name", formats.names())
def test_a_format_has_its_keys(name: str) -> None:
    found = formats.get(name)
    assert set(found) == KEYS
    stops = found.pop("stops")
    assert all(isinstance(value, str) for value in found.values())
    assert isinstance(stops, list)
    assert all(isinstance(stop, str) and stop for stop in stops)


@pytest.mark.parametrize("name", formats.names())
def test_no_format_begins_with_bos(name: str) -> None:
    text = prompt_text(formats.build_prompt(formats.get(name), [Turn("system", "S"), Turn("user", "U")]))
    for bos in ("<s>", "<bos>", "<|begin_of_text|>", "<｜begin▁of▁sentence｜>", "<BOS_TOKEN>"):
        assert bos not in text


def test_names_are_sorted_and_known_as_attributes() -> None:
    assert list(formats.names()) == sorted(formats.names())
    for name in formats.names():
        assert getattr(formats, name) == formats.get(name)
        assert name in dir(formats)


def test_the_documented_format() -> None:
    assert formats.alpaca == {
        "system_prefix": "",
        "system_prompt": (
            "Below is an instruction that describes a task. "
            "Write a response that appropriately completes the request."
        ),
        "system_suffix": "\n\n",
        "user_prefix": "### Instruction:\n",
        "user_suffix": "\n\n",
        "bot_prefix": "### Response:\n",
        "bot_suffix": "\n\n",
        "stops": ["###", "Instruction:", "\n\n\n"],
    }


@pytest.mark.parametrize("name", formats.names())
def test_formats_are_copied_never_shared(name: str) -> None:
    mine = formats.get(name)
    mine["user_prefix"] = "changed"
    stops = mine["stops"]
    assert isinstance(stops, list)
    stops.append("changed")
    assert formats.get(name)["user_prefix"] != "changed"
    assert "changed" not in formats.get(name)["stops"]


def test_an_unknown_name_gets_the_nearest_one() -> None:
    with pytest.raises(ValueError, match=r"no prompt format 'chatlm'; did you mean 'chatml'\?"):
        formats.get("chatlm")
    with pytest.raises(ValueError, match=r"the names are .*alpaca"):
        formats.get("!")
    with pytest.raises(AttributeError, match="chatlm"):
        _ = formats.chatlm


def test_pieces_tell_who_wrote_what() -> None:
    turns = [Turn("user", "Hi"), Turn("bot", "Hello", (5, 6)), Turn("bot", "typed"), Turn("user", "Bye")]
    assert formats.build_prompt(formats.chatml, turns) == (
        Control("<|im_start|>user\n"),
        Written("Hi"),
        Control("<|im_end|>\n<|im_start|>assistant\n"),
        Generated("Hello", (5, 6)),
        Control("<|im_end|>\n<|im_start|>assistant\n"),
        Written("typed"),
        Control("<|im_end|>\n<|im_start|>user\n"),
        Written("Bye"),
        Control("<|im_end|>\n<|im_start|>assistant\n"),
    )


def test_a_reply_that_has_begun_is_left_open() -> None:
    start = (Generated("Once upon", (1, 2)), Written(" a time"))
    pieces = formats.build_prompt(formats.chatml, [Turn("user", "Go on")], start)
    assert pieces[-3:] == (Control("<|im_end|>\n<|im_start|>assistant\n"), *start)


def test_empty_pieces_are_left_out_but_not_ids() -> None:
    turns = [Turn("user", ""), Turn("bot", "", (7,))]
    between = Control("<|im_start|>user\n<|im_end|>\n<|im_start|>assistant\n")
    end = Control("<|im_end|>\n<|im_start|>assistant\n")
    assert formats.build_prompt(formats.chatml, turns) == (between, Generated("", (7,)), end)


def test_the_formats_system_prompt_comes_first_unless_there_is_one() -> None:
    mine = formats.chatml | {"system_prompt": "Be brief."}
    assert formats.wrap("Hi", mine).startswith(
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi"
    )
    own = prompt_text(formats.build_prompt(mine, [Turn("system", "Be long."), Turn("user", "Hi")]))
    assert "Be brief." not in own
    assert "Be long." in own


def test_the_order_of_keys_and_turns_of_the_caller_stay_as_they_are() -> None:
    turns = [Turn("user", "Hi")]
    mine = formats.alpaca
    before = dict(mine)
    formats.build_prompt(mine, turns)
    assert turns == [Turn("user", "Hi")]
    assert mine == before


GEMMA_USER, GEMMA_END, GEMMA_BOT = "<start_of_turn>user\n", "<end_of_turn>\n", "<start_of_turn>model\n"


@pytest.mark.parametrize(
    ("roles", "expected"),
    [
        ("su", f"{GEMMA_USER}s0\n\nu1{GEMMA_END}{GEMMA_BOT}"),
        ("ssu", f"{GEMMA_USER}s0\n\ns1\n\nu2{GEMMA_END}{GEMMA_BOT}"),
        ("us", f"{GEMMA_USER}u0{GEMMA_END}{GEMMA_USER}s1\n\n{GEMMA_END}{GEMMA_BOT}"),
        ("sbu", f"{GEMMA_USER}s0\n\n{GEMMA_END}{GEMMA_BOT}b1{GEMMA_END}{GEMMA_USER}u2{GEMMA_END}{GEMMA_BOT}"),
        ("", GEMMA_BOT),
    ],
)
def test_system_text_inside_the_users_turn(roles: str, expected: str) -> None:
    role_of = {"s": "system", "u": "user", "b": "bot"}
    turns = [Turn(role_of[role], f"{role}{index}") for index, role in enumerate(roles)]  # type: ignore[arg-type]
    assert prompt_text(formats.build_prompt(formats.gemma2, turns)) == expected


def test_wrap() -> None:
    assert formats.wrap("Hi", formats.blank) == "Hi"
    assert formats.wrap("Hi", formats.chatml) == ("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n")
    assert formats.wrap("Hi", formats.guanaco).endswith(
        "answers to the user's questions.\n### Human: Hi ### Assistant:"
    )


def test_a_format_that_lacks_a_key_says_which() -> None:
    with pytest.raises(ValueError, match="'bot_prefix'; this one has None"):
        formats.wrap("Hi", {"user_prefix": "", "user_suffix": "", "system_prefix": ""})


def test_stops() -> None:
    assert formats.stops_of(formats.chatml) == ("<|im_end|>",)
    assert formats.stops_of({"stops": ["", "x"]}) == ("x",)
    assert formats.stops_of({}) == ()
    for wrong in ("###", [1], None):
        with pytest.raises(ValueError, match="'stops'"):
            formats.stops_of({"stops": wrong})


CONTROL_WORDS = sorted(
    {
        word
        for name in formats.names()
        for value in formats.get(name).values()
        for text in ([value] if isinstance(value, str) else value)
        for word in text.split()
    }
)


def only_control(pieces: tuple[Piece, ...]) -> list[str]:
    return [piece.text for piece in pieces if isinstance(piece, Control)]


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(formats.names()),
    contents=st.lists(st.one_of(st.text(min_size=1), st.sampled_from(CONTROL_WORDS)), min_size=3, max_size=3),
)
def test_no_message_can_write_control_text(name: str, contents: list[str]) -> None:
    chosen = formats.get(name)

    def prompt(*texts: str) -> tuple[Piece, ...]:
        roles = ("system", "user", "bot")
        turns = [Turn(role, text) for role, text in zip(roles, texts, strict=True)]
        return formats.build_prompt(chosen, [*turns, Turn("user", "end")])

    pieces = prompt(*contents)
    assert only_control(pieces) == only_control(prompt("a", "b", "c"))
    assert [piece.text for piece in pieces if isinstance(piece, Written)] == [*contents, "end"]


METADATA = [
    ("llama", "Meta Llama 3.1 8B Instruct", "llama3"),
    ("llama", "LLaMA v2 Chat llama-2-7b-chat", "llama2chat"),
    ("llama", "mistralai_mistral-7b-instruct-v0.2", "mistral_instruct"),
    ("llama", "Mistral 7B Instruct v0.3", "mistral_v3"),
    ("llama", "Mistral Nemo Instruct 2407", "mistral_tekken"),
    ("llama", "Mistral Small 24B Instruct 2501", "mistral_v7_tekken"),
    ("llama", "Mistral Large Instruct 2411", "mistral_v7"),
    ("llama", "Nous Hermes 2 Mistral 7B DPO", "chatml"),
    ("llama", "Dolphin 2.9 Llama3 8b", "dolphin"),
    ("llama", "TinyLlama 1.1B Chat v1.0", "tinyllama"),
    ("llama", "zephyr-7b-beta", "zephyr"),
    ("llama", "SmolLM2 135M Instruct", "smollm"),
    ("llama", "vicuna-13b-v1.5", "vicuna_lmsys"),
    ("llama", "DeepSeek R1 Distill Llama 8B", "deepseek_r1"),
    ("deepseek2", "DeepSeek V2 Lite Chat", "deepseek_v2"),
    ("deepseek2", "DeepSeek V2.5", "deepseek_v3"),
    ("deepseek2", "DeepSeek V3 0324", "deepseek_v3"),
    ("deepseek2", "DeepSeek V3.1", "deepseek_v3_1"),
    ("llama", "orca_mini_v3_7b", "orca_mini"),
    ("llama", "orca_mini_3b", "orca_mini_v2"),
    ("llama", "Hermes 3 Llama 3.1 8B", "hermes"),
    ("llama", "Hermes 4 70B", "llama3"),
    ("qwen3", "Hermes 4 14B", "chatml"),
    ("qwen2", "Qwen1.5 7B Chat", "qwen2"),
    ("qwen2", "Qwen2.5 7B Instruct", "qwen2_5"),
    ("qwen2", "QwQ 32B", "qwen_think"),
    ("qwen3", "Qwen3 8B", "qwen"),
    ("gemma2", "Gemma 2 2b It", "gemma2"),
    ("gemma3", "Gemma 3 4b It", "gemma3"),
    ("phi3", "Phi 3.5 Mini instruct", "phi3"),
    ("phi3", "Phi 4", "phi4"),
    ("phi3", "Phi 4 Mini Instruct", "phi4_mini"),
    ("command-r", "Aya 23 8B", "command_r"),
    ("granite", "Granite 3.3 2b Instruct", "granite"),
    ("chatglm", "glm-4-9b-chat", "glm4"),
    ("gpt-oss", "Gpt Oss 20B", "gpt_oss"),
    ("llama4", "Llama 4 Scout", "llama4"),
]


@pytest.mark.parametrize(("architecture", "name", "expected"), METADATA)
def test_a_model_without_a_template_is_known_by_its_name(architecture: str, name: str, expected: str) -> None:
    metadata = {"general.architecture": architecture, "general.name": name}
    found = formats.for_metadata(metadata, bos_text="", eos_text="")
    assert formats.get(found.name) == formats.get(expected)
    assert found.format == formats.get(expected)
    assert "no chat template" in found.notice
    assert found.name in found.notice


def test_an_unknown_model_gets_chatml_and_is_told_so() -> None:
    for metadata in ({}, {"general.architecture": "llama", "general.name": "Stories"}, {"general.name": 7}):
        found = formats.for_metadata(metadata, bos_text="", eos_text="")
        assert found.name == "chatml"
        assert found.format == formats.chatml
        assert "guess" in found.notice
        assert "--format" in found.notice


@dataclass
class FakeModel:
    metadata: dict[str, object] = field(default_factory=dict)
    bos_text: str = "<bos>"
    eos_text: str = "</eos>"
    control_tokens: tuple[str, ...] = ("<bos>", "</eos>")


def test_a_models_own_template_comes_first() -> None:
    source = (
        "{{ bos_token }}{% for m in messages %}{{ m.role }}:{{ m.content }}{{ eos_token }}{% endfor %}bot:"
    )
    model = FakeModel({"tokenizer.chat_template": source, "general.architecture": "gemma2"})
    found = formats.detect(model)
    assert (found.name, found.notice) == ("template", "")
    assert formats.wrap("Hi </eos>", found.format) == "<bos>user:Hi </eos></eos>bot:"
    assert formats.for_model(model) == found.format
    pieces = formats.build_prompt(formats.for_model(model), [Turn("user", "Hi </eos>")])
    assert pieces == (Control("<bos>user:"), Written("Hi </eos>"), Control("</eos>bot:"))


@pytest.mark.parametrize(
    "source", ["{% for", "{{ nothing.at.all }}", "{{ raise_exception('never') }}", "hello"]
)
def test_a_template_that_does_not_work_is_replaced(source: str) -> None:
    metadata = {"tokenizer.chat_template": source, "general.architecture": "gemma2"}
    found = formats.for_metadata(metadata, bos_text="", eos_text="")
    assert found.name == "gemma2"
    assert "own chat template does not work (" in found.notice
    assert "--format" not in found.notice
    assert (
        formats.for_metadata({"tokenizer.chat_template": source}, bos_text="", eos_text="").name == "chatml"
    )


def test_an_empty_template_is_none() -> None:
    found = formats.for_metadata({"tokenizer.chat_template": " \n"}, bos_text="", eos_text="")
    assert "no chat template" in found.notice


def test_a_templates_notice_is_passed_on() -> None:
    file = Path(__file__).parent / "templates" / "google-gemma-2-2b-it.jinja"
    found = formats.for_metadata({"tokenizer.chat_template": file.read_text()}, bos_text="", eos_text="")
    assert found.name == "template"
    assert "system" in found.notice
