"""The job of a verb, run in this process by the settings that its command line composes."""

from importlib import import_module
from pathlib import Path

from hydra import compose, initialize_config_dir

from tests.helpers.places import CONF
from wbc.settings.adapt import AdaptConfig
from wbc.settings.evaluate import EvaluateConfig
from wbc.settings.explain import ExplainConfig
from wbc.settings.export import ExportConfig
from wbc.settings.parse import parse_as
from wbc.settings.predict import PredictConfig

_VERBS = {
    "evaluate": ("wbc.evaluating.job", EvaluateConfig),
    "explain": ("wbc.explaining.job", ExplainConfig),
    "predict": ("wbc.predicting.job", PredictConfig),
    "adapt": ("wbc.adapting.job", AdaptConfig),
    "export": ("wbc.exporting.job", ExportConfig),
}


def run_verb(verb: str, run: Path, *overrides: str, folder: Path | None = None) -> int:
    """What the verb makes of `<run>/model.ckpt`; results lie in `folder`, or where `output=` says."""
    module, kind = _VERBS[verb]
    with initialize_config_dir(str(CONF / verb), version_base="1.3"):
        config = parse_as(kind, compose("config", [f"checkpoint={run / 'model.ckpt'}", *overrides]))
    return getattr(import_module(module), verb)(config, Path(folder or config.output))
