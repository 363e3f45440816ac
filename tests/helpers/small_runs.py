"""Settings of a run that takes seconds: few small drawn cells, an untrained network."""

from pathlib import Path

from tests.helpers.configs import composed

SMALL = [
    "data=synthetic",
    "data.images_per_class=8",
    "data.workers=0",
    "model=efficientnet_lite0",
    "model.weights=none",
    "model.image_size_px=64",
    "training.batch_size=8",
    "trainer=cpu",
    "trainer.precision=32-true",  # auto measures, and equal runs are compared here
    "report=false",  # it takes longer than such a run
    "phase.head.max_epochs=1",
    "phase.head.min_steps=0",
    "phase.finetune.max_epochs=1",
    "phase.finetune.min_steps=0",
]

TWO_EPOCHS = [
    *SMALL,
    "phase.head.max_epochs=2",
    "phase.finetune.max_epochs=2",
    "phase.finetune.lr=1e-3",
    "phase.finetune.average=null",  # of so few steps the average is still the head
    "phase.finetune.batch_norm=trainable",  # as with many images
    "cache_views=2",
    "+trainer.enable_progress_bar=false",
]


def settings(root: Path, *overrides: str):
    return composed(*TWO_EPOCHS, f"data.root={root}", f"data.checks_dir={root}", *overrides)
