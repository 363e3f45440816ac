"""The gallery of explained images: one page that opens offline, wrong decisions first, filtered by class."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from markupsafe import Markup

from wbc.heat.panels import Decision
from wbc.pages.html import Section, picture, table, write_page


@dataclass(frozen=True)
class GalleryRow:
    """One explained image: its path as in the manifest, the panel's file, and a remark if there is one."""

    path: str
    decision: Decision
    panel: Path
    note: str = ""

    @property
    def name(self) -> str:
        """The file name, by which the page calls the image."""
        return PurePath(self.path).name


def write_gallery(
    path: Path | str,
    title: str,
    rows: Sequence[GalleryRow],
    summary: Sequence[str] = (),
    failures: Sequence[tuple[str, str]] = (),
    limit: int = 500,
) -> None:
    """Write the page with the first `limit` panels in it: wrong decisions first, then by true class.

    summary: what stands above the images, paragraphs and tables, as the parts of a `Section`.  failures:
    path of each image without explanation, and why.  Panels are read and encoded one by one while the page
    is written, about 60 kB each.
    Raises DataError for a panel that cannot be read; an older page is kept then.
    """
    ordered = sorted(rows, key=_order)
    shown, left_out = ordered[:limit], ordered[limit:]
    decisions = [row.decision for row in shown]
    more = f"{len(left_out):,} more in the folder {left_out[0].panel.parent.name}/." if left_out else ""
    share = f"{len(failures):,} of {len(rows) + len(failures):,} images"
    write_page(
        path,
        title,
        [Section("Summary", summary)] if summary else [],
        template="gallery.html",
        script="gallery.js",
        rows=_with_panels(shown),
        count=len(shown),
        more=more,
        filters=[
            ("true", "true class", sorted({decision.true for decision in decisions})),
            ("predicted", "predicted class", sorted({decision.predicted for decision in decisions})),
            ("outcome", "decision", sorted({decision.outcome for decision in decisions})),
        ],
        failed=len(failures),
        failures=table(["image", "why"], failures, share),
    )


def _order(row: GalleryRow) -> tuple[bool, str, str, str]:
    decision = row.decision
    return (decision.outcome != "wrong", decision.true or decision.predicted, decision.predicted, row.path)


def _with_panels(rows: Sequence[GalleryRow]) -> Iterator[tuple[GalleryRow, Markup]]:
    for row in rows:
        decision = row.decision
        explained = decision.target or decision.predicted
        yield row, picture(row.panel, f"{row.name} with heat maps for {explained}", photograph=True)
