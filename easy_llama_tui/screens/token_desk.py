"""The token inspector's desk: what it looks at, what the engine finds of that, and where it leads."""

from typing import TYPE_CHECKING

from easy_llama.events import Distribution, LeftOut
from easy_llama.prompt import Turn
from easy_llama.scores import ScoreRequest
from easy_llama_tui.chats.conversation import ConversationError, Message
from easy_llama_tui.replies.engine import OWN_FORMAT
from easy_llama_tui.replies.text_scoring import Part, TextRequest
from easy_llama_tui.replies.token_figures import Progress, TokenFigure
from easy_llama_tui.replies.turns import Fork
from easy_llama_tui.screens.reply_desk import BUSY, NO_MODEL
from easy_llama_tui.screens.token_screen import TokenScreen
from easy_llama_tui.text.display_text import one_line

if TYPE_CHECKING:
    from easy_llama_tui.replies import messages
    from easy_llama_tui.screens.chat_screen import ChatScreen

_COMPUTING = "They come once the figures of the text are computed."
_ONLY_REPLIES = "Only a reply can go on with another token: edit this message instead."
_NOT_THE_PROMPT = "This is the whole prompt: only a reply can go on with another token."
_TITLE_LENGTH = 40
_NOTHING = Distribution((), 0)


class TokenDesk:
    """Shows the tokens of a message or of the prompt, and has replies forked at a token."""

    def __init__(self, screen: "ChatScreen") -> None:
        self._screen = screen
        self._request_id = 0
        self._request: TextRequest | None = None
        self._message: Message | None = None
        self._shown: TokenScreen | None = None
        self._before: tuple[int, ...] = ()
        self._figures: tuple[TokenFigure, ...] = ()
        self._left_out: tuple[LeftOut, ...] = ()
        self._is_computing = False

    def look_at(self, message: Message) -> None:
        """Show the tokens of a message, in the format and with the settings that a reply was made with."""
        chat = self._screen.chat
        if not message.content:
            self._screen.notify("This message has no text.", markup=False)
        elif message.role == "bot":
            reply = Turn("bot", message.content, message.ids)
            self._look("reply", f"{message.author or 'Bot'}", message, before=message.id, reply=reply)
        else:
            name = "You" if message.role == "user" else "System"
            below = chat.conversation.children(message.id)
            self._look("last turn", name, message, before=below[0].id if below else None)

    def look_at_prompt(self) -> None:
        """Show the tokens of what the model would read now."""
        if self._screen.chat.conversation.path():
            self._look("prompt", "The prompt", None, before=None)
        else:
            self._screen.notify("There is no prompt yet: write a message first.", markup=False)

    def _look(
        self, part: Part, name: str, message: Message | None, *, before: str | None, reply: Turn | None = None
    ) -> None:
        screen, chat = self._screen, self._screen.chat
        if screen.turns.running is not None:
            screen.tell(BUSY)
            return
        if screen.turns.model is None:
            screen.tell(NO_MODEL)
            return
        making = message.made[-1] if message is not None and message.made else None
        turns = (
            chat.conversation.turns(through=message.id)
            if part == "last turn" and message is not None
            else chat.conversation.turns(before=before)
        )
        self._request_id += 1
        self._message = message
        self._request = TextRequest(
            self._request_id,
            part,
            turns,
            self._known_format(making.recipe.format if making else chat.format),
            chat.policy,
            screen.turns.window.outside,
            reply,
            making.settings if making else chat.sampler,
        )
        notes = {"reply": "", "last turn": _ONLY_REPLIES, "prompt": _NOT_THE_PROMPT}
        heading = name if message is None else f"{name} · {_beginning(message.content)}"
        self._shown = TokenScreen(
            heading, owner=screen, fork_note=notes[part], count=screen.settings.candidates_count
        )
        self._shown.show_progress(Progress(0, 0))
        self._shown.show_candidates_note(_COMPUTING)
        self._figures = ()
        self._is_computing = True
        screen.app.push_screen(self._shown)
        screen.worker.score_text(self._request)

    def _known_format(self, name: str) -> str:
        """Return a format's name, or the chat's where there is none of that name any more."""
        known = name == OWN_FORMAT or name in self._screen.settings.catalog.names
        return name if known else self._screen.chat.format

    # What the engine finds

    def on_tokens(self, message: "messages.TextTokens") -> None:
        """Show the tokens of the text."""
        if (shown := self._showing(message.request_id)) is not None:
            self._before, self._figures = message.before, message.figures
            self._left_out = message.left_out
            shown.show_tokens(message.figures)

    def on_progress(self, message: "messages.TextProgress") -> None:
        """Show how far the computation is."""
        # One may have been on its way when the person stopped the computation.
        if self._is_computing and (shown := self._showing(message.request_id)) is not None:
            shown.show_progress(Progress(message.done, message.total))

    def on_scored(self, message: "messages.TextScored") -> None:
        """Show the figures."""
        if (shown := self._showing(message.request_id)) is not None:
            self._figures = message.figures
            shown.fill_figures(0, message.figures)
            shown.show_progress(None)
            shown.show_candidates_note("")

    def on_candidates(self, message: "messages.CandidatesFound") -> None:
        """Show what could stand in place of a token."""
        if (shown := self._showing(message.request_id)) is not None:
            shown.show_candidates(message.index, message.distribution)

    def on_failed(self, message: "messages.TextFailed") -> None:
        """Say why nothing can be computed."""
        if (shown := self._showing(message.request_id)) is not None:
            shown.show_progress(None)
            shown.show_candidates_note(message.reason)
            self._screen.notify(message.reason, severity="error", timeout=10, markup=False)

    def _showing(self, request_id: int) -> TokenScreen | None:
        return self._shown if request_id == self._request_id else None

    # What the person does there

    def find_candidates(self, index: int, count: int) -> None:
        """Find what could stand in place of a token."""
        if self._request is None or not self._figures or self._screen.turns.running is not None:
            return
        start = len(self._before)
        ids = (*self._before, *(figure.id for figure in self._figures[: index + 1]))
        if len(ids) < 2 and self._shown is not None:
            self._shown.show_candidates(index, _NOTHING)  # nothing comes before the first token of all
            return
        self._screen.worker.find_candidates(
            self._request_id,
            index,
            ScoreRequest(
                ids,
                start=len(ids) - 1,
                candidates=count,
                sampler=self._request.sampler,
                reply_start=start if self._request.part == "reply" else None,
                left_out=self._left_out,
            ),
        )

    def stop(self) -> None:
        """Compute no more; what is known stays."""
        self._is_computing = False
        self._screen.worker.stop_scoring()
        if self._shown is not None:
            self._shown.show_candidates_note("")

    def close(self) -> None:
        """Note that the inspector was left."""
        self._screen.worker.stop_scoring()
        self._request_id += 1
        self._shown = self._request = None

    def fork(self, index: int, token: int) -> None:
        """Write another reply that has all before a token, another token in its place, and goes on."""
        screen, request, message = self._screen, self._request, self._message
        figures = self._figures
        self.close()
        if request is None or message is None or not screen.replies.is_free():
            return
        try:
            message = screen.chat.conversation.get(message.id)
        except ConversationError:
            screen.notify("The message is not there any more.", markup=False)
            return
        kept = figures[:index]
        begins = b"".join(figure.data for figure in kept).decode("utf-8", "ignore")
        ids = (*(figure.id for figure in kept), token)
        screen.replies.fork(message, Fork(ids, len(begins), request.format))


def _beginning(text: str) -> str:
    line = one_line(text)
    return line if len(line) <= _TITLE_LENGTH else f"{line[:_TITLE_LENGTH]}…"
