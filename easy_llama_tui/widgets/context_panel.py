"""The panel of the context: what takes how much of it, and what will be left out of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.events import Resize, Show
from textual.geometry import Size
from textual.message import Message

from easy_llama_tui.chats.context_window import Policy
from easy_llama_tui.preferences.panel_keys import CONTEXT_KEYS
from easy_llama_tui.replies.inspection import Inspection
from easy_llama_tui.text.display_text import cells, one_line
from easy_llama_tui.text.visible_text import fitted
from easy_llama_tui.widgets.context_share import Shares, draw_bar, legend_lines, shares_of
from easy_llama_tui.widgets.row_list import PanelLines, Part, RowList

_POLICIES = {
    Policy.DROP_OLDEST: ("leave out the oldest", "drop the oldest"),
    Policy.KEEP_FIRST: ("keep the first and the newest", "keep the first"),
    Policy.STOP: ("stop and say so", "stop"),
}
"""What is done when the context is full, at length and in short."""

_ROLES = {"user": "you", "bot": "bot", "system": "sys", "draft": "new"}
_NEARLY = 0.95
"""The share of the context, with room for a reply, from which on it is said that it is nearly full."""
_LEAST_ROWS = 3
"""Rows that the list of messages keeps when the panel is low."""


@dataclass(frozen=True, slots=True)
class MessageLine:
    """A message of the chat, in a line."""

    id: str
    role: str
    first_words: str
    pinned: bool


class ContextPanel(Vertical):
    """Shows how full the context is, what each message costs, and what is left out next."""

    DEFAULT_CSS = """
    ContextPanel {
        background: $surface;
        color: $foreground;

        & > #context-messages { height: 1fr; min-height: 1; }
    }
    """

    BINDINGS: ClassVar[list[BindingType]] = [key.binding() for key in CONTEXT_KEYS]

    @dataclass
    class PinToggled(Message):
        """The person wants to pin a message, or to unpin it."""

        message_id: str

    @dataclass
    class MessageChosen(Message):
        """The person wants to see a message in the chat."""

        message_id: str

    @dataclass
    class PolicyChosen(Message):
        """The person chose what is done when the context is full."""

        policy: Policy

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 (Textual's name)
        super().__init__(id=id)
        self._inspection = Inspection()
        self._messages: tuple[MessageLine, ...] = ()
        self._policy = Policy.DROP_OLDEST
        self._context_length = 0
        self._cache_bytes: int | None = None
        self._reused = self._read = 0
        self._room = Size(0, 0)
        self._above = PanelLines(id="context-above")
        self._list = _MessageList(id="context-messages")
        self._below = PanelLines(id="context-below")

    def compose(self) -> ComposeResult:
        """Show the bar, the messages, and what is known beside."""
        yield self._above
        yield self._list
        yield self._below

    def show_inspection(self, inspection: Inspection, messages: Sequence[MessageLine]) -> None:
        """Show what the next prompt is made of, and the messages of the chat, the oldest first."""
        self._inspection, self._messages = inspection, tuple(messages)
        self._list.show_messages(self._messages, inspection)
        self._show_lines()

    def show_facts(self, context_length: int, cache_bytes: int | None, reused: int, read: int) -> None:
        """Show facts of the model and of the last turn.

        Args:
            context_length: in tokens.
            cache_bytes: the size of the KV cache, where it is known.
            reused: tokens of the last prompt that were in the KV cache.
            read: tokens of it that were read.
        """
        self._context_length, self._cache_bytes = context_length, cache_bytes
        self._reused, self._read = reused, read
        self._show_lines()

    def show_policy(self, policy: Policy) -> None:
        """Show what is done when the context is full."""
        self._policy = policy
        self._show_lines()

    def focus_first(self) -> None:
        """Focus the messages."""
        self._list.focus()

    # What the person does

    def on_row_list_row_moved(self, message: RowList.RowMoved) -> None:
        """Keep to oneself where the cursor is."""
        message.stop()

    def on_row_list_row_taken(self, message: RowList.RowTaken) -> None:
        """Tell which message is to be seen."""
        message.stop()
        if (line := self._list.message_at(message.index)) is not None:
            self.post_message(self.MessageChosen(line.id))

    def on_panel_lines_pressed(self, message: PanelLines.Pressed) -> None:
        """Step the policy where it was clicked on."""
        message.stop()
        if message.lines is self._below and message.y == 0:
            self.action_step(1)

    def on_resize(self, event: Resize) -> None:
        """Say as much as there is room for."""
        self._show_lines()

    def on_show(self, event: Show) -> None:
        """Say what came while it was hidden."""
        self._show_lines()

    def action_pin(self) -> None:
        """Pin the message under the cursor, or unpin it."""
        if (line := self._list.message_at(self._list.cursor)) is not None:
            self.post_message(self.PinToggled(line.id))

    def action_step(self, step: int) -> None:
        """Choose the next policy, or the one before."""
        policies = list(Policy)
        policy = policies[(policies.index(self._policy) + step) % len(policies)]
        self.show_policy(policy)
        self.post_message(self.PolicyChosen(policy))

    # What is shown

    def _show_lines(self) -> None:
        # Hidden, it has no size; it will most likely have the one again that it had.
        if self.size:
            self._room = self.size
        width, height = self._room
        if width <= 0:
            return
        shares = shares_of(self._inspection, self._messages, self._context_length)
        warning = _wrapped(self._warning(shares), width, "$text-warning")
        warning = warning or _wrapped(self._left_out(), width, "$text-muted", sign="")
        room = height - _LEAST_ROWS - 3 - len(warning)
        legend = legend_lines(shares, width) if self._context_length else []
        if len(legend) > room:
            legend = []
        room -= len(legend)
        self._above.show_lines(self._used(shares, width), draw_bar(shares, width), *legend, *warning)
        # The first of these stays whatever happens: it is what can be changed.
        more = [*self._next_out(width), *self._facts(width)]
        self._below.show_lines(self._policy_line(width), *more[: max(room, 0)])

    def _used(self, shares: Shares, width: int) -> Content:
        if not self._context_length:
            return Content("No model is loaded yet.")
        is_full = shares.used >= self._context_length
        share = "100 %, full" if is_full else f"{min(round(100 * shares.used / self._context_length), 99)} %"
        texts = (
            f"Used {shares.used:,} of {self._context_length:,} ({share})",
            f"{shares.used:,}/{self._context_length:,} ({share})",
            f"{shares.used:,}/{self._context_length:,} {'full' if is_full else share}",
        )
        return Content.styled(next((text for text in texts if cells(text) <= width), texts[-1]), "bold")

    def _warning(self, shares: Shares) -> str:
        window = self._inspection.window
        if self._inspection.error:
            return self._inspection.error
        if not self._context_length or not shares.used:
            return ""
        if not window.fits:
            return "This does not fit the context, and nothing more can be left out."
        if not self._is_nearly_full(shares):
            return ""
        if window.next_out:
            return "The next turns will leave out the oldest messages."
        if self._policy is Policy.STOP:
            return "The context is nearly full, and nothing is left out: the chat stops there."
        return "The context is nearly full, and nothing more can be left out."

    def _is_nearly_full(self, shares: Shares) -> bool:
        """Return whether the prompt and the room for a reply leave nearly nothing."""
        return shares.used + self._inspection.room >= _NEARLY * self._context_length

    def _left_out(self) -> str:
        outside = self._inspection.window.outside
        count = sum(line.id in outside for line in self._messages)
        if not count or not self._context_length:
            return ""
        return f"{count:,} older message{' is' if count == 1 else 's are'} left out."

    def _policy_line(self, width: int) -> Content:
        long, short = _POLICIES[self._policy]
        text = next(
            text
            for text in (f"When full ‹ {long} ›", f"When full ‹ {short} ›", f"Full ‹ {short} ›")
            if cells(text) <= width or text.startswith("Full")
        )
        return Content(text)

    def _next_out(self, width: int) -> list[Content]:
        window = self._inspection.window
        if not window.next_out:
            return []
        first = next((line for line in self._messages if line.id == window.next_out[0]), None)
        words = fitted(one_line(first.first_words), 18).rstrip() if first else "the oldest"
        count = len(window.next_out)
        text = f"Next to be left out: '{words}' ({count} message{'' if count == 1 else 's'})"
        return _wrapped(text, width, "$text-muted", sign="")

    def _facts(self, width: int) -> list[Content]:
        facts = []
        if self._reused or self._read:
            facts.append(f"Last turn: {self._reused:,} reused, {self._read:,} read")
        if self._cache_bytes is not None:
            facts.append(f"KV cache {_size(self._cache_bytes)}")
        return [line for fact in facts for line in _wrapped(fact, width, "$text-muted", sign="")]


class _MessageList(RowList):
    """The messages, with what they cost."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 (Textual's name)
        super().__init__(id=id)
        self._messages: tuple[MessageLine, ...] = ()
        self._costs: dict[str, int] = {}
        self._outside: frozenset[str] = frozenset()
        self._next_out: frozenset[str] = frozenset()

    def show_messages(self, messages: tuple[MessageLine, ...], inspection: Inspection) -> None:
        """Show these; the cursor stays on its message, or at the end where it was there."""
        here = self.message_at(self.cursor)
        was_last = self.cursor >= len(self._messages) - 1
        is_same = [line.id for line in self._messages] == [line.id for line in messages]
        self._messages = messages
        self._costs = dict(inspection.costs)
        self._outside = inspection.window.outside
        self._next_out = frozenset(inspection.window.next_out)
        self.rows_changed(max(len(messages), 1))
        if is_same:
            return
        found = next((at for at, line in enumerate(messages) if here and line.id == here.id), None)
        self.set_cursor(len(messages) - 1 if was_last or found is None else found)

    def message_at(self, row: int) -> MessageLine | None:
        """Return the message in a row."""
        return self._messages[row] if 0 <= row < len(self._messages) else None

    def has_lit_cursor(self) -> bool:
        """Return whether there are messages."""
        return bool(self._messages)

    def draw_row(self, index: int, width: int) -> list[Part]:
        """Return a message: who, what, what is marked, and its tokens."""
        line = self.message_at(index)
        if line is None:
            return [Part(" No messages yet.", "muted")]
        cost = f"{self._costs[line.id]:,}" if line.id in self._costs else "–"
        mark, look = self._mark(line, width)
        cost = f" {cost:>5}"
        room = max(width - 5 - cells(mark) - cells(cost), 0)
        is_outside = line.id in self._outside
        return [
            Part(" "),
            Part(f"{_ROLES.get(line.role, line.role[:3]):<3} ", "outside" if is_outside else "muted"),
            Part(fitted(one_line(line.first_words), room), "outside" if is_outside else "text"),
            Part(mark, look),
            Part(cost, "outside" if is_outside else "text"),
        ]

    def _mark(self, line: MessageLine, width: int) -> tuple[str, str]:
        if line.id in self._outside:
            return " out", "outside"
        if line.pinned:
            return " ●pin", "pinned"
        if line.id in self._next_out:
            return " next out" if width >= 30 else " next", "warning"
        return "", "text"


def _size(n_bytes: int) -> str:
    if n_bytes < 1_000_000_000:
        return f"{n_bytes / 1e6:.0f} MB"
    return f"{n_bytes / 1e9:.1f} GB"


def _wrapped(text: str, width: int, style: str, sign: str = "⚠ ") -> list[Content]:
    """Return a sentence in rows of words."""
    if not text:
        return []
    return list(Content.styled(f"{sign}{one_line(text)}", style).wrap(width))
