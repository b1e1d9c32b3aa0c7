"""The sampler panel: what the keys and the mouse change, what is marked, and what is told."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

import pytest
from support.themed_app import ThemedApp
from support.waiting import until
from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.message import Message
from textual.pilot import Pilot
from textual.widgets import Input

from easy_llama.events import Candidate, Distribution
from easy_llama.samplers import PRESETS, DefaultSampling, LowTempSampling, SamplerSettings
from easy_llama_tui.widgets.distribution_bars import DistributionBars
from easy_llama_tui.widgets.sampler_guide import SamplerGuide
from easy_llama_tui.widgets.sampler_panel import SamplerPanel
from easy_llama_tui.widgets.sampler_rows import SamplerRows
from easy_llama_tui.widgets.sampler_text_area import SamplerTextArea

MINE = DefaultSampling.replace(temp=1.3, min_p=0.1)
DISTRIBUTION = Distribution(
    (
        Candidate(1, " meow", 0.5, 0.75),
        Candidate(2, "\n", 0.25, 0.25),
        Candidate(3, "\x1b[31m\u202e", 0.0001, 0.0),
    ),
    2,
)


class Host(ThemedApp):
    """A screen with the panel, that answers each change as the chat does."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.panel = SamplerPanel(id="sampler")
        self.panel.styles.width = width
        self.presets: dict[str, SamplerSettings] = {**PRESETS, "mine": MINE}
        self.posted: list[Message] = []
        self.escapes = 0
        self.answers = True

    def compose(self) -> ComposeResult:
        with Horizontal():
            prompt = Input(id="prompt")
            prompt.styles.width = 20
            yield prompt
            yield self.panel

    def on_mount(self) -> None:
        self.panel.focus_first()

    def on_key(self, event: events.Key) -> None:
        self.escapes += event.key == "escape"

    def on_sampler_panel_settings_changed(self, message: SamplerPanel.SettingsChanged) -> None:
        self.posted.append(message)
        if self.answers:
            self.panel.show_settings(message.settings, message.preset_name, self.presets, 1234)

    def on_sampler_panel_preset_saved(self, message: SamplerPanel.PresetSaved) -> None:
        self.posted.append(message)
        self.presets[message.preset_name] = message.settings

    def on_sampler_panel_preset_deleted(self, message: SamplerPanel.PresetDeleted) -> None:
        self.posted.append(message)
        del self.presets[message.preset_name]


class Shown:
    """The panel in a running app, and what a person sees of it."""

    def __init__(self, pilot: Pilot[None], app: Host) -> None:
        self.pilot, self.app = pilot, app

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)

    async def type(self, text: str) -> None:
        names = {" ": "space", "\n": "enter"}
        await self.press(*(names.get(character, character) for character in text))

    async def go_to(self, name: str) -> None:
        await self.press("home")
        for _ in range(60):
            if self.line("›").lstrip("›").startswith(name):
                return
            await self.press("down")
        raise AssertionError(name)

    async def until(self, condition: Callable[[], object]) -> None:
        await until(self.pilot, condition)

    @property
    def rows(self) -> str:
        return self.app.query_one(SamplerRows).render().plain

    @property
    def error(self) -> str:
        """What is wrong, and all below it, as one line."""
        below = self.rows.partition("⚠")[2]
        return " ".join("".join(character for character in below if character not in "┃│").split())

    @property
    def guide(self) -> str:
        return self.app.query_one(SamplerGuide).render().plain

    @property
    def bars(self) -> str:
        bars = self.app.query_one(DistributionBars)
        return bars.render().plain if bars.display else ""

    def line(self, part: str) -> str:
        """Return the first row that holds `part`, without the bar at its end."""
        found = next((line for line in self.rows.split("\n") if part in line), "")
        return found.rstrip("┃│")

    @property
    def settings(self) -> SamplerSettings:
        """What was posted last."""
        message = self.app.posted[-1]
        assert isinstance(message, SamplerPanel.SettingsChanged)
        return message.settings

    @property
    def preset(self) -> str:
        message = self.app.posted[-1]
        assert isinstance(message, SamplerPanel.SettingsChanged)
        return message.preset_name


@asynccontextmanager
async def panel(
    settings: SamplerSettings = DefaultSampling,
    preset: str = "DefaultSampling",
    *,
    width: int = 36,
    height: int = 36,
    last_seed: int | None = 1234,
) -> AsyncIterator[Shown]:
    app = Host(width)
    async with app.run_test(size=(width + 20, height)) as pilot:
        app.panel.show_settings(settings, preset, app.presets, last_seed)
        await pilot.pause()
        yield Shown(pilot, app)


# What is shown


async def test_values_are_shown_and_what_differs_from_the_preset_is_marked() -> None:
    async with panel(DefaultSampling.replace(top_k=50, min_p=None)) as shown:
        assert shown.line("preset").split() == ["preset", "DefaultSampling", "*"]
        assert shown.line("temp").split() == ["›temp", "‹", "0.80", "›"]
        assert shown.line("top_k").split()[:3] == ["top_k", "50", "*"]
        assert shown.line("min_p").split()[:3] == ["min_p", "off", "*"]
        assert "*" not in shown.line("top_p")
        assert "drawn anew (last 1234)" in shown.line("seed")
        assert "Temperature" in shown.guide and "0 or more · 1 is off" in shown.guide


async def test_as_the_preset_says_nothing_is_marked() -> None:
    async with panel(LowTempSampling, "LowTempSampling", height=60) as shown:
        assert "*" not in shown.rows and "LowTempSampling" in shown.rows
        for name in ("json_schema", "dry_base", "mirostat_tau", "logit_bias"):
            assert name in shown.rows


async def test_what_has_no_effect_stands_in_brackets_and_says_why() -> None:
    async with panel(DefaultSampling.replace(temp=0.0)) as shown:
        assert "(40)" in shown.line("top_k")
        await shown.go_to("top_k")
        assert "No effect now: temp is 0." in shown.guide


@pytest.mark.parametrize(
    ("width", "height"), [(24, 8), (36, 12), (60, 8), (24, 24), (36, 24), (24, 50), (60, 50)]
)
async def test_nothing_is_wider_or_higher_than_the_panel(width: int, height: int) -> None:
    async with panel(width=width, height=height) as shown:
        shown.app.panel.show_distribution(DISTRIBUTION)
        for name in ("temp", "dry_sequence_breakers", "json_schema"):
            await shown.go_to(name[:8])
            await shown.pilot.pause()
            for part in (SamplerRows, SamplerGuide, DistributionBars):
                widget = shown.app.query_one(part)
                content = widget.render()
                lines = content.split("\n")
                assert max(line.cell_length for line in lines) <= width
                assert not widget.display or len(lines) <= widget.size.height
            assert shown.line("›")
            assert shown.app.query_one(SamplerRows).size.height >= 4
            assert shown.guide.strip()
            parts = [shown.app.query_one(part) for part in (SamplerRows, SamplerGuide, DistributionBars)]
            assert sum(part.size.height for part in parts if part.display) == height


async def test_the_list_stays_where_it_is_as_the_cursor_moves() -> None:
    async with panel() as shown:
        shown.app.panel.show_distribution(DISTRIBUTION)
        heights = set()
        for _ in range(30):
            await shown.press("j")
            await shown.pilot.pause()
            heights.add(shown.app.query_one(SamplerRows).size.height)
        assert len(heights) == 1
        assert shown.line("›").startswith("›json_schema")
        await shown.press("g")
        assert shown.line("›").startswith("›preset")


# Changing values


async def test_steps_change_at_once_and_undo_goes_back() -> None:
    async with panel() as shown:
        await shown.press("right")
        assert shown.settings == DefaultSampling.replace(temp=0.85)
        assert shown.line("temp").split()[:5] == ["›temp", "‹", "0.85", "›", "*"]
        await shown.press("-", "minus", "h", "left")
        await shown.until(lambda: shown.settings.temp == 0.65)
        await shown.press("down", "plus", "l")
        assert (shown.settings.temp, shown.settings.top_k) == (0.65, 60)
        await shown.press("u", "u", "u")
        assert shown.settings == DefaultSampling.replace(temp=0.7)
        await shown.press(*["u"] * 5)
        assert shown.settings == DefaultSampling
        assert "nothing to undo" in shown.guide


async def test_keys_that_come_together_all_count_whatever_is_answered_meanwhile() -> None:
    async with panel() as shown:
        for _ in range(10):
            shown.app.panel.post_message(events.Key("right", None))
        await shown.until(lambda: len(shown.app.posted) == 10)
        await shown.pilot.pause()
        assert shown.settings.temp == 1.3
        assert "1.30" in shown.line("temp")


async def test_a_late_answer_to_an_earlier_key_takes_nothing_back() -> None:
    async with panel() as shown:
        shown.app.answers = False
        await shown.press("right", "right", "right")
        late = DefaultSampling.replace(temp=0.85)
        shown.app.panel.show_settings(late, "DefaultSampling", shown.app.presets, 1234)
        assert "0.95" in shown.line("temp")
        await shown.press("right")
        assert shown.settings.temp == 1.0
        shown.app.panel.show_settings(LowTempSampling, "LowTempSampling", shown.app.presets, 1234)
        assert "0.40" in shown.line("temp")


async def test_a_number_is_typed_in_place() -> None:
    async with panel() as shown:
        await shown.press("enter")
        assert "[0.8" in shown.line("temp")
        await shown.type("0.33")
        assert "[0.33" in shown.line("temp")
        assert shown.app.posted == []
        await shown.press("enter")
        assert shown.settings == DefaultSampling.replace(temp=0.33)
        assert "0.33" in shown.line("temp") and "[" not in shown.line("temp")


async def test_the_keys_of_a_line_edit_what_is_typed() -> None:
    async with panel() as shown:
        await shown.press("enter", "end", "backspace", "5", "home", "right", "delete", ".", "enter")
        assert shown.settings.temp == 0.5
        await shown.press("enter", "ctrl+u")
        shown.app.panel.post_message(events.Paste("1.\r\n25"))
        await shown.until(lambda: "[1. 25" in shown.line("temp"))
        await shown.press("left", "left", "backspace", "down")
        assert shown.settings.temp == 1.25
        assert shown.line("›").startswith("›top_k")


async def test_a_digit_begins_to_type() -> None:
    async with panel() as shown:
        await shown.press("down", "7", "enter")
        assert shown.settings.top_k == 7
        await shown.press("down", ".", "5", "enter")
        assert shown.settings.top_p == 0.5


@pytest.mark.parametrize("key", ["pageup", "pagedown"])
async def test_what_is_typed_stays_with_its_setting(key: str) -> None:
    async with panel() as shown:
        await shown.press("0", ".", "4", key)
        assert "[0.4" in shown.line("temp") and shown.line("›").startswith("›temp")
        await shown.press("enter")
        assert shown.settings == DefaultSampling.replace(temp=0.4)
        await shown.press("s", *"mine", "up", "down", key, "escape")
        assert shown.line("›").startswith("›temp")


async def test_escape_leaves_the_value_and_is_not_told_to_the_screen() -> None:
    async with panel() as shown:
        await shown.press("enter", "9", "escape")
        assert shown.app.posted == [] and "0.80" in shown.line("temp")
        assert shown.app.escapes == 0
        await shown.press("escape")
        assert shown.app.escapes == 1


async def test_a_wrong_value_says_why_and_stays_until_it_is_corrected() -> None:
    async with panel() as shown:
        await shown.go_to("top_p")
        await shown.press("enter", *"1.5", "enter")
        assert "[1.5" in shown.line("top_p")
        assert shown.error.startswith("top_p must be from 0 to 1")
        assert shown.app.posted == []
        await shown.press("enter", "down")
        assert "⚠" in shown.rows and "[1.5" in shown.line("›top_p")
        await shown.press("home", "delete", "0")
        assert "⚠" not in shown.rows
        await shown.press("enter")
        assert shown.settings.top_p == 0.5
        await shown.press("enter", "x", "enter")
        assert shown.error.startswith("top_p must be a number")
        await shown.press("escape")
        assert "⚠" not in shown.rows and "0.50" in shown.line("top_p")


async def test_switching_off_and_on_again() -> None:
    async with panel(DefaultSampling.replace(top_k=60)) as shown:
        await shown.press("down", "o")
        assert shown.settings.top_k == -1 and "off" in shown.line("top_k")
        await shown.press("o")
        assert shown.settings == DefaultSampling
        await shown.go_to("typical_p")
        await shown.press("o")
        assert shown.settings.typical_p == 0.95
        await shown.press("right", "right")
        assert shown.settings.typical_p == 1.0
        await shown.go_to("dry_base")
        number = len(shown.app.posted)
        await shown.press("o")
        assert "belongs to dry_multiplier" in shown.guide.replace("\n", " ")
        assert len(shown.app.posted) == number


async def test_going_back_to_the_preset() -> None:
    async with panel(DefaultSampling.replace(temp=0.1, top_k=3, dry_base=2.0)) as shown:
        await shown.press("delete", "down", "backspace")
        assert shown.settings == DefaultSampling.replace(dry_base=2.0)
        await shown.press("home", "backspace")
        assert shown.settings == DefaultSampling
        assert "*" not in shown.line("preset")


async def test_the_seed_is_fixed_and_drawn_anew() -> None:
    async with panel(last_seed=None) as shown:
        await shown.press("f")
        assert "No seed was drawn yet" in shown.guide and shown.app.posted == []
        shown.app.panel.show_settings(DefaultSampling, "DefaultSampling", shown.app.presets, 77)
        await shown.press("f")
        assert shown.settings.seed == 77
        assert "fixed 77 *" in shown.line("seed")
        await shown.press("f")
        assert shown.settings.seed is None
        await shown.go_to("seed")
        await shown.press("right")
        assert "type one" in shown.guide
        await shown.press("5", "enter", "right")
        assert shown.settings.seed == 6
        await shown.press("enter", *"new", "enter")
        assert shown.settings.seed is None and "drawn anew" in shown.line("seed")
        await shown.press("enter", *"-1", "enter")
        assert shown.error.startswith("seed must be at least 0")


# Texts


async def test_a_grammar_is_written_in_several_lines() -> None:
    async with panel() as shown:
        await shown.go_to("grammar")
        await shown.press("enter")
        await shown.until(lambda: shown.app.focused is shown.app.query_one(SamplerTextArea))
        assert "grammar" in shown.rows and "^S F12 set" in shown.guide
        area = shown.app.query_one(SamplerTextArea)
        assert area.size.height > 20
        await shown.type('root ::= a\na ::= "b"')
        await shown.press("ctrl+j", "#")
        await shown.press("ctrl+s")
        assert shown.settings.grammar == 'root ::= a\na ::= "b"\n#'
        assert not area.display
        await shown.until(lambda: shown.app.focused is shown.app.panel)
        assert "3 lines" in shown.line("grammar")
        await shown.press("enter")
        await shown.until(lambda: area.has_focus)
        await shown.press("x", "escape")
        assert len(shown.app.posted) == 1 and shown.app.escapes == 0
        await shown.until(lambda: shown.app.focused is shown.app.panel)
        await shown.press("o")
        assert shown.settings.grammar is None
        await shown.press("o")
        assert shown.settings.grammar == 'root ::= a\na ::= "b"\n#'


@pytest.mark.parametrize(
    ("name", "text", "reason", "corrected"),
    [
        ("json_schema", "{", "json_schema must be a JSON schema", '{"type": "object"}'),
        ("logit_bias", "five", "logit_bias, line 1", "5 = -inf"),
    ],
)
async def test_a_wrong_text_says_why_and_stays(name: str, text: str, reason: str, corrected: str) -> None:
    async with panel() as shown:
        await shown.go_to(name)
        await shown.press("enter")
        area = shown.app.query_one(SamplerTextArea)
        await shown.until(lambda: area.has_focus)
        await shown.type(text)
        await shown.press("f12")
        assert shown.error.startswith(reason) and area.text == text and area.has_focus
        assert shown.app.posted == []
        area.text = corrected
        await shown.press("ctrl+s")
        assert getattr(shown.settings, name) != getattr(DefaultSampling, name)
        assert "⚠" not in shown.rows


async def test_text_that_is_pasted_is_made_printable() -> None:
    async with panel() as shown:
        await shown.go_to("grammar")
        await shown.press("enter")
        area = shown.app.query_one(SamplerTextArea)
        await shown.until(lambda: area.has_focus)
        shown.app.post_message(events.Paste("a\r\nb\x1b[31m"))
        await shown.until(lambda: area.text)
        assert area.text == "a\nb␛[31m"


# Presets


async def test_arrows_step_through_the_presets_and_a_fixed_seed_stays() -> None:
    async with panel(DefaultSampling.replace(seed=5)) as shown:
        await shown.press("home", "right")
        assert (shown.preset, shown.settings) == (
            "ClassicSampling",
            PRESETS["ClassicSampling"].replace(seed=5),
        )
        await shown.press("left", "left", "left", "left")
        assert (shown.preset, shown.settings) == ("mine", MINE.replace(seed=5))
        await shown.press("u")
        assert shown.preset == "GreedyDecoding"


async def test_the_list_of_presets_is_chosen_from() -> None:
    async with panel() as shown:
        await shown.press("home", "enter")
        assert [line.strip(" ─┃│") for line in shown.rows.split("\n")[1:4]] == [
            "your own",
            "mine",
            "built in",
        ]
        assert shown.line("›").split()[:3] == ["›DefaultSampling", "in", "use"]
        await shown.press("end")
        assert "temp 1.20" in shown.guide
        await shown.press("escape")
        assert shown.app.posted == [] and shown.app.escapes == 0
        await shown.press("enter", "end", "enter")
        assert (shown.preset, shown.settings) == ("HighTempSampling", PRESETS["HighTempSampling"])
        assert "HighTempSampling" in shown.line("preset")


async def test_settings_are_saved_as_a_preset_of_ones_own() -> None:
    async with panel(DefaultSampling.replace(temp=0.2)) as shown:
        await shown.press("s")
        await shown.type("LowTempSampling\n")
        assert shown.error.startswith("LowTempSampling is a built-in") and shown.app.posted == []
        await shown.press("ctrl+u")
        await shown.type("cold one\n")
        (message,) = shown.app.posted
        assert isinstance(message, SamplerPanel.PresetSaved)
        assert (message.preset_name, message.settings) == ("cold one", DefaultSampling.replace(temp=0.2))
        assert shown.line("preset").split()[-2:] == ["cold", "one"]
        await shown.press("home", "enter")
        assert "cold one" in shown.rows and "mine" in shown.rows


async def test_another_preset_is_replaced_only_when_asked_twice() -> None:
    async with panel() as shown:
        await shown.press("s", *"mine", "enter")
        assert "Enter again replaces it" in shown.error and shown.app.posted == []
        await shown.press("enter")
        assert isinstance(shown.app.posted[-1], SamplerPanel.PresetSaved)
        await shown.press("right", "s", "enter")
        message = shown.app.posted[-1]
        assert isinstance(message, SamplerPanel.PresetSaved) and message.settings.temp == 0.85


async def test_only_own_presets_are_deleted_and_only_when_asked_twice() -> None:
    async with panel(MINE, "mine") as shown:
        await shown.press("home", "enter", "end", "delete", "delete")
        assert "is built in" in shown.guide and shown.app.posted == []
        await shown.press("home", "delete")
        assert "again to delete mine" in shown.guide and shown.app.posted == []
        await shown.press("down", "up", "delete")
        assert shown.app.posted == []
        await shown.press("delete")
        deleted, changed = shown.app.posted
        assert isinstance(deleted, SamplerPanel.PresetDeleted) and deleted.preset_name == "mine"
        assert isinstance(changed, SamplerPanel.SettingsChanged)
        assert (changed.preset_name, changed.settings) == ("DefaultSampling", MINE)
        assert "mine" not in shown.rows


async def test_settings_of_another_chat_end_what_was_being_edited() -> None:
    async with panel() as shown:
        await shown.press("right", "enter", "9")
        presets: Mapping[str, SamplerSettings] = shown.app.presets
        shown.app.panel.show_settings(LowTempSampling, "LowTempSampling", presets, None)
        assert "0.40" in shown.line("temp") and "[" not in shown.line("temp")
        await shown.press("u")
        assert "nothing to undo" in shown.guide
        shown.app.panel.show_settings(LowTempSampling, "LowTempSampling", presets, 99)
        assert "(last 99)" in shown.line("seed")


async def test_what_is_typed_stays_when_only_the_last_seed_is_new() -> None:
    async with panel() as shown:
        await shown.press("enter", "9")
        shown.app.panel.show_settings(DefaultSampling, "DefaultSampling", shown.app.presets, 99)
        assert "[9" in shown.line("temp")


async def test_names_of_presets_are_shown_as_text() -> None:
    async with panel() as shown:
        shown.app.panel.show_settings(MINE, "[red]\x1b[31m", {"[red]\x1b[31m": MINE}, None)
        assert "[red]␛[31m" in shown.line("preset")
        await shown.press("home", "enter")
        assert "[red]␛[31m" in shown.line("›")


# The mouse


async def test_all_of_it_works_by_mouse() -> None:
    async with panel() as shown:
        rows = shown.app.query_one(SamplerRows)
        top_k = next(y for y, line in enumerate(shown.rows.split("\n")) if "top_k" in line)
        await shown.pilot.click(rows, offset=(3, top_k))
        assert shown.line("›").startswith("›top_k")
        await shown.pilot.click(rows, offset=(shown.line("top_k").rindex("›"), top_k))
        assert shown.settings.top_k == 50
        await shown.pilot.click(rows, offset=(shown.line("top_k").index("‹"), top_k))
        await shown.pilot.click(rows, offset=(shown.line("top_k").index("‹"), top_k))
        assert shown.settings.top_k == 30
        await shown.pilot.click(rows, offset=(3, top_k))
        assert "[30" in shown.line("top_k")
        await shown.press("9")
        await shown.pilot.click(rows, offset=(3, 0))
        assert shown.settings.top_k == 9
        await shown.pilot.click(rows, offset=(3, 0))
        await shown.pilot.click(rows, offset=(3, 2))
        await shown.pilot.click(rows, offset=(3, 2))
        assert shown.preset == "mine"


async def test_what_a_key_does_can_be_clicked() -> None:
    async with panel(DefaultSampling.replace(top_k=50)) as shown:
        await shown.pilot.click("#prompt")

        async def click(hint: str) -> None:
            lines = shown.guide.split("\n")
            y = next(y for y, line in enumerate(lines) if hint in line)
            await shown.pilot.click(shown.app.query_one(SamplerGuide), offset=(lines[y].index(hint), y))
            await shown.pilot.pause()

        await click("o off")
        assert shown.settings.temp == 1.0
        await click("u undo")
        assert shown.settings.temp == 0.8
        await click("Enter type")
        await shown.press("2")
        await click("Enter set")
        assert shown.settings.temp == 2.0
        await click("⌫ preset's")
        assert shown.settings.temp == 0.8


async def test_the_wheel_scrolls_and_the_cursor_stays() -> None:
    async with panel(height=16) as shown:
        rows = shown.app.query_one(SamplerRows)
        assert shown.line("›temp")
        for _ in range(20):
            rows.on_mouse_scroll_down(events.MouseScrollDown(rows, 1, 3, 0, 1, 0, False, False, False))
        assert not shown.line("›temp") and shown.line("json_schema")
        await shown.press("down")
        assert shown.line("›top_k")


async def test_tab_leaves_it_and_the_cursor_is_still_seen() -> None:
    async with panel() as shown:
        await shown.press("tab")
        assert shown.app.focused is not None and shown.app.focused.id == "prompt"
        assert shown.line("›temp")
        await shown.press("shift+tab")
        assert shown.app.focused is shown.app.panel


# What the settings do


async def test_the_distribution_is_shown_before_and_after() -> None:
    async with panel() as shown:
        assert shown.bars == ""
        shown.app.panel.show_distribution(DISTRIBUTION)
        await shown.until(lambda: len(shown.bars.split("\n")) == 5)
        lines = [line.split() for line in shown.bars.split("\n")]
        assert lines[0] == ["2", "candidates", "survive"]
        assert lines[1] == ["before", "after"]
        assert lines[2] == ["·meow", "50.0%", "░░░░", "75.0%", "█████▎"]
        assert lines[3] == ["⏎", "25.0%", "░░", "25.0%", "█▊"]
        assert lines[4][1:] == ["<0.1%", "▏", "dropped"]
        assert "\x1b" not in shown.bars and "\u202e" not in shown.bars
        shown.app.panel.show_distribution(Distribution(DISTRIBUTION.candidates[:1], 1))
        await shown.until(lambda: "1 candidate survives" in shown.bars)
        shown.app.panel.show_distribution(None)
        await shown.until(lambda: shown.bars == "")
