"""Settings of a verb from the words that are typed behind it, in a program instead of a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from wbc.errors import ConfigError
from wbc.settings.conf_folder import conf_folder
from wbc.settings.parse import MISSING
from wbc.settings.text_values import kept_as_text
from wbc.settings.typed_words import check_words


def composed(verb: str, kind: type, words: Sequence[str]) -> tuple[DictConfig, Path]:
    """What `wbc <verb> <words>` would run with, and the folder that it would write to.

    kind: the settings' class.  Raises ConfigError, with the mend, as the command says it.
    """
    flags = [word for word in words if word.startswith("-")]
    if flags:
        raise ConfigError(
            f"{flags[0]}: settings are given as key=value; sweeps and flags are for `wbc {verb}`"
        )
    check_words(list(words), verb, kind)
    try:
        with initialize_config_dir(str(conf_folder(verb)), version_base="1.3"):
            whole = compose("config", overrides=kept_as_text(list(words), kind), return_hydra_config=True)
    except HydraException as error:
        raise ConfigError(f"the settings do not compose: {error}") from error
    run = OmegaConf.select(whole, "hydra.run.dir", throw_on_missing=False, default=MISSING)
    with read_write(whole), open_dict(whole):
        del whole["hydra"]
    return whole, Path(str(run)).absolute()
