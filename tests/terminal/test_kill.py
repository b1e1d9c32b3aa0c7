"""Killed at any moment, the program has lost nothing but the last second of typing and two of a reply."""

import random
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.talking_program import LONG, SLOW, SaidWord, said
from support.terminal import STORY, Start, Terminal

from easy_llama_tui import locations
from easy_llama_tui.chats.session_store import SessionStore
from easy_llama_tui.drafts.draft_store import DraftStore

TYPING_SECONDS = 1.0
REPLY_SECONDS = 2.0
BUSY_SECONDS = 1.0
"""How much later than on a machine of its own the program may come to save: tests share theirs."""

SCHEMA_1 = '''schema = 1
id = "{id}"
title = "Old chat"
created = 2026-01-01T00:00:00Z
updated = 2026-01-01T00:00:00Z
head = "m2"

[model]
path = ""
name = "tiny"

[format]
name = "template"

[sampler]
preset = "DefaultSampling"

[[messages]]
id = "m1"
role = "user"
created = 2026-01-01T00:00:00Z
content = """An old question {tag}"""

[[messages]]
id = "m2"
parent = "m1"
role = "bot"
created = 2026-01-01T00:00:00Z
content = """An old answer {tag}"""
finish = "stop"
'''


def everything_kept() -> list[str]:
    """All texts on the disk, as the program finds them: what is said in chats, and drafts."""
    store = SessionStore(locations.sessions_folder())
    listing = store.listing()
    assert listing.damaged == ()
    chats = [store.load(summary.id) for summary in listing.summaries]
    kept = [message.content for chat in chats for message in chat.messages]
    drafts = DraftStore(locations.drafts_folder())
    for path in locations.drafts_folder().glob("*.json"):
        draft = drafts.read(path.stem)
        assert draft is not None, f"{path} is damaged"
        kept += [draft.text, draft.aside, draft.opening, *draft.edits.values()]
        kept += [sent.text for sent in draft.sent]
    return kept


def assert_no_strange_files() -> None:
    """Nothing lies about that could be taken for a chat or a draft, and only its user reads what there is."""
    for folder, known in (
        (locations.sessions_folder(), r"[0-9]{8}-[0-9]{6}-[0-9a-f]{4}\.toml|old-\d+\.toml"),
        (locations.drafts_folder(), r"(chat|new)-[0-9a-f]+\.(json|lock)"),
    ):
        for path in folder.iterdir() if folder.exists() else ():
            assert path.name.startswith(".") or re.fullmatch(known, path.name), f"{path} is left behind"
            assert path.stat().st_mode & 0o077 == 0, f"{path} can be read by others"


class Round:
    """One life of the program: what is done in it, and what must be found after its death."""

    def __init__(self, terminal: Terminal, chance: random.Random, log: Path) -> None:
        self.terminal = terminal
        self.chance = chance
        self.typed: list[list[tuple[float, str]]] = []
        """Each text that was typed, character by character with its time."""
        self._log = log
        self._said_before = len(said(log))
        self._number = 0

    def clear_prompt(self) -> None:
        """Take out the draft of the life before, so that what is typed stands alone."""
        if self._has_draft:
            self.terminal.until(lambda: "ready" in self.terminal.status)  # before, Ctrl+C stops the loading
            self.terminal.keys("ctrl+c")
            self.terminal.until(lambda: not self._has_draft)

    @property
    def _has_draft(self) -> bool:
        prompt = self.terminal.prompt.strip()
        return bool(prompt) and not prompt.startswith("Write a message")

    def word(self) -> str:
        """A word that nobody wrote before."""
        return "".join(self.chance.choices("bcdfghjklmnpqrstvwxz", k=8))

    def type(self, text: str, pace: float = 0.004) -> None:
        """Type as a quick person does, noting when."""
        times: list[tuple[float, str]] = []
        self.typed.append(times)
        for character in text:
            self.terminal.type(character)
            times.append((time.monotonic(), character))
            self.terminal.pass_time(pace)

    def text(self, words: int) -> str:
        return " ".join(self.word() for _ in range(words))

    def kill_soon(self, seconds: float) -> None:
        """Kill the program within so many seconds."""
        self.terminal.pass_time(self.chance.uniform(0, seconds))

    def check(self, killed: float) -> None:
        kept = everything_kept()
        assert_no_strange_files()
        for times in self.typed:
            due = "".join(one for at, one in times if at < killed - TYPING_SECONDS - BUSY_SECONDS)
            is_kept = any(due in text for text in kept)
            assert is_kept, f"typed and lost: {due!r}"
        replies: dict[str, list[SaidWord]] = {}
        for word in said(self._log)[self._said_before :]:
            replies.setdefault(word.reply, []).append(word)
        for words in replies.values():
            due = "".join(word.word for word in words if word.at < killed - REPLY_SECONDS - BUSY_SECONDS)
            is_kept = any(due in text for text in kept)
            assert is_kept, f"said and lost: {due[-40:]!r}"
            whole = "".join(word.word for word in words)
            for text in kept:
                if text.startswith(words[0].word):
                    is_as_said = whole.startswith(text) or text.startswith(whole)  # more was edited in
                    assert is_as_said, "a reply is not what was said"


def typing(life: Round) -> None:
    life.type(life.text(40))
    life.kill_soon(0.3)


def sending(life: Round) -> None:
    life.type(life.text(5))
    life.terminal.pass_time(life.chance.choice([0, 0, 1.2]))
    life.terminal.keys("enter")
    life.kill_soon(0.15)


def reading(life: Round) -> None:
    life.type(f"{SLOW} {life.text(5)}")
    life.terminal.keys("enter")
    life.type(life.text(3))
    life.kill_soon(1.5)


def streaming(life: Round) -> None:
    life.type(f"{LONG} {life.text(3)}")
    life.terminal.keys("enter")
    life.kill_soon(2.5)
    life.type(life.text(2))
    life.kill_soon(2.5)


def editing(life: Round) -> None:
    life.type(life.text(3))
    life.terminal.keys("enter")
    life.terminal.until(lambda: "w4" in life.terminal.chat and "Esc stop" not in life.terminal.status)
    life.terminal.keys("up")
    life.terminal.until(lambda: "edit" in life.terminal.status)
    life.terminal.type("e")
    life.terminal.until("Edit the reply")
    life.type(" " + life.text(20))
    if life.chance.random() < 0.5:
        life.terminal.keys("ctrl+s")  # keeps both
    life.kill_soon(0.5)


def switching(life: Round) -> None:
    for _ in range(life.chance.randrange(2, 5)):
        life.type(life.text(3))
        if life.chance.random() < 0.5:
            life.terminal.keys("enter")
        life.terminal.keys("ctrl+n")
        if life.chance.random() < 0.5:
            life.terminal.keys("ctrl+o")
            life.terminal.until("Chats")
            life.terminal.pass_time(0.1)
            life.terminal.keys("down", "enter")
            life.terminal.until_drawn()
            life.terminal.pass_time(0.2)
    life.kill_soon(0.2)


def saving(life: Round) -> None:
    for _ in range(3):
        life.type(life.text(2))
        life.terminal.keys("enter")
        life.terminal.pass_time(0.15)
    life.kill_soon(0.2)


def migrating(life: Round) -> None:
    life.terminal.until("An old answer")
    life.type(life.text(2))
    life.terminal.keys("enter")
    life.kill_soon(0.3)


SCENES: list[Callable[[Round], None]] = [
    typing,
    sending,
    reading,
    streaming,
    editing,
    switching,
    saving,
    migrating,
]


@pytest.mark.long
def test_whenever_it_is_killed_every_word_is_there(
    request: pytest.FixtureRequest, talk_at_once: Start, talk_log: Path
) -> None:
    is_long = request.config.getoption("--long")
    seed = random.SystemRandom().randrange(1 << 32) if is_long else 7
    folder, old = locations.sessions_folder(), list[str]()
    for number in range(200 if is_long else len(SCENES)):
        chance = random.Random(seed + number)
        scene = SCENES[number % len(SCENES)]
        arguments = []
        if scene is migrating:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            tag = f"{number}-{seed}"
            path = folder / f"old-{number}.toml"
            path.write_text(SCHEMA_1.format(id=path.stem, tag=tag))
            path.chmod(0o600)
            old += [f"An old question {tag}", f"An old answer {tag}"]
            arguments = ["--resume", path.stem]
        print(f"life {number} of seed {seed}: {scene.__name__}")
        terminal = talk_at_once(*arguments)
        life = Round(terminal, chance, talk_log)
        life.clear_prompt()
        scene(life)
        terminal.kill(signal.SIGKILL)
        killed = time.monotonic()
        assert terminal.wait() == -signal.SIGKILL
        life.check(killed)
        kept = everything_kept()
        assert all(any(text in one for one in kept) for text in old)


def test_a_killed_reply_is_marked_and_goes_on_where_it_was(
    talk_at_once: Start, talk_log: Path, store: SessionStore
) -> None:
    terminal = talk_at_once()
    terminal.send(f"{LONG} story")
    terminal.until(
        lambda: [one for one in store.summaries() if len(store.load(one.id).messages[1].content) > 99]
    )
    terminal.kill(signal.SIGKILL)
    assert terminal.wait() == -signal.SIGKILL
    (summary,) = store.summaries()
    before = store.load(summary.id).messages[1]
    assert before.finish is None
    assert before.content.startswith(said(talk_log)[0].word)

    terminal = talk_at_once("--resume")
    terminal.until("▌ not finished")
    terminal.keys("f8")
    terminal.until(lambda: "Esc stop" in terminal.status)
    terminal.keys("esc")
    terminal.until("▌ stopped")
    terminal.keys("ctrl+q")
    assert terminal.wait() == 0
    after = store.load(summary.id).messages[1]
    assert after.content.startswith(before.content) and len(after.content) > len(before.content)
    assert after.finish == "interrupted"


@pytest.mark.long
def test_whenever_it_is_killed_with_a_real_model_the_reply_is_there(
    request: pytest.FixtureRequest, open_chat: Start, store: SessionStore
) -> None:
    chance = random.Random(3)
    for _ in range(10 if request.config.getoption("--long") else 1):
        terminal = open_chat()
        terminal.send(STORY)
        terminal.until_writing()
        seen: list[tuple[float, str]] = []
        end = time.monotonic() + chance.uniform(3.1, 5)
        while time.monotonic() < end:
            terminal.pass_time(0.1)
            seen.append((time.monotonic(), terminal.chat))
        terminal.kill_app(signal.SIGKILL)
        killed = time.monotonic()
        assert terminal.wait() == 128 + signal.SIGKILL
        question, reply = store.load(store.summaries()[0].id).messages
        assert (question.content, reply.finish) == (STORY, None)
        kept = " ".join(reply.content.split())
        for at, chat in seen:
            if at < killed - REPLY_SECONDS - BUSY_SECONDS:
                last_words = " ".join(chat.split(STORY)[-1].split()[-4:])
                assert last_words in kept or len(chat.split(STORY)[-1].split()) < 8, "said and lost"
