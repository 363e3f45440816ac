"""The report of a run: of which outputs its figures are made."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from tests.helpers.trees import picture, write_image
from wbc.answers.averaged_views import AveragedViews
from wbc.answers.checkpoint import save_model
from wbc.answers.predictor import Predictor
from wbc.answers.rule import fit_rule
from wbc.datasets.manifest import COLUMNS
from wbc.images.prepare import Prepare
from wbc.loading.augment import Augment
from wbc.loading.datamodule import CellData
from wbc.network.backbone import Backbone
from wbc.network.network import Network
from wbc.settings.abstain import AbstainConfig
from wbc.training.results import write_predictions
from wbc.training.run_report import final_outputs, output_metrics, write_run_report
from wbc.utils.files import write_json

CLASSES = ["Basophil", "Monocyte"]


@pytest.mark.parametrize(
    ("views", "said"),
    [
        (AveragedViews(), "Results are those of the training run"),
        (AveragedViews(flips=True), "averaged over 4 view(s) of each image, in float32"),
        (AveragedViews(scales=[0.9]), "averaged over 1 view(s) of each image, in float32"),
    ],
)
def test_the_last_phases_figures_and_its_answers_are_of_the_same_views(tmp_path, monkeypatch, views, said):
    reports = []
    monkeypatch.setattr("wbc.training.run_report.write_report", lambda report, folder: reports.append(report))
    monkeypatch.setattr("wbc.training.run_report.write_set_figures", lambda *_: None)
    rows = [
        {"path": str(write_image(tmp_path / f"{n}.png", picture(n, 64))), "label": CLASSES[n % 2]}
        for n in range(12)
    ]
    manifest = pd.DataFrame(rows, columns=COLUMNS, dtype=object).fillna("")
    manifest["split"] = ["train"] * 4 + ["test"] * 8
    torch.manual_seed(0)
    network = Network(Backbone("tf_efficientnet_lite0", 64), CLASSES, (8,)).eval()
    network.test_time = views
    predictor = Predictor(network)
    test = manifest[manifest["split"] == "test"]
    pixels = torch.from_numpy(np.stack([picture(n, 64) for n in range(4, 12)])).permute(0, 3, 1, 2)
    features, averaged = predictor.outputs(pixels)
    predictor.rule = fit_rule(features, averaged, torch.arange(8) % 2, AbstainConfig(0.5, 0.5, "knn", 0.5))
    with torch.inference_mode():
        one_view = network(pixels)
    for phase in ("head", "finetune"):
        write_predictions(
            tmp_path / "logs" / phase / "predictions.csv", {"test": test}, {"test": one_view}, CLASSES
        )
        write_json(tmp_path / "logs" / phase / "result.json", {"precision": "bf16-mixed"})
    save_model(network, tmp_path / "model.ckpt", {}, predictor.rule)
    data = CellData(manifest, CLASSES, Prepare(64), 4, Augment([]), 0, 0)
    outputs = final_outputs(predictor, manifest, data)
    write_run_report(tmp_path, "run", ["head", "finetune"], predictor, manifest, data, outputs)
    (report,) = reports
    plain = report.results[0].plain
    torch.testing.assert_close(
        plain["without fine-tuning"], one_view.double().softmax(dim=1), atol=1e-5, rtol=0
    )
    torch.testing.assert_close(plain["with fine-tuning"], averaged.double().softmax(dim=1), atol=1e-5, rtol=0)
    assert said in report.remark
    written = json.loads((tmp_path / "evaluation.json").read_text())["sets"]["test"]
    assert written["accuracy"] == (averaged.argmax(dim=1) == torch.arange(8) % 2).float().mean()
    assert output_metrics(manifest, outputs, CLASSES)["test"]["accuracy"] == written["accuracy"]
