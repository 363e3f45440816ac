"""The differential's counts, shares and table."""

import pytest

from wbc.answers.differential import Differential, differential_table
from wbc.plain.answers import ANSWERED, UNCERTAIN, UNKNOWN


@pytest.fixture
def record():
    differential = Differential(["Lymphocyte", "Neutrophil"])
    for label, status, count in (
        ("Neutrophil", ANSWERED, 60),
        ("Lymphocyte", ANSWERED, 20),
        ("Lymphocyte", UNCERTAIN, 15),
        ("Lymphocyte", UNKNOWN, 5),
    ):
        for _ in range(count):
            differential.add(label, status)
    differential.unreadable = 3
    return differential.record()


def test_with_and_without_those_that_are_not_answered(record):
    assert record["images"] == 103
    assert record["status"] == {ANSWERED: 80, UNCERTAIN: 15, UNKNOWN: 5}
    assert record["answered"]["classes"]["Neutrophil"]["share"] == 0.75
    every = record["all"]["classes"]["Neutrophil"]
    assert (every["count"], every["share"]) == (60, 0.6)
    # Exact interval of 60 of 100, as published tables have it.
    assert (every["low"], every["high"]) == pytest.approx((0.4972, 0.6967), abs=1e-4)


def test_the_table_tells_all(record):
    table = differential_table(record)
    assert table.startswith("103 images: 80 answered, 15 uncertain, 5 not a known cell, 3 unreadable")
    assert "| Neutrophil |       60 | 75.0 |" in table


@pytest.mark.parametrize(
    ("counts", "enough"),
    # 384 is what a share of a half takes, as textbooks have it; the intervals are then as asked for
    [((192, 192), 385), ((60, 20), 289), ((80, 0), 20), ((0, 0), None)],
)
def test_how_many_cells_would_narrow_it(counts, enough):
    differential = Differential(["Lymphocyte", "Neutrophil"])
    for name, count in zip(differential.classes, counts, strict=True):
        for _ in range(count):
            differential.add(name, ANSWERED)
    record = differential.record()
    assert record["answered"]["within_5_points"] == enough
    more = 0 if enough is None else enough - sum(counts)
    assert (f"About {more} more answered cells" in differential_table(record)) == (more > 0)
    if counts == (192, 192):
        share = record["answered"]["classes"]["Neutrophil"]
        assert share["high"] - share["share"] == pytest.approx(0.05, abs=0.002)


def test_nothing_readable_has_no_shares():
    differential = Differential(["Lymphocyte"])
    differential.unreadable = 1
    record = differential.record()
    assert record["all"]["classes"]["Lymphocyte"]["share"] is None
    assert "–" in differential_table(record)
