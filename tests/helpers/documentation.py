"""What the pages tell a reader to type, and where their links lead."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.helpers.places import ROOT

README = ROOT / "README.md"
DOCS = ROOT / "docs"
GUIDES = sorted(DOCS.rglob("*.md"))
PAGES = [README, ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md", *GUIDES]

_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"(?<!`)`([^`]+)`(?!`)")
_IN_A_CONTAINER = re.compile(r"^docker run .*? (?=wbc )")  # the image has the command's name
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


class Block(NamedTuple):
    """A fenced block: the heading above it, its language and its text."""

    heading: str
    language: str
    text: str


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page in their order."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(_heading_above(text, found.start()), found[2], _without_indent(found[3], len(found[1])))
        for found in _FENCE.finditer(text)
    ]


def lines(block: Block) -> list[str]:
    """The commands of a block, without comments; a line that ends in a backslash goes on in the next."""
    joined = block.text.replace("\\\n", " ")
    bare = (re.sub(r"(^|\s+)# .*", "", line).strip() for line in joined.splitlines())
    return [line for line in bare if line]


def mentioned_commands(page: Path) -> Iterator[str]:
    """Every command of wbc and every benchmark that a page shows, in a block or amid a sentence."""
    for block in blocks(page):
        if block.language == "sh":
            here = (_IN_A_CONTAINER.sub("", line) for line in lines(block))
            yield from (line for line in here if _is_ours(line))
    for text in _INLINE.findall(_FENCE.sub("", page.read_text(encoding="utf-8"))):
        one = " ".join(text.split())
        if _is_ours(one) and " " in one.removeprefix("wbc ").removeprefix("python "):
            yield one


def links(page: Path) -> list[str]:
    """The targets of a page's links and pictures that lie in the project."""
    found = _LINK.findall(_FENCE.sub("", page.read_text(encoding="utf-8")))
    return [target for target in found if "://" not in target and not target.startswith("mailto:")]


def anchors(page: Path) -> set[str]:
    """The names by which the headings of a page are linked to."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def _is_ours(command: str) -> bool:
    return command.startswith(("wbc ", "python benchmarks/"))


def _heading_above(text: str, place: int) -> str:
    return re.findall(r"^#+ (.+)$", text[:place], re.MULTILINE)[-1]


def _without_indent(text: str, indent: int) -> str:
    return "".join(line[indent:] if line.strip() else line for line in text.splitlines(keepends=True))
