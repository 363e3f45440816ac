"""What a report says at its top of how training went."""

import pytest

from wbc.report.training_caveats import training_caveats


def provenance(head, finetune, kept, linear=0.5, may_gain_more=False, images=400):
    scores = {"head": head, "finetune": finetune}
    phases = {
        name: {"val_macro_f1": score, "val_loss": 1 - score, "epochs": 6, "may_gain_more": may_gain_more}
        for name, score in scores.items()
    }
    phases["head"]["linear_classifier"] = {"accuracy": linear, "macro_f1": linear}
    counts = {"splits": {"val": {"Basophil": 1, "Monocyte": images - 1}}, "left_out": {}}
    return {"phase": kept, "validation": phases, "images": counts}


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (provenance(0.77, 0.93, "finetune"), []),
        (
            provenance(0.77, 0.47, "head"),
            [
                "Fine-tuning did not help: on the validation images the loss was 0.23 without it and 0.53 "
                "with it, macro F1 77.0 % and 47.0 %. The model is the one without fine-tuning."
            ],
        ),
        (
            provenance(0.93, 0.9, "finetune"),
            [
                "Whether fine-tuning helped cannot be told by so few images: on the validation images the "
                "loss was 0.07 without it and 0.10 with it, macro F1 93.0 % and 90.0 %. The model is the one "
                "with fine-tuning, because a difference as small may be chance and fine-tuning mostly helps."
            ],
        ),
        (
            provenance(0.3, 0.37, "finetune", linear=0.83),
            [
                "Training did less than it could: on the validation images a linear classifier of the "
                "features that it started with reaches a macro F1 of 83.0 %, and the model 37.0 %."
            ],
        ),
        (
            provenance(0.1, 0.15, "finetune", linear=0.2, images=15),
            [
                "Training may have done less than it could: on the validation images a linear classifier of "
                "the features that it started with reaches a macro F1 of 20.0 %, and the model 15.0 %; of 15 "
                "images that may be chance."
            ],
        ),
        (
            provenance(0.77, 0.93, "finetune", may_gain_more=True),
            [
                "Training may have ended too early: it was still gaining in the last of 6 epochs. Try "
                "phase.finetune.max_epochs=12."
            ],
        ),
        ({"phase": "finetune"}, []),  # a file from before
        ({}, []),
    ],
)
def test_each_has_a_sentence(told, said):
    assert list(training_caveats(told)) == said
