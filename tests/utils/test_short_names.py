from pathlib import Path

import pytest

from wbc.evaluating.compared_models import model_names
from wbc.utils.short_names import file_names, short_names, shortened


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
