"""The token inspector, by keys and by mouse."""

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from support.screen_host import ScreenApp, ScreenReader, show
from textual.geometry import Offset
from textual.message import Message
from textual.message_pump import MessagePump

from easy_llama.events import Candidate, Distribution
from easy_llama_tui.replies.token_figures import Progress, TokenFigure
from easy_llama_tui.screens.token_screen import TokenScreen

MEOW = ("right", "right", "right")
"""Keys that go from the first token to the one that has candidates."""
SIZES = [(40, 12), (80, 24), (120, 36), (120, 12), (300, 60)]


class Owner(MessagePump):
    """Remembers what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.posted: list[Message] = []

    def post_message(self, message: Message) -> bool:
        self.posted.append(message)
        return True

    def of(self, kind: type[Message]) -> list[Message]:
        return [one for one in self.posted if isinstance(one, kind)]


class Inspector(ScreenReader):
    """A token screen that is looked at."""

    screen: TokenScreen
    owner: Owner

    @property
    def wanted(self) -> list[tuple[int, int]]:
        found = self.owner.of(TokenScreen.CandidatesWanted)
        return [(one.index, one.count) for one in found if isinstance(one, TokenScreen.CandidatesWanted)]

    def notices(self) -> str:
        return " ".join(notice.message for notice in self.app._notifications)

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def click(self, text: str, last: bool = False) -> None:
        rows = [(y, row) for y, row in enumerate(self.lines()) if text in row]
        y, row = rows[-1 if last else 0]
        await self.pilot.click(offset=Offset(row.index(text), y))
        await self.pilot.pause()

    async def until_wanted(self, *last: int) -> None:
        await self.until(lambda: self.wanted and self.wanted[-1] == last)

    def styles_of(self, text: str) -> list[tuple[bool, bool, bool, bool]]:
        """How a text is drawn: reverse, underline, bold, italic, of each piece that is just that text."""
        return [
            (
                bool(style.reverse),
                bool(style.underline),
                bool(style.bold),
                bool(style.italic),
            )
            for line in self.app.screen._compositor.render_strips()
            for piece, style, _ in line
            if piece == text and style is not None
        ]


def figure(id_: int, text: str | bytes, probability: float | None = 0.95, **more: object) -> TokenFigure:
    data = text if isinstance(text, bytes) else text.encode()
    log = None if probability is None else math.log(probability)
    return TokenFigure(id_, data, log, *((1, 0.5) if log is not None else ()), **more)  # type: ignore[arg-type]


CAT = (
    figure(10, "The"),
    figure(11, " cat", 0.6),
    figure(12, " says", 0.3),
    figure(13, " meow", 0.01),
    figure(14, "\n"),
    figure(15, "And"),
    figure(16, " \xf0\x9f".encode("latin-1"), 0.7),
    figure(17, b"\x98", 0.8),
    figure(18, b"\x80", 0.9),
    figure(19, "<|im_end|>", is_control=True),
)
CHOICE = Distribution(
    (
        Candidate(13, " meow", 0.31, 0.512),
        Candidate(21, " purr", 0.2, 0.4),
        Candidate(22, " hiss", 0.1, 0.088),
        Candidate(23, " moo", 0.0004, 0.0),
    ),
    12,
)


@asynccontextmanager
async def inspect(
    figures: tuple[TokenFigure, ...] = CAT, size: tuple[int, int] = (120, 36), **more: object
) -> AsyncIterator[Inspector]:
    owner = Owner()
    screen = TokenScreen("Tokens of the reply", figures, owner=owner, **more)  # type: ignore[arg-type]
    async with show(screen, size) as reader:
        inspector = Inspector(reader.pilot, reader.app)
        inspector.screen, inspector.owner = screen, owner
        await inspector.pilot.pause()
        yield inspector


# Looking at tokens


async def test_the_figures_of_the_token_at_the_cursor_are_shown() -> None:
    async with inspect() as one:
        assert "Token 1 of 10 · sure" in one.text() and "Tokens of the reply" in one.text()
        await one.press("right", "right", "right")
        assert "Token 4 of 10 · unlikely" in one.text()
        assert one.line("text  ").split("│")[-1].split() == ["text", "·meow"]
        assert "id           13" in one.text()
        assert "probability  1.0%  log −4.61" in one.text()
        assert "rank         1" in one.text()
        assert "entropy      0.50 nats, like 1.6 tokens" in one.text()
        assert "put there by the sampler" in one.text()
        assert "surprise     1 of 3" in one.text()
        assert "The cat says·meow⏎" in one.text()


async def test_what_is_not_known_is_said_so() -> None:
    async with inspect((figure(1, "Hi", None, origin="written"), figure(2, "!"))) as one:
        assert "probability  not known" in one.text() and "entropy      not known" in one.text()
        assert "put there by who wrote the text" in one.text()
        assert "perplexity 1.05 · mean log-probability −0.05" in one.text()


async def test_keys_go_through_tokens_and_lines() -> None:
    async with inspect() as one:
        await one.press("left")
        assert one.screen.cursor == 0
        await one.press("right", "down")
        assert one.screen.cursor == 6
        await one.press("up")
        assert one.screen.cursor == 1
        await one.press("end")
        assert one.screen.cursor == 9
        await one.press("right")
        assert one.screen.cursor == 9
        await one.press("home")
        assert one.screen.cursor == 0
        await one.press("pagedown")
        assert one.screen.cursor == 5


async def test_going_up_and_down_keeps_to_the_column() -> None:
    words = tuple(
        figure(at, text) for at, text in enumerate(["abcd", "efgh", "\n", "x", "\n", "ijkl", "mnop"])
    )
    async with inspect(words) as one:
        await one.press("right", "down")
        assert one.screen.cursor == 4
        await one.press("down")
        assert one.screen.cursor == 6
        await one.press("up", "up")
        assert one.screen.cursor == 1


async def test_a_token_of_several_rows_is_left_by_one_key() -> None:
    async with inspect((figure(1, "a\n"), figure(2, "-" * 200), figure(3, "\nb")), size=(80, 24)) as one:
        await one.press("down")
        assert one.screen.cursor == 1
        await one.press("down")
        assert one.screen.cursor == 2
        await one.press("up")
        assert one.screen.cursor == 1


async def test_a_click_goes_to_a_token_and_again_to_the_next_part_of_a_character() -> None:
    async with inspect() as one:
        await one.click("says")
        assert one.screen.cursor == 2
        await one.click("😀")
        assert one.screen.cursor == 6
        assert "text         ·\\xf0\\x9f, part of 😀" in one.text()
        await one.click("😀")
        assert one.screen.cursor == 7
        await one.click("😀")
        assert one.screen.cursor == 8
        assert "text         \\x80, part of 😀" in one.text()
        await one.click("😀")
        assert one.screen.cursor == 6


async def test_the_least_sure_tokens_are_a_key_away_and_go_round() -> None:
    probabilities = [0.9, 0.02, 0.9, 0.9, 0.01, 0.9, 0.05, 0.9]
    async with inspect(tuple(figure(at, f" w{at}", p) for at, p in enumerate(probabilities))) as one:
        seen = []
        for key in ("n", "n", "n", "n", "N", "N"):
            await one.press(key)
            seen.append(one.screen.cursor)
        assert seen == [1, 4, 6, 1, 6, 4]
        assert "surprise     1 of 3, 1 is the least sure" in one.text()
        await one.press("left")
        assert "surprise     " not in one.text()


# Confidence


async def test_each_class_is_told_by_more_than_its_colour() -> None:
    async with inspect() as one:
        await one.press("end")
        looks = [one.styles_of(text)[0] for text in ("The", " cat", " says", " meow")]
        assert looks == [
            (False, False, False, False),
            (False, False, False, True),
            (False, True, False, False),
            (False, True, True, False),
        ]
        assert one.styles_of("<|im_end|>")[0] == (True, True, False, False)
        await one.press("home")
        assert one.styles_of("The")[0] == (True, True, False, False)


async def test_colours_can_be_put_off_and_on() -> None:
    async with inspect() as one:
        assert "sure ≥90%  likely ≥50%  maybe ≥10%  unlikely <10%" in one.text()
        await one.press("v")
        assert one.styles_of(" meow") == [(False, False, False, False)]
        assert "unlikely <10%" not in one.text() and "v colours" in one.text() and "perplexity" in one.text()
        await one.press("v")
        assert one.styles_of(" meow") == [(False, True, True, False)]


async def test_figures_come_while_they_are_computed() -> None:
    bare = tuple(TokenFigure(one.id, one.data) for one in CAT)
    async with inspect(bare) as one:
        assert "no figures yet" in one.text()
        one.screen.show_progress(Progress(0, 0))
        await one.until_seen("computing …   Esc stops")
        one.screen.show_progress(Progress(2, 4000))
        one.screen.fill_figures(0, CAT[:2])
        await one.until_seen("computing 2 of 4,000   Esc stops", "Token 1 of 10 · sure")
        one.screen.fill_figures(2, CAT[2:])
        one.screen.show_progress(None)
        await one.until_seen("perplexity 2.06")
        with pytest.raises(ValueError, match="others"):
            one.screen.fill_figures(0, CAT[1:3])
        one.screen.show_tokens((figure(5, "Other"),))
        await one.until_seen("Other", "Token 1 of 1")


async def test_figures_that_come_at_once_are_summed_up_without_any_progress() -> None:
    async with inspect(tuple(TokenFigure(one.id, one.data) for one in CAT)) as one:
        one.screen.fill_figures(0, CAT)
        await one.until_seen("perplexity 2.06", "Token 1 of 10 · sure")


async def test_esc_stops_computing_before_it_closes() -> None:
    async with inspect() as one:
        one.screen.show_progress(Progress(0, 10))
        await one.press("escape")
        assert one.owner.of(TokenScreen.ComputingStopped) and one.is_open
        assert "computing" not in one.text()
        await one.press("escape")
        assert await one.ended() is None
        assert len(one.owner.of(TokenScreen.Closed)) == 1


# Candidates


async def test_candidates_are_asked_for_where_the_cursor_rests() -> None:
    async with inspect(count=7) as one:
        await one.until_wanted(0, 7)
        await one.press("right", "right", "right")
        await one.until_wanted(3, 7)
        one.screen.show_candidates(3, CHOICE)
        await one.until_seen("12 candidates survive · ● in the text")
        rows = [line.rpartition("│")[0].rpartition("│")[2].split() for line in one.lines()]
        meow = next(row for row in rows if row[:1] == ["●·meow"])
        assert meow[1] == "31.0%" and "51.2%" in meow
        assert ["×·moo", "<0.1%", "▏", "dropped"] in rows
        assert 'after "The cat says"' in one.text()
        before = len(one.wanted)
        await one.press("left", "right")
        await one.until_seen("·purr")
        await one.until(lambda: one.screen._waiting is None)
        assert len(one.wanted) == before


async def test_candidates_of_another_token_are_kept_until_it_is_looked_at() -> None:
    async with inspect() as one:
        one.screen.show_candidates(3, CHOICE)
        await one.pilot.pause()
        assert "purr" not in one.text() and "Asking the model …" in one.text()
        await one.press(*MEOW)
        await one.until_seen("·purr")


async def test_candidates_of_a_text_that_is_gone_are_not_shown_for_another() -> None:
    async with inspect() as one:
        one.screen.show_candidates(0, CHOICE)
        await one.until_seen("·purr")
        one.screen.show_tokens((figure(5, "Other"),))
        await one.until_seen("Other", "Asking the model …")
        assert "·purr" not in one.text()


async def test_more_and_fewer_candidates_are_asked_for() -> None:
    async with inspect() as one:
        await one.until_wanted(0, 10)
        await one.press("+")
        await one.until_wanted(0, 11)
        await one.press("-", "-")
        await one.until_wanted(0, 9)


async def test_a_note_says_why_there_are_none() -> None:
    async with inspect() as one:
        one.screen.show_candidates_note("No model is loaded: F3 chooses one.")
        await one.until_seen("No model is loaded: F3 chooses one.")
        before = one.wanted
        await one.press(*MEOW, "c", "down", "enter")
        await one.until(lambda: one.screen._waiting is None)
        assert one.wanted == before and not one.owner.of(TokenScreen.Forked)
        one.screen.show_candidates_note("")
        await one.until_wanted(3, 10)


@pytest.mark.parametrize("size", SIZES)
async def test_enter_on_another_candidate_forks(size: tuple[int, int]) -> None:
    async with inspect(size=size) as one:
        one.screen.show_candidates(3, CHOICE)
        await one.press(*MEOW, "c")
        await one.until_seen("▸ ·purr")
        await one.press("down", "enter")
        assert await one.ended() is None
        (forked,) = one.owner.of(TokenScreen.Forked)
        assert isinstance(forked, TokenScreen.Forked)
        assert (forked.index, forked.token_id, forked.text) == (3, 22, " hiss")
        assert not one.owner.of(TokenScreen.Closed)


async def test_the_token_that_is_there_is_no_fork() -> None:
    async with inspect() as one:
        one.screen.show_candidates(3, CHOICE)
        await one.press(*MEOW, "tab", "home", "enter")
        await one.until(lambda: "This token stands there already" in one.notices())
        assert one.is_open and not one.owner.of(TokenScreen.Forked)


async def test_a_token_that_is_not_among_the_candidates_is_a_last_row() -> None:
    async with inspect() as one:
        one.screen.show_candidates(2, CHOICE)
        await one.press("right", "right")
        await one.until_seen("in the text")
        assert one.line("●·says").rpartition("│")[2].split() == ["●·says", "30.0%", "in", "the", "text"]


async def test_where_nothing_can_be_replaced_it_is_said() -> None:
    async with inspect(fork_note="This is the prompt: edit the message.") as one:
        one.screen.show_candidates(0, CHOICE)
        await one.press("c", "enter")
        await one.until(lambda: "This is the prompt: edit the message." in one.notices())
        assert one.is_open and not one.owner.of(TokenScreen.Forked)


async def test_the_first_click_marks_a_candidate_and_the_second_forks() -> None:
    async with inspect() as one:
        one.screen.show_candidates(3, CHOICE)
        await one.press(*MEOW)
        await one.click("·purr")
        await one.until_seen("▸ ·purr")
        assert one.is_open and not one.owner.of(TokenScreen.Forked)
        await one.click("·hiss")
        await one.until_seen("▸ ·hiss")
        await one.click("·hiss")
        await one.ended()
        assert [getattr(fork, "token_id", None) for fork in one.owner.of(TokenScreen.Forked)] == [22]


async def test_the_cursor_stays_on_its_candidate_when_they_come_again() -> None:
    async with inspect() as one:
        one.screen.show_candidates(3, CHOICE)
        await one.press(*MEOW, "c", "down")
        await one.until_seen("▸ ·hiss")
        one.screen.show_candidates(3, Distribution(CHOICE.candidates[::-1], 12))
        await one.until(lambda: one.text().find("·moo") < one.text().find("▸ ·hiss"))


async def test_other_tokens_can_be_gone_to_while_choosing() -> None:
    async with inspect() as one:
        one.screen.show_candidates(3, CHOICE)
        await one.press(*MEOW, "c", "right")
        assert one.screen.cursor == 4 and "·purr" not in one.text()
        await one.press("enter", "left")
        await one.until_seen("▸ ·purr")
        assert not one.owner.of(TokenScreen.Forked)


@pytest.mark.parametrize("size", SIZES)
async def test_esc_goes_from_the_candidates_to_the_text_and_closes_from_there(size: tuple[int, int]) -> None:
    async with inspect(size=size) as one:
        one.screen.show_candidates(3, CHOICE)
        await one.press(*MEOW, "c")
        await one.until_seen("▸ ·purr")
        await one.press("escape")
        await one.until(lambda: "▸" not in one.text())
        assert one.is_open
        await one.press("left")
        assert one.screen.cursor == 2
        await one.press("escape")
        assert await one.ended() is None


# The screen


@pytest.mark.parametrize("size", SIZES)
async def test_it_is_of_use_at_every_size(size: tuple[int, int]) -> None:
    async with inspect(size=size) as one:
        await one.press(*MEOW)
        assert "says·meow" in one.text() and "1.0%" in one.text() and "unlikely" in one.text()
        assert "perplexity" in one.text() and "rank" in one.text() and "Tokens of the reply" in one.text()
        strips = one.app.screen._compositor.render_strips()
        assert len(strips) == size[1] and all(strip.cell_length == size[0] for strip in strips)
        assert "F1 keys" in one.text() and "1 of 3" in one.text()
        await one.press("c")
        await one.until_seen("says·meow", "Asking the model …")
        await one.press("f1")
        await one.until_seen("Tokens: keys and words", "← h", "Esc closes")
        await one.press("escape")
        await one.until_seen("perplexity", "Asking the model …")
        assert one.is_open


async def test_the_keys_at_the_bottom_can_be_clicked() -> None:
    async with inspect() as one:
        await one.click("n N surprise")
        assert one.screen.cursor == 1
        await one.click("Esc back")
        await one.ended()


async def test_it_begins_where_it_is_told_and_a_window_may_change() -> None:
    words = tuple(figure(at, f" word{at}") for at in range(500))
    async with inspect(words, cursor=400) as one:
        await one.until_seen("·word400", "Token 401 of 500")
        await one.pilot.resize_terminal(60, 16)
        await one.until_seen("·word400", "401 of 500")
        await one.press("end")
        assert "·word499" in one.text()
        await one.pilot.resize_terminal(40, 12)
        await one.press("c")
        await one.until_seen("·word499", "Asking the model …")


async def test_text_of_a_model_is_only_text() -> None:
    hostile = (figure(1, "[red]\x1b]0;x\x07"), figure(2, "\u202e"), figure(3, "a\tb\r\n"), figure(4, ""))
    async with inspect(hostile) as one:
        assert "[red]␛]0;x␇⟨202e⟩a⇥b␍⏎" in one.text()
        await one.press("end")
        assert one.line("text  ").endswith("∅")


async def test_without_tokens_it_says_so() -> None:
    async with inspect(()) as one:
        assert "There are no tokens here." in one.text()
        await one.press("right", "down", "n", "c", "enter", "end")
        await one.until(lambda: one.screen._waiting is None)
        assert one.is_open and not one.wanted
        await one.press("escape", "escape")
        await one.ended()


async def test_without_an_owner_the_app_is_told() -> None:
    told: list[str] = []

    class Told(ScreenApp):
        def on_token_screen_closed(self, event: TokenScreen.Closed) -> None:
            told.append("closed")

    app = Told(TokenScreen("Tokens", CAT))
    async with app.run_test() as pilot:
        reader = ScreenReader(pilot, app)
        await reader.until_seen("Tokens")
        await pilot.press("escape")
        await reader.ended()
        await reader.until(lambda: told == ["closed"])


async def test_ten_thousand_tokens_are_drawn_only_where_they_are_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    words = tuple(figure(at, f" word{at}") for at in range(10_000))
    async with inspect(words) as one:
        drawn: list[int] = []
        text = one.screen._text
        draw = text.draw_row
        monkeypatch.setattr(
            text, "draw_row", lambda index, width: (drawn.append(index), draw(index, width))[1]
        )
        await one.press("end")
        assert "·word9999" in one.text()
        assert 0 < len(set(drawn)) < 100
