"""How many planted copies are found, how many pairs that are none, and what it costs.

    python benchmarks/near_copies.py <pbc> [--raabin <raabin>] [--jtsc <jtsc>] [--other <pbc_other>]

Of every tenth image a copy is made and laid among the images of all sets, a kind of copy at a time: resized
by 0.5 to 2, saved as JPEG of quality 50, cropped by 3 % of each side length at a random place, all three, and
these turned or mirrored.  Then the pairs among the images as they are, of which each is to be looked at:
outputs/benchmarks/near_copies_<set>.png shows the least alike.  Last the time, with images turned by random
angles to make many.  Prints Markdown tables, writes outputs/benchmarks/near_copies.json.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from wbc.datasets.class_folders import image_files
from wbc.datasets.near_copies import Pair, near_copies
from wbc.images.decode import decode, pixel_hash
from wbc.images.thumbnail import SIDE_PX, thumbnail
from wbc.pages.figure_style import save_figure
from wbc.pages.image_page import image_page_figure
from wbc.settings.run_folder import versions
from wbc.utils.files import write_json
from wbc.utils.progress import progress
from wbc.utils.text_tables import markdown_table

OUTPUT = Path("outputs/benchmarks/near_copies.json")
KINDS = {
    "resized": ("resize",),
    "JPEG 50": ("jpeg",),
    "cropped": ("crop",),
    "all three": ("crop", "resize", "jpeg"),
    "all three, turned": ("crop", "resize", "turn", "jpeg"),
}
MANY = 100_000
SHOWN = 40  # pairs of a picture


def copy_of(rgb: np.ndarray, kind: tuple[str, ...], rng: np.random.Generator) -> np.ndarray:
    if "crop" in kind:
        height, width = rgb.shape[:2]
        less = max(1, round(0.03 * height)), max(1, round(0.03 * width))
        top, left = (int(rng.integers(0, side + 1)) for side in less)
        rgb = rgb[top : top + height - less[0], left : left + width - less[1]]
    if "resize" in kind:
        factor = 2 ** rng.uniform(-1, 1)
        size = round(rgb.shape[1] * factor), round(rgb.shape[0] * factor)
        rgb = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC)
    if "turn" in kind:
        turn = int(rng.integers(1, 8))
        rgb = np.rot90(rgb, turn % 4)
        rgb = rgb[:, ::-1] if turn >= 4 else rgb
    rgb = np.ascontiguousarray(rgb)
    if "jpeg" in kind:
        saved = cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 50])[1]
        rgb = cv2.imdecode(saved, cv2.IMREAD_COLOR)[..., ::-1]
    return np.ascontiguousarray(rgb)


class Images:
    """A set's thumbnails and paths by pixel hash, and copies of some: kind -> [(original, thumbnail)]."""

    def __init__(self, folders: Sequence[Path], every: int) -> None:
        self.thumbs: dict[str, bytes] = {}
        self.paths: dict[str, list[str]] = {}
        self.copies: dict[str, list[tuple[str, bytes]]] = {kind: [] for kind in KINDS}
        self.seconds = {"decode": 0.0, "thumbnail": 0.0}
        rng = np.random.default_rng(0)
        files = [file for folder in folders for file in image_files(folder)]
        for index, path in enumerate(progress(files, str(folders[0]), "image")):
            start = time.perf_counter()
            rgb = decode(path)
            decoded = time.perf_counter()
            thumb = thumbnail(rgb)
            self.seconds["decode"] += decoded - start
            self.seconds["thumbnail"] += time.perf_counter() - decoded
            name = pixel_hash(rgb)
            self.thumbs[name] = thumb
            self.paths.setdefault(name, []).append(path)
            if every and index % every == 0:
                for kind, steps in KINDS.items():
                    self.copies[kind].append((name, thumbnail(copy_of(rgb, steps, rng))))


def found(sets: dict[str, Images]) -> list[dict[str, Any]]:
    everything = {name: thumb for one in sets.values() for name, thumb in one.thumbs.items()}
    rows = []
    for kind in KINDS:
        planted = {
            f"{of} {number} copy": (of, thumb)
            for number, one in enumerate(sets.values())
            for of, thumb in one.copies[kind]
        }
        pairs = near_copies(everything | {name: thumb for name, (_, thumb) in planted.items()})
        alike = {frozenset((pair.first, pair.second)): pair for pair in pairs}
        for number, (name, one) in enumerate(sets.items()):
            got = [alike.get(frozenset((of, f"{of} {number} copy"))) for of, _ in one.copies[kind]]
            rows.append(
                {
                    "set": name,
                    "copies": kind,
                    "planted": len(got),
                    "sure": sum(pair is not None and pair.is_sure for pair in got) / len(got),
                    "listed": sum(pair is not None for pair in got) / len(got),
                }
            )
    return sorted(rows, key=lambda row: list(sets).index(row["set"]))


def as_they_are(name: str, one: Images) -> dict[str, Any]:
    start = time.perf_counter()
    pairs = near_copies(one.thumbs)
    seconds = time.perf_counter() - start
    show(pairs, one, OUTPUT.with_name(f"near_copies_{name.replace('/', '_')}.png"))
    return {
        "set": name,
        "images": sum(map(len, one.paths.values())),
        "identical": sum(len(paths) - 1 for paths in one.paths.values()),
        "sure": sum(pair.is_sure for pair in pairs),
        "unsure": sum(not pair.is_sure for pair in pairs),
        "seconds": round(seconds, 2),
        "pairs": [
            [one.paths[pair.first][0], one.paths[pair.second][0], round(pair.likeness, 3)] for pair in pairs
        ],
    }


def show(pairs: list[Pair], one: Images, file: Path) -> None:
    """Those that are least alike."""
    images, captions = [], []
    for pair in pairs[-SHOWN:]:
        for name in (pair.first, pair.second):
            path = Path(one.paths[name][0])
            images.append(decode(path))
            captions.append(f"{pair.likeness:.3f} {path.parent.name}/{path.stem}")
    if images:
        save_figure(
            image_page_figure(images, captions, f"Near-copies in {file.stem}", columns=8), file, svg=False
        )


def bits(one: Images) -> dict[str, Any]:
    """pHash's 64 bits: the distance that 99 of 100 cropped copies keep, and the pairs within it."""

    def hashed(thumbs: list[bytes]) -> np.ndarray:
        pixels = [np.frombuffer(thumb, np.uint8).reshape(SIDE_PX, SIDE_PX) for thumb in thumbs]
        low = np.stack([cv2.dct(one.astype(np.float32))[:8, :8].ravel() for one in pixels])
        return low > np.median(low[:, 1:], axis=1, keepdims=True)

    names = list(one.thumbs)
    own = hashed(list(one.thumbs.values()))
    place = {name: index for index, name in enumerate(names)}
    cropped = one.copies["cropped"]
    apart = (own[[place[of] for of, _ in cropped]] != hashed([thumb for _, thumb in cropped])).sum(axis=1)
    within = int(np.quantile(apart, 0.99))
    signs = np.where(own, 1, -1).astype(np.float32)
    near = sum(
        int((32 - signs[row] @ signs[row + 1 :].T / 2 <= within).sum()) for row in range(len(signs) - 1)
    )
    return {"bits": within, "pairs": near}


def many(sets: dict[str, Images], rng: np.random.Generator) -> dict[str, bytes]:
    """Different pictures of the same kind: those of the sets, turned by random angles."""
    thumbs = [thumb for one in sets.values() for thumb in one.thumbs.values()]
    made = {}
    centre = (SIDE_PX / 2 - 0.5, SIDE_PX / 2 - 0.5)
    for number in range(MANY):
        pixels = np.frombuffer(thumbs[number % len(thumbs)], np.uint8).reshape(SIDE_PX, SIDE_PX)
        warp = cv2.getRotationMatrix2D(centre, rng.uniform(0, 360), rng.uniform(1, 1.3))
        made[str(number)] = cv2.warpAffine(
            pixels, warp, (SIDE_PX, SIDE_PX), borderMode=cv2.BORDER_REFLECT
        ).tobytes()
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pbc", type=Path)
    parser.add_argument("--raabin", type=Path)
    parser.add_argument("--jtsc", type=Path)
    parser.add_argument("--other", type=Path)
    given = parser.parse_args()
    cv2.setNumThreads(1)
    folders = {"pbc/train": given.pbc / "train", "pbc/val": given.pbc / "val"}
    if given.raabin:
        folders["raabin/train"] = given.raabin / "train"
    if given.jtsc:
        folders["jtsc"] = given.jtsc / "images"
    if given.other:
        folders["pbc_other"] = given.other
    sets = {
        name: Images([folder], 1 if name in ("jtsc", "pbc_other") else 10) for name, folder in folders.items()
    }
    rows = found(sets)
    together = {"pbc": Images([given.pbc / "train", given.pbc / "val"], 0)}
    pairs = [as_they_are(name, one) for name, one in (together | sets).items()]
    start = time.perf_counter()
    crowd = many(sets, np.random.default_rng(0))
    print(f"{MANY} made in {time.perf_counter() - start:.0f} s")
    times = []
    for count in (10_000, 30_000, MANY):
        start = time.perf_counter()
        near_copies(dict(list(crowd.items())[:count]))
        times.append({"pictures": count, "seconds": round(time.perf_counter() - start, 1)})
    made = sum(one.seconds["thumbnail"] for one in sets.values())
    decoded = sum(one.seconds["decode"] for one in sets.values())
    images = sum(len(one.thumbs) for one in sets.values())
    result = {
        "found": rows,
        "pairs": pairs,
        "phash": bits(sets["pbc/train"]),
        "times": times,
        "ms_an_image": {"decode": 1e3 * decoded / images, "thumbnail": 1e3 * made / images},
        "versions": versions(),
    }
    write_json(OUTPUT, result)
    by_set: dict[str, list[str]] = {}
    for row in rows:
        by_set.setdefault(row["set"], [str(row["planted"])]).append(
            f"{100 * row['sure']:.1f} % ({100 * row['listed']:.1f} %)"
        )
    print(
        markdown_table(["set", "planted, each", *KINDS], [[name, *cells] for name, cells in by_set.items()])
    )
    keys = ("set", "images", "identical", "sure", "unsure", "seconds")
    print(markdown_table(keys, [[row[key] for key in keys] for row in pairs]))
    print(markdown_table(("pictures", "seconds"), [[row["pictures"], row["seconds"]] for row in times]))
    print(result["phash"], result["ms_an_image"])


if __name__ == "__main__":
    main()
