"""A compositor that draws what is in front, and nothing of what is hidden behind it."""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

from textual._compositor import Compositor
from textual.geometry import Region
from textual.strip import Strip

__all__ = ["FrontFirstCompositor"]


class FrontFirstCompositor(Compositor):
    """Textual's compositor, which for each change renders all of each widget that the change touches.

    So for a new word in a chat it would render all rows of the chat, of the containers around it and of the
    screen below them, and then throw away what is covered or did not change: half of what it costs to
    show a reply as it is written. Here only those rows of a widget are rendered that changed and of which
    something is still to be seen.
    """

    def _render_chops(
        self, crop: Region, is_rendered_line: Callable[[int], bool]
    ) -> Sequence[Mapping[int, Strip]]:
        """Return the strips of each row, by the column that they begin in; only `crop` is complete."""
        left, right = crop.column_span
        chops: list[dict[int, Strip | None]] = [{} for _ in self.cuts]
        missing: dict[int, list[int]] = {}
        for y in crop.intersection(self.size.region).line_range:
            if is_rendered_line(y):
                cuts = self.cuts[y]
                chops[y] = dict.fromkeys(cuts[:-1])
                missing[y] = [cut for cut, end in pairwise(cuts) if cut < right and end > left]
        for widget, (region, clip) in self.visible_widgets.items():
            if not missing:
                break
            seen = region.intersection(clip)
            first_cut, last_cut = seen.column_span
            rows = [
                y
                for y in seen.line_range
                if y in missing and any(first_cut <= cut < last_cut for cut in missing[y])
            ]
            if not rows:
                continue
            top = rows[0]
            part = Region(seen.x - region.x, top - region.y, seen.width, rows[-1] - top + 1)
            strips = widget.render_lines(part)
            for y in rows:
                cuts = [cut for cut in self.cuts[y] if first_cut <= cut <= last_cut]
                pieces = strips[y - top].divide([cut - seen.x for cut in cuts[1:]])
                row = chops[y]
                for cut, piece in zip(cuts, pieces, strict=False):
                    if row[cut] is None:
                        row[cut] = piece
                missing[y] = [cut for cut in missing[y] if not first_cut <= cut < last_cut]
                if not missing[y]:
                    del missing[y]
        return chops  # type: ignore[return-value]
