"""Decisions are kept as they are taken, are never altered, and are there again."""

import sqlite3

import numpy as np
import pytest

from tests.helpers.reviewed import write_crops
from wbc.errors import DataError
from wbc.reviewing.cells import read_cells
from wbc.reviewing.decisions import Decisions, NotKeptError
from wbc.reviewing.verdicts import OPEN


@pytest.fixture
def cells(tmp_path):
    write_crops(tmp_path, 10)
    return read_cells(tmp_path, "predictions.csv")


@pytest.fixture
def file(tmp_path):
    return tmp_path / "decisions.sqlite"


def test_what_two_reviewers_decided_is_there_again(cells, file):
    decisions = Decisions(file, cells, "x")
    own = int(cells.prediction[3])
    other = (own + 1) % 5
    assert decisions.decide("Anna", [3, 4, 3], own) == 2
    assert decisions.decide("Anna", [3], own) == 0  # the same again is nothing new
    assert decisions.decide("Ben", [3], other) == 1
    assert decisions.decide("Anna", [5], 5) == 1
    before = {name: decisions.of(name).copy() for name in decisions.reviewers}
    rows = decisions.rows()
    assert [(row.step, row.reviewer, row.cell, row.kind) for row in rows][-2:] == [
        (2, "Ben", 3, "changed"),
        (3, "Anna", 5, "artefact"),
    ]
    assert rows[0].before == ""
    assert rows[0].after == cells.classes[own]
    assert rows[0].path == cells.path(3)
    again = Decisions(file, cells, "x")  # the first is not closed, as after a kill
    assert again.reviewers == ["Anna", "Ben"]
    for name, verdicts in before.items():
        np.testing.assert_array_equal(again.of(name), verdicts)
    assert again.of("Anna")[5] == 5
    assert (again.of("nobody") == OPEN).all()
    assert [row.cell for row in again.rows(3)] == [3, 3]


def test_confirming_gives_each_cell_its_own_name_in_one_step(cells, file):
    decisions = Decisions(file, cells, "x")
    decisions.decide("Anna", [2], 5)
    assert decisions.decide("Anna", list(range(10)), None) == 9  # what was said before stays
    own = decisions.of("Anna")
    assert own[2] == 5
    assert [own[cell] for cell in (0, 1, 3)] == [cells.prediction[cell] for cell in (0, 1, 3)]
    assert {row.kind for row in decisions.rows()[1:]} == {"confirmed"}
    assert len(decisions.undo("Anna")) == 9


def test_steps_are_taken_back_one_by_one_each_reviewer_their_own(cells, file):
    decisions = Decisions(file, cells, "x")
    decisions.decide("Anna", [1, 2], 0)
    decisions.decide("Anna", [2], 1)
    decisions.decide("Ben", [2], 4)
    assert decisions.undo("Anna") == [(2, 0)]
    decisions = Decisions(file, cells, "x")  # what can be taken back is known again
    assert decisions.can_undo("Anna")
    assert decisions.undo("Anna") == [(1, OPEN), (2, OPEN)]
    assert not decisions.can_undo("Anna")
    assert decisions.undo("Anna") == []
    assert (decisions.of("Anna") == OPEN).all()
    assert decisions.of("Ben")[2] == 4
    assert [row.kind for row in decisions.rows()][-3:] == ["undone"] * 3
    assert decisions.rows()[-1].undoes == 1
    decisions.decide("Anna", [1], 2)
    assert decisions.undo("Anna") == [(1, OPEN)]


@pytest.mark.parametrize("words", ["UPDATE decisions SET after = 'Monocyte'", "DELETE FROM decisions"])
def test_a_row_can_be_neither_altered_nor_removed(cells, file, words):
    Decisions(file, cells, "x").decide("Anna", [1], 0)
    with pytest.raises(sqlite3.IntegrityError, match="only added to"):
        sqlite3.connect(file).execute(words)


def test_decisions_are_on_the_disk_when_they_are_acknowledged(cells, file):
    decisions = Decisions(file, cells, "x")
    assert decisions._file.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert decisions._file.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
    decisions.decide("Anna", [1], 0)
    assert sqlite3.connect(file).execute("SELECT count(*) FROM decisions").fetchone() == (1,)


def test_what_cannot_be_written_is_no_decision(cells, file):
    decisions = Decisions(file, cells, "x")
    decisions.decide("Anna", [1], 0)
    decisions._file.execute("PRAGMA max_page_count = 1")  # as on a full disk

    def until_full():
        for verdict in range(200):
            decisions.decide("Anna", list(range(10)), verdict % 5)

    with pytest.raises(NotKeptError, match=r"not kept: .*full"):
        until_full()
    now = decisions.of("Anna").copy()
    decisions._file.execute("PRAGMA max_page_count = 100000")
    np.testing.assert_array_equal(Decisions(file, cells, "x").of("Anna"), now)
    decisions.decide("Anna", [1], 6)
    assert Decisions(file, cells, "x").of("Anna")[1] == 6


def test_decisions_about_other_predictions_are_refused(cells, file):
    Decisions(file, cells, "x").close()
    with pytest.raises(DataError, match="about other predictions"):
        Decisions(file, cells, "y")


def spoilt(content):
    def spoil(file):
        whole = file.read_bytes()
        file.write_bytes(content(whole))

    return spoil


@pytest.mark.parametrize(
    "content",
    [
        lambda whole: b"no database" * 100,
        lambda whole: whole[: len(whole) // 2],
        lambda whole: whole[:4096] + b"\xff" * (len(whole) - 4096),
    ],
    ids=["another file", "cut", "overwritten"],
)
def test_a_damaged_file_is_refused_and_the_mend_works(cells, file, content):
    decisions = Decisions(file, cells, "x")
    for cell in range(10):
        decisions.decide("Anna", [cell], 0)
    decisions.close()  # which takes the WAL into the file
    spoilt(content)(file)
    with pytest.raises(DataError, match=r"cannot be used .*move it away and begin anew"):
        Decisions(file, cells, "x")
    file.rename(file.with_name("moved"))
    assert Decisions(file, cells, "x").reviewers == []


def test_a_database_of_another_program_is_refused(cells, file):
    other = sqlite3.connect(file)
    other.execute("CREATE TABLE notes (text)")
    other.close()
    with pytest.raises(DataError, match="none of this release"):
        Decisions(file, cells, "x")
    assert sqlite3.connect(file).execute("SELECT name FROM sqlite_master").fetchall() == [("notes",)]
