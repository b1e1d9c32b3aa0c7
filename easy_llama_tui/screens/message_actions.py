"""What can be done with one message of the chat."""

from dataclasses import replace
from typing import TYPE_CHECKING

from easy_llama_tui.chats.conversation import ConversationError, Message, Removed
from easy_llama_tui.chats.making_words import making_words
from easy_llama_tui.chats.tree import Tree, tree_of
from easy_llama_tui.clipboard import copy_text
from easy_llama_tui.screens.reply_desk import BUSY

if TYPE_CHECKING:
    from easy_llama_tui.screens.chat_screen import ChatScreen
    from easy_llama_tui.screens.edit_screen import Edited


class MessageActions:
    """Edits, copies, deletes, pins messages, and goes on from them."""

    def __init__(self, screen: "ChatScreen") -> None:
        self._screen = screen
        self._before: list[Removed | Message] = []
        """What undoes the deletions and the changes in place, the last one last."""
        self._copied_block: tuple[str, int] = ("", 0)

    def forget(self) -> None:
        """Forget what was deleted and changed: another chat is open."""
        self._before.clear()

    def do(self, action: str, message_id: str) -> None:
        """Do what a key of the message mode says."""
        screen = self._screen
        try:
            message = screen.chat.conversation.get(message_id)
        except ConversationError:
            return  # keys come faster than what they do is seen: it was deleted a moment ago
        is_shown = any(entry.id == message_id for entry in screen.chat_log.entries)
        match action:
            case "copy" | "copy-code" if not is_shown:
                return  # likewise: it has made room for another reply
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
            case "making":
                self._show_making(message)
            case "tokens":
                screen.tokens.look_at(message)
            case "tree":
                self.show_tree(message_id)
            case _ if screen.turns.running is not None:
                screen.tell(BUSY)
            case "edit":
                self._edit(message)
            case "delete":
                self.delete(message_id)
            case "branch":
                self._branch(message)
            case "reroll":
                screen.replies.reroll(message)
            case "continue":
                screen.replies.continue_reply(message)

    def pin(self, message_id: str) -> None:
        """Pin a message, or let it go again."""
        if self._is_only_read():
            return
        screen = self._screen
        message = screen.chat.conversation.get(message_id)
        screen.chat.conversation.set_pinned(message_id, not message.pinned)
        screen.view.refresh_entries()
        screen.chat_changed()

    def undo_delete(self) -> None:
        """Bring back what was deleted, or changed in place, last."""
        if self._is_only_read():
            return
        screen = self._screen
        if not self._before:
            screen.notify("No message was deleted or changed in this chat since it was opened.", markup=False)
            return
        if screen.turns.running is not None:
            screen.tell(BUSY)
            return
        try:
            before = self._before[-1]
            if isinstance(before, Message):
                screen.chat.conversation.restore(before)
            else:
                screen.chat.conversation.put_back(before)
        except ConversationError:
            # Not in the way of what was deleted before it.
            self._before.insert(0, self._before.pop())
            screen.notify("That cannot be brought back: what it followed is gone.", markup=False)
            return
        self._before.pop()
        screen.view.show_path()
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
        if self._is_only_read():
            return
        from easy_llama_tui.screens.edit_screen import EditScreen

        chat, below = self._screen.chat, self._count_below(message)

        drafts = self._screen.drafts

        def edited(result: "Edited | None") -> None:
            drafts.edit_ended(chat, message.id)
            if result is None:
                return
            if chat is not self._screen.chat or message not in chat.conversation.messages:
                self._screen.prompt.give_back(result.text)
                self._screen.notify("The message is not there any more: your text is here.", markup=False)
            elif result.text != message.content or not result.in_place:
                self._apply_edit(message, result)

        edit = EditScreen(
            message.content,
            message.role,
            below,
            begun=drafts.edit_of(message.id),
            on_change=lambda text: drafts.edit_changed(chat, message.id, text),
        )
        self._screen.app.push_screen(edit, edited)

    def _apply_edit(self, message: Message, result: "Edited") -> None:
        screen = self._screen
        conversation = screen.chat.conversation
        if result.in_place:
            is_reply = message.role == "bot"
            self._before.append(message)
            conversation.update(
                message.id,
                content=result.text,
                finish=message.finish if is_reply else None,
                ids=message.ids,
                edited=is_reply or None,
            )
            screen.drafts.sent(message.id, result.text)
            screen.view.show_path()
            screen.chat_changed()
            screen.tell("Changed in place. {message-undo} here, or /undo, brings the old text back.")
            return
        new = conversation.add_alternative(message.id, result.text)
        if new.role == "bot":
            edited = replace(message, id=new.id, created=new.created, content=result.text)
            conversation.restore(replace(edited, finish="stop", edited=True))
        screen.drafts.sent(new.id, result.text)
        screen.view.show_path()
        screen.chat_changed()
        screen.tell("The new text stands beside the old one: {previous-alternative} at it shows that.")
        if new.role == "user":
            screen.replies.answer()

    def delete(self, message_id: str) -> None:
        """Delete a message and all below it, unless a reply is being written."""
        if self._is_only_read():
            return
        screen = self._screen
        if screen.turns.running is not None:
            screen.tell(BUSY)
            return
        removed = screen.chat.conversation.remove(message_id)
        self._before.append(removed)
        screen.view.show_path()
        screen.chat_changed()
        count = len(removed.messages)
        what = "1 message" if count == 1 else f"{count:,} messages"
        them = "it" if count == 1 else "them"
        screen.tell(f"Deleted {what}. {{message-undo}} here, or /undo, brings {them} back.")

    def _show_making(self, message: Message) -> None:
        """Show how a reply was made, and make it again where the person wants that."""
        from easy_llama_tui.screens.making_screen import MakingScreen

        screen = self._screen
        if message.role != "bot":
            screen.notify("No model made this message: only replies have figures.", markup=False)
            return
        chat = screen.chat

        def closed(answer: str | None) -> None:
            if answer == "again" and chat is screen.chat and message in chat.conversation.messages:
                screen.replies.repeat(message)

        words = making_words(message, screen.turns.recipe_now(chat))
        screen.app.push_screen(MakingScreen(words), closed)

    def show_tree(self, message_id: str | None = None) -> None:
        """Show the whole tree, with the cursor on a message or on the shown end."""
        from easy_llama_tui.screens.tree_screen import TreeScreen, TreeWork

        screen = self._screen
        chat = screen.chat
        if not chat.conversation.messages:
            screen.notify("There are no messages yet.", markup=False)
            return

        def look() -> Tree:
            running = screen.turns.running
            return tree_of(chat.conversation, running.reply_id if running is not None else None)

        work = TreeWork(look, self._name_branch, self.delete, self.undo_delete)
        screen.app.push_screen(TreeScreen(work, message_id), lambda to: self.go_to(to) if to else None)

    def go_to(self, message_id: str) -> None:
        """Show the branch in which a message stands, and mark the message."""
        screen = self._screen
        try:
            screen.chat.conversation.show(message_id)
        except ConversationError:
            return
        screen.view.show_path()
        screen.chat_log.enter_message_mode(message_id)
        screen.chat_changed()

    def _name_branch(self, message_id: str, name: str) -> None:
        if self._is_only_read():
            return
        try:
            self._screen.chat.conversation.name_branch(message_id, name)
        except ConversationError:
            self._screen.notify("The message is not there any more.", markup=False)
            return
        self._screen.chat_changed()

    def _branch(self, message: Message) -> None:
        if self._is_only_read():
            return
        screen = self._screen
        screen.chat.conversation.end_at(message.id)
        screen.view.show_path()
        screen.chat_changed()
        screen.prompt.focus()
        screen.notify("What you write now begins a branch here; the rest is kept beside it.", markup=False)

    def _is_only_read(self) -> bool:
        """Return whether the chat cannot be changed, and say why."""
        reason = self._screen.why_only_read()
        if reason:
            self._screen.notify(reason, severity="warning", markup=False)
        return bool(reason)

    def _count_below(self, message: Message) -> int:
        waiting, count = [message.id], 0
        while waiting:
            children = self._screen.chat.conversation.children(waiting.pop())
            count += len(children)
            waiting += [child.id for child in children]
        return count
