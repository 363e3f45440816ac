from pathlib import Path

import pytest

from wbc.evaluating.compared_models import model_names
from wbc.utils.short_names import file_names, names_below, short_names, shortened


@pytest.mark.parametrize(
    ("paths", "options", "expected"),
    [
        (["/a/jtsc"], {}, ["jtsc"]),
        (["/a/x/val", "/a/y/val", "/a/z"], {}, ["x/val", "y/val", "z"]),
        (["/a/c/x", "/b/c/x", "/b/d/x"], {}, ["a/c/x", "b/c/x", "d/x"]),
        (["/a/jtsc/images"], {"vague": ("images",)}, ["jtsc/images"]),
        (["/pbc/test"], {"taken": ("test",)}, ["pbc/test"]),
        (["/a", "/a"], {}, ["/a", "/a"]),
    ],
)
def test_names_are_as_short_as_they_may_be(paths, options, expected):
    assert [
        name.replace("//", "/") for name in short_names([Path(path) for path in paths], **options)
    ] == expected


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["/home/me/cells/A/1.png", "/home/me/cells/B/1.png"], ("A/1.png", "B/1.png")),
        (["/home/me/cells/A/1.png", "/home/me/cells/A/2.png"], ("1.png", "2.png")),
        (["/home/me/field.png#xywh=1,2,3,4"], ("field.png#xywh=1,2,3,4",)),
        (["/home/me/A/1.png", "/mnt/you/A/2.png"], ("A/1.png", "A/2.png")),
        (["/home/me/A/1.png", "/mnt/you/A/1.png"], ("me/A/1.png", "you/A/1.png")),
        (["/1.png", "/mnt/2.png"], ("1.png", "mnt/2.png")),
    ],
)
def test_names_below_leave_out_the_folders_of_a_machine(paths, expected):
    assert names_below(paths) == expected


def test_several_drives_share_no_folder(monkeypatch):
    def refused(paths):
        raise ValueError("Paths don't have the same drive")

    monkeypatch.setattr("os.path.commonpath", refused)
    assert names_below(["/home/me/A/1.png", "/home/me/B/1.png"]) == ("A/1.png", "B/1.png")


def test_files_have_names_of_their_own():
    assert file_names(["a/b", "a_b", "a b", "Ä", "..", "test"]) == {
        "a/b": "a_b",
        "a_b": "a_b_2",
        "a b": "a_b_3",
        "Ä": "Ä",
        "..": "set",
        "test": "test",
    }


def test_the_phases_of_a_run_are_called_so(tmp_path):
    (tmp_path / "run" / "checkpoints" / "finetune").mkdir(parents=True)
    head = tmp_path / "run" / "checkpoints" / "head" / "best.ckpt"
    final = tmp_path / "run" / "model.ckpt"
    assert model_names([head, final]) == ["without fine-tuning", "with fine-tuning"]
    assert model_names([final, head]) == ["with fine-tuning", "without fine-tuning"]
    assert model_names([tmp_path / "other" / "model.ckpt", final]) == ["other/model.ckpt", "run/model.ckpt"]


def test_a_long_name_keeps_its_start_and_more_of_its_end():
    name = f"slide_{'x' * 90}_0001.png"
    short = shortened(name)
    assert len(short) == 60
    assert short.startswith("slide_")
    assert short.endswith("x_0001.png")
    assert shortened(name[-60:]) == name[-60:]
