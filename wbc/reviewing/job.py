"""The job of `review.py`: a page for as long as the command runs; every decision is kept as it is taken."""

from __future__ import annotations

import getpass
import importlib.metadata
import logging
import os
from pathlib import Path
from typing import Any

import numpy as np

from wbc.errors import ConfigError, DataError
from wbc.plain.lab_check import said_of_lab
from wbc.reviewing.answering_model import AnsweringModel
from wbc.reviewing.cells import Cells, read_cells
from wbc.reviewing.decisions import Decisions
from wbc.reviewing.explanations import Explanations
from wbc.reviewing.pictures import Pictures
from wbc.reviewing.settling import Settling
from wbc.reviewing.verdicts import OPEN
from wbc.settings.layout import DECISIONS, DIFFERENTIAL
from wbc.settings.review import ReviewConfig
from wbc.utils.files import file_hash, read_json
from wbc.utils.modules import missing_modules
from wbc.utils.reviewers import is_name
from wbc.utils.stopping import is_asked_to_stop
from wbc.web.listening import NEEDED, address_of, listen, stopped_by_signals

log = logging.getLogger(__name__)

_LOOKED_FOR = 50  # images, spread over the table, before the page is opened
_PATIENCE_S = 3  # for requests that are being answered when the command is stopped


def review(config: ReviewConfig, folder: Path) -> None:
    """Serve the page of `config.predictions`, with decisions in `folder`, until the command is stopped.

    Raises WbcError where there is nothing to review, or nowhere to serve it.
    """
    if missing := missing_modules(NEEDED):
        raise ConfigError(f"the page needs {' and '.join(missing)}: pip install {' '.join(missing)}")
    from wbc.reviewing.app import review_app
    from wbc.reviewing.state import Review
    from wbc.web.guard import is_loopback, new_token

    predictions = Path(config.predictions)
    cells = read_cells(predictions, config.table)
    _look_for_images(cells, predictions / config.table)
    table = file_hash(predictions / config.table)
    about = _about(predictions, table)
    if config.known_cells is not None and not os.path.isdir(config.known_cells):
        raise ConfigError(f"known_cells={config.known_cells} is no folder: give another, or leave it out")
    model = AnsweringModel(None if about["model"] is None else Path(about["model"]), predictions)
    decisions = Decisions(folder / DECISIONS, cells, table)
    explanations = Explanations(cells, model, config.known_cells)
    settling = Settling(cells, decisions, model, folder, config.table)
    try:
        for name in decisions.reviewers:
            log.info("%s has looked at %d cells", name, int((decisions.of(name) != OPEN).sum()))
        token = None if is_loopback(config.host) else new_token()
        listening = listen(config.host, config.port)
        address = address_of(listening, config.host)
        proposed = config.reviewer or _login()
        shown = Review(
            *(cells, decisions, Pictures(cells), explanations, settling),
            *(folder, about, proposed, table),
        )
        server = stopped_by_signals(review_app(shown, token, config.host), _PATIENCE_S)
        log.info("%d cells to review: %s", len(cells), address + (f"?token={token}" if token else ""))
        if token:
            log.warning(
                "whoever has this link can decide, and what is sent can be read on the way: use it in a "
                "network that you trust, or leave out host= and come through ssh -L"
            )
        log.info("Ctrl-C ends it; decisions are kept in %s", folder)
        server.run(sockets=[listening])
        if is_asked_to_stop():
            raise KeyboardInterrupt
    finally:
        settling.close()
        explanations.close()
        decisions.close()


def _look_for_images(cells: Cells, table: Path) -> None:
    """DataError where none is there any more; a warning where some are not."""
    some = np.linspace(0, len(cells) - 1, min(_LOOKED_FOR, len(cells))).astype(int).tolist()
    gone = [path for path in map(cells.photograph_path, some) if not os.path.exists(path)]
    if len(gone) == len(some):
        raise DataError(
            f"none of the images is where {table} says, e.g. {gone[0]}: move them back, or have them "
            "answered anew where they are now"
        )
    if gone:
        log.warning(
            "of %d images looked for, %d are not where %s says, e.g. %s; no picture of them is shown",
            *(len(some), len(gone), table, gone[0]),
        )


def _about(predictions: Path, table: str) -> dict[str, Any]:
    """Facts for page and exports.  model, caution: None and "" where no differential of predict's tells."""
    model, caution, told = None, "", predictions / DIFFERENTIAL
    if told.is_file():
        try:
            record = read_json(told)
            model, caution = record.get("model"), said_of_lab(record.get("lab"))
        except (ValueError, AttributeError, KeyError, TypeError) as error:
            raise DataError(f"{told} is damaged ({error!r:.200}); move it away") from error
    return {
        "title": predictions.name,
        "predictions": str(predictions),
        "table": table,
        "model": model if isinstance(model, str) else None,
        "caution": caution,
        "version": importlib.metadata.version("wbc"),
    }


def _login() -> str:
    """The name of who is logged in, "" where that is nobody's."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError, ImportError):
        return ""
    return name if is_name(name) and name != "root" else ""
