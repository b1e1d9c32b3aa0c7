"""Text onto the clipboard: with the desktop's own tool where one works, else through the terminal.

A tool says whether it worked. A terminal does not answer OSC 52 (XTerm Control Sequences, "Manipulate
Selection Data"), so of that it can only be told that it was sent.
"""

import asyncio
import base64
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from textual.app import App

_TOOL_SECONDS: Final = 2.0
"""How long a tool may take before it counts as stuck, as wl-copy is where the desktop does not answer."""
_SAFE_BYTES: Final = 74_994
"""What some terminals take through OSC 52: 100,000 characters, in base64 and with the codes around it."""
_MOST_BYTES: Final = 750_000
"""More is not sent: tmux drops an OSC of a megabyte, and a terminal might write it on the screen."""


@dataclass(frozen=True, slots=True)
class CopyResult:
    """What became of a text that was to be copied."""

    notice: str
    """What to tell the person."""

    tool: str = ""
    """The program that has copied it; "" where none has."""

    sent: bool = False
    """Whether it was sent to the terminal, which does not say if it took it."""

    @property
    def failed(self) -> bool:
        """Whether the text is nowhere."""
        return not self.tool and not self.sent


@dataclass(frozen=True, slots=True)
class _Tool:
    name: str
    arguments: tuple[str, ...] = ()
    encoding: str = "utf-8"
    environment: Mapping[str, str] = field(default_factory=dict)
    """What its environment has besides."""


_WL_COPY = _Tool("wl-copy", ("--type", "text/plain;charset=utf-8"))
_XCLIP = _Tool("xclip", ("-selection", "clipboard", "-in"))
_XSEL = _Tool("xsel", ("--clipboard", "--input"))
_PBCOPY = _Tool("pbcopy", environment={"LC_ALL": "en_US.UTF-8"})
_CLIP = _Tool("clip.exe", encoding="utf-16-le")
_TMUX = _Tool("tmux", ("load-buffer", "-w", "-"))
"""Sends to the terminal's clipboard too, and where tmux lets no program do so by itself, as by default."""


async def copy_text(text: str, app: App[Any]) -> CopyResult:
    """Copy `text`, and return what happened. Never raises for what the desktop or the terminal does.

    It takes up to a few seconds where a tool is stuck, so a screen should run it as a worker.
    """
    if not text:
        return CopyResult("There is nothing to copy.")
    # So that Ctrl+V pastes it inside the app, whatever becomes of it outside.
    app._clipboard = text
    environment = os.environ
    problems: list[str] = []
    for tool in _tools(environment, sys.platform):
        problem = await asyncio.to_thread(_run, tool, text, environment)
        if not problem:
            return CopyResult(f"Copied {_count(text)} with {tool.name}.", tool=tool.name)
        problems.append(problem)
    return await _through_the_terminal(text, app, environment, problems)


def _tools(environment: Mapping[str, str], platform: str) -> Iterator[_Tool]:
    """Yield the tools that could reach the clipboard of who sits at the screen, the surest first."""
    if environment.get("SSH_CONNECTION") or environment.get("SSH_TTY"):
        return  # they would copy on the other machine
    found = [_PBCOPY] if platform == "darwin" else []
    if environment.get("WSL_DISTRO_NAME") or environment.get("WSL_INTEROP"):
        found.append(_CLIP)
    if environment.get("WAYLAND_DISPLAY"):
        found.append(_WL_COPY)
    if environment.get("DISPLAY"):
        found += [_XCLIP, _XSEL]
    yield from (tool for tool in found if shutil.which(tool.name, path=environment.get("PATH")))


def _run(tool: _Tool, text: str, environment: Mapping[str, str]) -> str:
    """Give `text` to a tool, and return what went wrong, or ""."""
    path = shutil.which(tool.name, path=environment.get("PATH"))
    if path is None:
        return f"{tool.name} is not there"
    try:
        # Such tools stay behind to answer those who paste. They would hold open a pipe that one waits for,
        # and end with the terminal if they were not in a session of their own.
        done = subprocess.run(
            [path, *tool.arguments],
            input=text.encode(tool.encoding, "replace"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_TOOL_SECONDS,
            start_new_session=True,
            env={**environment, **tool.environment},
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"{tool.name} did not answer"
    except OSError as error:
        return f"{tool.name} could not be run: {error.strerror or error}"
    return f"{tool.name} failed (exit code {done.returncode})" if done.returncode else ""


async def _through_the_terminal(
    text: str, app: App[Any], environment: Mapping[str, str], problems: list[str]
) -> CopyResult:
    because = f" ({'; '.join(problems)})" if problems else ""
    data = text.encode("utf-8", "replace")
    in_tmux = bool(environment.get("TMUX"))
    in_buffer = in_tmux and not await asyncio.to_thread(_run, _TMUX, text, environment)
    driver = app._driver
    # Read again: the app may have ended while tools were tried.
    sent = driver is not None and app.is_running and len(data) <= _MOST_BYTES
    if sent and driver is not None:
        driver.write(osc52(data, in_tmux=in_tmux))
    if in_buffer:
        notice = f"Copied {_count(text)} to tmux's buffer and sent it to the terminal's clipboard{because}."
        return CopyResult(f"{notice} {_IF_NOT}", tool="tmux", sent=sent)
    if not sent:
        reason = (
            f"{_size(data)} is more than a terminal takes" if driver is not None else "there is no terminal"
        )
        return CopyResult(f"Not copied: {reason}{because}. Select a part of it, or export the chat.")
    notice = f"Sent {_count(text)} to the terminal's clipboard (OSC 52){because}"
    if len(data) > _SAFE_BYTES:
        return CopyResult(
            f"{notice}: {_size(data)}, and many terminals cut off at {_SAFE_BYTES // 1000} KB. "
            "Look at the end of what you paste.",
            sent=True,
        )
    hint = " or tmux blocks it (set -g allow-passthrough on)." if in_tmux else " blocks it."
    return CopyResult(f"{notice}; if it does not arrive, your terminal{hint}", sent=True)


_IF_NOT = "If it does not arrive there, your terminal blocks it."


def osc52(data: bytes, *, in_tmux: bool = False) -> str:
    """Return the control sequence that gives `data` to the terminal's clipboard.

    In tmux it is there twice: once for tmux itself (its option `set-clipboard on`), and once wrapped, with
    each ESC doubled, to be passed on to the terminal around it (`allow-passthrough on`).
    """
    sequence = f"\x1b]52;c;{base64.b64encode(data).decode('ascii')}\a"
    if not in_tmux:
        return sequence
    wrapped = sequence.replace("\x1b", "\x1b\x1b")
    return f"{sequence}\x1bPtmux;{wrapped}\x1b\\"


def _count(text: str) -> str:
    return "1 character" if len(text) == 1 else f"{len(text):,} characters"


def _size(data: bytes) -> str:
    return f"{len(data) / 1000:,.0f} KB"
