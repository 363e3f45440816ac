"""What is typed of a sweep, its launcher, its sweeper and its search space, looked at before a job starts.

Of a launcher that is not installed Hydra names the others, of a misspelt key it says how to append it, and
without SLURM submitit ends with a traceback.
"""

from __future__ import annotations

import difflib
import importlib.util
import re
import shutil
from collections.abc import Sequence

from hydra import compose, initialize_config_dir
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, ValidationError

from wbc.errors import ConfigError
from wbc.settings.conf_folder import conf_folder

# How a sweep says what is tried of a setting; Optuna takes these.
FORMS = "choice(a, b), range(1, 5), interval(0.1, 0.5) or tag(log, interval(1e-5, 1e-3))"
_SEARCHED = re.compile(r"[^=]+=\s*(choice|range|interval|tag|glob|sort|shuffle)\(")

# Launcher -> the module of Hydra's plugin; the extra `cluster` brings all of them.
_PLUGINS = {
    "joblib": "hydra_joblib_launcher",
    "submitit_local": "hydra_submitit_launcher",
    "submitit_slurm": "hydra_submitit_launcher",
}
_BY_SLURM = "submitit_slurm"
_OF_HYDRA = {"hydra/launcher": ("basic", *_PLUGINS), "hydra/sweeper": ("basic",)}


def check_sweep(overrides: Sequence[Override], verb: str, own_presets: bool) -> None:
    """Raise ConfigError for a launcher that cannot start jobs here, and for a misspelt name or key.

    What is like nothing that is known is left to Hydra, for which others write plugins.  own_presets: a user
    has a folder of them, whose names may be like ours.
    """
    for group, of_hydra in _OF_HYDRA.items():
        known = (*of_hydra, *sorted(path.stem for path in (conf_folder(verb) / group).glob("*.yaml")))
        chosen = [str(one.value()) for one in overrides if one.key_or_group == group]
        for name in chosen:
            like = difflib.get_close_matches(name, known, 1, 0.6)
            is_other = own_presets or any(one in name for one in known)  # a name that was made of one
            if like and not is_other:
                raise ConfigError(
                    f"{group}={name} is none of {', '.join(known)}; is {group}={like[0]} meant?"
                )
            if group == "hydra/launcher":
                check_launcher(name)
    _check_settings(overrides, verb)


def _check_settings(overrides: Sequence[Override], verb: str) -> None:
    """Of Hydra, of the launcher and of the sweeper: their keys, and what these take."""
    taken = [one for one in overrides if not one.is_sweep_override()]
    settings = [one for one in taken if one.key_or_group.startswith("hydra.")]
    others = [str(one.input_line) for one in taken if one not in settings]  # a preset may choose a sweeper
    if not settings or _composed(verb, [*others, *(str(one.input_line) for one in settings)])[0]:
        return
    usual, _ = _composed(verb, others)
    if usual is None:
        return  # a plugin that is not here, say, or a user's own presets; Hydra tells
    for override in settings:
        composed, error = _composed(verb, [*others, str(override.input_line)])
        if composed is None:
            _complain(usual, override, error)


def _composed(verb: str, words: list[str]) -> tuple[DictConfig | None, BaseException | None]:
    """Hydra's whole configuration; or None, and why Hydra refuses the words."""
    try:
        with initialize_config_dir(str(conf_folder(verb)), version_base="1.3"):
            return compose("config", overrides=words, return_hydra_config=True), None
    except HydraException as error:
        return None, error.__cause__
    except AttributeError as error:  # OmegaConf's, for a mapping where there was none
        return None, error


def _complain(usual: DictConfig, override: Override, cause: BaseException | None) -> None:
    """Raise ConfigError for a key that is not there, and for a value that it does not take.

    usual: the settings without it.  cause: of Hydra's refusal; others than these Hydra tells.
    """
    key = override.key_or_group
    above, _, name = key.rpartition(".")
    section = OmegaConf.select(usual, above, throw_on_missing=False)
    if not isinstance(section, DictConfig):
        return
    keys = [str(one) for one in section]
    if name not in keys:
        like = difflib.get_close_matches(name, keys, 1, 0.6)
        there = ", ".join(one for one in keys if not one.startswith("_"))
        mend = f"the nearest that exists is {above}.{like[0]}" if like else f"there are {there}"
        raise ConfigError(f"{key} is not a setting; {mend}") from cause
    if isinstance(cause, ValidationError):
        plain = OmegaConf.to_container(section, resolve=False)
        value = plain.get(name) if isinstance(plain, dict) else None
        is_told = isinstance(value, bool | int | float)  # nothing that is long, missing or made of others
        mend = f"leave it out, and it is {value}" if is_told else "leave it out"
        raise ConfigError(f"{override.input_line}: {str(cause).splitlines()[0]}; {mend}") from cause


def complaint_of_search(word: str) -> str:
    """What is said of a typed `key=interval(...)` or the like that does not parse; "" for another word."""
    if not _SEARCHED.match(word):
        return ""
    return (
        f"{word} does not parse: expected {FORMS}, the last two by hydra/sweeper=optuna, the whole in quotes"
    )


def check_launcher(name: str) -> None:
    """Raise ConfigError where hydra/launcher=`name` cannot start jobs here.

    Others than those of the extra `cluster` are left to Hydra.
    """
    plugin = _PLUGINS.get(name)
    if plugin is None:
        return
    if importlib.util.find_spec(f"hydra_plugins.{plugin}") is None:
        raise ConfigError(
            f'hydra/launcher={name} is not installed: pip install "wbc[cluster]", or leave it out, and the '
            "jobs run one after another"
        )
    if name == _BY_SLURM and shutil.which("srun") is None:
        raise ConfigError(
            f"hydra/launcher={name} asks SLURM for machines, and there is no srun here: give the command on "
            "a machine of the cluster, or start the jobs on this one: hydra/launcher=submitit_local"
        )
