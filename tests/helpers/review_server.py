"""`wbc review` in a process of its own, as long as a test needs it."""

import re
from pathlib import Path

from tests.helpers.commands import Started

_ADDRESS = re.compile(r"cells to review: (http://\S+)")


class ReviewServer:
    """Started when it is made, at any port that is free unless `words` name one; `address` ends in /."""

    def __init__(self, folder: Path, *words: str) -> None:
        ports = [] if any(word.startswith("port=") for word in words) else ["port=0"]
        self.command = Started("wbc", "review", f"predictions={folder}", *ports, *words)
        self.command.wait_until(lambda: self.said("stdout") and _ADDRESS.search(self.said("stdout")), 60)
        self.address = _ADDRESS.search(self.said("stdout"))[1]

    def said(self, stream: str) -> str:
        """What it has printed so far."""
        file = self.command.files[stream == "stderr"]
        return file.read_text() if file.exists() else ""

    def kill(self) -> None:
        """Without a word, as the system kills."""
        self.command.process.kill()
        self.command.process.join()
