"""The chat log on a screen: what it draws, where it stays, what it follows."""

import unicodedata
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Self

import pytest
from support.waiting import until
from textual.app import App, ComposeResult
from textual.events import MouseScrollDown
from textual.geometry import Region
from textual.pilot import Pilot

from easy_llama_tui.preferences.themes import theme_variables
from easy_llama_tui.widgets.chat_log import ChatLog
from easy_llama_tui.widgets.message_view import CHARACTER_LIMIT, ChatEntry, ChatStyles, Layout, MessageView

SIZE = (60, 12)


class LogApp(App[None]):
    """Nothing but a chat log."""

    def __init__(self, entries: list[ChatEntry]) -> None:
        super().__init__()
        self.chat_log = DrawnLog(entries)
        self.told: list[tuple[bool, bool]] = []

    def compose(self) -> ComposeResult:
        yield self.chat_log

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return theme_variables(self.current_theme)

    def on_chat_log_following(self, message: ChatLog.Following) -> None:
        self.told.append((message.following, message.unseen))


class DrawnLog(ChatLog):
    """Remembers which rows it asked to be drawn."""

    def __init__(self, entries: list[ChatEntry]) -> None:
        self.drawn: list[int] = []
        super().__init__(entries)

    def refresh(self, *regions: Region, **options: bool) -> Self:
        whole = (Region(0, 0, *self.size),)
        self.drawn += [y for region in regions or whole for y in region.line_range]
        return super().refresh(*regions, **options)


@dataclass
class Reader:
    """Looks at the log and presses keys."""

    pilot: Pilot[None]
    app: LogApp
    log: DrawnLog = field(init=False)

    def __post_init__(self) -> None:
        self.log = self.app.chat_log
        self.log.focus()

    def rows(self) -> list[str]:
        return [ChatLog.render_line(self.log, y).text.rstrip() for y in range(self.log.size.height)]

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def until(self, condition: Callable[[], object]) -> None:
        await until(self.pilot, condition)

    async def stream(self, entry: ChatEntry, text: str) -> ChatEntry:
        """Let the text of `entry` grow, one character an update, until it is all shown."""
        for end in range(len(entry.text), len(text) + 1):
            entry = replace(entry, text=text[:end])
            self.log.update(entry)
        await self.until(lambda: self.log._column.views[-1].entry.text == text)
        await self.pilot.pause()
        return entry


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


def numbered(count: int, lines: int = 3) -> list[ChatEntry]:
    """Return messages whose rows all differ."""
    kinds = (user, bot)
    return [
        kinds[n % 2](str(n), "\n".join(f"message {n} line {line}" for line in range(lines)))
        for n in range(count)
    ]


# Drawing


async def test_a_message_has_a_name_an_indented_text_and_what_happened_to_it() -> None:
    entry = ChatEntry("1", "bot", "Model", "a **b**\n\n- c", "stopped · Ctrl+R", (2, 3))
    async with reading([user("0", "as *typed*"), entry]) as reader:
        assert reader.rows() == [
            "  You",
            "  as *typed*",
            "",
            "  Model" + " " * 44 + "‹ 2/3 ›",
            "  a b",
            "",
            "    • c",
            "",
            "  ▌ stopped · Ctrl+R",
            "",
            "",
            "",
        ]


async def test_roles_differ_in_more_than_colour() -> None:
    entries = [ChatEntry("s", "system", "System", "x"), user("u", "x"), bot("b", "x")]
    async with reading(entries) as reader:
        for y, name in ((0, "System"), (3, "You"), (6, "Model")):
            segments = list(reader.log.render_line(y))
            label = next(segment for segment in segments if name in segment.text)
            assert label.style is not None
            assert label.style.bold


async def test_an_empty_reply_shows_that_it_is_awaited() -> None:
    async with reading([bot("0", "", streaming=True)]) as reader:
        assert reader.rows()[:3] == ["  Model", "  …", ""]
        await reader.stream(bot("0", "", streaming=True), "yes")
        assert reader.rows()[:3] == ["  Model", "  yes", ""]


HOSTILE = (
    "[bold]b[/bold] [@click=app.quit]q[/] [link=http://x]l[/link]\n"
    "\x1b]52;c;aGk=\x07 \x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\ \x1b[31mred \x9b2J\n"
    "\u202eevil\u202c &#x202e; [a](http://x.org) \ud83d\r\n"
    "```\n\x1b[2J\u2066\n```\n"
)


@pytest.mark.parametrize("role", ["system", "user", "bot"])
async def test_no_text_becomes_markup_a_link_or_a_control_sequence(role: str) -> None:
    entry = ChatEntry("0", role, HOSTILE, HOSTILE, HOSTILE)  # type: ignore[arg-type]
    async with reading([entry], (80, 24)) as reader:
        drawn = "\n".join(reader.rows())
        assert "[bold]b[/bold] [@click=app.quit]q[/] [link=http://x]l[/link]" in drawn
        assert "␛]52;c;aGk=␇" in drawn
        assert not [c for c in drawn if unicodedata.category(c) in ("Cc", "Cs") and c != "\n"]
        assert not {"\u202e", "\u202c", "\u2066"} & set(drawn)
        for y in range(24):
            for segment in reader.log.render_line(y):
                assert segment.style is not None
                assert segment.style.link is None
                assert set(segment.style.meta) <= {"offset"}


@pytest.mark.parametrize(
    "text",
    [
        "汉字" * 100,
        "👨‍👩‍👧👍🏽" * 50,
        "e" + "\u0301" * 5000,
        "\u200d" * 300,
        "x" * 500,
        "| 漢 |\n|-|\n| 字 |",
    ],
    ids=["wide", "emoji", "combining", "joiners", "long word", "table"],
)
@pytest.mark.parametrize("width", [8, 19, 60])
async def test_every_row_has_the_width_of_the_log(text: str, width: int) -> None:
    async with reading([user("0", text), bot("1", text)], (width, 30)) as reader:
        for y in range(30):
            assert reader.log.render_line(y).cell_length == width


async def test_of_a_huge_message_the_start_is_shown_and_how_much_is_left_out() -> None:
    entry = user("0", "x" * 10_000_000)
    async with reading([entry]) as reader:
        assert reader.rows()[-2] == f"  … {10_000_000 - CHARACTER_LIMIT:,} more characters"
        await reader.press("home")
        assert reader.rows()[1].startswith("  xxx")


# Following


async def test_the_end_is_followed_while_a_reply_grows() -> None:
    async with reading([*numbered(6), bot("r", "", streaming=True)]) as reader:
        text = "\n\n".join(f"paragraph {n}" for n in range(8))
        entry = await reader.stream(bot("r", "", streaming=True), text)
        assert reader.rows()[-2:] == ["  paragraph 7", ""]
        reader.log.update(replace(entry, text=text + "\n\nend", streaming=False))
        assert reader.rows()[-2:] == ["  end", ""]
        assert reader.log.following
        assert reader.app.told == []


async def test_what_the_reader_sees_stays_while_a_reply_grows() -> None:
    async with reading([*numbered(6), bot("r", "", streaming=True)]) as reader:
        await reader.press("pageup", "up", "up")
        seen = reader.rows()
        entry = await reader.stream(bot("r", "", streaming=True), "a\n\n" * 10)
        reader.log.append(user("u", "one\nmore"))
        await reader.pilot.pause()
        assert reader.rows()[:-1] == seen[:-1]
        assert reader.rows()[-1].endswith("↓ new")
        assert not reader.log.following
        assert reader.app.told == [(False, False), (False, True)]

        await reader.press("end")
        assert reader.rows()[-3:] == ["  one", "  more", ""]
        assert reader.log.following
        assert reader.app.told[-1] == (True, False)
        reader.log.remove_from("u")
        assert reader.rows()[-2:] == ["  a", ""]
        assert reader.log.entries[-1] == entry


async def test_scrolling_back_to_the_bottom_follows_again() -> None:
    async with reading(numbered(6)) as reader:
        await reader.press("up", "up", "down")
        assert not reader.log.following
        await reader.press("down")
        assert reader.log.following


async def test_the_mark_of_what_is_new_can_be_clicked() -> None:
    async with reading(numbered(6)) as reader:
        await reader.press("home")
        reader.log.append(user("new", "hello"))
        await reader.pilot.pause()
        x = reader.rows()[-1].index("new")
        await reader.pilot.click(ChatLog, offset=(x, 11))
        assert reader.log.following
        assert reader.rows()[-2] == "  hello"


async def test_updates_between_two_frames_are_not_lost() -> None:
    async with reading([bot("r", "", streaming=True)]) as reader:
        for n in range(50):
            reader.log.update(bot("r", "word " * n, streaming=True))
        assert reader.log.entries[0].text == "word " * 49
        reader.log.append(user("u", "next"))
        assert reader.log._column.views[0].entry.text == "word " * 49


async def test_only_rows_that_changed_are_drawn() -> None:
    async with reading([*numbered(6), bot("r", "some text\n\nand", streaming=True)], (60, 30)) as reader:
        await reader.pilot.pause()
        reader.log.drawn.clear()
        await reader.stream(bot("r", "some text\n\nand", streaming=True), "some text\n\nand more")
        end = reader.rows().index("  and more")
        assert set(reader.log.drawn) <= set(range(end, 30))
        assert end in reader.log.drawn


async def test_rows_that_scroll_are_not_drawn_anew() -> None:
    async with reading([*numbered(6), bot("r", "a\n\n", streaming=True)]) as reader:
        whole = Region(0, 0, *reader.log.size)
        before = reader.log.render_lines(whole)
        await reader.stream(bot("r", "a\n\n", streaming=True), "a\n\nb")
        after = reader.log.render_lines(whole)
        assert all(after[row - 2] is before[row] for row in range(2, whole.height - 2))
        assert [strip.cell_length for strip in after] == [whole.width] * whole.height


async def test_a_part_of_the_rows_is_cut_from_the_whole() -> None:
    async with reading(numbered(6)) as reader:
        whole = reader.log.render_lines(Region(0, 0, *reader.log.size))
        part = reader.log.render_lines(Region(4, 3, 20, 5))
        assert [strip.text for strip in part] == [strip.text[4:24] for strip in whole[3:8]]


async def test_the_scrollbar_is_right_once_a_reply_has_ended() -> None:
    async with reading([*numbered(3), bot("r", "a", streaming=True)]) as reader:
        entry = await reader.stream(bot("r", "a", streaming=True), "\n\n".join("abcdefghij"))
        reader.log.update(replace(entry, streaming=False))
        bar = reader.log.vertical_scrollbar
        assert bar.position == reader.log.scroll_y == reader.log.max_scroll_y > 0
        assert bar.window_virtual_size == reader.log.virtual_size.height


async def test_moving_the_mouse_draws_nothing() -> None:
    async with reading(numbered(6)) as reader:
        await reader.pilot.hover(ChatLog, offset=(3, 1))
        reader.log.drawn.clear()
        for y in range(2, 8):
            await reader.pilot.hover(ChatLog, offset=(5, y))
        assert reader.log.drawn == []


# Where the reader is


async def test_changes_above_do_not_move_what_is_seen() -> None:
    async with reading(numbered(10)) as reader:
        await reader.press("pageup")
        seen = reader.rows()
        reader.log.update(bot("1", "longer\n" * 20))
        assert reader.rows() == seen
        reader.log.update(replace(user("2", "short"), note="a note", alternative=(1, 2)))
        assert reader.rows() == seen


async def test_other_messages_below_the_reader_do_not_move_them() -> None:
    entries = numbered(10)
    async with reading(entries) as reader:
        await reader.press("home", "down")
        seen = reader.rows()
        reader.log.set_entries([*entries[:4], bot("other", "another branch\n" * 9)])
        assert reader.rows() == seen
        reader.log.set_entries(numbered(0))
        assert reader.rows() == [""] * 12
        reader.log.set_entries([user("new", "chat")])
        assert reader.rows()[:2] == ["  You", "  chat"]
        assert reader.log.following


async def test_removing_messages_shows_what_is_left() -> None:
    async with reading(numbered(10)) as reader:
        reader.log.remove_from("7")
        assert reader.rows()[-2:] == ["  message 6 line 2", ""]
        await reader.press("home")
        seen = reader.rows()
        reader.log.remove_from("5")
        assert reader.rows() == seen
        await reader.press("end", "up")
        reader.log.remove_from("1")
        assert reader.rows()[:5] == [
            "  You",
            "  message 0 line 0",
            "  message 0 line 1",
            "  message 0 line 2",
            "",
        ]
        assert [entry.id for entry in reader.log.entries] == ["0"]
        with pytest.raises(KeyError):
            reader.log.update(bot("5", "gone"))
        reader.log.remove_from("0")
        assert reader.log.entries == ()
        assert reader.log.entry_at(0) is None


async def test_the_message_in_a_row_is_known() -> None:
    async with reading(numbered(2)) as reader:
        ids = [entry.id if (entry := reader.log.entry_at(y)) else None for y in range(12)]
        assert ids == ["0"] * 5 + ["1"] * 5 + [None] * 2


async def test_text_stays_in_view_when_the_width_changes() -> None:
    long = [bot(str(n), " ".join(f"w{n}-{word}" for word in range(120))) for n in range(8)]
    async with reading(long) as reader:
        await reader.press("pageup", "pageup")
        words = reader.rows()[0].split()
        await reader.pilot.resize_terminal(33, 12)
        assert set(words) & set(reader.rows()[0].split())
        assert not reader.log.following
        await reader.pilot.resize_terminal(90, 20)
        assert set(words) & set(reader.rows()[0].split())


async def test_the_end_stays_in_view_when_the_size_changes() -> None:
    async with reading(numbered(10)) as reader:
        for size in ((60, 5), (20, 5), (100, 30), (40, 15)):
            await reader.pilot.resize_terminal(*size)
            assert reader.rows()[-2:] == ["  message 9 line 2", ""]
            assert reader.log.following


async def test_the_wheel_and_the_keys_scroll() -> None:
    async with reading(numbered(20)) as reader:
        await reader.press("home")
        assert reader.rows()[0] == "  You"
        top = reader.rows()
        await reader.press("down")
        assert reader.rows()[:-1] == top[1:]
        await reader.press("up", "pagedown")
        assert reader.rows()[:2] == top[-2:]
        await reader.press("pageup")
        assert reader.rows() == top
        reader.log._on_mouse_scroll_down(_wheel(reader.log))
        await reader.pilot.pause()
        assert reader.rows()[:-2] == top[2:]
        assert reader.log.scroll_y == reader.log.scroll_target_y == 2


def _wheel(log: ChatLog) -> MouseScrollDown:
    return MouseScrollDown(log, 1, 1, 0, 1, 0, False, False, False)


# Long chats


def markdown_chat(count: int) -> list[ChatEntry]:
    """Return messages that are higher or lower than their source, by much."""
    tall = "# Title {0}\nSome *text* of {0}\n## More\nand\n### Still\n```\ncode\n```\n- a{0}\n\nlast of {0}"
    low = "# Title {0}\n\n\n\n[a](b)\n\n\n\n\n> b{0}\n\n\n\n\n\nlast of {0}"
    return [bot(str(n), (tall, low)[n % 2].format(n)) for n in range(count)]


async def test_of_a_long_chat_only_what_is_seen_is_laid_out() -> None:
    async with reading(markdown_chat(1000)) as reader:
        laid_out = [view for view in reader.log._column.views if view.is_laid_out]
        assert 1 <= len(laid_out) <= 3
        assert reader.rows()[-2:] == ["  last of 999", ""]


async def test_scrolling_moves_by_rows_however_wrong_the_estimates_were() -> None:
    async with reading(markdown_chat(60)) as reader:
        estimates = reader.log._column.height
        for key, step in (("up", 1), ("pageup", 10), ("up", 1), ("pageup", 10), ("pageup", 10)) * 4:
            before = reader.rows()
            await reader.press(key)
            assert reader.rows()[step:] == before[: 12 - step]
        assert abs(reader.log._column.height - estimates) > 20
        await reader.press("home")
        assert reader.rows()[:2] == ["  Model", "  Title 0"]
        for key, step in (("down", 1), ("pagedown", 10)) * 4:
            before = reader.rows()
            await reader.press(key)
            assert reader.rows()[: 12 - step] == before[step:]


async def test_the_scrollbar_reaches_both_ends() -> None:
    async with reading(markdown_chat(60)) as reader:
        log = reader.log
        log.scroll_to(y=0, animate=False)
        assert reader.rows()[:2] == ["  Model", "  Title 0"]
        log.scroll_to(y=log.max_scroll_y // 2, animate=False)
        assert log.entry_at(0) is not None
        log.scroll_to(y=log.max_scroll_y, animate=False)
        assert reader.rows()[-2:] == ["  last of 59", ""]
        assert log.following


def test_the_estimate_is_exact_for_plain_text() -> None:
    view = MessageView(replace(user("0", "x" * 100 + "\n\ny"), note="note"), Layout(43, ChatStyles()))
    estimate = view.height
    assert len(view.lines) == estimate == 9


# Themes


async def test_another_theme_draws_in_its_colours_and_keeps_the_place() -> None:
    async with reading(markdown_chat(10)) as reader:
        await reader.press("pageup")
        before = [ChatLog.render_line(reader.log, y) for y in range(12)]
        reader.app.theme = "textual-light"
        await reader.pilot.pause()
        after = [ChatLog.render_line(reader.log, y) for y in range(12)]
        assert [strip.text for strip in after] == [strip.text for strip in before]
        assert all(new != old for new, old in zip(after, before, strict=True))


# Selection


async def drag(reader: Reader, start: tuple[int, int], end: tuple[int, int]) -> str | None:
    await reader.pilot.mouse_down(ChatLog, offset=start)
    await reader.pilot.hover(ChatLog, offset=end)
    await reader.pilot.mouse_up(ChatLog, offset=end)
    await reader.pilot.pause()
    return reader.app.screen.get_selected_text()


async def test_selected_text_has_no_indent_no_borders_and_no_wrapping() -> None:
    text = "> " + "quoted words " * 6 + "\n\n```py\ndef f():\n    return 1\n```\n\nend of it"
    async with reading([bot("0", text)], (40, 16)) as reader:
        last = reader.rows().index("  end of it")
        copied = await drag(reader, (0, 1), (4, last))
        assert copied == ("quoted words " * 6).strip() + "\n\ndef f():\n    return 1\n\nend"
        row = ChatLog.render_line(reader.log, last)
        background = next(iter(ChatLog.render_line(reader.log, last + 1))).style
        marked = [s for s in row if s.style and background and s.style.bgcolor != background.bgcolor]
        assert "".join(segment.text for segment in marked) == "end"


async def test_a_selection_stays_with_its_text_while_a_reply_grows() -> None:
    async with reading([*numbered(3), bot("r", "", streaming=True)]) as reader:
        copied = await drag(reader, (2, 0), (10, 1))
        await reader.stream(bot("r", "", streaming=True), "x\n\n" * 9)
        assert copied
        assert reader.app.screen.get_selected_text() == copied


async def test_two_clicks_select_a_word_and_three_the_message() -> None:
    async with reading([user("0", "see https://example.org/a now"), bot("1", "one\n\ntwo")]) as reader:
        await reader.pilot.click(ChatLog, offset=(12, 1), times=2)
        assert reader.app.screen.get_selected_text() == "https://example.org/a"
        await reader.pilot.click(ChatLog, offset=(3, 4), times=3)
        assert reader.app.screen.get_selected_text() == "one\n\ntwo"


async def test_everything_can_be_copied_without_laying_it_out() -> None:
    async with reading(markdown_chat(100)) as reader:
        reader.log.text_select_all()
        text = reader.app.screen.get_selected_text() or ""
        assert text.startswith("Model\nTitle 0\n")
        assert text.endswith("last of 99")
        assert text.count("last of") == 100
        assert sum(view.is_laid_out for view in reader.log._column.views) < 6


# The rule between what the model reads and what it does not


RULE = "── the model no longer reads what is above ──"


def outside(entry: ChatEntry) -> ChatEntry:
    return replace(entry, outside=True)


def rules(reader: Reader) -> list[int]:
    return [y for y, row in enumerate(reader.rows()) if "no longer read" in row]


async def test_a_rule_parts_what_the_model_reads_from_what_it_does_not() -> None:
    entries = numbered(4, 1)
    entries[:2] = map(outside, entries[:2])
    async with reading(entries, (60, 20)) as reader:
        rows = reader.rows()
        assert rows[4:9] == ["  message 1 line 0", "", rows[6], "", "  You"]
        assert rows[6].startswith(f"  {RULE}") and set(rows[6][len(RULE) :]) == {"─"}
        assert rules(reader) == [6]


async def test_there_is_one_rule_below_the_last_message_outside() -> None:
    entries = numbered(6, 1)
    for index in (0, 3):
        entries[index] = outside(entries[index])
    async with reading(entries, (60, 30)) as reader:
        assert rules(reader) == [12]
        # It goes along as more messages, or fewer, are outside.
        reader.log.update(outside(entries[4]))
        assert rules(reader) == [15]
        for index in (4, 3):
            reader.log.update(replace(entries[index], outside=False))
        assert rules(reader) == [3]
        reader.log.update(replace(entries[0], outside=False))
        assert rules(reader) == [] and len([row for row in reader.rows() if row]) == 12


async def test_below_the_last_message_of_all_there_is_no_rule() -> None:
    entries = list(map(outside, numbered(2, 1)))
    async with reading(entries, (60, 20)) as reader:
        assert rules(reader) == []
        reader.log.append(user("new", "inside"))
        assert rules(reader) == [6]
        reader.log.remove_from("new")
        assert rules(reader) == []
        reader.log.set_entries([*entries, user("new", "inside")])
        assert rules(reader) == [6]
        reader.log.set_entries(numbered(3, 1))
        assert rules(reader) == []


@pytest.mark.parametrize("width", [20, 30, 40, 44, 48, 49, 200])
async def test_the_rule_fits_every_width(width: int) -> None:
    entries = numbered(2, 1)
    async with reading([outside(entries[0]), entries[1]], (width, 12)) as reader:
        rule = reader.rows()[3]
        assert "read" in rule and "─" in rule and len(rule) == width - 2
        assert ("the model no longer" in rule) == (width >= 49)


async def test_what_the_reader_sees_stays_as_messages_go_outside() -> None:
    entries = numbered(40)
    async with reading(entries) as reader:
        await reader.press("pageup", "pageup", "pageup")
        seen = reader.rows()
        assert not reader.log.following
        for entry in entries[:10]:
            reader.log.update(outside(entry))
        await reader.pilot.pause()
        assert reader.rows() == seen
        # Now the rule is put into what is seen: what is in the first row stays there.
        at = next(int(row.split()[1]) for row in seen if "message" in row)
        for entry in entries[: at + 1]:
            reader.log.update(outside(entry))
        await reader.pilot.pause()
        assert reader.rows()[0].split("·")[0].rstrip() == seen[0] and len(rules(reader)) == 1
        for entry in entries[: at + 1]:
            reader.log.update(entry)
        await reader.pilot.pause()
        assert reader.rows() == seen


async def test_the_end_stays_in_view_as_messages_go_outside() -> None:
    entries = numbered(12)
    async with reading(entries) as reader:
        reader.log.update(outside(entries[10]))
        await reader.pilot.pause()
        assert reader.log.following and reader.log.max_scroll_y == round(reader.log.scroll_y)
        assert reader.rows()[-2] == "  message 11 line 2" and len(rules(reader)) == 1


async def test_the_rule_is_not_copied() -> None:
    entries = [bot("0", "above"), user("1", "below")]
    for first in (entries[0], outside(entries[0])):
        async with reading([first, entries[1]], (60, 12)) as reader:
            reader.log.text_select_all()
            copied = reader.app.screen.get_selected_text()
            label = " · outside the context" if first.outside else ""
            assert copied == f"Model{label}\nabove\n\nYou\nbelow"
            assert reader.log.copied_text("0") == "above"


async def test_the_mark_of_a_message_is_not_drawn_beside_the_rule() -> None:
    entries = numbered(2, 1)
    async with reading([outside(entries[0]), entries[1]], (60, 12)) as reader:
        reader.log.enter_message_mode("0")
        assert [row[:1] for row in reader.rows()[:6]] == ["▌", "▌", "", " ", "", " "]
