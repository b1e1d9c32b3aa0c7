"""The panel of the sampler: presets, every setting to be edited in place, and what the settings do."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from rich.style import Style
from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.message import Message
from textual.widget import Widget

from easy_llama.events import Distribution
from easy_llama.samplers import PRESETS, DefaultSampling, SamplerSettings, preset_name
from easy_llama_tui.drafts.typed_line import TypedLine
from easy_llama_tui.preferences.keymap import Key
from easy_llama_tui.samplers.sampler_editing import (
    stepped,
    switched,
    text_of,
    typed_value,
    value_from,
    value_of_text,
)
from easy_llama_tui.samplers.sampler_fields import FIELDS, SamplerField
from easy_llama_tui.samplers.sampler_presets import PresetError, checked_name
from easy_llama_tui.text.display_text import plain_lines, printable
from easy_llama_tui.widgets.distribution_bars import HEAD_ROWS, MAX_BARS, DistributionBars
from easy_llama_tui.widgets.sampler_guide import SamplerGuide
from easy_llama_tui.widgets.sampler_rows import SamplerRows
from easy_llama_tui.widgets.sampler_text_area import SamplerTextArea
from easy_llama_tui.widgets.sampler_view import PRESET, SamplerView, is_own, preset_order

SAMPLER_KEYS = (
    Key("sampler-up", "up,k", "↑ k", "move_cursor(-1)", "Go to the setting above"),
    Key("sampler-down", "down,j", "↓ j", "move_cursor(1)", "Go to the setting below"),
    Key("sampler-page-up", "pageup", "PgUp", "move_cursor(-8)", "Go up several settings"),
    Key("sampler-page-down", "pagedown", "PgDn", "move_cursor(8)", "Go down several settings"),
    Key("sampler-first", "home,g", "Home g", "move_cursor(-99)", "Go to the presets"),
    Key("sampler-last", "end,G", "End G", "move_cursor(99)", "Go to the last setting"),
    Key("sampler-less", "left,h,minus", "← h -", "step_value(-1)", "One step less, or the preset before"),
    Key("sampler-more", "right,l,plus", "→ l +", "step_value(1)", "One step more, or the next preset"),
    Key("sampler-edit", "enter", "Enter", "open_value", "Type the value, or list the presets"),
    Key("sampler-off", "o", "o", "switch_off", "Switch the sampler off, or on again"),
    Key("sampler-reset", "backspace,delete", "⌫", "reset_value", "Go back to the preset's value"),
    Key("sampler-save", "s", "s", "save_preset", "Save as a preset of your own"),
    Key("sampler-undo", "u", "u", "undo_change", "Undo the last change"),
    Key("sampler-seed", "f", "f", "fix_seed", "Fix the last seed, or draw a new one each time"),
)
"""What the panel can do while it has the focus."""

APPLY_KEYS = ("ctrl+s", "f12")
"""What sets a text of several lines, where Enter begins a line."""

_ECHO_SECONDS = 1.0
"""How long the panel's own changes may take to come back to it."""

_MAX_UNDO = 100


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

        SamplerTextArea {
            display: none;
            height: 1fr;
            border: none;
            padding: 0;
            background: $surface;
            color: $foreground;
            scrollbar-size-vertical: 1;

            &:focus {
                border: none;
            }
        }
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
        self._rows = SamplerRows()
        self._guide = SamplerGuide()
        self._bars = DistributionBars()
        self._area = SamplerTextArea(soft_wrap=True, show_line_numbers=False, tab_behavior="focus")
        self._settings = DefaultSampling
        self._preset_name = "DefaultSampling"
        self._presets: dict[str, SamplerSettings] = dict(PRESETS)
        self._last_seed: int | None = None
        self._distribution: Distribution | None = None
        self._at = "temp"
        self._listed: str | None = None  # the cursor in the list of presets, while that is open
        self._typed: TypedLine | None = None
        self._is_naming = False
        self._text_field: SamplerField | None = None
        self._error = ""
        self._note = ""
        self._confirmed = ""  # what a second press of the same key does
        self._past: list[tuple[str, SamplerSettings]] = []
        self._posted: list[tuple[float, str, SamplerSettings]] = []
        self._switched_off: dict[str, Any] = {}

    def compose(self) -> ComposeResult:
        """Lay out the panel from top to bottom."""
        yield self._rows
        yield self._area
        yield self._guide
        yield self._bars

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
        self._presets, self._last_seed = dict(presets), last_seed
        if not self._is_own_echo(preset_name, settings):
            if (preset_name, settings) != (self._preset_name, self._settings):
                self._past.clear()
                self._switched_off.clear()
                self._stop_editing()
            self._preset_name, self._settings = preset_name, settings
        self._redraw()

    def show_distribution(self, distribution: Distribution | None) -> None:
        """Show what the settings do to the next token; None shows nothing."""
        before, self._distribution = self._n_candidates, distribution
        self._bars.show_distribution(distribution)
        if before != self._n_candidates:
            self._redraw()

    def focus_first(self) -> None:
        """Give the keys to the panel."""
        self.focus()

    def _is_own_echo(self, name: str, settings: SamplerSettings) -> bool:
        """Return whether these are settings that were posted, and changed further since."""
        now = time.monotonic()
        self._posted = [one for one in self._posted if now - one[0] < _ECHO_SECONDS]
        for place, (_, posted_name, posted) in enumerate(self._posted):
            if (posted_name, posted) == (name, settings):
                del self._posted[: place + 1]
                return True
        return False

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
            return False
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
            self._area.focus()
        self._redraw()

    def on_blur(self) -> None:
        """Show that keys go elsewhere."""
        self._redraw()

    # What the keys do

    def action_move_cursor(self, step: int) -> None:
        """Go up or down in the settings, or in the list of presets."""
        self._note = self._confirmed = ""
        if self._listed is not None:
            self._listed = _neighbour(preset_order(self._presets), self._listed, step)
        else:
            self._at = _neighbour([PRESET, *FIELDS], self._at, step)
        self._redraw()

    def action_step_value(self, direction: int) -> None:
        """Take one step less or more, or the next preset."""
        self._note = ""
        if self._listed is not None:
            return
        if self._at == PRESET:
            following = _neighbour(preset_order(self._presets), self._preset_name, direction)
            if following != self._preset_name:
                self._choose(following)
            return
        one, value = FIELDS[self._at], getattr(self._settings, self._at)
        if one.kind == "text":
            self._say("Enter edits this.")
        elif one.name == "seed" and value is None:
            self._say("A new seed is drawn for each reply: type one, or f fixes the last.")
        else:
            self._set(one, stepped(one, value, direction))

    def action_open_value(self) -> None:
        """Type the value, edit the text, or list the presets and take one of them."""
        self._note = ""
        if self._listed is not None:
            chosen, self._listed = self._listed, None
            self._choose(chosen)
        elif self._at == PRESET:
            order = preset_order(self._presets)
            self._listed = self._preset_name if self._preset_name in order else next(iter(order), None)
        elif FIELDS[self._at].kind == "text":
            self._edit_text(FIELDS[self._at])
        else:
            self._typed = TypedLine.of(typed_value(getattr(self._settings, self._at)))
        self._redraw()

    def action_switch_off(self) -> None:
        """Switch the sampler under the cursor off, or on again."""
        if self._listed is not None or self._at == PRESET:
            return
        one, value = FIELDS[self._at], getattr(self._settings, self._at)
        if one.name == "seed":
            self.action_fix_seed()
        elif not one.can_be_off:
            self._say(f"{one.name} has no off; it belongs to {_main_field(one.name)}.")
        elif one.kind == "text" and not value and not self._switched_off.get(one.name):
            self._say("Enter edits this.")
        else:
            on = switched(one, self._settings, self._preset(), self._switched_off.get(one.name))
            if not one.is_off(value):
                self._switched_off[one.name] = value
            self._set(one, on)

    def action_reset_value(self) -> None:
        """Go back to the preset's value, or to all of them; in the list, delete the preset."""
        if self._listed is not None:
            self._delete(self._listed)
        elif self._at == PRESET:
            self._choose(self._preset_name)
        else:
            self._set(FIELDS[self._at], getattr(self._preset(), self._at))

    def action_save_preset(self) -> None:
        """Ask for the name of a preset to save the settings as."""
        self._listed, self._is_naming, self._note = None, True, ""
        self._typed = TypedLine.of(self._preset_name if is_own(self._preset_name) else "")
        self._redraw()

    def action_undo_change(self) -> None:
        """Bring back what the settings were before the last change."""
        if not self._past:
            self._say("There is nothing to undo.")
            return
        self._note = ""
        self._preset_name, self._settings = self._past.pop()
        if self._preset_name not in self._presets:  # it was deleted meanwhile
            self._preset_name = preset_name(self._settings) or "DefaultSampling"
        self._post_settings()

    def action_fix_seed(self) -> None:
        """Fix the seed of the last reply, or let a new one be drawn each time."""
        if self._settings.seed is not None:
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
            settings = self._settings.replace(**{one.name: value})
        except (TypeError, ValueError) as error:
            self._say(f"{error}.")
        else:
            self._change(self._preset_name, settings)

    def _choose(self, name: str) -> None:
        """Take the values of a preset; a fixed seed stays unless the preset has one."""
        settings = self._presets.get(name, DefaultSampling)
        if settings.seed is None:
            settings = settings.replace(seed=self._settings.seed)
        self._change(name, settings)

    def _change(self, name: str, settings: SamplerSettings) -> None:
        self._note = self._confirmed = ""
        if (name, settings) != (self._preset_name, self._settings):
            self._past = [*self._past, (self._preset_name, self._settings)][-_MAX_UNDO:]
            self._preset_name, self._settings = name, settings
            self._post_settings()
        self._redraw()

    def _post_settings(self) -> None:
        self._posted.append((time.monotonic(), self._preset_name, self._settings))
        self.post_message(self.SettingsChanged(self._preset_name, self._settings))
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
                settings = self._settings.replace(**{one.name: value})
                self._stop_editing()
                self._change(self._preset_name, settings)
        except (PresetError, TypeError, ValueError) as error:
            self._error = str(error)
            return False
        return True

    def _save_as(self, typed: str) -> None:
        name = checked_name(typed, filter(is_own, self._presets))
        if name in self._presets and name not in (self._preset_name, self._confirmed):
            self._confirmed = name
            raise PresetError(f"There is {name} already: Enter again replaces it, Esc leaves it.")
        self._stop_editing()
        self._past = [*self._past, (self._preset_name, self._settings)][-_MAX_UNDO:]
        self._presets[name], self._preset_name = self._settings, name
        self._posted.append((time.monotonic(), name, self._settings))
        self.post_message(self.PresetSaved(name, self._settings))

    def _delete(self, name: str) -> None:
        if not is_own(name):
            self._say(f"{name} is built in; only your own presets can be deleted.")
        elif self._confirmed != name:
            self._say(f"Press Delete again to delete {name}.")
            self._confirmed = name
        else:
            self._listed = _neighbour_without(preset_order(self._presets), name)
            del self._presets[name]
            self._confirmed = self._note = ""
            self.post_message(self.PresetDeleted(name))
            if name == self._preset_name:
                self._preset_name = preset_name(self._settings) or "DefaultSampling"
                self._post_settings()
            self._redraw()

    def _edit_text(self, one: SamplerField) -> None:
        self._text_field = one
        self._area.load_text(printable(text_of(one.name, getattr(self._settings, one.name))))
        self._area.display = True
        self._area.focus()

    def _set_text(self) -> None:
        one = self._text_field
        assert one is not None
        try:
            value = value_of_text(one.name, self._area.text)
            settings = self._settings.replace(**{one.name: value})
        except (TypeError, ValueError) as error:
            self._error = str(error)
            return
        self._stop_editing()
        self._change(self._preset_name, settings)

    def _stop_editing(self) -> None:
        """Leave what is typed; the panel has the keys again."""
        self._typed, self._is_naming, self._error, self._confirmed = None, False, "", ""
        if self._text_field is not None:
            self._text_field = None
            had_focus = self._area.has_focus
            self._area.display = False
            if had_focus:
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

    def on_resize(self) -> None:
        """Share the height out."""
        self._redraw()

    def _redraw(self) -> None:
        if not self.is_mounted:
            return
        view = self._view()
        self._guide.show_guide(view.guide())
        self._arrange(view)
        is_active = self.has_focus or self._area.has_focus
        self._rows.show_rows(view.head_row(), view.list_rows(), view.cursor, is_active=is_active)

    def _view(self) -> SamplerView:
        return SamplerView(
            self._settings,
            self._preset(),
            self._preset_name,
            self._presets,
            self._last_seed,
            self._at,
            self._listed,
            self._typed,
            self._is_naming,
            self._text_field,
            self._error,
            self._note,
        )

    def _arrange(self, view: SamplerView) -> None:
        """Share the height out among the list, the guide and the bars."""
        width, height = self.size
        # As high for all settings, so that the list stays where it is as the cursor moves.
        usual = max(view.guide_of(one).rows(width) for one in FIELDS.values()) if width else 3
        guide_rows = min(max(usual, view.guide().rows(width)), max(height - 5, 2), max(height * 2 // 5, 3))
        bars = min(MAX_BARS, height // 3 - HEAD_ROWS, height - guide_rows - 5 - HEAD_ROWS)
        self._bars.display = self._n_candidates > 0 and bars > 0 and self._text_field is None
        self._bars.styles.height = HEAD_ROWS + max(min(bars, self._n_candidates), 0)
        self._guide.styles.height = guide_rows
        self._rows.styles.height = "1fr" if self._text_field is None else min(1 + self._error_rows(), 5)

    @property
    def _n_candidates(self) -> int:
        return len(self._distribution.candidates) if self._distribution else 0

    def _error_rows(self) -> int:
        return len(plain_lines(self._error, Style(), max(self.size.width - 3, 1))) if self._error else 0

    def _preset(self) -> SamplerSettings:
        return self._presets.get(self._preset_name) or PRESETS.get(self._preset_name, DefaultSampling)


def _neighbour(names: list[str], name: str, step: int) -> str:
    if name not in names:
        return names[0] if names else name
    return names[min(max(names.index(name) + step, 0), len(names) - 1)]


def _neighbour_without(names: list[str], name: str) -> str | None:
    place = names.index(name)
    rest = [one for one in names if one != name]
    return rest[min(place, len(rest) - 1)] if rest else None


def _main_field(name: str) -> str:
    for prefix, main in (("xtc", "xtc_probability"), ("dry", "dry_multiplier"), ("mirostat", "mirostat")):
        if name.startswith(prefix):
            return main
    return "the preset"
