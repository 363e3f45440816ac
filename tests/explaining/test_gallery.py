"""The gallery: which images are in it, in which order, what is said of each, and that names are escaped."""

import base64
import hashlib
import re

import numpy as np
import pytest
from markupsafe import Markup

from tests.helpers.html_checks import NASTY, Elements, decoded, requests
from wbc.errors import DataError
from wbc.explaining.gallery import GalleryRow, write_gallery
from wbc.heat.panels import Decision, write_picture
from wbc.pages.html import table


@pytest.fixture
def gallery(tmp_path):
    """Writes the gallery of (path, decision) pairs and parses it; panel number i is of shade i."""

    def make(*images, notes=(), **options):
        rows = []
        for index, (path, decision) in enumerate(images):
            panel = tmp_path / "panels" / f"{index}.png"
            write_picture(panel, np.full((16, 48, 3), index, np.uint8))
            rows.append(GalleryRow(path, decision, panel, notes[index] if notes else ""))
        write_gallery(tmp_path / "gallery.html", "Explanations", rows, **options)
        text = (tmp_path / "gallery.html").read_text(encoding="utf-8")
        assert requests(text) == []
        return Elements(text)

    return make


IMAGES = (
    ("T/Monocyte/1.png", Decision("Monocyte", 0.9, "Monocyte")),
    ("T/Monocyte/2.png", Decision("Basophil", 0.8, "Monocyte", "Monocyte")),
    ("T/Basophil/1.png", Decision("Basophil", 0.7, "Basophil")),
    ("new/7.png", Decision("Eosinophil", 0.6)),
    ("T/Basophil/2.png", Decision("Monocyte", 0.5, "Basophil")),
)
ORDER = [4, 1, 3, 2, 0]


def shades(parsed) -> list[int]:
    return [round(np.asarray(decoded(image["src"])).mean()) for image in parsed.all("img")]


def test_wrong_ones_come_first_then_classes_each_with_its_own_panel(gallery):
    parsed = gallery(*IMAGES)
    assert shades(parsed) == ORDER
    assert [row["title"] for row in parsed.all("h3")] == [IMAGES[index][0] for index in ORDER]
    names = ["Basophil/2.png", "Monocyte/2.png", "7.png", "Basophil/1.png", "Monocyte/1.png"]
    assert parsed.text("h3") == names, "no two images are called alike"
    outcomes = ["wrong", "wrong", "unknown", "right", "right"]
    assert [row["data-outcome"] for row in parsed.all("article")] == outcomes
    assert ["marked" in row["class"] for row in parsed.all("article")] == [True] * 2 + [False] * 3
    assert parsed.text("strong") == ["wrong"] * 2


def test_images_of_unknown_class_come_by_doubt(gallery):
    parsed = gallery(
        *((f"{index}.png", Decision("Monocyte", one)) for index, one in enumerate((0.9, 0.4, 0.6)))
    )
    assert shades(parsed) == [1, 2, 0]
    assert "of 3 shown, the least probable first." in parsed.text("p")
    assert not any("true class" in text for text in parsed.text("p"))


def test_a_card_says_status_and_prediction_set_where_they_are_told(gallery):
    parsed = gallery(
        ("a.png", Decision("Monocyte", 0.5, status="uncertain", set=("Basophil", "Monocyte"))),
        ("b.png", Decision("Monocyte", 0.6, status="not calibrated", set=("Monocyte",))),
        ("c.png", Decision("Monocyte", 0.7)),
    )
    assert parsed.text("p")[-4:] == [
        "Monocyte 50.0 %, uncertain",
        "prediction set: Basophil, Monocyte",
        "Monocyte 60.0 %, not calibrated",
        "Monocyte 70.0 %",
    ]
    assert [row["data-status"] for row in parsed.all("article")] == ["uncertain", "not calibrated", ""]
    assert [select["name"] for select in parsed.all("select")] == ["status"]


def test_a_panel_shows_whole_when_its_card_is_opened(gallery):
    parsed = gallery(*IMAGES)
    assert len(parsed.all("details")) == len(parsed.all("summary")) == len(parsed.all("img")) == 5


def test_each_image_says_what_was_decided(gallery):
    said = gallery(*IMAGES, notes=["", "Score-CAM failed", "", "", ""]).text("p")
    assert said[1:] == [
        *("Monocyte 50.0 %", "true class Basophil"),
        *("Basophil 80.0 %", "true class Monocyte", "heat shown for Monocyte", "Score-CAM failed"),
        *("Eosinophil 60.0 %", "true class not known"),
        *("Basophil 70.0 %", "true class Basophil"),
        *("Monocyte 90.0 %", "true class Monocyte"),
    ]


def test_every_value_of_a_row_can_be_chosen(gallery):
    parsed = gallery(*IMAGES)
    assert [select["name"] for select in parsed.all("select")] == ["true", "predicted", "outcome"]
    assert parsed.text("option") == [
        *("all", "not known", "Basophil", "Monocyte"),
        *("all", "Basophil", "Eosinophil", "Monocyte"),
        *("all", "right", "unknown", "wrong"),
    ]
    values = {option["value"] for option in parsed.all("option") if "value" in option}
    for row in parsed.all("article"):
        assert {row["data-true"], row["data-predicted"], row["data-outcome"]} <= values


def test_the_filter_runs_under_the_policy(gallery):
    parsed = gallery(*IMAGES)
    (script,) = (text for inside, text in parsed.texts if inside == "script")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = (meta["content"] for meta in parsed.all("meta") if "http-equiv" in meta)
    assert f"script-src 'sha256-{digest}';" in policy
    ids = [attributes["id"] for _, attributes in parsed.elements if "id" in attributes]
    assert set(re.findall(r'getElementById\("(\w+)"\)', script)) <= set(ids)


def test_beyond_the_limit_the_page_counts_and_the_errors_stay(gallery):
    parsed = gallery(*IMAGES, limit=3)
    assert shades(parsed) == ORDER[:3]
    assert parsed.text("output") == ["3"]
    said = (
        "of 3 shown, wrong ones first, then those of unknown class, the least probable first, then by class."
    )
    assert f"{said} 2 more in the folder panels/." in parsed.text("p")
    assert "right" not in parsed.text("option"), "it would choose nothing"


def test_without_a_rest_nothing_is_said_of_it(gallery):
    labelled = [one for one in IMAGES if one[1].true]
    assert "of 4 shown, wrong ones first, then by class." in gallery(*labelled, limit=4).text("p")


def test_failed_images_are_named_with_the_reason_and_the_page_says_so_above(gallery):
    parsed = gallery(*IMAGES, failures=[("T/Basophil/9.png", "damaged"), (NASTY, "empty")])
    assert parsed.text("a") == ["2 could not be explained"]
    (target,) = (link["href"] for link in parsed.all("a"))
    assert target == "#failed"
    assert {"id": "failed"} in parsed.all("section")
    assert parsed.text("caption") == ["2 of 7 images"]
    assert parsed.text("th")[2:] == ["T/Basophil/9.png", NASTY]
    assert parsed.text("td") == ["damaged", "empty"]
    assert gallery(*IMAGES).text("a") == []


def test_the_summary_stands_above_the_images(gallery):
    measures = table(["method", "deletion"], [["Grad-CAM", "0.213"]], "Measures")
    parsed = gallery(*IMAGES, summary=["Scaled by its maximum.", measures])
    assert parsed.text("h2") == ["Summary", "Images"]
    assert parsed.text("p")[0] == "Scaled by its maximum."
    assert parsed.text("td") == ["0.213"]
    assert gallery(*IMAGES).text("h2") == ["Images"]


def test_names_are_escaped_wherever_they_stand(gallery):
    name = NASTY.replace("/", "|")
    parsed = gallery((f"a/{name}", Decision(f"P {NASTY}", 0.5, f"T {NASTY}", f"H {NASTY}")), notes=[NASTY])
    assert len(parsed.all("script")) == 1
    assert parsed.text("h3") == [name]
    assert parsed.all("h3") == [{"title": f"a/{name}"}]
    (row,) = parsed.all("article")
    assert (row["data-predicted"], row["data-true"]) == (f"P {NASTY}", f"T {NASTY}")
    assert parsed.all("img")[0]["alt"] == f"{name} with heat maps for H {NASTY}"
    said = [f"P {NASTY} 50.0 %", f"true class T {NASTY}", f"heat shown for H {NASTY}", NASTY]
    assert parsed.text("p")[1:] == said


def test_a_gallery_without_images_still_names_the_failures(gallery):
    parsed = gallery(failures=[("a.png", "damaged")])
    assert parsed.text("output") == ["0"]
    assert parsed.text("td") == ["damaged"]


def test_panels_are_read_while_the_page_is_written(gallery, tmp_path, monkeypatch):
    sizes = []

    def large(*_, **__):
        sizes.append(max((entry.stat().st_size for entry in tmp_path.glob(".gallery*")), default=0))
        return Markup("<br>" + " " * 100_000)

    monkeypatch.setattr("wbc.explaining.gallery.picture", large)
    gallery(*IMAGES)
    assert [size // 100_000 for size in sizes] == [0, 1, 2, 3, 4]


def test_a_missing_panel_is_named_and_the_older_page_kept(gallery, tmp_path):
    gallery(*IMAGES)
    before = (tmp_path / "gallery.html").read_bytes()
    rows = [GalleryRow("a.png", Decision("Monocyte", 0.5), tmp_path / "panels" / "missing.png")]
    with pytest.raises(DataError, match=r"missing\.png"):
        write_gallery(tmp_path / "gallery.html", "Explanations", rows)
    assert (tmp_path / "gallery.html").read_bytes() == before
