"""The panel of the context, by keys and by mouse."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.panel_host import PanelReader, panel_on_screen

from easy_llama_tui.chats.context_window import Policy, Window
from easy_llama_tui.replies.inspection import Inspection
from easy_llama_tui.widgets.context_panel import ContextPanel, MessageLine
from easy_llama_tui.widgets.context_share import Shares, draw_bar, legend_lines, shares_of

MESSAGES = (
    MessageLine("s", "system", "You are kind.", False),
    MessageLine("a", "user", "The dog says woof.", False),
    MessageLine("b", "bot", "The cat says meow.", False),
    MessageLine("c", "user", "And the cow?", True),
    MessageLine("d", "bot", "It says moo.", False),
)
INSPECTION = Inspection(
    costs=(("s", 30), ("a", 1100), ("b", 20), ("c", 25), ("d", 15)),
    system=30,
    history=1160,
    draft=11,
    reply_opening=3,
    room=2048,
    window=Window(frozenset(), ("a", "b"), True, 1204),
)


async def show(
    reader: PanelReader[ContextPanel],
    inspection: Inspection = INSPECTION,
    messages: tuple[MessageLine, ...] = MESSAGES,
    length: int = 8192,
    policy: Policy = Policy.DROP_OLDEST,
) -> None:
    reader.panel.show_facts(length, 180_000_000, 1180, 24)
    reader.panel.show_policy(policy)
    reader.panel.show_inspection(inspection, messages)
    reader.panel.focus_first()
    await reader.pilot.pause()


def posted(reader: PanelReader[ContextPanel], kind: type) -> list[object]:
    return [next(iter(vars_of(one))) for one in reader.posted if isinstance(one, kind)]


def vars_of(message: object) -> list[object]:
    return [getattr(message, name) for name in getattr(message, "__dataclass_fields__", {})]


async def test_how_full_it_is_is_said_in_numbers_and_drawn() -> None:
    async with panel_on_screen(ContextPanel(), size=(40, 24)) as reader:
        await show(reader)
        assert reader.rows()[0] == "Used 1,204 of 8,192 (15 %)"
        bar = reader.rows()[1]
        assert bar == "█" + "▓" * 5 + "▒" + "░" * 10 + "·" * 23
        text = reader.text()
        for part in ("█ system 30", "▓ history 1,160", "▒ draft 11", "░ reply 3+2,048", "· free 4,940"):
            assert part in text
        assert "Last turn: 1,180 reused, 24 read" in text
        assert "KV cache 180 MB" in text
        assert "⚠" not in text


async def test_each_message_says_what_it_costs_and_what_becomes_of_it() -> None:
    async with panel_on_screen(ContextPanel(), size=(40, 24)) as reader:
        outside = replace(INSPECTION, window=Window(frozenset({"a"}), ("b",), True, 104))
        await show(reader, outside)
        assert reader.row_with("You are kind").split()[0] == "sys"
        assert reader.row_with("The dog").split() == ["you", "The", "dog", "says", "woof.", "out", "1,100"]
        assert reader.row_with("The cat").split()[-3:] == ["next", "out", "20"]
        assert reader.row_with("And the cow").split()[-2:] == ["●pin", "25"]
        assert reader.row_with("It says").split() == ["▸bot", "It", "says", "moo.", "15"]
        # What is left out is no part of what is used.
        assert "Used 104 of 8,192 (1 %)" in reader.text() and "history 60" in reader.text()
        assert "Next to be left out: 'The cat says meow.'" in reader.text().replace("\n", " ")


async def test_a_message_is_pinned_and_shown_by_keys() -> None:
    async with panel_on_screen(ContextPanel()) as reader:
        await show(reader)
        await reader.press("p", "up", "enter", "home", "p", "down", "k", "j", "enter")
        assert posted(reader, ContextPanel.PinToggled) == ["d", "s"]
        assert posted(reader, ContextPanel.MessageChosen) == ["c", "a"]


async def test_by_mouse_a_first_click_marks_a_message_and_a_second_one_shows_it() -> None:
    async with panel_on_screen(ContextPanel()) as reader:
        await show(reader)
        await reader.click("The dog")
        assert not reader.posted and "▸you The dog" in reader.text()
        await reader.click("The dog")
        assert posted(reader, ContextPanel.MessageChosen) == ["a"]


async def test_the_policy_is_stepped_by_keys_and_mouse() -> None:
    async with panel_on_screen(ContextPanel(), size=(60, 24)) as reader:
        await show(reader)
        assert "When full ‹ leave out the oldest ›" in reader.text()
        await reader.press("right")
        assert "When full ‹ keep the first and the newest ›" in reader.text()
        await reader.press("o", "o", "left")
        await reader.click("When full")
        assert posted(reader, ContextPanel.PolicyChosen) == [
            *(Policy.KEEP_FIRST, Policy.STOP, Policy.DROP_OLDEST, Policy.STOP, Policy.DROP_OLDEST)
        ]


async def test_before_something_is_left_out_it_is_said() -> None:
    async with panel_on_screen(ContextPanel(), size=(90, 24)) as reader:
        soon = "⚠ The next turns will leave out the oldest messages."
        await show(reader, replace(INSPECTION, room=500), length=2048)
        assert soon not in reader.text()
        # A twentieth of the context is left beside the room for the reply.
        await show(reader, replace(INSPECTION, room=741), length=2048)
        assert soon not in reader.text()
        await show(reader, replace(INSPECTION, room=742), length=2048)
        assert soon in reader.text()
        none_next = Window(frozenset(), (), True, 1204)
        stop = replace(INSPECTION, room=800, window=none_next)
        await show(reader, stop, length=2048, policy=Policy.STOP)
        assert "⚠ The context is nearly full, and nothing is left out: the chat stops there." in reader.text()
        await show(reader, stop, length=2048)
        assert "⚠ The context is nearly full, and nothing more can be left out." in reader.text()
        full = replace(INSPECTION, room=700, window=Window(frozenset(), (), False, 3000))
        await show(reader, full, length=2048)
        assert "⚠ This does not fit the context" in reader.text()
        await show(reader, Inspection(error="The [b]template[/b] fails."))
        assert "⚠ The [b]template[/b] fails." in reader.text()


@pytest.mark.parametrize("used", [120, 960])
async def test_what_is_left_out_is_said_without_alarm_while_there_is_room(used: int) -> None:
    async with panel_on_screen(ContextPanel(), size=(40, 24)) as reader:
        # The last exchange was long, nothing can be left out next, and yet there is room.
        costs = (("s", 30), ("a", 900), ("b", 900), ("c", 40), ("d", 50))
        outside = Window(frozenset({"a", "b"}), (), True, used)
        inspection = Inspection(costs=costs, system=30, history=1890, room=512, window=outside)
        await show(reader, inspection, length=2048)
        assert "⚠" not in reader.text() and "full, and" not in reader.text()
        assert "2 older messages are left out." in reader.text()
        one = replace(inspection, window=Window(frozenset({"a"}), (), True, used))
        await show(reader, one, length=2048)
        assert "1 older message is left out." in reader.text()
        await show(reader, replace(inspection, window=Window(frozenset(), (), True, used)), length=2048)
        assert "left out." not in reader.text() and "⚠" not in reader.text()


@pytest.mark.parametrize(
    ("used", "width", "words"),
    [
        (255, 40, "Used 255 of 256 (99 %)"),
        (256, 40, "Used 256 of 256 (100 %, full)"),
        (263, 40, "Used 263 of 256 (100 %, full)"),
        (430, 24, "430/256 (100 %, full)"),
        (430, 18, "430/256 full"),
    ],
)
async def test_more_than_all_of_it_is_full(used: int, width: int, words: str) -> None:
    async with panel_on_screen(ContextPanel(), size=(width, 24)) as reader:
        await show(reader, Inspection(history=used), length=256)
        assert reader.rows()[0] == words


async def test_what_the_format_begins_with_is_no_history() -> None:
    async with panel_on_screen(ContextPanel(), size=(60, 24)) as reader:
        inspection = Inspection(
            costs=(("a", 200), ("b", 300), ("draft", 9)), history=500, draft=9, reply_opening=3, format_own=22
        )
        messages = MESSAGES[1:3]
        await show(reader, replace(inspection, window=Window(frozenset(), (), True, 534)), messages)
        assert "▚ format 22" in reader.text() and "▓ history 500" in reader.text()
        # Where all are out, what is left is the format's, though its end may have been another.
        for used, own in ((31, 19), (36, 24)):
            out = Window(frozenset({"a", "b"}), (), True, used)
            await show(reader, replace(inspection, window=out), messages)
            assert f"Used {used} of 8,192" in reader.text()
            assert f"▚ format {own}" in reader.text() and "▓ history 0" in reader.text()
            assert reader.rows()[1].startswith("▚▒░")
        await show(reader)
        assert "format" not in reader.text()


async def test_a_thousand_messages_cost_as_much_as_those_in_view(monkeypatch: pytest.MonkeyPatch) -> None:
    many = tuple(MessageLine(f"m{at}", "user", f"words {at}", False) for at in range(1000))
    async with panel_on_screen(ContextPanel()) as reader:
        await show(reader, replace(INSPECTION, costs=tuple((line.id, 3) for line in many)), many)
        assert "▸you words 999" in reader.text()
        drawn: list[int] = []
        inner = reader.panel._list.draw_row
        monkeypatch.setattr(reader.panel._list, "draw_row", lambda at, w: drawn.append(at) or inner(at, w))
        await reader.press("up")
        assert "▸you words 998" in reader.text()
        assert 0 < len(drawn) <= 60
        await reader.press("home")
        assert "▸you words 0 " in reader.text()


async def test_the_cursor_stays_on_its_message_or_at_the_end() -> None:
    more = (*MESSAGES, MessageLine("e", "user", "More.", False))
    async with panel_on_screen(ContextPanel()) as reader:
        await show(reader)
        await show(reader, messages=more)
        assert "▸you More." in reader.text()
        await reader.press("up", "up")
        await show(reader, messages=more[1:-1])
        assert "▸you And the cow?" in reader.text()
        await show(reader, messages=())
        assert "No messages yet." in reader.text() and "▸" not in reader.text()
        await reader.press("p", "enter", "up")
        assert not reader.posted


@pytest.mark.parametrize("size", [(24, 8), (24, 14), (36, 8), (60, 40), (2, 2)])
async def test_in_a_low_panel_the_most_important_stays(size: tuple[int, int]) -> None:
    async with panel_on_screen(ContextPanel(), size=size) as reader:
        await show(reader)
        if size[0] > 2:
            assert "1,204" in reader.text() and "15 %" in reader.text()
            assert "▸bot It says" in reader.text()
            assert "ull ‹" in reader.text()


async def test_without_a_model_nothing_is_claimed() -> None:
    async with panel_on_screen(ContextPanel()) as reader:
        assert "No model is loaded yet." in reader.text()
        assert "KV cache" not in reader.text() and "Last turn" not in reader.text()


def test_a_system_message_that_is_left_out_is_no_part_of_the_system_share() -> None:
    messages = (*MESSAGES[:3], MessageLine("t", "system", "Be brief.", False))
    inspection = Inspection(
        costs=(("s", 30), ("a", 100), ("b", 20), ("t", 7)),
        system=37,
        history=120,
        window=Window(frozenset({"a", "b", "t"}), (), True, 30),
    )
    shares = shares_of(inspection, messages, 100)
    assert (shares.system, shares.history, shares.free) == (30, 0, 70)


counts = st.integers(0, 5000)


@given(counts, counts, counts, counts, counts, counts, counts, st.integers(1, 60))
def test_the_bar_is_as_wide_as_asked_and_shows_every_part(
    own: int, system: int, history: int, draft: int, opening: int, room: int, free: int, width: int
) -> None:
    shares = Shares(own, system, history, draft, opening, room, free)
    bar = draw_bar(shares, width).plain
    parts = (own, system, history, draft, opening + room, free)
    assert len(bar) == (width if any(parts) else 0)
    if width >= 6:
        assert [glyph in bar for glyph in "▚█▓▒░·"] == [part > 0 for part in parts]
    assert all(line.cell_length <= max(width, 20) for line in legend_lines(shares, width))


@given(counts, counts, counts, counts, st.integers(0, 20), counts, st.integers(1, 9000))
def test_the_shares_are_the_context(
    own: int, system: int, history: int, draft: int, opening: int, room: int, context: int
) -> None:
    inspection = Inspection((), system, history, draft, opening, room, own)
    shares = shares_of(inspection, (), context)
    assert shares.used == inspection.total
    assert (shares.own, shares.history) == (own, history)
    assert shares.used + shares.room + shares.free == max(context, shares.used)


async def test_what_came_while_it_was_closed_is_shown_when_it_opens() -> None:
    async with panel_on_screen(ContextPanel()) as reader:
        await show(reader)
        reader.panel.display = False
        await reader.pilot.pause()
        reader.panel.show_facts(4096, None, 0, 0)
        reader.panel.show_inspection(
            Inspection(costs=(("x", 9),), history=9), (MessageLine("x", "user", "Late", False),)
        )
        await reader.pilot.pause()
        reader.panel.display = True
        await reader.until(lambda: "Late" in reader.text())
        assert "Used 9 of 4,096 (0 %)" in reader.text() and "KV cache" not in reader.text()
