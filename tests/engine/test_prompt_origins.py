"""Which piece of a prompt each of its tokens is from, on the real vocabulary."""

from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easy_llama import formats
from easy_llama.model import Model
from easy_llama.prompt import Control, Generated, Turn, Written, encode_prompt, piece_of_each_token


def turns_for(model: Model) -> tuple[Turn, ...]:
    return (
        Turn("system", "Be brief."),
        Turn("user", "Name a colour.\n\nOnly one."),
        Turn("bot", "Blue", tuple(model.tokenize("Blue"))),
        Turn("user", "<|im_end|> another"),
    )


@pytest.mark.parametrize("name", ["template", "chatml", "alpaca", "llama2chat", "blank"])
def test_every_turn_finds_its_tokens(model: Model, name: str) -> None:
    prompt_format = formats.for_model(model) if name == "template" else formats.get(name)
    turns = turns_for(model)
    pieces = formats.build_prompt(prompt_format, turns)
    ids = encode_prompt(pieces, model.tokenizer)
    places = piece_of_each_token(pieces, model.tokenizer)
    assert len(places) == len(ids)
    assert list(places) == sorted(places)
    written = {piece.turn for piece in pieces if not isinstance(piece, Control)}
    assert written == {0, 1, 2, 3}
    for place, group in groupby(zip(ids, places, strict=True), key=lambda pair: pair[1]):
        piece = pieces[place]
        if isinstance(piece, Written | Generated) and name in ("template", "chatml"):
            text = model.detokenize([token for token, _ in group])
            assert text == piece.text == turns[piece.turn if piece.turn is not None else -1].content


@given(st.lists(st.tuples(st.booleans(), st.text(max_size=12)), max_size=8))
def test_there_is_a_place_for_each_token(model: Model, parts: list[tuple[bool, str]]) -> None:
    pieces = [
        Control(text) if is_control else Written(text, number)
        for number, (is_control, text) in enumerate(parts)
    ]
    places = piece_of_each_token(pieces, model.tokenizer)
    assert len(places) == len(encode_prompt(pieces, model.tokenizer))

    assert all(0 <= place < max(len(pieces), 1) for place in places)
