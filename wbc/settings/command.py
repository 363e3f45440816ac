"""What every command does around its job: settings, run folder, one message and an exit code on failure."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, NoReturn

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import CompactHydraException
from hydra.types import RunMode
from omegaconf import DictConfig

from wbc.errors import WbcError
from wbc.settings.conf_folder import conf_folder
from wbc.settings.key_help import command_help, group_help
from wbc.settings.parse import Settings
from wbc.settings.quoting import in_shell
from wbc.settings.text_values import kept_as_text
from wbc.settings.typed_words import check_words
from wbc.utils.claim import claimed
from wbc.utils.console import configure_console
from wbc.utils.files import system_error
from wbc.utils.memory import keep_freed_memory
from wbc.utils.progress import is_first_process
from wbc.utils.stopping import exit_code, heed_signals, leave_signals


@dataclass(frozen=True)
class Command(Generic[Settings]):
    """One verb of `wbc`, and of the script at the top that bears its name.

    stopped, failed: what is said after Ctrl-C or SIGTERM, and after an error of the system, with {error},
    which ends with the mend, {again}: the command that goes on with the run, and {output}: the word that
    names its folder.
    """

    verb: str
    wish: str  # what a user wants who needs it
    kind: type[Settings]
    open_run: Callable[[DictConfig], tuple[Settings, Path]]  # new, or the one to go on with
    job: Callable[[], Callable[[Settings, Path], Any]]  # gives the job: torch takes seconds to import
    first_keys: tuple[str, ...]  # of the help
    stopped: str
    failed: str
    other_folder: str = "another hydra.run.dir="  # by which key results go elsewhere
    unreadable: str | None = None  # the file that says why; the job then returns how many could not be read


def run(command: Command[Any], words: list[str], program: str) -> None:
    """One run of `command`, or with -m a sweep; exits with 1 where it could not be done, 130 after Ctrl-C,
    143 after SIGTERM.

    words: what was typed behind `program`, as which the command was called: `python train.py`, `wbc train`.
    """
    asked = [word for word in words if word in ("-h", "--help")]
    if asked:
        groups = [word for word in words if (conf_folder(command.verb) / word).is_dir() and "=" not in word]
        pages = [group_help(command.verb, program, group) for group in groups]
        print("\n\n".join(pages) or command_help(command.verb, program, command.first_keys))
        return
    # Threads that spin at every barrier crawl where another program holds a core, and gain nothing elsewhere
    # (docs/results/speed.md).  Read when torch is imported; a user's own choice stays.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        check_words(words, command.verb, command.kind)
    except WbcError as error:
        sys.exit(str(error))
    words = kept_as_text(words, command.kind)
    typed = sys.argv
    heed_signals()  # the job is imported for seconds, and may be asked to stop meanwhile

    def task(composed: DictConfig) -> Any:
        sys.argv = typed  # by which Lightning starts further processes
        return _do(command, composed, program)

    sys.argv = [typed[0], *words]  # what Hydra reads
    main = hydra.main(version_base="1.3", config_path=str(conf_folder(command.verb)), config_name="config")
    try:
        main(task)()
    except KeyboardInterrupt:
        if is_first_process():
            print("stopped; give the same command again", file=sys.stderr)  # before or after the job
        sys.exit(exit_code())
    finally:
        leave_signals()


def _do(command: Command[Any], composed: DictConfig, program: str) -> Any:
    configure_console()
    keep_freed_memory()
    log = logging.getLogger(command.verb)
    folder = HydraConfig.get().runtime.output_dir
    go_on = {"again": f"{program} {in_shell('resume_from', folder)}", "output": in_shell("output", folder)}
    try:
        with claimed(Path(folder), command.other_folder):
            config, run_folder = command.open_run(composed)
            result = command.job()(config, run_folder)
    except (WbcError, OSError) as error:
        if isinstance(error, OSError):
            said = system_error(error, folder, command.other_folder)
            _fail(log, command.failed.format(error=said, **go_on))
        _fail(log, str(error))
    except KeyboardInterrupt:
        if is_first_process():
            log.error("%s", command.stopped.format(**go_on))
        sys.exit(exit_code())
    if command.unreadable is None:
        return result
    if result:
        why = command.unreadable.format(folder=run_folder)
        _fail(log, f"{result} images could not be read; {why} says why")
    return None


class _FailedJob(CompactHydraException):
    """Ends one job of a sweep: Hydra runs the others, tells of the first that failed and exits with 1.

    Compact: without a traceback.
    """


def _fail(log: logging.Logger, said: str) -> NoReturn:
    log.error("%s", said)
    if HydraConfig.get().mode == RunMode.MULTIRUN:
        raise _FailedJob(said)
    sys.exit(1)
