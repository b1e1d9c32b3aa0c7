"""Markdown as lines, all at once and while it is being written."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.style import Style

from easy_llama_tui.text import markdown_lines
from easy_llama_tui.text.code_lines import CodeLines, CodeStyles
from easy_llama_tui.text.display_text import Line
from easy_llama_tui.text.markdown_inline import inline_runs
from easy_llama_tui.text.markdown_lines import MarkdownLines, MarkdownStyles

CODE = CodeStyles(
    plain=Style(bgcolor="black"),
    comment=Style(italic=True),
    keyword=Style(bold=True),
    string=Style(color="green"),
)
STYLES = MarkdownStyles(
    heading=Style(bold=True, underline=True),
    subheading=Style(bold=True),
    strong=Style(bold=True),
    emphasis=Style(italic=True),
    code=Style(color="yellow"),
    strike=Style(strike=True),
    block=CODE,
)

PIECES = st.one_of(
    st.sampled_from(["a", "b c", "word ", "\n", "\n\n", " ", "  ", "    ", "\t", "日本", "'", "\\"]),
    st.sampled_from(["- ", "* ", "1. ", "2) ", "10. ", "> ", ">", "#", "## ", "---", "===", "-", "=", "+"]),
    st.sampled_from(["```", "```py\n", "~~~", "def f():\n    return 1\n", '"""\n', "# c\n", "    x\n"]),
    st.sampled_from(["|", "a|b\n-|-\n", "|x|y|\n", ":-:", "`", "**", "*", "_", "~~", "[ ] x", "$$"]),
    st.sampled_from(["[a](b)", "[", "]", "(", ")", "[x]: y\n", '"t\n', "<b>", "<!--", "&amp;", "http://x.y"]),
)
SOURCES = st.lists(PIECES, max_size=40).map("".join)


def rendered(source: str, width: int = 40) -> list[Line]:
    lines = MarkdownLines(width, STYLES)
    lines.extend(source, complete=True)
    return lines.lines


def shown(source: str, width: int = 40) -> list[str]:
    return [line.text.rstrip() for line in rendered(source, width)]


def style_of(text: str, lines: list[Line]) -> Style:
    for line in lines:
        for segment in line.segments:
            if text in segment.text:
                return segment.style or Style()
    raise AssertionError(f"{text!r} is not shown")


# Growing text


@settings(max_examples=800, deadline=None)
@given(SOURCES, st.lists(st.integers(1, 9), min_size=1), st.sampled_from([14, 30, 60]))
def test_text_that_arrives_in_pieces_ends_as_text_rendered_at_once(
    source: str, sizes: list[int], width: int
) -> None:
    growing = MarkdownLines(width, STYLES)
    position = 0
    while position < len(source):
        size = sizes[position % len(sizes)]
        before = list(growing.lines)
        first = growing.extend(source[position : position + size], complete=False)
        assert all(old is new for old, new in zip(before[:first], growing.lines, strict=False))
        position += size
    growing.extend("", complete=True)
    assert growing.lines == rendered(source, width)


LIST_LINES = st.tuples(
    st.sampled_from(["", "", " ", "  ", "   ", "    ", "      ", "> "]),
    st.sampled_from(["- ", "- ", "* ", "1. ", "1. ", "2) ", "9. ", "10. ", "0. ", "", "-", "1."]),
    st.sampled_from(["a", "*b* c", "", "```", "---", "===", "- d", "    e", "x | y", "|-|-|"]),
    st.sampled_from(["\n", "\n", "\n\n", "\n\n\n", " \n"]),
).map("".join)


@settings(max_examples=500, deadline=None)
@given(st.lists(LIST_LINES, max_size=12).map("".join), st.integers(1, 9), st.sampled_from([14, 30]))
def test_a_list_that_grows_ends_as_one_rendered_at_once(source: str, size: int, width: int) -> None:
    growing = MarkdownLines(width, STYLES)
    for start in range(0, len(source), size):
        growing.extend(source[start : start + size], complete=False)
    growing.extend("", complete=True)
    assert growing.lines == rendered(source, width)


@pytest.mark.parametrize(
    "source",
    [
        "para\n- item\n",
        "para\n---\nafter",
        "para\na | b\n--|--\nc | d\n",
        "- a\n- b\n\n- c\n\nend",
        "- a\nlazy\n\n  still a\n",
        "> q\nlazy\n\n> r",
        "```py\nx = '''\n\n'''\n```\nend",
        "```\nnever closed\n\n",
        "text[1]\n\n[1]: http://x\n'title\n\nmore'",
        "    code\n\n    code\n\nend",
        "1. a\n   ```sh\n   ls\n   ```\n2. b",
        "- a\n- b|c\n-|-\nd|e\n- f",
        "# h\ntext\nsetext\n===",
        "**para\n```x`y**",
    ],
)
def test_each_character_may_arrive_by_itself(source: str) -> None:
    growing = MarkdownLines(30, STYLES)
    for character in source:
        growing.extend(character, complete=False)
    growing.extend("", complete=True)
    assert growing.lines == rendered(source, 30)


def test_a_complete_text_can_be_continued() -> None:
    growing = MarkdownLines(30, STYLES)
    growing.extend("one\n\n- two", complete=True)
    growing.extend(" and more\n- three", complete=True)
    assert growing.lines == rendered("one\n\n- two and more\n- three", 30)


def test_finished_blocks_are_not_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    growing = MarkdownLines(30, STYLES)
    growing.extend("first *one*\n\n- item *two*\n- item ", complete=False)
    read: list[str] = []

    def counting(parser: object, content: str, *args: object) -> object:
        read.append(content)
        return inline_runs(parser, content, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(markdown_lines, "inline_runs", counting)
    first = growing.extend("three", complete=False)
    assert read == ["item three"]
    assert first == 3


def test_finished_items_of_a_list_are_not_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    growing = MarkdownLines(30, STYLES)
    source = "".join(f"{number}. item\n" for number in range(1, 100))
    growing.extend(source, complete=False)
    read: list[str] = []
    parse = markdown_lines._Blocks.parse

    def noting(blocks: markdown_lines._Blocks, text: str) -> object:
        read.append(text)
        return parse(blocks, text)

    monkeypatch.setattr(markdown_lines._Blocks, "parse", noting)
    assert growing.extend("100. more", complete=False) == 99
    assert read == ["99. item\n100. more"]
    assert growing.lines[-1].text == "  100. more"


def test_numbers_count_from_the_first() -> None:
    assert shown("7. a\n7. b\n7. c\n\ntext\n\n0. d\n5. e\n") == [
        "  7. a",
        "  8. b",
        "  9. c",
        "",
        "text",
        "",
        "  0. d",
        "  1. e",
    ]


def test_what_may_become_a_mark_is_held_back() -> None:
    growing = MarkdownLines(30, STYLES)
    growing.extend("a title?\n-", complete=False)
    assert [line.text for line in growing.lines] == ["a title?"]
    assert not style_of("a title?", growing.lines).underline
    growing.extend(" item", complete=False)
    assert [line.text for line in growing.lines] == ["a title?", "  • item"]


def test_an_open_fence_is_code_at_once() -> None:
    growing = MarkdownLines(30, STYLES)
    growing.extend("```python\ndef f", complete=False)
    assert [line.text.rstrip() for line in growing.lines] == [" def f"]
    assert growing.lines[0].fill == CODE.plain
    assert style_of("def", growing.lines).bold


# Blocks


def test_headings_are_left_aligned_and_bold() -> None:
    lines = rendered("# One\n\ntext\n\n### Three")
    assert [line.text for line in lines] == ["One", "", "text", "", "Three"]
    assert style_of("One", lines).bold
    assert style_of("Three", lines).bold


def test_lists_have_bullets_and_hang() -> None:
    assert shown("- one two three four\n- b\n  - deep\n\n3. x\n4. y", 16) == [
        "• one two three",
        "  four",
        "• b",
        "  ◦ deep",
        "",
        "3. x",
        "4. y",
    ]


def test_lists_are_spaced_as_in_the_source() -> None:
    assert shown("text\n- a\n- b\n\n- c") == ["text", "  • a", "  • b", "", "  • c"]


def test_single_newlines_are_kept() -> None:
    assert shown("roses\nare  \nred") == ["roses", "are", "red"]


def test_quotes_have_a_bar_that_is_not_copied() -> None:
    lines = rendered("> a\n> - b\n\nc", 30)
    assert [line.text.rstrip() for line in lines] == ["│ a", "│   • b", "", "c"]
    assert [line.text[line.lead :] for line in lines[:2]] == ["a", "  • b"]


def test_tables_fit_the_width() -> None:
    source = "| name | what | n |\n|:--|---|--:|\n| a | some *long* text here | 10 |\n| b | x | 2 |\n"
    assert shown(source, 60) == [
        "name │ what                │  n",
        "─────┼─────────────────────┼───",
        "a    │ some long text here │ 10",
        "b    │ x                   │  2",
    ]
    assert shown(source, 24) == [
        "name │ what         │  n",
        "─────┼──────────────┼───",
        "a    │ some long    │ 10",
        "     │ text here    │",
        "─────┼──────────────┼───",
        "b    │ x            │  2",
    ]


def test_a_table_that_cannot_fit_is_a_list() -> None:
    source = "|one|two|three|four|five|\n|-|-|-|-|-|\n|first|second|third|fourth|fifth|\n"
    assert shown(source, 20) == [
        "one: first",
        "two: second",
        "three: third",
        "four: fourth",
        "five: fifth",
    ]


def test_inline_styles() -> None:
    lines = rendered("a **strong** *emphasis* `code` ~~gone~~")
    assert lines[0].text == "a strong emphasis code gone"
    assert style_of("strong", lines).bold
    assert style_of("emphasis", lines).italic
    assert style_of("gone", lines).strike
    assert style_of("code", lines) == STYLES.code


def test_links_are_text_with_their_address() -> None:
    lines = rendered("[docs](https://x.org/a_b?q=%20é) <https://y.org> ![alt](z.png)", 80)
    assert lines[0].text == "docs (https://x.org/a_b?q=%20é) https://y.org [image: alt] (z.png)"
    assert all(segment.style is None or segment.style.link is None for segment in lines[0].segments)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("[bold]x[/bold]", "[bold]x[/bold]"),
        ("<b>x</b> <script>", "<b>x</b> <script>"),
        ("a &lt; b &#x202e; &#13;", "a < b \ufffd"),
        (r"\(a_1\) and \[b\] but \*c\*", r"\(a_1\) and \[b\] but *c*"),
        ("[x]: http://y", "[x]: http://y"),
        ("a_b_c 2 * 3 * 4", "a_b_c 2 * 3 * 4"),
    ],
)
def test_text_that_is_no_markdown_is_shown_as_it_is(source: str, text: str) -> None:
    assert shown(source) == [text]


def test_what_is_nested_too_deep_is_shown_as_its_source() -> None:
    assert "deep" in "".join(shown(">" * 40 + " deep"))


@settings(max_examples=150, deadline=None)
@given(SOURCES, st.integers(12, 50))
def test_no_line_leaves_the_width_or_holds_a_link(source: str, width: int) -> None:
    for line in rendered(source, width):
        assert cell_len(line.text) <= width
        for segment in line.segments:
            assert segment.style is None or (segment.style.link is None and not segment.style.meta)


# Code


def test_code_is_highlighted_and_wrapped_on_its_background() -> None:
    lines = rendered('```python title="x"\ndef f():\n\treturn "' + "x" * 30 + '"  # why\n```', 24)
    assert [line.text[line.lead :] for line in lines] == [
        "def f():",
        '    return "' + "x" * 10,
        "x" * 20 + '" ',
        " # why",
    ]
    assert [line.joint for line in lines] == ["\n", "\n", "", ""]
    assert all(line.fill == CODE.plain for line in lines)
    assert style_of("def", lines) == CODE.keyword
    assert style_of("# why", lines) == CODE.comment


@pytest.mark.parametrize("language", ["", "nosuchlanguage", "{}", "\U0001f600"])
def test_unknown_languages_are_plain(language: str) -> None:
    lines = rendered(f"```{language}\ndef f(): pass\n```")
    assert {segment.style for line in lines for segment in line.segments} == {CODE.plain}


FUNCTIONS = "".join(
    f'def f{n}(x):\n    """Return {n}\n\n    of x."""\n    return x + {n}\n\n' for n in range(60)
)


@pytest.mark.parametrize(
    "code",
    [
        pytest.param(FUNCTIONS[:4000], id="functions"),
        pytest.param(FUNCTIONS * 4, id="more than is read at once"),
        pytest.param("x = '''\n" + "text\n" * 3000, id="one open string"),
        pytest.param("[1,\n" * 900, id="one expression"),
    ],
)
def test_long_code_that_grows_ends_as_code_rendered_at_once(code: str) -> None:
    growing = CodeLines("python", 60, CODE)
    for end in range(0, len(code), 997):
        growing.render(code[:end], complete=False)
    assert growing.render(code, complete=True) == CodeLines("python", 60, CODE).render(code, complete=True)


def test_lines_of_growing_code_are_highlighted_once() -> None:
    growing = CodeLines("python", 60, CODE)
    steps = [growing.render(FUNCTIONS[:end], complete=False) for end in range(6000, 6400, 40)]
    for before, after in pairwise(steps):
        assert all(old is new for old, new in zip(before[:150], after[:150], strict=True))


def test_all_code_is_shown_while_it_grows() -> None:
    growing = CodeLines("python", 80, CODE)
    for end in range(0, len(FUNCTIONS), 331):
        lines = growing.render(FUNCTIONS[:end], complete=False)
        assert "\n".join(line.text[line.lead :] for line in lines) == FUNCTIONS[:end].removesuffix("\n")


def test_complete_code_is_read_as_a_whole() -> None:
    code = "<script>\n" + "let a = 1;\n" * 60 + "</script>\n"
    lines = CodeLines("html", 60, CODE).render(code, complete=True)
    assert style_of("let", lines[-3:]) == CODE.keyword


def test_code_that_is_no_code_is_plain() -> None:
    lines = rendered("```python\nx = '" + "y" * 2000 + "'\n```")
    assert {segment.style for line in lines for segment in line.segments} == {CODE.plain}
