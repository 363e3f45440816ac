"""The differential's counts, shares and table."""

import pytest

from wbc.plain.answers import ANSWERED, UNCERTAIN, UNKNOWN
from wbc.predicting.differential import Differential, differential_table


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


def test_nothing_readable_has_no_shares():
    differential = Differential(["Lymphocyte"])
    differential.unreadable = 1
    record = differential.record()
    assert record["all"]["classes"]["Lymphocyte"]["share"] is None
    assert "–" in differential_table(record)
