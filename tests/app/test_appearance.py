"""Colours, keys of one's own, and a configuration with mistakes, in the running app."""

from dataclasses import replace
from pathlib import Path

import pytest
from support.running_app import RunApp, Running
from support.whole_app import notices, text, until_screen, until_seen, with_keys
from textual.command import CommandPalette
from textual.widgets import OptionList

from easy_llama_tui import locations
from easy_llama_tui.arguments import build_parser
from easy_llama_tui.chats.session_store import SessionStore
from easy_llama_tui.launch import look_around, prepare
from easy_llama_tui.preferences import remembered
from easy_llama_tui.preferences.config import AppearanceConfig, Config, load_config
from easy_llama_tui.preferences.themes import DEFAULT_THEME
from easy_llama_tui.replies.wording import ChatState

REASONED = "<think>\nfar from simple\n</think>\n\nThe answer."


def looking(theme: str = DEFAULT_THEME, **changes: object) -> Config:
    return replace(Config(), appearance=AppearanceConfig(theme=theme, **changes))  # type: ignore[arg-type]


def colours(running: Running) -> set[str]:
    """All colours on the screen."""
    styles = [segment.style for line in running.app.screen._compositor.render_strips() for segment in line]
    found = [colour for style in styles if style for colour in (style.color, style.bgcolor) if colour]
    return {colour.name for colour in found if not colour.is_default}


# Colours


async def test_a_theme_is_chosen_seen_at_once_and_remembered(run_app: RunApp, tmp_path: Path) -> None:
    async with run_app() as running:
        await running.exchange("Hello", "Hi")
        assert running.app.theme == DEFAULT_THEME
        before = colours(running)
        await running.send("/theme")
        await until_screen(running, "ThemeScreen")
        await running.type("nord")
        await running.until(lambda: running.app.theme == "nord")
        await running.pilot.press("enter")
        await running.until(lambda: running.app.screen is running.screen)
        assert running.app.theme == "nord"
        await running.until(lambda: colours(running) != before)
        await running.pilot.press("ctrl+q")
    assert remembered.load(tmp_path / "state.toml").theme == "nord"


async def test_a_theme_that_was_only_looked_at_is_not_kept(run_app: RunApp, tmp_path: Path) -> None:
    async with run_app() as running:
        await running.until_state(ChatState.IDLE)
        await running.send("/theme")
        await until_screen(running, "ThemeScreen")
        await running.pilot.press("down")
        await running.until(lambda: running.app.theme != DEFAULT_THEME)
        await running.pilot.press("escape")
        await running.until(lambda: running.app.theme == DEFAULT_THEME)
        await running.pilot.press("ctrl+q")
    assert remembered.load(tmp_path / "state.toml").theme in ("", DEFAULT_THEME)


async def test_the_theme_of_the_configuration_is_used(run_app: RunApp) -> None:
    async with run_app(config=looking("high-contrast-light")) as running:
        await running.until_state(ChatState.IDLE)
        assert running.app.theme == "high-contrast-light"
        assert not running.app.current_theme.dark


async def test_a_theme_that_is_not_known_is_said_and_the_usual_one_used(run_app: RunApp) -> None:
    async with run_app(config=looking("nrod")) as running:
        await running.until_state(ChatState.IDLE)
        assert running.app.theme == DEFAULT_THEME
        assert "nord" in notices(running) and "theme" in notices(running)


async def test_a_damaged_theme_of_ones_own_is_said_and_the_others_are_there(run_app: RunApp) -> None:
    folder = locations.config_folder() / "themes"
    folder.mkdir(parents=True)
    (folder / "mine.toml").write_text("[[not toml")
    async with run_app(config=looking("nord")) as running:
        await running.until_state(ChatState.IDLE)
        assert running.app.theme == "nord"
        await running.until(lambda: "mine.toml" in notices(running))


async def test_a_theme_of_ones_own_may_have_the_name_of_textuals_default(run_app: RunApp) -> None:
    folder = locations.config_folder() / "themes"
    folder.mkdir(parents=True)
    (folder / "textual-dark.toml").write_text('foreground = "#abcdef"\n')
    async with run_app(config=looking("textual-dark")) as running:
        await running.exchange("Hello", "Hi")
        assert "#abcdef" in colours(running)


async def test_themes_that_come_along_are_read_when_they_are_listed(run_app: RunApp) -> None:
    folder = locations.config_folder() / "themes"
    folder.mkdir(parents=True)
    (folder / "mine.toml").write_text('base = "nord"\n')
    async with run_app() as running:
        await running.until(lambda: set(running.app.available_themes) == {DEFAULT_THEME, "mine"})
        await running.send("/theme")
        await until_screen(running, "ThemeScreen")
        assert {DEFAULT_THEME, "mine", "nord", "high-contrast-light"} < set(running.app.available_themes)


async def test_no_color_shows_none_and_all_is_said_in_words(
    run_app: RunApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with run_app() as running:
        await running.exchange("Hello", "Hi")
        await running.pilot.press("f4")
        await until_seen(running, "top_k", "You", "tiny Q4_0")
        assert colours(running) == set()


async def test_reasoning_is_open_at_first_where_the_configuration_says_so(run_app: RunApp) -> None:
    async with run_app(config=looking(reasoning="open")) as running:
        await running.exchange("Hello", REASONED)
        await until_seen(running, "far from simple")
        await running.pilot.press("ctrl+t")
        await running.until(lambda: "far from simple" not in text(running))


# Keys


async def test_a_key_of_ones_own_works_and_the_old_one_does_not(run_app: RunApp) -> None:
    async with run_app(config=with_keys(reroll="f6", context="alt+c")) as running:
        await running.exchange("Hello", "first")
        await running.pilot.press("ctrl+r", "f9")
        await running.pilot.pause()
        assert len(running.engine.requests) == 1
        assert running.screen.side_panel.shown_panel == ""
        running.engine.reply_with("second")
        await running.pilot.press("f6")
        await running.until(lambda: running.said[-1] == ("bot", "second"))
        await running.until_state(ChatState.IDLE)
        await running.pilot.press("alt+c")
        assert running.screen.side_panel.shown_panel == "context"


async def test_the_prompt_follows_keys_of_ones_own(run_app: RunApp) -> None:
    async with run_app(config=with_keys(send="ctrl+s", newline="enter")) as running:
        await running.until_state(ChatState.IDLE)
        running.engine.reply_with("ok")
        await running.pilot.press("a", "enter", "b")
        assert running.screen.prompt.text == "a\nb"
        await running.pilot.press("ctrl+s")
        await running.until(lambda: running.said[:1] == [("user", "a\nb")])


async def test_the_message_mode_follows_keys_of_ones_own(run_app: RunApp) -> None:
    async with run_app(config=with_keys(message_delete="x")) as running:
        await running.exchange("Hello", "first")
        await running.pilot.press("up", "d")
        await running.pilot.pause()
        assert len(running.path) == 2
        await running.pilot.press("x")
        await running.until(lambda: len(running.path) == 1)


async def test_the_help_and_the_foot_of_the_screen_and_the_palette_tell_keys_of_ones_own(
    run_app: RunApp,
) -> None:
    async with run_app(config=with_keys(reroll="f6", help="f12"), size=(110, 60)) as running:
        await running.exchange("Hello", "first")
        hints = {meaning: key for key, meaning in running.screen.status_bar.keys}
        assert (hints["re-roll"], hints["help"]) == ("F6", "F12")
        await until_seen(running, "F6 re-roll", "F12 help")
        await running.pilot.press("f12")
        await until_screen(running, "HelpScreen")
        await until_seen(running, "Re-roll the last reply")
        row = next(row for row in text(running).splitlines() if "Re-roll the last reply" in row)
        assert "F6" in row and "Ctrl+R" not in row
        await running.pilot.press("escape", "ctrl+p")
        await running.until(lambda: isinstance(running.app.screen, CommandPalette))
        await running.type("re-roll")
        options = running.app.screen.query_one(OptionList)
        await running.until(
            lambda: options.option_count and "Re-roll the last" in str(options.options[0].prompt)
        )
        found = str(options.options[0].prompt)
        assert "F6" in found and "Ctrl+R" not in found


async def test_what_is_said_beside_messages_names_keys_of_ones_own(run_app: RunApp) -> None:
    config = with_keys(reroll="f6", reasoning="f12", **{"continue": "f10"})
    async with run_app(config=config) as running:
        await running.exchange("Hello", REASONED)
        await until_seen(running, "F12")
        running.engine.say("half")
        await running.send("More")
        await running.until_state(ChatState.GENERATING)
        await running.pilot.press("escape")
        await running.until_state(ChatState.IDLE)
        await until_seen(running, "F10 to continue", "F6 to re-roll")


async def test_the_foot_of_the_screen_shows_the_keys_that_matter_now(run_app: RunApp) -> None:
    def now() -> list[str]:
        return [meaning for _, meaning in running.screen.status_bar.keys]

    async with run_app() as running:
        await running.until_state(ChatState.IDLE)
        assert now() == ["help", "commands", "quit"]
        running.engine.say("slow")
        await running.send("Hello")
        await running.until_state(ChatState.GENERATING)
        assert now()[0] == "stop"
        running.engine.reply_with(" end")
        await running.until(lambda: running.path[-1].finish)
        assert now()[0] == "re-roll" and "stop" not in now()
        running.engine.reply_with("other")
        await running.pilot.press("ctrl+r")
        await running.until(lambda: running.said[-1] == ("bot", "other") and running.path[-1].finish)
        await running.until_state(ChatState.IDLE)
        assert "alternatives" in now()


# A configuration with mistakes


async def test_mistakes_in_the_configuration_are_said_and_never_stop_the_start(
    run_app: RunApp, store: SessionStore, model_path: Path
) -> None:
    file = locations.config_file()
    file.parent.mkdir(parents=True)
    file.write_text(
        '[appearance]\npanel_width = "wide"\ntheme = "nord"\n[chat]\nformat = "lama2chat"\n'
        '[keys]\nreroll = "ctrl+nothing"\nhelp = "f12"\n[oops]\nx = 1\n'
    )
    around = look_around()
    launch = prepare(build_parser().parse_args([str(model_path)]), lambda: store, around)
    said = (*around.problems, *launch.notices)
    async with run_app(config=around.config, catalog=around.catalog, notices=said) as running:
        await running.until_state(ChatState.IDLE)
        for part in ("panel_width", "lama2chat", "ctrl+nothing", "oops"):
            assert part in notices(running)
        # What is right in it counts.
        assert running.app.theme == "nord"
        await running.pilot.press("f12")
        await until_screen(running, "HelpScreen")
        await running.pilot.press("escape")
        await running.exchange("Hello", "Hi")


def test_a_configuration_that_is_no_toml_is_the_defaults() -> None:
    file = locations.config_file()
    file.parent.mkdir(parents=True)
    file.write_text("[[[")
    loaded = load_config(file)
    assert loaded.config == Config()
    assert len(loaded.problems) == 1


async def test_markup_in_a_notice_is_text(run_app: RunApp) -> None:
    async with run_app(notices=("a [bold]name[/bold] [@click=app.quit]x[/]",)) as running:
        await running.until_state(ChatState.IDLE)
        assert "[bold]name[/bold]" in notices(running)
        assert not any(notification.markup for notification in running.app._notifications)
