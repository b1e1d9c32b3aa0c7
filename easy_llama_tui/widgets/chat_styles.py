"""How messages look: component classes that a stylesheet can change, and the styles made from them.

Every colour is a variable of the theme. What tells roles, headings or code apart is never colour alone.
"""

from rich.style import Style
from textual.widget import Widget

from easy_llama_tui.text.code_lines import CodeStyles
from easy_llama_tui.text.markdown_inline import MarkdownStyles
from easy_llama_tui.widgets.message_view import ChatStyles

_CSS = {
    "text": "color: $foreground;",
    "user-name": "color: $secondary; text-style: bold;",
    "bot-name": "color: $primary; text-style: bold;",
    "system-name": "color: $text-muted; text-style: bold;",
    "system-text": "color: $text-muted;",
    "counter": "color: $text-muted;",
    "note": "color: $text-muted;",
    "note-bar": "color: $secondary;",
    "outside": "color: $outside;",
    "pinned": "color: $pinned; text-style: bold;",
    "selected": "color: $primary; text-style: bold;",
    "reasoning": "color: $text-muted;",
    "unseen": "color: $primary; background: $panel; text-style: bold;",
    "heading": "text-style: bold underline;",
    "subheading": "text-style: bold;",
    "strong": "text-style: bold;",
    "emphasis": "text-style: italic;",
    "strike": "text-style: strike;",
    "inline-code": "color: $accent; background: $surface;",
    "link": "text-style: underline;",
    "url": "color: $text-muted;",
    "bullet": "color: $primary;",
    "quote": "color: $text-muted;",
    "line": "color: $foreground 30%;",
    "code": "color: $foreground; background: $surface;",
    "code-comment": "color: $text-muted; background: $surface; text-style: italic;",
    "code-keyword": "color: $primary; background: $surface;",
    "code-string": "color: $success; background: $surface;",
    "code-number": "color: $accent; background: $surface;",
    "code-name": "color: $secondary; background: $surface;",
    "code-removed": "color: $error; background: $surface;",
}

COMPONENT_CLASSES = {f"chat-log--{name}" for name in _CSS}
CHAT_CSS = """
ChatLog {
    background: $background;
    color: $foreground;
    overflow-x: hidden;
    overflow-y: auto;
    scrollbar-size-vertical: 1;
    scrollbar-color: $foreground 20%;
    scrollbar-color-hover: $foreground 35%;
    scrollbar-color-active: $primary;
    scrollbar-background: $background;
    scrollbar-background-hover: $background;
    scrollbar-background-active: $background;
}
""" + "\n".join(f"ChatLog > .chat-log--{name} {{ {rules} }}" for name, rules in _CSS.items())


def chat_styles(widget: Widget) -> ChatStyles:
    """Return the styles that the present theme and stylesheets give to `widget`'s component classes."""

    def style(name: str) -> Style:
        return component_style(widget, f"chat-log--{name}")

    text = style("text")
    return ChatStyles(
        markdown=MarkdownStyles(
            text=text,
            heading=style("heading"),
            subheading=style("subheading"),
            strong=style("strong"),
            emphasis=style("emphasis"),
            strike=style("strike"),
            code=style("inline-code"),
            link=style("link"),
            url=style("url"),
            bullet=style("bullet"),
            quote=style("quote"),
            line=style("line"),
            block=CodeStyles(
                plain=style("code"),
                comment=style("code-comment"),
                keyword=style("code-keyword"),
                string=style("code-string"),
                number=style("code-number"),
                name=style("code-name"),
                removed=style("code-removed"),
            ),
        ),
        user_name=style("user-name"),
        bot_name=style("bot-name"),
        system_name=style("system-name"),
        user_text=text,
        system_text=style("system-text"),
        counter=style("counter"),
        note=style("note"),
        note_bar=style("note-bar"),
        outside=style("outside"),
        pinned=style("pinned"),
        selected=style("selected"),
        reasoning=style("reasoning"),
    )


def component_style(widget: Widget, name: str) -> Style:
    """Return what the rules of a component class say, and nothing that it takes from its parent.

    So the background shows through, and bold text in a quote keeps the quote's colour.
    """
    styles = widget.get_component_styles(name)
    full = styles.rich_style
    has_colour = styles.has_rule("color") or styles.has_rule("auto_color")
    return styles.text_style + Style(
        color=full.color if has_colour else None,
        bgcolor=full.bgcolor if styles.has_rule("background") else None,
    )
