"""The pairs of near-copies, where a user looks for them."""

import pandas as pd
from PIL import Image

from tests.helpers.configs import composed
from tests.helpers.copies import cell, resized
from tests.helpers.trees import write_image
from wbc.labels import CLASSES
from wbc.training.manifest import run_manifest_of


def test_a_run_lists_and_shows_them(tmp_path):
    root = tmp_path / "cells"
    for number in range(30):
        write_image(root / CLASSES[number % 5] / f"{number}.png", cell(number))
    given = ["data=folder", f"data.root={root}", f"data.checks_dir={tmp_path}", "data.workers=0"]
    run_manifest_of(composed(*given), tmp_path / "without")
    assert not (tmp_path / "without" / "near_copies.csv").exists()
    write_image(root / CLASSES[0] / "copy.png", resized(cell(0), 0.5))
    run_manifest_of(composed(*given), tmp_path / "run")
    table = pd.read_csv(tmp_path / "run" / "near_copies.csv")
    assert {table["path"][0], table["copy"][0]} == {
        str(root / CLASSES[0] / f"{name}.png") for name in (0, "copy")
    }
    with Image.open(tmp_path / "run" / "figures" / "near_copies.png") as page:
        assert page.width > 300
