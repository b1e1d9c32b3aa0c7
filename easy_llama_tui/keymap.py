"""Every key of the chat, once: the bindings, the help screen and the commands are made from it."""

from dataclasses import dataclass

from textual.binding import Binding


@dataclass(frozen=True, slots=True)
class Key:
    """One thing that the person can do, and how."""

    id: str
    """Names the binding."""

    keys: str
    """Textual's names of the keys, with commas."""

    shown: str
    """How the help screen calls the keys."""

    action: str
    """The action that it runs."""

    description: str
    priority: bool = False
    """Whether it comes before the widget that has the focus."""

    typed: str = ""
    """What can be typed into the prompt instead, where a terminal swallows the key."""

    def binding(self) -> Binding:
        """Return it as Textual wants it."""
        return Binding(
            self.keys, self.action, self.description, id=self.id, priority=self.priority, show=False
        )


CHAT_KEYS = (
    Key("stop", "escape", "Esc", "stop", "Stop reading or writing", typed="/stop"),
    Key("reroll", "ctrl+r", "Ctrl+R", "reroll", "Re-roll the last reply", priority=True, typed="/reroll"),
    Key(
        "previous-alternative",
        *("alt+left", "Alt+←", "alternative(-1)", "Show the alternative before"),
        priority=True,
    ),
    Key(
        "next-alternative",
        *("alt+right", "Alt+→", "alternative(1)", "Show the alternative after"),
        priority=True,
    ),
    Key("new", "ctrl+n", "Ctrl+N", "new_chat", "Begin a new chat", priority=True, typed="/new"),
    Key("help", "f1", "F1", "help", "Show the keys", priority=True, typed="/help"),
    Key(
        "interrupt",
        *("ctrl+c", "Ctrl+C", "interrupt"),
        "Copy the selection, else stop, else clear the prompt, else (twice) quit",
        priority=True,
    ),
    Key("quit", "ctrl+q", "Ctrl+Q", "quit", "Save and quit", priority=True, typed="/quit"),
)
"""What the chat screen can do."""

PROMPT_KEYS = (
    Key("send", "enter", "Enter", "submit", "Send the message"),
    Key("newline", "ctrl+j,shift+enter,shift+\r", "Ctrl+J", "newline", "Begin a new line"),
    Key("history-previous", "ctrl+up", "Ctrl+↑", "history(-1)", "Bring back an earlier message"),
    Key("history-next", "ctrl+down", "Ctrl+↓", "history(1)", "Go on to a later message"),
    Key("end-of-input", "ctrl+d", "Ctrl+D", "end_of_input", "Quit, where the prompt is empty"),
    Key("scroll-up", "pageup", "PgUp", "scroll_chat(-1)", "Scroll the chat up"),
    Key("scroll-down", "pagedown", "PgDn", "scroll_chat(1)", "Scroll the chat down"),
)
"""What the prompt can do, beside editing."""

NOTES = (
    ("Shift+Enter", "A new line too, where the terminal can tell it from Enter"),
    ("\\ then Enter", "A new line, anywhere"),
    ("Ctrl+P", "The list of commands"),
    ("Tab", "Into the chat, to scroll with the arrow keys; Tab again to come back"),
)
"""What else the help screen says of keys."""
