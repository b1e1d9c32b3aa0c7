"""The keys: their names, what terminals send for them, and what a person may change."""

import importlib
import inspect
import string
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from textual._xterm_parser import XTermParser
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.events import Key as KeyEvent
from textual.keys import _character_to_key
from textual.widgets import TextArea

import easy_llama_tui
from easy_llama_tui.preferences import config_text, panel_keys
from easy_llama_tui.preferences.key import NO_KEY
from easy_llama_tui.preferences.key_names import (
    PROMPT_EDITING_KEYS,
    KeyNameError,
    is_typed,
    read_key,
    short,
    shown,
    with_aliases,
)
from easy_llama_tui.preferences.keymap import (
    APP_KEYS,
    CHAT_KEYS,
    PROMPT_KEYS,
    KeyBindings,
    effective_bindings,
)
from easy_llama_tui.screens import help_screen


def arrives(sequence: str) -> str:
    """The name of the key that Textual makes of what a terminal sends."""
    parser = XTermParser()
    (event,) = [*parser.feed(sequence), *parser.feed("")]
    return event.key if isinstance(event, KeyEvent) else type(event).__name__


def wrong(**overrides: str) -> tuple[dict[str, str], list[str]]:
    """The keys that differ from the defaults, and what is said."""
    bindings, problems = effective_bindings({id_.replace("_", "-"): keys for id_, keys in overrides.items()})
    return bindings.keymap(), [f"{problem.id}: {problem.reason}" for problem in problems]


class TestNames:
    @pytest.mark.parametrize(
        ("written", "key"),
        [
            ("ctrl+r", "ctrl+r"),
            (" Ctrl+R ", "ctrl+r"),
            ("CONTROL + r", "ctrl+r"),
            ("Esc", "escape"),
            ("pgup", "pageup"),
            ("shift+ctrl+Left", "ctrl+shift+left"),
            ("F12", "f12"),
            ("?", "question_mark"),
            ("+", "plus"),
            ("ctrl+/", "ctrl+slash"),
            ("ctrl+_", "ctrl+underscore"),
            ("space", "space"),
            ("G", "G"),
            ("é", "é"),
            ("alt+x", "alt+x"),
            ("super+S", "super+s"),
        ],
    )
    def test_what_a_person_writes_is_read_as_textual_calls_it(self, written: str, key: str) -> None:
        assert read_key(written) == key

    @pytest.mark.parametrize(
        ("written", "reason"),
        [
            ("ctrl+lft", "no key is called 'ctrl+lft' (did you mean 'ctrl+left'?)"),
            ("strg+x", "no modifier is called 'strg' in 'strg+x' (did you mean 'ctrl'?)"),
            ("f13", "no key is called 'f13'"),
            ("", "no key is called '' (names look like ctrl+r, alt+left or f5)"),
            ("ctrl+", "no key is called 'ctrl+'"),
            ("\x1b", "no key is called '\\x1b'"),
            ("ctrl+İ", "most terminals have no code for it"),
        ],
    )
    def test_what_is_no_key_is_told_with_the_nearest_one(self, written: str, reason: str) -> None:
        with pytest.raises(KeyNameError) as caught:
            read_key(written)
        assert reason in str(caught.value)

    def test_characters_have_the_names_that_textual_gives_them(self) -> None:
        for character in string.printable.strip() + "éß":
            assert read_key(character) == _character_to_key(character)

    @pytest.mark.parametrize(
        ("key", "name", "hint"),
        [
            ("ctrl+r", "Ctrl+R", "^R"),
            ("alt+left", "Alt+←", "Alt+←"),
            ("alt+ctrl+left", "Ctrl+Alt+←", "Ctrl+Alt+←"),
            ("escape", "Esc", "Esc"),
            ("pageup", "PgUp", "PgUp"),
            ("f1", "F1", "F1"),
            ("ctrl+slash", "Ctrl+/", "Ctrl+/"),
            ("question_mark", "?", "?"),
            ("g", "g", "g"),
        ],
    )
    def test_people_see_the_names_on_the_keys(self, key: str, name: str, hint: str) -> None:
        assert (shown(key), short(key)) == (name, hint)

    def test_the_keys_that_the_text_area_edits_with_are_known(self) -> None:
        used = {key for binding in TextArea.BINDINGS for key in binding.key.split(",")}
        assert {key for key in used if not is_typed(key)} == PROMPT_EDITING_KEYS


class TestTerminals:
    @pytest.mark.parametrize(
        ("key", "sequence"),
        [
            *((f"ctrl+{c}", chr(ord(c) - 96)) for c in string.ascii_lowercase if c not in "him"),
            *((f"alt+{c}", f"\x1b{c}") for c in string.ascii_lowercase if c not in "bf"),
            ("alt+shift+x", "\x1bX"),
            ("ctrl+backslash", "\x1c"),
            ("ctrl+right_square_bracket", "\x1d"),
            ("ctrl+circumflex_accent", "\x1e"),
            ("ctrl+underscore", "\x1f"),
            ("ctrl+slash", "\x1f"),
            ("ctrl+slash", "\x1b[47;5u"),
            ("ctrl+space", "\x00"),
            ("ctrl+space", "\x1b[32;5u"),
            ("shift+enter", "\x1b[27;2;13~"),
            ("shift+enter", "\x1b[13;2u"),
            ("ctrl+enter", "\x1b[27;5;13~"),
            ("escape", "\x1b"),
            ("f1", "\x1bOP"),
            ("f3", "\x1bOR"),
            ("f12", "\x1b[24~"),
            ("ctrl+f5", "\x1b[15;5~"),
            ("shift+f5", "\x1b[15;2~"),
            ("alt+left", "\x1b[1;3D"),
            ("ctrl+up", "\x1b[1;5A"),
            ("alt+ctrl+left", "\x1b[1;7D"),
            ("ctrl+pageup", "\x1b[5;5~"),
            ("ctrl+home", "\x1b[1;5H"),
            ("ctrl+delete", "\x1b[3;5~"),
        ],
    )
    def test_keys_that_can_be_bound_arrive_under_one_of_their_names(self, key: str, sequence: str) -> None:
        assert read_key(key) == key
        assert arrives(sequence) in with_aliases(key)

    @pytest.mark.parametrize(
        ("key", "sequence", "arrives_as"),
        [
            ("ctrl+m", "\r", "enter"),
            ("ctrl+i", "\t", "tab"),
            ("ctrl+[", "\x1b", "escape"),
            ("ctrl+h", "\x08", "backspace"),
            ("alt+enter", "\x1b\r", "enter"),
            ("alt+b", "\x1bb", "ctrl+left"),
            ("alt+f", "\x1bf", "ctrl+right"),
            ("alt+1", "\x1b1", "inverted_exclamation_mark"),
            ("alt+.", "\x1b.", "full_stop"),
            ("alt+space", "\x1b ", "space"),
            ("alt+backspace", "\x1b\x7f", "ctrl+w"),
            ("ctrl+alt+r", "\x1b\x12", "ctrl+r"),
            ("ctrl+shift+r", "\x12", "ctrl+r"),
            ("ctrl+f3", "\x1b[1;5R", "CursorPosition"),
            ("shift+f3", "\x1b[1;2R", "CursorPosition"),
            ("ctrl+1", "1", "1"),
            ("shift+g", "G", "G"),
        ],
    )
    def test_keys_that_arrive_as_others_are_refused(self, key: str, sequence: str, arrives_as: str) -> None:
        assert arrives(sequence) == arrives_as
        with pytest.raises(KeyNameError, match="cannot be used"):
            read_key(key)


class TestDefaults:
    def test_they_are_without_conflict_and_could_have_been_written(self) -> None:
        every = KeyBindings().by_id()
        assert len(every) == sum(map(len, KeyBindings().contexts().values()))
        overrides = {id_: key.keys for id_, key in every.items()}
        assert effective_bindings(overrides) == (KeyBindings(), ())
        assert effective_bindings({}) == (KeyBindings(), ())
        assert KeyBindings().keymap() == {}

    def test_the_help_calls_them_by_their_names(self) -> None:
        for key in KeyBindings().by_id().values():
            assert key.shown == (shown(key.names[0]) if key.names else "")


class TestOverrides:
    def test_keys_are_changed_swapped_and_taken_away(self) -> None:
        assert wrong(reroll="F12, Ctrl+R") == ({"reroll": "f12,ctrl+r"}, [])
        assert wrong(reroll="ctrl+n", new="ctrl+r") == ({"reroll": "ctrl+n", "new": "ctrl+r"}, [])
        assert wrong(reroll="") == ({"reroll": NO_KEY}, [])
        assert wrong(send="ctrl+s", newline="enter") == ({"send": "ctrl+s", "newline": "enter"}, [])
        assert wrong(log_up="up,k", log_down="down,j") == ({"log-up": "up,k", "log-down": "down,j"}, [])
        assert wrong(help="ctrl+/") == ({"help": "ctrl+slash,ctrl+underscore"}, [])

    def test_a_changed_key_is_shown_by_its_new_names(self) -> None:
        bindings, _ = effective_bindings({"reroll": "f12,alt+r", "new": ""})
        assert (bindings.by_id()["reroll"].shown, bindings.by_id()["reroll"].hint) == ("F12 Alt+R", "F12")
        assert (bindings.by_id()["new"].shown, bindings.by_id()["new"].hint) == ("", "")

    @pytest.mark.parametrize(
        ("overrides", "said"),
        [
            (
                {"reroll": "ctrl+n"},
                ['reroll: Ctrl+N is already the key of "new"; the default, "ctrl+r", is used'],
            ),
            (
                {"new": "f6", "help": "f6"},
                ['help: F6 is already the key of "new"; the default, "f1", is used'],
            ),
            (
                {"new": "f6,f12", "help": "f12,f6"},
                ['help: F12 and F6 are already keys of "new"; the default, "f1", is used'],
            ),
            (
                {"help": "ctrl+_", "quit": "ctrl+/"},
                ['help: Ctrl+_ is already the key of "quit"; the default, "f1", is used'],
            ),
            (
                {"commands": "pageup"},
                ['commands: PgUp is already the key of "scroll-up"; the default, "ctrl+p", is used'],
            ),
            (
                {"reroll": "r"},
                [
                    "reroll: r cannot be used here: writing in the prompt needs it; "
                    'the default, "ctrl+r", is used'
                ],
            ),
            (
                {"history-previous": "up"},
                ["history-previous: ↑ cannot be used here: writing in the prompt needs it; "],
            ),
            (
                {"reroll": "shift+enter"},
                ["reroll: Shift+Enter cannot be used here: Enter is for sending and for new lines; "],
            ),
            ({"stop": "ctrl+u"}, ["stop: Ctrl+U cannot be used here: the prompt edits with it; "]),
            ({"send": ""}, ["send: it needs a key, or nothing could be sent; "]),
            (
                {"send": "ctrl+enter"},
                [
                    "send: many terminals send plain Enter for it; give another key too, "
                    'as in "ctrl+enter,ctrl+s"; the default, "enter", is used'
                ],
            ),
            ({"rerol": "f12"}, ["rerol: there is no action of that name; did you mean 'reroll'?"]),
            ({"reroll": "f12," * 50}, ["reroll: that is too long for names of keys; "]),
        ],
        ids=lambda value: " ".join(value) if isinstance(value, dict) else None,
    )
    def test_what_cannot_be_is_told_and_the_default_kept(
        self, overrides: dict[str, str], said: list[str]
    ) -> None:
        bindings, problems = effective_bindings(overrides)
        told = [f"{problem.id}: {problem.reason}" for problem in problems]
        assert len(told) == len(said)
        assert all(line.startswith(start) for line, start in zip(told, said, strict=True)), told
        refused = {problem.id for problem in problems}
        assert not refused & set(bindings.keymap())

    def test_of_several_keys_the_good_ones_are_used(self) -> None:
        assert wrong(reroll="ctrl+m,f12,f12") == (
            {"reroll": "f12"},
            ['reroll: Ctrl+M cannot be used: terminals send the same for it as for Enter; "f12" is used'],
        )
        assert wrong(reroll="ctrl+n,f12") == (
            {"reroll": "f12"},
            ['reroll: Ctrl+N is already the key of "new"; "f12" is used'],
        )

    def test_one_who_loses_a_key_takes_the_default_back_from_who_took_it(self) -> None:
        # "new" cannot have Ctrl+Q, so it needs Ctrl+N itself, which "reroll" has by then.
        keymap, said = wrong(reroll="ctrl+n", new="ctrl+q")
        assert keymap == {}
        assert [line.partition(":")[0] for line in said] == ["new", "reroll"]

    @settings(max_examples=100, deadline=None)
    @given(
        st.dictionaries(
            st.sampled_from([*KeyBindings().by_id(), "rerol"]),
            st.lists(
                st.sampled_from(
                    [
                        "ctrl+r",
                        "ctrl+n",
                        "f12",
                        "enter",
                        "k",
                        "escape",
                        "up",
                        "pageup",
                        "ctrl+m",
                        "",
                        "ctrl+/",
                    ]
                )
                | st.text(max_size=4),
                max_size=3,
            ).map(",".join),
        )
    )
    def test_whatever_is_written_each_key_has_one_meaning(self, overrides: dict[str, str]) -> None:
        bindings, _ = effective_bindings(overrides)
        for beside in (bindings.prompt, bindings.log, bindings.messages):
            names = [name for key in (*bindings.app, *bindings.chat, *beside) for name in key.names]
            names = [alias for name in names for alias in with_aliases(name)]
            assert len(names) == len(set(names))
        assert bindings.by_id()["send"].keys
        assert [key.id for key in bindings.by_id().values()] == list(KeyBindings().by_id())


class Recorder(App[None], inherit_bindings=False):
    """Notes which of the chat's actions the keys run."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(key.textual_keys(), f"note('{key.id}')", id=key.id, priority=key.priority)
        for key in (*APP_KEYS, *CHAT_KEYS)
    ]
    ENABLE_COMMAND_PALETTE = False

    def __init__(self, keymap: dict[str, str]) -> None:
        super().__init__()
        self.noted: list[str] = []
        self.set_keymap(keymap)

    def compose(self) -> ComposeResult:
        yield TextArea()

    def action_note(self, id_: str) -> None:
        self.noted.append(id_)


class TestInTextual:
    async def test_a_binding_has_all_names_of_its_keys(self) -> None:
        newline = next(key for key in PROMPT_KEYS if key.id == "newline")
        assert newline.binding().key == "ctrl+j,shift+enter,shift+\r"
        assert newline.binding().id == "newline"

    async def test_the_keymap_moves_swaps_and_takes_away(self) -> None:
        bindings, problems = effective_bindings(
            {"reroll": "ctrl+n", "new": "ctrl+r", "help": "f12,ctrl+space", "stop": "", "commands": "f10"}
        )
        assert problems == ()
        app = Recorder(bindings.keymap())
        async with app.run_test() as pilot:
            await pilot.press("ctrl+n", "ctrl+r", "f12", "ctrl+@", "f1", "escape", "ctrl+p", "f10", "ctrl+q")
        assert app.noted == ["reroll", "new", "help", "help", "commands", "quit"]


def bound_in(module: str) -> list[tuple[str, Binding]]:
    """The bindings of the classes of a module, with the names of the classes."""
    return [
        (f"{module}.{name}", binding)
        for name, kind in inspect.getmembers(importlib.import_module(module), inspect.isclass)
        if kind.__module__ == module
        for binding in Binding.make_bindings(vars(kind).get("BINDINGS", ()))
    ]


class TestEveryBinding:
    @pytest.mark.parametrize(
        "module",
        [
            f"easy_llama_tui.{package}.{found.stem}"
            for package in ("widgets", "screens")
            for found in sorted((Path(easy_llama_tui.__file__).parent / package).glob("*.py"))
            if "BINDINGS" in found.read_text(encoding="utf-8")
        ],
    )
    def test_can_be_changed(self, module: str) -> None:
        keys = KeyBindings().by_id()
        for where, binding in bound_in(module):
            if binding.action == "nothing":
                continue
            assert binding.id in keys, f"{where}: {binding.key} is not among the keys that can be changed"
            key = keys[binding.id]
            assert binding.action == key.action

    def test_has_a_place_in_the_printed_configuration_and_in_the_help(self) -> None:
        contexts = set(KeyBindings().contexts())
        assert set(config_text._CONTEXTS) == contexts
        assert set(help_screen._HEADINGS) == contexts - {"help", "palette"}

    def test_may_have_the_key_of_another_where_they_never_meet(self) -> None:
        changed = {"chats-rename": "f5", "sampler-off": "p", "context-pin": "k,P", "models-close": "f9"}
        bindings, problems = effective_bindings(changed)
        # The lists of panels go up with k.
        assert [problem.id for problem in problems] == ["context-pin"]
        assert bindings.by_id()["context-pin"].keys == "P"
        assert bindings.by_id()["chats-rename"].keys == "f5"

    def test_takes_no_key_that_a_field_needs(self) -> None:
        changed = {"chats-rename": "r", "pick-up": "ctrl+w", "format-down": "home"}
        _, problems = effective_bindings(changed)
        assert [problem.id for problem in problems] == list(changed)
        assert all("the field above needs it" in problem.reason for problem in problems)

    @pytest.mark.parametrize("id_", panel_keys.WAYS_OUT)
    def test_leaves_a_way_out_of_each_screen(self, id_: str) -> None:
        bindings, problems = effective_bindings({id_: ""})
        assert bindings == KeyBindings()
        assert problems[0].reason.startswith("it needs a key, or there were no way back")


class TestSentences:
    def test_name_the_keys_in_force(self) -> None:
        bindings, _ = effective_bindings({"stop": "f12", "theme": "", "reroll": ""})
        assert bindings.said("{stop} stops, {reroll} re-rolls, {theme} colours.") == (
            "F12 stops, /reroll re-rolls, /theme colours."
        )
        assert effective_bindings({"edit-editor": ""})[0].said("{edit-editor}") == "“Edit in your editor”"

    def test_keep_what_is_no_action(self) -> None:
        assert KeyBindings().said("a {brace} and {} and {stop}") == "a {brace} and {} and Esc"
