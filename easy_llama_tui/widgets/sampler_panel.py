"""The panel of the sampler: presets, every setting to be edited in place, and what the settings do."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.message import Message
from textual.widget import Widget

from easy_llama.events import Distribution
from easy_llama.samplers import SamplerSettings
from easy_llama_tui.drafts.typed_line import TypedLine
from easy_llama_tui.preferences.key_names import shown
from easy_llama_tui.preferences.panel_keys import SAMPLER_KEYS
from easy_llama_tui.samplers.sampler_changes import SamplerChanges
from easy_llama_tui.samplers.sampler_editing import (
    main_field,
    stepped,
    text_of,
    typed_value,
    value_from,
    value_of_text,
)
from easy_llama_tui.samplers.sampler_fields import FIELDS, SamplerField
from easy_llama_tui.samplers.sampler_presets import PresetError, checked_name
from easy_llama_tui.widgets.key_hints import keys_of
from easy_llama_tui.widgets.sampler_guide import SamplerGuide
from easy_llama_tui.widgets.sampler_rows import SamplerRows
from easy_llama_tui.widgets.sampler_sheet import SamplerSheet
from easy_llama_tui.widgets.sampler_view import (
    PRESET,
    SamplerView,
    is_own,
    neighbour,
    neighbour_without,
    preset_order,
)

APPLY_KEYS = ("ctrl+s", "f12")
"""What sets a text of several lines, where Enter begins a line."""


class SamplerPanel(Widget, can_focus=True):
    """Shows the settings of a chat's sampler, and posts what the person makes of them.

    It shows its own changes at once. The settings that come back for them are told from others, so that
    keys pressed quickly are not undone by the answer to the first.
    """

    BINDINGS: ClassVar[list[BindingType]] = [key.binding() for key in SAMPLER_KEYS]

    DEFAULT_CSS = """
    SamplerPanel {
        layout: vertical;
        width: 1fr;
        height: 1fr;
        background: $background;
        color: $foreground;
    }
    """

    @dataclass
    class SettingsChanged(Message):
        """The person changed a setting, or chose a preset."""

        preset_name: str
        settings: SamplerSettings

    @dataclass
    class PresetSaved(Message):
        """The person saved the settings as a preset of their own, which they are of now."""

        preset_name: str
        settings: SamplerSettings

    @dataclass
    class PresetDeleted(Message):
        """The person deleted a preset of their own."""

        preset_name: str

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 (Textual's name)
        super().__init__(id=id)
        self._sheet = SamplerSheet()
        self._changes = SamplerChanges()
        self._last_seed: int | None = None
        self._at = "temp"
        self._listed: str | None = None  # the cursor in the list of presets, while that is open
        self._typed: TypedLine | None = None
        self._is_naming = False
        self._text_field: SamplerField | None = None
        self._error = ""
        self._note = ""
        self._confirmed = ""  # what a second press of the same key does

    def compose(self) -> ComposeResult:
        """Show the settings."""
        yield self._sheet

    # What it is told

    def show_settings(
        self,
        settings: SamplerSettings,
        preset_name: str,
        presets: Mapping[str, SamplerSettings],
        last_seed: int | None,
    ) -> None:
        """Show the settings of a chat.

        Args:
            settings: how its next token is chosen.
            preset_name: the preset that they began as.
            presets: all that can be chosen, by name: the built-in ones and the person's own.
            last_seed: the seed of the last reply, if there was any.
        """
        self._last_seed = last_seed
        if self._changes.take(settings, preset_name, presets):
            self._stop_editing()
        self._redraw()

    def show_distribution(self, distribution: Distribution | None) -> None:
        """Show what the settings do to the next token; None shows nothing."""
        self._sheet.show_distribution(distribution)

    def focus_first(self) -> None:
        """Give the keys to the panel."""
        self.focus()

    # The keys

    async def _on_key(self, event: events.Key) -> None:
        if await self._takes(event):
            event.stop()
            event.prevent_default()

    async def _takes(self, event: events.Key) -> bool:
        """Do what a key means now; return whether it means anything here."""
        if self._text_field is not None:
            return self._key_in_text(event.key)
        if self._typed is not None:
            return self._key_while_typing(event)
        if event.key == "escape" and self._listed is not None:
            self._listed = None
            self._redraw()
            return True
        if self._begins_number(event):
            self._typed = TypedLine().inserted(event.character or "")
            self._redraw()
            return True
        # Looked up here, with the person's own keys: Textual runs bindings after a detour through the
        # app, and keys that arrive together would change their order.
        active = self.screen.active_bindings.get(event.key)
        if active is None or active.node is not self:
            return False
        return await self.app.run_action(active.binding.action, self)

    def _begins_number(self, event: events.Key) -> bool:
        character = event.character
        if self._listed is not None or not character or not (character in "." or character.isdecimal()):
            return False
        return self._at != PRESET and FIELDS[self._at].kind != "text"

    def _key_while_typing(self, event: events.Key) -> bool:
        assert self._typed is not None
        if event.key == "escape":
            self._stop_editing()
        elif event.key == "enter":
            self._set_typed()
        elif event.key in ("up", "down") and not self._is_naming:
            if self._set_typed():
                self.action_move_cursor(-1 if event.key == "up" else 1)
        elif (typed := self._typed.pressed(event.key, event.character)) is not None:
            self._type(typed)
        else:
            # What is typed belongs to the setting where it was begun: no other key of ours leads away.
            active = self.screen.active_bindings.get(event.key)
            return active is not None and active.node is self
        self._redraw()
        return True

    def _key_in_text(self, key: str) -> bool:
        if key in APPLY_KEYS:
            self._set_text()
        elif key == "escape":
            self._stop_editing()
        else:
            return False
        self._redraw()
        return True

    def _type(self, typed: TypedLine) -> None:
        self._typed, self._error, self._confirmed = typed, "", ""

    async def _on_paste(self, event: events.Paste) -> None:
        if self._typed is not None:
            event.stop()
            self._type(self._typed.inserted(event.text))
            self._redraw()

    def on_focus(self) -> None:
        """Show that keys come here; the text that is being edited has them."""
        if self._text_field is not None:
            self._sheet.area.focus()
        self._redraw()

    def on_blur(self) -> None:
        """Show that keys go elsewhere."""
        self._redraw()

    # What the keys do

    def action_move_cursor(self, step: int) -> None:
        """Go up or down in the settings, or in the list of presets."""
        self._note = self._confirmed = ""
        if self._listed is not None:
            self._listed = neighbour(preset_order(self._changes.presets), self._listed, step)
        else:
            self._at = neighbour([PRESET, *FIELDS], self._at, step)
        self._redraw()

    def action_step_value(self, direction: int) -> None:
        """Take one step less or more, or the next preset."""
        self._note = ""
        if self._listed is not None:
            return
        if self._at == PRESET:
            following = neighbour(preset_order(self._changes.presets), self._changes.preset_name, direction)
            if following != self._changes.preset_name:
                self._choose(following)
            return
        one, value = FIELDS[self._at], getattr(self._changes.settings, self._at)
        if one.kind == "text":
            self._say(keys_of(self).said("{sampler-edit} edits this."))
        elif one.name == "seed" and value is None:
            fix = keys_of(self).said("{sampler-seed} fixes the last.")
            self._say(f"A new seed is drawn for each reply: type one, or {fix}")
        else:
            self._set(one, stepped(one, value, direction))

    def action_open_value(self) -> None:
        """Type the value, edit the text, or list the presets and take one of them."""
        self._note = ""
        if self._listed is not None:
            chosen, self._listed = self._listed, None
            self._choose(chosen)
        elif self._at == PRESET:
            order = preset_order(self._changes.presets)
            self._listed = (
                self._changes.preset_name if self._changes.preset_name in order else next(iter(order), None)
            )
        elif FIELDS[self._at].kind == "text":
            self._edit_text(FIELDS[self._at])
        else:
            self._typed = TypedLine.of(typed_value(getattr(self._changes.settings, self._at)))
        self._redraw()

    def action_switch_off(self) -> None:
        """Switch the sampler under the cursor off, or on again."""
        if self._listed is not None or self._at == PRESET:
            return
        one, value = FIELDS[self._at], getattr(self._changes.settings, self._at)
        if one.name == "seed":
            self.action_fix_seed()
        elif not one.can_be_off:
            self._say(f"{one.name} has no off; it belongs to {main_field(one.name)}.")
        elif one.kind == "text" and not value and not self._changes.was_switched_off(one):
            self._say(keys_of(self).said("{sampler-edit} edits this."))
        else:
            self._set(one, self._changes.switched(one))

    def action_reset_value(self) -> None:
        """Go back to the preset's value, or to all of them; in the list, delete the preset."""
        if self._listed is not None:
            self._delete(self._listed)
        elif self._at == PRESET:
            self._choose(self._changes.preset_name)
        else:
            self._set(FIELDS[self._at], getattr(self._changes.preset, self._at))

    def action_save_preset(self) -> None:
        """Ask for the name of a preset to save the settings as."""
        self._listed, self._is_naming, self._note = None, True, ""
        self._typed = TypedLine.of(self._changes.preset_name if is_own(self._changes.preset_name) else "")
        self._redraw()

    def action_undo_change(self) -> None:
        """Bring back what the settings were before the last change."""
        if not self._changes.undo():
            self._say("There is nothing to undo.")
            return
        self._note = ""
        self._post_settings()

    def action_fix_seed(self) -> None:
        """Fix the seed of the last reply, or let a new one be drawn each time."""
        if self._changes.settings.seed is not None:
            self._set(FIELDS["seed"], None)
            self._say("From the next reply on, a new seed is drawn each time.")
        elif self._last_seed is None:
            self._say("No seed was drawn yet: type one in the row seed, or wait for a reply.")
        else:
            self._set(FIELDS["seed"], self._last_seed)
            self._say(f"The seed is fixed at {self._last_seed}.")

    # Changes

    def _set(self, one: SamplerField, value: object) -> None:
        """Set a value that is known to be allowed, or say why it is not."""
        try:
            settings = self._changes.settings.replace(**{one.name: value})
        except (TypeError, ValueError) as error:
            self._say(f"{error}.")
        else:
            self._change(settings)

    def _choose(self, name: str) -> None:
        """Take the values of a preset."""
        self._changed(is_other=self._changes.choose(name))

    def _change(self, settings: SamplerSettings) -> None:
        self._changed(is_other=self._changes.change(self._changes.preset_name, settings))

    def _changed(self, *, is_other: bool) -> None:
        self._note = self._confirmed = ""
        if is_other:
            self._post_settings()
        self._redraw()

    def _post_settings(self) -> None:
        self._changes.note_sent()
        self.post_message(self.SettingsChanged(self._changes.preset_name, self._changes.settings))
        self._redraw()

    def _set_typed(self) -> bool:
        """Take what was typed; return whether it could be."""
        assert self._typed is not None
        try:
            if self._is_naming:
                self._save_as(self._typed.text)
            else:
                one = FIELDS[self._at]
                value = value_from(one, self._typed.text)
                settings = self._changes.settings.replace(**{one.name: value})
                self._stop_editing()
                self._change(settings)
        except (PresetError, TypeError, ValueError) as error:
            self._error = str(error)
            return False
        return True

    def _save_as(self, typed: str) -> None:
        name = checked_name(typed, filter(is_own, self._changes.presets))
        if name in self._changes.presets and name not in (self._changes.preset_name, self._confirmed):
            self._confirmed = name
            raise PresetError(f"There is {name} already: Enter again replaces it, Esc leaves it.")
        self._stop_editing()
        self._changes.save_as(name)
        self.post_message(self.PresetSaved(name, self._changes.settings))

    def _delete(self, name: str) -> None:
        if not is_own(name):
            self._say(f"{name} is built in; only your own presets can be deleted.")
        elif self._confirmed != name:
            key = keys_of(self).by_id()["sampler-reset"]
            self._say(f"Press {shown(key.names[-1]) if key.names else 'it'} again to delete {name}.")
            self._confirmed = name
        else:
            self._listed = neighbour_without(preset_order(self._changes.presets), name)
            was_in_use = self._changes.delete_preset(name)
            self._confirmed = self._note = ""
            self.post_message(self.PresetDeleted(name))
            if was_in_use:
                self._post_settings()
            self._redraw()

    def _edit_text(self, one: SamplerField) -> None:
        self._text_field = one
        self._sheet.open_area(text_of(one.name, getattr(self._changes.settings, one.name)))

    def _set_text(self) -> None:
        one = self._text_field
        assert one is not None
        try:
            value = value_of_text(one.name, self._sheet.area.text)
            settings = self._changes.settings.replace(**{one.name: value})
        except (TypeError, ValueError) as error:
            self._error = str(error)
            return
        self._stop_editing()
        self._change(settings)

    def _stop_editing(self) -> None:
        """Leave what is typed; the panel has the keys again."""
        self._typed, self._is_naming, self._error, self._confirmed = None, False, "", ""
        if self._text_field is not None:
            self._text_field = None
            if self._sheet.close_area():
                self.focus()

    def _say(self, note: str) -> None:
        self._note = note
        self._redraw()

    # The mouse

    @on(SamplerRows.Clicked)
    def _on_row_clicked(self, message: SamplerRows.Clicked) -> None:
        message.stop()
        if self._text_field is not None or (self._typed is not None and not self._set_typed()):
            self._redraw()
            return
        self._note = self._confirmed = ""
        listed = self._listed is not None and message.target != PRESET
        if message.part != "row":
            self.action_step_value(-1 if message.part == "less" else 1)
        elif message.target == (self._listed if listed else self._at):
            self.action_open_value()
        elif listed:
            self._listed = message.target
        else:
            self._at, self._listed = message.target, None
        self._redraw()

    @on(SamplerGuide.HintClicked)
    async def _on_hint_clicked(self, message: SamplerGuide.HintClicked) -> None:
        message.stop()
        await self._takes(events.Key(message.key, None))

    # What is seen

    def _redraw(self) -> None:
        if self.is_mounted:
            is_active = self.has_focus or self._sheet.area.has_focus
            self._sheet.show_view(self._view(), is_active=is_active)

    def _view(self) -> SamplerView:
        return SamplerView(
            self._changes.settings,
            self._changes.preset,
            self._changes.preset_name,
            self._changes.presets,
            self._last_seed,
            self._at,
            self._listed,
            self._typed,
            self._is_naming,
            self._text_field,
            self._error,
            self._note,
            keys_of(self).by_id(),
        )
