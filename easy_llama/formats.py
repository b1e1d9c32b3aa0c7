r"""Prompt formats: how a conversation becomes the text that a model continues.

A format is a dict:

    {"system_prefix": "<|im_start|>system\n", "system_prompt": "", "system_suffix": "<|im_end|>\n",
     "user_prefix": "<|im_start|>user\n", "user_suffix": "<|im_end|>\n",
     "bot_prefix": "<|im_start|>assistant\n", "bot_suffix": "<|im_end|>\n", "stops": ["<|im_end|>"]}

The built-in ones (`builtin_formats.py`) are attributes of this module, `formats.chatml` for example, and
are found by name with `get`. Each access returns a new copy: change it as you like. A model's own chat
template becomes a format with `from_chat_template` or `for_model`.
"""

import copy
import difflib
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from easy_llama.builtin_formats import FORMATS, Format, recognise
from easy_llama.errors import ChatTemplateError
from easy_llama.prompt import Control, Generated, Piece, Turn, Written, prompt_text

if TYPE_CHECKING:
    from easy_llama.chat_template import ChatTemplate

__all__ = [
    "DetectedFormat",
    "Format",
    "build_prompt",
    "detect",
    "for_metadata",
    "for_model",
    "from_chat_template",
    "get",
    "names",
    "stops_of",
    "wrap",
]

TEMPLATE_NAME = "template"
"""The name of a format that was made from a model's own chat template."""


class _Model(Protocol):
    """What choosing a format needs to know of a model."""

    @property
    def metadata(self) -> Mapping[str, object]: ...
    @property
    def bos_text(self) -> str: ...
    @property
    def eos_text(self) -> str: ...
    @property
    def control_tokens(self) -> Collection[str]: ...


@dataclass(frozen=True, slots=True)
class DetectedFormat:
    """The format that was chosen for a model."""

    format: Format
    """A format of the caller's own, free to change."""
    name: str
    """"template" for the model's own chat template, else the name of a built-in format."""
    notice: str = ""
    """What the person should know about the choice, one or two sentences; "" when there is nothing."""


def names() -> tuple[str, ...]:
    """Return the names of the built-in formats, sorted."""
    return tuple(sorted(FORMATS))


def get(name: str) -> Format:
    """Return a new copy of the built-in format of that name.

    Raises:
        ValueError: there is none of that name.
    """
    try:
        return copy.deepcopy(FORMATS[name])
    except KeyError:
        near = difflib.get_close_matches(name, FORMATS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"the names are {', '.join(names())}."
        raise ValueError(f"There is no prompt format {name!r}; {hint}") from None


def __getattr__(name: str) -> Format:
    if name in FORMATS:
        return get(name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *FORMATS})


def wrap(prompt: str, format: Mapping[str, object]) -> str:  # noqa: A002 (the documented name)
    """Return the text of one user message in `format`, up to where the bot's reply starts."""
    return prompt_text(build_prompt(format, [Turn("user", prompt)]))


def stops_of(format: Mapping[str, object]) -> tuple[str, ...]:  # noqa: A002
    """Return the strings that end a reply in `format`.

    Raises:
        ValueError: the format's `stops` is not a list of strings.
    """
    stops = format.get("stops", [])
    if not isinstance(stops, list | tuple) or not all(isinstance(stop, str) for stop in stops):
        raise ValueError(f"The 'stops' of a prompt format are a list of strings, not {stops!r}.")
    return tuple(stop for stop in stops if stop)


def build_prompt(
    format: Mapping[str, object],  # noqa: A002
    turns: Sequence[Turn],
    reply_start: Sequence[Piece] = (),
) -> tuple[Piece, ...]:
    """Return the prompt for the bot's next message after `turns`.

    The format's own system prompt comes first where it has one and `turns` hold no system turn.

    Args:
        format: a dict of prefixes and suffixes, or one that renders a conversation itself, as
            `ChatTemplate` does.
        turns: the conversation so far.
        reply_start: how the bot's message begins, left open: text to continue, or to put in its mouth.

    Returns:
        No two `Control` pieces stand next to each other, and no piece is empty.

    Raises:
        ChatTemplateError: the format is a chat template that refuses the conversation.
        ValueError: the format lacks a key.
    """
    system_prompt = format.get("system_prompt", "")
    if isinstance(system_prompt, str) and system_prompt and not any(turn.role == "system" for turn in turns):
        return _built(format, [Turn("system", system_prompt), *turns], reply_start, first=-1)
    return _built(format, turns, reply_start, first=0)


def _built(
    format: Mapping[str, object],  # noqa: A002
    turns: Sequence[Turn],
    reply_start: Sequence[Piece],
    *,
    first: int,
) -> tuple[Piece, ...]:
    """Return the prompt after `turns`, of which the first has the number `first`."""
    render = getattr(format, "render", None)
    pieces: Iterable[Piece] = render(turns) if callable(render) else _affixed(format, turns)
    return _merged([*(_numbered(piece, first) for piece in pieces), *reply_start])


def _numbered(piece: Piece, first: int) -> Piece:
    if isinstance(piece, Control) or piece.turn is None or not first:
        return piece
    turn = piece.turn + first
    return replace(piece, turn=turn if turn >= 0 else None)


def _affixed(format: Mapping[str, object], turns: Sequence[Turn]) -> list[Piece]:  # noqa: A002
    """Return the turns between their prefixes and suffixes, and the prefix of the bot's next message."""
    user_prefix, user_suffix = _text(format, "user_prefix"), _text(format, "user_suffix")
    shares_turn = bool(user_prefix) and _text(format, "system_prefix").startswith(user_prefix)
    pieces: list[Piece] = []
    open_user_turn = False  # a system text has begun the user's turn
    for number, turn in enumerate(turns):
        if open_user_turn and turn.role == "bot":
            pieces.append(Control(user_suffix))
        prefix = _text(format, f"{turn.role}_prefix")
        pieces.append(Control(prefix.removeprefix(user_prefix) if open_user_turn else prefix))
        pieces.append(
            Generated(turn.content, turn.ids, number) if turn.ids else Written(turn.content, number)
        )
        pieces.append(Control(_text(format, f"{turn.role}_suffix")))
        open_user_turn = shares_turn and turn.role == "system"
    if open_user_turn:
        pieces.append(Control(user_suffix))
    pieces.append(Control(_text(format, "bot_prefix")))
    return pieces


def _text(format: Mapping[str, object], key: str) -> str:  # noqa: A002
    value = format.get(key)
    if not isinstance(value, str):
        raise ValueError(f"A prompt format needs a text under {key!r}; this one has {value!r}.")
    return value


def _merged(pieces: Iterable[Piece]) -> tuple[Piece, ...]:
    """Return the pieces without empty ones, neighbouring control pieces made one."""
    merged: list[Piece] = []
    for piece in pieces:
        if not piece.text and not (isinstance(piece, Generated) and piece.ids):
            continue
        if isinstance(piece, Control) and merged and isinstance(merged[-1], Control):
            merged[-1] = Control(merged[-1].text + piece.text)
        else:
            merged.append(piece)
    return tuple(merged)


def from_chat_template(
    template: str,
    bos_token: str = "",
    eos_token: str = "",
    *,
    control_tokens: Collection[str] = (),
    name: str = TEMPLATE_NAME,
    variables: Mapping[str, object] | None = None,
) -> "ChatTemplate":
    """Return a format made from the source of a Jinja chat template.

    Args:
        template: the source, as `tokenizer.chat_template` holds it.
        bos_token: the text of the beginning-of-sequence token, which templates write themselves.
        eos_token: the text of the end-of-sequence token.
        control_tokens: the names of all control tokens; text of a message is never read as one of them.
        name: how errors call the template.
        variables: more variables for the template, such as `{"enable_thinking": False}`; JSON has to be
            able to hold them.

    Raises:
        ChatTemplateError: the template does not compile, or cannot render a single message.
    """
    from easy_llama.chat_template import ChatTemplate

    return ChatTemplate(
        template,
        bos_token=bos_token,
        eos_token=eos_token,
        control_tokens=control_tokens,
        name=name,
        variables=variables,
    )


def for_model(model: _Model) -> Format:
    """Return the prompt format of a loaded model: its own chat template, or the nearest built-in one."""
    return detect(model).format


def detect(model: _Model) -> DetectedFormat:
    """Return the prompt format of a loaded model, and how it was found."""
    return for_metadata(
        model.metadata,
        bos_text=model.bos_text,
        eos_text=model.eos_text,
        control_tokens=model.control_tokens,
    )


def for_metadata(
    metadata: Mapping[str, object],
    *,
    bos_text: str,
    eos_text: str,
    control_tokens: Collection[str] = (),
) -> DetectedFormat:
    """Return the prompt format of a model with this GGUF metadata, and how it was found.

    That is the file's own chat template where it has one that works, else the built-in format that its
    architecture and name point to, else ChatML.

    Args:
        metadata: keys as in the GGUF file.
        bos_text: the text of the beginning-of-sequence token.
        eos_text: the text of the end-of-sequence token.
        control_tokens: the names of all control tokens.
    """
    source = metadata.get("tokenizer.chat_template")
    problem = "The model file has no chat template"
    if isinstance(source, str) and source.strip():
        try:
            template = from_chat_template(source, bos_text, eos_text, control_tokens=control_tokens)
        except ChatTemplateError as error:
            reason = str(error.__cause__ or error).partition("\n")[0]
            problem = f"The model's own chat template does not work ({reason})"
        else:
            return DetectedFormat(template, TEMPLATE_NAME, " ".join(template.notices))
    name = recognise(str(metadata.get("general.architecture", "")), _model_name(metadata))
    if name:
        return DetectedFormat(get(name), name, f"{problem}; its name points to the format {name!r}.")
    notice = f"{problem} and its name is not known; the format 'chatml' is a guess. --format chooses another."
    return DetectedFormat(get("chatml"), "chatml", notice)


def _model_name(metadata: Mapping[str, object]) -> str:
    keys = ("general.name", "general.basename", "general.finetune", "general.size_label")
    words = " ".join(str(metadata.get(key, "")) for key in keys)
    return re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")
