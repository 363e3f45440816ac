"""Public sets as they are downloaded: each loads by its command in the guide, or is refused with one."""

import re
import shlex
import subprocess

import pytest

from tests.helpers.configs import composed
from tests.helpers.copies import cell
from tests.helpers.documentation import DOCS, blocks, lines
from tests.helpers.printed import printed_word
from tests.helpers.trees import write_image
from wbc.datasets.manifest import build_manifest
from wbc.errors import DataError
from wbc.labels import CLASSES

FOUR = ("EOSINOPHIL", "LYMPHOCYTE", "MONOCYTE", "NEUTROPHIL")


def raabin():
    for folder, count in (("Train", 6), ("TestA", 1), ("TestB", 1)):
        for label in CLASSES:
            yield from (f"Raabin-WBC/{folder}/{label}/95-8-{n}-1_{n}_1.jpg" for n in range(count))


def pbc():
    prefixes = {"basophil": "BA", "eosinophil": "EO", "erythroblast": "ERB", "ig": "MMY"}
    prefixes |= {"lymphocyte": "LY", "monocyte": "MO", "neutrophil": "BNE", "platelet": "PLATELET"}
    for name, prefix in prefixes.items():
        yield from (f"PBC_dataset_normal_DIB/{name}/{prefix}_{1000 + 137 * n}.jpg" for n in range(4))


def lisc():
    for name in ("Baso", "eosi", "lymp", "mono", "neut", "mixt"):
        yield from (f"LISC Database/Main Dataset/{name}/{n}.bmp" for n in range(4))
        yield f"LISC Database/Ground Truth Segmentation/{name}/areaforonecell/1_expert.bmp"


def bccd_of_kaggle():
    yield from (f"dataset-master/dataset-master/JPEGImages/BloodImage_{n:05}.jpg" for n in range(2))
    for folder, count in (("TRAIN", 4), ("TEST", 1), ("TEST_SIMPLE", 1)):
        for name in FOUR:
            for n in range(count):
                for copy in (100 + n, 4000 + n):
                    yield f"dataset2-master/dataset2-master/images/{folder}/{name}/_{n}_{copy}.jpeg"


def cnmc():
    for fold in range(3):
        for name in ("all", "hem"):
            for person in (10 * fold, 10 * fold + 1):
                who = f"H{person}" if name == "hem" else f"{person}"
                yield f"C-NMC_training_data/fold_{fold}/{name}/UID_{who}_1_1_{name}.bmp"


LAYOUTS = {
    "Raabin-WBC": (raabin, set(CLASSES), {"train", "val", "test_a", "test_b"}),
    "PBC_dataset_normal_DIB": (pbc, set(CLASSES), {"train", "val", "test"}),
    "LISC Database/Main Dataset": (lisc, set(CLASSES), {"train", "val", "test"}),
    "dataset2-master": (bccd_of_kaggle, set(CLASSES[1:]), {"train", "val", "test", "test_simple"}),
    "C-NMC_training_data": (cnmc, {"all", "hem"}, {"train", "val", "test"}),
}
COMMANDS = [
    shlex.split(line)
    for block in blocks(DOCS / "guides" / "data.md")
    if block.heading == "Layouts of public sets"
    for line in lines(block)
]


def write_layout(folder, names):
    for seed, name in enumerate(names):
        write_image(folder / name, cell(seed, 32))


def read(tmp_path, words):
    """The manifest by the words that follow `wbc train`, whose folder lies in `tmp_path`."""
    here = [
        f'data.root="{tmp_path / word.removeprefix("data.root=")}"' if word.startswith("data.root=") else word
        for word in words
    ]
    return build_manifest(composed(*here, f"data.checks_dir={tmp_path}/cache", "data.workers=0").data, seed=0)


def test_every_layout_has_its_command():
    assert [words[3].removeprefix("data.root=") for words in COMMANDS] == list(LAYOUTS)


@pytest.mark.parametrize("words", COMMANDS, ids=[words[3] for words in COMMANDS])
def test_a_set_loads_with_the_command_of_the_page(tmp_path, words):
    names, classes, splits = LAYOUTS[words[3].removeprefix("data.root=")]
    write_layout(tmp_path, names())
    frame = read(tmp_path, words[2:])
    used = frame[frame["excluded"] == ""]
    assert (set(used["label"]), set(used["split"])) == (classes, splits)


@pytest.mark.parametrize(
    ("layout", "root", "keys"),
    [
        (pbc, "PBC_dataset_normal_DIB", ["data.ignore"]),
        (lisc, "LISC Database", ["data.root", "data.ignore"]),  # masks were proposed as the training set
        (bccd_of_kaggle, ".", ["data.ignore", "data.classes"]),
        (cnmc, "C-NMC_training_data", ["data.classes", "data.split_folders"]),  # folds were taken for classes
        (cnmc, ".", ["data.classes", "data.split_folders"]),
    ],
)
def test_without_it_what_is_printed_leads_there(tmp_path, layout, root, keys):
    write_layout(tmp_path, layout())
    words = ["data=folder", f"data.root={root}"]
    for key in keys:
        with pytest.raises(DataError) as refused:
            read(tmp_path, words)
        if key == "data.root":
            words = [words[0], printed_word(str(refused.value), key).replace('"', "")]
        else:
            words.append(printed_word(str(refused.value), key))
    assert {"train", "val"} < set(read(tmp_path, words)["split"])


BOXES = """<annotation><filename>{name}</filename>
<object><name>RBC</name><bndbox><xmin>2</xmin><ymin>2</ymin><xmax>14</xmax><ymax>14</ymax></bndbox></object>
<object><name>WBC</name><bndbox><xmin>16</xmin><ymin>16</ymin><xmax>30</xmax><ymax>30</ymax></bndbox></object>
</annotation>"""


@pytest.mark.parametrize("root", ["my bccd", "my bccd/BCCD"])
def test_boxes_in_xml_become_a_table_by_what_is_printed(tmp_path, root):
    """`data.aliases={Annotations: Neutrophil}` was proposed for BCCD."""
    there = tmp_path / "my bccd" / "BCCD"
    write_layout(there / "JPEGImages", [f"BloodImage_{n:05}.jpg" for n in range(12)])
    (there / "Annotations").mkdir()
    (there / "ImageSets" / "Main").mkdir(parents=True)
    for n in range(12):
        name = f"BloodImage_{n:05}"
        (there / "Annotations" / f"{name}.xml").write_text(BOXES.format(name=f"{name}.jpg"))
    with pytest.raises(DataError, match=r"boxes in XML.*labelled RBC, WBC") as refused:
        read(tmp_path, ["data=folder", f"data.root={root}"])
    command = re.search(r"python -c .* writes boxes\.csv", str(refused.value))[0].removesuffix(
        " writes boxes.csv"
    )
    subprocess.run(command, shell=True, check=True, cwd=tmp_path)
    frame = read(tmp_path, ["data=manifest", "data.root=boxes.csv", "data.classes=[RBC,WBC]"])
    assert frame["label"].value_counts().to_dict() == {"RBC": 12, "WBC": 12}
    assert frame["path"].str.contains("#xywh=").all()
    assert (frame.groupby("group")["split"].nunique() == 1).all()
