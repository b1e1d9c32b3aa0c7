"""What can be done with one message of the chat."""

from typing import TYPE_CHECKING

from easy_llama_tui.chats.conversation import ConversationError, Message, Removed
from easy_llama_tui.clipboard import copy_text

if TYPE_CHECKING:
    from easy_llama_tui.screens.chat_screen import ChatScreen
    from easy_llama_tui.screens.edit_screen import Edited


class MessageActions:
    """Edits, copies, deletes, pins messages, and goes on from them."""

    def __init__(self, screen: "ChatScreen") -> None:
        self._screen = screen
        self._removed: list[Removed] = []
        self._copied_block: tuple[str, int] = ("", 0)

    def forget(self) -> None:
        """Forget what was deleted: another chat is open."""
        self._removed.clear()

    def do(self, action: str, message_id: str) -> None:
        """Do what a key of the message mode says."""
        screen = self._screen
        try:
            message = screen.chat.conversation.get(message_id)
        except ConversationError:
            return  # keys come faster than what they do is seen: it was deleted a moment ago
        match action:
            case "copy":
                screen.run_worker(self._copy(screen.chat_log.copied_text(message_id)))
            case "copy-code":
                self._copy_code(message_id)
            case "pin":
                self.pin(message_id)
            case "undo-delete":
                self.undo_delete()
            case "previous" | "next":
                screen.show_sibling(message, -1 if action == "previous" else 1)
            case _ if screen.turns.running is not None:
                screen.notify("The reply is not finished: Esc stops it.", markup=False)
            case "edit":
                self._edit(message)
            case "delete":
                self._delete(message)
            case "branch":
                self._branch(message)
            case "reroll":
                screen.replies.reroll(message)
            case "continue":
                screen.replies.continue_reply(message)

    def pin(self, message_id: str) -> None:
        """Pin a message, or let it go again."""
        screen = self._screen
        message = screen.chat.conversation.get(message_id)
        screen.chat.conversation.set_pinned(message_id, not message.pinned)
        screen.refresh_entries()
        screen.chat_changed()

    def undo_delete(self) -> None:
        """Bring back what was deleted last."""
        screen = self._screen
        if not self._removed:
            screen.notify("No message was deleted in this chat since it was opened.", markup=False)
            return
        if screen.turns.running is not None:
            screen.notify("The reply is not finished: Esc stops it.", markup=False)
            return
        try:
            screen.chat.conversation.put_back(self._removed[-1])
        except ConversationError:
            screen.notify("What it followed was deleted too; bring that back first.", markup=False)
            return
        self._removed.pop()
        screen.show_path()
        screen.chat_changed()

    async def _copy(self, text: str, which: str = "") -> None:
        result = await copy_text(text, self._screen.app)
        self._screen.notify(f"{which}{result.notice}", markup=False)

    def _copy_code(self, message_id: str) -> None:
        blocks = self._screen.chat_log.code_blocks(message_id)
        if not blocks:
            self._screen.notify("This message has no code block.", markup=False)
            return
        # The last one first, then those before it, one for each time the key is pressed.
        before = self._copied_block[1] if self._copied_block[0] == message_id else len(blocks)
        place = (before - 1) % len(blocks)
        self._copied_block = (message_id, place)
        which = f"Code block {place + 1} of {len(blocks)}. " if len(blocks) > 1 else ""
        self._screen.run_worker(self._copy(blocks[place], which))

    def _edit(self, message: Message) -> None:
        from easy_llama_tui.screens.edit_screen import EditScreen

        chat, below = self._screen.chat, self._count_below(message)

        def edited(result: "Edited | None") -> None:
            if result is None:
                return
            if chat is not self._screen.chat or message not in chat.conversation.messages:
                self._screen.prompt.give_back(result.text)
                self._screen.notify("The message is not there any more: your text is here.", markup=False)
            elif result.text != message.content or not result.in_place:
                self._apply_edit(message, result)

        self._screen.app.push_screen(EditScreen(message.content, message.role, below), edited)

    def _apply_edit(self, message: Message, result: "Edited") -> None:
        screen = self._screen
        conversation = screen.chat.conversation
        if result.in_place:
            finish = message.finish if message.role == "bot" else None
            conversation.update(message.id, content=result.text, finish=finish)
            screen.show_path()
            screen.chat_changed()
            return
        new = conversation.add_alternative(message.id, result.text)
        if new.role == "bot":
            conversation.update(new.id, content=result.text, finish="stop")
        screen.show_path()
        screen.chat_changed()
        if new.role == "user":
            screen.replies.answer()
        else:
            screen.notify("The edited reply stands beside the old one: Alt+← shows that.", markup=False)

    def _delete(self, message: Message) -> None:
        screen = self._screen
        removed = screen.chat.conversation.remove(message.id)
        self._removed.append(removed)
        screen.show_path()
        screen.chat_changed()
        count = len(removed.messages)
        what = "1 message" if count == 1 else f"{count:,} messages"
        them = "it" if count == 1 else "them"
        screen.notify(f"Deleted {what}. u here, or /undo, brings {them} back.", markup=False)

    def _branch(self, message: Message) -> None:
        screen = self._screen
        screen.chat.conversation.end_at(message.id)
        screen.show_path()
        screen.chat_changed()
        screen.prompt.focus()
        screen.notify("What you write now begins a branch here; the rest is kept beside it.", markup=False)

    def _count_below(self, message: Message) -> int:
        waiting, count = [message.id], 0
        while waiting:
            children = self._screen.chat.conversation.children(waiting.pop())
            count += len(children)
            waiting += [child.id for child in children]
        return count
