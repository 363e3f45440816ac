"""fastai's `vision_learner` with a backbone of timm; a row of `peers.py`.

Its own settings stay where they are no part of the work that is compared: its transforms in their ranges, one
cycle of the learning rate, weight decay, and batch-norms in the head.
"""

from __future__ import annotations

import time
from typing import Any

from fastai.callback.training import BnFreeze
from fastai.vision.all import (
    Callback,
    ImageDataLoaders,
    L,
    LabelSmoothingCrossEntropyFlat,
    Learner,
    Resize,
    ResizeMethod,
    accuracy,
    aug_transforms,
    get_image_files,
    nn,
    set_seed,
    vision_learner,
)
from peers_job import PHASES, Answer, EpochClock, Job, installed, read_arguments


class EpochEnds(Callback):
    def __init__(self, clock: EpochClock) -> None:
        super().__init__()
        self.clock = clock

    def after_epoch(self) -> None:
        self.clock.epoch_ended()


def build(job: Job) -> Learner:
    data = ImageDataLoaders.from_folder(
        job.images,
        train="train",
        valid="val",
        bs=job.batch_size,
        item_tfms=Resize(job.image_size_px, method=ResizeMethod.Squish),
        batch_tfms=aug_transforms(
            flip_vert=True,
            max_rotate=180.0,
            min_zoom=0.85,
            max_zoom=1.15,
            max_warp=0.0,
            max_lighting=0.15,
            p_affine=1.0,
        ),
    )

    def parts(model: nn.Module) -> L:
        net = model[0].model
        last = [
            parameter
            for name, module in net.named_modules()
            if name in job.unfrozen
            for parameter in module.parameters()
        ]
        known = {id(parameter) for parameter in last}
        return L([p for p in net.parameters() if id(p) not in known], last, list(model[1].parameters()))

    weights: dict[str, Any] = {}
    if job.weights is not None:
        weights = {"pretrained_cfg_overlay": {"file": job.weights}}
    return vision_learner(
        data,
        job.backbone,
        pretrained=job.weights is not None,
        loss_func=LabelSmoothingCrossEntropyFlat(eps=job.label_smoothing),
        splitter=parts,
        metrics=accuracy,
        path=job.scratch,
        lin_ftrs=job.head_units,
        ps=job.dropout,
        concat_pool=False,
        train_bn=False,  # or the head's phase would have gradients through the whole backbone
        cbs=BnFreeze(),
        **weights,
    )


def main() -> None:
    job, answer_file = read_arguments()
    set_seed(0)
    learner = build(job)
    answer = Answer("32-true", installed("fastai", "timm", "torch", "torchvision"))
    with learner.no_bar(), learner.no_logging():
        for phase in PHASES:
            learner.freeze_to(-1 if phase == "head" else -2)
            clock = EpochClock()
            clock.start()
            learner.fit_one_cycle(job.epochs, job.lr[phase], cbs=EpochEnds(clock))
            answer.phase(phase, clock)
        answer.trained_s = time.time() - job.started

        started = time.perf_counter()
        files = get_image_files(job.predict)
        probabilities, _ = learner.get_preds(dl=learner.dls.test_dl(files, bs=job.predict_batch_size))
        found = probabilities.argmax(dim=1).tolist()
        names = learner.dls.vocab
        answer.labels = {str(path): names[label] for path, label in zip(files, found, strict=True)}
        answer.predict_s = time.perf_counter() - started
    answer.write(answer_file)


if __name__ == "__main__":
    main()
