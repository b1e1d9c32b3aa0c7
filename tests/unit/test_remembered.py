"""What the app remembers by itself."""

import os
import stat
from pathlib import Path

import pytest
import tomli_w
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from easy_llama_tui import locations
from easy_llama_tui.preferences.config import Config, load_config
from easy_llama_tui.preferences.remembered import MAX_RECENT, Remembered, load, save, update, with_remembered

FULL = Remembered("nord", "candidates", 25, ("/models/b.gguf", "/models/a.gguf"), True)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "state" / "state.toml"


def test_what_is_saved_is_loaded_by_its_user_alone(file: Path) -> None:
    for remembered in (Remembered(), FULL):
        assert save(file, remembered)
        assert load(file) == remembered
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize("data", [b"", b"theme = ", b"\xff\xfe", b"theme = 3\n", b"a = " + b"[" * 5000])
def test_a_damaged_file_is_the_defaults(file: Path, data: bytes) -> None:
    assert load(file) == Remembered()
    file.parent.mkdir()
    file.write_bytes(data)
    assert load(file) == Remembered()
    assert load(file.parent) == Remembered()


def test_of_a_damaged_file_the_good_parts_count(file: Path) -> None:
    file.parent.mkdir()
    file.write_text(
        'theme = "nord"\npanel = 5\ncandidates_count = 1000\nrecent_models = ["/a", 3]\nnew = 1\n'
    )
    assert load(file) == Remembered(theme="nord", recent_models=("/a",))
    file.write_text("candidates_count = true\nhint_seen = 1\n")
    assert load(file) == Remembered()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    table=st.dictionaries(
        st.sampled_from([*Remembered.__dataclass_fields__, "x"]),
        st.booleans()
        | st.integers(-5, 200)
        | st.floats()
        | st.text("a\x1b", max_size=3)
        | st.lists(st.text("b")),
    )
)
def test_any_table_is_loaded_and_can_be_saved(tmp_path: Path, table: dict) -> None:
    path = tmp_path / "state.toml"
    path.write_text(tomli_w.dumps(table))
    remembered = load(path)
    assert save(path, remembered)
    assert load(path) == remembered


def test_a_save_that_fails_says_so_and_raises_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert not save(tmp_path / "file" / "state.toml", FULL)
    assert save(tmp_path / "state.toml", FULL)


def test_a_model_whose_name_is_no_text_is_left_out(file: Path) -> None:
    assert save(file, Remembered(recent_models=(os.fsdecode(b"/models/\xff.gguf"), "/models/a.gguf")))
    assert load(file).recent_models == ("/models/a.gguf",)


def test_a_model_that_is_used_again_comes_first_and_the_oldest_is_forgotten() -> None:
    remembered = Remembered()
    for number in range(MAX_RECENT + 5):
        remembered = remembered.with_model(Path(f"/models/{number}.gguf"))
    remembered = remembered.with_model(Path("/models/10.gguf"))
    assert len(remembered.recent_models) == MAX_RECENT
    assert remembered.recent_models[:2] == ("/models/10.gguf", f"/models/{MAX_RECENT + 4}.gguf")
    assert len(set(remembered.recent_models)) == MAX_RECENT


def test_a_change_keeps_what_another_window_wrote(file: Path) -> None:
    save(file, Remembered(theme="nord"))
    assert update(file, panel="context") == Remembered(theme="nord", panel="context")
    assert load(file) == Remembered(theme="nord", panel="context")


def test_the_configuration_comes_before_what_is_remembered(tmp_path: Path) -> None:
    config_file = tmp_path / "config.toml"
    nothing_said = load_config(config_file)
    assert with_remembered(nothing_said, Remembered()) == Config()
    config = with_remembered(nothing_said, FULL)
    assert (config.appearance.theme, config.candidates.count) == ("nord", 25)
    config_file.write_text("[appearance]\ntheme = 'mine'\n[candidates]\ncount = 5\n")
    config = with_remembered(load_config(config_file), FULL)
    assert (config.appearance.theme, config.candidates.count) == ("mine", 5)


def test_the_files_lie_where_the_system_wants_them(user_folders: Path) -> None:
    assert locations.config_file() == user_folders / "config" / "easy-llama" / "config.toml"
    assert locations.state_file() == user_folders / "state" / "easy-llama" / "state.toml"
