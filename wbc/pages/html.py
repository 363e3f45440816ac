"""Pages of HTML in one file each: they open offline, ask for nothing from outside, and print."""

from __future__ import annotations

import base64
import hashlib
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from wbc.errors import DataError
from wbc.utils.files import replacing
from wbc.utils.text_tables import NUMBER

_JPEG_QUALITY = 85  # text inside a panel stays clean, at an eighth of the PNG's size

_MEASURED = re.compile(rf"<?({NUMBER.pattern})( \[[^\]]*\])?")  # a number, and its interval where it has one

_FIT_A_PHONE = 2  # columns; of a table of more a phone says that it can be pushed sideways

_ENVIRONMENT = Environment(
    loader=PackageLoader("wbc.pages"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True)
class Section:
    """A heading and what stands below it.

    A part that is a plain string becomes a paragraph, with everything in it escaped; HTML is a part that is
    Markup, as `table` and `picture` return it. Parts may be made while the page is written.  An empty part
    is left out.
    """

    heading: str
    parts: Iterable[str]


def write_page(
    path: Path | str,
    title: str,
    sections: Sequence[Section],
    template: str = "page.html",
    script: str = "",
    contents: bool = False,
    **values: Any,
) -> None:
    """Write the page piece by piece, so that its pictures are never in memory together; whole or not at all.

    template: a file in `templates` that extends page.html and is given `values`.  script: likewise, run on
    the page; no other script is.  contents: whether links to the sections stand below the first of them.
    """
    with (
        replacing(path) as beside,
        # A file name that is no UTF-8 is shown with its bytes in digits rather than costing the page.
        beside.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as file,
    ):
        file.writelines(_stream(title, sections, template, script, contents=contents, **values))


def picture(source: np.ndarray | Path | str, alt: str, photograph: bool = False, lazy: bool = True) -> Markup:
    """An embedded picture.  alt: what it shows, for those who cannot see it.

    source: (H, W, 3) uint8, or an image file; one that is of the right kind already is taken as it is.
    photograph: as JPEG, else as PNG, which keeps the edges of lines and letters.  lazy: decoded only when it
    is scrolled to, for pages of hundreds.
    Raises DataError for a file that is missing or no image.
    """
    uri, (width, height) = _encoded(source, photograph)
    return fragment("picture.html", source=uri, alt=alt, width=width, height=height, lazy=lazy)


def heading(text: str) -> Markup:
    """A heading inside a section."""
    return Markup("<h3>{}</h3>").format(text)


def side_by_side(parts: Iterable[Markup]) -> Markup:
    """Pictures or tables beside each other where there is room, below each other where there is none.

    Nothing for no parts.
    """
    return fragment("side_by_side.html", parts=list(parts))


def table(headers: Sequence[str], rows: Sequence[Sequence[object]], caption: str) -> Markup:
    """A table whose first column names its rows; columns of numbers, with or without their intervals in
    brackets, are aligned to the right.

    Raises ValueError for a row that is shorter or longer than the headers.
    """
    for index, row in enumerate(rows):
        if len(row) != len(headers):
            raise ValueError(
                f"row {index} of the table has {len(row)} cells for {len(headers)} headers: {row}"
            )
    columns = zip(*rows, strict=True) if rows else [() for _ in headers]
    kinds = [
        Markup(' class="number"') if cells and all(_MEASURED.fullmatch(str(cell)) for cell in cells) else ""
        for cells in columns
    ]
    return fragment(
        "table.html",
        caption=caption,
        headers=list(zip(headers, kinds, strict=True)),
        rows=[list(zip(row, kinds, strict=True)) for row in rows],
        wide=len(headers) > _FIT_A_PHONE,
    )


def _stream(
    title: str, sections: Sequence[Section], template: str, script: str, **values: Any
) -> Iterator[str]:
    style, code = _text("page.css"), _text(script) if script else Markup()
    # No address at all, and as styles and scripts these two texts only: a class named like a script is none.
    policy = (
        f"default-src 'none'; img-src data:; style-src {_hash(style)}; script-src {_hash(code)}; "
        "base-uri 'none'; form-action 'none'"
    )
    return _ENVIRONMENT.get_template(template).generate(
        title=title, sections=sections, policy=policy, style=style, script=code, **values
    )


def fragment(template: str, **values: Any) -> Markup:
    """A piece of a page, of a file in `templates`."""
    return Markup(_ENVIRONMENT.get_template(template).render(**values))


def _text(name: str) -> Markup:
    return Markup((resources.files("wbc.pages") / "templates" / name).read_text(encoding="utf-8"))


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _encoded(source: np.ndarray | Path | str, photograph: bool) -> tuple[str, tuple[int, int]]:
    # The data URI, and width and height in pixels.
    kind = "JPEG" if photograph else "PNG"
    try:
        with Image.fromarray(source) if isinstance(source, np.ndarray) else Image.open(source) as image:
            size = image.size
            if image.format == kind:
                data = Path(image.filename).read_bytes()  # type: ignore[attr-defined]
            else:
                buffer = io.BytesIO()
                image.convert("RGB").save(buffer, kind, quality=_JPEG_QUALITY, optimize=photograph)
                data = buffer.getvalue()
    except OSError as problem:
        raise DataError(
            f"{source}: cannot be shown on the page ({problem}); make the picture again"
        ) from problem
    return f"data:image/{kind.lower()};base64,{base64.b64encode(data).decode()}", size
