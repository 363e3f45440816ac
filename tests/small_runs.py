"""Settings of a run that takes seconds: few small drawn cells, an untrained network."""

SMALL = [
    "data=synthetic",
    "data.images_per_class=8",
    "data.workers=0",
    "model=efficientnet_lite0",
    "model.weights=none",
    "model.image_size_px=64",
    "training.batch_size=8",
    "trainer=cpu",
    "trainer.precision=bf16-mixed",  # on every machine; auto measures, and equal runs are compared here
    "report=false",  # it takes longer than such a run
    "phase.head.max_epochs=1",
    "phase.finetune.max_epochs=1",
]
