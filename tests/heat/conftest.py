"""What was written into pictures."""

import pytest
from PIL import ImageDraw


@pytest.fixture
def written(monkeypatch):
    """All texts drawn, in order."""
    texts, inside = [], []
    draw = ImageDraw.ImageDraw.text

    def record(self, place, text, *rest, **options):
        if not inside:  # some releases of Pillow draw several lines by calling this for each
            texts.append(text)
        inside.append(text)
        draw(self, place, text, *rest, **options)
        inside.pop()

    monkeypatch.setattr(ImageDraw.ImageDraw, "text", record)
    return texts
