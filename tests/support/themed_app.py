"""An app with nothing in it but the colours of the real one, which widgets name in their styles."""

from functools import cache

from textual.app import App
from textual.theme import Theme

from easy_llama_tui.preferences.themes import DEFAULT_THEME, load_themes, theme_variables, themes_folder


@cache
def shipped_themes() -> tuple[Theme, ...]:
    """The themes that come along, read once for all tests."""
    return tuple(load_themes([themes_folder()])[0])


@cache
def _variables(name: str) -> dict[str, str]:
    return theme_variables(next(theme for theme in shipped_themes() if theme.name == name))


class ThemedApp(App[None]):
    """Has the themes that come along."""

    ENABLE_COMMAND_PALETTE = False

    def __init__(self) -> None:
        super().__init__()
        for theme in shipped_themes():
            self.register_theme(theme)
        self.theme = DEFAULT_THEME

    def get_theme_variable_defaults(self) -> dict[str, str]:
        known = {theme.name for theme in shipped_themes()}
        return _variables(self.theme) if self.theme in known else theme_variables(self.current_theme)
