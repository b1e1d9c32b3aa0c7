"""Textual with less to do where nobody sees the difference: no terminal, and one stylesheet for all tests."""

from typing import Any

import pytest
from textual import constants
from textual._compositor import Compositor, visible_screen_stack
from textual.css.model import RuleSet
from textual.css.stylesheet import Stylesheet
from textual.geometry import Region
from textual.screen import Screen

_render_update = Compositor.render_update
_parse_rules = Stylesheet._parse_rules
_parsed: dict[tuple[object, ...], list[RuleSet]] = {}


def _draw(
    compositor: Compositor,
    full: bool = False,
    screen_stack: list[Screen[Any]] | None = None,
    simplify: bool = False,
) -> Any:
    """Have the widgets draw what has changed of them, and leave it at that.

    Textual would put it together to what a terminal is sent, and then send it to none. Who looks at the
    screen asks for `render_strips`.
    """
    if simplify:  # for a picture
        return _render_update(compositor, full, screen_stack, simplify)
    visible_screen_stack.set([] if screen_stack is None else screen_stack)
    screen, dirty = compositor.size.region, compositor._dirty_regions.copy()
    compositor._dirty_regions.clear()
    if full or dirty:
        crop = screen if full or screen in dirty else Region.from_union(dirty).intersection(screen)
        for _ in compositor._get_renders(crop):
            pass
    return None


def _parse_once(stylesheet: Stylesheet, css: str, *args: Any, **named: Any) -> list[RuleSet]:
    """Read a stylesheet that another app has read with the same colours no second time."""
    key = (css, args, tuple(named.items()), tuple(stylesheet._variables.items()))
    if key not in _parsed:
        _parsed[key] = _parse_rules(stylesheet, css, *args, **named)
    return _parsed[key]


def make_textual_quick(patch: pytest.MonkeyPatch) -> None:
    """Have Textual do less for the time of a test."""
    patch.setattr(Compositor, "render_update", _draw)
    patch.setattr(Stylesheet, "_parse_rules", _parse_once)
    # Each key that scrolls would be waited for until what moves has come to rest.
    patch.setattr(constants, "TEXTUAL_ANIMATIONS", "none")


def draw_all(patch: pytest.MonkeyPatch) -> None:
    """Have Textual put the screen together and move what scrolls all the same, where that is measured."""
    patch.setattr(Compositor, "render_update", _render_update)
    patch.setattr(constants, "TEXTUAL_ANIMATIONS", "full")
