import pytest

from wbc.utils.durations import in_words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (0.00834, "8.3 ms"),
        (0.25, "250 ms"),
        (0.994, "990 ms"),
        (0.996, "1 s"),
        (2.4, "2 s"),
        (59.4, "59 s"),
        (59.7, "1 min"),
        (75, "1 min 15 s"),
        (120, "2 min"),
        (3599.6, "1 h"),
        (3 * 3600 + 20 * 60 + 29, "3 h 20 min"),
        (86_399, "1 d"),
        (2 * 86_400 + 4 * 3600, "2 d 4 h"),
        (1000 * 86_400, "1000 d"),
    ],
)
def test_a_duration_has_its_unit_and_at_most_two(seconds, words):
    assert in_words(seconds) == words


@pytest.mark.parametrize("seconds", [-1, float("inf"), float("nan")])
def test_what_no_clock_measured_is_refused(seconds):
    with pytest.raises(ValueError, match="finite"):
        in_words(seconds)
