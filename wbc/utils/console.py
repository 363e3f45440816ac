"""What a person sees of the log: messages alone, between progress bars and not across them.

The log file of a run keeps time, level and module of everything, the remarks of libraries too.
"""

from __future__ import annotations

import functools
import logging
import re
import sys

from tqdm import tqdm

from wbc.utils.progress import is_first_process

# Remarks of libraries on what is meant so here: nothing that a user could act upon.
_SAYS_NOTHING = re.compile(
    r"does not have many workers"  # values of the cache are read in this process, which takes less long
    r"|Checkpoint directory .* exists and is not empty"  # the phase goes on from what lies there
)
_OURS = re.compile(r"(wbc|train|explain|predict|evaluate|adapt|__main__)(\.|$)")
_WHERE = re.compile(r"^\S.*?:\d+: (\w+): ")  # what Python puts before a warning's text


class ConsoleHandler(logging.StreamHandler):
    """Writes the message of a record to stdout, above whatever bars there are; each warning once."""

    def __init__(self) -> None:
        super().__init__(sys.stdout)
        self.setFormatter(_Message())
        self._warned: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a person is to see it."""
        text = record.getMessage()
        if record.levelno < logging.WARNING:
            return bool(_OURS.match(record.name)) and is_first_process()
        if record.levelno < logging.ERROR:
            if not is_first_process() or text in self._warned or _SAYS_NOTHING.search(text):
                return False
            self._warned.add(text)
        return True

    def emit(self, record: logging.LogRecord) -> None:
        """One message, however many lines."""
        try:
            tqdm.write(self.format(record), file=self.stream)
            self.flush()
        except Exception:
            self.handleError(record)


class _Message(logging.Formatter):
    """The message, with its level before it only where something is wrong."""

    def format(self, record: logging.LogRecord) -> str:
        text = record.getMessage()
        if record.name == "py.warnings":
            text = _WHERE.sub("", text).split("\n")[0]
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        return f"{record.levelname.lower()}: {text}" if record.levelno >= logging.WARNING else text


def configure_console() -> None:
    """Put a ConsoleHandler where Hydra's handler of the console is; its log file stays as it is.

    To be called at the start of each job, for Hydra sets logging up anew for every job of a sweep.
    Warnings of Python go to the log as well.
    """
    root = logging.getLogger()
    for handler in [one for one in root.handlers if _is_console(one)]:
        root.removeHandler(handler)
    for handler in root.handlers:
        handler.handleError = functools.partial(_log_failed, handler)  # type: ignore[method-assign]
    root.addHandler(ConsoleHandler())
    logging.captureWarnings(True)


def _log_failed(handler: logging.Handler, record: logging.LogRecord) -> None:
    """Where the disk of the log file is full: the job goes on until a file that it needs cannot be written.

    Python's own answer is a traceback for each message.
    """
    problem = sys.exc_info()[1]
    if isinstance(problem, OSError):
        _tell_once(f"warning: the log file is not complete: {problem.strerror}")
    else:
        logging.Handler.handleError(handler, record)


@functools.cache
def _tell_once(text: str) -> None:
    tqdm.write(text, file=sys.stderr)


def _is_console(handler: logging.Handler) -> bool:
    return isinstance(handler, logging.StreamHandler) and not isinstance(handler, logging.FileHandler)
