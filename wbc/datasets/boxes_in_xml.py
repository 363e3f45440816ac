"""Photographs with boxes in XML, as Pascal VOC and BCCD have them: no class folders, and told so."""

from __future__ import annotations

import shlex
from pathlib import Path
from xml.etree import ElementTree

from wbc.datasets.further_in import subfolders

# What the message gives to type, between double quotes: the folder of the XML files is its argument.
_TO_TABLE = (
    "import csv, pathlib, sys, xml.etree.ElementTree as tree; "
    "xml = pathlib.Path(sys.argv[1]).absolute(); "
    "edges = ['xmin', 'ymin', 'xmax', 'ymax']; "
    "csv.writer(open('boxes.csv', 'w', newline='')).writerows([['path', 'label', *edges]] + "
    "[[xml.parent / 'JPEGImages' / root.findtext('filename'), box.findtext('name'), "
    "*(box.findtext('bndbox/' + edge) for edge in edges)] "
    "for file in sorted(xml.glob('*.xml')) for root in [tree.parse(file).getroot()] "
    "for box in root.iter('object')])"
)
_READ = 20  # files from which the labels are told


def complaint_of_xml(top: Path) -> str:
    """What is said of `top` where it, or a folder in it, holds the Annotations of a VOC set; else ""."""
    for folder in (top, *subfolders(top)):
        xml = folder / "Annotations"
        files = sorted(xml.glob("*.xml"))[:_READ] if xml.is_dir() else []
        if files:
            return (
                f"{folder} holds no class folders but photographs with boxes in XML (Pascal VOC), labelled "
                f'{", ".join(_labels(files))}. Boxes are read from a table: python -c "{_TO_TABLE}" '
                f"{shlex.quote(str(xml))} writes boxes.csv, which data=manifest data.root=boxes.csv reads, "
                "with data.classes, data.aliases or data.ignore for labels that spell none of the classes"
            )
    return ""


def _labels(files: list[Path]) -> list[str]:
    found: set[str] = set()
    for file in files:
        try:
            found.update(name.text or "" for name in ElementTree.parse(file).iterfind("object/name"))
        except ElementTree.ParseError:
            continue  # the others tell
    return sorted(found - {""}) or ["nothing"]
