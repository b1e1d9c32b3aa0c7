"""Only what is seen is rendered, and it is what Textual's own compositor would show."""

import pytest
from support.running_app import RunApp, Running
from support.whole_app import until_seen
from textual._compositor import Compositor
from textual.geometry import Region
from textual.widget import Widget

Cells = list[tuple[str, object]]

CROPS = [Region(0, 0, 110, 30), Region(0, 28, 110, 1), Region(3, 5, 40, 10), Region(60, 2, 50, 26)]


def cells(compositor: Compositor, crop: Region, *, of_textual: bool) -> dict[int, Cells]:
    """What stands in each cell of each row of `crop`, with its style; rows of odd numbers are left out."""
    render = Compositor._render_chops if of_textual else type(compositor)._render_chops
    chops = render(compositor, crop, lambda y: y % 2 == 0)
    left, right = crop.column_span
    found: dict[int, Cells] = {}
    for y in crop.line_range:
        if y % 2:
            continue
        row: Cells = []
        for x, end in zip(compositor.cuts[y], compositor.cuts[y][1:], strict=False):
            if x < right and end > left:
                strip = chops[y][x]
                assert strip is not None, f"nothing is drawn in row {y} from column {x} on"
                row += [(character, segment.style) for segment in strip for character in segment.text]
        found[y] = row
    return found


async def look(running: Running) -> None:
    compositor = running.app.screen._compositor
    for crop in CROPS:
        ours = cells(compositor, crop, of_textual=False)
        assert ours == cells(compositor, crop, of_textual=True)
        assert ours


@pytest.mark.parametrize("panel", ["", "f2", "f4", "f5", "f9"])
async def test_it_shows_what_textual_shows(run_app: RunApp, panel: str) -> None:
    async with run_app() as running:
        await running.exchange("Hello", *(f"line {number} of **many**\n\n" for number in range(30)))
        await until_seen(running, "line 29")
        if panel:
            await running.pilot.press(panel)
        await look(running)
        await running.pilot.press("pageup")
        running.screen.notify("A notice lies over all.")
        await running.pilot.pause()
        await look(running)


async def test_what_is_covered_is_not_rendered(run_app: RunApp, monkeypatch: pytest.MonkeyPatch) -> None:
    rendered: list[Widget] = []
    original = Widget.render_lines

    def watched(widget: Widget, crop: Region):
        rendered.append(widget)
        return original(widget, crop)

    async with run_app() as running:
        await running.exchange("Hello", "Hi")
        monkeypatch.setattr(Widget, "render_lines", watched)
        running.screen._compositor._render_chops(Region(0, 0, 110, 30), lambda y: y == 29)
        assert rendered == [running.screen.status_bar]
