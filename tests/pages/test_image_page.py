"""Pages of images: each with its caption, none over another."""

import numpy as np
import pytest

from tests.helpers.figure_checks import LONG, overlapping, texts
from wbc.pages.image_page import image_page_figure

IMAGE = np.zeros((4, 4, 3), np.uint8)


def test_page_shows_every_image_with_its_caption() -> None:
    images = [np.full((8 + index, 12, 3), 10 * index, np.uint8) for index in range(7)]
    captions = [f"Neutrophil {index}" for index in range(7)]
    figure = image_page_figure(images, captions, "Augmented", columns=3)
    shown = [axes.images[0].get_array() for axes in figure.axes if axes.images]
    assert len(figure.axes) == 9
    assert all(np.array_equal(drawn, image) for drawn, image in zip(shown, images, strict=True))
    assert [axes.get_title() for axes in figure.axes[:7]] == captions
    assert "Augmented" in texts(figure)


@pytest.mark.parametrize(
    ("images", "captions", "columns", "message"),
    [
        ([], [], 3, "0 images"),
        ([IMAGE], ["a", "b"], 3, "2 captions"),
        ([IMAGE], ["a"], 0, "0 columns"),
        ([IMAGE, IMAGE.astype(float)], ["a", "b"], 3, r"image 1 \(b\) is float64"),
        ([IMAGE[..., 0]], ["grey"], 3, r"image 0 \(grey\) is uint8 \(4, 4\)"),
    ],
)
def test_page_refuses_what_is_no_image(images: list, captions: list, columns: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        image_page_figure(images, captions, "", columns)


def test_no_text_covers_another() -> None:
    assert overlapping(image_page_figure([IMAGE] * 12, LONG, "Augmented training samples", 6)) == []
