"""A real browser that opens a page and tells what the page did."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

EXECUTABLE = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Visit(NamedTuple):
    """dom: the page once it was loaded.  console: its messages.  requests: what it asked of other hosts."""

    dom: str
    console: list[str]
    requests: list[str]


def visit(page: Path, folder: Path) -> Visit:
    """Open a file in headless Chromium without a network.  folder: for the browser's own files."""
    log = folder / "net.json"
    result = subprocess.run(
        [
            *(str(EXECUTABLE), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"),
            *(f"--user-data-dir={folder / 'profile'}", f"--log-net-log={log}"),
            *("--host-resolver-rules=MAP * ~NOTFOUND", "--enable-logging=stderr", "--v=0"),
            *("--virtual-time-budget=4000", "--dump-dom", page.as_uri()),
        ],
        capture_output=True,
        text=True,
        timeout=180,
        check=True,
    )
    events = [event.get("params", {}) for event in json.loads(log.read_text())["events"]]
    # The browser's own requests, such as for updates, have no page as their origin.
    asked = {event["url"] for event in events if event.get("initiator", "not an origin") != "not an origin"}
    return Visit(
        result.stdout,
        re.findall(r"CONSOLE:\d+\] (.*)", result.stderr),
        sorted(url for url in asked if not url.startswith(("file:", "data:"))),
    )
