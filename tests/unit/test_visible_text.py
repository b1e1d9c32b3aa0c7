from hypothesis import given
from hypothesis import strategies as st

from easy_llama_tui.text.display_text import cells, printable
from easy_llama_tui.text.visible_text import ending_of, fitted, visible


def test_what_would_not_be_seen_has_a_sign() -> None:
    assert visible(" a b ") == "·a·b·"
    assert visible(" a b ", space=" ") == " a b "
    assert visible("\n\t\r\u00a0") == "⏎⇥␍⍽"
    assert visible("") == "∅"
    assert visible("\x1b[31m") == "␛[31m"
    assert visible("\u200b\u3000\ufeff") == "⟨200b⟩⟨3000⟩⟨feff⟩"
    assert visible("\u202eabc") == "⟨202e⟩abc"
    assert visible("\u0301") == "◌\u0301"
    assert visible("\U0001f3fb") == "◌\U0001f3fb"
    assert visible("\ufffd") == "\ufffd"
    assert visible("<|im_end|>") == "<|im_end|>"


@given(st.text(max_size=20))
def test_every_text_is_seen_on_one_line_and_does_nothing(text: str) -> None:
    shown = visible(text)
    assert shown and shown == printable(shown)
    assert not any(character.isspace() for character in shown)
    assert cells(shown) > 0


@given(st.text(max_size=20), st.integers(0, 30))
def test_a_text_is_fitted_exactly(text: str, width: int) -> None:
    shown = visible(text)
    fit = fitted(shown, width)
    # A wide character may leave a cell.
    assert cells(fit) == width
    assert fit.rstrip() == shown or fit.rstrip().endswith("…") or width == 0
    assert cells(ending_of(shown, width)) <= width


def test_the_end_of_a_text_is_kept() -> None:
    assert ending_of("the cat", 10) == "the cat"
    assert ending_of("the cat", 4) == "…cat"
    assert fitted("the cat", 4) == "the…"
    assert fitted("你好", 3) == "你…"
    assert fitted("你好", 2) == "… "
