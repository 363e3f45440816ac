"""The server killed at any moment: what it acknowledged is there, and what is there was asked for."""

import http.client
import json
import random
import threading
import time
import urllib.error
import urllib.request

import pytest

from tests.helpers.reviewed import write_crops
from wbc.labels import CLASSES
from wbc.reviewing.cells import read_cells
from wbc.reviewing.decisions import Decisions
from wbc.utils.files import file_hash

MOMENTS = 20
CELLS = 200


class Reviewer(threading.Thread):
    """Decides without a pause until the server is gone.  asked, kept: (cells, verdict) in their order."""

    def __init__(self, name, address, seed):
        super().__init__(daemon=True)
        self.reviewer, self.address = name, address
        self.random = random.Random(seed)
        self.asked, self.kept = [], []

    def run(self):
        while True:
            cells = self.random.sample(range(CELLS), self.random.choice((1, 1, 1, 20)))
            verdict = self.random.choice([*CLASSES, "(artefact)", "(unknown)"])
            self.asked.append((cells, verdict))
            body = json.dumps({"reviewer": self.reviewer, "cells": cells, "verdict": verdict}).encode()
            headers = {"content-type": "application/json", "origin": self.address.rstrip("/")}
            request = urllib.request.Request(f"{self.address}api/decide", body, headers)
            try:
                with urllib.request.urlopen(request, timeout=20) as answer:
                    json.load(answer)
            except urllib.error.HTTPError:
                raise  # an answer, and not the one that was wanted
            except (
                OSError,
                ValueError,
                http.client.HTTPException,
            ):  # the server is gone, before its answer or amid it
                return
            self.kept.append((cells, verdict))


@pytest.mark.slow
def test_no_decision_that_was_acknowledged_is_lost_in_twenty_kills(serve, tmp_path):
    write_crops(tmp_path, CELLS)
    cells = read_cells(tmp_path, "predictions.csv")
    table = file_hash(tmp_path / "predictions.csv")
    last = {name: {} for name in ("Anna", "Ben")}  # cell -> verdict
    acknowledged = 0
    for moment in range(MOMENTS):
        server = serve(tmp_path)
        reviewers = [Reviewer(name, server.address, f"{name} {moment}") for name in last]
        for reviewer in reviewers:
            reviewer.start()
        deadline = time.monotonic() + 60
        while min(len(reviewer.kept) for reviewer in reviewers) < 5:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(random.Random(moment).random() / 2)
        server.kill()
        decisions = None
        for reviewer in reviewers:
            reviewer.join(30)
            assert len(reviewer.asked) - len(reviewer.kept) <= 1
            said = last[reviewer.reviewer]
            for chosen, verdict in reviewer.kept:
                said |= dict.fromkeys(chosen, verdict)
            acknowledged += len(reviewer.kept)
            decisions = decisions or Decisions(tmp_path / "review" / "decisions.sqlite", cells, table)
            held = decisions.of(reviewer.reviewer)
            words = {
                cell: decisions.verdicts.word(int(held[cell])) for cell in range(CELLS) if held[cell] >= 0
            }
            # The one request that was under way may have been kept, as a whole, or not.
            under_way = (
                said | dict.fromkeys(*reviewer.asked[-1])
                if len(reviewer.asked) > len(reviewer.kept)
                else said
            )
            assert words in (said, under_way)
            last[reviewer.reviewer] = words
        decisions.close()
    assert acknowledged >= 10 * MOMENTS
