"""How messages look.

Every colour is a variable of the theme. What tells roles, headings or code apart is never colour alone.
These are no component classes: Textual would match each with all rules whenever the focus changes.
"""

from rich.style import Style
from textual.style import Style as VisualStyle
from textual.widget import Widget

from easy_llama_tui.text.code_lines import CodeStyles
from easy_llama_tui.text.markdown_inline import MarkdownStyles
from easy_llama_tui.widgets.message_view import ChatStyles

_STYLES = {
    "text": "$foreground",
    "user-name": "bold $secondary",
    "bot-name": "bold $primary",
    "system-name": "bold $text-muted",
    "system-text": "$text-muted",
    "counter": "$text-muted",
    "note": "$text-muted",
    "note-bar": "$secondary",
    "outside": "$outside",
    "pinned": "bold $pinned",
    "selected": "bold $primary",
    "reasoning": "$text-muted",
    "unseen": "bold $primary on $panel",
    "heading": "bold underline",
    "subheading": "bold",
    "strong": "bold",
    "emphasis": "italic",
    "strike": "strike",
    "inline-code": "$accent on $surface",
    "link": "underline",
    "url": "$text-muted",
    "bullet": "$primary",
    "quote": "$text-muted",
    "line": "$foreground 30%",
    "code": "$foreground on $surface",
    "code-comment": "italic $text-muted on $surface",
    "code-keyword": "$primary on $surface",
    "code-string": "$success on $surface",
    "code-number": "$accent on $surface",
    "code-name": "$secondary on $surface",
    "code-removed": "$error on $surface",
}

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
"""


def chat_styles(widget: Widget) -> ChatStyles:
    """Return the styles of messages in `widget`, in the present theme."""

    def style(name: str) -> Style:
        return chat_style(widget, name)

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


def chat_style(widget: Widget, name: str) -> Style:
    """Return the style of a part of messages in `widget`, with nothing but what is said of that part.

    So the background shows through, and bold text in a quote keeps the quote's colour.
    """
    own = widget.app.stylesheet.parse_style(_STYLES[name])
    full = (VisualStyle(background=widget.background_colors[1]) + own).rich_style
    return full.without_color + Style(
        color=full.color if own.foreground is not None else None,
        bgcolor=full.bgcolor if own.background is not None else None,
    )


def component_style(widget: Widget, name: str) -> Style:
    """Return what the rules of a component class say, and nothing that it takes from its parent."""
    styles = widget.get_component_styles(name)
    full = styles.rich_style
    has_colour = styles.has_rule("color") or styles.has_rule("auto_color")
    return styles.text_style + Style(
        color=full.color if has_colour else None,
        bgcolor=full.bgcolor if styles.has_rule("background") else None,
    )
