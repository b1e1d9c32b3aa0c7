"""What is wrong and stays wrong, above the prompt until it is right again."""

from textual.widgets import Static

from easy_llama_tui.text.display_text import printable, without_heaps


class StandingNotice(Static):
    """Sentences that do not go away by themselves; nothing is there while there are none."""

    DEFAULT_CSS = """
    StandingNotice {
        display: none;
        height: auto;
        max-height: 6;
        padding: 0 1;
        color: $text-error;
        background: $panel-lighten-1;

        &.-told {
            display: block;
        }
    }
    ChatScreen.-short StandingNotice {
        max-height: 3;
    }
    ChatScreen.-low StandingNotice, ChatScreen.-flat StandingNotice {
        display: none;
    }
    """

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 (Textual's name)
        super().__init__(id=id, markup=False)

    def say(self, *sentences: str) -> None:
        """Show these, each in lines of its own."""
        self.update("\n".join(f"⚠ {without_heaps(printable(one))}" for one in sentences))
        self.set_class(bool(sentences), "-told")
