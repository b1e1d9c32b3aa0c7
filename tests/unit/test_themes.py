import math
import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from textual.app import App, ComposeResult
from textual.color import Color, rgb_to_lab
from textual.theme import BUILTIN_THEMES, Theme
from textual.widgets import Static

import easy_llama_tui
from easy_llama_tui.preferences.themes import (
    DEFAULT_LIGHT_THEME,
    DEFAULT_THEME,
    GRAPHICS_ON,
    TEXT_ON,
    ThemeError,
    contrast_ratio,
    load_themes,
    read_theme,
    theme_variables,
    themes_folder,
    user_themes_folder,
)

PATHS = {path.stem: path for path in themes_folder().glob("*.toml")}
NAMES = sorted(PATHS)
HIGH_CONTRAST = {"high-contrast-dark", "high-contrast-light"}
MAIN = {
    *("primary", "secondary", "accent", "success", "warning", "error"),
    *("foreground", "background", "surface", "panel"),
}


def colours(theme: Theme) -> dict[str, str]:
    """The variables of a theme as an app has them."""
    return {**theme.to_color_system().generate(), **theme.variables}


def luminance(colour: str) -> float:
    """Relative luminance by WCAG 2.2, https://www.w3.org/TR/WCAG22/#dfn-relative-luminance."""
    assert re.fullmatch("#[0-9a-fA-F]{6}", colour), f"{colour} is not an opaque colour"
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Contrast ratio by WCAG 2.2, https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio."""
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def distance(one: str, other: str) -> float:
    """How far apart colours look: CIE 1976, where 2.3 is just noticeable."""
    return math.dist(*(tuple(rgb_to_lab(Color.parse(colour))) for colour in (one, other)))


@pytest.fixture(scope="module")
def shipped() -> dict[str, Theme]:
    loaded, failed = load_themes([themes_folder()])
    assert failed == []
    return {theme.name: theme for theme in loaded}


def test_the_themes_that_come_along_can_be_read(shipped: dict[str, Theme]) -> None:
    assert list(shipped) == NAMES
    assert len(shipped) >= 10
    assert {DEFAULT_THEME, DEFAULT_LIGHT_THEME, *HIGH_CONTRAST} <= shipped.keys()
    assert shipped[DEFAULT_THEME].dark and not shipped[DEFAULT_LIGHT_THEME].dark


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_theme_names_its_main_colours_and_says_where_it_is_from(name: str) -> None:
    text = PATHS[name].read_text(encoding="utf-8")
    assert text.startswith("# ")
    assert {line.partition(" = ")[0] for line in text.splitlines()} >= MAIN | {"dark"}
    dark = "dark = true" in text
    theme = read_theme(PATHS[name])
    assert theme.background is not None and (luminance(theme.background) < 0.18) == dark == theme.dark


@pytest.mark.parametrize(
    ("one", "other", "ratio"),
    [
        ("#000000", "#ffffff", 21),
        ("#777777", "#ffffff", 4.48),
        ("#767676", "#ffffff", 4.54),
        ("#123456", "#123456", 1),
    ],
)
def test_contrast_is_computed_as_published(one: str, other: str, ratio: float) -> None:
    assert contrast(one, other) == contrast(other, one) == pytest.approx(ratio, abs=0.005)
    assert contrast_ratio(Color.parse(one), Color.parse(other)) == pytest.approx(contrast(one, other))


def test_a_theme_from_a_file_has_every_variable(shipped: dict[str, Theme], tmp_path: Path) -> None:
    """So the app need not make any for it."""
    (tmp_path / "mine.toml").write_text('base = "nord"\n[variables]\npinned = "#ff0000"\n')
    themes, failed = load_themes([themes_folder(), tmp_path])
    assert failed == []
    for theme in (*shipped.values(), *themes):
        assert theme_variables(theme).keys() <= theme.variables.keys(), theme.name


def test_files_that_are_not_wanted_stay_unread_but_can_be_built_on(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('base = "nord"\n')
    (tmp_path / "broken.toml").write_text("[[")
    themes, failed = load_themes([themes_folder(), tmp_path], lambda path: path.stem == "mine")
    assert ([theme.name for theme in themes], failed) == (["mine"], [])


@pytest.mark.parametrize("name", NAMES)
def test_text_can_be_read_on_its_background(shipped: dict[str, Theme], name: str) -> None:
    values = colours(shipped[name])
    least = 7.0 if name in HIGH_CONTRAST else 4.5
    hard = [
        f"{text} {values[text]} on {place} {values[place]}: {ratio:.2f}"
        for text, places in TEXT_ON.items()
        for place in places
        if (ratio := contrast(values[text], values[place])) < least
    ]
    assert hard == [], f"{name}: contrast under {least}:1"


@pytest.mark.parametrize("name", NAMES)
def test_the_parts_of_the_bar_are_seen_and_told_apart(shipped: dict[str, Theme], name: str) -> None:
    values = colours(shipped[name])
    faint = [
        (part, place)
        for part, places in GRAPHICS_ON.items()
        for place in places
        if contrast(values[part], values[place]) < 3.0
    ]
    assert faint == []
    for one, other in combinations(GRAPHICS_ON, 2):
        assert distance(values[one], values[other]) > 15, (one, other)


@pytest.mark.parametrize("name", NAMES)
def test_what_means_different_things_looks_different(shipped: dict[str, Theme], name: str) -> None:
    values = colours(shipped[name])
    groups = [
        ("control-text", "written-text"),
        ("probability-before", "probability-after"),
        ("screen-selection-background", "background"),
        ("input-selection-background", "background"),
        ("outside", "foreground"),
        tuple(f"confidence-{level}" for level in range(1, 5)),
    ]
    for group in groups:
        for one, other in combinations(group, 2):
            assert distance(values[one], values[other]) > 10, (one, other)


# What the app's style rules use


def rules() -> Iterator[tuple[str, str]]:
    """The file and the text of each block or string that sets a colour."""
    package = Path(easy_llama_tui.__file__).parent
    for path in [*package.rglob("*.tcss"), *package.rglob("*.py")]:
        if path.name != "themes.py":
            text = re.sub(r"/\*.*?\*/", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
            for block in re.split("[{}\"']", text):
                if re.search(r"\$[a-z]", block):
                    yield path.name, block


IN_CODE = re.compile(r"(?:(?:bold|italic) )*\$([a-z][\w-]*)(?: on \$([a-z][\w-]*))?")
"""A style in code, in a string of its own, as in "bold $primary on $panel"."""


def used(rule: str, block: str) -> list[str]:
    """The variables that `rule` is set to in full; with a share in percent, it is decoration."""
    return re.findall(rf"(?:^|[\s;]){rule}:\s*\$([a-z][\w-]*)\s*(?:;|$)", block)


def test_every_variable_in_use_is_in_every_theme(shipped: dict[str, Theme]) -> None:
    in_use = {(file, found) for file, block in rules() for found in re.findall(r"\$([a-z][\w-]*)", block)}
    assert {
        ("app.tcss", "surface"),
        ("chat_styles.py", "text-muted"),
        ("status_bar.py", "text-error"),
    } <= in_use
    for name, theme in shipped.items():
        values = colours(theme)
        assert {(file, found) for file, found in in_use if found not in values} == set(), name


def test_every_text_in_use_is_among_those_whose_contrast_is_checked() -> None:
    blocks = list(rules())
    pairs = [
        (file, text, place)
        for file, block in blocks
        for text in used("color", block)
        for place in used("background", block)
    ]
    in_code = [(file, found) for file, block in blocks if (found := IN_CODE.fullmatch(block))]
    pairs += [(file, found[1], found[2]) for file, found in in_code if found[2]]
    assert ("chat_styles.py", "primary", "panel") in pairs
    assert [pair for pair in pairs if pair[2] not in TEXT_ON.get(pair[1], ())] == []
    texts = {(file, text) for file, block in blocks for text in used("color", block)}
    texts |= {(file, found[1]) for file, found in in_code}
    assert ("status_bar.py", "text-error") in texts
    assert {(file, text) for file, text in texts if text not in TEXT_ON and text not in GRAPHICS_ON} == set()


def test_colours_are_variables_everywhere() -> None:
    package = Path(easy_llama_tui.__file__).parent
    found = [
        (path.name, colour)
        for path in [
            *package.rglob("*.tcss"),
            *(package / "widgets").glob("*.py"),
            *(package / "screens").glob("*.py"),
        ]
        for colour in re.findall(
            r"(?:color|background|border[\w-]*):[^;$]*(#[0-9a-fA-F]{3,8})\b", path.read_text("utf-8")
        )
    ]
    assert found == []


# A person's themes


def load(tmp_path: Path, **files: str) -> tuple[dict[str, Theme], list[str]]:
    for name, text in files.items():
        (tmp_path / f"{name}.toml").write_text(text, encoding="utf-8")
    loaded, failed = load_themes([themes_folder(), tmp_path])
    return {theme.name: theme for theme in loaded}, [str(error) for error in failed]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("primary = '#123456'\nsecundary = '#fff'", "'secundary'; did you mean 'secondary'"),
        ("zzz = 'mine'", "no key 'zzz'; there are accent, background, base"),
        ("primary = 'blurple'", "primary = 'blurple' is not a colour; write one like '#88c0d0'"),
        ("primary = 3", "primary = 3 is not a colour"),
        ("primary = '#88c0d0 35%'", "is not a colour"),
        ("primary = 'ansi_red'", "is not a colour"),
        ("primary = ", "mine.toml"),
        ("primary = '\\x00'", "is not a colour"),
        ("dark = 'yes'", "dark = 'yes' is neither true nor false"),
        ("contrast = true", "contrast = True is not a number; write one from 1 to 21"),
        ("contrast = 22", "contrast = 22 is out of range"),
        ("contrast = nan", "contrast = nan is out of range"),
        ("base = 'nrod'", "base = 'nrod' .*; did you mean 'nord'"),
        ("base = 1", "base = 1 is not the name of a theme"),
        ("base = 'mine'", "base = 'mine' is no theme to build on"),
        ("variables = 1", "variables = 1 is not a table"),
        ("[variables]\noutsid = '#fff'", "no variable 'outsid'; did you mean 'outside'"),
        ("[variables]\nzzzzzz = '#fff'", "no variable 'zzzzzz'; there are text-muted, "),
        ("[variables]\noutside = 'dim'", "variables.outside = 'dim' is not a colour; .* 'auto 60%'"),
        ("[variables]\noutside = '#fff 200%'", "is not a colour"),
        ("[variables]\noutside = '#fff;}'", "is not a colour"),
        ("[variables]\nblock-cursor-text-style = 'loud'", "is not a text style; there are blink, bold"),
        ("x = " + "[" * 5000, "mine.toml"),
        ("x = " + "9" * 5000, "mine.toml"),
    ],
)
def test_a_broken_theme_is_reported_with_its_file_and_the_others_load(
    tmp_path: Path, text: str, message: str
) -> None:
    loaded, failed = load(tmp_path, mine=text, good="primary = '#123456'")
    assert loaded.keys() == {*NAMES, "good"}
    assert len(failed) == 1
    assert failed[0].startswith(str(tmp_path / "mine.toml"))
    assert re.search(message, failed[0])


def test_what_cannot_be_read_as_text_is_reported(tmp_path: Path) -> None:
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    (tmp_path / "folder.toml").mkdir()
    assert [len(found) for found in load(tmp_path)] == [len(NAMES), 2]


def test_a_folder_that_is_not_there_holds_no_themes(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert load_themes([tmp_path / "none", tmp_path / "file"]) == ([], [])


def test_a_theme_without_a_base_must_name_the_main_colour(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("dark = true")
    with pytest.raises(ThemeError, match="'primary' is missing"):
        read_theme(tmp_path / "mine.toml")


def test_colours_that_are_not_named_come_from_the_base(tmp_path: Path) -> None:
    loaded, failed = load(tmp_path, mine="base = 'nord'\nsecondary = '#ffff00'")
    assert failed == []
    mine, nord = loaded["mine"], loaded["nord"]
    assert mine.secondary == "#ffff00"
    assert (mine.primary, mine.background, mine.dark) == (nord.primary, nord.background, nord.dark)
    assert mine.variables["text-muted"] == nord.variables["text-muted"]
    assert mine.variables["control-text"] == "#ffff00"


@pytest.mark.parametrize(("dark", "base"), [("true", DEFAULT_THEME), ("false", DEFAULT_LIGHT_THEME)])
def test_without_a_base_the_default_themes_are(tmp_path: Path, dark: str, base: str) -> None:
    loaded, failed = load(tmp_path, mine=f"dark = {dark}")
    assert failed == []
    assert colours(loaded["mine"]) == colours(loaded[base])


def test_a_theme_may_replace_one_that_comes_along_and_build_on_it(tmp_path: Path) -> None:
    loaded, failed = load(tmp_path, nord="base = 'nord'\nprimary = '#ffffff'", other="base = 'nord'")
    assert failed == []
    assert len(loaded) == len(NAMES) + 1
    assert loaded["nord"].primary == "#ffffff"
    assert loaded["nord"].background == "#2e3440"
    assert loaded["other"].primary != "#ffffff"


def test_only_themes_of_the_first_folder_are_bases(tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder, base in zip(folders, ("nord", "one"), strict=True):
        folder.mkdir()
        (folder / f"{folder.name}.toml").write_text(f"base = '{base}'")
    loaded, failed = load_themes([themes_folder(), *folders])
    assert {theme.name for theme in loaded} == {*NAMES, "one"}
    assert [str(error) for error in failed if "base = 'one' is no theme to build on" in str(error)]


def test_a_broken_theme_replaces_nothing(tmp_path: Path, shipped: dict[str, Theme]) -> None:
    loaded, failed = load(tmp_path, nord="primary = 1")
    assert len(failed) == 1
    assert loaded["nord"] == shipped["nord"]


def test_what_a_person_names_is_taken_as_it_is(tmp_path: Path) -> None:
    text = "foreground = '#333333'\n[variables]\noutside = '#111111'\npinned = '#ffffff 5%'"
    mine = load(tmp_path, mine=text)[0]["mine"]
    assert mine.foreground == "#333333"
    assert mine.variables["outside"] == "#111111"
    assert mine.variables["pinned"] == "#ffffff 5%"


def test_the_contrast_that_a_theme_asks_for_is_that_of_what_it_inherits(tmp_path: Path) -> None:
    values = colours(load(tmp_path, mine="base = 'solarized-dark'\ncontrast = 7")[0]["mine"])
    for text, places in TEXT_ON.items():
        for place in places:
            # Lighter and darker shades of the panel are Textual's.
            if "-" not in place:
                assert contrast(values[text], values[place]) >= 7, (text, place)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.from_regex("#[0-9a-f]{6}", fullmatch=True), base=st.sampled_from(NAMES))
def test_what_is_inherited_can_be_read_on_any_background(tmp_path: Path, place: str, base: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        f"base = '{base}'\ncontrast = 4.5\n"
        + "".join(f"{name} = '{place}'\n" for name in ("background", "surface", "panel"))
    )
    values = colours(read_theme(path, PATHS))
    for text, places in TEXT_ON.items():
        if "background" in places:
            assert contrast(values[text], place) >= 4.5, text


KEYS = st.sampled_from(["base", "contrast", "dark", "primary", "panel", "boost", "x"])
VARIABLES = st.sampled_from(["text-muted", "outside", "text", "link-style", "panel-lighten-1", "x"])
SHARES = st.sampled_from(["", " 50%", " 5x%", "%"])
COLOURS = st.sampled_from(
    ["#fff", "#ffff", "auto", "rgb(1,2,3)", "hsl(1,2%,3%)", "hsl(1,2,3)", "", "#", "red"]
)
STRINGS = st.one_of(
    st.tuples(COLOURS, SHARES).map("".join),
    st.text(st.characters(codec="utf-8", exclude_characters="'\n\r"), max_size=5),
    st.sampled_from(["nord", "bold", "not bold"]),
)
VALUES = st.one_of(
    STRINGS.map("'{}'".format), st.sampled_from(["1", "7.5", "true", "[]", "{}", "1979-05-27"])
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    keys=st.dictionaries(KEYS, VALUES, max_size=3), variables=st.dictionaries(VARIABLES, VALUES, max_size=2)
)
def test_a_theme_is_either_used_or_reported(
    tmp_path: Path, keys: dict[str, str], variables: dict[str, str]
) -> None:
    lines = [f"{key} = {value}" for key, value in keys.items()]
    lines += ["[variables]", *(f"{name} = {value}" for name, value in variables.items())]
    path = tmp_path / "mine.toml"
    path.write_text("\n".join(lines), encoding="utf-8")
    try:
        theme = read_theme(path, PATHS)
    except ThemeError as error:
        assert str(error).startswith(str(path))
    else:
        assert colours(theme).keys() >= TEXT_ON.keys() | GRAPHICS_ON.keys()


def test_own_themes_are_beside_the_configuration() -> None:
    assert user_themes_folder().name == "themes"
    assert user_themes_folder() != themes_folder()


# In an app


class Coloured(App[None]):
    """Uses a variable that Textual does not know."""

    CSS: ClassVar[str] = "Static { color: $outside; background: $surface; }"

    def __init__(self, theme: str) -> None:
        super().__init__()
        for loaded in load_themes([themes_folder()])[0]:
            self.register_theme(loaded)
        self.theme = theme

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return theme_variables(self.current_theme)

    def compose(self) -> ComposeResult:
        yield Static("text")


async def test_an_app_changes_its_theme_while_it_runs(shipped: dict[str, Theme]) -> None:
    app = Coloured(DEFAULT_THEME)
    async with app.run_test() as pilot:
        for name in ("nord", "high-contrast-light", DEFAULT_THEME):
            app.theme = name
            await pilot.pause()
            assert app.query_one(Static).styles.color == Color.parse(shipped[name].variables["outside"])
            # The app's own list draws what is selected in this style: it must say both colours.
            selected = app.screen.get_component_rich_style("screen--selection")
            assert selected.color is not None and selected.bgcolor is not None
            assert contrast(selected.color.name, selected.bgcolor.name) >= 4.5


@pytest.mark.parametrize("name", sorted(BUILTIN_THEMES))
def test_textuals_own_themes_get_the_variables_too(name: str) -> None:
    made = theme_variables(BUILTIN_THEMES[name])
    assert made.keys() >= {"outside", "confidence-4", *GRAPHICS_ON}
