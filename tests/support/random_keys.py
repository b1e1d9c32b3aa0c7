"""A person who presses what chance says, over the whole app, and what must be so all the while."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from textual import events
from textual.keys import _character_to_key

from easy_llama.errors import EasyLlamaError
from easy_llama_tui.preferences.keymap import (
    APP_KEYS,
    CHAT_KEYS,
    LOG_KEYS,
    MESSAGE_KEYS,
    PROMPT_KEYS,
    KeyBindings,
)
from easy_llama_tui.replies.wording import ChatState
from easy_llama_tui.screens.chat_screen import ChatScreen
from support.running_app import Running
from support.scripted_engine import END

ESCAPES = 5
"""As often as this, Esc leads out of whatever is open."""

QUITTING = {"quit", "end-of-input"}
"""What would end the run; `interrupt` is among the keys, and how it ends is taken out of the app."""

ACTIONS = tuple(
    name
    for key in (*APP_KEYS, *CHAT_KEYS, *PROMPT_KEYS, *LOG_KEYS, *MESSAGE_KEYS)
    if key.id not in QUITTING
    for name in key.names
)
# fmt: off
OTHERS = (
    "enter", "enter", "enter", "escape", "tab", "shift+tab", "up", "down", "left", "right", "home", "end",
    "shift+up", "shift+left", "ctrl+left", "backspace", "delete", "ctrl+w", "ctrl+u", "ctrl+k", "ctrl+a",
    "ctrl+e", "ctrl+z", "ctrl+y", "ctrl+x", "ctrl+v", "ctrl+s", "ctrl+home", "ctrl+end", "f6", "f7", "f9",
    "f10", "f12", "ctrl+l", "ctrl+f", "space", "alt+enter", "shift+enter",
)
# fmt: on
TYPED = "abehijkloprsuxyz019 .!<@\\`*-日é"
"""No slash and no tilde: what is written to a file stays in the test's own folder."""

ALL_KEYS = tuple(
    sorted(
        {
            name
            for keys in KeyBindings().contexts().values()
            for key in keys
            if key.id not in QUITTING
            for name in key.names
        }
    )
)
"""The keys of every screen and panel, wherever one is."""

# fmt: off
ODD_KEYS = (
    "f11", "f12", "f13", "f24", "insert", "ctrl+@", "ctrl+backslash", "ctrl+right_square_bracket",
    "ctrl+underscore", "ctrl+pageup", "ctrl+pagedown", "ctrl+shift+left", "ctrl+shift+home", "alt+up",
    "alt+x", "shift+pageup", "shift+end", "shift+f1", "ctrl+delete", "ctrl+backspace", "ctrl+tab", "pause",
    "ctrl+i", "ctrl+m", "ctrl+h",
)
# fmt: on
"""Keys that few terminals send and nothing is bound to."""

COMMANDS = tuple(key.typed for key in CHAT_KEYS if key.typed and key.id not in QUITTING)
WORDS = (
    *("word ", "**bold** ", "```py\n", "x = 1\n", "\n\n", "| a | b |\n"),
    *("x" * 300, "<think>", "</think>\n", "\x1b[2J"),
)
PASTES = (
    *("two\nlines", "@notes.txt ", "@.", "/nothing"),
    *("a" * 5000, "line\n" * 400, "\x1b[31m\x07\u202e", "\ud800"),
)


@dataclass
class Fuzz:
    """Presses what chance says, and remembers it."""

    running: Running
    chance: random.Random
    pressed: list[str] = field(default_factory=list)

    async def step(self) -> None:
        """Do one thing, or several at once as a terminal hands over what was typed quickly."""
        what = self.chance.random()
        if what < 0.40:
            await self._keys([self.chance.choice(ACTIONS)])
        elif what < 0.62:
            await self._keys([self.chance.choice(OTHERS)])
        elif what < 0.74:
            await self._keys(list(map(_key, self.chance.choices(TYPED, k=self.chance.randint(1, 6)))))
        elif what < 0.80:
            await self._keys(self.chance.choices((*ACTIONS, *OTHERS), k=self.chance.randint(2, 4)))
        elif what < 0.83:
            await self._keys([self.chance.choice((*ACTIONS, *OTHERS))] * self.chance.randint(2, 4))
        elif what < 0.92:
            self._engine()
        elif what < 0.95:
            self._paste(self.chance.choice(PASTES))
        elif what < 0.97 and isinstance(self.running.app.screen, ChatScreen):
            await self._command(self.chance.choice(COMMANDS))
        else:
            size = self.chance.choice([(120, 36), (80, 24), (40, 12), (200, 50), (10, 4), (99, 8), (60, 20)])
            self.pressed.append(f"resize {size}")
            await self.running.pilot.resize_terminal(*size)

    async def _keys(self, keys: list[str]) -> None:
        self.pressed.append(" ".join(keys))
        for key in keys:
            character = _character(key)
            self.running.app.post_message(events.Key(key, character))
        await self.running.pilot.pause()

    async def _command(self, command: str) -> None:
        self.pressed.append(command)
        prompt = self.running.screen.prompt
        prompt.focus()
        prompt.clear()
        prompt.insert(command)
        await self.running.pilot.press("enter")

    def _paste(self, text: str) -> None:
        self.pressed.append(f"paste {text[:12]!r}")
        self.running.app.post_message(events.Paste(text))

    def _engine(self) -> None:
        engine = self.running.engine
        match self.chance.randrange(8):
            case 0 | 1 | 2:
                word = self.chance.choice(WORDS)
                self.pressed.append(f"say {word[:8]!r}")
                engine.say(word)
            case 3 | 4:
                self.pressed.append("say END")
                engine.say(END)
            case 5:
                self.pressed.append("fail")
                engine.fail(self.chance.choice([ValueError("boom"), EasyLlamaError("boom"), OSError("boom")]))
            case 6:
                self.pressed.append("loading fails, or not")
                engine.load_error = None if engine.load_error else EasyLlamaError("no such model")
            case 7:
                self.pressed.append("a longer or shorter context")
                engine.context_length = self.chance.choice([24, 100, 4096])

    async def step_on_screen(self, own_keys: Sequence[str]) -> None:
        """Do one thing where one is: mostly what the screen has keys for."""
        what = self.chance.random()
        if what < 0.5:
            await self._keys(self.chance.choices(own_keys, k=self.chance.choice([1, 1, 1, 2, 5])))
        elif what < 0.62:
            await self._keys(list(map(_key, self.chance.choices(TYPED, k=self.chance.randint(1, 6)))))
        elif what < 0.72:
            await self._keys([self.chance.choice(OTHERS)])
        elif what < 0.78:
            await self._keys(self.chance.choices((*ALL_KEYS, *ODD_KEYS), k=self.chance.randint(1, 3)))
        elif what < 0.82:
            self._engine()
        elif what < 0.85:
            self._paste(self.chance.choice(PASTES))
        elif what < 0.90:
            await self._click()
        else:
            await self.resize(self.chance.randint(40, 300), self.chance.randint(12, 60))

    async def press_some(self) -> None:
        """Press one key or a few, of any kind."""
        keys = (*ACTIONS, *OTHERS, *ALL_KEYS, *ODD_KEYS)
        await self._keys(self.chance.choices(keys, k=self.chance.choice([1, 1, 2, 4])))

    async def resize(self, columns: int, rows: int) -> None:
        """Give the terminal another size."""
        self.pressed.append(f"resize {columns}x{rows}")
        await self.running.pilot.resize_terminal(columns, rows)

    async def _click(self) -> None:
        columns, rows = self.running.app.size
        at = self.chance.randrange(columns), self.chance.randrange(rows)
        times = self.chance.choice([1, 1, 2])
        self.pressed.append(f"click {at} {times}")
        await self.running.pilot.click(offset=at, times=times)

    async def leave_what_is_open(self) -> None:
        """Press Esc until the chat is seen; it must be seen soon."""
        for _ in range(20):
            if isinstance(self.running.app.screen, ChatScreen):
                return
            before = self.running.app.screen
            for _ in range(ESCAPES):
                if self.running.app.screen is before:
                    self.pressed.append("escape")
                    await self.running.pilot.press("escape")
            assert self.running.app.screen is not before, f"Esc does not leave {before!r}"
        raise AssertionError(f"Esc does not lead back to the chat: {self.running.app.screen_stack!r}")

    async def new_chat(self) -> None:
        """Begin a chat with the model that there is, in a usual window, whatever was done before."""
        running, engine = self.running, self.running.engine
        await self.leave_what_is_open()
        await self.end_reply()
        engine.load_error, engine.context_length = None, 4096
        engine.silence()
        running.screen.switch.load_model(running.screen.settings.load_options)
        await self.resize(110, 30)
        running.screen.action_new_chat()
        await running.screen.side_panel.show_panel("")
        running.screen.prompt.focus()
        running.screen.prompt.clear()
        await running.until(lambda: running.screen.turns.state is ChatState.IDLE and not running.path)

    async def end_reply(self) -> None:
        """Let the reply that is being written, and the one that was to follow, come to their end."""
        turns, engine = self.running.screen.turns, self.running.engine

        def has_ended() -> bool:
            if turns.running is not None:
                engine.say(END)
            return turns.running is None and turns.state in (ChatState.IDLE, ChatState.NO_MODEL)

        await self.running.until(has_ended)


def _key(character: str) -> str:
    return _character_to_key(character)


def _character(key: str) -> str | None:
    if len(key) == 1:
        return key
    by_name = {_character_to_key(one): one for one in TYPED}
    return by_name.get(key)


def check_shown(running: Running) -> None:
    assert running.shown == running.said
    ids = {message.id for message in running.screen.chat.conversation.messages}
    assert running.screen.chat_log.cursor_id in {None, *ids}


async def check_saved(running: Running) -> None:
    chat = running.screen.chat
    if not chat.has_messages:
        assert await asyncio.to_thread(running.screen.writer.flush, 10.0)
        path = running.store.path_of(chat.snapshot())
        assert not path.exists() or not running.store.load(chat.id).messages, "what is gone is saved still"
        return
    session = await running.saved()
    now = chat.snapshot()
    assert session.messages == now.messages
    assert (session.head, session.format, session.policy) == (now.head, now.format, now.policy)
    assert (session.sampler, session.title, session.model) == (now.sampler, now.title, now.model)
