"""Settings as the command line composes them."""

from typing import TypeVar

from hydra import compose, initialize_config_dir

from tests.helpers.places import CONF
from wbc.settings.parse import parse_as
from wbc.settings.train import Config

Settings = TypeVar("Settings")


def composed(*overrides: str) -> Config:
    """Of `wbc train`."""
    return composed_for("train", Config, *overrides)


def composed_for(verb: str, kind: type[Settings], *overrides: str) -> Settings:
    with initialize_config_dir(str(CONF / verb), version_base="1.3"):
        return parse_as(kind, compose("config", overrides=list(overrides)))
