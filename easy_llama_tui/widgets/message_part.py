"""The rows of one part of a message: an answer, or reasoning that is folded to one row or open."""

from collections.abc import Iterator
from dataclasses import replace

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style

from easy_llama_tui.text.code_lines import CodeStyles
from easy_llama_tui.text.display_text import Line
from easy_llama_tui.text.markdown_inline import MarkdownStyles
from easy_llama_tui.text.markdown_lines import MarkdownLines
from easy_llama_tui.text.reasoning import Part

INDENT = 2
"""Cells to the left of everything in a message."""
BAR = "│ "
"""Stands to the left of reasoning that is open."""


class PartRows:
    """The rows of a part, which may still grow; reasoning that stays folded is never laid out."""

    def __init__(self, part: Part, width: int, styles: MarkdownStyles, fold: Style) -> None:
        """Begin without a row.

        Args:
            part: What is to be shown; `show` adds its text.
            width: Cells that a row may take.
            styles: How it is written.
            fold: How the row about reasoning is written.
        """
        self.kind = part.kind
        self.rows: list[Line] = []
        self._text = ""
        self._width = width
        self._styles = styles
        self._fold = fold
        self._markdown: MarkdownLines | None = None

    def continues_with(self, part: Part) -> bool:
        """Tell whether `part` is this one with more text."""
        return part.kind == self.kind and part.text.startswith(self._text)

    def show(self, part: Part, *, grows: bool, folded: bool, key: str) -> None:
        """Bring the rows up to date; those that did not change stay the same objects.

        Args:
            part: One that continues what was shown before.
            grows: Whether more of it is expected.
            folded: Whether reasoning is folded. It must not change: another object is to be made then.
            key: What opens and folds it.
        """
        if self.kind == "reasoning" and folded:
            self._text = part.text
            self.rows = [self._about(part, grows, f"▸ {{}} · {key} opens it")]
            return
        above = 1 if self.kind == "reasoning" else 0
        if self._markdown is None:
            self._markdown = MarkdownLines(max(1, self._width - above * len(BAR)), self._styles)
        added = part.text[len(self._text) :]
        self._text = part.text
        changed = self._markdown.extend(added, complete=not grows)
        lines = self._markdown.lines[changed:]
        if above:
            self.rows[:1] = [self._about(part, grows, f"▾ {{}} · {key} folds it")]
            lines = list(_barred(lines, self._styles.line))
        self.rows[above + changed :] = map(indented, lines)

    def _about(self, part: Part, grows: bool, form: str) -> Line:
        """Return the row that stands for reasoning, or above it; in copied text it is left out."""
        words = "1 word" if part.words == 1 else f"{part.words:,} words"
        text = form.format(f"reasoning… {words}" if grows else f"reasoning, {words}")
        if grows or cell_len(text) > self._width:
            text = cut(text.partition(" · ")[0], self._width)
        return indented(Line((Segment(text, self._fold),), len(text)))


def toned(styles: MarkdownStyles, tone: Style) -> MarkdownStyles:
    """Return styles that write everything in the colour of `tone`, and differ as before in all else."""

    def in_tone(style: Style) -> Style:
        return style + Style(color=tone.color)

    block = styles.block
    return replace(
        styles,
        text=in_tone(styles.text),
        heading=in_tone(styles.heading),
        subheading=in_tone(styles.subheading),
        strong=in_tone(styles.strong),
        emphasis=in_tone(styles.emphasis),
        strike=in_tone(styles.strike),
        code=in_tone(styles.code),
        link=in_tone(styles.link),
        url=in_tone(styles.url),
        bullet=in_tone(styles.bullet),
        quote=in_tone(styles.quote),
        block=CodeStyles(
            plain=in_tone(block.plain),
            comment=in_tone(block.comment),
            keyword=in_tone(block.keyword),
            string=in_tone(block.string),
            number=in_tone(block.number),
            name=in_tone(block.name),
            removed=in_tone(block.removed),
        ),
    )


def cut(text: str, width: int) -> str:
    """Return `text` in at most `width` cells, with `…` where some of it is left out."""
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, width - 1).rstrip() + "…" if width > 0 else ""


def indented(line: Line) -> Line:
    """Return a row as it stands in a message."""
    if not line.segments:
        return line
    return Line((Segment(" " * INDENT), *line.segments), line.lead + INDENT, line.joint, line.fill)


def _barred(lines: list[Line], style: Style) -> Iterator[Line]:
    bar = Segment(BAR, style)
    for line in lines:
        yield Line((bar, *line.segments), line.lead + len(BAR), line.joint, line.fill)
