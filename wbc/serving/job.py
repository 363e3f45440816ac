"""The job of `serve.py`: a model that answers what is sent, for as long as the command runs."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import torch

from wbc.answers.checkpoint import load_model
from wbc.answers.predictor import Predictor
from wbc.errors import ConfigError
from wbc.network.device import chosen_device
from wbc.settings.serve import ServeConfig
from wbc.utils.files import file_hash
from wbc.utils.modules import missing_modules
from wbc.utils.stopping import is_asked_to_stop
from wbc.web.listening import NEEDED, address_of, listen, stopped_by_signals

log = logging.getLogger(__name__)

TOKEN = "WBC_TOKEN"  # a variable of the environment: what stands in settings is written into files
_LEAST_TOKEN = 20  # characters
_PATIENCE_S = 60  # for what waits when the command is stopped
_MODULES = {"python_multipart": "python-multipart"}  # and the package that has it
_FIRST_BATCH = 8  # drawn pictures, by which engines are compared before anybody asks


def serve(config: ServeConfig, folder: Path) -> None:
    """Answer by the model of `config` until the command is stopped; `folder` has the log alone.

    Raises WbcError for a model or an address that cannot be used.
    """
    if missing := [_MODULES.get(name, name) for name in missing_modules([*NEEDED, *_MODULES])]:
        raise ConfigError(f"the service needs {' and '.join(missing)}: pip install {' '.join(missing)}")
    from wbc.serving.app import Limits, serve_app
    from wbc.serving.service import Service
    from wbc.web.guard import is_loopback

    token = None if is_loopback(config.host) else _token()
    listening = listen(config.host, config.port)  # before the model is read, which takes longer
    predictor = load_model(config.checkpoint).to(chosen_device(config.device)).by(config.runtime)
    _compute_once(predictor)
    model_hash = file_hash(config.checkpoint)
    service = Service(predictor, model_hash, config.batch_size, round(config.megapixels * 1e6))
    limits = Limits(config.queue, round(config.upload_mb * 2**20), config.pictures)
    app = serve_app(service, limits, _about(predictor, model_hash), token, config.host)
    # A few more than may wait, so that whoever asks beyond that is told so.
    server = stopped_by_signals(app, _PATIENCE_S, 4 * config.queue + 64)
    app.state.stopping = lambda: server.should_exit
    address = address_of(listening, config.host)
    log.info("answering at %s", address + (f"?token={token}" if token else ""))
    if token:
        log.warning(
            "whoever has this link can ask, and what is sent can be read on the way: use it in a network "
            "that you trust, or leave out host= and come through ssh -L"
        )
    log.info("what can be asked: %sapi; Ctrl-C ends it", address)
    try:
        server.run(sockets=[listening])
    finally:
        service.close()
    log.info("%d requests with %d pictures answered", app.state.counted.requests, app.state.counted.pictures)
    if is_asked_to_stop():
        raise KeyboardInterrupt


def _token() -> str:
    from wbc.web.guard import new_token

    given = os.environ.get(TOKEN)
    if given is None:
        return new_token()
    if len(given) < _LEAST_TOKEN or not given.isascii() or not given.isprintable() or " " in given:
        raise ConfigError(
            f"{TOKEN} is no token: give {_LEAST_TOKEN} ASCII characters or more, without blanks, or unset it "
            "to have one made"
        )
    return given


def _compute_once(predictor: Predictor) -> None:
    """Has the engine chosen, and what is converted or compiled made, before anybody waits for it."""
    predictor.runtime.expect(10**6)  # it is to run for long
    side = predictor.prepare.size_px
    predictor.outputs(torch.full((_FIRST_BATCH, 3, side, side), 200, dtype=torch.uint8))


def _about(predictor: Predictor, model_hash: str) -> dict[str, Any]:
    return {
        "sha256": model_hash,
        "classes": predictor.classes,
        "attributes": list(predictor.attributes),
        "backbone": predictor.network.backbone.name,
        "image_size_px": predictor.network.image_size_px,
        "promise": None if predictor.rule is None else predictor.rule.promise(),
    }
