"""How the context is shared out, as a bar and in numbers. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from textual.content import Content

from easy_llama_tui.replies.inspection import Inspection
from easy_llama_tui.text.display_text import cells


class _Line(Protocol):
    @property
    def id(self) -> str: ...
    @property
    def role(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Shares:
    """Tokens of the context by what takes them; together they are the context."""

    own: int = 0
    """What the format begins with, such as a system prompt of its own."""

    system: int = 0
    history: int = 0
    draft: int = 0
    opening: int = 0
    """What opens the reply."""

    room: int = 0
    """What of the rest is kept for the reply."""

    free: int = 0

    @property
    def used(self) -> int:
        """The tokens of the prompt that is sent."""
        return self.own + self.system + self.history + self.draft + self.opening


_PARTS = (
    ("format", "▚", "$bar-system"),
    ("system", "█", "$bar-system"),
    ("history", "▓", "$bar-history"),
    ("draft", "▒", "$bar-draft"),
    ("reply", "░", "$bar-reply"),
    ("free", "·", "$text-muted"),
)


def shares_of(inspection: Inspection, messages: Sequence[_Line], context_length: int) -> Shares:
    """Return what of the context the prompt takes that is sent, without the messages outside."""
    window = inspection.window
    roles = {line.id: line.role for line in messages}
    outside = [(roles.get(id_, ""), tokens) for id_, tokens in inspection.costs if id_ in window.outside]
    system = inspection.system - sum(tokens for role, tokens in outside if role == "system")
    used = window.tokens or inspection.total
    draft, opening = inspection.draft, inspection.reply_opening
    # Costs are those in the whole prompt: what is left out may change what stands beside it by a little.
    rest = max(used - system - draft - opening, 0)
    has_history = inspection.history > sum(tokens for role, tokens in outside if role != "system")
    own = min(inspection.format_own, rest) if has_history else rest
    room = min(inspection.room, max(context_length - used, 0))
    free = max(context_length - used - room, 0)
    return Shares(own, system, rest - own, draft, opening, room, free)


def draw_bar(shares: Shares, width: int) -> Content:
    """Return a bar of `width` cells; a part that takes anything has a cell, where there is one."""
    tokens = _tokens(shares)
    total = sum(tokens)
    if not total or width <= 0:
        return Content("")
    lengths = [max(count * width // total, 1) if count else 0 for count in tokens]
    while sum(lengths) > width:
        lengths[lengths.index(max(lengths))] -= 1
    # What rounding left over goes where most was taken away.
    for at in sorted(range(len(tokens)), key=lambda at: -(tokens[at] * width / total - lengths[at])):
        if sum(lengths) < width and tokens[at]:
            lengths[at] += 1
    return Content.assemble(
        *((glyph * length, style) for (_, glyph, style), length in zip(_PARTS, lengths, strict=True))
    )


def legend_lines(shares: Shares, width: int) -> list[Content]:
    """Return what the glyphs of the bar mean, with numbers, in as few lines as fit."""
    lines: list[Content] = []
    for (name, glyph, style), count in zip(_PARTS, _tokens(shares), strict=True):
        # Most prompts begin with a message of the chat, or with next to nothing.
        if name == "format" and not count:
            continue
        number = f"{shares.opening:,}+{shares.room:,}" if name == "reply" and shares.opening else f"{count:,}"
        item = Content.assemble((glyph, style), f" {name} {number}")
        if lines and lines[-1].cell_length + 2 + cells(item.plain) <= width:
            lines[-1] = Content.assemble(lines[-1], "  ", item)
        else:
            lines.append(item)
    return lines


def _tokens(shares: Shares) -> tuple[int, ...]:
    reply = shares.opening + shares.room
    return shares.own, shares.system, shares.history, shares.draft, reply, shares.free
