"""Good files made bad, and fields of a checkpoint made odd: the same for the same generator."""

import copy
import math
import random
from typing import Any

import torch

GONE = object()  # the field is taken out
ODD: list[Any] = [
    GONE,
    None,
    True,
    0,
    -1,
    2**31,
    10**30,
    1e-30,
    -0.5,
    math.nan,
    math.inf,
    "",
    "word",
    "../..",
    b"bytes",
    [],
    ["word"],
    [[]],
    {},
    {"word": "word"},
    torch.tensor(math.nan),
    torch.zeros(0),
    torch.full((3, 3), -1.0),
]


def damaged(content: bytes, rng: random.Random) -> bytes:
    """`content` with bits flipped anywhere or at its ends, where formats keep their tables and sizes, with a
    large number in it, cut short, or with a piece lost, zeroed or twice.
    """
    changed = bytearray(content)
    start = rng.randrange(len(changed))
    end = start + rng.randint(1, 64)
    kind = rng.choice(("bits", "header", "header", "words", "cut", "lost", "zeros", "ones", "twice"))
    if kind in ("bits", "header"):
        within = len(changed) if kind == "bits" else min(len(changed), 200)
        side = rng.choice((1, -1))
        for _ in range(rng.randint(1, 4)):
            changed[side * rng.randrange(within)] ^= 1 << rng.randrange(8)
    elif kind == "words":  # sizes, offsets and counts are such
        changed[start : start + 4] = rng.choice((b"\xff\xff\xff\x7f", b"\xff\xff\xff\xff", b"\0\0\0\x80"))
    elif kind == "cut":
        del changed[start:]
    elif kind == "lost":
        del changed[start:end]
    elif kind == "twice":
        changed[start:start] = changed[start:end]
    else:
        changed[start:end] = (b"\0" if kind == "zeros" else b"\xff") * (end - start)
    return bytes(changed)


def odd(content: dict[str, Any], rng: random.Random) -> tuple[dict[str, Any], str]:
    """`content` with one field, at any depth, of another type or value; and which, in words."""
    changed = copy.deepcopy(content)
    inside: Any = changed
    where: list[Any] = []
    while True:
        where.append(rng.choice(sorted(inside) if isinstance(inside, dict) else range(len(inside))))
        below = inside[where[-1]]
        if not isinstance(below, dict | list) or not below or rng.random() < 0.2:
            break
        inside = below
    value = rng.choice(ODD)
    if value is GONE:
        del inside[where[-1]]
    else:
        inside[where[-1]] = value
    return changed, f"{'.'.join(map(str, where))} = {'gone' if value is GONE else repr(value)}"
