"""How long the page of a review waits, and what memory it takes, by the number of cells.

    python benchmarks/review_page.py [--cells 5000 50000 500000]

Cells without pictures, of answers made up; asked of the application itself, without a browser.  Each time is
the median of 20.  Prints a Markdown table and writes outputs/benchmarks/review_page.json.
"""

from __future__ import annotations

import argparse
import csv
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from starlette.testclient import TestClient

from wbc.labels import CLASSES
from wbc.plain.answers import ANSWERED, UNCERTAIN, Answers
from wbc.plain.prediction_rows import columns, prediction_rows
from wbc.reviewing.app import review_app
from wbc.reviewing.cells import read_cells
from wbc.reviewing.decisions import Decisions
from wbc.reviewing.pictures import Pictures
from wbc.reviewing.state import Review
from wbc.settings.run_folder import versions
from wbc.utils.files import read_json, write_json
from wbc.utils.text_tables import markdown_table

OUTPUT = Path("outputs/benchmarks/review_page.json")
ADDRESS = "http://127.0.0.1:8765"
REPEATS = 20


def write_table(file: Path, count: int) -> None:
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.full(len(CLASSES), 0.3), count).astype(np.float32)
    best = probabilities.argmax(axis=1)
    answers = Answers(
        [CLASSES[place] for place in best],
        probabilities,
        [[CLASSES[place]] for place in best],
        [ANSWERED if value > 0.8 else UNCERTAIN for value in probabilities.max(axis=1)],
        rng.random(count),
        [None] * count,
    )
    with file.open("w", encoding="utf-8", newline="") as opened:
        rows = csv.writer(opened)
        rows.writerow(columns(CLASSES))
        rows.writerows(prediction_rows(answers, [f"/slides/{n % 97}/cell_{n}.png" for n in range(count)]))


def measured(count: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_table(folder / "predictions.csv", count)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        started = time.perf_counter()
        cells = read_cells(folder, "predictions.csv")
        decisions = Decisions(folder / "decisions.sqlite", cells, "")
        seconds = time.perf_counter() - started
        about = {"title": "", "model": None, "caution": ""}
        app = review_app(Review(cells, decisions, Pictures(cells), folder, about, "", ""))
        client = TestClient(app, ADDRESS, headers={"origin": ADDRESS})
        client.get("/api/cells")  # the order is made once
        found = {"cells": count, "seconds to open": seconds} | {
            f"ms {name}": timed(client, *asked)
            for name, asked in {
                "first page": ("/api/cells?reviewer=Anna&show=open",),
                "last page": (f"/api/cells?reviewer=Anna&show=open&after={count - 61}",),
                "by name": ("/api/cells?reviewer=Anna&name=cell_123",),
                "one decision": ("/api/decide", 1),
                "60 decisions": ("/api/decide", 60),
                "recount": ("/api/tally?reviewer=Anna",),
            }.items()
        }
        found["MB more"] = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        decisions.close()
        return found


def timed(client: TestClient, address: str, decided: int = 0) -> float:
    """Milliseconds."""
    times = []
    for repeat in range(REPEATS):
        cells = list(range(repeat * decided, (repeat + 1) * decided))
        body = {"reviewer": "Anna", "cells": cells, "verdict": CLASSES[decided % 5]}
        started = time.perf_counter()
        answer = client.post(address, json=body) if decided else client.get(address)
        times.append(1000 * (time.perf_counter() - started))
        answer.raise_for_status()
    return median(times)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cells", nargs="+", type=int, default=[5000, 50_000, 500_000])
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)  # each in a process of its own
    given = parser.parse_args()
    if given.one:
        write_json(OUTPUT, measured(given.cells[0]))
        return
    results = []
    for count in given.cells:
        subprocess.run([sys.executable, __file__, "--one", "--cells", str(count)], check=True)
        results.append(read_json(OUTPUT))
    headers = list(results[0])
    rows = [
        [f"{one[name]:,}" if name == "cells" else f"{one[name]:.1f}" for name in headers] for one in results
    ]
    print(markdown_table(headers, rows))
    write_json(OUTPUT, {"versions": versions(), "results": results})


if __name__ == "__main__":
    main()
