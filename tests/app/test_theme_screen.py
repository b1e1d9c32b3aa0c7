"""Choosing the colours: what is seen while one chooses, and what stays."""

import pytest
from support.screen_host import show

from easy_llama_tui.preferences.themes import DEFAULT_THEME
from easy_llama_tui.screens.theme_screen import ThemeScreen


async def test_it_begins_at_the_theme_that_is_on() -> None:
    async with show(ThemeScreen()) as reader:
        await reader.until_seen("▸ ezllama-dark ●")
        assert reader.app.theme == DEFAULT_THEME
        assert reader.line("ezllama-light").rpartition("│")[2].split() == ["ezllama-light", "light"]
        assert reader.line("monokai").rpartition("│")[2].split() == ["monokai", "dark"]


async def test_a_theme_is_put_on_as_it_is_highlighted_and_kept_with_enter() -> None:
    async with show(ThemeScreen()) as reader:
        await reader.pilot.press("down")
        await reader.until(lambda: reader.app.theme == "ezllama-light")
        assert reader.is_open
        assert "▸ ezllama-light" in reader.text() and "ezllama-dark ●" in reader.text()
        await reader.pilot.press("enter")
        assert await reader.ended() == "ezllama-light"
        assert reader.app.theme == "ezllama-light"


@pytest.mark.parametrize("key", ["escape", "ctrl+c"])
async def test_closing_puts_the_former_theme_on_again(key: str) -> None:
    async with show(ThemeScreen()) as reader:
        await reader.type("nord")
        await reader.until(lambda: reader.app.theme == "nord")
        await reader.pilot.press("down", key)
        assert await reader.ended() is None
        assert reader.app.theme == DEFAULT_THEME


async def test_enter_keeps_the_highlighted_theme_even_before_it_was_seen() -> None:
    async with show(ThemeScreen()) as reader:
        await reader.pilot.press("down", "down", "enter")
        kept = await reader.ended()
        assert kept not in (DEFAULT_THEME, "ezllama-light", None)
        assert reader.app.theme == kept


async def test_a_held_key_does_not_put_on_each_theme_that_it_passes() -> None:
    async with show(ThemeScreen()) as reader:
        worn: list[str] = []
        reader.app.theme_changed_signal.subscribe(reader.app.screen, lambda theme: worn.append(theme.name))
        await reader.pilot.pause()
        screen = reader.app.screen
        assert isinstance(screen, ThemeScreen)
        for _ in range(5):
            screen.action_move(1)
        await reader.until(lambda: worn)
        assert worn == [reader.pointed().split()[0]]


async def test_typing_filters_by_name_and_kind() -> None:
    async with show(ThemeScreen()) as reader:
        await reader.type("high light")
        await reader.until(lambda: reader.app.theme == "high-contrast-light")
        assert "▸ high-contrast-light" in reader.text()
        assert "nord" not in reader.text()
        await reader.pilot.press("ctrl+u")
        await reader.until(lambda: reader.app.theme == DEFAULT_THEME)
        assert "▸ ezllama-dark ●" in reader.text()


async def test_where_none_matches_it_says_so_and_enter_does_nothing() -> None:
    async with show(ThemeScreen()) as reader:
        await reader.type("zzqq")
        await reader.until_seen("themes matches")
        await reader.pilot.press("down", "enter")
        assert reader.is_open
        await reader.pilot.press("escape")
        assert await reader.ended() is None


async def test_every_registered_theme_can_be_put_on() -> None:
    async with show(ThemeScreen(), size=(120, 40)) as reader:
        await reader.pilot.press("ctrl+home")
        names = set()
        for _ in reader.app.available_themes:
            await reader.until(lambda: reader.app.theme == reader.pointed().split()[0])
            name = reader.app.theme
            names.add(name)
            await reader.pilot.press("down")
        assert names == set(reader.app.available_themes)


async def test_the_mouse_shows_with_one_click_and_keeps_with_another() -> None:
    async with show(ThemeScreen()) as reader:
        await reader.until_seen("ezllama-light")
        y = next(y for y, line in enumerate(reader.lines()) if "ezllama-light" in line)
        await reader.pilot.click(offset=(90, y))
        await reader.until(lambda: reader.app.theme == "ezllama-light")
        assert reader.is_open
        await reader.pilot.click(offset=(90, y))
        assert await reader.ended() == "ezllama-light"


@pytest.mark.parametrize("part", ["Enter keeps", "Esc goes back"])
async def test_what_the_border_says_can_be_clicked(part: str) -> None:
    async with show(ThemeScreen()) as reader:
        await reader.pilot.press("down")
        await reader.until_seen(part)
        bottom = reader.lines()[-1]
        await reader.pilot.click(offset=(bottom.index(part) + 1, 29))
        assert await reader.ended() == ("ezllama-light" if part == "Enter keeps" else None)


async def test_a_click_beside_the_box_closes() -> None:
    async with show(ThemeScreen()) as reader:
        await reader.pilot.press("down")
        await reader.pilot.click(offset=(3, 3))
        assert await reader.ended() is None
        assert reader.app.theme == DEFAULT_THEME


@pytest.mark.parametrize("size", [(40, 12), (80, 24), (300, 60)])
async def test_list_and_sample_are_seen_at_any_size(size: tuple[int, int]) -> None:
    async with show(ThemeScreen(), size=size) as reader:
        await reader.until_seen(
            "▸ ezllama-dark ●", "You", "Bot", "def greet", "✓ good", "⚠ warning", "✗ error"
        )
        await reader.until_seen("Enter keeps", "Esc goes back")
        assert ("the context" in reader.text()) == (size[1] >= 24)
        assert reader.is_open
        assert (
            len([line for line in reader.lines() if line.rstrip(" │▁▂▃▄▅▆▇").endswith(("dark", "light"))])
            >= 4
        )


async def test_a_name_of_a_theme_is_shown_as_text() -> None:
    async with show(ThemeScreen()) as reader:
        theme = reader.app.available_themes["nord"]
        theme.name = "[red]\x1b[31mx"
        reader.app.register_theme(theme)
        await reader.type("[red]")
        await reader.until_seen("▸ [red]␛[31mx")
