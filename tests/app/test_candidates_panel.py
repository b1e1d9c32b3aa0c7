"""The panel of candidates, by keys and by mouse."""

from dataclasses import replace

import pytest
from support.panel_host import PanelReader, panel_on_screen

from easy_llama.events import Candidate, Distribution
from easy_llama_tui.widgets.candidates_panel import CandidatesPanel, _CandidateList
from easy_llama_tui.widgets.row_list import Part

DISTRIBUTION = Distribution(
    (
        Candidate(1, " meow", 0.31, 0.512),
        Candidate(2, "\n", 0.12, 0.25),
        Candidate(3, "", 0.05, 0.238),
        Candidate(4, " purr", 0.0004, 0.0),
    ),
    12,
)


def counts(reader: PanelReader[CandidatesPanel]) -> list[int]:
    return [one.count for one in reader.posted if isinstance(one, CandidatesPanel.CountChanged)]


def chosen(reader: PanelReader[CandidatesPanel]) -> list[tuple[int, str]]:
    return [
        (one.token_id, one.text) for one in reader.posted if isinstance(one, CandidatesPanel.CandidateChosen)
    ]


async def show(reader: PanelReader[CandidatesPanel], live: bool = False) -> None:
    reader.panel.show_distribution(DISTRIBUTION, "but the cat", live)
    await reader.pilot.pause()


async def test_candidates_are_shown_before_and_after_the_samplers() -> None:
    async with panel_on_screen(CandidatesPanel()) as reader:
        await show(reader)
        rows = reader.rows()
        assert rows[0].startswith("Candidates ‹ 10 ›  after") and rows[0].endswith('cat"')
        assert rows[1].split() == ["·meow", "31.0%", "░░", "51.2%", "██▌"]
        assert rows[2].split()[:2] == ["⏎", "12.0%"] and rows[2].split()[3] == "25.0%"
        assert rows[3].split()[:2] == ["∅", "5.0%"] and rows[3].split()[3] == "23.8%"
        assert rows[4].split() == ["×·purr", "<0.1%", "▏", "dropped"]
        assert "12 candidates survive" in reader.text()
        assert "before ░ · after █ · × dropped" in reader.text()
        await show(reader, live=True)
        assert reader.rows()[0].startswith("Candidates ‹ 10 ›  live")


async def test_before_anything_is_known_it_is_quiet() -> None:
    async with panel_on_screen(CandidatesPanel()) as reader:
        reader.panel.show_distribution(None, "", False)
        await reader.pilot.pause()
        assert "Type or generate, and the\n likeliest next tokens appear\n here." in reader.text()
        assert "survive" not in reader.text() and '"' not in reader.text()
        reader.panel.focus_first()
        await reader.press("down", "enter")
        assert not reader.posted and "▸" not in reader.text()
        await show(reader)
        assert "Type or generate" not in reader.text()
        reader.panel.show_distribution(None, "", True)
        await reader.pilot.pause()
        assert "Type or generate" in reader.text() and "live" in reader.rows()[0]


async def test_the_number_of_candidates_goes_up_and_down_and_has_ends() -> None:
    async with panel_on_screen(CandidatesPanel(count=9)) as reader:
        reader.panel.focus_first()
        await reader.press("+", "-", "plus", "equals_sign", "minus", "underscore")
        assert counts(reader) == [10, 9, 10, 11, 10, 9]
        await reader.press(*["minus"] * 12)
        assert "‹ 1 ›" in reader.rows()[0]
        reader.panel.count = 99
        await reader.press("plus", "plus")
        assert reader.panel.count == counts(reader)[-1] == 100
        reader.panel.count = 5
        await reader.pilot.pause()
        assert counts(reader)[-1] == 100 and "‹ 5 ›" in reader.rows()[0]


async def test_the_signs_beside_the_number_can_be_clicked() -> None:
    async with panel_on_screen(CandidatesPanel()) as reader:
        await show(reader)
        await reader.click("›")
        await reader.click("‹")
        assert counts(reader) == [11, 10]
        await reader.click("Candidates")
        await reader.click("10 ›")
        assert counts(reader) == [11, 10]


async def test_a_candidate_is_chosen_only_where_that_is_of_use() -> None:
    async with panel_on_screen(CandidatesPanel()) as reader:
        await show(reader)
        assert "▸" not in reader.text()
        reader.panel.focus_first()
        await reader.press("down", "enter")
        assert "▸ ⏎" in reader.text() and not chosen(reader)
        reader.panel.choosable = True
        await reader.press("enter", "end", "enter")
        assert chosen(reader) == [(2, "\n"), (4, " purr")]
        await reader.click("·meow")
        await reader.click("·meow")
        assert chosen(reader)[2:] == [(1, " meow")]


async def test_more_candidates_than_fit_scroll_with_the_cursor() -> None:
    many = Distribution(tuple(Candidate(at, f"word{at}", 0.01, 0.01) for at in range(100)), 1)
    async with panel_on_screen(CandidatesPanel(), size=(24, 8)) as reader:
        reader.panel.show_distribution(many, "x" * 100, True)
        reader.panel.focus_first()
        await reader.press("end")
        assert "▸ word99" in reader.text() and "1 candidate survives" in reader.text()
        reader.panel.show_distribution(DISTRIBUTION, "cat", True)
        await reader.press("up")
        assert "·meow" in reader.text() and "▸" in reader.text()


async def test_text_of_a_model_is_only_text() -> None:
    hostile = Candidate(1, "[red]\x1b]0;x\x07\u202e", 0.5, 0.5)
    async with panel_on_screen(CandidatesPanel(), size=(90, 10)) as reader:
        reader.panel.show_distribution(Distribution((hostile,), 1), "[b]\x1b[2J\n", False)
        await reader.pilot.pause()
        assert "[red]␛]0;x␇⟨202…" in reader.text()
        assert 'after "[b]␛[2J⏎"' in reader.rows()[0]


@pytest.mark.parametrize("size", [(24, 8), (36, 9), (60, 40), (3, 3)])
async def test_rows_are_as_wide_as_the_panel(size: tuple[int, int]) -> None:
    async with panel_on_screen(CandidatesPanel(), size=size) as reader:
        await show(reader)
        if size[0] > 3:
            assert "51.2%" in reader.text() and "12 candidates survive" in reader.text()
            assert ("31.0%" in reader.text()) == (size[0] > 30)


async def test_an_update_draws_the_panel_and_lays_nothing_out(monkeypatch: pytest.MonkeyPatch) -> None:
    async with panel_on_screen(CandidatesPanel()) as reader:
        await show(reader, live=True)
        laid_out: list[object] = []
        monkeypatch.setattr(reader.app.screen, "_refresh_layout", lambda *args, **kw: laid_out.append(args))
        for at in range(5):
            candidates = tuple(Candidate(n, f"w{at}-{n}", 0.1, 0.1) for n in range(at + 3))
            reader.panel.show_distribution(Distribution(candidates, at), f"after {at}", True)
            await reader.until(lambda at=at: f"w{at}-0" in reader.text())
            await reader.pilot.pause()
        assert laid_out == []


async def test_rows_that_stay_the_same_are_not_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async with panel_on_screen(CandidatesPanel()) as reader:
        await show(reader, live=True)
        drawn: list[int] = []
        draw_row = _CandidateList.draw_row

        def noting(rows: _CandidateList, index: int, width: int) -> list[Part]:
            drawn.append(index)
            return draw_row(rows, index, width)

        monkeypatch.setattr(_CandidateList, "draw_row", noting)
        first, second, *others = DISTRIBUTION.candidates
        changed = (first, replace(second, after=0.2), *others, Candidate(9, " mew", 0.01, 0.0))
        reader.panel.show_distribution(Distribution(changed, 12), "but the cat", True)
        await reader.pilot.pause()
        assert sorted(set(drawn)) == [1, 4]
        assert "20.0%" in reader.text() and "mew" in reader.text()
        reader.panel.show_distribution(Distribution(changed[:2], 9), "but the cat", True)
        await reader.pilot.pause()
        assert "mew" not in reader.text() and "purr" not in reader.text()
        assert "9 candidates survive" in reader.text()


async def test_what_came_while_it_was_closed_is_shown_when_it_opens() -> None:
    async with panel_on_screen(CandidatesPanel()) as reader:
        await show(reader)
        reader.panel.display = False
        await reader.pilot.pause()
        reader.panel.show_distribution(Distribution((Candidate(1, "late", 0.5, 0.5),), 3), "x", False)
        await reader.pilot.pause()
        reader.panel.display = True
        await reader.pilot.pause()
        assert "late" in reader.text() and "meow" not in reader.text()
        assert "3 candidates survive" in reader.text()


async def test_pages_scroll_the_list_and_keep_the_number() -> None:
    many = Distribution(tuple(Candidate(at, f"word{at}", 0.01, 0.01) for at in range(100)), 1)
    async with panel_on_screen(CandidatesPanel(count=100), size=(24, 12)) as reader:
        reader.panel.show_distribution(many, "x", False)
        reader.panel.focus_first()
        await reader.press("pagedown", "pagedown")
        assert "word0 " not in reader.text() and "word16" in reader.row_with("▸")
        await reader.press("pageup")
        assert "word8" in reader.row_with("▸")
        assert counts(reader) == []


@pytest.mark.parametrize("width", [24, 36])
async def test_where_nothing_can_follow_it_says_why(width: int) -> None:
    why = "The context is full: nothing can follow. /new begins a new chat."
    async with panel_on_screen(CandidatesPanel(), size=(width, 12)) as reader:
        reader.panel.show_distribution(None, "", False, why=why)
        await reader.pilot.pause()
        assert why in " ".join(row.strip() for row in reader.rows())
        await show(reader)
        assert "full" not in reader.text()
        reader.panel.show_distribution(None, "", False)
        await reader.pilot.pause()
        assert "Type or generate" in reader.text() and "full" not in reader.text()
