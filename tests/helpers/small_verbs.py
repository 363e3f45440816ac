"""Each verb as a command of seconds on a small run, the command that goes on with it, and what it leaves."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from tests.helpers.small_runs import SMALL

VERBS = ("train", "evaluate", "explain", "predict", "adapt")
_TIMES = ("seconds", "cache_seconds", "seconds_an_image")


def command(verb: str, place: Path, folder: Path) -> list[str]:
    """place: what the fixture of that name made.  folder: where results go."""
    model, checks = f"checkpoint={place / 'run' / 'model.ckpt'}", f"checks_dir={place / 'checks'}"
    words = {
        "train": [*SMALL, "phase.finetune.lr=1e-3", f"data.root={place / 'cells'}", f"data.{checks}"],
        "evaluate": [model, "data=[test]", "workers=0", checks],
        "explain": [model, "images=test", "methods=[gradcam]", "batch_size=2"],
        "predict": [model, f"images={place / 'cells'}", "batch_size=2"],
        "adapt": [model, "data=test", "views=4", checks],
    }[verb]
    return [f"{verb}.py", *words, f"{'output' if verb == 'predict' else 'hydra.run.dir'}={folder}"]


def again(verb: str, place: Path, folder: Path) -> list[str]:
    """What goes on with the run in `folder`, however far it came."""
    if verb in ("train", "explain") and (folder / "config.yaml").exists():
        return [f"{verb}.py", f"resume_from={folder}"]
    return command(verb, place, folder)


def told(said: str, verb: str, place: Path, folder: Path) -> list[str]:
    """The command that a message names to go on."""
    found = re.search(r"continue with: python (.*)", said)
    if found:
        return shlex.split(found[1])
    assert "the same command" in said, said
    return command(verb, place, folder)


def left(folder: Path) -> dict[str, Any]:
    """File -> what is in it, without times and the folder's own name; of pictures and logs the name alone."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    names = {str(path.relative_to(folder)): path for path in files if ".tfevents." not in path.name}
    return {name: _content(path, folder) for name, path in sorted(names.items())}


def _content(path: Path, folder: Path) -> Any:
    if path.suffix == ".csv":
        table = pd.read_csv(path, dtype=str)
        return table.drop(columns=[name for name in _TIMES if name in table]).to_csv()
    if path.suffix == ".json" and path.name != "versions.json":
        return _without_times(json.loads(path.read_text().replace(str(folder), "folder")))
    if path.suffix == ".ckpt":
        held = torch.load(path, weights_only=True)
        return {key: _plain(held.get(key)) for key in ("state_dict", "optimizer_states", "answers", "epoch")}
    return path.suffix in (".yaml", ".md") and path.read_text().replace(str(folder), "folder")


def _without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_times(one) for key, one in value.items() if key not in _TIMES}
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return hash(value.cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else repr(value)
