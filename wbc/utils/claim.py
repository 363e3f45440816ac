"""A folder that one process writes at a time."""

from __future__ import annotations

import json
import logging
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from wbc.errors import ConfigError
from wbc.utils.files import remove_unfinished, write_text

log = logging.getLogger(__name__)

_LOCK, _OWNER = ".in_use.lock", ".in_use.json"
_RANKS = ("RANK", "LOCAL_RANK", "SLURM_PROCID")  # of launchers, whose other processes share the folder


@contextmanager
def claimed(folder: Path, instead: str) -> Iterator[None]:
    """Hold `folder` until the block ends; the system lets go of it too when the process is killed.

    What a killed process left half-written in it is removed.  Of the processes that one launcher started, the
    first claims it.
    instead: how to choose another folder.
    Raises ConfigError with the owner's name where another process holds it.
    """
    if any(os.environ.get(name, "0") != "0" for name in _RANKS):
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / _LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise ConfigError(
            f"{folder} is in use by {_owner(folder)}: wait until that has ended, or give {instead}"
        ) from None
    except NotImplementedError:  # of some network file systems
        log.warning("%s lies on a file system without locks: nothing keeps a second command out", folder)
    try:
        remove_unfinished(folder)
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        owner = {"process": os.getpid(), "machine": platform.node(), "since": since}
        write_text(folder / _OWNER, json.dumps(owner))
        yield
    finally:
        (folder / _OWNER).unlink(missing_ok=True)
        (folder / _LOCK).unlink(missing_ok=True)
        lock.release()


def is_claimed(folder: Path) -> bool:
    """Whether another process holds `folder`."""
    if not (folder / _LOCK).exists():
        return False
    lock = FileLock(folder / _LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    except NotImplementedError:  # of some network file systems
        return False
    lock.release()
    return False


def _owner(folder: Path) -> str:
    try:
        owner = json.loads((folder / _OWNER).read_text(encoding="utf-8"))
        return f"process {owner['process']} on {owner['machine']}, since {owner['since']}"
    except (OSError, ValueError, KeyError, TypeError):  # it has not written it yet
        return "another process"
