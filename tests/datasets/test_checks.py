import logging
import os
import sqlite3
from contextlib import closing

import pytest

from tests.helpers.trees import data_config, picture, write_classes, write_image, write_splits
from wbc.datasets import check_cache, checks
from wbc.datasets.checks import examine_images
from wbc.datasets.manifest import build_manifest
from wbc.errors import DataError
from wbc.images.decode import pixel_hash
from wbc.images.thumbnail import thumbnail


@pytest.fixture
def cells(tmp_path):
    return [str(write_image(tmp_path / f"{seed}.png", picture(seed))) for seed in range(4)]


@pytest.fixture
def decoded(monkeypatch):
    """The paths that were really decoded."""
    paths = []
    real = checks.examine

    def noting(path):
        paths.append(path)
        return real(path)

    monkeypatch.setattr(checks, "examine", noting)
    return paths


def examine(cells, tmp_path):
    return examine_images(cells, str(tmp_path / "cache"), workers=0)


def test_hashes_and_reasons(cells, tmp_path):
    (tmp_path / "bad.png").write_text("no image")
    found = examine([*cells, str(tmp_path / "bad.png")], tmp_path)
    assert found.hashes == {path: pixel_hash(picture(seed)) for seed, path in enumerate(cells)}
    assert list(found.reasons) == [str(tmp_path / "bad.png")]


def test_unchanged_files_are_not_decoded_again(cells, tmp_path, decoded):
    first = examine(cells, tmp_path)
    assert decoded == cells
    decoded.clear()
    assert examine(cells, tmp_path) == first
    assert decoded == []


def test_a_file_that_changed_is_decoded_again(cells, tmp_path, decoded):
    examine(cells, tmp_path)
    decoded.clear()
    status = os.stat(cells[1])
    write_image(cells[1], picture(9))
    os.utime(cells[2], ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    found = examine(cells, tmp_path)
    assert decoded == [cells[1], cells[2]]
    assert found.hashes[cells[1]] == pixel_hash(picture(9))


@pytest.mark.parametrize("in_place", [True, False])
def test_a_file_of_equal_size_and_date_is_not_taken_for_the_one_before(tmp_path, decoded, in_place):
    """A BMP of another cell, copied over it with its date, kept the old one's check."""
    cell = write_image(tmp_path / "cell.bmp", picture(1))
    examine([str(cell)], tmp_path)
    before = os.stat(cell)
    written = write_image(cell if in_place else tmp_path / "other.bmp", picture(2))
    os.utime(written, ns=(before.st_atime_ns, before.st_mtime_ns))
    os.replace(written, cell)
    after = os.stat(cell)
    assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert examine([str(cell)], tmp_path).hashes[str(cell)] == pixel_hash(picture(2))


def test_another_decoder_decodes_again(cells, tmp_path, decoded, monkeypatch):
    examine(cells, tmp_path)
    decoded.clear()
    monkeypatch.setattr(check_cache, "DECODER", "another")
    examine(cells, tmp_path)
    assert decoded == cells


def test_a_cache_of_before_thumbnails_is_read_again(cells, tmp_path, decoded):
    first = examine(cells, tmp_path)
    with closing(sqlite3.connect(tmp_path / "cache" / "images.sqlite")) as store, store:
        store.execute("DROP TABLE thumbnail")
    decoded.clear()
    assert examine(cells, tmp_path) == first
    assert decoded == cells
    assert first.thumbnails_of(cells[:1]) == {first.hashes[cells[0]]: thumbnail(picture(0))}


def test_failures_are_not_remembered(tmp_path, decoded):
    (tmp_path / "bad.png").write_text("no image")
    for _ in range(2):
        assert examine([str(tmp_path / "bad.png")], tmp_path).reasons
    assert len(decoded) == 2


def _noise(file):
    file.write_bytes(b"no database at all" * 100)


def _damaged(file):
    content = bytearray(file.read_bytes())
    content[100:] = b"\xff" * (len(content) - 100)
    file.write_bytes(content)


@pytest.mark.parametrize("harm", [_noise, _damaged])
def test_a_damaged_cache_is_begun_anew_with_a_warning(cells, tmp_path, decoded, harm, caplog):
    first = examine(cells, tmp_path)
    harm(tmp_path / "cache" / "images.sqlite")
    decoded.clear()
    assert examine(cells, tmp_path) == first
    assert decoded == cells
    assert "images.sqlite is damaged" in caplog.text
    decoded.clear()
    assert examine(cells, tmp_path) == first
    assert decoded == []


def _folder_in_the_way(cache):
    (cache / "images.sqlite").mkdir(parents=True)


def _file_in_the_way(cache):
    cache.write_text("")


@pytest.mark.parametrize("block", [_folder_in_the_way, _file_in_the_way])
def test_without_a_cache_the_check_still_works(cells, tmp_path, block, caplog):
    block(tmp_path / "cache")
    assert len(examine(cells, tmp_path).hashes) == 4
    assert "cannot be used" in caplog.text


def test_several_processes_agree_with_one(tmp_path, monkeypatch):
    cells = [str(write_image(tmp_path / f"{seed}.png", picture(seed))) for seed in range(80)]
    (tmp_path / "bad.png").write_text("no image")
    cells.insert(40, str(tmp_path / "bad.png"))
    alone = examine_images(cells, str(tmp_path / "one"), workers=0)
    monkeypatch.setattr(checks, "_MIN_FOR_PROCESSES", 2)
    together = examine_images(cells, str(tmp_path / "two"), workers=2)
    assert together == alone
    assert (len(together.hashes), len(together.reasons)) == (80, 1)


def test_what_was_checked_before_an_interruption_is_remembered(cells, tmp_path, monkeypatch):
    monkeypatch.setattr(checks, "_REMEMBER_EVERY", 2)
    real = checks.examine

    def interrupted(path):
        if path == cells[3]:
            raise KeyboardInterrupt
        return real(path)

    monkeypatch.setattr(checks, "examine", interrupted)
    with pytest.raises(KeyboardInterrupt):
        examine(cells, tmp_path)
    stamps = {path: checks.stamp(path) for path in cells}
    hashes, _ = check_cache.recall(tmp_path / "cache" / "images.sqlite", stamps)
    assert set(hashes) == set(cells[:2])


# --- data.on_unreadable


def _with_bad_files(root, count):
    write_splits(root, train=3, val=1, test=1)
    for number in range(count):
        (root / "train" / "Basophil" / f"bad{number:02}.png").write_text("no image")


@pytest.mark.parametrize("count", [3, 25])
def test_all_bad_files_are_listed_at_once(tmp_path, count):
    _with_bad_files(tmp_path / "cells", count)
    with pytest.raises(DataError) as caught:
        build_manifest(data_config(tmp_path / "cells"), seed=0)
    message = str(caught.value)
    assert message.startswith(f"{count} of {25 + count} images cannot be used")
    assert message.count("no JPEG, PNG, BMP, TIFF or WebP") == count
    assert "data.on_unreadable=skip" in message


def test_bad_files_are_left_out_by_name_when_that_is_wanted(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    _with_bad_files(tmp_path / "cells", 2)
    frame = build_manifest(data_config(tmp_path / "cells", on_unreadable="skip"), seed=0)
    left_out = frame[frame["excluded"] != ""]
    assert [os.path.basename(path) for path in left_out["path"]] == ["bad00.png", "bad01.png"]
    assert left_out["excluded"].str.startswith("unreadable: no JPEG").all()
    assert "left out, unreadable: 2 images" in caplog.text
    assert "left out: 2 of 27 images" in caplog.text


def test_nothing_but_bad_files_is_an_error(tmp_path):
    write_classes(tmp_path / "cells", 1)
    for file in (tmp_path / "cells").rglob("*.png"):
        file.write_text("no image")
    with pytest.raises(DataError, match=r"all 5 images of .*cells are left out: unreadable"):
        build_manifest(data_config(tmp_path / "cells", on_unreadable="skip"), seed=0)
