"""How many pictures `wbc serve` answers a second, and how long each waits, by how many ask at once.

    python benchmarks/serve.py <folder of crops> [--clients 1 8 32] [--seconds 20]

Each client posts one crop after the other, the pictures in turn; the service is a process of its own with the
model that travels.  Batched: pictures that wait share a pass (batch_size=32); unbatched: batch_size=1.  The
first seconds of each measurement are not counted.  A service asked for more than it waits for answers 503,
which would end the measurement: none may.
Prints a Markdown table and writes outputs/benchmarks/serve.json.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

from wbc.datasets.walk import PassedOver, images_below
from wbc.settings.run_folder import versions
from wbc.utils.files import write_json
from wbc.utils.text_tables import markdown_table

OUTPUT = Path("outputs/benchmarks/serve.json")
WARM_UP_S = 3
MOST_PICTURES = 200


class Served:
    """`wbc serve` as long as the block runs; `port` is where."""

    def __init__(self, batch_size: int) -> None:
        self._folder = tempfile.TemporaryDirectory()
        words = ["port=0", f"batch_size={batch_size}", f"hydra.run.dir={self._folder.name}"]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "wbc", "serve", *words], stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        found = (re.search(r"answering at http://[^:]+:(\d+)", line) for line in self._process.stdout)
        self.port = int(next(filter(None, found))[1])

    def __enter__(self) -> Served:
        return self

    def __exit__(self, *error: object) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.communicate(timeout=90)
        self._folder.cleanup()


def measured(port: int, pictures: list[bytes], clients: int, seconds: float) -> dict[str, Any]:
    times: list[float] = []  # of requests that began after the warm-up
    failures: list[str] = []
    begin = time.perf_counter() + WARM_UP_S
    end = begin + seconds

    def ask(first: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        for place in itertools.count(first):
            started = time.perf_counter()
            if started >= end or failures:
                break
            body = pictures[place % len(pictures)]
            connection.request("POST", "/answer", body, {"content-type": "application/octet-stream"})
            answer = connection.getresponse()
            said = answer.read()
            if answer.status != 200:
                failures.append(f"{answer.status}: {said[:200]!r}")
            elif started >= begin:
                times.append(time.perf_counter() - started)
        connection.close()

    threads = [threading.Thread(target=ask, args=(number * 7,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        sys.exit(failures[0])
    # To the last answer: requests under way at the end are counted, and so is their time.
    rate = len(times) / (time.perf_counter() - begin)
    median, late = 1000 * np.quantile(times, [0.5, 0.95])
    return {"requests": len(times), "a second": rate, "ms median": median, "ms 95 %": late}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("crops")
    parser.add_argument("--clients", nargs="+", type=int, default=[1, 8, 32])
    parser.add_argument("--seconds", type=float, default=20)
    given = parser.parse_args()
    files = sorted(images_below(given.crops, PassedOver()))
    chosen = files[:: max(1, len(files) // MOST_PICTURES)]
    pictures = [Path(file).read_bytes() for file in chosen]
    results = []
    for name, batch_size in (("batched", 32), ("unbatched", 1)):
        with Served(batch_size) as served:
            for clients in given.clients:
                found = measured(served.port, pictures, clients, given.seconds)
                results.append({"passes": name, "clients": clients} | found)
    headers = ["passes", "clients", "requests", "a second", "ms median", "ms 95 %"]
    rows = [
        [f"{value:.1f}" if isinstance(value, float) else str(value) for value in map(one.get, headers)]
        for one in results
    ]
    print(markdown_table(headers, rows))
    write_json(OUTPUT, {"versions": versions(), "pictures": len(pictures), "results": results})


if __name__ == "__main__":
    main()
