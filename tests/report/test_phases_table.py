"""What the report says of each phase, and why the model is of one of them."""

import pytest

from wbc.report.phases_table import phases_table, why_kept

HEAD = {
    "val_macro_f1": 0.77,
    "val_loss": 0.9,
    "epochs": 15,
    "linear_classifier": {"accuracy": 0.8, "macro_f1": 0.75},
}
FINETUNE = {"val_macro_f1": 0.93, "val_loss": 0.4, "epochs": 6}
WHOLE = {
    "phase": "finetune",
    "kept_because": "the last, unless",
    "validation": {"head": HEAD, "finetune": FINETUNE},
}


def test_each_phase_has_a_row_and_so_has_the_linear_classifier():
    header, rows = phases_table(WHOLE)
    assert header == ["on the validation images", "epochs", "loss", "macro F1"]
    assert rows == [
        ["a linear classifier of the features before", "", "", "75.0 %"],
        ["the network without fine-tuning", "15", "0.900", "77.0 %"],
        ["the network with fine-tuning", "6", "0.400", "93.0 %"],
    ]
    assert why_kept(WHOLE) == (
        "The model is the one with fine-tuning. Of the phases the run keeps the last, unless."
    )


@pytest.mark.parametrize(
    "told",
    [
        {},
        {
            "phase": "finetune",
            "validation": {"head": HEAD, "finetune": FINETUNE},
        },  # of before there was a rule
        WHOLE | {"validation": {"finetune": FINETUNE | {"linear_classifier": None}}},
    ],
)
def test_what_a_file_does_not_tell_is_not_said(told):
    assert why_kept(told) == ""
    found = phases_table(told)
    assert (found is None) == ("validation" not in told)
    assert found is None or len(found[1]) == len(told["validation"]) + ("head" in told["validation"])
