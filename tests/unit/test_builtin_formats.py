"""The built-in prompt formats against where they come from: model cards, published templates, llama.cpp."""

import ctypes
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import llama_cpp
import pytest

from easy_llama import builtin_formats, formats
from easy_llama.prompt import Turn, prompt_text

WANTED = """
blank alpaca chatml llama2chat llama3 llama4 mistral_instruct mistral_v7 phi3 phi4 gemma2 gemma3 command_r
vicuna_lmsys vicuna_common guanaco orca_mini zephyr openchat synthia neural_chat solar_instruct deepseek_v2
deepseek_r1 qwen qwen_think qwen3_no_think granite glm4 gpt_oss smollm autocorrect markup natural
dolphin hermes samantha orca2 mistral_openorca airoboros tess mythomax tinyllama mixtral mistral_nemo yi
"""


def test_the_well_known_formats_are_there() -> None:
    assert set(WANTED.split()) <= set(formats.names())


def comments_above() -> dict[str, list[str]]:
    """The comment lines right above each built-in format in the source file."""
    assert builtin_formats.__file__
    found: dict[str, list[str]] = {}
    comment: list[str] = []
    for line in Path(builtin_formats.__file__).read_text(encoding="utf-8").splitlines():
        if line.startswith("    # "):
            comment.append(line.strip())
            continue
        entry = re.match(r'    "(\w+)": (\{|_like\()', line)
        if entry:
            found[entry[1]] = comment
        comment = []
    return found


COMMENTS = comments_above()


@pytest.mark.parametrize("name", formats.names())
def test_each_format_says_its_source_and_its_users(name: str) -> None:
    source, users = COMMENTS[name][:2]
    assert re.match(r"# Source: (https://\S+\.\S+/\S+|easy-llama's own: .|the name that `)", source)
    assert re.match(r"# Users: \w", users)


def test_a_format_made_from_another_shares_nothing_with_it() -> None:
    for first in builtin_formats.FORMATS.values():
        for second in builtin_formats.FORMATS.values():
            assert first is second or first["stops"] is not second["stops"]


FOLDER = Path(__file__).parent / "templates"
TALK = [
    Turn("system", "You are a helpful assistant"),
    Turn("user", "Hello"),
    Turn("bot", "Hi there"),
    Turn("user", "Who are you"),
    Turn("bot", "   I am an assistant   "),
    Turn("user", "Another question"),
]

# What the sources write for TALK, less the space or line break that some put before a reply: there the model
# generates it. The sources are llama.cpp's tests/test-chat-template.cpp and, from "alpaca" on, the prompts on
# the model cards and in the code that the comments in builtin_formats.py name. Those show one exchange; what
# stands between two exchanges is as between the messages of one, but for SOLAR, which has a template.
EXPECTED = {
    "chatml": (
        "<|im_start|>system\nYou are a helpful assistant<|im_end|>\n<|im_start|>user\nHello<|im_end|>\n"
        "<|im_start|>assistant\nHi there<|im_end|>\n<|im_start|>user\nWho are you<|im_end|>\n"
        "<|im_start|>assistant\n   I am an assistant   <|im_end|>\n<|im_start|>user\nAnother question"
        "<|im_end|>\n<|im_start|>assistant\n"
    ),
    "llama2chat": (
        "[INST] <<SYS>>\nYou are a helpful assistant\n<</SYS>>\n\nHello [/INST]Hi there </s><s>[INST] "
        "Who are you [/INST]   I am an assistant    </s><s>[INST] Another question [/INST]"
    ),
    "llama3": (
        "<|start_header_id|>system<|end_header_id|>\n\nYou are a helpful assistant<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\nHello<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\nHi there<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\nWho are you<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n   I am an assistant   <|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\nAnother question<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n"
    ),
    "llama4": (
        "<|header_start|>system<|header_end|>\n\nYou are a helpful assistant<|eot|><|header_start|>user"
        "<|header_end|>\n\nHello<|eot|><|header_start|>assistant<|header_end|>\n\nHi there<|eot|>"
        "<|header_start|>user<|header_end|>\n\nWho are you<|eot|><|header_start|>assistant<|header_end|>\n\n"
        "   I am an assistant   <|eot|><|header_start|>user<|header_end|>\n\nAnother question<|eot|>"
        "<|header_start|>assistant<|header_end|>\n\n"
    ),
    "mistral_instruct": (
        "[INST] You are a helpful assistant\n\nHello [/INST]Hi there</s>[INST] Who are you [/INST]"
        "   I am an assistant   </s>[INST] Another question [/INST]"
    ),
    "mistral_v3": (
        "[INST] You are a helpful assistant\n\nHello[/INST]Hi there</s>[INST] Who are you[/INST]"
        "   I am an assistant   </s>[INST] Another question[/INST]"
    ),
    "mistral_tekken": (
        "[INST]You are a helpful assistant\n\nHello[/INST]Hi there</s>[INST]Who are you[/INST]"
        "   I am an assistant   </s>[INST]Another question[/INST]"
    ),
    "mistral_v7": (
        "[SYSTEM_PROMPT] You are a helpful assistant[/SYSTEM_PROMPT][INST] Hello[/INST]Hi there</s>[INST] "
        "Who are you[/INST]   I am an assistant   </s>[INST] Another question[/INST]"
    ),
    "mistral_v7_tekken": (
        "[SYSTEM_PROMPT]You are a helpful assistant[/SYSTEM_PROMPT][INST]Hello[/INST]Hi there</s>[INST]"
        "Who are you[/INST]   I am an assistant   </s>[INST]Another question[/INST]"
    ),
    "phi4": (
        "<|im_start|>system<|im_sep|>You are a helpful assistant<|im_end|><|im_start|>user<|im_sep|>Hello"
        "<|im_end|><|im_start|>assistant<|im_sep|>Hi there<|im_end|><|im_start|>user<|im_sep|>Who are you"
        "<|im_end|><|im_start|>assistant<|im_sep|>   I am an assistant   <|im_end|><|im_start|>user<|im_sep|>"
        "Another question<|im_end|><|im_start|>assistant<|im_sep|>"
    ),
    "command_r": (
        "<|START_OF_TURN_TOKEN|><|SYSTEM_TOKEN|>You are a helpful assistant<|END_OF_TURN_TOKEN|>"
        "<|START_OF_TURN_TOKEN|><|USER_TOKEN|>Hello<|END_OF_TURN_TOKEN|>"
        "<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>Hi there<|END_OF_TURN_TOKEN|>"
        "<|START_OF_TURN_TOKEN|><|USER_TOKEN|>Who are you<|END_OF_TURN_TOKEN|>"
        "<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>   I am an assistant   <|END_OF_TURN_TOKEN|>"
        "<|START_OF_TURN_TOKEN|><|USER_TOKEN|>Another question<|END_OF_TURN_TOKEN|>"
        "<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>"
    ),
    "vicuna_lmsys": (
        "You are a helpful assistant USER: Hello ASSISTANT:Hi there</s>USER: Who are you ASSISTANT:"
        "   I am an assistant   </s>USER: Another question ASSISTANT:"
    ),
    "zephyr": (
        "<|system|>\nYou are a helpful assistant</s>\n<|user|>\nHello</s>\n<|assistant|>\nHi there</s>\n"
        "<|user|>\nWho are you</s>\n<|assistant|>\n   I am an assistant   </s>\n<|user|>\nAnother question"
        "</s>\n<|assistant|>\n"
    ),
    "openchat": (
        "GPT4 Correct System: You are a helpful assistant<|end_of_turn|>GPT4 Correct User: Hello"
        "<|end_of_turn|>GPT4 Correct Assistant:Hi there<|end_of_turn|>GPT4 Correct User: Who are you"
        "<|end_of_turn|>GPT4 Correct Assistant:   I am an assistant   <|end_of_turn|>"
        "GPT4 Correct User: Another question<|end_of_turn|>GPT4 Correct Assistant:"
    ),
    "deepseek_v2": (
        "You are a helpful assistant\n\nUser: Hello\n\nAssistant:Hi there<｜end▁of▁sentence｜>"
        "User: Who are you\n\nAssistant:   I am an assistant   <｜end▁of▁sentence｜>"
        "User: Another question\n\nAssistant:"
    ),
    "glm4": (
        "[gMASK]<sop><|system|>\nYou are a helpful assistant<|user|>\nHello<|assistant|>\nHi there<|user|>\n"
        "Who are you<|assistant|>\n   I am an assistant   <|user|>\nAnother question<|assistant|>\n"
    ),
    "alpaca": (
        "You are a helpful assistant\n\n### Instruction:\nHello\n\n### Response:\nHi there\n\n"
        "### Instruction:\nWho are you\n\n### Response:\n   I am an assistant   \n\n"
        "### Instruction:\nAnother question\n\n### Response:\n"
    ),
    "guanaco": (
        "You are a helpful assistant\n### Human: Hello ### Assistant:Hi there ### Human: Who are you "
        "### Assistant:   I am an assistant    ### Human: Another question ### Assistant:"
    ),
    "orca_mini": (
        "### System:\nYou are a helpful assistant\n\n### User:\nHello\n\n### Assistant:\nHi there\n\n"
        "### User:\nWho are you\n\n### Assistant:\n   I am an assistant   \n\n"
        "### User:\nAnother question\n\n### Assistant:\n"
    ),
    "orca_mini_v2": (
        "### System:\nYou are a helpful assistant\n\n### User:\nHello\n\n### Response:\nHi there\n\n"
        "### User:\nWho are you\n\n### Response:\n   I am an assistant   \n\n"
        "### User:\nAnother question\n\n### Response:\n"
    ),
    "neural_chat": (
        "### System:\nYou are a helpful assistant\n### User:\nHello\n### Assistant:\nHi there\n"
        "### User:\nWho are you\n### Assistant:\n   I am an assistant   \n"
        "### User:\nAnother question\n### Assistant:\n"
    ),
    "solar_instruct": (
        "### System:\nYou are a helpful assistant\n\n### User:\nHello\n\n### Assistant:\nHi there"
        "### User:\nWho are you\n\n### Assistant:\n   I am an assistant   "
        "### User:\nAnother question\n\n### Assistant:\n"
    ),
    "synthia": (
        "SYSTEM: You are a helpful assistant\nUSER: Hello\nASSISTANT:Hi there\nUSER: Who are you\n"
        "ASSISTANT:   I am an assistant   \nUSER: Another question\nASSISTANT:"
    ),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_a_format_writes_what_its_source_expects(name: str) -> None:
    assert prompt_text(formats.build_prompt(formats.get(name), TALK)) == EXPECTED[name]


@dataclass(frozen=True)
class Published:
    """A template that the authors of a model published, among the files of `templates`."""

    file: str
    one_exchange: bool = False
    """Only one: the template drops the reasoning of earlier replies, which a dict cannot."""
    edits: tuple[tuple[str, str], ...] = ()
    """(regular expression, replacement) from the template's text to the format's."""
    reason: str = ""
    """Why the format differs."""


# TALK has a system text: some of the templates bring their own where there is none.
PUBLISHED = {
    "qwen": Published("Qwen-Qwen3-0.6B"),
    "qwen2_5": Published("Qwen-Qwen2.5-7B-Instruct"),
    "qwen_think": Published("Qwen-QwQ-32B", one_exchange=True),
    "deepseek_r1": Published("deepseek-ai-DeepSeek-R1-Distill-Qwen-32B", one_exchange=True),
    "phi3": Published("microsoft-Phi-3.5-mini-instruct"),
    "gemma2": Published("google-gemma-2-2b-it"),
    "granite": Published("ibm-granite-granite-3.3-2B-Instruct"),
    "granite (4.0)": Published("ibm-granite-granite-4.0"),
    "smollm": Published("HuggingFaceTB-SmolLM2-135M-Instruct"),
    "zephyr": Published("HuggingFaceH4-zephyr-7b-beta"),
    "openchat": Published(
        "openchat-openchat-3.5-0106",
        edits=((": ( *Hi| *I am)", r":\1"),),
        reason="the model writes the space",
    ),
    "mistral_v7_tekken": Published("mistralai-Mistral-Small-3.2-24B-Instruct-2506"),
    "llama3": Published(
        "meta-llama-Llama-3.2-3B-Instruct",
        edits=(("Cutting Knowledge Date: .*\nToday Date: .*\n\n", ""),),
        reason="a dict cannot tell the date",
    ),
    "gpt_oss": Published(
        "openai-gpt-oss-120b",
        edits=(
            ("Current date: .*\n", ""),
            ("Reasoning: medium", "Reasoning: low"),
            (r"<\|start\|>assistant$", "<|start|>assistant<|channel|>final<|message|>"),
        ),
        reason="a dict cannot tell the date, and leaves the reasoning out",
    ),
}


@pytest.mark.parametrize("case", PUBLISHED)
def test_a_format_writes_what_the_models_own_template_writes(case: str) -> None:
    published = PUBLISHED[case]
    chosen = formats.get(case.partition(" ")[0])
    source = (FOLDER / f"{published.file}.jinja").read_text(encoding="utf-8")
    template = formats.from_chat_template(source, "", "</s>", variables={"enable_thinking": True})
    turns = [Turn(turn.role, turn.content.strip()) for turn in TALK]
    if published.one_exchange:
        turns = turns[:2]
    expected = prompt_text(formats.build_prompt(template, turns))
    for pattern, replacement in published.edits:
        expected, changes = re.subn(pattern, replacement, expected)
        assert changes, f"the template does not write {pattern!r}"
    assert prompt_text(formats.build_prompt(chosen, turns)) == expected
    assert bool(published.edits) == bool(published.reason)


def test_the_default_system_prompt_is_the_templates_own() -> None:
    for name, file in {
        "smollm": "HuggingFaceTB-SmolLM2-135M-Instruct",
        "qwen2_5": "Qwen-Qwen2.5-7B-Instruct",
    }.items():
        template = formats.from_chat_template((FOLDER / f"{file}.jinja").read_text(encoding="utf-8"))
        assert formats.wrap("Hi", formats.get(name)) == formats.wrap("Hi", template)


SYSTEM = "You are brief."


@dataclass(frozen=True)
class Counterpart:
    """A format that llama.cpp has built in as C++ code, and how ours differs from it on purpose."""

    name: str
    """Its name there."""
    edits: tuple[tuple[str, str], ...] = ()
    """(text, replacement), in this order, from llama.cpp's text to ours."""
    reason: str = ""
    """Why ours differs."""


SPACE = "the space before a reply is the model's to write"
VICUNA_SPACES = (("\n\nUSER", " USER"), ("\nASSISTANT", " ASSISTANT"), ("</s>\n", "</s>"))
CHATML_NAMES = "chatml dolphin hermes mistral_openorca orca2 samantha smollm yi qwen qwen2 qwen2_5"
CHATML_START = "<|im_start|>assistant\n"
COUNTERPARTS = {
    "blank": Counterpart("deepseek-ocr"),
    **{name: Counterpart("chatml") for name in CHATML_NAMES.split()},
    "qwen_think": Counterpart(
        "chatml", ((CHATML_START, CHATML_START + "<think>\n"),), "a reply starts inside its reasoning"
    ),
    "qwen3_no_think": Counterpart(
        "chatml",
        ((CHATML_START, CHATML_START + "<think>\n\n</think>\n\n"),),
        "an empty reasoning stands before a reply",
    ),
    **{
        name: Counterpart(
            "llama2-sys-bos", (("</s>", " </s>"),), "the model's template has a space before `</s>`"
        )
        for name in ("llama2chat", "airoboros")
    },
    "llama3": Counterpart("llama3"),
    "llama4": Counterpart("llama4"),
    **{
        name: Counterpart(
            "mistral-v1",
            ((" [INST] ", "[INST] "), ("[/INST] ", "[/INST]")),
            "the models' templates of that time have no space before [INST]; " + SPACE,
        )
        for name in ("mistral_instruct", "mixtral")
    },
    "mistral_v3": Counterpart("mistral-v3", (("[/INST] ", "[/INST]"),), SPACE),
    "mistral_tekken": Counterpart("mistral-v3-tekken"),
    "mistral_nemo": Counterpart("mistral-v3-tekken"),
    "mistral_v7": Counterpart("mistral-v7", (("[/INST] ", "[/INST]"),), SPACE),
    "mistral_v7_tekken": Counterpart("mistral-v7-tekken"),
    "phi3": Counterpart("phi3"),
    "phi4_mini": Counterpart(
        "phi3", (("|>\n", "|>"),), "llama.cpp has none for Phi-4-mini, which has Phi-3's without line breaks"
    ),
    "phi4": Counterpart("phi4"),
    **{
        name: Counterpart(
            "zephyr", (("<|endoftext|>", "</s>"),), "llama.cpp writes the end token of StableLM Zephyr"
        )
        for name in ("zephyr", "tinyllama")
    },
    "gemma2": Counterpart("gemma"),
    "gemma3": Counterpart("gemma"),
    "openchat": Counterpart(
        "openchat",
        ((SYSTEM, "GPT4 Correct System: " + SYSTEM), ("Assistant: ", "Assistant:")),
        "the model's own template names the system role; " + SPACE,
    ),
    "vicuna_common": Counterpart("vicuna", (("ASSISTANT: ", "ASSISTANT:"),), SPACE),
    "vicuna_lmsys": Counterpart(
        "vicuna",
        (*VICUNA_SPACES, ("ASSISTANT: ", "ASSISTANT:")),
        "its authors' code (FastChat) has spaces where llama.cpp has line breaks; " + SPACE,
    ),
    **{
        name: Counterpart(
            "vicuna-orca",
            (("ASSISTANT: ", "ASSISTANT:"), ("</s>\n", "\n")),
            "the model card writes no end token after a reply; " + SPACE,
        )
        for name in ("synthia", "tess")
    },
    "deepseek_v2": Counterpart("deepseek2", (("Assistant: ", "Assistant:"),), SPACE),
    "deepseek_v3": Counterpart(
        "deepseek3", ((SYSTEM + "\n\n", SYSTEM),), "the model's template has no line breaks there"
    ),
    "deepseek_v3_1": Counterpart(
        "deepseek3",
        ((SYSTEM + "\n\n", SYSTEM), ("<｜Assistant｜>", "<｜Assistant｜></think>")),
        "llama.cpp has none for V3.1, whose card closes the reasoning before a reply",
    ),
    "deepseek_r1": Counterpart(
        "deepseek3",
        ((SYSTEM + "\n\n", SYSTEM), ("<｜Assistant｜>", "<｜Assistant｜><think>\n")),
        "llama.cpp has none for R1, whose replies start inside their reasoning",
    ),
    "command_r": Counterpart("command-r"),
    "command": Counterpart("command-r"),
    "granite": Counterpart("granite-4.0"),
    "glm4": Counterpart("chatglm4"),
    "kimi_k2": Counterpart("kimi-k2"),
    "gpt_oss": Counterpart(
        "gpt-oss",
        (
            ("<|start|>system<|message|>", str(formats.gpt_oss["system_prefix"])),
            (SYSTEM, SYSTEM + "\n\n"),
            ("assistant.<|end|>", "assistant.\n\n<|end|>"),
            ("<|start|>assistant<|message|>", "<|start|>assistant"),
            ("<|start|>assistant", "<|start|>assistant<|channel|>final<|message|>"),
            ("<|return|>", "<|end|>"),
        ),
        "the model's template has a developer message and channels, and ends earlier replies with <|end|>",
    ),
}
WITHOUT_COUNTERPART = {
    "easy-llama's own": "autocorrect markup natural chatml_alpaca alpaca_strict",
    "llama.cpp has none, EXPECTED has the prompt of the source": (
        "alpaca mythomax guanaco orca_mini orca_mini_v2 neural_chat solar_instruct"
    ),
}


def test_every_format_is_compared_with_llama_cpp_or_says_why_not() -> None:
    without = " ".join(WITHOUT_COUNTERPART.values()).split()
    assert sorted([*COUNTERPARTS, *without]) == list(formats.names())


def llama_cpp_prompt(name: str, turns: Sequence[Turn]) -> str:
    """What llama.cpp's built-in format of that name writes for `turns`, up to where a reply starts."""
    roles = {"system": b"system", "user": b"user", "bot": b"assistant"}
    messages = (llama_cpp.llama_chat_message * len(turns))(
        *((roles[turn.role], turn.content.encode()) for turn in turns)
    )
    buffer = ctypes.create_string_buffer(8192)
    length = llama_cpp.llama_chat_apply_template(
        name.encode(), messages, len(turns), True, buffer, len(buffer)
    )
    assert 0 < length <= len(buffer), f"llama.cpp has no format {name!r}"
    return buffer.raw[:length].decode()


ONE = [Turn("user", "What is the sun?")]
SEVERAL = [
    *ONE,
    Turn("bot", "A star."),
    Turn("user", "And\nthe moon?"),
    Turn("bot", "A rock."),
    Turn("user", "Good."),
]
CONVERSATIONS = {
    "one message": ONE,
    "several turns": SEVERAL,
    "system text": [Turn("system", SYSTEM), *ONE],
    "system text, several turns": [Turn("system", SYSTEM), *SEVERAL],
}


@pytest.mark.parametrize("turns", CONVERSATIONS.values(), ids=CONVERSATIONS)
@pytest.mark.parametrize("name", COUNTERPARTS)
def test_a_format_writes_what_llama_cpp_writes(name: str, turns: list[Turn]) -> None:
    counterpart = COUNTERPARTS[name]
    chosen = formats.get(name)
    own = str(chosen["system_prompt"])
    both = [Turn("system", own), *turns] if own and turns[0].role != "system" else turns
    expected = llama_cpp_prompt(counterpart.name, both)
    for text, replacement in counterpart.edits:
        expected = expected.replace(text, replacement)
    assert prompt_text(formats.build_prompt(chosen, turns)) == expected


@pytest.mark.parametrize("name", COUNTERPARTS)
def test_each_difference_from_llama_cpp_is_real_and_has_a_reason(name: str) -> None:
    counterpart = COUNTERPARTS[name]
    assert bool(counterpart.edits) == bool(counterpart.reason)
    own = str(formats.get(name)["system_prompt"])
    text = "".join(
        llama_cpp_prompt(counterpart.name, [Turn("system", system), *SEVERAL])
        for system in (SYSTEM, own)
        if system
    )
    for old, new in counterpart.edits:
        assert old in text
        text = text.replace(old, new)
