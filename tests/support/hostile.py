"""Text that would do something to a terminal, to a reader, or to what makes markup of it."""

import unicodedata

CONTROLS = (
    "clip \x1b]52;c;aGk=\x07 link \x1b]8;;http://evil.example\x1b\\evil\x1b]8;;\x1b\\ "
    "style \x1b[5;31;104m ask \x1b[6n \x1b[c mode \x1b[?1007h clear \x1b[2J title \x1b]2;owned\x07 "
    "device \x1bP$q\"p\x1b\\ program \x1b_Gi=31\x1b\\ reset \x1bc shift \x0e\x0f wide \x9b5;31m "
    "\x9d52;c;aGk=\x9c \x90q\x9c "
    "bell \x07 back \x08\x08\x08 cr \rover del \x7f nul \x00 next \x85 form \x0c up \x0b"
)  # fmt: skip
MARKUP = (
    "[bold]loud[/bold] [@click=app.quit]x[/] [@click=screen.close]x[/] [link=http://evil.example]x[/link] "
    "[on red]x[/] [/] [ [] [[x]] \\[x] [red [/nothing] [$text-error]x[/] :smile: {x} %(x)s $x `x`"
)
UNICODE = (
    "bidi \u202eevil\u202c \u2066x\u2069 \u200fx\u200e \u061cx zero\u200b\u200c\u2060\ufeff\u00adwidth "
    "line\u2028par\u2029end tag\U000e0041\U000e0042 select\U000e0100 annotated\ufff9x\ufffb "
    "lone \ud800x \udc9b5m hangul \u115f\u1160\u3164 "
    "none \u034f\u17b4\u180e wide 漢字👨‍👩‍👧 private \ue000 non \ufdd0\uffff"
)  # fmt: skip
FLOODS = "zero " + "\u200d" * 3000 + " stacked e" + "\u0301" * 3000 + " joined " + "👩\u200d" * 300 + " end"

HOSTILE = f"{CONTROLS} {MARKUP} {UNICODE}"
"""All on few lines, for names and titles too."""

NAME = "evil\x1b]52;c;aGk=\x07\x9b31m[@click=app.quit]x[|]\u202egpj.\u200b\r\x08"
"""What a file may be called: everything but a slash and a null character."""


_REORDERING = {"RLO", "LRO", "RLE", "LRE", "PDF", "RLI", "LRI", "FSI", "PDI"}


def forbidden_in(text: str) -> list[str]:
    """Return the characters of a text that is shown that should not be in it."""
    return [
        character
        for character in text
        if unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"}
        or unicodedata.bidirectional(character) in _REORDERING
    ]
