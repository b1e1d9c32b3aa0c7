"""What the sampler panel says, row by row, in each of its states. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from easy_llama.samplers import PRESETS, DefaultSampling, SamplerSettings
from easy_llama_tui.drafts.typed_line import TypedLine
from easy_llama_tui.preferences.key import Key
from easy_llama_tui.preferences.key_names import short
from easy_llama_tui.preferences.panel_keys import SAMPLER_KEYS
from easy_llama_tui.samplers.sampler_editing import resting_reason, same, shown_value
from easy_llama_tui.samplers.sampler_fields import FIELDS, GROUPS, SamplerField
from easy_llama_tui.widgets.sampler_guide import Guide, Hint
from easy_llama_tui.widgets.sampler_rows import ListRow

PRESET = "(preset)"
"""The target of the row of the preset."""

_ROW_HINTS = (
    ("sampler-edit", "type"),
    ("sampler-off", "off"),
    ("sampler-reset", "preset's"),
    ("sampler-undo", "undo"),
    ("sampler-save", "save"),
)
"""Actions, and what they do to the row under the cursor."""
_TEXT_ROW_HINTS = (("sampler-edit", "edit"), *_ROW_HINTS[1:])
_PRESET_HINTS = (
    ("sampler-edit", "list"),
    ("sampler-reset", "all back"),
    ("sampler-undo", "undo"),
    ("sampler-save", "save as"),
)
_LIST_HINTS = (("sampler-edit", "take"),)
_BACK_HINT = Hint("escape", "Esc", "back")
# What is typed is set and left by keys that are the same everywhere.
_TYPING_HINTS = (Hint("enter", "Enter", "set"), Hint("escape", "Esc", "leave it"))
_TEXT_HINTS = (Hint("ctrl+s", "^S F12", "set"), Hint("escape", "Esc", "leave it"))
_DEFAULT_KEYS: Mapping[str, Key] = {key.id: key for key in SAMPLER_KEYS}


def is_own(name: str) -> bool:
    """Return whether a preset is the person's own."""
    return name not in PRESETS


def preset_order(presets: Mapping[str, SamplerSettings]) -> list[str]:
    """Return the names of presets as they are listed: the person's own first."""
    own = sorted(filter(is_own, presets), key=str.casefold)
    return own + [name for name in presets if name in PRESETS]


def neighbour(names: Sequence[str], name: str, step: int) -> str:
    """Return the name that stands so many places further on, or the last one before the end."""
    if name not in names:
        return names[0] if names else name
    return names[min(max(names.index(name) + step, 0), len(names) - 1)]


def neighbour_without(names: Sequence[str], name: str) -> str | None:
    """Return the name that takes the place of one that goes; None where there is no other."""
    place = names.index(name)
    rest = [one for one in names if one != name]
    return rest[min(place, len(rest) - 1)] if rest else None


@dataclass(frozen=True, slots=True)
class SamplerView:
    """The state of the panel."""

    settings: SamplerSettings
    preset: SamplerSettings
    """What the settings are compared with."""

    preset_name: str
    presets: Mapping[str, SamplerSettings]
    last_seed: int | None = None
    at: str = PRESET
    """The setting under the cursor."""

    listed: str | None = None
    """The preset under the cursor, while they are listed."""

    typed: TypedLine | None = None
    """What is typed in place of the value under the cursor, or as a preset's name."""

    is_naming: bool = False
    text_field: SamplerField | None = None
    """The setting whose text is edited."""

    error: str = ""
    """What is wrong with what was typed."""

    note: str = ""
    """What to say in place of a setting's meaning."""

    keys: Mapping[str, Key] = field(default_factory=lambda: _DEFAULT_KEYS)
    """The keys in force."""

    @property
    def cursor(self) -> str:
        """The target of the row with the cursor."""
        if self.is_naming:
            return PRESET
        return self.at if self.listed is None else self.listed

    def head_row(self) -> ListRow:
        """Return the row that stays at the top."""
        if self.is_naming:
            return ListRow("save as", target=PRESET, typed=self.typed, error=self.error)
        if self.text_field is not None:
            return ListRow(self.text_field.name, "editing", PRESET, error=self.error)
        return ListRow(
            "preset",
            self.preset_name,
            PRESET,
            is_changed=any(map(self._differs, FIELDS.values())),
            has_steps=True,
        )

    def list_rows(self) -> list[ListRow]:
        """Return the settings, or the presets while they are listed."""
        if self.listed is not None:
            return self._preset_rows()
        rows: list[ListRow] = []
        for heading, members in GROUPS:
            if heading:
                rows.append(ListRow(heading))
            rows += [self._field_row(one) for one in members]
        return rows

    def _field_row(self, one: SamplerField) -> ListRow:
        is_typed = one.name == self.at and self.typed is not None and not self.is_naming
        value = getattr(self.settings, one.name)
        return ListRow(
            one.name,
            shown_value(one, value, self.last_seed),
            one.name,
            is_changed=self._differs(one),
            rests=bool(resting_reason(one.name, self.settings)),
            has_steps=one.kind != "text" and not (one.name == "seed" and value is None),
            typed=self.typed if is_typed else None,
            error=self.error if is_typed else "",
        )

    def _preset_rows(self) -> list[ListRow]:
        rows: list[ListRow] = []
        last = None
        for name in preset_order(self.presets):
            if (own := is_own(name)) != last:
                rows.append(ListRow("your own" if own else "built in"))
                last = own
            rows.append(ListRow(name, "in use" if name == self.preset_name else "", name))
        return rows

    def guide(self) -> Guide:
        """Return what to say now."""
        guide = self._mode_guide()
        return Guide(self.note, guide.detail, guide.hints) if self.note else guide

    def _mode_guide(self) -> Guide:
        if self.text_field is not None:
            return Guide(
                self.text_field.meaning, self.text_field.range_text, _TEXT_HINTS, hints_come_first=True
            )
        if self.is_naming:
            return Guide("The settings become a preset of your own.", "", _TYPING_HINTS, True)
        if self.listed is not None:
            return Guide(
                self._summary(self.listed), "", (*self._hints(_LIST_HINTS), *self._delete_hint(), _BACK_HINT)
            )
        if self.at == PRESET:
            hints = self._hints(_PRESET_HINTS)
            return Guide("The preset that the settings began as; * marks what differs.", "", hints)
        one = FIELDS[self.at]
        guide = self.guide_of(one)
        if self.typed is not None:
            return Guide(guide.text, guide.detail, _TYPING_HINTS, hints_come_first=True)
        return guide

    def guide_of(self, one: SamplerField) -> Guide:
        """Return what to say of a setting under the cursor."""
        reason = resting_reason(one.name, self.settings)
        detail = f"No effect now: {reason}." if reason else one.range_text
        hints = self._hints(_TEXT_ROW_HINTS if one.kind == "text" else _ROW_HINTS)
        return Guide(one.meaning, detail, hints)

    def _delete_hint(self) -> tuple[Hint, ...]:
        key = self.keys["sampler-reset"]
        return (Hint(key.names[-1], short(key.names[-1]), "delete"),) if key.names else ()

    def _hints(self, actions: Sequence[tuple[str, str]]) -> tuple[Hint, ...]:
        """Return the keys of actions; one that was taken its keys away has no hint."""
        keys = [(self.keys[id_], words) for id_, words in actions]
        return tuple(Hint(key.names[0], key.hint, words) for key, words in keys if key.names)

    def _summary(self, name: str) -> str:
        """Return how a preset differs from the default."""
        values = self.presets.get(name, DefaultSampling)
        parts = [
            f"{one.name} {shown_value(one, getattr(values, one.name))}"
            for one in FIELDS.values()
            if not same(one, getattr(values, one.name), getattr(DefaultSampling, one.name))
        ]
        return ", ".join(parts) or "llama.cpp's defaults"

    def _differs(self, one: SamplerField) -> bool:
        return not same(one, getattr(self.settings, one.name), getattr(self.preset, one.name))
