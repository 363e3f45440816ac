"""The model that travels with wbc, made of a run of its own.

    python train.py experiment=other_labs data.root=<pbc> "data.split_folders={train: train, val: test}"
        model.weights=package report=false hydra.run.dir=<run>
    python benchmarks/pretrained_model.py <run> wbc/pretrained/model.ckpt --unknown <pbc_other>

Kernels are rounded to float16, which halves the file; batch-norms, head and second opinion are not.  The rule
of answers and what tells labs apart are fitted anew by the rounded network on the run's validation images.
What it refuses is learnt of the cells in <pbc_other>, a folder a kind; a fifth of them tells how it went.
Nothing of the machine that it was trained on stays in it.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from wbc.answers.checkpoint import load_model, load_provenance, save_model
from wbc.answers.rule import fit_rule
from wbc.datasets.manifest import read_manifest, used_rows
from wbc.datasets.unknown_cells import unknown_cells
from wbc.network.pretrained import read_tensors, write_tensors
from wbc.plain.lab_check import fit_lab_check
from wbc.plain.picture_check import fit_picture_check
from wbc.settings.abstain import AbstainConfig
from wbc.settings.layout import MANIFEST
from wbc.settings.run_folder import saved_config
from wbc.settings.train import Config
from wbc.training.learnt_unknowns import measured_unknowns, unknown_outputs

NAMED = {"data": {"name": "PBC", "root": "PBC (Acevedo 2020)"}}


def rounded(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Convolution kernels, which are nearly all of it, in float16."""
    return {key: value.half() if value.ndim == 4 else value for key, value in state.items()}


def without_places(value: Any) -> Any:
    """Plain values, of which every absolute path is gone."""
    if isinstance(value, dict):
        return {key: without_places(one) for key, one in value.items()}
    if isinstance(value, list):
        return [without_places(one) for one in value]
    return Path(value).name if isinstance(value, str) and value.startswith("/") else value


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("to", type=Path)
    parser.add_argument("--unknown", required=True, help="cells of the same lab that are none of the classes")
    given = parser.parse_args()
    source = given.run / "model.ckpt"
    content = read_tensors(source)
    content["state_dict"] = rounded(content["state_dict"])
    with tempfile.TemporaryDirectory() as scratch:
        half = Path(scratch) / "model.ckpt"
        write_tensors(content, half)
        predictor = load_model(half)
    manifest = read_manifest(given.run / MANIFEST)
    rows = used_rows(manifest)
    known = rows[rows["split"] == "val"]
    outputs, _, marks = predictor.by("auto").answer_files(known["path"].tolist(), 32, None, "validation")
    labels = torch.tensor([predictor.classes.index(label) for label in known["label"]])
    rule = predictor.rule
    assert rule is not None
    asked = AbstainConfig(rule.asked_error, rule.set_coverage, rule.outlier_score.method, rule.acceptance)
    predictor.rule = None  # no answers are asked for yet
    data = replace(saved_config(given.run, Config).data, unknown=given.unknown)
    unknown = unknown_cells(data, manifest)
    assert unknown is not None
    others = unknown_outputs(predictor, unknown, 32)
    predictor.rule = fit_rule(outputs.features, outputs.logits, labels, asked, unknown=others.learnt)
    predictor.pictures = fit_picture_check(marks, predictor.prepare)
    predictor.known = None  # names of pictures that are not ours to hand on
    predictor.lab = fit_lab_check(outputs.features.numpy(), outputs.logits.argmax(dim=1).numpy())
    provenance = without_places(load_provenance(source))
    provenance["config"]["data"] |= NAMED["data"]
    provenance["unknown"] = measured_unknowns(predictor, others)
    save_model(predictor, given.to, provenance)
    content = read_tensors(given.to)
    content["state_dict"] = rounded(content["state_dict"])
    write_tensors(content, given.to)
    print(f"{given.to}: {given.to.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
