"""The two programs that `app.py` compares, each in a process of its own.

    python timed_programs.py app DESCRIPTOR MODEL TOKENS THREADS PANEL MESSAGES MODE
    python timed_programs.py plain DESCRIPTOR MODEL TOKENS THREADS

Both load the model with the same options and write `TOKENS` tokens a time, on `THREADS` threads (0 is the
usual number), with the same seed and from an empty cache; the tokens that would end a reply early are
forbidden to both. What they measured goes to `DESCRIPTOR`, one JSON object a line. `app` is `ezllama-tui`
itself, with a stopwatch around its engine's events; `plain` calls `Model.stream` for each line of JSON on
its standard input, and knows no screen.

In the mode `marked` each token's text ends in a character of its own, and the time of each is told, so that
it can be found in what the terminal was sent. In the mode `read` it is told when a prompt begins to be read.
"""

import json
import os
import random
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING

from easy_llama import formats
from easy_llama.events import CancelFlag, Event, Finished, LiveSettings, Token
from easy_llama.samplers import DefaultSampling, SamplerSettings

if TYPE_CHECKING:
    from easy_llama.tokenizer import Tokenizer

MODES = ("timed", "marked", "read")
FIRST_MARK = 0x1400
"""Canadian syllabics: over 600 letters of one cell, which no model writes by itself here."""

SEED = 7
CONTEXT_PER_TOKEN = 4
"""The context's length, over that of a reply: the app keeps a quarter of it free for replies."""

_TEXT = (
    "the of and **to** in that `is` was for on with as his they at be this *have* or by one had not but "
    "what all were when we there can an your which their said if do will each about how up out them then"
)
_WORDS_A_MESSAGE = 40
_BEGUN = datetime(2026, 1, 1, tzinfo=UTC)


def sampler_of(n_tokens: int, end_tokens: tuple[int, ...]) -> SamplerSettings:
    """Return what both draw with: the app's usual sampler, but always for `n_tokens` tokens."""
    forbidden = dict.fromkeys(end_tokens, float("-inf"))
    return DefaultSampling.replace(max_len_tokens=n_tokens, seed=SEED, logit_bias=forbidden)


def run_app(
    descriptor: int, model: str, n_tokens: int, n_threads: int, panel: str, n_messages: int, mode: str
) -> int:
    """Run the program, its replies measured."""
    from report import n_gpu_layers

    from easy_llama_tui import locations
    from easy_llama_tui.__main__ import main
    from easy_llama_tui.preferences import remembered
    from easy_llama_tui.replies import local_engine
    from easy_llama_tui.replies.engine import LoadedModel, LoadOptions, OnProgress, RenderedPrompt

    frames: list[float] = []
    if mode == "marked":
        _time_frames(frames)

    class TimedEngine(local_engine.LocalEngine):
        """Measures each reply, beside the processor time of the thread that draws."""

        def load(self, options: LoadOptions, on_progress: OnProgress) -> LoadedModel:
            loaded = super().load(options, on_progress)
            self._sampler = sampler_of(n_tokens, _end_tokens(self._model.tokenizer))
            tell(descriptor, loaded=True)
            return loaded

        def generate(
            self,
            prompt: RenderedPrompt,
            format_name: str,
            sampler: SamplerSettings,
            cancel: CancelFlag,
            live: LiveSettings,
            reply_start: tuple[int, ...] = (),
        ) -> Iterator[Event]:
            self._model.engine.forget()
            screen = time.pthread_getcpuclockid(threading.main_thread().ident or 0)
            if mode == "read":
                tell(descriptor, n_prompt=len(prompt.ids))
            first = drawing = 0.0
            marks: list[float] = []
            frames.clear()
            for event in super().generate(prompt, format_name, self._sampler, cancel, live, reply_start):
                if not first and isinstance(event, Token):
                    first, drawing = time.perf_counter(), time.clock_gettime(screen)
                if mode == "marked" and isinstance(event, Token) and event.text:
                    event = replace(event, text=event.text + chr(FIRST_MARK + len(marks)))
                    marks.append(time.perf_counter())
                if isinstance(event, Finished):
                    seconds = time.perf_counter() - first
                    tell(
                        descriptor,
                        prompt="".join(piece.text for piece in prompt.pieces),
                        prompt_ids=prompt.ids,
                        stops=formats.stops_of(self._format(format_name)),
                        ids=event.ids,
                        seconds=seconds,
                        screen_seconds=time.clock_gettime(screen) - drawing,
                        marks=marks,
                        frames=tuple(frames),
                        ended=time.perf_counter(),
                        reason=event.reason,
                    )
                yield event

    local_engine.LocalEngine = TimedEngine  # type: ignore[misc]
    remembered.update(locations.state_file(), panel=panel, hint_seen=True)
    arguments = [model, "--context-length", str(CONTEXT_PER_TOKEN * n_tokens), "--prompt-lookup", "off"]
    arguments += ["--n-gpu-layers", str(n_gpu_layers())]
    if n_threads:
        arguments += ["--threads", str(n_threads)]
    if n_messages:
        arguments += ["--resume", str(save_chat(locations.sessions_folder(), n_messages))]
    return main(arguments)


def _time_frames(seconds: list[float]) -> None:
    """Have each frame that is drawn from now on add how long it took, by the clock."""
    from textual.screen import Screen

    draw = Screen._on_timer_update

    @wraps(draw)
    def timed(screen: Screen[object]) -> None:
        has_to_draw = bool(screen._dirty_widgets or screen._layout_required or screen._repaint_required)
        begun = time.perf_counter()
        draw(screen)
        if has_to_draw:
            seconds.append(time.perf_counter() - begun)

    Screen._on_timer_update = timed  # type: ignore[method-assign]


def save_chat(folder: Path, n_messages: int) -> Path:
    """Save a made-up chat, and return its file."""
    from easy_llama_tui.chats.conversation import Conversation
    from easy_llama_tui.chats.session import ModelReference, SamplerChoice, Session, to_toml

    draw = random.Random(SEED)
    conversation = Conversation(now=lambda: _BEGUN)
    for number in range(n_messages):
        words = draw.choices(_TEXT.split(), k=draw.randint(1, 2 * _WORDS_A_MESSAGE))
        text = "".join(word + draw.choice("         \n") for word in words)
        is_reply = number % 2 == 1
        conversation.add("bot" if is_reply else "user", text, finish="stop" if is_reply else None)
    session = Session(
        id="long",
        title="A long chat",
        named=True,
        created=_BEGUN,
        updated=_BEGUN,
        head=conversation.head,
        model=ModelReference("", ""),
        format="template",
        sampler=SamplerChoice("DefaultSampling", {}),
        messages=conversation.messages,
    )
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{session.id}.toml"
    path.write_text(to_toml(session), encoding="utf-8")
    return path


def run_plain(descriptor: int, path: str, n_tokens: int, n_threads: int) -> int:
    """Answer each request on the standard input with `Model.stream`."""
    from report import conditions, load

    length = CONTEXT_PER_TOKEN * n_tokens
    model = load(path, length, n_threads=n_threads or None, prompt_lookup=False)
    sampler = sampler_of(n_tokens, _end_tokens(model.tokenizer))
    tell(descriptor, loaded=True, conditions=conditions(model))
    for request in map(json.loads, sys.stdin):
        model.engine.forget()
        chunks = model.stream(request["prompt"], request["stops"], sampler)
        next(chunks)
        first = time.perf_counter()
        for _ in chunks:
            pass
        seconds = time.perf_counter() - first
        cached = model.engine.cached_tokens
        n_prompt = len(request["prompt_ids"])
        tell(descriptor, prompt_ids=cached[:n_prompt], ids=cached[n_prompt:], seconds=seconds)
    return 0


def _end_tokens(tokenizer: "Tokenizer") -> tuple[int, ...]:
    return tuple(token for token in range(tokenizer.n_vocab) if tokenizer.is_end(token))


def tell(descriptor: int, **values: object) -> None:
    """Write one line for `app.py`."""
    data = json.dumps(values).encode() + b"\n"
    while data:
        data = data[os.write(descriptor, data) :]


if __name__ == "__main__":
    which, pipe, path, tokens, threads, *scene = sys.argv[1:]
    if which == "app":
        sys.exit(run_app(int(pipe), path, int(tokens), int(threads), scene[0], int(scene[1]), scene[2]))
    sys.exit(run_plain(int(pipe), path, int(tokens), int(threads)))
