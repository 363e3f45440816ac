"""The cells of a new lab, where several are boxes of one photograph."""

import pytest

from tests.helpers.configs import composed_for
from tests.helpers.trees import picture, write_image
from wbc.adapting.lab_cells import REST, USED, cells_manifest
from wbc.errors import DataError
from wbc.labels import CLASSES, ClassNames
from wbc.settings.adapt import AdaptConfig


def config_of(table, *words):
    where = ["checkpoint=model.ckpt", f"data={table}", f"checks_dir={table.parent}/cache", "workers=0"]
    return composed_for("adapt", AdaptConfig, *where, *words)


def photographs(folder, count):
    lines = ["path,label,xmin,ymin,xmax,ymax"]
    for number in range(count):
        write_image(folder / f"{number}.png", picture(number, 40))
        lines += [f"{number}.png,{label},{8 * cell},0,{8 * cell + 8},9" for cell, label in enumerate(CLASSES)]
    (folder / "table.csv").write_text("\n".join(lines))
    return folder / "table.csv"


def test_what_is_left_to_measure_on_is_of_other_photographs(tmp_path, caplog):
    manifest = cells_manifest(config_of(photographs(tmp_path, 20), "per_class=2"), ClassNames(CLASSES))
    left_out = manifest["excluded"] != ""
    files = manifest["path"].str.partition("#")[0]
    used, rest = (set(files[(manifest["split"] == name) & ~left_out]) for name in (USED, REST))
    assert len(used) > 1
    assert len(rest) > 1
    assert not used & rest
    assert set(manifest["excluded"][left_out]) == {"in a photograph of which another box is adapted by"}
    assert f"left out: {left_out.sum()} boxes beside others of their photograph" in caplog.text


def test_cells_of_one_photograph_are_too_few(tmp_path):
    with pytest.raises(DataError, match="a class with two or more, in different photographs"):
        cells_manifest(config_of(photographs(tmp_path, 1)), ClassNames(CLASSES))
    assert len(cells_manifest(config_of(photographs(tmp_path, 2)), ClassNames(CLASSES))) == 10
