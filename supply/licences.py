"""The licences of all that wbc brings along, as a table; exit code 1 for one that is not allowed.

Allowed is what supply/allowed.yaml lists.

    python supply/licences.py [extra ...]

Looked at is what is installed here: the dependencies of `wbc` with the extras, and theirs.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import NamedTuple

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from wbc.utils.text_tables import markdown_table

ALLOWED = Path(__file__).with_name("allowed.yaml")
NOT_SAID = "not said"
_SAY_NOTHING = (":: OSI Approved", ":: Other/Proprietary License")  # classifiers
_INNERMOST_BRACKETS = re.compile(r"\(([^()]*)\)")


class Row(NamedTuple):
    """A package, what it is licensed under, and why that is refused; "" where it is allowed."""

    package: str
    release: str
    licence: str
    refused: str


def installed_below(root: str, extras: Iterable[str] = ()) -> tuple[list[Distribution], list[str]]:
    """The distributions that `root` needs, near and far, by name; and the names of those that are not here.

    Raises ValueError for an extra that `root` does not have.
    """
    known = {canonicalize_name(one) for one in distribution(root).metadata.get_all("Provides-Extra") or []}
    if unknown := sorted({canonicalize_name(one) for one in extras} - known):
        raise ValueError(f"{root} has no extra {', '.join(unknown)}: it has {', '.join(sorted(known))}")
    found: dict[str, Distribution] = {}
    missing: set[str] = set()
    done: set[tuple[str, str]] = set()
    ahead = [(root, extra) for extra in ("", *extras)]
    while ahead:
        name, extra = ahead.pop()
        if (name, extra) in done:
            continue
        done.add((name, extra))
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:
            missing.add(name)
            continue
        for requirement in map(Requirement, found[name].requires or []):
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                needed = canonicalize_name(requirement.name)
                ahead += [(needed, one) for one in ("", *requirement.extras)]
    return [found[name] for name in sorted(found) if name != root], sorted(missing)


def licence_of(package: Distribution, allowed: Mapping) -> str:
    """An SPDX expression where `allowed` knows the spelling; else what the package says, or NOT_SAID."""
    name = canonicalize_name(package.name)
    if name in allowed["packages"]:
        return str(allowed["packages"][name]["licence"])
    if expression := _field(package, "License-Expression"):
        return expression
    classifiers = [
        one.split(" :: ")[-1]
        for one in package.metadata.get_all("Classifier") or []
        if one.startswith("License :: ") and not one.endswith(_SAY_NOTHING)
    ]
    text = _field(package, "License")
    # The field may hold a whole licence, which its classifiers name; a name in it counts beside them.
    name_of_it = [text.split("\n")[0]] if not classifiers or "\n" not in text else []
    said = [one for one in (*classifiers, *name_of_it) if one not in {"", "UNKNOWN"}]
    spelled = dict.fromkeys(allowed["spellings"].get(one, one) for one in said)
    return " AND ".join(f"({one})" if " OR " in one else one for one in spelled) or NOT_SAID


def _field(package: Distribution, name: str) -> str:
    """What METADATA says under `name`, "" where it does not."""
    return (package.metadata.get_all(name) or [""])[0].strip()


def is_allowed(licence: str, licences: Sequence[str]) -> bool:
    """Whether an SPDX expression can be kept with `licences` alone: both sides of AND, one side of OR."""
    while _INNERMOST_BRACKETS.search(licence):
        licence = _INNERMOST_BRACKETS.sub(
            lambda found: licences[0] if is_allowed(found[1], licences) else "refused", licence
        )
    sides = [side.split(" AND ") for side in licence.split(" OR ")]
    return any(all(one.strip() in licences for one in side) for side in sides)


def rows(packages: Iterable[Distribution], allowed: Mapping) -> list[Row]:
    """A row a package, in their order."""
    made = []
    for package in packages:
        licence = licence_of(package, allowed)
        refused = "" if is_allowed(licence, allowed["licences"]) else "not in supply/allowed.yaml"
        made.append(Row(package.name, package.version, licence, refused))
    return made


def main(arguments: Sequence[str]) -> int:
    """Print the table; returns the exit code."""
    parser = argparse.ArgumentParser(description="The licences of what wbc brings along.")
    parser.add_argument("extras", nargs="*", metavar="extra", help="of pyproject.toml, such as demo")
    extras = parser.parse_args(arguments).extras
    allowed = yaml.safe_load(ALLOWED.read_text(encoding="utf-8"))
    try:
        packages, missing = installed_below("wbc", extras)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    table = rows(packages, allowed)
    print(markdown_table(Row._fields, table))
    refused = [row for row in table if row.refused]
    for row in refused:
        print(
            f"error: {row.package} {row.release}: {row.licence}. Read its licence; if it may stay, add it to "
            "supply/allowed.yaml, under licences, spellings or packages",
            file=sys.stderr,
        )
    if missing:
        wanted = f".[{','.join(extras)}]" if extras else "."
        print(
            f'error: not installed, so not looked at: {", ".join(missing)}. pip install "{wanted}" in the '
            "checkout, or name fewer extras",
            file=sys.stderr,
        )
    print(f"{len(table)} packages, {len(refused)} refused, {len(missing)} not looked at")
    return 1 if refused or missing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
