from pathlib import Path

import pytest

from easy_llama_tui.themes import DEFAULT_THEME, ThemeError, load_themes, read_theme, themes_folder


def test_the_themes_that_come_along_can_be_read() -> None:
    loaded, failed = load_themes([themes_folder()])
    assert failed == []
    names = {theme.name: theme for theme in loaded}
    assert DEFAULT_THEME in names
    assert {theme.dark for theme in loaded} == {True, False}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("primary = '#123456'\nsecundary = '#fff'", "secundary.*did you mean 'secondary'"),
        ("primary = 'blurple'", "primary = 'blurple' is not a colour"),
        ("dark = true", "'primary' is missing"),
        ("primary = ", "mine.toml"),
        ("primary = 3", "primary = 3 is not a colour"),
    ],
)
def test_a_broken_theme_is_reported_with_its_file_and_the_others_load(
    tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "mine.toml").write_text(text)
    (tmp_path / "good.toml").write_text("primary = '#123456'")
    with pytest.raises(ThemeError, match=message):
        read_theme(tmp_path / "mine.toml")
    loaded, failed = load_themes([tmp_path])
    assert [theme.name for theme in loaded] == ["good"]
    assert len(failed) == 1 and "mine.toml" in str(failed[0])
