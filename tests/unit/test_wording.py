"""The state of a chat in words."""

import pytest

from easy_llama_tui.chats.conversation import Conversation, Finish, Message
from easy_llama_tui.replies.wording import CONTEXT_IS_FULL, ending


def reply(finish: Finish | None, role: str = "bot") -> Message:
    return Conversation().add(role, "The cat", finish=finish)  # type: ignore[arg-type]


def said(finish: Finish | None, error: str | None = None, **more: object) -> str:
    keys = {"to_continue": "F8", "to_reroll": "^R", **more}
    return ending(reply(finish), error, is_last=True, **keys)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("finish", "error", "words"),
    [
        ("interrupted", None, "stopped"),
        ("length", None, "ended at the length limit"),
        ("error", None, "failed"),
        ("error", "The engine is gone.", "The engine is gone."),
        (None, None, "not finished"),
    ],
)
def test_an_ending_says_what_happened_and_which_keys_help(
    finish: Finish | None, error: str | None, words: str
) -> None:
    assert said(finish, error) == f"{words} · F8 to continue · ^R to re-roll"
    other = said(finish, error, to_continue="Alt+C", to_reroll="F7")
    assert other == f"{words} · Alt+C to continue · F7 to re-roll"


def test_an_action_without_a_key_is_not_offered() -> None:
    assert said("interrupted", to_continue="") == "stopped · ^R to re-roll"
    assert said("interrupted", to_continue="", to_reroll="") == "stopped"


def test_a_reply_that_filled_the_context_is_not_to_be_continued() -> None:
    assert said("length", CONTEXT_IS_FULL) == f"{CONTEXT_IS_FULL} · ^R to re-roll"
    assert said("length", CONTEXT_IS_FULL, to_reroll="") == CONTEXT_IS_FULL


def test_where_nothing_more_fits_nothing_is_to_be_continued() -> None:
    # As after a chat was opened again: why its last reply ended is not known from its file.
    assert said("length", has_room=False) == f"{CONTEXT_IS_FULL} · ^R to re-roll"
    assert said("length", CONTEXT_IS_FULL, has_room=False) == f"{CONTEXT_IS_FULL} · ^R to re-roll"
    assert said("interrupted", has_room=False) == "stopped · the context is full · ^R to re-roll"
    above = ending(reply("length"), None, is_last=False, to_continue="F8", to_reroll="", has_room=False)
    assert above == "ended at the length limit"


def test_above_the_last_message_no_key_is_offered() -> None:
    assert ending(reply("length"), None, is_last=False, to_continue="F8", to_reroll="^R") == (
        "ended at the length limit"
    )


@pytest.mark.parametrize("message", [reply("stop"), reply(None, "user"), reply(None, "system")])
def test_what_ended_as_it_should_is_not_spoken_of(message: Message) -> None:
    assert ending(message, None, is_last=True, to_continue="F8", to_reroll="^R") == ""
