"""The commands of the palette: every key's action by name."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from textual.command import DiscoveryHit, Hit, Hits, Provider

from easy_llama_tui.screens.chat_screen import ChatScreen


class KeyCommands(Provider):
    """Offers what the keys of the chat do."""

    @property
    def _commands(self) -> list[tuple[str, str, Callable[[], Awaitable[Any]]]]:
        # The chat, whatever lies over it.
        chat = next(screen for screen in self.app.screen_stack if isinstance(screen, ChatScreen))
        return [
            (key.description, key.shown, partial(chat.run_action, key.action))
            for key in chat.settings.config.keys.chat
            if key.id != "interrupt"  # it means what the moment says, and a palette has none
        ]

    async def discover(self) -> Hits:
        """Offer everything before anything is typed."""
        for text, keys, action in self._commands:
            yield DiscoveryHit(text, action, help=keys)

    async def search(self, query: str) -> Hits:
        """Offer what matches the query, best first."""
        matcher = self.matcher(query)
        for text, keys, action in self._commands:
            if (score := matcher.match(text)) > 0:
                yield Hit(score, matcher.highlight(text), action, help=keys)
