"""A service of a small model in this process."""

import torch
from starlette.testclient import TestClient

from wbc.answers.predictor import Predictor
from wbc.answers.rule import fit_rule
from wbc.labels import CLASSES
from wbc.network.backbone import Backbone
from wbc.network.network import Network
from wbc.plain.lab_check import fit_lab_check
from wbc.plain.picture_check import PictureCheck
from wbc.serving.app import Limits, serve_app
from wbc.serving.job import _about
from wbc.serving.service import Service
from wbc.settings.abstain import AbstainConfig

ADDRESS = "http://127.0.0.1:8766"


def small_predictor(words=None) -> Predictor:
    """Of weights by chance, with every part that an answer can have."""
    torch.manual_seed(0)
    network = Network(Backbone("tf_efficientnet_lite0", 64), CLASSES).eval()
    labels = torch.arange(40) % 5
    logits = torch.randn(40, 5) + 2 * torch.eye(5)[labels]
    features = torch.randn(40, 1280)
    rule = fit_rule(features, logits, labels, AbstainConfig(0.2, 0.9, "energy", 0.95))
    lab = fit_lab_check(features.numpy(), labels.numpy())
    return Predictor(
        network, rule, pictures=PictureCheck(0.0, 0.0, 0.0, usual_share=0.25), lab=lab, words=words
    )


def served(
    predictor: Predictor,
    limits: Limits = Limits(8, 2**20, 20),  # noqa: B008  # it cannot be changed
    token: str | None = None,
    batch_size: int = 8,
    most_pixels: int = 10**6,
) -> TestClient:
    """Asked without a network; `service` answers."""
    service = Service(predictor, "hash", batch_size, most_pixels)
    client = TestClient(serve_app(service, limits, _about(predictor, "hash"), token), ADDRESS)
    client.service = service
    return client
