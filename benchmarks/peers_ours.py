"""This project by its own commands; a row of `peers.py`."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import time
from pathlib import Path

# As the commands set it, before torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from peers_job import PHASES, Answer, Job, read_arguments

ROOT = Path(__file__).resolve().parents[1]


def train(job: Job, run: Path) -> None:
    """One process of train.py."""
    arguments = [
        "data=folder",
        f"data.root={job.images}",
        "data.test_fraction=0",
        f"data.classes=[{','.join(job.classes)}]",
        "model=timm",
        f"model.backbone={job.backbone}",
        f"model.weights={job.weights or 'none'}",
        f"model.image_size_px={job.image_size_px}",
        f"model.head_units=[{','.join(map(str, job.head_units))}]",
        f"model.dropout={job.dropout}",
        f"training.batch_size={job.batch_size}",
        f"training.label_smoothing={job.label_smoothing}",
        f"phase.finetune.unfreeze_last={job.unfreeze_last}",
        "phase.finetune.batch_norm=trainable",  # as elsewhere
        "phase.finetune.average=null",  # likewise
        f"cache_views={job.options['cache_views']}",
        f"trainer.precision={job.options['precision']}",
        "+trainer.enable_progress_bar=false",
        f"hydra.run.dir={run}",
    ]
    for phase in PHASES:
        arguments += [
            f"phase.{phase}.max_epochs={job.epochs}",
            f"phase.{phase}.min_steps=0",  # an epoch goes through the images once, as elsewhere
            f"phase.{phase}.lr={job.lr[phase]}",
        ]
    subprocess.run([sys.executable, str(ROOT / "train.py"), *arguments], check=True)


def predict(job: Job, run: Path, output: Path) -> dict[str, str]:
    """The job of predict.py; the predicted class of each file."""
    from wbc.predicting.job import predict as predict_files
    from wbc.settings.predict import PredictConfig

    config = PredictConfig(
        checkpoint=str(run / "model.ckpt"),
        images=job.predict,
        table="predictions.csv",
        batch_size=job.predict_batch_size,
        accelerator="auto",
        devices=1,
        num_nodes=1,
    )
    if predict_files(config, output):
        raise RuntimeError(f"some of {job.predict} could not be read")
    with (output / config.table).open(encoding="utf-8", newline="") as file:
        return {row["path"]: row["prediction"] for row in csv.DictReader(file)}


def main() -> None:
    job, answer_file = read_arguments()
    run = Path(job.scratch) / "run"
    os.environ["WBC_CACHE"] = str(Path(job.scratch) / "cache")  # nothing is remembered from before
    train(job, run)
    trained_s = time.time() - job.started

    import wbc.predicting.job  # noqa: F401  # the seconds that an import takes are no part of a rate
    from wbc.utils.memory import keep_freed_memory

    keep_freed_memory()  # as predict.py does
    phases = {}
    for phase in PHASES:
        logs = run / "logs" / phase
        result = json.loads((logs / "result.json").read_text(encoding="utf-8"))
        with (logs / "history.csv").open(encoding="utf-8", newline="") as file:
            seconds = [float(row["seconds"]) for row in csv.DictReader(file)]
        phases[phase] = {"epoch_seconds": seconds, "cache_seconds": result["cache_seconds"]}
    versions = json.loads((run / "versions.json").read_text(encoding="utf-8"))
    answer = Answer(
        result["precision"], {key: str(value) for key, value in versions.items()}, phases, trained_s
    )

    started = time.perf_counter()
    answer.labels = predict(job, run, Path(job.scratch) / "answers")
    answer.predict_s = time.perf_counter() - started
    answer.write(answer_file)


if __name__ == "__main__":
    main()
