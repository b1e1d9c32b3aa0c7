"""Transcripts as Markdown, as JSON in the shape of OpenAI's messages, and as plain text.

Text that was written here reads back exactly: every character of every message. Of plain text, titles
and names lose their line breaks. A file that another program gave CRLF line ends throughout is read as if
it had LF.
"""

import json
import re
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Final

from easy_llama.prompt import Role
from easy_llama_tui.chats.session import SessionError
from easy_llama_tui.chats.transcript import Entry, Transcript

VERSION: Final = 1

_NAMES: Final[dict[Role, str]] = {"system": "system", "user": "user", "bot": "assistant"}
_ROLES: Final[dict[str, Role]] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "bot",
}


def _refused(source: str, line: int | None, reason: str, next_step: str) -> SessionError:
    place = source if line is None else f"{source}, line {line}"
    return SessionError(f"{place}: {reason}.", next_step)


def _with_lf(text: str) -> str:
    """Return `text` with LF line ends where it has CRLF ones; its first line never ends with CR here."""
    first, newline, _ = text.partition("\n")
    return text.replace("\r\n", "\n") if newline and first.endswith("\r") else text


def _line_number(text: str, place: int) -> int:
    return text.count("\n", 0, place) + 1


# --- Markdown -----------------------------------------------------------------------------------------
# Comments, which a reader does not see, say where each message begins and ends, so that the text of the
# messages stays as it is and is shown as the Markdown that it is.

_MARKDOWN_FIRST: Final = re.compile(r"<!-- easy-llama chat (\{.*\}) -->\n")
_MARKDOWN_BEGIN: Final = re.compile(r"^<!-- (system|user|assistant) -->\n", re.MULTILINE)
_MARKDOWN_BETWEEN: Final = re.compile(r"(?:[ \t]*\n|#.*\n)*+[ \t]*")
_EXPORT_AGAIN: Final = "Export the chat again, or import its JSON."


def to_markdown(transcript: Transcript) -> str:
    """Return a transcript as Markdown: headings for the roles, and each text as it is below its own."""
    end = _end_mark(entry.content for entry in transcript.entries)
    about = {"version": VERSION, "title": transcript.title, "model": transcript.model_name, "end": end}
    # ">" could end the comment too early.
    first = json.dumps(about, ensure_ascii=False).replace(">", "\\u003e")
    title = " ".join(transcript.title.split()) or "Chat"
    return f"<!-- easy-llama chat {first} -->\n\n# {title}\n" + "".join(
        f"\n## {_NAMES[entry.role].title()}\n\n<!-- {_NAMES[entry.role]} -->\n"
        f"{entry.content}\n<!-- {end} -->\n"
        for entry in transcript.entries
    )


def from_markdown(text: str, source: str) -> Transcript:
    """Return the transcript that `to_markdown` wrote; `source` names the file in errors.

    Headings are for readers and may be changed; the comments count.

    Raises:
        SessionError: it is other Markdown, a message has no end, or text stands between messages.
    """
    text = _with_lf(text)
    about, place = _markdown_about(text, source)
    closing = f"\n<!-- {about['end']} -->"
    entries: list[Entry] = []
    while True:
        between = _MARKDOWN_BETWEEN.match(text, place)
        place = between.end() if between else place
        if place == len(text):
            return Transcript(about["title"], about["model"], tuple(entries))
        begin = _MARKDOWN_BEGIN.match(text, place)
        if begin is None:
            reason = "there is text that belongs to no message"
            next_step = "Put it between the comments of a message, or take it out."
            raise _refused(source, _line_number(text, place), reason, next_step)
        end = text.find(closing, begin.end())
        if end < 0:
            reason = f"the message that begins here has no end, <!-- {about['end']} -->"
            raise _refused(source, _line_number(text, place), reason, _EXPORT_AGAIN)
        entries.append(Entry(_ROLES[begin[1]], text[begin.end() : end]))
        place = end + len(closing)


def _end_mark(contents: Iterable[str]) -> str:
    """Return what the closing comments say: something that no message says in a comment."""
    taken = {
        int(number or 1) for text in contents for number in re.findall(r"<!-- end ?([0-9]{0,9}) -->", text)
    }
    number = next(number for number in range(1, len(taken) + 2) if number not in taken)
    return "end" if number == 1 else f"end {number}"


def _markdown_about(text: str, source: str) -> tuple[dict[str, str], int]:
    first = _MARKDOWN_FIRST.match(text)
    if first is None:
        reason = "this is not a chat that was exported as Markdown: it has no <!-- easy-llama chat … -->"
        raise _refused(source, 1, reason, "Import the JSON or the plain text of the chat.")
    try:
        about = json.loads(first[1])
    except (ValueError, RecursionError):
        raise _refused(source, 1, "what the comment says is not JSON", _EXPORT_AGAIN) from None
    version = about.get("version")
    if isinstance(version, int) and version > VERSION:
        reason = f"this was exported by a newer version ({version}; this version reads {VERSION})"
        raise _refused(source, 1, reason, "Import it with that version.")
    texts = {key: about.get(key) for key in ("title", "model", "end")}
    if not all(isinstance(value, str) for value in texts.values()):
        raise _refused(source, 1, "the comment lacks a title, a model or an end", _EXPORT_AGAIN)
    return texts, first.end()


# --- JSON ---------------------------------------------------------------------------------------------


def to_json(transcript: Transcript) -> str:
    """Return a transcript as JSON: {"title", "model", "messages": [{"role", "content"}, …]}.

    Format: https://platform.openai.com/docs/api-reference/chat/create (messages)
    """
    messages = [{"role": _NAMES[entry.role], "content": entry.content} for entry in transcript.entries]
    chat = {"title": transcript.title, "model": transcript.model_name, "messages": messages}
    return json.dumps(chat, ensure_ascii=False, indent=2) + "\n"


def from_json(text: str, source: str) -> Transcript:
    """Return the transcript that JSON holds: a list of messages, or an object with one as "messages".

    A content may be a text or a list of text parts, which are joined. A developer's message is a system
    message. Other keys than "title", "model", "role" and "content" do not count.

    Raises:
        SessionError: it is not JSON, or not of that shape; the error names the line or the message.
    """
    try:
        chat = json.loads(text)
    except json.JSONDecodeError as error:
        reason = f"this is not JSON: {error.msg} (column {error.colno})"
        raise _refused(source, error.lineno, reason, "Correct it in an editor.") from None
    except (ValueError, RecursionError):
        reason = "this is nested too deeply, or has a number that is too long"
        raise _refused(source, None, reason, "Correct it in an editor.") from None
    messages = chat.get("messages") if isinstance(chat, dict) else chat
    if not isinstance(messages, list):
        reason = "there is no list of messages"
        raise _refused(source, None, reason, 'Give it one, or an object with one as "messages".')
    entries = tuple(_json_entry(message, source, number) for number, message in enumerate(messages, 1))
    about = chat if isinstance(chat, dict) else {}
    return Transcript(_text_or_nothing(about.get("title")), _text_or_nothing(about.get("model")), entries)


def _text_or_nothing(value: object) -> str:
    return value if isinstance(value, str) else ""


def _json_entry(message: object, source: str, number: int) -> Entry:
    def refused(reason: str) -> SessionError:
        next_step = "Correct it in an editor, or leave that message out."
        return _refused(source, None, f"message {number} {reason}", next_step)

    if not isinstance(message, dict):
        raise refused("is not an object with a role and a content")
    role = message.get("role")
    if not isinstance(role, str) or role not in _ROLES:
        raise refused(f"has the role {role!r}; it must be one of {', '.join(_ROLES)}")
    content = message.get("content")
    parts = [content] if isinstance(content, str) else content
    if not isinstance(parts, list):
        raise refused("has no text as its content")
    texts = [_text_part(part) for part in parts]
    if any(text is None for text in texts):
        raise refused("holds something else than text")
    return Entry(_ROLES[role], "".join(text for text in texts if text is not None))


def _text_part(part: object) -> str | None:
    """Return the text of a part of a content, or None where it is a picture, a sound or the like."""
    if isinstance(part, dict) and part.get("type") in ("text", "input_text", "output_text"):
        part = part.get("text")
    return part if isinstance(part, str) else None


# --- plain text ---------------------------------------------------------------------------------------

_INDENT: Final = "    "
_LABEL: Final = re.compile(r"(system|user|you|human|assistant|bot|ai):(?:[ \t]+(.*))?", re.IGNORECASE)
_ABOUT: Final = re.compile(r"(title|model):[ \t]+(.*)", re.IGNORECASE)
_LABEL_ROLES: Final[dict[str, Role]] = {
    "system": "system",
    **dict.fromkeys(("user", "you", "human"), "user"),
    **dict.fromkeys(("assistant", "bot", "ai"), "bot"),
}


def to_plain_text(transcript: Transcript) -> str:
    """Return a transcript as plain text: "User:" and the like on lines of their own, texts indented below.

    Lines "Title: …" and "Model: …" come first, where these are known. Empty lines of a text stay empty,
    and each message ends with one more.
    """
    about = {"Title": transcript.title, "Model": transcript.model_name}
    lines = [f"{key}: {' '.join(value.split())}" for key, value in about.items() if value.split()]
    if lines:
        lines.append("")
    for entry in transcript.entries:
        lines.append(f"{_NAMES[entry.role].title()}:")
        lines.extend(_INDENT + line if line else "" for line in entry.content.split("\n"))
        lines.append("")
    return "\n".join(lines) + "\n" if lines else ""


def from_plain_text(text: str, source: str) -> Transcript:
    """Return the transcript that plain text holds, as `to_plain_text` writes it or less strictly so.

    A message begins with "User:", "Assistant:" or "System:" (also "You", "Human", "Bot", "AI", in any
    case) at the start of a line, and goes on to the next of these. Where some of its lines are not
    indented by four spaces, or it begins on the line of its label, it is taken as it stands, without
    empty lines around it.

    Raises:
        SessionError: text other than "Title: …" and "Model: …" stands before the first message.
    """
    lines = _with_lf(text).split("\n")
    if lines[-1] == "":
        lines.pop()
    about = {"title": "", "model": ""}
    starts = [number for number, line in enumerate(lines) if _LABEL.fullmatch(line)]
    for number, line in enumerate(lines[: starts[0]] if starts else lines, 1):
        said = _ABOUT.fullmatch(line)
        if said:
            about[said[1].lower()] = said[2]
        elif line.strip():
            reason = "there is text before the first message"
            next_step = "Begin each message with a line such as User: or Assistant: and indent its text."
            raise _refused(source, number, reason, next_step)
    return Transcript(about["title"], about["model"], tuple(_plain_entries(lines, starts)))


def _plain_entries(lines: list[str], starts: list[int]) -> Iterator[Entry]:
    for start, end in pairwise([*starts, len(lines)]):
        label = _LABEL.fullmatch(lines[start])
        if label is not None:
            role = _LABEL_ROLES[label[1].lower()]
            yield Entry(role, _plain_content(label[2] or "", lines[start + 1 : end]))


def _plain_content(beside: str, below: list[str]) -> str:
    if not beside and all(line.startswith(_INDENT) for line in below if line):
        if below and not below[-1]:
            below = below[:-1]
        return "\n".join(line.removeprefix(_INDENT) for line in below)
    return "\n".join([beside, *below]).strip("\n")
