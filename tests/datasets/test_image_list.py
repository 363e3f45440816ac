"""The list of images on disk: every way to name them, and memory that does not grow."""

import os
import shutil
import tracemalloc
from pathlib import Path

import pytest

from tests.helpers.trees import picture, write_image
from wbc.datasets.find_images import find_images
from wbc.datasets.image_list import ImageList, Listed, write_list
from wbc.errors import DataError
from wbc.labels import CLASSES, ClassNames


@pytest.fixture
def tree(tmp_path) -> Path:
    for name in ("b/2.png", "a/1.JPG", "a/deep/3.tif", "a/.hidden.png", ".cache/4.png", "a/notes.txt"):
        (tmp_path / "cells" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "cells" / name).touch()
    return tmp_path / "cells"


def listed(given: str | Path, tmp_path: Path, group: str | None = None) -> list[Listed]:
    file = tmp_path / "list.jsonl"
    write_list(str(given), group, file)
    images = ImageList(file, 2)
    found = [image for number in range(len(images)) for image in images.batch(number)]
    assert len(found) == images.images
    return found


def test_a_folder_in_order_without_hidden_files(tree, tmp_path):
    expected = [("a/1.JPG", "a"), ("a/deep/3.tif", "a/deep"), ("b/2.png", "b")]
    assert listed(tree, tmp_path, "folder") == [Listed(f"{tree}/{name}", group) for name, group in expected]


def test_a_folder_with_signs_of_patterns_in_its_name_is_found_by_a_pattern_below_it(tmp_path):
    """ "run[1]/*.jpg" found nothing, though the folder is there."""
    cells = [
        str(write_image(tmp_path / "run[1]" / "a*b" / f"{number}.png", picture(number))) for number in (1, 2)
    ]
    write_image(tmp_path / "run1" / "a*b" / "3.png", picture(3))
    assert sorted(listed(f"{tmp_path}/run[1]/a*b/*.png", tmp_path)) == [Listed(cell, "") for cell in cells]
    found = find_images(f"{tmp_path}/run[1]/**/*.png", ClassNames(CLASSES), tmp_path / "model.ckpt")
    assert found["path"].tolist() == cells
    shutil.rmtree(tmp_path / "run[1]")
    assert listed(f"{tmp_path}/run[1]/*/*.png", tmp_path) == [Listed(f"{tmp_path}/run1/a*b/3.png", "")]


def test_a_pattern_an_image_and_lists_name_the_same(tree, tmp_path):
    one = Listed(f"{tree}/a/1.JPG", "")
    assert listed(f"{tree}/**/1.*", tmp_path) == [one]
    assert listed(tree / "a/1.JPG", tmp_path) == [one]
    (tree / "list.txt").write_text("\ufeffa/1.JPG\n\n")
    assert listed(tree / "list.txt", tmp_path) == [one]
    (tree / "list.csv").write_text("slide,path\nS 7,a/1.JPG\n")
    assert listed(tree / "list.csv", tmp_path) == [one]
    assert listed(tree / "list.csv", tmp_path, "slide") == [Listed(one.path, "S 7")]
    assert listed(tree / "list.csv", tmp_path, "folder") == [Listed(one.path, "a")]


def test_names_of_any_bytes_and_line_breaks_survive(tmp_path):
    folder = tmp_path / "cells"
    folder.mkdir()
    names = [b"line\nbreak.png", b"\xff\xfe.png", "Zelle ä.png".encode()]
    for name in names:
        (Path(str(folder)) / name.decode(errors="surrogateescape")).touch()
    found = listed(folder, tmp_path)
    assert {Path(image.path).name.encode(errors="surrogateescape") for image in found} == set(names)


def test_links_are_followed_once_and_what_is_passed_over_is_told(tree, tmp_path, caplog):
    """predict.py passed over linked folders and other files without a word; copies of a NAS were cells."""
    caplog.set_level("INFO", "wbc")
    for name in ("far/5.webp", "far/6.jfif"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tree / "linked").symlink_to(tmp_path / "far")
    (tree / "far_again").symlink_to(tmp_path / "far")
    (tree / "loop").symlink_to(tree)
    for folder in ("@eaDir", "#recycle", "__MACOSX", "lost+found", "Thumbnails"):
        (tree / folder).mkdir()
        (tree / folder / "1.JPG").touch()
    found = [Path(image.path).relative_to(tree).as_posix() for image in listed(tree, tmp_path)]
    assert found == ["a/1.JPG", "a/deep/3.tif", "b/2.png", "far_again/5.webp", "far_again/6.jfif"]
    assert "5 passed over (made by the system)" in caplog.text
    assert "2 passed over (hidden)" in caplog.text
    assert f"1 passed over (not an image by suffix): {tree}/a/notes.txt" in caplog.text


def test_a_folder_that_may_not_be_read_is_no_empty_one(tree, tmp_path, monkeypatch):
    def scandir(path):
        if str(path).endswith("deep"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    real = os.scandir
    monkeypatch.setattr("os.scandir", scandir)
    with pytest.raises(DataError, match=r"a/deep: Permission denied; mend"):
        listed(tree, tmp_path)


def test_an_image_that_is_listed_three_times_counts_once(tree, tmp_path, caplog):
    (tree / "list.txt").write_text("a/1.JPG\nb/2.png\na/1.JPG\na/../a/1.JPG\n")
    assert [Path(one.path).name for one in listed(tree / "list.txt", tmp_path)] == ["1.JPG", "2.png"]
    assert "2 rows name an image that stands above" in caplog.text
    (tree / "list.csv").write_text("path,slide\na/1.JPG,1\na/1.JPG,2\n")
    with pytest.raises(DataError, match=r"1\.JPG stands in the groups '1' and '2': .*leave out group="):
        listed(tree / "list.csv", tmp_path, "slide")
    assert len(listed(tree / "list.csv", tmp_path)) == 1


@pytest.mark.parametrize(
    ("given", "content", "group", "message"),
    [
        ("nothing", None, None, "no such file or folder"),
        ("empty/", None, None, "nothing that ends in"),
        ("list.csv", "file\na.png\n", None, "lacks the columns path; its header is 'file'"),
        ("list.csv", "path\na.png\n", "slide", "lacks the columns slide"),
        ("list.csv", "path,slide\na.png,1\n ,1\n", None, "line 3: no path"),
        ("list.txt", "a.png\n", "slide", "only a table has columns"),
        ("list.txt", "\n", None, "the list has no rows"),
        ("list.csv", "path\n", None, "the list has no rows"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path, given, content, group, message):
    if given == "empty/":
        (tmp_path / given).mkdir()
    elif content is not None:
        (tmp_path / given).write_text(content)
    with pytest.raises(DataError, match=message):
        write_list(str(tmp_path / given), group, tmp_path / "list.jsonl")
    assert not (tmp_path / "list.jsonl").exists()


def test_memory_does_not_hold_the_names(tmp_path):
    count = 50_000
    names = (f"a_rather_long_folder/{number:06d}.png\n" for number in range(count))
    (tmp_path / "list.txt").write_text("".join(names))
    tracemalloc.start()
    write_list(str(tmp_path / "list.txt"), None, tmp_path / "list.jsonl")
    images = ImageList(tmp_path / "list.jsonl", 32)
    last = images.batch(len(images) - 1)[-1]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert images.images == count
    assert last.path.endswith(f"{count - 1:06d}.png")
    assert peak < count * 20  # bytes; the names alone are twice as long
