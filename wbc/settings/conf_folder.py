"""Where the YAML of a command lies."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]


def conf_folder(verb: str) -> Path:
    """conf/<verb>/: in an installed package wbc/conf/, whereto setup.py maps the checkout's conf/.

    A checkout and an editable install have no wbc/conf/ and read conf/ beside the package, so that what is
    edited there is what runs.
    """
    installed = _PACKAGE / "conf"
    return (installed if installed.is_dir() else _PACKAGE.parent / "conf") / verb
