"""How often Python looks for garbage: seldom enough that no picture waits for it."""

import gc

__all__ = ["collect_seldom"]

_OBJECTS = 10_000
"""New objects after which it is looked for among them."""


def collect_seldom() -> None:
    """Look for garbage from now on, seldom, and never among what is there now.

    Almost all that a reply leaves behind is freed at once. To look for the rest after every 700 objects, as
    Python does, was a tenth of what it costs to show a reply as it is written.
    """
    gc.freeze()
    gc.set_threshold(_OBJECTS, *gc.get_threshold()[1:])
    gc.enable()
