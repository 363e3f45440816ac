"""That text is taken as it is, and that files appear whole."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wbc.pages.figure_style import save_figure
from wbc.pages.image_page import image_page_figure
from wbc.report.confusion_figure import confusion_matrix_figure

IMAGE = np.zeros((4, 4, 3), np.uint8)


def test_dollars_in_names_are_no_formulas(tmp_path: Path) -> None:
    figure = image_page_figure([IMAGE], [r"a$\frac$.jpg"], "$^$", 1)
    save_figure(figure, tmp_path / "page.png")
    save_figure(
        confusion_matrix_figure([[1, 0], [0, 1]], ["$^$", "B"], r"$\bad$"), tmp_path / "confusion.png"
    )


def test_saving_replaces_whole_files_and_leaves_nothing_beside(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "figures" / "page.png"
    figure = image_page_figure([IMAGE], ["a"], "", 1)
    save_figure(figure, path)
    with Image.open(path) as image:
        assert image.format == "PNG"
        assert image.info["dpi"] == pytest.approx((180, 180), abs=0.1)
    before = path.read_bytes()

    def half(target, **_: object) -> None:
        Path(target).write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(figure, "savefig", half)
    with pytest.raises(OSError, match="disk full"):
        save_figure(figure, path)
    assert path.read_bytes() == before
    assert sorted(path.parent.iterdir()) == [path, path.with_suffix(".svg")]


def test_equal_figures_give_equal_files(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save_figure(confusion_matrix_figure([[1, 0], [0, 1]], ["A", "B"], ""), tmp_path / f"{name}.png")
    for suffix in ("png", "svg"):
        assert (tmp_path / f"a.{suffix}").read_bytes() == (tmp_path / f"b.{suffix}").read_bytes()
    assert "<dc:date>" not in (tmp_path / "a.svg").read_text()


def test_untrimmed_figures_keep_their_size(tmp_path: Path) -> None:
    figure = image_page_figure([IMAGE], ["a"], "", 1)
    save_figure(figure, tmp_path / "page.png", trim=False)
    with Image.open(tmp_path / "page.png") as image:
        assert image.size == pytest.approx(figure.get_size_inches() * 180, abs=1)


def test_a_figure_is_named_by_its_png(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"page\.pdf should end in \.png"):
        save_figure(image_page_figure([IMAGE], ["a"], "", 1), tmp_path / "page.pdf")
