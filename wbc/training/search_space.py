"""What a sweep may try of each setting: Hydra's words for it, as distributions of Optuna."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override, QuotedString, RangeSweep
from hydra.errors import HydraException
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from wbc.errors import ConfigError
from wbc.settings.complaints import unknown_key
from wbc.settings.keys import is_known
from wbc.settings.sweeps import FORMS
from wbc.settings.train import Config

Space = dict[str, BaseDistribution]


def search_space(params: Mapping[str, Any], typed: Sequence[str]) -> tuple[Space, list[Override]]:
    """Key -> its distribution, and the overrides that are the same in every trial.

    params: key -> how it is searched, as YAML has it.  typed: key=value; goes before `params`.
    Raises ConfigError, with the mend, for what does not parse, is no setting, or leaves nothing to choose.
    """
    parser = OverridesParser.create()
    fixed: dict[str, Override] = {}
    space: Space = {}
    for key, word in [
        *((key, f"{key}={value}") for key, value in params.items()),
        *((None, w) for w in typed),
    ]:
        try:
            override = parser.parse_override(word)
        except HydraException as error:
            raise ConfigError(
                f"hydra.sweeper.params: {word} does not parse: expected {key}: {FORMS}"
                if key is not None
                else f"{word} does not parse: expected {FORMS}, the whole in quotes"
            ) from error
        name = override.key_or_group
        if key is not None and not is_known(Config, name):
            raise ConfigError(f"hydra.sweeper.params: {unknown_key(Config, name)}")
        for known in (fixed, space):
            known.pop(name, None)
        if override.is_sweep_override():
            space[name] = _distribution(name, override)
        else:
            fixed[name] = override
    if not space:
        raise ConfigError(
            "hydra/sweeper=optuna has nothing to search: give a setting several values, as "
            "'phase.finetune.lr=tag(log, interval(1e-5, 1e-3))', or hydra.sweeper.params in a preset"
        )
    return space, list(fixed.values())


def _distribution(key: str, override: Override) -> BaseDistribution:
    value: Any = override.value()
    try:
        if isinstance(value, ChoiceSweep):
            return CategoricalDistribution([plain(one) for one in value.list])
        if isinstance(value, RangeSweep):
            return _range(value, "log" in value.tags)
        if isinstance(value, IntervalSweep):
            log = "log" in value.tags
            if isinstance(value.start, int) and isinstance(value.end, int):
                return IntDistribution(value.start, value.end, log=log)
            low, high = float(value.start or 0), float(value.end or 0)
            return FloatDistribution(low, high, log=log)
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{override.input_line}: {error}; expected {FORMS}") from error
    raise ConfigError(f"{override.input_line}: a sweep of {key} by Optuna is one of {FORMS}")


def _range(value: RangeSweep, log: bool) -> BaseDistribution:
    """Hydra's range ends before `stop`."""
    assert value.start is not None
    assert value.stop is not None
    start, stop, step = value.start, value.stop, value.step
    if all(isinstance(one, int) for one in (start, stop, step)):
        last = int(start) + (int(stop) - 1 - int(start)) // int(step) * int(step)
        return IntDistribution(int(start), last, log=log, step=1 if log else int(step))
    return FloatDistribution(float(start), float(stop) - float(step), step=float(step))


def plain(value: Any) -> Any:
    """A value of Hydra's grammar as YAML would have it."""
    if isinstance(value, QuotedString):
        return value.text
    if isinstance(value, list):
        return [plain(one) for one in value]
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    return value
