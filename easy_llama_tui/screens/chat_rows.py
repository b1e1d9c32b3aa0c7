"""Saved chats, and what a search found in them, as rows of the list."""

import re
from dataclasses import replace
from datetime import datetime
from typing import Final

from easy_llama_tui.chats.chat_index import ChatSummary
from easy_llama_tui.chats.chat_search import Found, fold
from easy_llama_tui.text.display_text import one_line, printable
from easy_llama_tui.text.time_words import when
from easy_llama_tui.widgets.chat_list import ChatRow, Span

_SPACES: Final = re.compile(r"\s+")


def row_of(chat: ChatSummary, now: datetime, *, open_chat_id: str) -> ChatRow:
    """Return the row of a chat, seen from `now` (aware, in the person's time zone)."""
    n_messages = "1 message" if chat.n_messages == 1 else f"{chat.n_messages:,} messages"
    return ChatRow(
        id=chat.id,
        title=one_line(chat.title) or one_line(chat.id),
        length=n_messages if chat.problem is None else "",
        model=one_line(chat.model_name),
        when=when(chat.updated, now),
        # Which file it is, the row tells, and the reason is to be seen.
        words=one_line(
            chat.first_words
            if chat.problem is None
            else chat.problem.removeprefix(str(chat.path)).lstrip(" ,:")
        ),
        is_open=chat.id == open_chat_id,
        is_damaged=chat.problem is not None,
    )


def with_title_match(row: ChatRow, query: str) -> ChatRow | None:
    """Return the row with `query` marked in its title, or None where that does not hold it."""
    wanted = fold(query)
    start = fold(row.title).find(wanted)
    return None if start < 0 else replace(row, title_match=Span(start, start + len(wanted)))


def with_found(row: ChatRow, found: Found) -> ChatRow:
    """Return the row with what was found in its messages in place of its first words."""
    before, match, after = (_safe(text) for text in (found.before, found.match, found.after))
    words_match = Span(len(before), len(before) + len(match))
    return replace(row, words=before + match + after, words_match=words_match)


def _safe(text: str) -> str:
    return _SPACES.sub(" ", printable(text))
