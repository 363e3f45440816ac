"""Which phase a run keeps, and what is said of one that did not help or learnt too little."""

import html
import json

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from tests.helpers.configs import composed
from tests.helpers.small_runs import SMALL
from wbc.answers.checkpoint import load_network, load_provenance
from wbc.settings.run_folder import start
from wbc.training.job import train
from wbc.training.kept_phase import RULE, best_epoch, image_losses, kept_phase


def phases(head, finetune):
    return {
        name: {"val_macro_f1": score, "val_loss": loss}
        for name, (score, loss) in {"head": head, "finetune": finetune}.items()
    }


def never(phase):
    raise AssertionError(f"the losses of {phase} were asked for")


@pytest.mark.parametrize(
    ("head", "finetune"),
    [
        ((0.9, 0.67), (0.89, 0.63)),  # of 30 images; on a thousand it was 83 and 93 %
        ((0.9, 0.5), (0.9, 0.5)),
    ],
)
def test_the_last_phase_is_kept_where_it_is_no_worse(head, finetune):
    assert kept_phase(phases(head, finetune), never) == "finetune"
    assert kept_phase({"finetune": phases(head, finetune)["finetune"]}, never) == "finetune"


@pytest.mark.parametrize(
    ("worse_by", "kept"),
    [
        ([0.6, 0.9, 0.2, 0.5, -0.1, 0.7], "head"),  # mean 0.47, standard error 0.15
        ([0.0] * 19 + [3.0, 2.0], "finetune"),  # two of 21: mean 0.24, standard error 0.17
        ([0.3, 0.1, -0.1, 0.05], "finetune"),  # mean 0.09, standard error 0.08
        ([3.0], "finetune"),  # one image shows nothing
    ],
)
def test_an_earlier_phase_is_kept_where_it_is_better_beyond_chance(worse_by, kept):
    losses = {"head": torch.ones(len(worse_by)), "finetune": 1 + torch.tensor(worse_by)}
    assert kept_phase(phases((0.77, 0.5), (0.7, 0.6)), losses.__getitem__) == kept


def test_losses_are_those_of_training():
    logits = torch.tensor([[2.0, 0.0], [0.0, 1.0]])
    log_p = logits.log_softmax(1)
    expected = -0.9 * log_p[:, 0] - 0.1 * log_p.mean(1)
    torch.testing.assert_close(image_losses(logits, torch.tensor([0, 0]), 0.1), expected)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Two classes that a linear classifier parts, a head that hardly learns, fine-tuning that ruins it."""
    folder = tmp_path_factory.mktemp("cells")
    rng = np.random.default_rng(0)
    for label, colour in {"Basophil": (90, 40, 120), "Neutrophil": (200, 160, 190)}.items():
        (folder / "cells" / label).mkdir(parents=True)
        for number in range(24):
            pixels = np.clip(rng.normal(colour, 12, (64, 64, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / "cells" / label / f"{number}.png")
    config = composed(
        *[word for word in SMALL if not word.startswith(("data=", "data.images_per_class", "report="))],
        *("data=folder", f"data.root={folder / 'cells'}", f"data.checks_dir={folder}"),
        *("data.classes=[Basophil,Neutrophil]", "phase.head.max_epochs=4", "phase.head.lr=1e-3"),
        *("phase.finetune.lr=0.3", "cache_views=1"),
    )
    start(config, folder / "run")
    return folder / "run", train(config, folder / "run")


def test_a_phase_that_made_it_worse_is_not_kept(run):
    folder, metrics = run
    head, finetune = metrics["phases"]["head"], metrics["phases"]["finetune"]
    assert head["val_loss"] < finetune["val_loss"]
    assert metrics["kept"]["phase"] == load_provenance(folder / "model.ckpt")["phase"] == "head"
    kept, best = (
        load_network(folder / name).state_dict() for name in ("model.ckpt", "checkpoints/head/best.ckpt")
    )
    assert all(torch.equal(kept[key], best[key]) for key in best)
    rows = pd.read_csv(folder / "predictions.csv")
    test = rows[rows["data"] == "test"]
    assert (test["label"] == test["prediction"]).mean() == head["sets"]["test"]["accuracy"]
    assert head["sets"]["test"]["accuracy"] != finetune["sets"]["test"]["accuracy"]


def test_it_is_said_at_the_top(run):
    folder, metrics = run
    opening = html.unescape((folder / "report.html").read_text().split("<h2")[1])
    assert "Fine-tuning did not help: on the validation images the loss was" in opening
    assert "The model is the one without fine-tuning." in opening
    assert metrics["phases"]["head"]["linear_classifier"] == {"accuracy": 1.0, "macro_f1": 1.0}


def test_page_and_table_say_by_what_rule_the_phase_is_kept(run):
    folder, _ = run
    assert RULE in html.unescape((folder / "report.html").read_text())
    results = (folder / "results.md").read_text()
    assert f"The model is the one without fine-tuning: the run keeps {RULE}." in results


def test_a_run_from_before_is_judged_by_its_histories(run):
    """Its results name no figures of validation."""
    folder, metrics = run
    for phase, record in metrics["phases"].items():
        assert "val_macro_f1" not in json.loads((folder / "logs" / phase / "result.json").read_text())
        found = best_epoch(pd.read_csv(folder / "logs" / phase / "history.csv"))
        assert found == {name: record[name] for name in ("val_loss", "val_accuracy", "val_macro_f1")}
