"""How well cells that are none of the classes are told, where their kind was shown and where it was not.

    python benchmarks/unknown_kinds.py <model.ckpt> <known> <unknown>

<known> holds class folders of cells that the model did not learn from, <unknown> a folder for each kind.
Half of each class and kind fits the outlier score, as data.unknown does, the other half measures it, --draws
times.  Of each kind: without any shown, with all shown, and with all but this kind.  Prints a Markdown table,
writes outputs/benchmarks/unknown_kinds/<run>.json.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor
from train_step import machine

from wbc.answers.checkpoint import load_model
from wbc.answers.rule import AnswerRule, fit_rule
from wbc.datasets.class_folders import image_files
from wbc.settings.abstain import AbstainConfig
from wbc.settings.paths import model_path
from wbc.settings.run_folder import versions
from wbc.utils.files import write_json
from wbc.utils.text_tables import markdown_table

OUTPUT = Path("outputs/benchmarks/unknown_kinds")
SHOWN = {"none": "no kind shown", "all": "all kinds shown", "others": "all but this kind shown"}


def halves(count: int, draw: int) -> tuple[Tensor, Tensor]:
    """Places of two halves."""
    order = torch.from_numpy(np.random.default_rng(draw).permutation(count))
    return order[: count // 2], order[count // 2 :]


def measured(rule: AnswerRule, known: tuple[Tensor, Tensor], kind: tuple[Tensor, Tensor]) -> dict[str, float]:
    """AUROC of the score, and the shares of known and unknown cells that are called no known cell."""
    scores = [rule.outlier_score.score(*one) for one in (known, kind)]
    is_unknown = np.repeat([0, 1], [len(one) for one in scores])
    refused = [float((one > rule.outlier_threshold).double().mean()) for one in scores]
    auroc = float(roc_auc_score(is_unknown, torch.cat(scores)))
    return {"auroc": auroc, "known_refused": refused[0], "refused": refused[1]}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint")
    parser.add_argument("known", type=Path)
    parser.add_argument("unknown", type=Path)
    parser.add_argument("--draws", type=int, default=5)
    given = parser.parse_args()
    predictor = load_model(model_path(given.checkpoint)).by("auto")
    rule = predictor.rule
    assert rule is not None
    settings = AbstainConfig(rule.asked_error, rule.set_coverage, rule.outlier_score.method, rule.acceptance)
    folders = [given.known / name for name in predictor.classes]
    kinds = sorted(one for one in given.unknown.iterdir() if one.is_dir())
    seen = []
    for folder in [*folders, *kinds]:
        paths = sorted(image_files(folder))
        outputs, _, _ = predictor.answer_files(paths, 32, None, folder.name)
        seen.append((outputs.features, outputs.logits))
    found: dict[str, dict[str, list[dict[str, float]]]] = {
        kind.name: {shown: [] for shown in SHOWN} for kind in kinds
    }
    for draw in range(given.draws):
        split = [halves(len(features), draw) for features, _ in seen]
        fitted, held = (
            [
                (features[half[side]], logits[half[side]])
                for (features, logits), half in zip(seen, split, strict=True)
            ]
            for side in (0, 1)
        )
        count = len(folders)
        known, test = (tuple(map(torch.cat, zip(*one[:count], strict=True))) for one in (fitted, held))
        labels = torch.repeat_interleave(
            torch.arange(count), torch.tensor([len(one) for one, _ in fitted[:count]])
        )
        for place, kind in enumerate(kinds):
            others = [one for number, (one, _) in enumerate(fitted[count:]) if number != place]
            every = [one for one, _ in fitted[count:]]
            for shown, unknown in (("none", None), ("all", every), ("others", others)):
                told = None if unknown is None else torch.cat(unknown)
                one = fit_rule(*known, labels, settings, unknown=told)
                found[kind.name][shown].append(measured(one, test, held[count + place]))
    means: dict[str, Any] = {
        kind: {
            shown: {name: float(np.mean([draw[name] for draw in draws])) for name in draws[0]}
            for shown, draws in by_shown.items()
        }
        for kind, by_shown in found.items()
    }
    print(
        markdown_table(
            ["AUROC, share refused", *SHOWN.values()],
            [
                [kind, *(f"{one['auroc']:.3f}, {100 * one['refused']:.0f} %" for one in by_shown.values())]
                for kind, by_shown in means.items()
            ],
        )
    )
    of_known = np.mean([one["known_refused"] for by_shown in means.values() for one in by_shown.values()])
    print(f"\n{100 * of_known:.1f} % of known cells are refused, {100 * (1 - rule.acceptance):g} % may be")
    name = Path(given.checkpoint).parent.name or given.checkpoint
    write_json(OUTPUT / f"{name}.json", {"machine": machine(), "versions": versions(), "kinds": means})


if __name__ == "__main__":
    main()
