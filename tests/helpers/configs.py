"""Settings of train.py as the command line composes them."""

from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

import train  # noqa: F401  # registers the resolver that conf/config.yaml uses
from tests.helpers.places import CONF
from wbc.settings.train import Config, parse


def composed(*overrides: str) -> Config:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose("config", overrides=list(overrides), return_hydra_config=True)
        HydraConfig.instance().set_config(cfg)
        OmegaConf.set_struct(cfg, False)
        del cfg["hydra"]
        return parse(cfg)
