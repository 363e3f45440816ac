"""Synthetic cells: drawn the same each time, shaped like their class, and written as an honest data set."""

import hashlib
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from wbc.errors import ConfigError, DataError
from wbc.images.masks import MASK_CYTOPLASM, MASK_NUCLEUS
from wbc.labels import CLASSES
from wbc.synthetic import dataset
from wbc.synthetic.background import draw_background
from wbc.synthetic.dataset import dataset_key, write_dataset, write_random_labs
from wbc.synthetic.detailed import DETAILED
from wbc.synthetic.draw import LABS, draw_cell
from wbc.synthetic.labs import TRAIN_LABS, random_lab, smear_of
from wbc.synthetic.nuclei import notched
from wbc.synthetic.plan import RAABIN_COUNTS, class_counts, items_of_random_labs
from wbc.synthetic.schematic import CELL_REACH_UM, DRAWINGS, Drawing
from wbc.synthetic.shapes import Sheet
from wbc.synthetic.varied import SMOOTH, VARIANTS

SMALL = {"images_per_class": 6, "train_labs": ["lab_a", "lab_b"], "unseen_labs": ["lab_e"], "size_px": 48}


@pytest.fixture(scope="module")
def small_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("synthetic"), **SMALL, seed=0)


def sheets_of_cells(label: str, count: int = 60, drawings: dict = DRAWINGS) -> list:
    sheet = Sheet(2 * int(CELL_REACH_UM * 5), 5.0)
    return [drawings[label](sheet, np.random.default_rng(number)) for number in range(count)]


def areas_um2(label: str, drawings: dict = DRAWINGS) -> np.ndarray:
    """(N, 2) areas of cell and nucleus."""
    cells = sheets_of_cells(label, drawings=drawings)
    return np.array([[(cell.body > 127).sum() / 25, (cell.nucleus > 127).sum() / 25] for cell in cells])


def solidities(label: str, drawings: dict = DRAWINGS) -> np.ndarray:
    """(N,) of nuclei, area over convex hull by OpenCV: 1 where nothing bends inwards."""
    values = []
    for cell in sheets_of_cells(label, drawings=drawings):
        points = cv2.findNonZero((cell.nucleus > 127).astype(np.uint8))
        values.append(len(points) / cv2.contourArea(cv2.convexHull(points)))
    return np.array(values)


def contents(folder: Path) -> dict[str, str]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.md5(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.parametrize("label", CLASSES)
@pytest.mark.parametrize("lab", LABS)
def test_drawing_is_repeatable_and_has_image_and_mask_of_the_asked_size(label: str, lab: str) -> None:
    image, mask = draw_cell(label, LABS[lab], np.random.default_rng(5), size_px=96)
    again, mask_again = draw_cell(label, LABS[lab], np.random.default_rng(5), size_px=96)
    other, _ = draw_cell(label, LABS[lab], np.random.default_rng(6), size_px=96)
    assert (image.shape, image.dtype, mask.shape, mask.dtype) == ((96, 96, 3), np.uint8, (96, 96), np.uint8)
    assert np.array_equal(image, again)
    assert np.array_equal(mask, mask_again)
    assert not np.array_equal(image, other)
    assert set(np.unique(mask)) == {0, MASK_CYTOPLASM, MASK_NUCLEUS}


@pytest.mark.parametrize("lab", LABS)
@pytest.mark.parametrize("size_px", [32, 131, 224])
def test_a_cell_lies_near_the_middle_whole_in_the_image(lab: str, size_px: int) -> None:
    for number in range(12):
        label = CLASSES[number % len(CLASSES)]
        _, mask = draw_cell(label, LABS[lab], np.random.default_rng(number), size_px)
        rows, columns = np.nonzero(mask)
        assert abs(np.array([rows.mean(), columns.mean()]) / size_px - 0.5).max() < 0.12
        # The widest monocyte of the closest lab may touch the edge with a bulge, never with a side.
        edge = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
        assert (edge > 0).mean() < 0.15


def test_the_mask_marks_the_nucleus_where_the_image_is_purple() -> None:
    """Independent of the drawing order: nuclei take up green light more than cytoplasm does."""
    for number in range(10):
        image, mask = draw_cell("Lymphocyte", LABS["lab_a"], np.random.default_rng(number))
        green = image[..., 1].astype(float)
        assert green[mask == MASK_NUCLEUS].mean() < green[mask == MASK_CYTOPLASM].mean() - 15
        assert green[mask == MASK_CYTOPLASM].mean() < np.percentile(green[mask == 0], 90)


# Usual diameters on a stained film, a micrometre of slack at the upper end.
@pytest.mark.parametrize(
    ("label", "low_um", "high_um"),
    [
        ("Basophil", 10, 16),
        ("Eosinophil", 11, 17),
        ("Lymphocyte", 8, 16),
        ("Monocyte", 12, 20),
        ("Neutrophil", 11, 16),
    ],
)
def test_cells_have_the_diameters_of_their_class(label: str, low_um: float, high_um: float) -> None:
    diameters = 2 * np.sqrt(areas_um2(label)[:, 0] / np.pi)
    assert low_um <= diameters.min()
    assert diameters.max() <= high_um


def test_nuclei_lie_in_their_cells_and_classes_differ_as_they_should() -> None:
    areas = {label: areas_um2(label) for label in CLASSES}
    share = {label: (a[:, 1] / a[:, 0]).mean() for label, a in areas.items()}
    for label in CLASSES:
        assert all((cell.nucleus <= cell.body).all() for cell in sheets_of_cells(label, 10)), label
        assert (areas[label][:, 1] > 0.1 * areas[label][:, 0]).all(), label
    assert areas["Monocyte"][:, 0].mean() > 1.5 * areas["Lymphocyte"][:, 0].mean()
    assert share["Lymphocyte"] == max(share.values())
    assert share["Neutrophil"] < 0.45


def test_nuclei_have_their_shape_whatever_the_colour() -> None:
    """Lymphocytes convex, neutrophils and monocytes bent."""
    lymphocyte, monocyte, neutrophil = (
        solidities(label).mean() for label in ("Lymphocyte", "Monocyte", "Neutrophil")
    )
    assert lymphocyte > 0.97
    assert neutrophil < monocyte < lymphocyte - 0.03
    assert neutrophil < 0.85


@pytest.mark.parametrize("label", ["Eosinophil", "Lymphocyte", "Monocyte", "Neutrophil"])
def test_smooth_variants_have_whole_nuclei_and_more_sizes(label: str) -> None:
    cells = sheets_of_cells(label, drawings=SMOOTH)
    assert all((cell.nucleus <= cell.body).all() for cell in cells)
    usual, wider = areas_um2(label), areas_um2(label, SMOOTH)
    assert (wider[:, 1] > 0.2 * wider[:, 0]).all()
    assert (np.log(wider).std(axis=0) > 1.05 * np.log(usual).std(axis=0)).all()  # of cell and nucleus


@pytest.mark.parametrize("drawings", [SMOOTH, DETAILED])
def test_variants_have_more_forms(drawings: dict[str, Drawing]) -> None:
    """Lymphocytes with a bend in the nucleus, monocytes that it fills nearly as it does a lymphocyte."""
    assert solidities("Lymphocyte", drawings).std() > 2 * solidities("Lymphocyte").std()
    usual, wider = (areas_um2("Monocyte", one) for one in (DRAWINGS, drawings))
    assert (wider[:, 1] / wider[:, 0]).max() > (usual[:, 1] / usual[:, 0]).max() + 0.2


@pytest.mark.parametrize("label", CLASSES)
def test_detailed_cells_lie_whole_on_their_sheet_with_their_nucleus_inside(label: str) -> None:
    for cell in sheets_of_cells(label, 60, DETAILED):
        assert cell.nucleus.any()
        assert (cell.nucleus <= cell.body).all()
        assert (cell.dyes >= 0).all()
        edges = cell.body.copy()
        edges[1:-1, 1:-1] = 0
        assert not edges.any()


def test_detailed_cells_keep_the_marks_of_their_class() -> None:
    nuclei = {label: solidities(label, DETAILED).mean() for label in ("Lymphocyte", "Monocyte", "Neutrophil")}
    assert nuclei["Lymphocyte"] > 0.95
    assert nuclei["Neutrophil"] < nuclei["Monocyte"] < nuclei["Lymphocyte"]
    red = {
        label: np.mean(
            [
                cell.dyes[1][(cell.body > 250) & (cell.nucleus == 0)].mean()
                for cell in sheets_of_cells(label, 60, DETAILED)
            ]
        )
        for label in ("Eosinophil", "Neutrophil")
    }
    assert red["Eosinophil"] > 2 * red["Neutrophil"]


def test_every_class_is_drawn_smooth_and_in_detail() -> None:
    for label in CLASSES:
        kinds = set()
        for seed in range(20):
            sheet = Sheet(120, 6.0)
            one = VARIANTS[label](sheet, np.random.default_rng(seed))
            for kind, drawings in (("smooth", SMOOTH), ("detailed", DETAILED)):
                rng = np.random.default_rng(seed)
                rng.random()  # the coin
                if np.array_equal(drawings[label](sheet, rng).dyes, one.dyes):
                    kinds.add(kind)
        assert kinds == {"smooth", "detailed"}, label


def test_a_notch_takes_a_dent_out_of_the_edge() -> None:
    sheet = Sheet(120, 6.0)
    nucleus = sheet.blank()
    sheet.discs(nucleus, np.zeros((1, 2)), np.array([5.0]))
    for number in range(20):
        dented = notched(sheet, np.random.default_rng(number), nucleus, 5.0)
        lost = ((nucleus > 127) & (dented <= 127)).sum() / (nucleus > 127).sum()
        assert 0.002 < lost < 0.12
        assert (dented <= nucleus).all()
        assert dented[60, 60] == 255


def test_basophil_granules_lie_over_the_nucleus_and_eosinophil_granules_do_not() -> None:
    def azure_spread(label: str) -> float:
        cells = sheets_of_cells(label, 30)
        return float(np.mean([cell.dyes[0][cell.nucleus == 255].std() for cell in cells]))

    def eosin_beside_nucleus(label: str) -> float:
        cells = sheets_of_cells(label, 30)
        return float(
            np.mean([cell.dyes[1][(cell.body == 255) & (cell.nucleus == 0)].mean() for cell in cells])
        )

    assert azure_spread("Basophil") > 1.2 * azure_spread("Eosinophil")
    assert eosin_beside_nucleus("Eosinophil") > 1.5 * eosin_beside_nucleus("Neutrophil")
    for cell in sheets_of_cells("Eosinophil", 10):
        assert cell.dyes[1][cell.nucleus == 255].max() == 0


def test_the_background_is_drawn_without_knowing_the_class() -> None:
    """Red cells make room for the cell; beyond that, the same dyes for the same random numbers."""
    sheet = Sheet(200, 6.0)
    centre = np.zeros((1, 2))
    small, large = (
        draw_background(sheet, np.random.default_rng(1), centre, [radius]) for radius in (4.0, 9.0)
    )
    y, x = (np.mgrid[:200, :200] - 99.5) / 6.0
    assert large[1][np.hypot(x, y) < 6.5].max() == 0
    assert small[1].max() > 0
    assert large[1].max() > 0


def test_labs_differ_in_everything_that_a_lab_can_differ_in() -> None:
    assert len(LABS) >= 5
    assert all(lab.name == name for name, lab in LABS.items())
    for field in ("azure", "eosin", "background", "field_um", "blur_um", "noise", "jpeg_quality"):
        assert len({getattr(lab, field) for lab in LABS.values()}) == len(LABS), field


def test_a_smear_is_its_lab_a_little_off() -> None:
    lab = LABS["lab_a"]
    one, other = smear_of(lab, np.random.default_rng(0)), smear_of(lab, np.random.default_rng(1))
    assert one == smear_of(lab, np.random.default_rng(0))
    assert one.azure != other.azure
    assert (one.field_um, one.jpeg_quality) == (lab.field_um, lab.jpeg_quality)
    np.testing.assert_allclose(one.azure, lab.azure, rtol=0.3)


@pytest.mark.parametrize(("mean", "least"), [(150, 37), (50, 25), (4, 4), (1, 4), (1000, 250)])
def test_class_counts_keep_sum_floor_and_order(mean: int, least: int) -> None:
    counts = class_counts(mean, least)
    assert list(counts) == list(CLASSES)
    assert sum(counts.values()) == len(CLASSES) * max(mean, least)
    assert min(counts.values()) >= least
    for label in CLASSES:  # what is above the floor has Raabin-WBC's shares
        share = RAABIN_COUNTS[label] / sum(RAABIN_COUNTS.values())
        assert abs(counts[label] - least - share * len(CLASSES) * max(0, mean - least)) <= 1


def test_the_manifest_lists_every_image_with_its_mask(small_set: Path) -> None:
    table = pd.read_csv(small_set)
    folder = small_set.parent
    assert list(table) == ["path", "label", "split", "group", "source"]
    on_disk = sorted(path.relative_to(folder).as_posix() for path in folder.glob("images/*/*/*.png"))
    assert sorted(table.path) == on_disk
    assert Counter(table.split) == {"train": 30, "val": 20, "test": 20, "test_other_lab": 20}
    for row in table.itertuples():
        assert row.path.startswith(f"images/{row.split}/{row.label}/")
        assert row.group.startswith(f"{row.source}-smear_")
        assert cv2.imread(str(folder / row.path)).shape == (48, 48, 3)
        mask = cv2.imread(str(folder / row.path.replace("images/", "masks/")), cv2.IMREAD_UNCHANGED)
        assert set(np.unique(mask)) == {0, MASK_CYTOPLASM, MASK_NUCLEUS}


def test_no_smear_and_no_picture_is_in_two_splits_and_unseen_labs_stay_unseen(small_set: Path) -> None:
    table = pd.read_csv(small_set)
    assert (table.groupby("group").split.nunique() == 1).all()
    for kind in ("images", "masks"):  # masks: the same cell under another stain counts as the same
        files = [small_set.parent / path.replace("images/", f"{kind}/") for path in table.path]
        assert len({hashlib.md5(file.read_bytes()).hexdigest() for file in files}) == len(files)
    assert set(table[table.split == "test_other_lab"].source) == {"lab_e"}
    assert set(table[table.split != "test_other_lab"].source) == {"lab_a", "lab_b"}
    # Every lab shows every class, or the lab would give the class away.
    assert (table[table.split == "train"].groupby("label").source.nunique() == 2).all()


def test_a_written_picture_is_the_drawn_one_in_rgb(tmp_path: Path) -> None:
    """Glass of lab_e is yellow: red far above blue. Channels swapped on the way to disk would show here."""
    manifest = write_dataset(tmp_path, 1, ["lab_e"], [], seed=0, size_px=48)
    blue, _, red = cv2.imread(str(next(manifest.parent.glob("images/train/*/*.png")))).reshape(-1, 3).mean(0)
    assert red > blue + 30


def test_random_labs_show_every_class_alike_and_each_once(tmp_path: Path) -> None:
    table = pd.read_csv(write_random_labs(tmp_path, 7, CLASSES[:3], seed=0, size_px=48))
    counts = class_counts(7, 4)
    assert Counter(table.label) == {label: counts[label] for label in CLASSES[:3]}
    assert set(table.split) == {"train"}
    assert (table.groupby("group").label.nunique()[: min(counts.values())] == 3).all()  # as far as they go
    items = list(items_of_random_labs(40, CLASSES))
    labs = {item.smear: dataset._smear(item, 0) for item in items}
    assert all(dataset._smear(item, 0) == labs[item.smear] for item in items)
    assert len(set(labs.values())) == max(class_counts(40, 10).values())


def test_random_labs_reach_beyond_the_labs_they_are_mixed_of() -> None:
    labs = [random_lab(np.random.default_rng(number)) for number in range(300)]
    for dye in ("azure", "eosin", "blue"):
        known = np.array([getattr(LABS[name], dye) for name in TRAIN_LABS])
        made = np.array([getattr(lab, dye) for lab in labs])
        assert (made.min(0) < known.min(0)).all()
        assert (made.max(0) > known.max(0)).all()
        assert made.min() > 0.03  # no dye is invisible
    glass = np.array([lab.background for lab in labs])
    assert 100 < glass.min() < glass.max() < 255


def test_random_labs_are_found_again_and_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = [(4, CLASSES, 0, 48), (5, CLASSES, 0, 48), (4, CLASSES[1:], 0, 48), (4, CLASSES, 1, 48)]
    asked.append((4, CLASSES, 0, 50))
    tables = [write_random_labs(tmp_path, *one) for one in asked]
    assert len(set(tables)) == len(asked)
    monkeypatch.setattr(dataset, "draw_cell", None)
    assert [write_random_labs(tmp_path, *one) for one in asked] == tables
    with pytest.raises(ConfigError, match="images_per_class is 0"):
        write_random_labs(tmp_path, 0, CLASSES, 0)


def test_without_unseen_labs_there_is_no_split_of_theirs(tmp_path: Path) -> None:
    table = pd.read_csv(write_dataset(tmp_path, 1, ["lab_a"], [], seed=0, size_px=32))
    assert set(table.split) == {"train", "val", "test"}


def test_pictures_do_not_depend_on_the_number_of_processes(small_set: Path, tmp_path: Path) -> None:
    two = write_dataset(tmp_path, **SMALL, seed=0, workers=2)
    assert contents(two.parent) == contents(small_set.parent)


def test_a_whole_set_is_reused(small_set: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset, "draw_cell", None)
    assert write_dataset(small_set.parents[1], **SMALL, seed=0) == small_set


def test_a_killed_build_is_not_taken_for_a_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []

    def killed(*arguments: object) -> tuple[np.ndarray, np.ndarray]:
        drawn.append(arguments)
        if len(drawn) > 20:
            raise KeyboardInterrupt
        return draw_cell(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(dataset, "draw_cell", killed)
        patch.setattr(dataset.shutil, "rmtree", lambda *_, **__: None)  # kill -9 cleans nothing up
        with pytest.raises(KeyboardInterrupt):
            write_dataset(tmp_path, 1, ["lab_a"], [], seed=0, size_px=32)
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith(".")] == []
    manifest = write_dataset(tmp_path, 1, ["lab_a"], [], seed=0, size_px=32)
    assert len(pd.read_csv(manifest)) == len(list(manifest.parent.glob("images/*/*/*.png"))) == 60


def test_a_failed_build_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset, "draw_cell", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_dataset(tmp_path, 1, ["lab_a"], [], seed=0, size_px=32)
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"drawn cells cannot be kept in .*file \(Not a directory\)"):
        write_random_labs(tmp_path / "file", 1, CLASSES, seed=0, size_px=32)


def test_a_set_that_another_process_finished_first_is_kept(small_set: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "set", tmp_path / ".set.part"
    for folder, text in ((first, "first"), (second, "second")):
        folder.mkdir()
        (folder / "manifest.csv").write_text(text)
    dataset._move_into_place(second, first)
    assert (first / "manifest.csv").read_text() == "first"


def test_the_key_changes_with_every_parameter(monkeypatch: pytest.MonkeyPatch) -> None:
    def keys() -> list[str]:
        return [
            dataset_key(10, ["lab_a"], [], 0, 64),
            dataset_key(11, ["lab_a"], [], 0, 64),
            dataset_key(10, ["lab_b"], [], 0, 64),
            dataset_key(10, ["lab_a", "lab_b"], [], 0, 64),
            dataset_key(10, ["lab_a"], ["lab_b"], 0, 64),
            dataset_key(10, ["lab_a"], [], 1, 64),
            dataset_key(10, ["lab_a"], [], 0, 65),
        ]

    before = keys()
    monkeypatch.setattr(dataset, "DRAWING_VERSION", -1)
    assert len({*before, *keys()}) == 2 * len(before)


@pytest.mark.parametrize("version", ["DRAWING_VERSION", "RANDOM_LABS_VERSION"])
def test_cells_of_random_labs_are_drawn_again_when_the_drawing_changes(
    tmp_path, monkeypatch, version
) -> None:
    before = write_random_labs(tmp_path, 1, CLASSES, seed=0, size_px=32)
    monkeypatch.setattr(dataset, version, -1)
    assert write_random_labs(tmp_path, 1, CLASSES, seed=0, size_px=32) != before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images_per_class": 0}, "images_per_class is 0: set it to 1 or more"),
        ({"train_labs": ["lab_z"]}, "unknown synthetic lab 'lab_z': choose from lab_a, "),
        ({"unseen_labs": ["LAB_B"]}, "unknown synthetic lab 'LAB_B'"),
        ({"unseen_labs": ["lab_b"]}, "lab_b is in both train_labs and unseen_labs: take it out of one"),
        ({"train_labs": ["lab_a", "lab_a"]}, "lab_a is listed twice"),
        ({"train_labs": []}, "train_labs is empty: name at least one lab"),
        ({"size_px": 16}, "size_px is 16: set it to 32 or more"),
        ({"seed": -1}, "seed is -1: set it to 0 or more"),
    ],
)
def test_bad_settings_name_the_mend(tmp_path: Path, change: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message.replace("'", ".")):
        write_dataset(tmp_path, **{**SMALL, "seed": 0, **change})
    assert list(tmp_path.iterdir()) == []
