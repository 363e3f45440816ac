"""Where the class folders of a root lie: in it, in split folders, or further in, as archives are unpacked."""

from __future__ import annotations

import logging
import os
import re
import shlex
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from wbc.datasets.boxes_in_xml import complaint_of_xml
from wbc.datasets.further_in import MAX_DEPTH, holders, subfolders, wrapped_names
from wbc.datasets.splits import split_name, split_of_folder
from wbc.datasets.walk import NO_IMAGE, PassedOver, images_below, is_image, unwanted
from wbc.errors import DataError
from wbc.labels import ClassNames
from wbc.settings.quoting import in_shell, mapping_in_shell, plain_or_quoted

log = logging.getLogger(__name__)

LAYOUTS = "<class>/*.jpg, or train/<class>/*.jpg with val/ and test/ beside it"
HOW_TO_GET_IMAGES = (
    "To get Raabin-WBC: download the double-labelled cropped cells (Train, TestA, TestB) from the Raabin "
    "Health Database, https://raabindata.com, unpack them side by side so that there are "
    "Train/<class>/*.jpg, TestA/<class>/*.jpg and TestB/<class>/*.jpg, and give that folder as data.root "
    "with data=raabin. For your own cells take data=folder. To try without any download: data=synthetic"
)
_SHOWN = 6  # folders of an example
_ARCHIVES = (".zip", ".rar", ".7z", ".tar", ".gz", ".tgz", ".xz")
# "Ground Truth Segmentation" is LISC's (Rezatofighi 2011).
_MASKS = re.compile("mask|ground[ _-]*truth|segmentation", re.IGNORECASE)


class FolderTree:
    """A root as it is searched.  names: of the classes.  key: the setting that names the root.

    What is left out on the way is added to `passed_over`.
    """

    def __init__(self, root: Path, names: ClassNames, key: str, passed_over: PassedOver) -> None:
        self.root = root
        self._names = names
        self._key = key
        self._passed_over = passed_over

    def split_folders(self, given: Mapping[str, str] | None) -> list[tuple[Path, str]]:
        """The folders that hold class folders, each with its split, "" where none is told.

        given: folder -> split; None looks for the usual spellings, and else for class folders alone.
        Raises DataError where folders can be read in two ways, or in none.
        """
        if given is not None:
            return self._with_classes(self._named(given))
        return self._with_classes(self._unnamed(self.root))

    def class_folders(self, folder: Path) -> list[Path]:
        """The class folders in one of `split_folders`; what lies beside them is passed over.

        Raises DataError for a folder that spells no class.
        """
        self._pass_over_files(folder)
        folders = self._pass_over_ignored(subfolders(folder))
        unknown = [path for path in folders if self._names.find(path.name) is None]
        if unknown:
            if complaint := complaint_of_xml(folder):
                raise DataError(complaint)
            if len(unknown) < len(folders):
                raise self._names.unknown([path.name for path in unknown], f"folders under {folder}")
            raise self._all_unknown(folder, folders)
        return folders

    def _all_unknown(self, folder: Path, folders: list[Path]) -> DataError:
        wrapped = wrapped_names(folders)
        where = f"{folder}/{_listed(folders)}" if wrapped else str(folder)
        names = sorted(set(wrapped or (path.name for path in folders)))
        error = self._names.unknown(names, f"folders under {where}")
        if self._names.of_model or len(names) < 2:
            return error
        typed = shlex.quote(f"data.classes=[{','.join(map(plain_or_quoted, names))}]")
        return DataError(f"{error}. To train on these and no other classes, give {typed}")

    def complaint(self) -> str:
        """What is said where no image was found."""
        said = f"no images under {self.root}: expected {LAYOUTS}"
        if archive := _first_archive(self.root):
            return f"{said}. {archive} is packed: unpack it there first"
        return said if _has_files(self.root) else f"{said}. {HOW_TO_GET_IMAGES}"

    def _unnamed(self, top: Path) -> list[tuple[Path, str]]:
        folders = subfolders(top)
        splits = [path for path in folders if split_of_folder(path.name)]
        classes = [path for path in folders if self._names.find(path.name)]
        if splits and classes:
            raise DataError(
                f"{top} can be read in two ways: by split ({_listed(splits)}) or by class "
                f"({_listed(classes)}); move one kind away{self._splits_mend(splits)}"
            )
        if not splits:
            return [(top, "")] if classes else self._further_in(top)
        others = self._pass_over_ignored([path for path in folders if path not in splits])
        if others:
            hold_classes = any(self._names.find(one.name) for path in others for one in subfolders(path))
            mend = "rename it to what it is for, train, val or a name that starts with test, or move it away"
            raise DataError(
                f"{top} holds {_listed(splits)}, and beside them {_listed(others)}, which names no split; "
                f"{mend if hold_classes else 'move it away'}{self._splits_mend(splits)}"
            )
        by_split: dict[str, list[Path]] = defaultdict(list)
        for path in splits:
            by_split[split_of_folder(path.name) or ""].append(path)
        for split, paths in by_split.items():
            if len(paths) > 1:
                raise DataError(
                    f"{top}: {_listed(paths)} all read as the split {split!r}; merge them"
                    f"{self._splits_mend(splits)}"
                )
        self._pass_over_files(top)
        return [(paths[0], split) for split, paths in by_split.items()]

    def _further_in(self, top: Path) -> list[tuple[Path, str]]:
        """As `_unnamed`, of the one folder below `top` that holds class or split folders."""
        found = holders(top, self._names)
        if not found:
            return [(top, "")]
        if len(found) > 1:
            raise DataError(self._several(top, found))
        self._step_down(top, found[0])
        return self._unnamed(found[0])

    def _with_classes(self, chosen: list[tuple[Path, str]]) -> list[tuple[Path, str]]:
        """The same, a folder further in where a split folder wraps its class folders once more."""
        found = {}
        for folder, _ in chosen:
            is_plain = any(self._names.find(path.name) for path in subfolders(folder))
            found[folder] = [folder] if is_plain else holders(folder, self._names) or [folder]
        for folder, _ in chosen:
            if len(found[folder]) > 1:
                every = {
                    self._below_root(one): split
                    for top, split in chosen
                    for one in _without_masks(found[top])
                }
                raise DataError(
                    f"{folder} holds no class folders, but {self._shown(found[folder])} each do. "
                    f"{self._named_mend(every)}, without those that hold no cells"
                )
            if found[folder] != [folder]:
                self._step_down(folder, found[folder][0])
        return [(found[folder][0], split) for folder, split in chosen]

    def _named(self, given: Mapping[str, str]) -> list[tuple[Path, str]]:
        """The folders that the user named, with letter case forgiven, each with its split."""
        meant = {}
        for name, split in given.items():
            meant[name] = split_name(split) or ""
            if not meant[name]:
                raise DataError(
                    f"data.split_folders: {name!r} leads to {split!r}, which is no split; take train, val, "
                    "or a name that starts with test"
                )
        top, found = self.root, _chosen(self.root, given)
        for _ in range(MAX_DEPTH):
            folders = subfolders(top)
            if any(found.values()) or len(folders) != 1:
                break
            top, found = folders[0], _chosen(folders[0], given)
        chosen = [(path, meant[name]) for name, path in found.items() if path]
        if len(chosen) < len(given):
            missing = ", ".join(f"{name} ({meant[name]})" for name, path in found.items() if not path)
            raise DataError(self._lacking(top if chosen else self.root, missing))
        if top != self.root:
            self._step_down(self.root, top)
        on_the_way = {parent for path, _ in chosen for parent in path.parents if parent.is_relative_to(top)}
        named = on_the_way.union(path for path, _ in chosen)
        for folder in sorted(on_the_way):
            self._pass_over_files(folder)
            if unnamed := [path for path in subfolders(folder) if path not in named]:
                log.warning("%s: %s passed over, not being in data.split_folders", folder, _listed(unnamed))
        return chosen

    def _lacking(self, top: Path, missing: str) -> str:
        holds = _listed(subfolders(top)) or "no folder"
        said = f"no images: {top} lacks {missing} of data.split_folders; it holds {holds}."
        if not _has_files(self.root):
            return f"{said} {HOW_TO_GET_IMAGES}"
        try:
            found = self._with_classes(self._unnamed(self.root))
            if any(self._names.find(path.name) for folder, _ in found for path in subfolders(folder)):
                return f"{said} To read these folders as they are, give data.split_folders=null"
        except DataError:
            pass  # they cannot be read as they are
        return (
            f"{said} Name the folders that it holds in data.split_folders, or give the folder that is meant"
        )

    def _step_down(self, top: Path, holder: Path) -> None:
        """From `top` to the folder that holds the class folders, with nothing left out in silence."""
        log.info("%s: its class folders lie further in, in %s", top, holder)
        here = top
        for name in holder.relative_to(top).parts:
            self._pass_over_files(here)
            beside = self._pass_over_ignored([path for path in subfolders(here) if path.name != name])
            for other in beside:
                if image := next(images_below(other, PassedOver()), None):
                    raise DataError(
                        f"{top} holds class folders in {holder}, and images of no class beside it, e.g. "
                        f"{image}. Move them away, or leave them out: "
                        + shlex.quote(f"data.ignore=[{plain_or_quoted(other.name)}]")
                    )
            if beside:
                log.info("%s: %s passed over, without an image", here, _listed(beside))
            here /= name

    def _several(self, top: Path, found: list[Path]) -> str:
        said = f"{top} holds no class folders, but {self._shown(found)} each do, and none names a split. "
        of_cells = _without_masks(found)
        if len(of_cells) < 2:
            return said + self._root_mend(of_cells)
        shown = of_cells[:_SHOWN]
        splits = ["train", "val"] if len(shown) == 2 else [*["train"] * (len(shown) - 2), "val", "test"]
        example = {self._below_root(path): split for path, split in zip(shown, splits, strict=True)}
        return f"{said}{self._named_mend(example)}. {self._root_mend(of_cells)}"

    def _splits_mend(self, folders: list[Path]) -> str:
        """To take one folder a split and nothing beside them."""
        first = {split_of_folder(path.name) or "": self._below_root(path) for path in reversed(folders)}
        typed = mapping_in_shell("data.split_folders", {name: split for split, name in first.items()})
        if self._key != "data.root" or typed is None:
            return ""
        return f", or name the split folders that are meant, as in {typed}"

    def _named_mend(self, example: dict[str, str]) -> str:
        if self._key != "data.root":
            return "If they are parts of one set, give a table with a column split"
        typed = mapping_in_shell("data.split_folders", example)
        if typed is None:
            odd = [name for name, split in example.items() if mapping_in_shell("_", {name: split}) is None]
            return f"If they are parts of one set, rename those that cannot be typed as a key: {odd}"
        return f"If they are parts of one set, say what each is for, as in {typed}"

    def _root_mend(self, found: list[Path]) -> str:
        if self._key != "data.root":
            return f"If one of them is the whole set, name it in {self._key}: {found[0]}"
        return f"If one of them is the whole set, give it: {in_shell('data.root', str(found[0]))}"

    def _below_root(self, folder: Path) -> str:
        return folder.relative_to(self.root).as_posix()

    def _shown(self, folders: list[Path]) -> str:
        more = ", ..." if len(folders) > _SHOWN else ""
        return ", ".join(map(self._below_root, folders[:_SHOWN])) + more

    def _pass_over_files(self, folder: Path) -> None:
        for path in sorted(folder.iterdir()):
            if why := unwanted(path.name):
                self._passed_over.add(why, path)
            elif path.is_file():
                is_loose = is_image(path.name)
                self._passed_over.add("images outside a class folder" if is_loose else NO_IMAGE, path)

    def _pass_over_ignored(self, folders: list[Path]) -> list[Path]:
        """Those that are not ignored by name; the images of the others are counted."""
        for left_out in filter(lambda path: self._names.is_ignored(path.name), folders):
            for image in images_below(left_out, self._passed_over):
                self._passed_over.add(f"images of {left_out.name}, by data.ignore", image)
        return [path for path in folders if not self._names.is_ignored(path.name)]


def _chosen(top: Path, given: Mapping[str, str]) -> dict[str, Path | None]:
    found: dict[str, Path | None] = {}
    for name in given:
        alike = [path for path in subfolders(top) if path.name.casefold() == name.casefold()]
        exact = top / name
        found[name] = exact if exact.is_dir() else alike[0] if len(alike) == 1 else None
    return found


def _without_masks(folders: list[Path]) -> list[Path]:
    """Those whose names do not say that they hold masks, unless all do."""
    return [path for path in folders if not _MASKS.search(path.name)] or folders


def _first_archive(folder: Path) -> Path | None:
    found = (Path(top, name) for top, _, names in os.walk(folder) for name in sorted(names))
    return next((path for path in found if path.suffix.lower() in _ARCHIVES), None)


def _has_files(folder: Path) -> bool:
    return any(files for _, _, files in os.walk(folder, followlinks=False))


def _listed(paths: list[Path]) -> str:
    return ", ".join(path.name for path in paths)
