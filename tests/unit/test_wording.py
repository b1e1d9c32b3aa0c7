"""How a turn went, in words."""

import pytest

from easy_llama_tui.replies.figures import Figures
from easy_llama_tui.replies.wording import ChatState, activity


@pytest.mark.parametrize(
    ("figures", "said"),
    [
        (Figures(1200, 1100, 0, 0, 100), "reused 1,100, read 100"),
        (Figures(1200, 1100, 900, 0, 100), "reused 1,100 (900 slid), read 100"),
        (Figures(1200, 20, 0, 1000, 1180), "reused 20, read 1,180 (1,000 could not slide)"),
    ],
)
def test_what_was_slid_is_said(figures, said):
    told = activity(ChatState.IDLE, figures, model="m", loaded=1.0, waiting=False, to_choose="F3")
    assert told == said
