"""Markdown inside a paragraph, heading or cell: source text → styled pieces of text."""

from __future__ import annotations

from dataclasses import field
from functools import cache
from typing import TYPE_CHECKING

from rich.style import Style

from easy_llama.record import Record
from easy_llama_tui.text.code_lines import PLAIN, CodeStyles
from easy_llama_tui.text.display_text import TAB_SIZE, Run, printable

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

_INLINE_LIMIT = 8_000
"""Longer paragraphs are shown as they are: markdown-it takes quadratic time for some of them."""

_LATEX = {"\\(", "\\)", "\\[", "\\]"}
"""Escapes that models write as the delimiters of a formula, and that are then shown as written."""


class MarkdownStyles(Record):
    """The styles that Markdown is drawn in; the theme decides, never the text."""

    text: Style = PLAIN
    heading: Style = PLAIN
    subheading: Style = PLAIN
    strong: Style = PLAIN
    emphasis: Style = PLAIN
    strike: Style = PLAIN
    code: Style = PLAIN
    link: Style = PLAIN
    url: Style = PLAIN
    bullet: Style = PLAIN
    quote: Style = PLAIN
    line: Style = PLAIN
    """Rules, the lines of tables and the bar beside a quote."""
    block: CodeStyles = field(default_factory=CodeStyles)


@cache
def markdown_parser() -> MarkdownIt:
    """Return the parser: CommonMark with tables and strikethrough, HTML as text.

    Reference definitions are off, so that no line changes how a line far above is read.
    """
    from markdown_it import MarkdownIt  # not before there is a message: the screen is painted first

    parser = MarkdownIt("commonmark", {"html": False, "maxNesting": 20})
    # A link is shown with its address, so the address is kept as it was written.
    parser.normalizeLink = lambda url: url  # type: ignore[method-assign]
    return parser.enable(["table", "strikethrough"]).disable(["reference", "html_block", "html_inline"])


def inline_runs(parser: MarkdownIt, content: str, styles: MarkdownStyles, base: Style) -> list[Run]:
    """Return the text of `content` in pieces, each with its style on top of `base`.

    Line breaks are kept, links are followed by their address, and no piece holds a link or markup.
    """
    if len(content) > _INLINE_LIMIT:
        return [(content.expandtabs(TAB_SIZE), base)]
    tokens: list[Token] = []
    parser.inline.parse(content, parser, {}, tokens)
    return _Inline(styles, base).runs(tokens)


class _Inline:
    """Walks the tokens of one paragraph with the styles that are open."""

    def __init__(self, styles: MarkdownStyles, base: Style) -> None:
        self._styles = styles
        self._open = [base]
        self._runs: list[Run] = []
        self._links: list[tuple[str, int]] = []

    def runs(self, tokens: list[Token]) -> list[Run]:
        for token in tokens:
            self._token(token)
        return self._runs

    def _token(self, token: Token) -> None:
        styles = self._styles
        match token.type:
            case "text":
                self._add(token.content)
            case "text_special":
                self._add(token.markup if token.markup in _LATEX else token.content)
            case "softbreak" | "hardbreak":
                # Models write a single newline where they mean one.
                self._add("\n")
            case "code_inline":
                self._add(token.content, styles.code)
            case "image":
                self._add(f"[image: {token.content}] ({token.attrGet('src')})", styles.url)
            case "link_open":
                self._links.append((str(token.attrGet("href")), len(self._runs)))
                self._open.append(self._open[-1] + styles.link)
            case "link_close":
                self._open.pop()
                self._close_link()
            case "strong_open":
                self._open.append(self._open[-1] + styles.strong)
            case "em_open":
                self._open.append(self._open[-1] + styles.emphasis)
            case "s_open":
                self._open.append(self._open[-1] + styles.strike)
            case "strong_close" | "em_close" | "s_close":
                self._open.pop()

    def _close_link(self) -> None:
        url, start = self._links.pop()
        label = "".join([text for text, _ in self._runs[start:]])
        if label not in (url, url.removeprefix("mailto:")):
            self._add(f" ({url})", self._styles.url)

    def _add(self, text: str, style: Style | None = None) -> None:
        # Cleaned once more: an entity such as `&#x202e;` becomes its character only here.
        text = printable(text).expandtabs(TAB_SIZE)
        if text:
            self._runs.append((text, self._open[-1] + style if style else self._open[-1]))
