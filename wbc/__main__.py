"""`wbc <verb>`, which `python -m wbc <verb>` is too; the scripts at the top run one verb each."""

from __future__ import annotations

import difflib
import importlib.metadata
import sys

from wbc.commands import COMMANDS
from wbc.settings.command import run


def main() -> None:
    """The command `wbc`: the first word is the verb, the others are its settings."""
    words = sys.argv[1:]
    if not words or words[0] in ("-h", "--help", "help"):
        print(overview())
    elif words[0] == "--version":
        print(f"wbc {importlib.metadata.version('wbc')}")
    elif words[0] in COMMANDS:
        run(COMMANDS[words[0]], words[1:], f"wbc {words[0]}")
    else:
        like = difflib.get_close_matches(words[0], COMMANDS, 1)
        meant = f"is wbc {like[0]} meant? " if like else ""
        sys.exit(f"{words[0]} is no verb of wbc: {meant}The verbs are {', '.join(COMMANDS)}; see wbc --help")


def run_script(verb: str) -> None:
    """What `python <verb>.py` runs."""
    run(COMMANDS[verb], sys.argv[1:], f"python {verb}.py")


def overview() -> str:
    """Which verb serves which wish."""
    verbs = [f"  {f'wbc {command.verb}':<14}{command.wish}" for command in COMMANDS.values()]
    return "\n".join(
        [
            "White blood cells from stained smears. You want to ...",
            *verbs,
            "To try it without data: wbc train experiment=demo, then with the run folder that it names:",
            "  wbc explain checkpoint=<run folder>/model.ckpt images=test",
            "Settings are given as key=value: wbc <verb> --help lists them. Results lie below ./outputs.",
        ]
    )


if __name__ == "__main__":
    main()
