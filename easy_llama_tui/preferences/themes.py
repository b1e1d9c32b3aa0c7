"""Themes from TOML files, one each, whose keys are the fields of Textual's `Theme`.

The themes that come with the program name all their colours. A person's theme names those that it changes,
and takes the others from its `base`. Variables that no theme names are made here from its main colours, so
that they can be read on what the app writes them on (`TEXT_ON`).
"""

import difflib
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Final

from textual.color import BLACK, WHITE, Color, ColorParseError
from textual.css.constants import VALID_STYLE_FLAGS
from textual.theme import Theme

from easy_llama.record import Record
from easy_llama_tui.locations import config_folder

_MAX_BYTES = 1_000_000
DEFAULT_THEME = "ezllama-dark"
DEFAULT_LIGHT_THEME = "ezllama-light"

LEAST_CONTRAST: Final = 4.5
"""Contrast of text with its background that WCAG 2.2 asks for at level AA (success criterion 1.4.3)."""
GRAPHICS_CONTRAST: Final = 3.0
"""Contrast that it asks for where parts of a picture are to be told apart (success criterion 1.4.11)."""

_PLACES = ("background", "surface", "panel")

TEXT_ON: Final[Mapping[str, tuple[str, ...]]] = {
    "foreground": (*_PLACES, "panel-darken-1", "panel-lighten-1"),
    "primary": _PLACES,
    "secondary": ("background", "surface"),
    "accent": ("background", "surface"),
    "success": ("background", "surface"),
    "warning": ("background", "surface"),
    "error": ("background", "surface"),
    "text-muted": _PLACES,
    "text-disabled": ("background", "surface"),
    "text-primary": (*_PLACES, "panel-lighten-1"),
    "text-secondary": (*_PLACES, "panel-lighten-1"),
    "text-accent": (*_PLACES, "panel-lighten-1"),
    "text-success": (*_PLACES, "panel-lighten-1"),
    "text-warning": (*_PLACES, "panel-lighten-1"),
    "text-error": (*_PLACES, "panel-lighten-1"),
    "footer-key-foreground": _PLACES,
    "footer-foreground": ("footer-background",),
    "footer-description-foreground": ("footer-background",),
    "block-cursor-foreground": ("block-cursor-background",),
    "block-cursor-blurred-foreground": ("block-cursor-blurred-background",),
    "button-foreground": ("surface",),
    "button-color-foreground": ("primary", "success", "warning", "error"),
    "input-cursor-foreground": ("input-cursor-background",),
    "input-selection-foreground": ("input-selection-background",),
    "screen-selection-foreground": ("screen-selection-background",),
    "control-text": _PLACES,
    "written-text": _PLACES,
    "pinned": _PLACES,
    "outside": ("background", "surface"),
    "probability-before": _PLACES,
    "probability-after": _PLACES,
    "confidence-1": _PLACES,
    "confidence-2": _PLACES,
    "confidence-3": _PLACES,
    "confidence-4": _PLACES,
}
"""The variables that text is written in, each with the variables of the backgrounds that it stands on."""

GRAPHICS_ON: Final[Mapping[str, tuple[str, ...]]] = {
    "bar-system": _PLACES,
    "bar-history": _PLACES,
    "bar-draft": _PLACES,
    "bar-reply": _PLACES,
}
"""The variables that pictures are drawn in, with their backgrounds; the bar's parts are in its order."""

_DEFAULTS: Final[Mapping[str, tuple[str, str, float]]] = {
    "text-muted": ("foreground", "background", 0.35),
    "text-disabled": ("foreground", "background", 0.7),
    "text-primary": ("primary", "primary", 0),
    "text-secondary": ("secondary", "secondary", 0),
    "text-accent": ("accent", "accent", 0),
    "text-success": ("success", "success", 0),
    "text-warning": ("warning", "warning", 0),
    "text-error": ("error", "error", 0),
    "footer-key-foreground": ("secondary", "secondary", 0),
    "footer-background": ("surface", "surface", 0),
    "footer-foreground": ("foreground", "foreground", 0),
    "footer-description-foreground": ("foreground", "foreground", 0),
    "block-cursor-background": ("primary", "primary", 0),
    "block-cursor-foreground": ("background", "background", 0),
    "block-cursor-blurred-background": ("panel", "primary", 0.2),
    "block-cursor-blurred-foreground": ("foreground", "foreground", 0),
    "button-foreground": ("foreground", "foreground", 0),
    "button-color-foreground": ("background", "background", 0),
    "input-cursor-background": ("foreground", "foreground", 0),
    "input-cursor-foreground": ("background", "background", 0),
    "input-selection-background": ("background", "primary", 0.3),
    "input-selection-foreground": ("foreground", "foreground", 0),
    "screen-selection-background": ("background", "primary", 0.3),
    "screen-selection-foreground": ("foreground", "foreground", 0),
    "control-text": ("secondary", "secondary", 0),
    "written-text": ("foreground", "foreground", 0),
    "pinned": ("warning", "warning", 0),
    "outside": ("foreground", "background", 0.7),
    "bar-system": ("secondary", "secondary", 0),
    "bar-history": ("primary", "primary", 0),
    "bar-draft": ("success", "success", 0),
    "bar-reply": ("foreground", "background", 0.5),
    "probability-before": ("foreground", "background", 0.35),
    "probability-after": ("primary", "primary", 0),
    "confidence-1": ("error", "error", 0),
    "confidence-2": ("warning", "warning", 0),
    "confidence-3": ("success", "success", 0),
    "confidence-4": ("foreground", "foreground", 0),
}
"""Variables that a theme need not name: a main colour, and how much of another main colour is mixed in."""

_COLOURS = (
    *("primary", "secondary", "accent", "success", "warning", "error"),
    *("foreground", "background", "surface", "panel", "boost"),
)
_KEYS = ("base", "contrast", "dark", *_COLOURS, "variables")
_STEPS = 50
"""Into how many steps the way to white or black is cut where a colour is made easier to read."""


class ThemeError(ValueError):
    """A theme's file cannot be used; the message names the file, the key, and what is allowed."""


class _Source(Record):
    """What a theme's file says."""

    path: Path
    fields: dict[str, Any]
    variables: dict[str, str]


def themes_folder() -> Path:
    """Return the folder of the themes that come with the program: in the wheel, or beside the packages."""
    package = Path(__file__).parents[1]
    return package / "themes" if (package / "themes").is_dir() else package.parent / "themes"


def user_themes_folder() -> Path:
    """Return the folder of the person's own themes, which need not exist."""
    return config_folder() / "themes"


def read_theme(path: Path, bases: Mapping[str, Path] | None = None) -> Theme:
    """Return the theme in a TOML file; it is called as the file is.

    Keys are the main colours of Textual's `Theme`, `dark`, `contrast` (the least contrast of text that the
    file does not name itself; 4.5 where it says nothing), `base`, and a table `variables`. Colours that it
    does not name come from its base, one of `bases` (files by name): the default theme where it names none.
    Those are made lighter or darker where the file's own backgrounds make them hard to read.

    Raises:
        ThemeError: the file cannot be read, or a key or a value in it is not allowed.
    """
    own = _read(path)
    base = _base(own, bases or {})
    fields = {**(base.fields if base else {}), **own.fields}
    if "primary" not in fields:
        raise ThemeError(f"{path}: the key 'primary' is missing; give it a colour like '#88c0d0'")
    contrast = fields.pop("contrast", LEAST_CONTRAST)
    fields.pop("base", None)
    if base:
        _make_readable(fields, base.fields.keys() - own.fields.keys(), contrast)
    # Textual passes main colours through CIELAB, which moves them a little; as variables they are exact.
    exact = {name: fields[name] for name in _COLOURS if name in fields}
    variables = {**exact, **(base.variables if base else {}), **own.variables}
    theme = Theme(name=path.stem, **fields, variables=variables)
    made = theme_variables(theme, contrast, keep=own.variables)
    return replace(theme, variables={**variables, **made})


def load_themes(
    folders: Iterable[Path], wanted: Callable[[Path], bool] = lambda _path: True
) -> tuple[list[Theme], list[ThemeError]]:
    """Return the themes in the files of `folders`, and why others could not be read.

    A theme of a later folder replaces one of the same name, and may have those of the first folder as its
    base. A broken one replaces nothing.

    Args:
        folders: where to look.
        wanted: which of the files to read.
    """
    loaded: dict[str, Theme] = {}
    failed: list[ThemeError] = []
    bases: dict[str, Path] = {}
    for folder in folders:
        readable: dict[str, Path] = {}
        for path in _files(folder, failed):
            if not wanted(path):
                readable[path.stem] = path
                continue
            try:
                loaded[path.stem] = read_theme(path, bases)
            except ThemeError as error:
                failed.append(error)
            else:
                readable[path.stem] = path
        # Those of later folders are no bases: a theme could be its own, through others.
        bases = bases or readable
    return sorted(loaded.values(), key=lambda theme: theme.name), failed


def theme_variables(
    theme: Theme, contrast: float = LEAST_CONTRAST, keep: Iterable[str] = ()
) -> dict[str, str]:
    """Return the variables that the app uses and `theme` need not name, as '#rrggbb'.

    They are mixed from the theme's main colours, or are those of `theme.variables`, and made readable; the
    variables in `keep` are taken as they are. A theme of the terminal's own colours gets them unmixed.
    """
    values = {**theme.to_color_system().generate(), **theme.variables}
    if theme.ansi:
        return {name: values[colour] for name, (colour, _, _) in _DEFAULTS.items()}
    kept = set(keep)
    under = Color.parse(values["background"])
    made: dict[str, str] = {}
    # Backgrounds first: what stands on them depends on them.
    for name in sorted(_DEFAULTS, key=lambda name: name in TEXT_ON or name in GRAPHICS_ON):
        if name not in theme.variables:
            colour, other, share = _DEFAULTS[name]
            values[name] = _hex(_opaque(values[colour], under).blend(_opaque(values[other], under), share))
        if name not in kept:
            on = [_opaque(values[place], under) for place in TEXT_ON.get(name) or GRAPHICS_ON.get(name, ())]
            least = contrast if name in TEXT_ON else GRAPHICS_CONTRAST
            made[name] = values[name] = _hex(_readable(_opaque(values[name], under), on, least))
    return made


def contrast_ratio(one: Color, other: Color) -> float:
    """Return the contrast of two opaque colours, from 1 (the same) to 21 (black on white).

    The formula is that of WCAG 2.2, "contrast ratio" and "relative luminance".
    """
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@lru_cache(maxsize=4096)
def _luminance(colour: Color) -> float:
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour.normalized
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _readable(colour: Color, places: list[Color], contrast: float) -> Color:
    """Return `colour`, as much lighter or darker as it needs for its contrast with all `places`."""
    if not places:
        return colour

    def ratios(text: Color) -> list[float]:
        return [contrast_ratio(text, place) for place in places]

    # Where neither can be read on all places, the one that can be read on more of them.
    end = max(
        (WHITE, BLACK), key=lambda end: (sum(ratio >= contrast for ratio in ratios(end)), min(ratios(end)))
    )
    for step in range(_STEPS):
        nearer = colour.blend(end, step / _STEPS)
        if min(ratios(nearer)) >= contrast:
            return nearer
    return end


def _make_readable(fields: dict[str, Any], inherited: Iterable[str], contrast: float) -> None:
    for name in inherited:
        places = [Color.parse(fields[place]) for place in TEXT_ON.get(name, ()) if place in fields]
        if places:
            fields[name] = _hex(_readable(Color.parse(fields[name]), places, contrast))


def _hex(colour: Color) -> str:
    return colour.hex6.lower()


def _opaque(value: str, under: Color) -> Color:
    """Return a CSS colour, which may be followed by a share in percent, as it looks on `under`."""
    colour, _, share = value.rpartition(" ") if value.endswith("%") else (value, "", "100%")
    part = float(share.rstrip("%")) / 100
    top = under.get_contrast_text(1.0) if colour == "auto" else Color.parse(colour)
    return under + top.multiply_alpha(part)


def _files(folder: Path, failed: list[ThemeError]) -> list[Path]:
    try:
        return sorted(folder.glob("*.toml"))
    except OSError as error:
        failed.append(ThemeError(f"{folder}: {error}"))
        return []


def _read(path: Path) -> _Source:
    try:
        if not path.is_file():  # a pipe or a device would never end
            raise ValueError("it is no file")
        if path.stat().st_size > _MAX_BYTES:
            raise ValueError("it is too large for a theme")
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ThemeError(f"{path}: {error}") from error
    for key, value in values.items():
        _check(path, key, value)
    variables = values.pop("variables", {})
    return _Source(path, values, variables)


def _base(own: _Source, bases: Mapping[str, Path]) -> _Source | None:
    if "base" in own.fields:
        name = own.fields["base"]
        if name not in bases:
            raise ThemeError(f"{own.path}: base = {name!r} is no theme to build on; {_nearest(name, bases)}")
        return _read(bases[name])
    name = DEFAULT_THEME if own.fields.get("dark", True) else DEFAULT_LIGHT_THEME
    return _read(bases[name]) if name in bases else None


def _check(path: Path, key: str, value: Any) -> None:
    if key not in _KEYS:
        raise ThemeError(f"{path}: there is no key {key!r}; {_nearest(key, _KEYS)}")
    wrong = f"{path}: {key} = {value!r}"
    if key in _COLOURS and not _is_colour(value):
        raise ThemeError(f"{wrong} is not a colour; write one like '#88c0d0'")
    if key == "base" and not isinstance(value, str):
        raise ThemeError(f"{wrong} is not the name of a theme; write one like '{DEFAULT_THEME}'")
    if key == "dark" and not isinstance(value, bool):
        raise ThemeError(f"{wrong} is neither true nor false; write one of them, without quotes")
    if key == "contrast" and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise ThemeError(f"{wrong} is not a number; write one from 1 to 21, like 7.0")
    if key == "contrast" and not 1 <= value <= 21:
        raise ThemeError(f"{wrong} is out of range; write a number from 1 to 21, like 7.0")
    if key == "variables":
        if not isinstance(value, dict):
            raise ThemeError(f"{wrong} is not a table; write [variables] and below it name = value")
        for name, variable in value.items():
            _check_variable(path, name, variable)


def _check_variable(path: Path, name: str, value: Any) -> None:
    known = _known_variables()
    if name not in known:
        hint = _nearest(name, known, listed=_DEFAULTS)
        raise ThemeError(f"{path}: there is no variable {name!r}; {hint}")
    if name.endswith("-style") or "-style-" in name:
        if not isinstance(value, str) or not value.split() or not VALID_STYLE_FLAGS.issuperset(value.split()):
            allowed = ", ".join(sorted(flag for flag in VALID_STYLE_FLAGS if len(flag) > 2))
            raise ThemeError(f"{path}: variables.{name} = {value!r} is not a text style; there are {allowed}")
    elif not _is_colour(value, with_share=True):
        raise ThemeError(
            f"{path}: variables.{name} = {value!r} is not a colour; "
            "write one like '#88c0d0', '#88c0d0 35%' or 'auto 60%'"
        )


def _is_colour(value: Any, *, with_share: bool = False) -> bool:
    if not isinstance(value, str) or not value.isascii():
        return False
    if with_share and value.endswith("%"):
        value, _, share = value.rpartition(" ")
        if not share[:-1].isdecimal() or int(share[:-1]) > 100:
            return False
        if value == "auto":
            return True
    try:
        # The terminal's own colours are unknown here: nothing can be said of what is readable on them.
        return Color.parse(value).ansi is None
    except (ColorParseError, ValueError):
        return False


@cache
def _known_variables() -> set[str]:
    return {*Theme("any", primary="#808080").to_color_system().generate(), *_DEFAULTS} - {*_COLOURS}


def _nearest(name: str, allowed: Iterable[str], listed: Iterable[str] | None = None) -> str:
    """Return a hint at the nearest of the `allowed` names, or at those `listed` where none is near."""
    allowed = sorted(allowed)
    near = difflib.get_close_matches(name, allowed, n=1)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"there are {', '.join(listed or allowed)}" if allowed else "leave it out"
