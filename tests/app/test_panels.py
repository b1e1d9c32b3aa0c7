"""The panels beside the chat: what opens them, what they show of it, and what their choices change."""

from dataclasses import replace
from pathlib import Path

import pytest
from support.running_app import RunApp, Running, begin_chat
from support.scripted_engine import ScriptedEngine
from support.whole_app import WatchedEngine, click, notices, rows, text, until_seen
from textual.widgets import Input

from easy_llama.samplers import DefaultSampling, GreedyDecoding
from easy_llama_tui.chats.chat import Chat
from easy_llama_tui.chats.context_window import Policy
from easy_llama_tui.chats.session_store import SessionStore
from easy_llama_tui.preferences import remembered
from easy_llama_tui.preferences.config import AppearanceConfig, Config
from easy_llama_tui.replies.wording import ChatState
from easy_llama_tui.samplers.sampler_presets import load_presets

PANELS = {"f2": "format", "f4": "sampler", "f5": "candidates", "f9": "context"}
SEEN = {"format": "use it", "sampler": "top_k", "candidates": "Candidates", "context": "When full"}


@pytest.fixture(autouse=True)
def looks_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """How long is waited after the last key is tested by itself."""
    monkeypatch.setattr("easy_llama_tui.screens.panel_desk.LOOK_AFTER", 0.01)
    monkeypatch.setattr("easy_llama_tui.widgets.prompt_input.DRAFT_SECONDS", 0.01)


def opened(running: Running) -> str:
    side = running.screen.side_panel
    assert side.display == bool(side.shown_panel)
    return side.shown_panel


async def into_panel(running: Running) -> None:
    """From the prompt into a panel that was opened to be looked at."""
    await running.pilot.press("shift+tab")
    await running.until(lambda: running.screen.side_panel in running.app.focused.ancestors)


# Opening and closing


@pytest.mark.parametrize("key", PANELS)
async def test_a_key_opens_a_panel_and_closes_it(run_app: RunApp, key: str) -> None:
    async with run_app() as running:
        await running.exchange("Hello", "Hi")
        await running.pilot.press(key)
        assert opened(running) == PANELS[key]
        await until_seen(running, SEEN[PANELS[key]], "Hello")
        await running.pilot.press(key)
        assert opened(running) == ""
        await running.until(lambda: SEEN[PANELS[key]] not in text(running))
        await running.type("x")
        assert running.screen.prompt.text == "x"


async def test_a_panel_takes_the_place_of_another_and_the_keys_go_where_they_are_of_use(
    run_app: RunApp,
) -> None:
    async with run_app() as running:
        await running.until_state(ChatState.IDLE)
        for key, name in PANELS.items():
            await running.pilot.press(key)
            assert opened(running) == name
            await running.until(lambda name=name: SEEN[name] in text(running))
            others = [SEEN[other] for other in PANELS.values() if other != name]
            assert not [words for words in others if words in text(running)]
            has_keys = running.screen.side_panel in running.app.focused.ancestors_with_self
            assert has_keys == (name in ("format", "sampler"))
            assert has_keys or running.screen.prompt.has_focus


@pytest.mark.parametrize("key", PANELS)
async def test_esc_and_tab_lead_out_of_a_panel_which_stays(run_app: RunApp, key: str) -> None:
    async with run_app() as running:
        await running.until_state(ChatState.IDLE)
        await running.pilot.press(key)
        if running.screen.prompt.has_focus:
            await into_panel(running)
        await running.pilot.press("escape")
        await running.until(lambda: running.screen.prompt.has_focus)
        assert opened(running) == PANELS[key]
        await into_panel(running)
        for _ in range(4):  # a panel may have several stops
            if not running.screen.prompt.has_focus:
                await running.pilot.press("tab")
        assert running.screen.prompt.has_focus


async def test_the_panel_that_was_open_is_open_again_and_one_can_write_at_once(
    run_app: RunApp, tmp_path: Path
) -> None:
    async with run_app() as running:
        await running.until_state(ChatState.IDLE)
        await running.pilot.press("f4", "f9", "ctrl+q")
    known = remembered.load(tmp_path / "state.toml")
    assert known.panel == "context"
    async with run_app(panel=known.panel) as running:
        await until_seen(running, "When full")
        await running.type("x")
        assert running.screen.prompt.text == "x"
        await running.pilot.press("f9", "ctrl+q")
    assert remembered.load(tmp_path / "state.toml").panel == ""


async def test_the_panel_is_as_wide_as_the_configuration_says(run_app: RunApp) -> None:
    config = replace(Config(), appearance=AppearanceConfig(panel_width=30))
    async with run_app(config=config) as running:
        await running.until_state(ChatState.IDLE)
        await running.pilot.press("f9")
        await until_seen(running, "KV cache")
        assert running.screen.side_panel.outer_size.width == 30


# The format


async def test_a_format_is_found_by_typing_used_from_the_next_turn_and_saved(run_app: RunApp) -> None:
    async with run_app() as running:
        await running.until_state(ChatState.IDLE)
        running.engine.say("slow")
        await running.send("One")
        await running.until_state(ChatState.GENERATING)
        await running.pilot.press("f2")
        await running.type("alpaca")
        await running.pilot.press("enter")
        await running.until(lambda: running.screen.chat.format == "alpaca")
        assert running.screen.title_bar.description[1] == "alpaca"
        assert running.engine.requests[0].format == "template"
        running.engine.reply_with(" end")
        await running.until(lambda: running.path[-1].finish)
        await running.pilot.press("escape")
        await running.exchange("Two", "Yes")
        assert running.engine.requests[1].format == "alpaca"
        assert "### Instruction:" in running.engine.requests[1].text
        session = await running.saved()
        assert session.format == "alpaca"
        assert Chat.from_session(session).format == "alpaca"


async def test_the_prompt_is_previewed_in_the_format_under_the_cursor_without_using_it(
    run_app: RunApp,
) -> None:
    engine = WatchedEngine()
    async with run_app(engine) as running:
        await running.exchange("Hello", "Hi")
        await running.pilot.press("f2")
        # The scripted engine's tokens are numbered words: as many as the prompt has.
        length = len(engine.render(running.engine._turns, "template").ids)
        await until_seen(running, f"{length} tokens", "assistant")
        await running.type("alpaca")
        turns = [turn.turn for turn in running.screen.chat.conversation.turns()]
        other = len(engine.render(turns, "alpaca").ids)
        assert other != length
        await until_seen(running, f"{other} tokens")
        assert running.screen.chat.format == "template"
        await running.pilot.press("f2")
        await running.until(lambda: running.screen.title_bar.context_used == length)
        assert (await running.saved()).format == "template"


async def test_a_format_is_chosen_with_the_mouse(run_app: RunApp) -> None:
    async with run_app() as running:
        await running.until_state(ChatState.IDLE)
        await running.pilot.press("f2")
        await click(running, "chatml")
        assert running.screen.chat.format == "template"
        await click(running, "chatml")
        await running.until(lambda: running.screen.chat.format == "chatml")


# The sampler


async def test_a_changed_setting_is_followed_while_a_reply_is_written(run_app: RunApp) -> None:
    async with run_app() as running:
        await running.until_state(ChatState.IDLE)
        running.engine.say("slow")
        await running.send("Hello")
        await running.until_state(ChatState.GENERATING)
        before = running.screen.chat.sampler
        await running.pilot.press("f4", "right")
        await running.until(lambda: running.screen.chat.sampler != before)
        now = running.screen.chat.sampler
        assert now.temp > before.temp
        assert running.engine.requests[0].live.sampler == now
        running.engine.reply_with(" end")
        await running.until(lambda: running.path[-1].finish)
        assert Chat.from_session(await running.saved()).sampler == now
        await running.pilot.press("escape")
        await running.exchange("More", "Yes")
        assert running.engine.requests[1].sampler.replace(seed=None) == now


async def test_a_preset_is_chosen_by_keys_and_shown_at_the_top(run_app: RunApp) -> None:
    async with run_app() as running:
        await running.until_state(ChatState.IDLE)
        await running.pilot.press("f4", "home", "right")
        await running.until(lambda: running.screen.chat.preset_name != "DefaultSampling")
        name = running.screen.chat.preset_name
        assert running.screen.chat.sampler == running.screen.settings.presets[name]
        await running.until(lambda: running.screen.title_bar.description[2] == name)
        await running.pilot.press("u")
        await running.until(lambda: running.screen.chat.preset_name == "DefaultSampling")


async def test_settings_are_kept_as_a_preset_of_ones_own_and_found_in_the_next_start(
    run_app: RunApp, tmp_path: Path
) -> None:
    async with run_app() as running:
        await running.until_state(ChatState.IDLE)
        await running.pilot.press("f4", "right", "s")
        await running.type("mine")
        await running.pilot.press("enter")
        await running.until(lambda: running.screen.chat.preset_name == "mine")
        kept = running.screen.chat.sampler
        assert "Saved the preset mine." in notices(running)
    own, problems = load_presets(tmp_path / "samplers")
    assert (own, problems) == ({"mine": kept}, ())
    presets = {"DefaultSampling": DefaultSampling, "GreedyDecoding": GreedyDecoding, **own}
    async with run_app(presets=presets) as running:
        await running.until_state(ChatState.IDLE)
        await running.pilot.press("f4", "home", "enter", "home")
        await until_seen(running, "mine")
        panel = running.screen.side_panel.sampler_panel
        for _ in range(3):
            if panel._listed != "mine":
                await running.pilot.press("down")
        await running.pilot.press("enter")
        await running.until(lambda: running.screen.chat.preset_name == "mine")
        assert running.screen.chat.sampler == kept
        await running.pilot.press("enter", "delete", "delete")
        await running.until(lambda: "mine" not in running.screen.settings.presets)
        assert running.screen.chat.sampler == kept
        assert running.screen.chat.preset_name == "DefaultSampling"
    assert load_presets(tmp_path / "samplers")[0] == {}


async def test_a_preset_that_cannot_be_written_is_said(run_app: RunApp, tmp_path: Path) -> None:
    (tmp_path / "samplers").write_text("a file where the folder should be")
    async with run_app() as running:
        await running.until_state(ChatState.IDLE)
        await running.pilot.press("f4", "right", "s", "a", "enter")
        await running.until(lambda: "samplers" in notices(running))
        assert "a" not in running.screen.settings.presets


async def test_the_seed_of_the_last_reply_can_be_fixed(run_app: RunApp) -> None:
    async with run_app() as running:
        await running.exchange("Hello", "Hi")
        await running.pilot.press("f4", "f")
        await running.until(lambda: running.screen.chat.sampler.seed == 1)
        running.engine.reply_with("again")
        await running.pilot.press("ctrl+r")
        await running.until(lambda: len(running.engine.requests) == 2)
        # A re-roll is another reply.
        assert running.engine.requests[1].sampler.seed == 2


async def test_what_the_settings_do_to_the_next_token_is_seen_beside_them(run_app: RunApp) -> None:
    engine = WatchedEngine()
    async with run_app(engine) as running:
        await running.exchange("Hello", "Hi")
        await running.pilot.press("f4")
        await until_seen(running, "meow", "woof")
        looked = len(engine.looked)
        await running.pilot.press("right")
        await running.until(lambda: len(engine.looked) > looked)


async def test_a_setting_is_changed_with_the_mouse(run_app: RunApp) -> None:
    async with run_app() as running:
        await running.until_state(ChatState.IDLE)
        before = running.screen.chat.sampler
        await running.pilot.press("f4", "down")
        await until_seen(running, "‹ 40 ›")
        y, row = next((y, row) for y, row in enumerate(rows(running)) if "‹ 40 ›" in row)
        await running.pilot.click(offset=(row.index("40 ›") + 3, y))
        await running.until(lambda: running.screen.chat.sampler.top_k > before.top_k)


# The context


async def test_the_numbers_are_those_of_the_prompt(run_app: RunApp) -> None:
    engine = ScriptedEngine()
    async with run_app(engine, chat=begin_chat(system="Be brief, please.")) as running:
        await running.exchange("One two three", "four", " five")
        await running.pilot.press("f9")
        turns = [turn.turn for turn in running.screen.chat.conversation.turns()]
        length = len(engine.render(turns, "template").ids)
        await until_seen(running, f"Used {length} of 4,096")
        assert running.screen.title_bar.context_used == length
        inspection = running.screen.desk.inspection
        assert inspection.total == length
        assert sum(cost for _, cost in inspection.costs) == length - inspection.reply_opening
        assert "Last turn: 0 reused, 20 read" in text(running)
        assert "KV cache 94 MB" in text(running)
        await running.type("six seven")
        await running.until(lambda: running.screen.desk.inspection.draft)
        longer = [*turns, type(turns[0])("user", "six seven")]
        await until_seen(running, f"Used {len(engine.render(longer, 'template').ids)} of")


async def test_what_is_done_when_it_is_full_is_chosen_for_each_chat(
    run_app: RunApp, store: SessionStore
) -> None:
    async with run_app() as running:
        await running.exchange("Hello", "Hi")
        await running.pilot.press("f9")
        await into_panel(running)
        await running.pilot.press("right")
        await until_seen(running, "keep the first")
        assert running.screen.chat.policy is Policy.KEEP_FIRST
        await click(running, "When full")
        await until_seen(running, "stop and say so")
        assert (await running.saved()).policy is Policy.STOP
        name = running.screen.chat.id
        await running.pilot.press("ctrl+n")
        await running.until(lambda: running.screen.chat.policy is Policy.DROP_OLDEST)
        await until_seen(running, "leave out the oldest")
    async with run_app(chat=Chat.from_session(store.load(name)), panel="context") as running:
        await until_seen(running, "stop and say so")


async def test_a_message_is_pinned_and_found_from_the_panel(run_app: RunApp) -> None:
    async with run_app() as running:
        await running.exchange("First", "Hi")
        await running.exchange("Second", "Ho")
        await running.pilot.press("f9")
        await until_seen(running, "bot Ho")
        await into_panel(running)
        await running.pilot.press("home", "p")
        await until_seen(running, "●pin")
        assert [message.pinned for message in running.path] == [True, False, False, False]
        assert running.screen.chat_log.entries[0].pinned
        assert [message.pinned for message in (await running.saved()).messages].count(True) == 1
        await running.pilot.press("enter")
        await running.until(lambda: running.screen.chat_log.cursor_id == running.path[0].id)
        assert running.screen.chat_log.has_focus
        await running.pilot.press("p")
        await running.until(lambda: "●pin" not in text(running))


# Candidates


async def test_the_candidates_follow_a_reply_while_it_is_written(run_app: RunApp) -> None:
    async with run_app() as running:
        await running.until_state(ChatState.IDLE)
        await running.pilot.press("f5")
        running.engine.say("The", " cat")
        await running.send("Hello")
        await until_seen(running, "live, after", "meow", "survive")
        assert running.engine.requests[0].live.candidates == 10
        running.engine.reply_with(" says")
        await running.until(lambda: running.path[-1].finish)
        await running.until(lambda: "live" not in text(running))


async def test_a_panel_that_is_opened_while_a_reply_is_written_is_served_from_the_next_token(
    run_app: RunApp,
) -> None:
    async with run_app() as running:
        await running.until_state(ChatState.IDLE)
        running.engine.say("The")
        await running.send("Hello")
        await running.until_state(ChatState.GENERATING)
        live = running.engine.requests[0].live
        assert live.candidates == 0
        await running.pilot.press("f5")
        await running.until(lambda: live.candidates == 10)
        running.engine.say(" cat")
        await until_seen(running, "live, after", "meow")
        await running.pilot.press("f5")
        await running.until(lambda: live.candidates == 0)


async def test_the_candidates_for_a_draft_are_those_after_what_is_typed(run_app: RunApp) -> None:
    engine = WatchedEngine()
    async with run_app(engine) as running:
        await running.until_state(ChatState.IDLE)
        await running.pilot.press("f5")
        await running.type("the cat")
        await until_seen(running, 'after "the cat"', "meow")
        assert engine.looked[-1][0].endswith("the cat")
        assert engine.looked[-1][1] == 10
        assert running.path == ()


async def test_a_draft_is_looked_at_when_the_person_pauses_not_at_every_key(
    run_app: RunApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("easy_llama_tui.screens.panel_desk.LOOK_AFTER", 0.2)
    monkeypatch.setattr("easy_llama_tui.widgets.prompt_input.DRAFT_SECONDS", 0.15)
    engine = WatchedEngine()
    async with run_app(engine) as running:
        await running.until_state(ChatState.IDLE)
        await running.pilot.press("f5")
        running.screen.prompt.insert("a")
        for letter in "bcdefghij":
            running.screen.prompt.insert(letter)
            await running.pilot.pause()
        await running.until(lambda: engine.looked)
        assert len(engine.looked) == 1
        assert engine.looked[0][0].endswith("abcdefghij")


async def test_more_candidates_can_be_asked_for_which_is_remembered(run_app: RunApp, tmp_path: Path) -> None:
    engine = WatchedEngine()
    async with run_app(engine) as running:
        await running.exchange("Hello", "Hi")
        await running.pilot.press("f5")
        await until_seen(running, "meow")
        await into_panel(running)
        await running.pilot.press("plus", *["minus"] * 10)
        await running.until(lambda: engine.looked[-1][1] == 1)
        await until_seen(running, "Candidates ‹ 1 ›")
        y, row = next((y, row) for y, row in enumerate(rows(running)) if "Candidates ‹" in row)
        await running.pilot.click(offset=(row.index("›"), y))
        await running.until(lambda: engine.looked[-1][1] == 2)
        await running.pilot.press("ctrl+q")
    assert remembered.load(tmp_path / "state.toml").candidates_count == 2


@pytest.mark.parametrize("key", [None, "f2", "f9"])
async def test_candidates_cost_nothing_where_none_are_shown(run_app: RunApp, key: str | None) -> None:
    engine = WatchedEngine()
    async with run_app(engine) as running:
        await running.until_state(ChatState.IDLE)
        if key:
            await running.pilot.press(key, "escape")
        await running.exchange("Hello", "Hi")
        await running.type("more")
        if key:
            await running.until(lambda: running.screen.desk.inspection.draft)
        await running.pilot.press("enter")
        await running.until(lambda: len(engine.requests) == 2)
        engine.reply_with("Yes")
        await running.until(lambda: running.path[-1].finish)
        assert engine.looked == []
        assert [request.live.candidates for request in engine.requests] == [0, 0]
        assert (engine.listed > 0) == (key == "f2")


async def test_a_closed_panel_is_not_served_any_more(run_app: RunApp) -> None:
    engine = WatchedEngine()
    async with run_app(engine) as running:
        await running.exchange("Hello", "Hi")
        await running.pilot.press("f5")
        await running.until(lambda: engine.looked)
        await running.pilot.press("f5")
        looked = len(engine.looked)
        await running.exchange("More", "Yes")
        await running.type("draft")
        await running.until(lambda: running.screen.title_bar.context_used)
        assert len(engine.looked) == looked
        assert engine.requests[1].live.candidates == 0


async def test_a_panel_is_told_of_the_chat_that_is_open_now(run_app: RunApp) -> None:
    async with run_app(panel="context") as running:
        await running.exchange("Hello", "Hi")
        await until_seen(running, "you Hello")
        await running.pilot.press("ctrl+n")
        await until_seen(running, "No messages yet.")
        assert running.screen.side_panel.context_panel
        assert not running.screen.side_panel.candidates_panel


async def test_the_search_of_formats_has_no_letters_of_the_prompt(run_app: RunApp) -> None:
    async with run_app() as running:
        await running.until_state(ChatState.IDLE)
        await running.type("draft")
        await running.pilot.press("f2")
        await running.type("llama")
        assert running.screen.prompt.text == "draft"
        assert running.screen.side_panel.query_one(Input).value == "llama"
