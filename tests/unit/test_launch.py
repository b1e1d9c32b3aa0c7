"""What the command line begins with."""

from collections.abc import Callable
from pathlib import Path

import pytest

from easy_llama.errors import GGUFError
from easy_llama.samplers import GreedyDecoding, MinPSampling
from easy_llama_tui import launch as launch_module
from easy_llama_tui.arguments import build_parser
from easy_llama_tui.chat import Chat
from easy_llama_tui.launch import Launch, LaunchError, demo_model, open_chat, prepare
from easy_llama_tui.session import ModelReference, SessionError
from easy_llama_tui.session_store import SessionStore

Start = Callable[..., tuple[Launch, Chat]]


@pytest.fixture
def store(tmp_path: Path) -> SessionStore:
    return SessionStore(tmp_path / "sessions")


@pytest.fixture
def start(store: SessionStore) -> Start:
    def run(*argv: str) -> tuple[Launch, Chat]:
        arguments = build_parser().parse_args(argv)
        launch = prepare(arguments, store)
        return launch, open_chat(launch, arguments)

    return run


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
        *("--seed", "9"),
    )
    options = launch.options
    assert (options.path, options.context_length, options.n_gpu_layers) == (model_path, 512, -1)
    assert (options.offload_kqv, options.flash_attn, options.n_threads) == (False, True, 3)
    assert (chat.format, chat.preset_name) == ("chatml", "GreedyDecoding")
    assert chat.sampler == GreedyDecoding.replace(seed=9)
    assert [(one.role, one.content) for one in chat.conversation.path()] == [("system", "Be brief.")]
    assert chat.model.name == "SmolLM2-135M-Instruct"


def test_by_default_the_engine_and_the_model_choose(start: Start, model_path: Path) -> None:
    launch, chat = start(str(model_path))
    options = launch.options
    assert (options.context_length, options.n_gpu_layers, options.n_threads) == (None, None, None)
    assert (chat.format, chat.preset_name, chat.sampler.seed) == ("template", "DefaultSampling", None)
    assert not chat.has_messages


def test_without_a_model_it_is_that_of_the_last_chat(
    start: Start, store: SessionStore, model_path: Path
) -> None:
    other = store.folder.parent / "other.gguf"
    other.symlink_to(model_path)
    save_chat(store, other)
    assert start()[0].options.path == other
    other.unlink()
    assert start()[0].options.path == model_path == demo_model()


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
    assert start()[0].options.path == model_path


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
        assert launch.options.path == model_path


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


def test_a_resumed_chat_whose_model_is_gone_says_so(start: Start, store: SessionStore) -> None:
    chat = save_chat(store, "/gone/away.gguf")
    with pytest.raises(LaunchError, match=rf"/gone/away\.gguf.*--resume {chat.id}"):
        start("--resume")


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
