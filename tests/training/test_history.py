"""Whether a phase ended too early."""

import pandas as pd
import pytest

from wbc.training.history import ended_while_gaining


@pytest.mark.parametrize(
    ("scores", "best", "max_epochs", "gaining"),
    [
        ([0.7, 0.8, 0.9], 2, 3, True),
        ([0.7, 0.9, 0.904], 2, 3, False),  # as much as another seed may bring
        ([0.9, 0.8, 0.84], 2, 3, False),  # the lowest loss, and no better than the first
        ([0.7, 0.8, 0.9], 1, 3, False),
        ([0.7, 0.8, 0.9], 2, 4, False),  # stopped before: early stopping found no more to gain
        ([0.7], 0, 1, True),
    ],
)
def test_training_ended_too_early_where_all_epochs_were_used_and_the_last_helped(
    scores, best, max_epochs, gaining
):
    is_best = [epoch == best for epoch in range(len(scores))]
    history = pd.DataFrame({"val_macro_f1": scores, "is_best": is_best})
    assert ended_while_gaining(history, max_epochs) is gaining
