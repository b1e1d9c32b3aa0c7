"""The settings of a chat's sampler while a person changes them: presets, undo, and what is on its way.

Knows no widget; the clock is given.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

from easy_llama.samplers import PRESETS, DefaultSampling, SamplerSettings, preset_name
from easy_llama_tui.samplers.sampler_editing import switched
from easy_llama_tui.samplers.sampler_fields import SamplerField

ECHO_SECONDS = 1.0
"""How long changes may take to come back as the settings of the chat."""

_MAX_UNDO = 100


class SamplerChanges:
    """What the settings are now, and were before.

    Settings that come back for the person's own changes are told from others, so that keys pressed quickly
    are not undone by the answer to the first.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.settings = DefaultSampling
        self.preset_name = "DefaultSampling"
        self.presets: dict[str, SamplerSettings] = dict(PRESETS)
        """All that can be chosen, by name: the built-in ones and the person's own."""
        self._clock = clock
        self._past: list[tuple[str, SamplerSettings]] = []
        self._sent: list[tuple[float, str, SamplerSettings]] = []
        self._switched_off: dict[str, Any] = {}

    @property
    def preset(self) -> SamplerSettings:
        """The preset that the settings began as."""
        return self.presets.get(self.preset_name) or PRESETS.get(self.preset_name, DefaultSampling)

    def take(self, settings: SamplerSettings, name: str, presets: Mapping[str, SamplerSettings]) -> bool:
        """Take the settings that the chat has; return whether they are others than the person made."""
        self.presets = dict(presets)
        if self._is_own_echo(name, settings):
            return False
        is_other = (name, settings) != (self.preset_name, self.settings)
        if is_other:
            self._past.clear()
            self._switched_off.clear()
        self.preset_name, self.settings = name, settings
        return is_other

    def _is_own_echo(self, name: str, settings: SamplerSettings) -> bool:
        """Return whether these are settings that were sent, and changed further since."""
        now = self._clock()
        self._sent = [one for one in self._sent if now - one[0] < ECHO_SECONDS]
        for place, (_, sent_name, sent) in enumerate(self._sent):
            if (sent_name, sent) == (name, settings):
                del self._sent[: place + 1]
                return True
        return False

    def change(self, name: str, settings: SamplerSettings) -> bool:
        """Change the settings; return whether they were others."""
        if (name, settings) == (self.preset_name, self.settings):
            return False
        self._remember()
        self.preset_name, self.settings = name, settings
        return True

    def choose(self, name: str) -> bool:
        """Take the values of a preset; a fixed seed stays unless the preset has one."""
        settings = self.presets.get(name, DefaultSampling)
        if settings.seed is None:
            settings = settings.replace(seed=self.settings.seed)
        return self.change(name, settings)

    def undo(self) -> bool:
        """Bring back what the settings were before the last change; return whether there was one."""
        if not self._past:
            return False
        self.preset_name, self.settings = self._past.pop()
        if self.preset_name not in self.presets:  # it was deleted meanwhile
            self._name_anew()
        return True

    def save_as(self, name: str) -> None:
        """Make the settings a preset of the person's own, which they are of now."""
        self._remember()
        self.presets[name], self.preset_name = self.settings, name
        self.note_sent()

    def delete_preset(self, name: str) -> bool:
        """Forget a preset of the person's own; return whether the settings were of it."""
        del self.presets[name]
        if name != self.preset_name:
            return False
        self._name_anew()
        return True

    def switched(self, one: SamplerField) -> object:
        """Return what a setting is when its sampler is switched off, or on again as it was."""
        value = getattr(self.settings, one.name)
        other = switched(one, self.settings, self.preset, self._switched_off.get(one.name))
        if not one.is_off(value):
            self._switched_off[one.name] = value
        return other

    def was_switched_off(self, one: SamplerField) -> bool:
        """Return whether a sampler has a value to be switched on with."""
        return bool(self._switched_off.get(one.name))

    def note_sent(self) -> None:
        """Note that the settings are on their way to the chat, and will come back."""
        self._sent.append((self._clock(), self.preset_name, self.settings))

    def _remember(self) -> None:
        self._past = [*self._past, (self.preset_name, self.settings)][-_MAX_UNDO:]

    def _name_anew(self) -> None:
        self.preset_name = preset_name(self.settings) or "DefaultSampling"
