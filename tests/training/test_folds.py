"""data.folds: a cross-validation of the whole recipe, on whose answers the final model's rule is fitted."""

import json
import os

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import accuracy_score, f1_score, recall_score

from tests.helpers.configs import composed
from tests.helpers.small_runs import SMALL
from tests.helpers.trees import write_splits
from wbc.answers.abstention import best_promise
from wbc.answers.checkpoint import load_model
from wbc.answers.temperature import fit_temperature
from wbc.datasets.manifest import COLUMNS, DRAWN, read_manifest, used_rows
from wbc.errors import ConfigError, DataError
from wbc.report.learnt_from import fitted_on
from wbc.settings.run_folder import saved_config, start
from wbc.settings.train import Config
from wbc.training.classifier import Classifier
from wbc.training.folds import cross_validated
from wbc.training.job import train

RUN = [
    *(one for one in SMALL if not one.startswith(("data=", "data.images"))),
    *("data=folder", "phase=head", "+trainer.enable_progress_bar=false"),
]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A run of two folds that was killed in the second, and one without folds."""
    root = tmp_path_factory.mktemp("folds")
    write_splits(root / "cells", train=6, test=2)
    given = [f"data.root={root}/cells", f"data.checks_dir={root}"]
    train(composed(*RUN, *given), root / "plain")
    config = composed(*RUN, *given, "data.folds=2")
    start(config, root / "run")
    step, seen = Classifier.training_step, []

    def killed(self, batch, batch_idx):
        seen.append(self)
        if len(set(map(id, seen))) == 2 and batch_idx == 1:
            raise RuntimeError("killed")
        return step(self, batch, batch_idx)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Classifier, "training_step", killed)
        with pytest.raises(RuntimeError, match="killed"):
            train(config, root / "run")
    first = root / "run" / "folds" / "0" / "model.ckpt"
    os.utime(first, (1, 1))
    train(saved_config(root / "run", Config), root / "run")
    assert first.stat().st_mtime == 1  # fold 0 was finished before
    return root


def test_each_image_is_held_out_once_and_nothing_of_it_trains_or_chooses(place):
    whole = used_rows(read_manifest(place / "run" / "manifest.csv"))
    assert (whole["split"] == "test").sum() == 10
    trained = set(whole["path"][whole["split"].isin(["train", "val"])])
    held_out = []
    for fold in range(2):
        rows = read_manifest(place / "run" / "folds" / str(fold) / "manifest.csv")
        assert set(rows["path"]) == trained  # and no test image
        assert rows["path"].is_unique
        counts = rows["split"].value_counts()
        assert counts.to_dict() == {"test": 15, "train": 10, "val": 5}
        held_out += rows["path"][rows["split"] == "test"].tolist()
    assert sorted(held_out) == sorted(trained)
    table = pd.read_csv(place / "run" / "out_of_fold.csv")
    assert table["path"].tolist() == held_out


def test_the_table_is_that_of_the_held_out_answers(place):
    record = json.loads((place / "run" / "metrics.json").read_text())["cross_validation"]
    table = pd.read_csv(place / "run" / "out_of_fold.csv")
    names = list(record["together"]["recall"])

    def check(figures, rows):
        assert figures["accuracy"] == pytest.approx(
            accuracy_score(rows["label"], rows["prediction"]), abs=1e-6
        )
        f1 = f1_score(rows["label"], rows["prediction"], average="macro", labels=sorted(set(rows["label"])))
        assert figures["macro_f1"] == pytest.approx(f1, abs=1e-6)
        recalls = recall_score(rows["label"], rows["prediction"], average=None, labels=names, zero_division=0)
        assert list(figures["recall"].values()) == pytest.approx(list(recalls), abs=1e-6)

    for one in record["each"]:
        check(one, table[table["fold"] == one["fold"]])
    check(record["together"], table)
    values = [one["accuracy"] for one in record["each"]]
    assert record["mean"]["accuracy"] == pytest.approx(np.mean(values), abs=1e-6)
    assert record["spread"]["accuracy"] == pytest.approx(np.std(values, ddof=1), abs=1e-6)
    text = (place / "run" / "results.md").read_text()
    assert "| mean ± spread |" in text
    assert "| fold 1        |" in text
    assert "Cross-validation" not in (place / "plain" / "results.md").read_text()


def test_the_rule_is_fitted_on_the_held_out_answers_and_the_network_is_that_of_a_run_without_folds(place):
    final, plain = (load_model(place / name / "model.ckpt") for name in ("run", "plain"))
    for key, value in plain.network.state_dict().items():
        assert torch.equal(final.network.state_dict()[key], value), key
    table = pd.read_csv(place / "run" / "out_of_fold.csv")
    names = final.classes
    logits = torch.tensor(table[[f"logit of {name}" for name in names]].to_numpy())
    labels = torch.tensor([names.index(label) for label in table["label"]])
    rule = final.rule
    assert (rule.images, rule.folds) == (len(table), 2)
    assert (rule.images, plain.rule.images) == (30, 5)
    assert rule.temperature == pytest.approx(fit_temperature(logits, labels), rel=1e-3)
    probabilities = (logits / rule.temperature).softmax(dim=1)
    np.testing.assert_allclose(table[names], probabilities, atol=1e-4)
    confidences, best = probabilities.max(dim=1)
    promise = best_promise(confidences.numpy(), (best == labels).numpy(), 0.01)
    assert rule.max_error == promise.max_error
    said = f"{rule.images} training and validation images of its own run (2 folds)"
    assert fitted_on(rule, {}) == said
    val = plain.rule.outlier_score.tensors
    assert all(torch.equal(val[key], one) for key, one in rule.outlier_score.tensors.items())


def test_one_fold_is_refused():
    with pytest.raises(ConfigError, match=r"data\.folds=1: expected 0 \(none\), or 2 or more"):
        composed(*RUN, "data.root=x", "data.folds=1")


def test_labels_that_look_wrong_are_listed_with_a_page(place):
    table = pd.read_csv(place / "run" / "out_of_fold.csv")
    doubtful = pd.read_csv(place / "run" / "doubtful_labels.csv")
    wrong = table[table["label"] != table["prediction"]]
    assert sorted(doubtful["path"]) == sorted(wrong["path"])
    assert doubtful["label_probability"].is_monotonic_increasing
    assert (place / "run" / "doubtful_labels.html").read_text().count("<article") == len(wrong)
    assert not (place / "plain" / "doubtful_labels.csv").exists()


def test_drawn_cells_train_in_every_fold_and_each_lab_gives_its_share(tmp_path):
    """No model may be measured on drawn cells, nor a lab be missing where it is to be learnt."""
    config = composed(*RUN, "data.root=x", f"data.checks_dir={tmp_path}", "data.folds=3")
    rows = [(f"{lab}{number}.png", "Monocyte", lab) for lab in ("a", "b") for number in range(12)]
    rows += [(f"drawn{number}.png", "Monocyte", DRAWN) for number in range(4)]
    manifest = pd.DataFrame(rows, columns=["path", "label", "source"]).reindex(columns=COLUMNS, fill_value="")
    manifest["split"] = (["val"] * 3 + ["train"] * 9) * 2 + ["train"] * 4
    manifest.loc[len(manifest)] = ["t.png", "Monocyte", "test", "", "a", "", ""]
    pixels = pd.DataFrame({"path": manifest["path"], "pixels": manifest["path"]})
    pixels.to_csv(tmp_path / "pixels.csv", index=False)
    asked = []

    def stop(of_fold, place):
        asked.append(of_fold)
        raise RuntimeError(place.name)

    with pytest.raises(RuntimeError, match="0"):
        cross_validated(config, tmp_path, manifest, stop)
    assert (asked[0].data.folds, asked[0].report) == (0, False)
    for fold in range(3):
        frame = read_manifest(tmp_path / "folds" / str(fold) / "manifest.csv")
        counts = pd.crosstab(frame["source"], frame["split"]).to_dict("index")
        assert counts["a"] == counts["b"] == {"test": 4, "train": 6, "val": 2}
        assert counts[DRAWN] == {"test": 0, "train": 4, "val": 0}
        assert "t.png" not in set(frame["path"])


def test_folds_that_leave_too_little_to_train_on_are_named_with_what_goes_without(tmp_path):
    """It was said to give a validation set, which is dealt into folds too."""
    config = composed(*RUN, "data.root=x", f"data.checks_dir={tmp_path}", "data.folds=2")
    rows = [
        (f"{number}.png", "Monocyte", "a", split) for number, split in enumerate(("train", "train", "val"))
    ]
    names = ["path", "label", "source", "split"]
    manifest = pd.DataFrame(rows, columns=names).reindex(columns=COLUMNS, fill_value="")
    pd.DataFrame({"path": manifest["path"], "pixels": manifest["path"]}).to_csv(
        tmp_path / "pixels.csv", index=False
    )
    said = (
        r"^data\.folds=2: fold \d leaves too little to train on \([^;]*\); give more images, or data\.folds=0"
    )
    with pytest.raises(DataError, match=said):
        cross_validated(config, tmp_path, manifest, train)
