"""One line of text while it is typed in place: its cursor, and what the keys do to it. Pure."""

from dataclasses import dataclass, replace

from easy_llama_tui.text.display_text import one_line

MAX_LENGTH = 200


@dataclass(frozen=True, slots=True)
class TypedLine:
    """What stands there now."""

    text: str = ""
    cursor: int = 0
    """How many characters stand before it."""

    is_untouched: bool = False
    """Whether the first character that is typed replaces all of the text."""

    @classmethod
    def of(cls, text: str) -> "TypedLine":
        """Begin with a text that typing replaces, and the cursor at its end."""
        return cls(text, len(text), bool(text))

    def inserted(self, text: str) -> "TypedLine":
        """Return it with what was typed or pasted at the cursor; of several lines, as one."""
        new = one_line(text) if len(text) > 1 else text if text.isprintable() else ""
        if self.is_untouched and new:
            return TypedLine(new[:MAX_LENGTH], min(len(new), MAX_LENGTH))
        new = new[: MAX_LENGTH - len(self.text)]
        return TypedLine(
            self.text[: self.cursor] + new + self.text[self.cursor :],
            self.cursor + len(new),
        )

    def pressed(self, key: str, character: str | None) -> "TypedLine | None":
        """Return it after a key, or None where the key does not edit."""
        before, after = self.text[: self.cursor], self.text[self.cursor :]
        match key:
            case "left":
                return replace(self, cursor=max(self.cursor - 1, 0), is_untouched=False)
            case "right":
                return replace(self, cursor=min(self.cursor + 1, len(self.text)), is_untouched=False)
            case "home" | "ctrl+a":
                return replace(self, cursor=0, is_untouched=False)
            case "end" | "ctrl+e":
                return replace(self, cursor=len(self.text), is_untouched=False)
            case "backspace":
                return TypedLine(before[:-1] + after, max(self.cursor - 1, 0))
            case "delete":
                return TypedLine(before + after[1:], self.cursor)
            case "ctrl+u":
                return TypedLine(after)
            case "ctrl+k":
                return TypedLine(before, self.cursor)
        if character is not None and character.isprintable():
            return self.inserted(character)
        return None

    def window(self, width: int) -> tuple[str, str, str]:
        """Return what is seen in `width` characters: before, under and after the cursor."""
        start = max(self.cursor - width + 1, 0)
        shown = (self.text + " ")[start : start + width]
        at = self.cursor - start
        return shown[:at], shown[at : at + 1], shown[at + 1 :]
