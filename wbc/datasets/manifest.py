"""The one table of images, whatever their source: what each shows, its split, and why it is left out.

All columns hold strings, "" where there is nothing. `excluded` is the reason; "" means the image is used.
`identical_to` names another file with the same pixels, whether either is used or not.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from wbc.datasets import exclusions, labs
from wbc.datasets.checks import examine_images
from wbc.datasets.class_folders import scan_folder
from wbc.datasets.near_copies import near_copies
from wbc.datasets.near_copy_rows import near_copies_left_out, near_copy_table, pictures
from wbc.datasets.split_folders import HOW_TO_GET_IMAGES
from wbc.datasets.splits import split_name
from wbc.datasets.table_paths import BOX_COLUMNS, TablePaths
from wbc.datasets.user_table import Row, UserTable
from wbc.errors import ConfigError, DataError
from wbc.images.boxes import photograph_of
from wbc.labels import ClassNames
from wbc.settings.train import DataConfig
from wbc.utils.files import replacing

log = logging.getLogger(__name__)

COLUMNS = ["path", "label", "split", "group", "source", "excluded", "identical_to"]
_NAMED = 10  # lines in a message
DRAWN = "drawn by wbc"  # source of the cells of `wbc.datasets.synthetic_extra`; no lab's name


class Built(NamedTuple):
    """rows: one an image with `COLUMNS`.  near_copies: one a pair, as `near_copy_table` has them."""

    rows: pd.DataFrame
    near_copies: pd.DataFrame


def build_manifest(config: DataConfig, seed: int) -> pd.DataFrame:
    """The rows of `build_with_near_copies`."""
    return build_with_near_copies(config, seed).rows


def build_with_near_copies(config: DataConfig, seed: int) -> Built:
    """Finds the images, decodes each, makes the splits that are missing and leaves out what would mislead.

    `path` is absolute. Synthetic smears are written to disk beforehand and their CSV given as
    source=manifest.
    Raises DataError and ConfigError, each with the mend, for everything that cannot be trained on.
    """
    names = ClassNames(config.classes, config.aliases, ignored=config.ignore)
    frame = _read(config, names)
    examined = examine_images(used_rows(frame)["path"].tolist(), config.checks_dir, config.workers)
    hashes = frame["path"].map(examined.hashes).dropna()
    twins = exclusions.identical_to(frame, hashes).reindex(frame.index)
    frame["identical_to"] = twins.fillna(frame["identical_to"])  # rows left out beforehand are not looked at
    _leave_out(frame, exclusions.unreadable(used_rows(frame), examined.reasons, config.on_unreadable))
    # Before splitting, since a picture with two labels belongs to no class that could be shared out.
    _leave_out(frame, exclusions.contradictory(frame, hashes))
    if used_rows(frame).empty:
        raise DataError(f"all {len(frame)} images of {config.root} are left out: {frame['excluded'].iloc[0]}")
    pairs = near_copies(examined.thumbnails_of(used_rows(frame)["path"]))
    frame["split"] = labs.make_splits(frame, pictures(hashes, pairs), config, seed)
    _leave_out(frame, exclusions.copies(frame, hashes))
    _leave_out(frame, near_copies_left_out(frame, hashes, pairs))
    told = near_copy_table(frame, hashes, pairs)
    exclusions.refuse_parted_photographs(frame)
    exclusions.warn_of_straddling_groups(frame)
    exclusions.require_training_images(frame, names.classes)
    exclusions.require_images_in_splits(frame)
    _log_counts(frame, names.classes)
    return Built(frame[COLUMNS], told)


def _read(config: DataConfig, names: ClassNames, key: str = "data.root") -> pd.DataFrame:
    """The images that the settings name, none looked at yet.  key: the setting that names their place."""
    if config.source == "folder":
        found = scan_folder(config.root, names, config.split_folders, config.group, key)
        refuse_foreign_names(image.path for image in found)
        return pd.DataFrame(found).assign(source=config.name, excluded="", identical_to="")
    if config.source == "manifest":
        return _without_drawn(read_csv(config.root, names, config.name), config.root)
    if config.source != "labs":
        raise ConfigError(f"data.source = {config.source!r}: images are read by folder, manifest or labs")
    frames = []
    for lab in labs.lab_configs(config):
        try:
            frames.append(_read(lab, names, f"data.labs.{lab.name}"))
        except DataError as error:
            raise DataError(f"data.labs.{lab.name}: {error}") from error
    return labs.joined(list(config.labs or {}), frames)


def read_csv(file: str | Path, names: ClassNames, source: str) -> pd.DataFrame:
    """A user's table: columns path and label, optionally split, group, source and excluded, and boxes.

    Relative paths are relative to the table's folder. Columns of boxes (`wbc.datasets.table_paths`) make each
    row a crop, and the photograph its group where no group is given. A row with a reason in `excluded` stays
    left out, so that the manifest of a run can be used again. `source` stands where the table names none.
    Raises DataError for what is no table, missing columns, empty or repeated paths, empty or unknown labels,
    and unknown splits.
    """
    file = Path(file).expanduser()
    if not file.is_file():
        what = "is a folder: for class folders take data=folder" if file.is_dir() else "does not exist"
        raise DataError(f"no images: data.root = {file} {what}. {HOW_TO_GET_IMAGES}")
    table = UserTable(file, ["path", "label"], COLUMNS)
    paths = TablePaths(file, table)
    if foreign := [name for name in table.columns if name and name not in (*COLUMNS, *paths.columns)]:
        log.info("%s: columns not used: %s", file, ", ".join(foreign))
    frame = _frame(table, paths.path)
    paths.tell()
    if frame.empty:
        raise DataError(f"{file} has no rows: expected one an image below its header. {HOW_TO_GET_IMAGES}")
    frame.loc[frame["source"] == "", "source"] = source
    twice = frame["path"][frame["path"].duplicated()].unique()
    if len(twice):
        raise DataError(
            f"{file}: {len(twice)} paths occur more than once, e.g. {twice[0]}; keep one row each. Rows that "
            f"are boxes of one photograph need the columns {BOX_COLUMNS}"
        )
    bare = frame.index[(frame["label"].str.strip() == "") & (frame["excluded"] == "")]
    if len(bare):
        lines = ", ".join(map(str, bare[:_NAMED])) + (", ..." if len(bare) > _NAMED else "")
        raise DataError(
            f"{file}: {len(bare)} rows have no label (lines {lines}); fill it in, or take these rows out"
        )
    _group_by_photograph(frame)
    ignored = frame["label"].map(names.is_ignored).astype(bool)
    if ignored.any():
        counts = frame["label"][ignored].value_counts()
        told = ", ".join(f"{name} {count}" for name, count in counts.items())
        log.warning("%s: %d rows left out by data.ignore (%s)", file, int(ignored.sum()), told)
        frame = frame[~ignored]
        if frame.empty:
            raise DataError(f"{file}: data.ignore leaves every row out ({told}); take one of them out of it")
    labels = frame["label"].map(names.find)
    if labels.isna().any():
        line = frame.index[labels.isna()][0]
        raise names.unknown(frame["label"][labels.isna()], f"{file}, line {line} and maybe more")
    splits = frame["split"].map(lambda name: split_name(name) if name.strip() else "")
    if splits.isna().any():
        line = frame.index[splits.isna()][0]
        raise DataError(
            f"{file}, line {line}: split {frame['split'][line]!r}; take train, val, or a name that starts "
            "with test, or leave the whole column out"
        )
    return frame.assign(label=labels, split=splits).reset_index(drop=True)


def _group_by_photograph(frame: pd.DataFrame) -> None:
    """Where no group is given, a photograph is the group of its boxes."""
    photographs = frame["path"].map(photograph_of)
    boxes = photographs != frame["path"]
    bare = photographs.isin(photographs[boxes]) & (frame["group"].str.strip() == "")
    frame.loc[bare, "group"] = photographs[bare]
    if boxes.any():
        log.info(
            "%d images are boxes in %d photographs; the group of %d is their photograph",
            *(int(boxes.sum()), photographs[boxes].nunique(), int(bare.sum())),
        )


def _without_drawn(frame: pd.DataFrame, file: str) -> pd.DataFrame:
    """An earlier run's manifest without drawn cells: none may be split, and they are joined anew if asked."""
    is_drawn = frame["source"] == DRAWN
    if is_drawn.all():
        raise DataError(f"{file} holds drawn cells alone; give a table of images, or take data=synthetic")
    if is_drawn.any():
        log.info(
            "%s: its %d drawn cells are not used; data.drawn_per_class asks for new ones",
            file,
            int(is_drawn.sum()),
        )
    return frame[~is_drawn].reset_index(drop=True)


def used_rows(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows that are not left out."""
    return frame[frame["excluded"] == ""]


def read_manifest(file: str | Path) -> pd.DataFrame:
    """The table that `write_manifest` wrote. Raises DataError for a file that lacks its columns."""
    frame = _frame(UserTable(Path(file), COLUMNS), lambda row: row.fields["path"])
    return frame.reset_index(drop=True)


def write_manifest(frame: pd.DataFrame, file: str | Path) -> None:
    """Writes the table as CSV, whole or not at all."""
    with replacing(file) as beside:
        frame.to_csv(beside, columns=COLUMNS, index=False, encoding="utf-8")


def _frame(table: UserTable, path: Callable[[Row], str]) -> pd.DataFrame:
    """`COLUMNS` as strings, "" where the table lacks one; `path` says a row's; the index is the line."""
    rows = [(row.line, path(row), *(row.fields.get(name, "") for name in COLUMNS[1:])) for row in table]
    return pd.DataFrame(rows, columns=["line", *COLUMNS]).set_index("line")


def refuse_foreign_names(paths: Iterable[str]) -> None:
    """Raises DataError for file names in another encoding, which no table or report could hold.

    To be asked before a table is made of them: pandas with pyarrow fails on such a name with less to say.
    """
    for path in paths:
        try:
            path.encode()
        except UnicodeEncodeError as problem:
            raise DataError(f"{path!r}: the name is not UTF-8; rename it (e.g. with convmv)") from problem


def _leave_out(frame: pd.DataFrame, reasons: pd.Series) -> None:
    frame.loc[reasons.index, "excluded"] = reasons


def _log_counts(frame: pd.DataFrame, classes: tuple[str, ...]) -> None:
    used = used_rows(frame)
    for split, rows in used.groupby("split"):
        counts = rows["label"].value_counts()
        listed = ", ".join(f"{name} {counts.get(name, 0)}" for name in classes)
        log.info("%s: %d images (%s)", split, len(rows), listed)
    log.info("left out: %d of %d images", len(frame) - len(used), len(frame))


def image_counts(manifest: pd.DataFrame) -> dict[str, Any]:
    """Images by split and class, and by the reason why they are left out, of a whole manifest.

    Drawn cells are told by themselves.
    """
    used = manifest[manifest["excluded"] == ""]
    splits = used["split"].where(used["source"] != DRAWN, used["split"] + f", {DRAWN}")
    reasons = manifest.loc[manifest["excluded"] != "", "excluded"].map(lambda why: why.partition(":")[0])
    return {
        "splits": {
            str(split): {str(name): int(count) for name, count in rows["label"].value_counts().items()}
            for split, rows in used.groupby(splits)
        },
        "left_out": {str(reason): int(count) for reason, count in reasons.value_counts().items()},
    }
