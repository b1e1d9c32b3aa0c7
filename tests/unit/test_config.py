"""The configuration: defaults, the written-out file, and what is said of mistakes."""

import argparse
import os
import subprocess
import sys
from pathlib import Path

import pytest
import tomli_w
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from easy_llama import formats, samplers
from easy_llama.prompt_lookup import LOOKUP_CHOICES
from easy_llama_tui import locations
from easy_llama_tui.arguments import build_parser
from easy_llama_tui.preferences.config import (
    Config,
    LoadedConfig,
    load_config,
    unknown_choice,
    with_command_line,
)
from easy_llama_tui.preferences.config import settings as all_settings
from easy_llama_tui.preferences.config_text import default_config_text
from easy_llama_tui.preferences.config_values import MAX_INT
from easy_llama_tui.preferences.keymap import KeyBindings
from easy_llama_tui.preferences.themes import DEFAULT_THEME
from easy_llama_tui.replies.engine import LoadOptions

IN_ONE_FILE = settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "config.toml"


def load(file: Path, text: str) -> LoadedConfig:
    file.write_text(text, encoding="utf-8")
    return load_config(file)


def only_problem(loaded: LoadedConfig) -> str:
    (problem,) = loaded.problems
    return str(problem)


class TestDefaults:
    def test_a_missing_or_empty_file_is_the_defaults_without_a_word(self, file: Path) -> None:
        assert load_config(file) == LoadedConfig(Config())
        assert load(file, "") == LoadedConfig(Config())
        assert load(file, "\ufeff# saved by an editor that marks UTF-8\r\n") == LoadedConfig(Config())

    def test_they_are_what_the_app_does_by_itself(self) -> None:
        config = Config()
        assert config.appearance.theme == DEFAULT_THEME
        assert samplers.PRESETS[config.chat.sampler] is samplers.DefaultSampling
        assert config.chat.format == "template"
        options = LoadOptions(Path("model.gguf"))
        assert (config.model.context_length, config.model.n_gpu_layers, config.model.threads) == (
            *(options.context_length, options.n_gpu_layers, options.n_threads),
        )
        assert config.model.state_cache_gb == 2
        assert (config.model.offload_kqv, config.model.flash_attn) == (
            *(options.offload_kqv, options.flash_attn),
        )
        assert (config.model.n_batch, config.model.cache_type_k, config.model.cache_type_v) == (
            *(options.n_batch, options.cache_type_k, options.cache_type_v),
        )
        assert LOOKUP_CHOICES[config.model.prompt_lookup] is options.prompt_lookup is None
        assert (config.model.draft_model, options.draft_model) == ("", None)
        assert config.keys == KeyBindings()

    def test_each_is_a_value_that_its_setting_allows(self) -> None:
        for setting in all_settings():
            written = "auto" if setting.default is None else setting.default
            written = list(written) if isinstance(written, tuple) else written
            assert setting.kind.read(written) == setting.default
            assert setting.doc.endswith(".")


class TestTheWrittenOutFile:
    def test_as_it_is_it_changes_nothing(self, file: Path) -> None:
        assert load(file, default_config_text()) == LoadedConfig(Config())

    def test_with_every_setting_uncommented_it_says_the_defaults_without_a_problem(self, file: Path) -> None:
        lines = default_config_text().splitlines()
        # "# words" are words, "#key" is a setting.
        settings_of_it = [line[1:] if line[:1] == "#" and line[1:2].isalpha() else line for line in lines]
        loaded = load(file, "\n".join(settings_of_it))
        assert loaded.problems == ()
        assert loaded.config == Config()
        assert loaded.given == {(setting.section, setting.key) for setting in all_settings()}

    def test_it_explains_every_setting_and_every_key(self) -> None:
        text = default_config_text()
        lines = text.splitlines()
        flat = " ".join(text.replace("\n# ", " ").split())
        keys = lines.index("[keys]")
        for setting in all_settings():
            (place,) = (n for n, line in enumerate(lines[:keys]) if line.startswith(f"#{setting.key} = "))
            assert lines[place - 1].startswith("# ")
            assert setting.doc in flat
            assert setting.kind.allowed in flat
        for key in KeyBindings().by_id().values():
            place = lines.index(f'#{key.id} = "{key.keys}"', keys)
            assert lines[place - 1] == f"# {key.description}."
        assert str(locations.config_file()) in text
        assert max(map(len, lines)) <= 100 or len(str(locations.config_file())) > 98

    def test_it_can_be_written_without_loading_the_screen(self) -> None:
        code = (
            "import sys; from easy_llama_tui.preferences.config_text import default_config_text as text;"
            "text();"
            "print({'textual', 'rich', 'llama_cpp'} & set(sys.modules))"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
        assert (done.stdout.strip(), done.stderr) == ("set()", "")


class TestValues:
    def test_every_setting_can_be_changed(self, file: Path) -> None:
        loaded = load(
            file,
            """
            [model]
            path = "~/models/mine.gguf"
            folders = ["~/models", "/data"]
            context_length = 4096
            n_gpu_layers = 0
            offload_kqv = false
            flash_attn = true
            threads = 3
            n_batch = 64
            cache_type_k = "Q8_0"
            cache_type_v = "q4_0"
            prompt_lookup = "OFF"
            draft_model = "/models/small.gguf"
            state_cache_gb = 7
            [chat]
            format = "ChatML"
            sampler = "greedydecoding"
            system = "Be terse."
            context_policy = "stop"
            [appearance]
            theme = "mine"
            reasoning = "open"
            panel_width = 60
            mouse = false
            [candidates]
            count = 25
            [keys]
            reroll = "f12, Ctrl+R"
            """,
        )
        assert loaded.problems == ()
        config, home = loaded.config, os.environ["HOME"]
        assert config.model.path == f"{home}/models/mine.gguf"
        assert config.model.folders == (f"{home}/models", "/data")
        assert (config.model.context_length, config.model.n_gpu_layers, config.model.threads) == (4096, 0, 3)
        assert (config.model.offload_kqv, config.model.flash_attn) == (False, True)
        assert config.model.n_batch == 64
        assert (config.model.cache_type_k, config.model.cache_type_v) == ("q8_0", "q4_0")
        assert (config.model.prompt_lookup, config.model.draft_model) == ("off", "/models/small.gguf")
        assert config.model.state_cache_gb == 7
        assert (config.chat.format, config.chat.sampler) == ("ChatML", "greedydecoding")
        assert (config.chat.system, config.chat.context_policy) == ("Be terse.", "stop")
        assert config.appearance.theme == "mine"
        assert (config.appearance.reasoning, config.appearance.panel_width) == ("open", 60)
        assert config.appearance.mouse is False
        assert config.candidates.count == 25
        assert config.keys.by_id()["reroll"].names == ("f12", "ctrl+r")
        assert len(loaded.given) == len(all_settings())

    @pytest.mark.parametrize("word", ['"auto"', "0"])
    def test_automatic_has_two_spellings(self, file: Path, word: str) -> None:
        loaded = load(file, f"[model]\ncontext_length = {word}\nthreads = {word}\n")
        assert loaded.problems == ()
        assert loaded.config == Config()

    def test_every_format_and_preset_is_known(self, file: Path) -> None:
        for name in formats.names():
            assert load(file, f'[chat]\nformat = "{name}"').config.chat.format == name
        for name in samplers.PRESETS:
            assert load(file, f'[chat]\nsampler = "{name}"').config.chat.sampler == name


class TestProblems:
    @pytest.mark.parametrize(
        ("text", "line"),
        [
            ("[chta]\n", 'config.toml: chta: there is no such section; did you mean "chat"?'),
            (
                "[chat]\nsytem = 'x'\n",
                'config.toml: [chat] sytem: there is no such key; did you mean "system"?',
            ),
            (
                "[model]\ncontext-length = 5\n",
                'config.toml: [model] context-length: there is no such key; did you mean "context_length"?',
            ),
            ("theme = 'x'\n", "config.toml: theme: it belongs under [appearance]"),
            ("[chat]\ntheme = 'x'\n", "config.toml: [chat] theme: it belongs under [appearance]"),
            ("reroll = 'f12'\n", "config.toml: reroll: it belongs under [keys]"),
            (
                "[chat]\ncontext_policy = 'drop'\n",
                'config.toml: [chat] context_policy: "drop" is not known (did you mean '
                '"drop-oldest"?); the default, "drop-oldest", is used',
            ),
            (
                "[appearance]\nreasoning = 'hidden'\n",
                'config.toml: [appearance] reasoning: "hidden" is not known (there are "folded", "open"); '
                'the default, "folded", is used',
            ),
            (
                "[appearance]\npanel_width = 200\n",
                "config.toml: [appearance] panel_width: 200 is not a whole number from 24 to 80; "
                "the default, 40, is used",
            ),
            (
                "[candidates]\ncount = true\n",
                "config.toml: [candidates] count: true is not a whole number from 1 to 100; "
                "the default, 10, is used",
            ),
            (
                "[candidates]\ncount = 10.0\n",
                "config.toml: [candidates] count: 10.0 is not a whole number from 1 to 100; "
                "the default, 10, is used",
            ),
            (
                "[model]\nthreads = -2\n",
                'config.toml: [model] threads: -2 is not a whole number, 1 or more, or "auto" (or 0); '
                "the default, automatic, is used",
            ),
            (
                f"[model]\ncontext_length = {MAX_INT + 1}\n",
                "config.toml: [model] context_length: 2147483648 is too large; the largest is 2147483647; "
                "the default, automatic, is used",
            ),
            (
                "[model]\nflash_attn = 'yes'\n",
                'config.toml: [model] flash_attn: "yes" is not true or false, without quotes; '
                "the default, false, is used",
            ),
            (
                "[model]\npath = 'models/a.gguf'\n",
                'config.toml: [model] path: "models/a.gguf" is not absolute; begin it with "/" or "~/"; '
                'the default, "", is used',
            ),
            (
                "[model]\nfolders = '~/models'\n",
                'config.toml: [model] folders: "~/models" is not a list of paths that are absolute or begin '
                'with "~", as in ["~/models", "/data/gguf"]; the default, an empty list, is used',
            ),
            (
                "chat = 3\n",
                "config.toml: [chat]: it is 3, not a section; write [chat] and its keys below",
            ),
            (
                "[[chat]]\n",
                "config.toml: [chat]: it is a list, not a section; write [chat] and its keys below",
            ),
            (
                "[keys]\nrerol = 'f12'\n",
                'config.toml: [keys] rerol: there is no such key; did you mean "reroll"?',
            ),
            (
                "[keys]\nreroll = 5\n",
                'config.toml: [keys] reroll: 5 is not text in quotes, as in "ctrl+r,f6"',
            ),
            (
                "[keys]\nreroll = 'ctrl+m'\n",
                "config.toml: [keys] reroll: Ctrl+M cannot be used: terminals send the same for it as for "
                'Enter; the default, "ctrl+r", is used',
            ),
        ],
    )
    def test_each_is_told_in_one_line_and_the_default_is_used(self, file: Path, text: str, line: str) -> None:
        loaded = load(file, text)
        assert only_problem(loaded) == line
        assert loaded.config == Config()
        assert loaded.given == frozenset()

    def test_a_bad_value_costs_no_other_one(self, file: Path) -> None:
        loaded = load(file, "[candidates]\ncount = 0\n[appearance]\nmouse = false\nreasoning = 'no'\n")
        assert [problem.key for problem in loaded.problems] == ["count", "reasoning"]
        assert loaded.config.appearance.mouse is False
        assert loaded.given == {("appearance", "mouse")}

    def test_what_is_not_toml_is_told_with_its_line_and_column(self, file: Path) -> None:
        loaded = load(file, "[chat]\nsystem = terse\n")
        assert only_problem(loaded).startswith("config.toml: it is not TOML: ")
        assert "(at line 2, column 10)" in only_problem(loaded)
        assert loaded.config == Config()

    @pytest.mark.parametrize(
        ("data", "reason"),
        [
            ("[chat]\nsystem = 'café'\n".encode("latin-1"), "it is not UTF-8 text (at line 2)"),
            ("[chat]\n".encode("utf-16"), "it is not UTF-8 text (at line 1)"),
            (b"a = " + b"9" * 5000, "a number is too long"),
            (b"a = " + b"[" * 5000, "lists are too deep"),
            (b"#" * (1 << 20) + b"\n", "it is larger than 1 MiB"),
        ],
        ids=["latin-1", "utf-16", "long number", "deep lists", "huge"],
    )
    def test_what_cannot_be_read_is_one_problem(self, file: Path, data: bytes, reason: str) -> None:
        file.write_bytes(data)
        loaded = load_config(file)
        assert reason in only_problem(loaded)
        assert only_problem(loaded).endswith("; the defaults are used")
        assert loaded.config == Config()

    def test_a_folder_or_a_pipe_in_its_place_is_one_problem(self, tmp_path: Path) -> None:
        assert "it is no file" in only_problem(load_config(tmp_path))
        os.mkfifo(tmp_path / "pipe")
        assert "it is no file" in only_problem(load_config(tmp_path / "pipe"))
        (tmp_path / "file").touch()
        assert "it cannot be read" in only_problem(load_config(tmp_path / "file" / "config.toml"))

    def test_a_number_without_end_is_told_by_its_beginning(self, file: Path) -> None:
        loaded = load(file, f"[candidates]\ncount = 0x{'f' * 9000}\n")
        assert "count: 0xfff" in only_problem(loaded) and len(only_problem(loaded)) < 200

    def test_names_without_end_are_counted_and_not_all_told(self, file: Path) -> None:
        loaded = load(file, "\n".join(f"a{n} = {n}" for n in range(5000)))
        assert len(loaded.problems) == 21
        assert "4980 more" in str(loaded.problems[-1])

    def test_what_the_app_looks_up_is_told_in_the_same_way(self, file: Path) -> None:
        problem = unknown_choice(file, "appearance.theme", "nrod", ["nord", "dracula"], "ezllama-dark")
        assert str(problem) == (
            'config.toml: [appearance] theme: "nrod" is not known (did you mean "nord"?); '
            '"ezllama-dark" is used'
        )

    def test_nothing_that_is_quoted_can_drive_the_terminal(self, file: Path) -> None:
        loaded = load(file, '"\\u001b[2J\\n" = 1\n[chat]\ncontext_policy = "\\u001b]0;x\\u0007\\u202e"\n')
        assert len(loaded.problems) == 2
        assert all(str(problem).isprintable() for problem in loaded.problems)


class TestTheCommandLine:
    def test_it_comes_before_the_file_and_the_file_before_the_defaults(self) -> None:
        parser = build_parser()
        assert with_command_line(Config(), parser.parse_args([])) == Config()
        loading = [
            "--context-length=9",
            "--n-gpu-layers=0",
            "--no-offload-kqv",
            "--flash-attn",
            "--threads=2",
        ]
        chatting = ["--format=alpaca", "--sampler=GreedyDecoding", "--system="]
        arguments = parser.parse_args([*loading, *chatting])
        config = with_command_line(Config(), arguments)
        model, chat = config.model, config.chat
        assert (model.context_length, model.n_gpu_layers, model.threads) == (9, 0, 2)
        assert (model.offload_kqv, model.flash_attn) == (False, True)
        assert (chat.format, chat.sampler, chat.system) == ("alpaca", "GreedyDecoding", "")

    def test_what_it_leaves_open_the_file_decides(self, file: Path) -> None:
        loaded = load(file, "[model]\nflash_attn = true\noffload_kqv = false\n[chat]\nsystem = 'Hi.'\n")
        arguments = build_parser().parse_args(["--threads", "4"])
        config = with_command_line(loaded.config, arguments)
        assert (config.model.flash_attn, config.model.offload_kqv) == (True, False)
        assert (config.chat.system, config.model.threads) == ("Hi.", 4)

    def test_every_option_that_a_setting_names_exists(self) -> None:
        given = vars(build_parser().parse_args([]))
        assert {setting.option for setting in all_settings() if setting.option} <= set(given)
        assert with_command_line(Config(), argparse.Namespace()) == Config()


scalars = (
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
    | st.datetimes()
    | st.sampled_from(
        ["", "auto", "~", "~nobody/x", "/a\0b", "ctrl+r,f12", "ctrl+İ", "ctrl++", "+", ",", "enter"]
    )
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
names = st.sampled_from(
    [
        *(setting.section for setting in all_settings()),
        *(setting.key for setting in all_settings()),
        *("keys", *KeyBindings().by_id(), "", "rerol", "[", "\x1b"),
    ]
)
tables = st.dictionaries(names, values | st.dictionaries(names, values, max_size=8), max_size=8)


class TestAnyFile:
    @IN_ONE_FILE
    @given(table=tables)
    def test_any_toml_gives_a_configuration_and_problems_of_one_line(self, file: Path, table: dict) -> None:
        file.write_text(tomli_w.dumps(table), encoding="utf-8")
        loaded = load_config(file)
        assert isinstance(loaded.config, Config)
        for problem in loaded.problems:
            assert str(problem).startswith("config.toml: ") and str(problem).isprintable()
        for setting in all_settings():
            # Whatever was read could have been written.
            value = getattr(getattr(loaded.config, setting.section), setting.key)
            written = "auto" if value is None else list(value) if isinstance(value, tuple) else value
            assert setting.kind.read(written) == value

    @IN_ONE_FILE
    @given(data=st.binary(max_size=60) | st.text("[]=\"'#ab.1\n{}, ", max_size=60).map(str.encode))
    def test_any_bytes_give_a_configuration(self, file: Path, data: bytes) -> None:
        file.write_bytes(data)
        loaded = load_config(file)
        assert all("\n" not in str(problem) for problem in loaded.problems)
        assert loaded.config == Config() or loaded.given
