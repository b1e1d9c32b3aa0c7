"""Keeps the side panel, the meter and the dimmed messages in step with the chat.

It asks the engine what the next prompt is made of, a little after the last change, and only as closely as
what is shown needs it.
"""

from typing import TYPE_CHECKING

from textual.timer import Timer

from easy_llama.events import Distribution
from easy_llama_tui.chats.context_window import Policy
from easy_llama_tui.chats.session import title_from
from easy_llama_tui.drafts.attachments import expand
from easy_llama_tui.replies.engine import OWN_FORMAT
from easy_llama_tui.replies.inspection import DRAFT, Inspection, InspectionRequest
from easy_llama_tui.samplers.sampler_presets import PresetError, delete_preset, save_preset
from easy_llama_tui.widgets.side_panel import SidePanel

if TYPE_CHECKING:
    from easy_llama.samplers import SamplerSettings
    from easy_llama_tui.screens.chat_screen import ChatScreen
    from easy_llama_tui.widgets.context_panel import MessageLine
    from easy_llama_tui.widgets.format_panel import FormatChoice

LOOK_AFTER = 0.2
"""Seconds from the last change of the draft to a look at it."""

_AFTER_LENGTH = 24


class PanelDesk:
    """What the panels show, and what their choices change."""

    def __init__(self, screen: "ChatScreen") -> None:
        self._screen = screen
        self._timer: Timer | None = None
        self._highlighted_format: str | None = None
        self._shown: str = ""
        self._has_files = False
        self.inspection: Inspection | None = None
        """What the next prompt is made of, as far as it was looked at."""

    @property
    def _side(self) -> SidePanel:
        return self._screen.query_one(SidePanel)

    @property
    def candidates_wanted(self) -> int:
        """How many candidates are to be seen; 0 where no panel shows any."""
        if self._shown == "candidates":
            return self._screen.settings.candidates_count
        return 6 if self._shown == "sampler" else 0

    def forget(self) -> None:
        """Forget what belongs to a chat: another one is open."""
        self._highlighted_format = None
        self.show_inspection(Inspection())

    # Looking

    def look_soon(self) -> None:
        """Look at the next prompt once nothing changes for a moment."""
        if self._timer is not None:
            self._timer.stop()
        self._timer = self._screen.set_timer(LOOK_AFTER, self.look)

    def draft_changed(self) -> None:
        """Note that the person wrote; only an open panel, or a file in the draft, shows that."""
        had_files, self._has_files = self._has_files, bool(self._screen.prompt.attachments)
        if self._shown or self._has_files or had_files:
            self.look_soon()

    def look(self) -> None:
        """Ask what the next prompt is made of."""
        screen = self._screen
        if screen.turns.model is None or screen.turns.running is not None:
            return
        chat = screen.chat
        # A draft is looked at where it is seen; typing costs nothing otherwise.
        draft = screen.prompt.text if self._shown or screen.prompt.attachments else ""
        screen.worker.inspect(
            InspectionRequest(
                chat_id=chat.id,
                turns=chat.conversation.turns(),
                draft=expand(draft, screen.settings.folder) if draft.strip() else "",
                format=self._highlighted_format or chat.format,
                sampler=chat.sampler,
                policy=chat.policy,
                outside=screen.turns.window.outside,
                candidates=self.candidates_wanted,
                with_tokens=self._shown == "format",
            )
        )

    def show_inspection(self, inspection: Inspection) -> None:
        """Show what was found."""
        screen = self._screen
        self.inspection = inspection
        if screen.turns.running is None and not inspection.error and self._highlighted_format is None:
            screen.set_window(inspection.window)
            screen.view.show_usage(inspection)
            screen.view.show_attached(inspection.draft)
            if inspection.can_continue != screen.turns.has_room:
                screen.turns.has_room = inspection.can_continue
                screen.view.refresh_entries()
        if format_panel := self._side.format_panel:
            format_panel.show_inspection(inspection)
        if context_panel := self._side.context_panel:
            context_panel.show_inspection(inspection, self._message_lines())
        why = inspection.error or self._no_room_words(inspection)
        self._show_distribution(inspection.distribution, inspection.after, live=False, why=why)

    def show_candidates(self, distribution: Distribution) -> None:
        """Show what could come next in the reply that is being written."""
        text = self._screen.replies.running_text()
        self._show_distribution(distribution, text[-_AFTER_LENGTH:], live=True)

    def _no_room_words(self, inspection: Inspection) -> str:
        """Return what to do where no token could follow; "" where one could."""
        model = self._screen.turns.model
        is_full = model is not None and inspection.window.tokens >= model.context_length
        if inspection.window.fits and not is_full:
            return ""
        others = "Another policy" if self._screen.chat.policy is Policy.STOP else "Unpinning messages"
        return self._screen.settings.config.keys.said(
            f"The context is full: nothing can follow. {others} in {{context}} makes room, "
            "{new} begins a new chat."
        )

    def _show_distribution(
        self, distribution: Distribution | None, after: str, *, live: bool, why: str = ""
    ) -> None:
        if candidates_panel := self._side.candidates_panel:
            candidates_panel.show_distribution(distribution, after, live, why=why)
        if sampler_panel := self._side.sampler_panel:
            sampler_panel.show_distribution(distribution)

    # The lines of a panel are of its module, which is not loaded before the panel is opened.

    def _message_lines(self) -> "tuple[MessageLine, ...]":
        from easy_llama_tui.widgets.context_panel import MessageLine

        return tuple(
            MessageLine(message.id, message.role, title_from(message.content), message.pinned)
            for message in self._screen.chat.conversation.path()
        )

    # The panels

    def panel_changed(self, name: str) -> None:
        """Note which panel is open."""
        self._shown = name
        self._highlighted_format = None
        self._screen.turns.watch(self.candidates_wanted)
        self.show_chat()
        self.look()

    def show_chat(self) -> None:
        """Show the chat's own choices in the open panel."""
        screen, chat = self._screen, self._screen.chat
        if format_panel := self._side.format_panel:
            format_panel.show_choices(self._format_choices(), chat.format)
        if sampler_panel := self._side.sampler_panel:
            sampler_panel.show_settings(
                chat.sampler, chat.preset_name, screen.settings.presets, screen.turns.last_seed
            )
        if context_panel := self._side.context_panel:
            model, figures = screen.turns.model, screen.turns.figures
            context_panel.show_policy(chat.policy)
            context_panel.show_facts(
                model.context_length if model else 0,
                model.cache_bytes if model else None,
                figures.reused_tokens,
                figures.read_tokens,
            )
        if candidates_panel := self._side.candidates_panel:
            candidates_panel.count = screen.settings.candidates_count

    def _format_choices(self) -> "tuple[FormatChoice, ...]":
        from easy_llama_tui.widgets.format_panel import FormatChoice

        catalog, model = self._screen.settings.catalog, self._screen.turns.model
        label = f"the model's own ({model.format_label})" if model else "the model's own"
        return (
            FormatChoice(OWN_FORMAT, label, "model"),
            *(
                FormatChoice(name, name, "own" if name in catalog.own else "built-in")
                for name in catalog.names
            ),
        )

    # Choices

    def highlight_format(self, name: str) -> None:
        """Preview a format that is not chosen yet."""
        self._highlighted_format = name if name != self._screen.chat.format else None
        self.look_soon()

    def choose_format(self, name: str) -> None:
        """Use a format from the next turn on."""
        self._screen.chat.format = name
        self._highlighted_format = None
        self._screen.chat_changed()
        self.show_chat()

    def change_sampler(self, preset_name: str, settings: "SamplerSettings") -> None:
        """Use other settings from the next token on."""
        chat = self._screen.chat
        chat.preset_name, chat.sampler = preset_name, settings
        self._screen.turns.follow_sampler(settings)
        self._screen.chat_changed()
        self.show_chat()

    def save_own_preset(self, name: str, settings: "SamplerSettings") -> None:
        """Keep settings as a preset of the person's own, and use it."""
        screen = self._screen
        try:
            save_preset(screen.settings.presets_folder, name, settings)
        except PresetError as error:
            screen.notify(str(error), severity="error", markup=False)
            self.show_chat()
            return
        screen.settings.presets[name] = settings
        self.change_sampler(name, settings)
        screen.notify(f"Saved the preset {name}.", markup=False)

    def delete_own_preset(self, name: str) -> None:
        """Forget a preset of the person's own; the chat keeps its settings."""
        screen = self._screen
        try:
            delete_preset(screen.settings.presets_folder, name)
        except PresetError as error:
            screen.notify(str(error), severity="error", markup=False)
            self.show_chat()
            return
        screen.settings.presets.pop(name, None)
        if screen.chat.preset_name == name:
            self.change_sampler("DefaultSampling", screen.chat.sampler)
        self.show_chat()

    def change_policy(self, policy: Policy) -> None:
        """Leave out other messages from the next turn on."""
        self._screen.chat.policy = policy
        self._screen.chat_changed()
        self.show_chat()

    def pin(self, message_id: str) -> None:
        """Pin a message or let it go; the draft is none yet."""
        if message_id != DRAFT:
            self._screen.message_actions.pin(message_id)

    def go_to(self, message_id: str) -> None:
        """Show a message in the chat; the draft is none yet."""
        if message_id != DRAFT:
            self._screen.chat_log.enter_message_mode(message_id)

    def change_count(self, count: int) -> None:
        """Look at more or fewer candidates."""
        self._screen.settings.candidates_count = count
        self._screen.turns.watch(self.candidates_wanted)
        self.look_soon()
