"""The replies of a chat: how they begin, grow and end."""

from __future__ import annotations

from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING

from easy_llama.turn import Turn
from easy_llama_tui.chats.conversation import Finish, Message
from easy_llama_tui.drafts.attachments import expand
from easy_llama_tui.replies.turns import Fork, RunningTurn, Turns
from easy_llama_tui.replies.wording import CONTEXT_IS_FULL, ChatState

if TYPE_CHECKING:
    from collections.abc import Callable

    from easy_llama_tui.chats.making import Making
    from easy_llama_tui.replies.messages import ReplyEnded, ReplyRefused, ReplyText, WindowFitted
    from easy_llama_tui.screens.chat_screen import ChatScreen

BUSY = "The reply is not finished: {stop} stops it."
"""Why something cannot be done now, for `ChatScreen.tell`."""
NO_MODEL = "There is no model: {model} chooses one."
FIGURES_SECONDS = 0.5
"""The rate and the context's share are shown anew this often: no one reads them for each piece of text."""


class ReplyDesk:
    """Has replies written, and keeps what was written, however that ended."""

    def __init__(self, screen: ChatScreen, turns: Turns) -> None:
        self._screen = screen
        self._turns = turns
        self._opening = ""
        self._error_before = ""
        self.errors: dict[str, str] = {}
        """Why replies failed or ended early, by their ids."""

        self.begun_in_reasoning: set[str] = set()
        """The replies whose prompt ended inside reasoning, by their ids."""

        self.has_unsaved_text = False
        self._figures_due = 0.0

    def forget(self) -> None:
        """Forget what belongs to a chat: another one is open."""
        self._opening = ""
        self.errors.clear()
        self.begun_in_reasoning.clear()

    @property
    def opening(self) -> str:
        """How the bot's next message is to begin."""
        return self._opening

    def restore_opening(self, text: str) -> None:
        """Have the bot's next message begin with `text`, as it was to before."""
        self._opening = text
        self._screen.notify("The bot's next message begins with what you wrote for it before.", markup=False)

    def set_opening(self, text: str) -> None:
        """Have the bot's next message begin with `text`; at once where a message waits for it."""
        self._opening = text
        path = self._screen.chat.conversation.path()
        if path and path[-1].role == "user" and self.is_free():
            self.answer()
        else:
            self._screen.notify("The bot's next message begins with that.", markup=False)

    def ask(self, text: str) -> None:
        """Send what the person wrote, and have it answered."""
        screen = self._screen
        last = screen.chat.conversation.last_reply()
        reply = screen.chat.ask(expand(text, screen.settings.folder), opening=self._opening)
        screen.drafts.sent(screen.chat.conversation.path()[-2].id, text)
        if last is not None:
            screen.chat_log.update(screen.view.entry(last))  # it is not the last any more
        screen.chat_log.append(screen.view.entry(screen.chat.conversation.path()[-2]))
        self._begin(reply, asked=text)

    def answer(self) -> None:
        """Have the message answered that the shown path ends with."""
        screen = self._screen
        if self.is_free():
            reply = screen.chat.conversation.add("bot", self._opening)
            self._begin(reply)

    def reroll(self, message: Message) -> None:
        """Write another reply beside this one, or answer this message of the user anew."""
        screen = self._screen
        if not self.is_free():
            return
        conversation = screen.chat.conversation
        if message.role == "bot":
            reply = conversation.add_alternative(message.id, self._opening)
        else:
            reply = conversation.add("bot", self._opening, parent=message.id)
        screen.view.show_path(without=reply)
        self._begin(reply)

    def repeat(self, message: Message) -> None:
        """Write a reply again beside the one that was made so, with the same settings and the same seed."""
        if not self.is_free():
            return
        making = message.made[0]
        given = message.ids[: making.given_tokens]
        fork = Fork(given, making.start, making.recipe.format) if given else None
        opening = "" if fork is not None else message.content[: making.start]
        reply = self._screen.chat.conversation.add_alternative(message.id, opening)
        self._screen.view.show_path(without=reply)
        self._begin(reply, again=making, fork=fork)

    def fork(self, message: Message, fork: Fork) -> None:
        """Write another reply beside this one, which parts from it at a token."""
        reply = self._screen.chat.conversation.add_alternative(message.id, "")
        self._screen.view.show_path(without=reply)
        self._begin(reply, fork=fork)

    def continue_reply(self, message: Message) -> None:
        """Go on with a reply where it ended; what follows it is kept as a branch."""
        screen = self._screen
        if message.role != "bot":
            screen.notify("Only the bot's messages can be continued.", markup=False)
            return
        if not self.is_free():
            return
        conversation = screen.chat.conversation
        if conversation.children(message.id):
            copy = conversation.add_alternative(message.id)
            message = conversation.restore(replace(message, id=copy.id, created=copy.created, finish=None))
        screen.view.show_path(without=message)
        self._begin(message, opening=Turn("bot", message.content, message.ids))

    def _begin(
        self,
        reply: Message,
        *,
        opening: Turn | None = None,
        asked: str | None = None,
        again: Making | None = None,
        fork: Fork | None = None,
    ) -> None:
        screen = self._screen
        is_continued = opening is not None
        if opening is None and reply.content:
            opening = Turn("bot", reply.content)
            screen.drafts.sent(reply.id, reply.content, "opening")
        self._opening = ""
        self._error_before = self.errors.pop(reply.id, "")
        self._turns.begin(
            screen.chat,
            reply,
            opening=opening,
            is_continued=is_continued,
            asked=asked,
            again=again,
            fork=fork,
        )
        reply = screen.chat.conversation.update(reply.id, content=reply.content)
        screen.chat_log.append(screen.view.entry(reply))
        screen.chat_log.scroll_to_end_now()
        if screen.chat_log.cursor_id is not None:
            screen.chat_log.enter_message_mode(reply.id)
        if self._turns.state is ChatState.LOADING:
            screen.save()  # else once it is known to fit, which is in a moment: see on_window
        screen.view.show_state()
        screen.view.show_placeholder()

    def end_turn(
        self, finish: Finish, text: str, ids: tuple[int, ...], error: str, ended: ReplyEnded | None = None
    ) -> None:
        """End the turn, however it ended: keep the text and how it was made, go idle, save."""
        screen = self._screen
        reply = self.running_reply()
        made = self._turns.making_so_far(ended)
        self._turns.end()
        reply = screen.chat.conversation.update(
            reply.id, content=reply.content + text, finish=finish, ids=ids, made=made
        )
        if error:
            self.errors[reply.id] = error
        if not screen.view.show_entry(reply) and ended is not None:
            screen.notify("The reply in the other branch has ended.", markup=False)
        screen.save()
        self._go_on()

    def _take_back(self, running: RunningTurn, reason: str) -> None:
        """Undo the beginning of a turn that cannot be: nothing was read or written."""
        screen = self._screen
        conversation = screen.chat.conversation
        if running.before is not None:
            conversation.update(
                running.reply_id,
                content=running.before.content,
                finish=running.before.finish,
                ids=running.before.ids,
            )
            if self._error_before:
                self.errors[running.reply_id] = self._error_before
        else:
            reply = conversation.get(running.reply_id)
            question, self._opening = reply.parent, reply.content
            conversation.remove(running.reply_id)
            if running.asked is not None and question is not None:
                conversation.remove(question)
                screen.prompt.give_back(running.asked)
        screen.view.show_path()
        screen.notify(reason, severity="warning", timeout=10, markup=False)
        screen.save()
        self._go_on()

    def _go_on(self) -> None:
        """Do what was to be done after the turn."""
        screen = self._screen
        screen.view.show_state()
        step = self._turns.take_afterwards()
        if step is not None:
            step()
        else:
            screen.desk.show_chat()
            screen.desk.look()

    def running_reply(self) -> Message:
        """Return the reply that is being written; there must be one."""
        assert self._turns.running is not None
        return self._screen.chat.conversation.get(self._turns.running.reply_id)

    def running_text(self) -> str:
        """Return the text of the reply that is being written."""
        return self.running_reply().content if self._turns.running is not None else ""

    def after_turn(self, step: Callable[[], None]) -> bool:
        """Stop a reply that is under way, and take a step once it has ended; return whether one was."""
        if self._turns.running is None:
            return False
        self._turns.afterwards = step
        self.stop()
        return True

    def stop(self) -> None:
        """Stop reading or writing; the text so far stays."""
        is_waiting = self._turns.state is ChatState.LOADING
        self._turns.stop()
        if is_waiting:
            # Nothing has begun that could be waited for.
            self.end_turn("interrupted", "", (), "")
        else:
            self._screen.view.show_state()

    def ask_again(self) -> None:
        """Have the reply that waits for a model written by the next one that is loaded."""
        running = self._turns.end()
        reply = self._screen.chat.conversation.get(running.reply_id)
        opening = Turn("bot", reply.content, reply.ids) if reply.content else None
        self._turns.begin(
            self._screen.chat,
            reply,
            opening=opening,
            is_continued=running.before is not None,
            asked=running.asked,
        )

    def is_free(self) -> bool:
        """Return whether a reply can be begun, and say why not."""
        screen = self._screen
        if reason := screen.why_only_read():
            screen.notify(reason, severity="warning", markup=False)
        elif self._turns.running is not None:
            screen.tell(BUSY)
        elif self._turns.state is ChatState.NO_MODEL:
            screen.tell(NO_MODEL)
        else:
            return True
        return False

    # What the engine says

    def on_window(self, message: WindowFitted) -> None:
        """Save what was asked, now that it fits, and note how it is made and how the prompt ends."""
        reply = self.running_reply()
        reply = self._screen.chat.conversation.update(
            reply.id, content=reply.content, ids=reply.ids, made=self._turns.making_so_far()
        )
        self._screen.save()
        if message.opens_reasoning:
            self.begun_in_reasoning.add(reply.id)
            self._screen.view.show_entry(reply)

    def on_text(self, message: ReplyText) -> None:
        """Add what was written."""
        screen, turns = self._screen, self._turns
        turns.figures = message.figures
        reply = self.running_reply()
        reply = screen.chat.conversation.update(reply.id, content=reply.content + message.text)
        self.has_unsaved_text = True
        if turns.state is ChatState.READING:
            turns.state = ChatState.GENERATING
            self._figures_due = 0.0
        screen.view.show_entry(reply)
        if (now := monotonic()) >= self._figures_due:
            self._figures_due = now + FIGURES_SECONDS
            screen.view.show_state()

    def on_ended(self, message: ReplyEnded) -> None:
        """End the turn."""
        self._turns.figures = message.figures
        self._turns.last_seed = message.seed if message.seed is not None else self._turns.last_seed
        error = message.error or (CONTEXT_IS_FULL if message.context_is_full else "")
        self.end_turn(message.finish, message.text, message.ids, error, message)

    def on_refused(self, message: ReplyRefused) -> None:
        """Undo the beginning of the turn."""
        self._take_back(self._turns.end(), message.reason)
