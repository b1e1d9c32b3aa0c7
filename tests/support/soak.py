"""A person who chats for a very long time, an engine that answers of itself, and what the program holds."""

import gc
import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import wraps
from statistics import quantiles

import pytest
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widget import Widget

from easy_llama.events import CancelFlag, Event, LiveSettings
from easy_llama.samplers import SamplerSettings
from easy_llama.scores import OnRead, Score, ScoreRequest
from easy_llama_tui.garbage import GarbageCollection, collect_all
from easy_llama_tui.preferences.keymap import MESSAGE_KEYS
from easy_llama_tui.preferences.themes import DEFAULT_THEME
from easy_llama_tui.replies.engine import LoadedModel, LoadOptions, OnProgress, RenderedPrompt
from easy_llama_tui.replies.wording import ChatState
from easy_llama_tui.screens.chat_screen import ChatScreen
from support.memory import Footprint, footprint
from support.random_keys import Fuzz
from support.running_app import Running
from support.scripted_engine import END, ScriptedEngine

TURNS_OF_A_CHAT = 15
MOST_CHATS = 12
"""More than these are deleted again, the oldest first."""
THEMES = 4
"""Themes that are tried, from the first on."""
SIZES = ((110, 30), (80, 24), (40, 12), (200, 60), (64, 20), (132, 43), (99, 15), (300, 50))
"""Windows that are tried: few enough that what Textual keeps for each size is soon there."""

_TEXT = (
    *("Once ", "upon ", "a ", "time", ", ", "the ", "**bold** ", "`code` ", "fox", ". ", "\n", "\n\n"),
    *("## Heading\n", "- item\n", "1. item\n", "```py\n", "x = 1\n", "```\n", "| a | b |\n|---|---|\n"),
    *("日本語 ", "naïve ", "> quoted\n", "<think>", "</think>\n", "[link](http://a.b) "),
)
_QUESTIONS = ("why", "and then", "tell me of the sea", "x = 2 * 3", "once more", "a list")


class PacedEngine(ScriptedEngine):
    """Writes Markdown of its own accord, so many tokens a second, and remembers nothing of it."""

    def __init__(self, rate: float = 500.0, longest: int = 60) -> None:
        super().__init__()
        self.context_length = 600  # which a chat soon fills
        self._rate = rate
        self._longest = longest
        self._chance = random.Random(1)

    def load(self, options: LoadOptions, on_progress: OnProgress) -> LoadedModel:
        self.loads.clear()
        return super().load(options, on_progress)

    def generate(
        self,
        prompt: RenderedPrompt,
        format_name: str,
        sampler: SamplerSettings,
        cancel: CancelFlag,
        live: LiveSettings,
        reply_start: tuple[int, ...] = (),
    ) -> Iterator[Event]:
        self.requests.clear()
        return super().generate(prompt, format_name, sampler, cancel, live, reply_start)

    def score(self, request: ScoreRequest, cancel: CancelFlag, on_read: OnRead | None = None) -> Score | None:
        self.scored.clear()
        return super().score(request, cancel, on_read)

    def _words(self, cancel: CancelFlag) -> Iterable[str | None]:
        due = time.monotonic()
        for _ in range(self._chance.randint(1, self._longest)):
            due += 1 / self._rate
            time.sleep(max(due - time.monotonic(), 0.0))
            if cancel.is_set:
                yield None
            yield self._chance.choice(_TEXT)
        yield END


@dataclass(frozen=True, slots=True)
class FrameTimes:
    """How long the thread of the screen computed for a frame, in seconds of its own processor time."""

    count: int
    median: float
    most: float
    """99 % stay within this."""
    longest: float

    def __str__(self) -> str:
        times = (f"{1000 * seconds:.1f}" for seconds in (self.median, self.most, self.longest))
        return f"{self.count:,} frames of {{}} ms, 99 % within {{}}, longest {{}}".format(*times)


@dataclass
class Frames:
    """Measures each frame that is drawn; those that are drawn while a reply is written by themselves."""

    is_writing: Callable[[], bool] = lambda: False
    _all: list[float] = field(default_factory=list)
    _writing: list[float] = field(default_factory=list)

    def watch(self, patch: pytest.MonkeyPatch) -> None:
        """Measure from now on."""
        draw = Screen._on_timer_update

        @wraps(draw)
        def measured(screen: Screen[object]) -> None:
            has_to_draw = bool(screen._dirty_widgets or screen._layout_required or screen._repaint_required)
            begun = time.thread_time()
            draw(screen)
            if has_to_draw:
                seconds = time.thread_time() - begun
                self._all.append(seconds)
                if self.is_writing() and isinstance(screen, ChatScreen):
                    self._writing.append(seconds)

        patch.setattr(Screen, "_on_timer_update", measured)

    def take(self) -> tuple[FrameTimes, FrameTimes]:
        """Return the times of all frames, and of those of replies that are written, and begin anew."""
        taken = _times(self._all), _times(self._writing)
        self._all, self._writing = [], []
        return taken


def _times(seconds: Sequence[float]) -> FrameTimes:
    if len(seconds) < 2:
        return FrameTimes(len(seconds), 0.0, 0.0, 0.0)
    parts = quantiles(seconds, n=100, method="inclusive")
    return FrameTimes(len(seconds), parts[49], parts[98], max(seconds))


@dataclass(frozen=True, slots=True)
class Held:
    """What the program holds at one moment, after it was brought to the same state."""

    turns: int
    process: Footprint
    objects: int
    """Objects that Python's collector knows."""
    live_widgets: int
    """Widgets that exist and were not there at the beginning, mounted or not."""
    mounted: int
    """Widgets and screens that the app knows."""
    frames: FrameTimes
    writing: FrameTimes
    """The frames that showed a reply while it was written."""

    def __str__(self) -> str:
        return (
            f"{self.turns:,} turns: {self.process.private / 1e6:.1f} MB, {self.process.threads} threads, "
            f"{self.process.files} files, {self.mounted} widgets mounted, {self.live_widgets} more alive, "
            f"{self.objects:,} objects; all: {self.frames}; of replies: {self.writing}"
        )


@dataclass
class Soak:
    """A person who does everything that can be done, again and again."""

    running: Running
    frames: Frames
    chance: random.Random
    turns: int = 0
    done: list[str] = field(default_factory=list)
    """What was done last, for when it goes wrong."""

    @property
    def pilot(self) -> Pilot[None]:
        return self.running.pilot

    @property
    def fuzz(self) -> Fuzz:
        return Fuzz(self.running, self.chance, self.done)

    async def press(self, *keys: str) -> None:
        self.done.append(" ".join(keys))
        del self.done[:-60]
        await self.pilot.press(*keys)

    async def command(self, typed: str) -> None:
        """Type a command into the prompt."""
        prompt = self.running.screen.prompt
        prompt.focus()
        prompt.clear()
        prompt.insert(typed)
        await self.press("enter")

    # A turn

    async def turn(self) -> None:
        """Have one reply written, be restless meanwhile and afterwards."""
        conversation = self.running.screen.chat.conversation
        what = self.chance.random()
        if not self.running.path or self.running.path[-1].role != "bot" or what < 0.68:
            prompt = self.running.screen.prompt
            prompt.focus()
            prompt.clear()
            prompt.insert(self.chance.choice(_QUESTIONS))
            if self.chance.random() < 0.1:
                prompt.insert(" @notes.txt")
            await self.press("enter")
        elif what < 0.80:
            await self.press("ctrl+r")
        elif what < 0.86:
            await self.press("f8")
        elif what < 0.92:
            await self._fork()
        elif what < 0.96:
            await self._edit_and_ask()
        else:
            await self.command("<")
            self.running.screen.prompt.insert("The ")
            await self.press("enter")
            await self.command(self.chance.choice(_QUESTIONS))
        assert self.running.screen.chat.conversation is conversation
        while self.running.screen.turns.running is not None and self.chance.random() < 0.5:
            await self._meanwhile()
        await self.come_home()
        assert self.running.app._exception is None, "the app has broken"
        self.turns += 1
        if self.chance.random() < 0.5:
            await self._between()
            await self.come_home()
        if len(self.running.path) > 2 * TURNS_OF_A_CHAT:
            await self._another_chat()
            await self.come_home()

    async def _fork(self) -> None:
        await self.command("/tokens")
        screen = self.running.app.screen
        if isinstance(screen, ChatScreen):
            return
        await self.press(*["right"] * self.chance.randint(0, 4), "c")
        await self.press("down", "enter")
        await self.press("escape", "escape")

    async def _edit_and_ask(self) -> None:
        await self.command("/messages")
        await self.press("k", "e", "end", "x")
        await self.press(self.chance.choice(["ctrl+s", "ctrl+r", "escape"]))

    async def _meanwhile(self) -> None:
        do = self.chance.choice(
            (
                lambda: self.press("escape"),
                lambda: self.press(self.chance.choice(["f2", "f4", "f5", "f9"])),
                lambda: self.press(
                    self.chance.choice(["pageup", "pagedown", "alt+left", "alt+right", "tab"])
                ),
                self._resize,
                lambda: self.press(*self.chance.choices("abc,", k=3)),
                lambda: self.press("ctrl+p", "down", "escape"),
                self._nothing,
                self._nothing,
            )
        )
        await do()

    async def _resize(self) -> None:
        await self.fuzz.resize(*self.chance.choice(SIZES))

    async def _nothing(self) -> None:
        await self.pilot.pause(0.02)

    async def _between(self) -> None:
        message_keys = [name for key in MESSAGE_KEYS for name in key.names]
        deeds: Sequence[Callable[[], object]] = (
            lambda: self.press(self.chance.choice(["f2", "f4", "f5", "f9"])),
            lambda: self.press("f4", "down", "right", "left", "f4"),
            lambda: self.press("f2", "down", "enter"),
            self._resize,
            self._theme,
            lambda: self._in_message_mode(self.chance.choices(message_keys, k=6)),
            lambda: self._in_message_mode(["d", "u"]),
            lambda: self._in_message_mode(["d", "escape"]),
            lambda: self._in_message_mode(["i", "escape"]),
            lambda: self.press("f7", *self.chance.choices(["up", "down", "a", "n", "left", "right"], k=4)),
            lambda: self.press("f1", "pagedown", "escape"),
            lambda: self.press("ctrl+p", "t", "pagedown", "escape"),
            lambda: self.command("/prompt"),
            lambda: self.press("f3", "down", "escape"),
            lambda: self.press("ctrl+o", "down", "w", "escape"),
            self._another_chat,
            self._random_keys,
        )
        await self.chance.choice(deeds)()  # type: ignore[misc]

    async def _random_keys(self) -> None:
        for _ in range(5):
            await self.fuzz.press_some()

    async def _in_message_mode(self, keys: Sequence[str]) -> None:
        await self.command("/messages")
        await self.press(*keys)

    async def _theme(self) -> None:
        await self.command("/theme")
        await self.press("ctrl+home", *["down"] * self.chance.randrange(THEMES), "enter")

    async def _another_chat(self) -> None:
        """Begin a chat or open one, and delete the oldest where there are many."""
        await self.press("ctrl+n")
        chats = len(list(self.running.store.folder.glob("*.toml")))
        if chats > MOST_CHATS:
            await self.press("ctrl+o")
            await self.running.until(lambda: self.is_listed)
            await self.press("ctrl+end", "f9")
        elif chats > 2 and self.chance.random() < 0.5:
            await self.press("ctrl+o")
            await self.running.until(lambda: self.is_listed)
            await self.press("down", "down", "enter")

    @property
    def is_listed(self) -> bool:
        """Whether the list of chats is shown, or was left already."""
        listed = getattr(self.running.app.screen, "chat_list", None)
        return listed is None or bool(listed.chat_rows)

    async def come_home(self) -> None:
        """Go back to the chat, and wait until the reply has ended."""
        running = self.running
        turns = running.screen.turns
        await running.until(lambda: turns.running is None and turns.state is ChatState.IDLE)
        await self.fuzz.leave_what_is_open()
        running.screen.prompt.focus()
        await running.until(lambda: turns.running is None and turns.state is ChatState.IDLE)

    # Looking

    async def warm_up(self) -> None:
        """Do once what makes something that stays."""
        await self.running.until_state(ChatState.IDLE)
        turns = self.running.screen.turns
        self.frames.is_writing = lambda: turns.state is ChatState.GENERATING
        for key in ("f2", "f4", "f5", "f9", "f9"):
            await self.press(key)
        gc.collect()
        GarbageCollection().begin()  # as the program does once it has begun

    async def held(self) -> Held:
        """Bring the program to the state that it is always looked at in, and say what it holds."""
        running = self.running
        await self.come_home()
        await self.fuzz.resize(110, 30)
        await running.screen.side_panel.show_panel("")
        running.app.theme = DEFAULT_THEME
        await self.press("ctrl+n")
        running.screen.prompt.clear()
        running.app.clear_notifications()
        assert running.screen.writer.flush(10.0)
        await running.until(lambda: not running.app.query("Toast"))
        await self.pilot.pause()
        collect_all()  # as the program does once nobody is at work
        alive = [one for one in gc.get_objects() if isinstance(one, Widget)]
        frames, writing = self.frames.take()
        return Held(
            turns=self.turns,
            process=footprint(),
            objects=len(gc.get_objects()),
            live_widgets=len(alive),
            mounted=len(running.app._registry),
            frames=frames,
            writing=writing,
        )
