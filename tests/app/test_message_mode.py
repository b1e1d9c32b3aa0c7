"""The message mode, reasoning, and what is said of messages beside their text."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.themed_app import ThemedApp
from support.waiting import until
from textual import events, on
from textual.app import ComposeResult
from textual.message import Message
from textual.pilot import Pilot
from textual.screen import ModalScreen
from textual.strip import Strip
from textual.widgets import Input

from easy_llama_tui.preferences.keymap import MESSAGE_KEYS, effective_bindings
from easy_llama_tui.widgets.chat_log import ChatLog
from easy_llama_tui.widgets.message_view import ChatEntry

SIZE = (60, 13)
MARK = "▌"


class LogApp(ThemedApp):
    """A chat log above a prompt."""

    AUTO_FOCUS = "Input"

    def __init__(self, entries: list[ChatEntry]) -> None:
        super().__init__()
        self.chat_log = ChatLog(entries)
        self.posted: list[Message] = []

    def compose(self) -> ComposeResult:
        yield self.chat_log
        yield Input(compact=True)

    @on(ChatLog.CursorMoved)
    @on(ChatLog.MessageKeyPressed)
    @on(ChatLog.MessageModeLeft)
    def note(self, message: Message) -> None:
        self.posted.append(message)


@dataclass
class Reader:
    """Looks at the log and presses keys."""

    pilot: Pilot[None]
    app: LogApp

    @property
    def log(self) -> ChatLog:
        return self.app.chat_log

    def rows(self) -> list[str]:
        return [self.log.render_line(y).text.rstrip() for y in range(self.log.size.height)]

    def text(self) -> list[str]:
        """The rows without the mark of the message that keys are for."""
        return [row.replace(MARK, " ", 1).replace(" · selected", "").rstrip() for row in self.rows()]

    def marked(self) -> list[str]:
        return [row[2:] for row in self.rows() if row.startswith(MARK)]

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def until(self, condition: Callable[[], object]) -> None:
        await until(self.pilot, condition)

    async def enter(self, message_id: str | None = None) -> None:
        assert self.log.enter_message_mode(message_id)
        await self.until(lambda: self.log.has_focus)
        await self.pilot.pause()


@asynccontextmanager
async def reading(entries: list[ChatEntry], size: tuple[int, int] = SIZE) -> AsyncIterator[Reader]:
    app = LogApp(entries)
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        yield Reader(pilot, app)


def user(id: str, text: str) -> ChatEntry:  # noqa: A002
    return ChatEntry(id, "user", "You", text)


def bot(id: str, text: str, *, streaming: bool = False) -> ChatEntry:  # noqa: A002
    return ChatEntry(id, "bot", "Model", text, streaming=streaming)


def chat(*lines: int) -> list[ChatEntry]:
    """Return messages of so many lines each, which all differ."""
    kinds = (user, bot)
    return [
        kinds[n % 2](str(n), "\n".join(f"message {n} line {line}" for line in range(count)))
        for n, count in enumerate(lines)
    ]


# Where it is


async def test_the_last_message_is_marked_on_all_its_rows_and_in_words() -> None:
    async with reading(chat(2, 2)) as reader:
        seen = reader.rows()
        await reader.enter()
        assert reader.rows()[:8] == [
            "  You",
            "  message 0 line 0",
            "  message 0 line 1",
            "",
            f"{MARK} Model · selected",
            f"{MARK} message 1 line 0",
            f"{MARK} message 1 line 1",
            "",
        ]
        assert reader.text() == seen
        assert reader.log.cursor_id == "1"
        assert [type(message) for message in reader.app.posted] == [ChatLog.CursorMoved]


async def test_a_chat_without_messages_has_no_message_mode() -> None:
    async with reading([]) as reader:
        assert not reader.log.enter_message_mode()
        assert reader.log.cursor_id is None
        assert not reader.log.has_focus
    async with reading(chat(1)) as reader:
        assert not reader.log.enter_message_mode("gone")


@pytest.mark.parametrize(
    ("up", "down", "first", "last"), [("up", "down", "home", "end"), ("k", "j", "g", "G")]
)
async def test_keys_go_from_message_to_message(up: str, down: str, first: str, last: str) -> None:
    async with reading(chat(1, 1, 1, 1)) as reader:
        seen = reader.text()
        await reader.enter("2")
        ids = []
        for key in (up, up, up, down, last, down, first):
            await reader.press(key)
            ids.append(reader.log.cursor_id)
            assert reader.text() == seen
        assert ids == ["1", "0", "0", "1", "3", "3", "0"]


async def test_a_message_that_is_not_all_there_is_brought_into_view_with_as_little_as_need_be() -> None:
    async with reading(chat(3, 3, 3, 3, 3)) as reader:
        await reader.enter()
        assert reader.rows()[-2:] == [f"{MARK} message 4 line 2", ""]
        await reader.press("up")
        assert reader.rows()[-2] == "  message 4 line 2"
        await reader.press("up")
        assert reader.rows()[0] == f"{MARK} You · selected"
        await reader.press("up", "down")
        assert reader.rows()[5] == f"{MARK} You · selected"


async def test_a_long_message_is_shown_from_its_top_and_moved_through() -> None:
    async with reading(chat(2, 30, 2)) as reader:
        await reader.enter()
        await reader.press("up")
        assert reader.log.cursor_id == "1"
        assert reader.rows()[0] == f"{MARK} Model · selected"
        seen = []
        while reader.log.cursor_id == "1":
            seen += [row for row in reader.text() if row.startswith("  message 1")]
            await reader.press("down")
        assert set(seen) == {f"  message 1 line {n}" for n in range(30)}
        assert reader.log.cursor_id == "2"
        await reader.press("up", "up", "up")
        assert reader.log.cursor_id == "0"
        await reader.press("down")
        assert reader.rows()[0] == f"{MARK} Model · selected"


async def test_keys_are_never_for_a_message_that_is_out_of_sight() -> None:
    async with reading(chat(*[3] * 12)) as reader:
        await reader.enter()
        for key in ("pageup", "pageup", "pageup", "pagedown", "pageup", "pageup", "pageup", "pageup"):
            await reader.press(key)
            assert reader.marked()
        assert reader.log.cursor_id in {"0", "1", "2"}
        reader.log.scroll_to(y=reader.log.max_scroll_y, animate=False)
        await reader.pilot.pause()
        assert reader.log.cursor_id in {"9", "10", "11"}
        assert reader.marked()
        await reader.pilot.resize_terminal(20, 6)
        await reader.pilot.pause()
        assert reader.marked()


# What keys ask for


async def test_each_key_tells_what_it_asks_for_and_for_which_message() -> None:
    async with reading(chat(1, 1)) as reader:
        await reader.enter("0")
        keys = {
            **{"e": "edit", "enter": "edit", "y": "copy", "c": "copy-code", "r": "reroll", "n": "continue"},
            **{"b": "branch", "d": "delete", "delete": "delete", "u": "undo-delete", "p": "pin"},
            **{"h": "previous", "left": "previous", "l": "next", "right": "next"},
        }
        reader.app.posted.clear()
        await reader.press(*keys)
        told = [
            (m.message_id, m.action) for m in reader.app.posted if isinstance(m, ChatLog.MessageKeyPressed)
        ]
        assert told == [("0", action) for action in keys.values()]
        assert reader.log.cursor_id == "0"


async def test_outside_the_mode_keys_scroll_and_letters_do_nothing() -> None:
    async with reading(chat(*[3] * 6)) as reader:
        reader.log.focus()
        await reader.press("home", "down", "e", "d", "y", "i")
        assert reader.rows()[0] == "  message 0 line 0"
        assert reader.app.posted == []


async def test_keys_can_be_bound_to_others() -> None:
    bindings, problems = effective_bindings({"message-delete": "x", "message-up": "w"})
    assert problems == ()
    async with reading(chat(1, 1)) as reader:
        reader.app.set_keymap(bindings.keymap())
        await reader.enter()
        await reader.press("d", "x", "up", "w")
        told = [m.action for m in reader.app.posted if isinstance(m, ChatLog.MessageKeyPressed)]
        assert told == ["delete"]
        assert reader.log.cursor_id == "0"


def test_every_key_of_the_mode_is_bound() -> None:
    assert {key.id for key in MESSAGE_KEYS} <= {binding.id for binding in ChatLog.BINDINGS}  # type: ignore[union-attr]


# Its end


@pytest.mark.parametrize("key", ["escape", "q"])
async def test_a_key_ends_it_and_takes_the_mark_away(key: str) -> None:
    async with reading(chat(1, 1)) as reader:
        seen = reader.rows()
        await reader.enter()
        await reader.press(key)
        assert reader.log.cursor_id is None
        assert reader.rows() == seen
        assert [type(message).__name__ for message in reader.app.posted] == [
            "CursorMoved",
            "CursorMoved",
            "MessageModeLeft",
        ]
        assert reader.log.following


@pytest.mark.parametrize("how", ["tab", "click"])
async def test_going_to_the_prompt_ends_it(how: str) -> None:
    async with reading(chat(1, 1)) as reader:
        await reader.enter()
        if how == "tab":
            await reader.press("tab")
        else:
            await reader.pilot.click(Input)
        await reader.until(lambda: reader.log.cursor_id is None)
        assert reader.app.focused is reader.app.query_one(Input)
        assert reader.marked() == []
        assert not any(isinstance(message, ChatLog.MessageModeLeft) for message in reader.app.posted)


async def test_another_window_or_a_dialog_does_not_end_it() -> None:
    async with reading(chat(1, 1)) as reader:
        await reader.enter("0")
        reader.app.post_message(events.AppBlur())
        await reader.pilot.pause()
        reader.app.post_message(events.AppFocus())
        await reader.pilot.pause()
        assert reader.log.has_focus
        assert reader.log.cursor_id == "0"
        await reader.app.push_screen(ModalScreen())
        await reader.pilot.pause()
        await reader.app.pop_screen()
        await reader.pilot.pause()
        assert reader.log.cursor_id == "0"
        await reader.press("down")
        assert reader.log.cursor_id == "1"


async def test_a_click_goes_to_a_message_only_in_the_mode() -> None:
    async with reading(chat(1, 1, 1)) as reader:
        await reader.pilot.click(ChatLog, offset=(3, 4))
        assert reader.log.cursor_id is None
        await reader.enter()
        await reader.pilot.click(ChatLog, offset=(3, 4))
        assert reader.log.cursor_id == "1"


# While the chat changes


async def test_a_reply_that_grows_moves_nothing() -> None:
    async with reading([*chat(3, 2), bot("r", "", streaming=True)]) as reader:
        assert reader.log.following
        await reader.enter()
        entry = bot("r", "", streaming=True)
        for count in range(1, 30):
            entry = replace(entry, text=entry.text + f"line {count}\n\n")
            reader.log.update(entry)
        await reader.until(lambda: reader.log._column.views[-1].entry == entry)
        assert reader.rows()[0] == "  You"
        assert reader.rows()[-1].endswith("↓ new")
        assert not reader.log.following
        assert reader.log.cursor_id == "r"
        reader.log.append(user("u", "more"))
        assert reader.rows()[0] == "  You"
        await reader.press("G")
        assert reader.log.cursor_id == "u"
        await reader.press("escape")
        assert reader.log.following


async def test_it_goes_on_with_what_is_in_the_place_of_a_message_that_is_gone() -> None:
    async with reading(chat(1, 1, 1)) as reader:
        await reader.enter("1")
        entries = chat(1, 1, 1)
        reader.log.set_entries([entries[0], bot("other", "x"), entries[2]])
        assert reader.log.cursor_id == "other"
        assert "Model · selected" in reader.marked()
        reader.log.remove_from("other")
        assert reader.log.cursor_id == "0"
        reader.log.append(bot("new", "x"))
        assert reader.log.enter_message_mode("new")
        assert reader.marked() == ["Model · selected", "x"]
        reader.log.set_entries([])
        await reader.pilot.pause()
        assert reader.log.cursor_id is None
        assert isinstance(reader.app.posted[-1], ChatLog.MessageModeLeft)


async def test_showing_the_same_messages_again_moves_nothing() -> None:
    async with reading(chat(2, 30, 2)) as reader:
        await reader.enter("1")
        await reader.press("down", "down")
        seen = reader.rows()
        reader.log.set_entries(chat(2, 30, 2))
        reader.log.update(replace(chat(2, 30, 2)[1], pinned=True))
        assert reader.rows() == seen


ACTIONS = st.lists(
    st.sampled_from(
        [
            *("up", "down", "home", "end", "pageup", "pagedown"),
            *("add", "drop", "grow", "fold", "small", "big"),
        ]
    ),
    max_size=10,
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.integers(0, 25), min_size=1, max_size=6), ACTIONS)
async def test_whatever_happens_keys_are_for_a_message_that_is_seen(
    lines: list[int], actions: list[str]
) -> None:
    async with reading(chat(*lines)) as reader:
        await reader.enter()
        for number, action in enumerate(actions):
            entries = reader.log.entries
            match action:
                case "add":
                    reader.log.append(bot(f"new{number}", "<think>a\nb\n</think>\nc\n" * 3))
                case "drop" if len(entries) > 1:
                    reader.log.remove_from(entries[-1].id)
                case "grow":
                    reader.log.update(replace(entries[0], text=entries[0].text + "\nmore" * 9))
                case "fold":
                    reader.log.reasoning_folded = not reader.log.reasoning_folded
                case "small" | "big":
                    await reader.pilot.resize_terminal(*((30, 6) if action == "small" else (80, 30)))
                case "drop":
                    pass
                case key:
                    await reader.press(key)
            await reader.pilot.pause()
            assert reader.log.cursor_id in {entry.id for entry in reader.log.entries}
            if action not in ("add", "grow"):
                assert reader.marked(), action


# What is said beside the text


async def test_what_is_outside_the_context_is_dimmed_and_said_and_so_is_what_is_pinned() -> None:
    outside = replace(bot("0", "a **b** `c`\n\n```\nd\n```"), outside=True, alternative=(1, 2))
    pinned = replace(user("1", "text"), pinned=True)
    async with reading([outside, pinned], (60, 16)) as reader:
        assert reader.rows()[0].split("‹")[0].strip() == "Model · outside the context"
        assert reader.rows()[0].endswith("‹ 1/2 ›")
        assert "  You · pinned" in reader.rows()
        dim = reader.app.theme_variables["outside"].lower()
        for y in range(1, 5):
            for segment in reader.log.render_line(y):
                if segment.text.strip():
                    assert segment.style is not None and segment.style.color is not None
                    assert segment.style.color.get_truecolor().hex == dim
        reader.log.update(replace(outside, outside=False))
        plain = next(s for s in reader.log.render_line(1) if s.text.startswith("a")).style
        assert plain is not None and plain.color is not None and plain.color.get_truecolor().hex != dim


@pytest.mark.parametrize("width", [12, 24, 40])
async def test_a_header_fits_into_a_narrow_window(width: int) -> None:
    entry = replace(bot("0", "x"), name="a long name " * 4, outside=True, pinned=True, alternative=(10, 12))
    async with reading([entry]) as reader:
        await reader.enter()
        await reader.pilot.resize_terminal(width, 12)
        assert reader.log.render_line(0).cell_length == width
        assert reader.rows()[0].startswith(f"{MARK} a lon")


# Reasoning

THOUGHT = "<think>\nLet me *see*.\n\n- one\n- two\n</think>\n\nThe answer."


async def test_reasoning_is_one_row_and_can_be_opened() -> None:
    async with reading([user("0", "why"), bot("1", THOUGHT)], (60, 20)) as reader:
        folded = ["  Model", "  ▸ reasoning, 5 words · Ctrl+T opens it", "", "  The answer.", ""]
        assert reader.rows()[3:8] == folded
        reader.log.reasoning_folded = False
        assert reader.rows()[3:13] == [
            "  Model",
            "  ▾ reasoning, 5 words · Ctrl+T folds it",
            "  │ Let me see.",
            "  │",
            "  │   • one",
            "  │   • two",
            "",
            "  The answer.",
            "",
            "",
        ]
        reader.log.reasoning_key = "F6"
        assert reader.rows()[4] == "  ▾ reasoning, 5 words · F6 folds it"
        reader.log.reasoning_folded = True
        assert reader.rows()[4] == "  ▸ reasoning, 5 words · F6 opens it"


async def test_reasoning_is_counted_while_it_is_written() -> None:
    async with reading([bot("0", "", streaming=True)]) as reader:
        rows = set()
        text = "<think>\none two\n\nthree</think>yes"
        for end in range(len(text) + 1):
            reader.log._apply(bot("0", text[:end], streaming=True))
            rows |= set(reader.rows())
        assert {
            *("", "  Model", "  …", "  ▸ reasoning… 1 word", "  ▸ reasoning… 2 words"),
            *("  ▸ reasoning… 3 words", "  ▸ reasoning, 3 words · Ctrl+T opens it", "  y", "  ye", "  yes"),
        } == rows


async def test_the_prompt_may_have_opened_it() -> None:
    entry = replace(bot("0", "hm hm", streaming=True), begins_in_reasoning=True)
    async with reading([entry]) as reader:
        assert reader.rows()[1] == "  ▸ reasoning… 2 words"
        reader.log.update(replace(entry, text="hm hm\n</think>\nyes", streaming=False))
        assert reader.rows()[1:4] == ["  ▸ reasoning, 2 words · Ctrl+T opens it", "", "  yes"]


async def test_a_narrow_window_has_one_row_for_it_too() -> None:
    async with reading([bot("0", THOUGHT)], (24, 12)) as reader:
        assert reader.rows()[1:3] == ["  ▸ reasoning, 5 words", ""]


async def test_folding_keeps_what_the_reader_sees() -> None:
    entries = [
        bot(
            str(n),
            f"<think>\n{f'thought {n}. ' * 60}\n</think>\n\n" + "\n\n".join(f"a{n} {i}" for i in range(9)),
        )
        for n in range(6)
    ]
    async with reading(entries) as reader:
        reader.log.focus()
        await reader.press("pageup", "up")
        answer = next(row for row in reader.rows() if row.startswith("  a"))
        top = reader.rows()[0]
        assert top.startswith("  a") or not top
        for folded in (False, True, False, True):
            reader.log.reasoning_folded = folded
            assert answer in reader.rows()[:2]
            assert not reader.log.following
        reader.log.reasoning_folded = False
        await reader.press("end")
        reader.log.reasoning_folded = True
        assert reader.rows()[-2] == "  a5 8"
        assert reader.log.following


async def test_folded_reasoning_costs_one_row_a_frame() -> None:
    drawn: list[int] = []

    class Counting(ChatLog):
        def render_line(self, y: int) -> Strip:
            drawn.append(y)
            return super().render_line(y)

    app = LogApp([])
    app.chat_log = Counting([user("0", "why"), bot("1", "<think>\none\n\ntwo", streaming=True)])
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        drawn.clear()
        app.chat_log._apply(bot("1", "<think>\none\n\ntwo three\n\nfour", streaming=True))
        await pilot.pause()
        assert set(drawn) <= set(range(4, 13))


# Copying


async def test_what_is_copied_is_what_is_shown() -> None:
    async with reading(
        [user("0", "  as *typed* \x1b[2J\n"), bot("1", THOUGHT), bot("2", "<think>\nno end")]
    ) as reader:
        log = reader.log
        assert log.copied_text("0") == "  as *typed* ␛[2J"
        assert log.copied_text("1") == "The answer."
        assert log.copied_text("2") == "<think>\nno end"
        log.reasoning_folded = False
        assert log.copied_text("1") == THOUGHT
        log.reasoning_folded = True
        log.text_select_all()
        text = reader.app.screen.get_selected_text() or ""
        assert "reasoning, 5" not in text
        assert "The answer." in text
        with pytest.raises(KeyError):
            log.copied_text("gone")


async def test_code_blocks_are_copied_as_they_were_written() -> None:
    text = (
        "<think>\n```\nno\n```\n</think>\n```python\ndef f():\n    return 1\n\n```\n"
        "- item\n\n  ~~~sh\n  ls\n  ~~~\n\n    indented\n\n````\n```\nx\n```\n````\n```\nopen"
    )
    async with reading([bot("0", text), user("1", "```\nmine\n```"), user("2", "none")]) as reader:
        blocks = ("def f():\n    return 1\n", "ls", "```\nx\n```", "open")
        assert reader.log.code_blocks("0") == blocks
        assert reader.log.code_blocks("1") == ("mine",)
        assert reader.log.code_blocks("2") == ()
        reader.log.reasoning_folded = False
        assert reader.log.code_blocks("0") == ("no", *blocks)
