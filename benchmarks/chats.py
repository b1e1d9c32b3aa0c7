"""Seconds to list, search and open saved chats, beside reading the same files and parsing them as TOML.

The chats are made up, from a fixed seed: words and code in turns, with quotes, backslashes, line breaks and
letters beyond ASCII, as chats have them. All is done in one process on files that the system has in its
cache. A round does each thing once, in an order that rotates from round to round; the first round warms up
and does not count. The median, smallest and largest time is shown, and the median ratio to `read`, which
reads and decodes the same files and does nothing else. `tomllib` parses them all; it is slow, so it runs in
the first counted round only.
"""

import argparse
import os
import platform
import random
import statistics
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from easy_llama_tui.chats.chat_index import ChatIndex
from easy_llama_tui.chats.chat_search import search
from easy_llama_tui.chats.conversation import Conversation
from easy_llama_tui.chats.session import ModelReference, SamplerChoice, Session, from_toml, to_toml
from easy_llama_tui.chats.session_store import SessionStore

BEGUN = datetime(2026, 1, 1, tzinfo=UTC)
TEXT = (
    'the a of to and in that it "is" was for on are with as his they at be this from have or by one had not '
    "but what all were when we there can an your which their said if do will each about how up out them "
    "then she many some so these would other into has more two like him see could no make than first been "
    'café naïve Größe 日本語 print("hello\\n") x\\ny C:\\temp """doc""" return None'
)
WORDS = TEXT.split()
RARE = "aardvark"
COMMON = "which"
ABSENT = "zyzzyva"


@dataclass(frozen=True, slots=True)
class Task:
    """One thing that is measured."""

    name: str
    run: Callable[[], object]
    once: bool = False
    """Whether it is so slow that one round has to do."""
    seconds: list[float] = field(default_factory=list)


def make_session(number: int, n_messages: int, n_words: int) -> Session:
    draw = random.Random(number)
    moment = BEGUN + timedelta(minutes=number)
    conversation = Conversation(now=lambda: moment)
    for place in range(n_messages):
        is_reply = place % 2 == 1
        words = [*draw.choices(WORDS, k=draw.randint(1, 2 * n_words)), RARE * (number == 0)]
        text = "".join(word + draw.choice("     \n") for word in words)
        conversation.add("bot" if is_reply else "user", text, finish="stop" if is_reply else None)
    return Session(
        id=f"chat-{number:05}",
        title=" ".join(draw.choices(WORDS, k=6)),
        named=False,
        created=moment,
        updated=moment,
        head=conversation.head,
        model=ModelReference("models/small.gguf", "Small"),
        format="template",
        sampler=SamplerChoice("DefaultSampling", {"temp": 0.8, "top_k": 40, "top_p": 0.95}),
        messages=conversation.messages,
    )


def write_chats(folder: Path, n_chats: int, n_messages: int, n_words: int) -> None:
    folder.mkdir()
    for number in range(n_chats):
        session = make_session(number, n_messages, n_words)
        (folder / f"{session.id}.toml").write_bytes(to_toml(session).encode("utf-8"))


def read_all(folder: Path) -> list[str]:
    return [path.read_bytes().decode("utf-8") for path in folder.iterdir()]


def parse_all(folder: Path) -> list[dict[str, object]]:
    return [tomllib.loads(text) for text in read_all(folder)]


def collection_tasks(folder: Path, cache: Path) -> list[Task]:
    store = SessionStore(folder)
    index_file = cache / "chats.json"
    chats = ChatIndex(store, index_file).chats()
    open_list = ChatIndex(store, index_file)
    newest = store.load(chats[0].id)

    def list_cold() -> None:
        check(len(ChatIndex(store, cache / f"{time.perf_counter_ns()}.json").chats()) == len(chats))

    def list_warm() -> None:
        check(ChatIndex(store, index_file).chats() == chats)

    def list_again() -> None:
        check(open_list.chats() == chats)

    def list_after_a_save() -> None:
        store.save(newest)
        check(open_list.chats()[0].id == chats[0].id)

    def search_for(word: str, wanted: int | None) -> Callable[[], None]:
        def run() -> None:
            count = sum(1 for _ in search(word, chats))
            check(count == wanted if wanted is not None else count > 0)

        return run

    return [
        Task("read", lambda: read_all(folder)),
        Task("tomllib", lambda: parse_all(folder), once=True),
        Task("list, no index", list_cold),
        Task("list, index file", list_warm),
        Task("list again", list_again),
        Task("save one, list", list_after_a_save),
        Task(f"search, in none ({ABSENT})", search_for(ABSENT, 0)),
        Task(f"search, in one ({RARE})", search_for(RARE, 1)),
        Task(f"search, in most ({COMMON})", search_for(COMMON, None)),
        Task(f"search, 40 first ({COMMON})", lambda: take(search(COMMON, chats), 40)),
    ]


def long_chat_tasks(folder: Path) -> list[Task]:
    store = SessionStore(folder)
    [path] = folder.iterdir()
    text = path.read_text(encoding="utf-8")

    def open_chat() -> None:
        session = store.load(path.stem)
        Conversation(session.messages, session.head).path()

    return [
        Task("read", lambda: read_all(folder)),
        Task("tomllib", lambda: tomllib.loads(text)),
        Task("parse", lambda: from_toml(text, path.name)),
        Task("open", open_chat),
    ]


def take(items: Iterator[object], count: int) -> None:
    check(sum(1 for _ in zip(items, range(count), strict=False)) == count)


def check(holds: bool) -> None:
    if not holds:
        sys.exit("not measured: the result is wrong")


def measure(tasks: list[Task], rounds: int) -> None:
    for number in range(rounds + 1):
        print(f"round {number} of {rounds}", file=sys.stderr, flush=True)
        turn = number % len(tasks)
        for task in tasks[turn:] + tasks[:turn]:
            if task.once and number != 1:
                continue
            started = time.perf_counter()
            task.run()
            seconds = time.perf_counter() - started
            if number > 0:
                task.seconds.append(seconds)


def table(tasks: list[Task]) -> Iterator[str]:
    read = statistics.median(tasks[0].seconds)
    for task in tasks:
        median = statistics.median(task.seconds)
        spread = f"({min(task.seconds):.4f}–{max(task.seconds):.4f})"
        yield f"{task.name:<30}{median:>9.4f} s  {spread:<19}{median / read:>8.2f} × read"


def describe(folder: Path) -> str:
    files = list(folder.iterdir())
    size = sum(path.stat().st_size for path in files)
    return f"{len(files):,} chats, {size / 1e6:.1f} MB"


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--chats", metavar="N", type=int, default=1000, help="how many (1000)")
    parser.add_argument("--messages", metavar="N", type=int, default=20, help="in each (20)")
    parser.add_argument("--words", metavar="N", type=int, default=100, help="in each message, about (100)")
    parser.add_argument("--rounds", metavar="N", type=int, default=7, help="counted rounds (7)")
    arguments = parser.parse_args()
    if min(vars(arguments).values()) < 1 or arguments.chats < 40:
        parser.error("give at least 40 chats, and 1 of all else")
    return arguments


def main() -> None:
    arguments = parse_arguments()
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        write_chats(root / "chats", arguments.chats, arguments.messages, arguments.words)
        write_chats(root / "long", 1, 1000, arguments.words)
        (root / "cache").mkdir()
        for folder, tasks in (
            (root / "chats", collection_tasks(root / "chats", root / "cache")),
            (root / "long", long_chat_tasks(root / "long")),
        ):
            heading = describe(folder)
            measure(tasks, arguments.rounds)
            print(f"{heading}:", *table(tasks), "", sep="\n")
    print(f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}")


if __name__ == "__main__":
    main()
