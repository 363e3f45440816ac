import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hydra.utils import instantiate
from sklearn.metrics import f1_score, recall_score

import wbc
from tests.helpers.configs import composed
from tests.helpers.small_runs import TWO_EPOCHS, settings
from wbc.answers.temperature import fit_temperature
from wbc.errors import CheckpointError, ConfigError
from wbc.images.decode import decode
from wbc.loading.augment import Augment
from wbc.settings.run_folder import saved_config, start
from wbc.settings.train import Config
from wbc.training import job
from wbc.training.classifier import Classifier
from wbc.training.job import objective, train
from wbc.training.schedule import BestAndLast

HEADINGS = [
    "Verdict",
    "Results",
    "Confusion matrix",
    "Comparison of models",
    "ROC and precision-recall",
    "Calibration",
    "Abstention and out-of-distribution",
    "Most confident errors",
    "Training",
    "Explanations",
    "Model card",
]


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("cells")


@pytest.fixture(scope="module")
def run(root, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    config = settings(root, "report=true")
    start(config, folder)
    return folder, config, train(config, folder)


def test_the_run_folder_holds_everything(run):
    folder, config, metrics = run
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert {
        "config.yaml",
        "versions.json",
        "manifest.csv",
        "metrics.json",
        "results.md",
        "report.html",
        "evaluation.json",
        "model.ckpt",
        "predictions.csv",
        "checkpoints/head/best.ckpt",
        "checkpoints/head/last.ckpt",
        "checkpoints/finetune/best.ckpt",
        "checkpoints/finetune/last.ckpt",
        "logs/head/history.csv",
        "logs/finetune/history.csv",
        "figures/confusion_matrix_test_finetune.png",
        "figures/confusion_matrix_test_head.png",
        "figures/confusion_matrix_test_other_lab_finetune.png",
        "figures/roc_test_finetune.png",
        "figures/roc_test_head.png",
        "figures/precision_recall_test_finetune.png",
        "figures/reliability_test_finetune.png",
        "figures/risk_coverage.png",
        "figures/training_curves.png",
        "figures/augmented_samples.png",
    } <= files
    assert any("tfevents" in name for name in files)
    assert not any(Path(name).name.startswith(".") for name in files)
    versions = json.loads((folder / "versions.json").read_text())
    assert versions["seed"] == 0
    assert versions["packages"]["torch"] == torch.__version__.split("+")[0]
    assert saved_config(folder, Config) == config
    assert json.loads((folder / "metrics.json").read_text()) == metrics


def test_metrics_per_phase_and_set(run):
    metrics = run[2]
    head, finetune = metrics["phases"]["head"], metrics["phases"]["finetune"]
    assert head["trainable_parameters"] == 198_277
    assert head["parameters"] == finetune["parameters"] > finetune["trainable_parameters"]
    assert finetune["trainable_parameters"] == 198_277 + 2_670_240
    for phase in (head, finetune):
        assert set(phase["sets"]) == {"val", "test", "test_other_lab"}
        assert phase["epochs"] == 2
        assert 1 <= phase["best_epoch"] <= 2
        assert phase["seconds"] > 0
    assert objective(metrics) == finetune["sets"]["val"]["macro_f1"]
    assert "final_model" not in metrics  # it is that of the last phase


def test_predictions_are_those_of_the_saved_model_and_make_the_metrics(run):
    folder, _, metrics = run
    table = pd.read_csv(folder / "predictions.csv")
    classes = metrics["classes"]
    columns = ["data", "path", "group", "label", "prediction", *classes]
    assert list(table.columns) == [*columns, "set", "status", "score", "cell_found"]
    np.testing.assert_allclose(table[classes].sum(axis=1), 1, atol=1e-5)
    assert (table["prediction"] == table[classes].idxmax(axis=1)).all()
    test = table[table["data"] == "test"]
    record = metrics["phases"]["finetune"]["sets"]["test"]
    assert record["images"] == len(test)
    expected = f1_score(test["label"], test["prediction"], average="macro", labels=classes)
    assert record["macro_f1"] == pytest.approx(expected, abs=1e-5)
    expected = recall_score(
        test["label"], test["prediction"], average="macro", labels=classes, zero_division=0
    )
    assert record["macro_recall"] == pytest.approx(expected, abs=1e-5)
    predictor = wbc.load(folder / "model.ckpt")
    answers = predictor.predict(test["path"].tolist())
    assert answers.labels == test["prediction"].tolist()
    assert answers.status == test["status"].tolist()
    np.testing.assert_allclose(answers.probabilities, test[classes], atol=1e-5)


def test_the_report_says_what_the_metrics_say(run):
    folder, _, metrics = run
    record = json.loads((folder / "evaluation.json").read_text())
    for name in ("test", "test_other_lab"):
        head, finetune = (metrics["phases"][phase]["sets"][name] for phase in ("head", "finetune"))
        without = record["compared"][name]["without fine-tuning"]
        for key in ("accuracy", "macro_f1", "confusion"):
            assert record["sets"][name][key] == finetune[key]
            assert without[key] == head[key]
        right = [sum(row[index] for index, row in enumerate(one["confusion"])) for one in (head, finetune)]
        test = without["mcnemar"]
        assert right == [test["both_right"] + test[f"only_{one}_right"] for one in ("this", "reported")]
    assert [record["sets"][name]["in_lab"] for name in ("test", "test_other_lab")] == [True, False]
    page = (folder / "report.html").read_text()
    places = [page.index(f"<h2>{heading}</h2>") for heading in HEADINGS]
    assert places == sorted(places)
    assert "without fine-tuning" in page
    card = page[places[-1] :]
    assert "not for diagnosis" in card
    assert all(text in card for text in ("phase.finetune.lr", torch.__version__.split("+")[0], "seed 0"))
    train_rows = pd.read_csv(folder / "manifest.csv").query("split == 'train'")
    assert re.search(rf'train</th>.*?class="number">{len(train_rows)}</td>', card, re.DOTALL)


def test_the_model_holds_the_rule_of_its_answers(run):
    folder = run[0]
    table = pd.read_csv(folder / "predictions.csv")
    predictor = wbc.load(folder / "model.ckpt")
    assert predictor.rule.images == (table["data"] == "val").sum()
    answers = predictor.predict(table["path"].tolist())
    assert set(answers.status) <= {"answered", "uncertain", "not a known cell", "not one cell"}
    assert np.isfinite(answers.scores).all()
    assert answers.labels == table["prediction"].tolist()


def test_the_best_epoch_is_the_one_that_was_tested(run):
    folder, _, metrics = run
    for phase in ("head", "finetune"):
        history = pd.read_csv(folder / "logs" / phase / "history.csv")
        assert history["epoch"].tolist() == [0, 1]
        best = history.loc[history["val_loss"].idxmin()]
        assert history.loc[history["is_best"], "epoch"].tolist() == [best["epoch"]]
        assert metrics["phases"][phase]["best_epoch"] == best["epoch"] + 1
        # In float32, as evaluate.py would; the history is in the precision of training.
        rows = pd.read_csv(folder / "manifest.csv").query("split == 'val'")
        answers = wbc.load(folder / "checkpoints" / phase / "best.ckpt").predict(rows["path"].tolist())
        expected = f1_score(rows["label"], answers.labels, average="macro")
        assert metrics["phases"][phase]["sets"]["val"]["macro_f1"] == pytest.approx(expected, abs=1e-5)


def test_phase_2_starts_from_the_best_head(run):
    folder = run[0]
    head = torch.load(folder / "checkpoints/head/best.ckpt", weights_only=True)["state_dict"]
    tuned = torch.load(folder / "checkpoints/finetune/best.ckpt", weights_only=True)["state_dict"]
    frozen = [key for key in head if key.startswith("network.backbone.net.blocks.0")]
    assert frozen
    assert all(torch.equal(head[key], tuned[key]) for key in frozen)  # running statistics too
    assert not torch.equal(
        head["network.backbone.net.conv_head.weight"], tuned["network.backbone.net.conv_head.weight"]
    )


@pytest.mark.slow
def test_a_run_is_the_same_again(run, root, tmp_path):
    config = settings(root)
    again = train(config, tmp_path)
    for record in (*again["phases"].values(), *run[2]["phases"].values()):
        del record["seconds"], record["cache_seconds"]
    assert again == run[2]


def test_a_start_that_is_not_there_is_told_before_any_image_is_looked_at(root, tmp_path, monkeypatch):
    monkeypatch.setattr(job, "run_manifest_of", None)
    with pytest.raises(
        CheckpointError, match=r"init_from=.*gone\.h5: no such file; give model\.ckpt of a run"
    ):
        train(settings(root, f"init_from={tmp_path}/gone.h5"), tmp_path / "run")


def test_finetune_alone_starts_from_a_checkpoint(run, root, tmp_path, monkeypatch):
    folder = run[0]
    modes = []
    step = Classifier.training_step

    def watched(self, batch, batch_idx):
        modes.append((self.network.head.training, self.network.backbone.net.bn1.training))
        return step(self, batch, batch_idx)

    monkeypatch.setattr(Classifier, "training_step", watched)
    for start_from in ("model.ckpt", "checkpoints/head/best.ckpt"):
        config = settings(root, f"init_from={folder / start_from}", "phase.finetune.max_epochs=1")
        metrics = train(config, tmp_path / start_from)
        assert list(metrics["phases"]) == ["finetune"]
        assert metrics["phases"]["finetune"]["linear_classifier"]["macro_f1"] > 0
    # Networks load in evaluation mode, in which Lightning would train them, without dropout.
    assert set(modes) == {(True, False)}


@pytest.mark.parametrize(
    ("override", "error", "named"),
    [
        ("init_from={folder}/nothing.ckpt", CheckpointError, "nothing.ckpt"),
        ("init_from={folder}/manifest.csv", CheckpointError, "manifest.csv"),
        ("init_from={folder}/model.ckpt model.image_size_px=96", ConfigError, "image_size_px"),
        ("init_from={folder}/model.ckpt model.standardise=[size,field]", ConfigError, "standardise"),
        ("trainer=gpu", ConfigError, "trainer"),
        ("+trainer.devics=2", ConfigError, "devics"),
        ("trainer.precision=7", ConfigError, "precision"),
        ("trainer.precision=bf16-true", ConfigError, "bf16-mixed"),
        ("augment.transforms=[{{_target_:albumentations.ToFloat}}]", ConfigError, "float32"),
        ("phase.head.lr=1e30", ConfigError, "diverged"),
        ("augment.transforms=[{{_target_:albumentations.Blurr}}]", ConfigError, "Blurr"),
        ("data.train_labs=[nowhere]", ConfigError, "nowhere"),
    ],
)
def test_settings_that_cannot_work_are_named(run, root, tmp_path, override, error, named):
    if override == "trainer=gpu" and torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    config = settings(root, *override.format(folder=run[0]).split())
    with pytest.raises(error, match=named):
        train(config, tmp_path)


def test_gradients_can_be_clipped_and_no_test_set_is_no_error(run, tmp_path):
    cells = pd.read_csv(run[0] / "manifest.csv", dtype=str, keep_default_na=False)
    cells = cells[~cells["split"].str.startswith("test")]
    cells.to_csv(tmp_path / "cells.csv", index=False)
    config = composed(
        *(part for part in TWO_EPOCHS if not part.startswith("data.images_per_class")),
        "data=manifest",
        f"data.root={tmp_path / 'cells.csv'}",
        "data.test_fraction=0",
        "phase=head",
        "phase.head.max_epochs=1",
        "report=true",
        "+trainer.gradient_clip_val=1",
        f"data.checks_dir={tmp_path}",
    )
    metrics = train(config, tmp_path / "run")
    assert set(metrics["phases"]["head"]["sets"]) == {"val"}
    assert "no test set" in (tmp_path / "run" / "results.md").read_text()
    assert (tmp_path / "run" / "model.ckpt").exists()
    record = json.loads((tmp_path / "run" / "evaluation.json").read_text())
    assert list(record["sets"]) == ["val"]
    assert "chose the model" in record["sets"]["val"]["note"]


def test_a_moved_run_keeps_its_best_epoch(run, tmp_path):
    """Lightning forgets it when the folder has another name, and a worse epoch would take its place."""
    folder = run[0]
    state = torch.load(folder / "checkpoints/finetune/last.ckpt", weights_only=True)
    (kept,) = (value for key, value in state["callbacks"].items() if "BestAndLast" in key)
    moved = BestAndLast(tmp_path / "elsewhere", "val_loss", "min")
    moved.load_state_dict(kept)
    assert moved.best_model_score == kept["best_model_score"]
    assert moved.best_model_path == str(tmp_path / "elsewhere" / "best.ckpt")


def test_auto_precision_is_measured_once_and_kept_on_resume(root, tmp_path, monkeypatch):
    monkeypatch.setattr("wbc.training.precision.resolve_precision", lambda *_: "bf16-mixed")
    monkeypatch.setattr(
        "wbc.training.precision.forward_ms", lambda _: {"bf16-mixed": 216.0, "32-true": 153.0}
    )
    config = settings(root, "phase=head", "phase.head.max_epochs=1", "trainer.precision=auto")
    assert train(config, tmp_path)["phases"]["head"]["precision"] == "32-true"
    (tmp_path / "logs" / "head" / "result.json").unlink()  # as if it had been killed before
    monkeypatch.setattr(
        "wbc.training.precision.forward_ms", lambda _: {"bf16-mixed": 100.0, "32-true": 153.0}
    )
    assert train(config, tmp_path)["phases"]["head"]["precision"] == "32-true"


def validation_outputs(predictor, run):
    """Logits and labels of a run's validation images."""
    table = pd.read_csv(run / "manifest.csv")
    val = table[table["split"] == "val"]
    pictures = [predictor.network.prepare(decode(path)) for path in val["path"]]
    logits = predictor.outputs(torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2))[1]
    labels = torch.tensor([predictor.classes.index(label) for label in val["label"]])
    return logits, labels


@pytest.mark.slow
def test_answers_are_fitted_on_the_draws_that_go_with_the_model_of_a_resumed_run_too(root, tmp_path):
    config = settings(root, "phase=head", "phase.head.max_epochs=1", "model.test_time.draws=2")
    train(config, tmp_path)
    (tmp_path / "logs" / "head" / "result.json").unlink()
    (tmp_path / "model.ckpt").unlink()  # as if it had been killed before
    train(config, tmp_path)
    predictor = wbc.load(tmp_path / "model.ckpt")
    chain = Augment(instantiate(config.augment.transforms, _convert_="all")).state()
    assert predictor.views.state() == {"draws": 2, "augment": chain}
    logits, labels = validation_outputs(predictor, tmp_path)
    assert predictor.rule.temperature == pytest.approx(fit_temperature(logits, labels), rel=1e-3)


def test_a_second_opinion_is_fitted_on_training_cells_and_its_answers_by_those_of_validation(root, tmp_path):
    config = settings(root, "phase=head", "phase.head.max_epochs=1", "model.second_opinion=2")
    metrics = train(config, tmp_path)
    predictor = wbc.load(tmp_path / "model.ckpt")
    assert predictor.second_opinion.weight == 2
    logits, labels = validation_outputs(predictor, tmp_path)
    assert predictor.rule.temperature == pytest.approx(fit_temperature(logits, labels), rel=1e-3)
    right = (logits.argmax(dim=1) == labels).float().mean()
    assert right > metrics["phases"]["head"]["sets"]["val"]["accuracy"] + 0.1  # of an untrained network
    answers = metrics["final_model"]
    assert "second opinion" in answers["of"]
    assert set(answers["sets"]) == {"val", "test", "test_other_lab"}
    assert answers["sets"]["val"]["accuracy"] == pytest.approx(float(right))
    assert objective(metrics) == answers["sets"]["val"]["macro_f1"]
    headers = re.findall(r"^\| +\| (.*) \|$", (tmp_path / "results.md").read_text(), re.MULTILINE)
    assert [re.split(r" +\| +", header) for header in headers] == [["without fine-tuning", "final model"]] * 2
