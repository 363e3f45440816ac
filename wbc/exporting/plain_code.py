"""The code that an exported folder runs: modules of wbc that need no torch, copied under another name."""

from __future__ import annotations

import ast
import re
from pathlib import Path

PACKAGE = "cells"  # what the copies are called; wbc may be installed where they run

_SOURCE = Path(__file__).resolve().parents[1]
_STANDALONE = "wbc.exporting.standalone"
_IMPORT = re.compile(r"^(\s*(?:from|import) )wbc\b", re.MULTILINE)


def write_code(kind: str, folder: Path) -> None:
    """Write classify.py into `folder`, and beside it the package that it imports.

    kind: of the network's file; decides which engine computes it.
    """
    command = _read(f"{_STANDALONE}.classify").replace("onnx_engine", f"{kind}_engine")
    (folder / "classify.py").write_text(_renamed(command), encoding="utf-8")
    waiting, done = _imported(command), set[str]()
    while waiting:
        module = waiting.pop()
        if module in done:
            continue
        done.add(module)
        source = _read(module)
        waiting |= _imported(source)
        copy = folder / PACKAGE / Path(*module.split(".")[1:]).with_suffix(".py")
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(_renamed(source), encoding="utf-8")


def _read(module: str) -> str:
    return (_SOURCE / Path(*module.split(".")[1:]).with_suffix(".py")).read_text(encoding="utf-8")


def _imported(source: str) -> set[str]:
    """The modules of wbc that `source` imports, functions of it too."""
    return {
        node.module
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ImportFrom) and node.module is not None and node.module.startswith("wbc.")
    }


def _renamed(source: str) -> str:
    return _IMPORT.sub(rf"\g<1>{PACKAGE}", source)
