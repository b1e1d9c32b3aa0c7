"""The panel of prompt formats, by keys and by mouse."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.panel_host import PanelReader, panel_on_screen
from textual.widgets import Input

from easy_llama import formats
from easy_llama_tui.chats.context_window import Window
from easy_llama_tui.replies.inspection import Inspection, PromptToken
from easy_llama_tui.widgets.format_panel import FormatChoice, FormatPanel
from easy_llama_tui.widgets.prompt_preview import PromptPreview

CHOICES = (
    FormatChoice("template", "chat template", "model"),
    FormatChoice("mine", "mine", "own"),
    *(FormatChoice(name, name, "built-in") for name in formats.names()),
)
TOKENS = (
    PromptToken(1, "<|im_start|>", True),
    PromptToken(9, "user", True),
    PromptToken(198, "\n", True),
    PromptToken(504, "The", False),
    PromptToken(3116, " dog", False),
    PromptToken(7, "<|im_end|>", False),
    PromptToken(2, "<|im_end|>", True),
    PromptToken(198, "\n", True),
)


def names(panel: FormatPanel, kind: type) -> list[str]:
    return [message.name for message in panel.app.posted if isinstance(message, kind)]  # type: ignore[attr-defined]


def highlighted(reader: PanelReader[FormatPanel]) -> list[str]:
    return names(reader.panel, FormatPanel.FormatHighlighted)


def chosen(reader: PanelReader[FormatPanel]) -> list[str]:
    return names(reader.panel, FormatPanel.FormatChosen)


async def open_panel(reader: PanelReader[FormatPanel], current: str = "template") -> None:
    reader.panel.show_choices(CHOICES, current)
    reader.panel.focus_first()
    await reader.pilot.pause()


async def test_the_models_own_format_is_first_and_the_one_in_use_is_marked() -> None:
    async with panel_on_screen(FormatPanel()) as reader:
        await open_panel(reader)
        rows = reader.rows()
        assert rows[1].split()[:5] == ["▸●", "chat", "template", "in", "use"]
        assert rows[2].startswith("   mine ") and "yours" in rows[2]
        assert rows[3].strip() == "airoboros"
        reader.panel.show_choices(CHOICES, "mine")
        await reader.pilot.pause()
        assert reader.rows()[1].split()[:5] == ["▸", "chat", "template", "the", "model's"]
        assert "● mine" in reader.rows()[2] and " in use" in reader.rows()[2]
        # Told of a choice, the cursor stays, and nothing is posted.
        assert reader.panel.highlighted == "template" and not reader.posted


async def test_the_cursor_begins_on_the_format_in_use() -> None:
    async with panel_on_screen(FormatPanel()) as reader:
        await open_panel(reader, "zephyr")
        assert reader.panel.highlighted == "zephyr"
        assert "▸● zephyr" in reader.text()


async def test_a_format_is_found_by_typing_and_chosen_with_enter() -> None:
    async with panel_on_screen(FormatPanel()) as reader:
        await open_panel(reader)
        await reader.press(*"chatml")
        assert reader.panel.highlighted == "chatml"
        assert highlighted(reader)[-1] == "chatml"
        await reader.press("enter")
        assert chosen(reader) == ["chatml"]


async def test_letters_need_not_stand_together_and_the_models_own_stays_first() -> None:
    async with panel_on_screen(FormatPanel()) as reader:
        await open_panel(reader)
        await reader.press(*"chat")
        assert "chat template" in reader.rows()[1]
        await reader.press(*"tpl")
        assert reader.panel.highlighted == "template"
        await reader.press(*"zzz")
        assert "No format is called that." in reader.text()
        before = list(reader.posted)
        await reader.press("enter", "down", "up")
        assert reader.posted == before
        await reader.press(*["backspace"] * 10)
        assert reader.row_with("mine")


async def test_the_cursor_is_on_what_goes_best_with_the_typed_text() -> None:
    async with panel_on_screen(FormatPanel()) as reader:
        reader.panel.show_choices([CHOICES[0], FormatChoice("chat", "chat", "own")], "template")
        reader.panel.focus_first()
        await reader.press(*"chat")
        assert "chat template" in reader.rows()[1]
        assert "▸  chat" in reader.rows()[2] and reader.panel.highlighted == "chat"


async def test_arrows_in_the_input_move_in_the_list() -> None:
    async with panel_on_screen(FormatPanel()) as reader:
        await open_panel(reader)
        await reader.press("down", "down", "up", "up", "up")
        assert highlighted(reader) == ["mine", "airoboros", "mine", "template"]
        await reader.press("pagedown", "enter")
        assert chosen(reader) == [reader.panel.highlighted] and chosen(reader) != ["template"]
        # The cursor is in view.
        assert f"▸  {reader.panel.highlighted}" in reader.text()


async def test_by_mouse_a_first_click_previews_and_a_second_one_chooses() -> None:
    async with panel_on_screen(FormatPanel()) as reader:
        await open_panel(reader)
        await reader.click("airoboros")
        assert highlighted(reader) == ["airoboros"] and not chosen(reader)
        assert isinstance(reader.app.focused, Input)
        await reader.click("airoboros")
        assert chosen(reader) == ["airoboros"]


async def test_the_preview_shows_the_tokens_and_tells_the_formats_own_apart() -> None:
    async with panel_on_screen(FormatPanel()) as reader:
        await open_panel(reader)
        reader.panel.show_inspection(Inspection(history=8, tokens=TOKENS))
        await reader.pilot.pause()
        text = reader.text()
        assert "8 tokens" in text
        assert "<|im_start|>user⏎\n" in text
        assert "The dog<|im_end|><|im_end|>⏎" in text
        preview = reader.panel.query_one(PromptPreview)
        segments = [s for s in preview.render_line(1) if "im_end" in s.text]
        # The first was written by the person: no colour is needed to tell.
        assert [bool(s.style and s.style.underline) for s in segments] == [False, True]


async def test_tab_goes_to_the_preview_and_i_shows_the_ids() -> None:
    async with panel_on_screen(FormatPanel()) as reader:
        await open_panel(reader)
        reader.panel.show_inspection(Inspection(history=8, tokens=TOKENS, warnings=("It has no BOS.",)))
        await reader.press("tab")
        assert isinstance(reader.app.focused, PromptPreview)
        await reader.press("i")
        assert "<|im_start|>(1) user(9) ⏎(198)" in reader.text()
        assert "The(504) ·dog(3116)" in reader.text()
        assert "i hides the ids" in reader.text()
        await reader.press("i")
        assert "(504)" not in reader.text()
        await reader.click("8 tokens")
        assert "(504)" in reader.text()


async def test_what_is_off_is_said() -> None:
    async with panel_on_screen(FormatPanel(), size=(60, 30)) as reader:
        reader.panel.show_choices(CHOICES, "template", problems=["bad.toml: Expected '=' (at line 3)"])
        reader.panel.show_inspection(Inspection(tokens=TOKENS, warnings=("It has no [b]BOS[/b].\x1b[2J",)))
        await reader.pilot.pause()
        assert "⚠ It has no [b]BOS[/b].␛[2J" in reader.text()
        assert "⚠ bad.toml: Expected '=' (at line 3)" in reader.text()
        reader.panel.show_inspection(Inspection(error="The template fails."))
        await reader.pilot.pause()
        assert "⚠ The template fails." in reader.text()
        assert "no [b]BOS" not in reader.text() and "im_start" not in reader.text()


async def test_warnings_that_do_not_fit_can_be_scrolled() -> None:
    async with panel_on_screen(FormatPanel(), size=(24, 10)) as reader:
        await open_panel(reader)
        reader.panel.show_inspection(Inspection(tokens=TOKENS, warnings=("word " * 30 + "end.",)))
        await reader.pilot.pause()
        await reader.press("tab", "end")
        await reader.until(lambda: "end." in reader.text())


@pytest.mark.parametrize("size", [(24, 8), (36, 8), (60, 40), (1, 1)])
async def test_any_size_will_do(size: tuple[int, int]) -> None:
    async with panel_on_screen(FormatPanel(), size=size) as reader:
        await open_panel(reader)
        reader.panel.show_inspection(Inspection(tokens=TOKENS))
        await reader.pilot.pause()
        if size[0] > 1:
            assert "▸● chat template" in reader.text() and "im_start" in reader.text()


async def test_the_count_is_that_of_the_prompt_that_is_sent() -> None:
    async with panel_on_screen(FormatPanel()) as reader:
        window = Window(frozenset({"a"}), (), True, 1200)
        reader.panel.show_inspection(Inspection(history=5000, window=window))
        await reader.pilot.pause()
        assert "1,200 tokens" in reader.text()


# The preview by itself


def prompt(*texts: str) -> tuple[PromptToken, ...]:
    return tuple(PromptToken(hash(text) % 5000, text, False) for text in texts)


def shown(preview: PromptPreview) -> list[str]:
    return [
        "".join(part.text for part in preview.draw_row(row, preview.row_width))
        for row in range(preview.row_count)
    ]


async def test_rows_break_before_words() -> None:
    async with panel_on_screen(PromptPreview(), size=(11, 10)) as reader:
        reader.panel.show_tokens(
            prompt("The", " dog", " wo", "of", "s", " a", " " * 3, "x" * 25, "\n\n", "y")
        )
        await reader.pilot.pause()
        assert shown(reader.panel) == ["The dog", " woofs a", "   ", "x" * 10, "x" * 10, "xxxxx⏎", "⏎", "y"]


async def test_a_row_that_was_broken_for_a_word_is_filled_again_when_that_is_gone() -> None:
    async with panel_on_screen(PromptPreview(), size=(11, 10)) as reader:
        reader.panel.show_tokens(prompt("aaaa", " bb", "cccccc"))
        await reader.pilot.pause()
        assert shown(reader.panel) == ["aaaa", " bbcccccc"]
        reader.panel.show_tokens(prompt("aaaa", " bb", "c"))
        assert shown(reader.panel) == ["aaaa bbc"]


words = st.lists(
    st.text(alphabet="ab 你\n", min_size=0, max_size=6) | st.just("\n") | st.just("x" * 30), max_size=30
)


async def test_a_prompt_that_changes_is_laid_out_as_if_it_were_new(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("easy_llama_tui.widgets.prompt_preview._SLICE_SECONDS", 60.0)
    async with panel_on_screen(PromptPreview(), size=(13, 10)) as one:
        seen: list[tuple[tuple[str, ...], list[str]]] = []
        preview = one.panel

        @settings(max_examples=150, deadline=None)
        @given(words, words, words)
        def check(start: list[str], before: list[str], after: list[str]) -> None:
            preview.show_tokens(prompt(*start, *before))
            tokens = prompt(*start, *after)
            preview.show_tokens(tokens)
            rows = shown(preview)
            preview.show_tokens(())
            preview.show_tokens(tokens)
            assert rows == shown(preview)
            if tokens:
                assert "".join(rows) == "".join(text.replace("\n", "⏎") for text in [*start, *after])
            seen.append(((), rows))

        check()
        assert seen


async def test_a_long_prompt_keeps_no_one_waiting_and_is_all_there_in_the_end() -> None:
    tokens = prompt(*(f" word{at % 997}" for at in range(100_000)))
    async with panel_on_screen(PromptPreview(), size=(36, 20)) as reader:
        preview = reader.panel
        preview.focus()
        preview.show_tokens(tokens)
        await reader.pilot.pause()
        assert "word0 word1" in reader.text()
        await reader.until(lambda: preview.is_laid_out)
        await reader.press("end")
        await reader.until(lambda: f"word{99_999 % 997}" in reader.text())
        # More of it at the end stays in view.
        preview.show_tokens((*tokens, *prompt(" one", "\n", "two", "\n", "three")))
        await reader.until(lambda: "three" in reader.text())
        await reader.press("pageup", "pageup")
        await reader.until(lambda: "three" not in reader.text())
        top = reader.rows()[0].split()[0]
        await reader.press("i")
        await reader.until(lambda: preview.is_laid_out)
        await reader.pilot.pause()
        assert top in reader.rows()[0]


@pytest.mark.parametrize("width", [24, 33, 60])
async def test_that_there_is_nothing_to_send_is_said_in_whole_words(width: int) -> None:
    async with panel_on_screen(PromptPreview(), size=(width, 5)) as reader:
        whole = "Nothing to send yet: the prompt appears here."
        await reader.until(lambda: " ".join(row.strip() for row in reader.rows()).strip() == whole)
        # A narrower window does not cut it either.
        await reader.pilot.resize_terminal(18, 6)
        await reader.until(lambda: " ".join(row.strip() for row in reader.rows()).strip() == whole)
        assert not any(row.endswith(" ") or len(row) > 18 for row in reader.rows())


async def test_nothing_to_send_is_said() -> None:
    async with panel_on_screen(PromptPreview(), size=(60, 5)) as reader:
        await reader.until(lambda: "Nothing to send yet" in reader.text())
        reader.panel.show_tokens(TOKENS)
        await reader.pilot.pause()
        assert "Nothing to send yet" not in reader.text()
        reader.panel.show_tokens([replace(TOKENS[0], text="other", is_control=False)])
        await reader.pilot.pause()
        assert reader.rows()[0] == "other"


async def test_what_came_while_it_was_closed_is_shown_when_it_opens() -> None:
    async with panel_on_screen(FormatPanel()) as reader:
        await open_panel(reader)
        reader.panel.display = False
        await reader.pilot.pause()
        reader.panel.show_choices(CHOICES, "mine")
        reader.panel.show_inspection(Inspection(tokens=TOKENS, warnings=("It has no BOS.",)))
        await reader.pilot.pause()
        reader.panel.display = True
        await reader.until(lambda: "im_start" in reader.text())
        assert "● mine" in reader.text() and "⚠ It has no BOS." in reader.text()
        assert "8 tokens" in reader.text()
