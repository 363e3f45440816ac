"""supply/licences.py: what is allowed, what is refused, and that everything here is allowed."""

import importlib.util
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution

import pytest
import yaml

from tests.helpers.places import ROOT


@pytest.fixture(scope="module")
def licences():
    place = importlib.util.spec_from_file_location("licences", ROOT / "supply" / "licences.py")
    assert place is not None
    assert place.loader is not None
    module = importlib.util.module_from_spec(place)
    sys.modules[place.name] = module
    place.loader.exec_module(module)
    yield module
    del sys.modules[place.name]


@pytest.fixture(scope="module")
def allowed():
    return yaml.safe_load((ROOT / "supply" / "allowed.yaml").read_text(encoding="utf-8"))


@pytest.fixture
def package(tmp_path):
    """Makes a distribution of what its METADATA says."""

    def make(name: str, *lines: str) -> Distribution:
        folder = tmp_path / f"{name}-1.0.dist-info"
        folder.mkdir()
        head = ["Metadata-Version: 2.4", f"Name: {name}", "Version: 1.0"]
        (folder / "METADATA").write_text("\n".join([*head, *lines]) + "\n")
        return Distribution.at(folder)

    return make


def classifier(words: str) -> str:
    return f"Classifier: License :: {words}"


@pytest.mark.parametrize(
    ("lines", "licence", "refused"),
    [
        (["License-Expression: MIT"], "MIT", False),
        (["License-Expression: MIT AND PSF-2.0"], "MIT AND PSF-2.0", False),
        (["License-Expression: GPL-3.0-only OR MIT"], "GPL-3.0-only OR MIT", False),
        (["License-Expression: GPL-3.0-only AND MIT"], "GPL-3.0-only AND MIT", True),
        (["License-Expression: AGPL-3.0-or-later"], "AGPL-3.0-or-later", True),
        (["License-Expression: MIT AND (MIT OR GPL-3.0-only)"], None, False),
        (["License-Expression: GPL-3.0-only AND (GPL-2.0-only OR MIT OR ISC)"], None, True),
        (["License-Expression: (MIT AND (ISC OR GPL-3.0-only)) AND (GPL-2.0-only OR ISC)"], None, False),
        (["License-Expression: MIT OR (ISC"], None, False),
        (["License-Expression: ISC) AND MIT"], None, True),
        (["License-Expression: ()"], None, True),
        ([classifier("OSI Approved :: BSD License"), "License: GPL"], "BSD-3-Clause AND GPL", True),
        ([classifier("OSI Approved :: BSD License"), "License: 3-Clause BSD License"], "BSD-3-Clause", False),
        ([classifier("OSI Approved :: ISC License (ISCL)"), "License: MIT OR GPL"], None, False),
        ([classifier("OSI Approved :: MIT License"), "License: Copyright\n of all"], "MIT", False),
        ([classifier("OSI Approved :: GNU Affero General Public License v3")], None, True),
        ([classifier("OSI Approved :: MIT License"), classifier("Free For Home Use")], None, True),
        ([classifier("Other/Proprietary License"), "License: Ours alone"], "Ours alone", True),
        (["License: Apache 2.0"], "Apache-2.0", False),
        (["License: UNKNOWN"], "not said", True),
        ([], "not said", True),
    ],
)
def test_what_is_refused(licences, allowed, package, lines, licence, refused):
    ((_, _, said, why),) = licences.rows([package("some", *lines)], allowed)
    assert licence in (None, said)
    assert bool(why) == refused


def test_a_package_that_a_person_read_has_what_was_read(licences, allowed, package):
    given = package("efficientnet_lite0.pytorch-model", "License: UNKNOWN")
    assert licences.licence_of(given, allowed) == "Apache-2.0"


def test_all_that_is_installed_here_is_allowed(licences, allowed):
    packages, _ = licences.installed_below("wbc", ["demo", "fast", "export", "review", "dev", "docs"])
    table = licences.rows(packages, allowed)
    assert {"torch", "timm", "numpy", "sympy"} <= {row.package for row in table}  # near ones and far ones
    assert not [row for row in table if row.refused]


def test_what_is_listed_is_used_or_spdx(allowed):
    assert allowed["licences"] == sorted(allowed["licences"], key=str.lower)
    assert set(allowed["spellings"].values()) <= set(allowed["licences"])
    assert {one["licence"] for one in allowed["packages"].values()} <= set(allowed["licences"])
    assert all(one["reason"] for one in allowed["packages"].values())


def test_a_package_that_is_not_here_is_told_with_the_mend(licences, monkeypatch, capsys):
    def without_timm(name):
        if name == "timm":
            raise PackageNotFoundError(name)
        return distribution(name)

    monkeypatch.setattr(licences, "distribution", without_timm)
    assert licences.main(["demo"]) == 1
    assert 'not looked at: timm. pip install ".[demo]" in the checkout' in capsys.readouterr().err
    assert licences.main(["demmo"]) == 1
    assert "wbc has no extra demmo: it has " in capsys.readouterr().err


def test_a_refused_one_is_told_with_the_mend(licences, package, monkeypatch, capsys):
    copyleft = package("albumentations", "License-Expression: AGPL-3.0-or-later")
    monkeypatch.setattr(licences, "installed_below", lambda *_: ([copyleft], []))
    assert licences.main([]) == 1
    said = capsys.readouterr()
    assert "error: albumentations 1.0: AGPL-3.0-or-later. Read its licence" in said.err
    assert "1 packages, 1 refused" in said.out
