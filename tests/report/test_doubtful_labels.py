"""The page and table of labels that look wrong: the surest first, a picture each, nothing hidden."""

import numpy as np
import pandas as pd
import pytest

from tests.helpers.html_checks import Elements
from tests.helpers.trees import picture, write_image
from wbc.images.prepare import Prepare
from wbc.report.doubtful_labels import doubtful_labels, write_doubtful_labels

CLASSES = ["Basophil", "Monocyte"]


@pytest.fixture
def doubtful(tmp_path):
    paths = [
        str(write_image(tmp_path / "cells" / f"{number}.png", picture(number, 32))) for number in range(5)
    ]
    rows = pd.DataFrame({"path": paths, "label": [CLASSES[0]] * 3 + [CLASSES[1]] * 2}, index=[7, 3, 5, 1, 0])
    probabilities = np.array([[0.9, 0.1], [0.3, 0.7], [0.01, 0.99], [0.2, 0.8], [0.6, 0.4]])
    return paths, doubtful_labels(rows, probabilities, CLASSES)


def test_those_are_listed_that_are_called_otherwise_and_the_surest_first(doubtful):
    paths, table = doubtful
    assert table["path"].tolist() == [paths[2], paths[1], paths[4]]
    assert table["label"].tolist() == ["Basophil", "Basophil", "Monocyte"]
    assert table["prediction"].tolist() == ["Monocyte", "Monocyte", "Basophil"]
    assert table["label_probability"].tolist() == [0.01, 0.3, 0.4]
    assert table["prediction_probability"].tolist() == [0.99, 0.7, 0.6]


def test_the_page_shows_each_with_label_and_answer_and_the_table_beside_it_is_the_same(tmp_path, doubtful):
    paths, table = doubtful
    (tmp_path / "cells" / "1.png").unlink()  # gone since
    write_doubtful_labels(tmp_path, table, 5, 0, Prepare(64))
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "doubtful_labels.csv"), table)
    page = Elements((tmp_path / "doubtful_labels.html").read_text())
    assert [heading["title"] for heading in page.all("h3")] == [paths[2], paths[1], paths[4]]
    said = [text.replace("\xa0", " ") for text in page.text("p")]
    assert said[0].startswith("3 of 5 images are called otherwise than they are labelled")
    assert said[1:3] == ["label Basophil, 1.0 %", "model Monocyte, 99.0 %"]
    assert "No such file" in said[5]


def test_of_many_the_surest_are_shown_and_of_none_it_is_said(tmp_path, doubtful):
    _, table = doubtful
    write_doubtful_labels(tmp_path, pd.concat([table] * 50), 200, 1_030, Prepare(64))
    text = (tmp_path / "doubtful_labels.html").read_text()
    assert text.count("<article") == 120
    assert "The first 120 are shown; doubtful_labels.csv names all." in text
    assert "The 1,030 images of test sets were not looked at." in text
    write_doubtful_labels(tmp_path, table.head(0), 5, 0, Prepare(64))
    text = (tmp_path / "doubtful_labels.html").read_text()
    assert "None: each of 5 images is called what it is labelled" in text
    assert "not looked at" not in text
