"""The text area of the sampler panel."""

from textual import events
from textual.widgets import TextArea
from textual.widgets.text_area import Edit, EditResult

from easy_llama_tui.text.display_text import editable


class SamplerTextArea(TextArea):
    """Where a setting of several lines is edited."""

    def edit(self, edit: Edit) -> EditResult:
        """Change the text; whatever comes in is made printable."""
        edit.text = editable(edit.text)
        return super().edit(edit)

    async def _on_key(self, event: events.Key) -> None:
        if event.key in ("ctrl+j", "shift+enter"):
            event.stop()
            event.prevent_default()
            self.replace("\n", *self.selection)
            return
        await super()._on_key(event)
