"""The state of a chat, in words for the person. Pure."""

from enum import Enum, auto

from easy_llama_tui.chats.conversation import Message
from easy_llama_tui.replies.figures import Figures


class ChatState(Enum):
    """What the engine is at, as the person sees it."""

    NO_MODEL = auto()
    LOADING = auto()
    IDLE = auto()
    READING = auto()
    GENERATING = auto()
    STOPPING = auto()


def activity(
    state: ChatState, figures: Figures, *, model: str, loaded: float, waiting: bool, to_choose: str
) -> str:
    """Return what is going on, or how the last turn went.

    Args:
        state: what the engine is at.
        figures: of the turn that is under way, or was last.
        model: the name of the model.
        loaded: the share of it that is loaded, 0 to 1.
        waiting: whether a message waits for the model.
        to_choose: the key that chooses a model.
    """
    match state:
        case ChatState.NO_MODEL:
            return f"no model · {to_choose} chooses one"
        case ChatState.LOADING:
            return f"loading {model}  {loaded:.0%}{'; your message is sent then' if waiting else ''}"
        case ChatState.READING if figures.prompt_tokens:
            return f"reading {figures.reused_tokens + figures.read_tokens:,} of {figures.prompt_tokens:,}"
        case ChatState.READING:
            return "reading"
        case ChatState.STOPPING:
            return "stopping"
    parts = []
    if figures.tokens_per_second is not None:
        parts.append(f"{figures.tokens_per_second:.1f} tok/s")
    if figures.first_token_seconds is not None:
        parts.append(f"first token {figures.first_token_seconds:.2f} s")
    if figures.prompt_tokens:
        slid = f" ({figures.slid_tokens:,} slid)" if figures.slid_tokens else ""
        anew = f" ({figures.unslidable_tokens:,} could not slide)" if figures.unslidable_tokens else ""
        parts.append(f"reused {figures.reused_tokens:,}{slid}, read {figures.read_tokens:,}{anew}")
    return " · ".join(parts) or "ready"


CONTEXT_IS_FULL = "ended where the context is full"
"""Why a reply ended that there was no more room for."""

_NO_ROOM = "the context is full"
"""What is said beside another end where nothing could follow."""


def ending(
    message: Message,
    error: str | None,
    *,
    is_last: bool,
    to_continue: str,
    to_reroll: str,
    has_room: bool = True,
) -> str:
    """Return how a message came to its end, where that is worth saying.

    Args:
        message: one that is not being written.
        error: why it failed, where that is known.
        is_last: whether it can be re-rolled at once.
        to_continue: the key that does that; "" where there is none. A full context lets nothing be continued.
        to_reroll: the key that does that.
        has_room: whether the context has room to continue it.
    """
    if is_last and not has_room and message.finish == "length":
        error = CONTEXT_IS_FULL
    if message.role != "bot" or message.finish == "stop":
        return ""
    endings = {
        "interrupted": "stopped",
        "length": error or "ended at the length limit",
        "error": error or "failed",
        None: "not finished",
    }
    keys = [(to_continue, "continue")] if has_room and error != CONTEXT_IS_FULL else []
    keys.append((to_reroll, "re-roll"))
    offers = [f"{key} to {what}" for key, what in keys if key] if is_last else []
    full = [_NO_ROOM] if is_last and not has_room and error != CONTEXT_IS_FULL else []
    return " · ".join([endings[message.finish], *full, *offers])
