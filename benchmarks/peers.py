"""The same training beside other tools: fastai, AutoTimm, a plain script of timm and Lightning, and Keras.

    python benchmarks/peers.py <pbc>

<pbc> holds train/<class> and val/<class>.  Each tool gets the same images of `train` to train on and to
validate with, the same backbone at 224 px, the same ImageNet weights, batches, epochs and rates, and then
predicts the files of `val`.  Each runs in an environment of its own, which the first run makes: 6 GB for
each that needs torch.  A tool that cannot be installed or fails is named with the last line that it said.

Keras has no tf_efficientnet_lite0: it is compared on EfficientNetB0 with random weights, without macro F1.

Every row is a process of its own; the rows take turns in every round.  Epochs are measured, validation
included; 'whole s' is computed from them for 15 + 6 epochs, as the project trains these backbones: the
filling of the caches, each phase's first epoch, and the median of the later ones times their number.
Prints Markdown tables, writes outputs/benchmarks/peers.json.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from statistics import median
from typing import Any

from environments import EnvironmentUnavailableError, environment_python
from keras_environment import keras_python
from measured_process import run_measured
from peers_job import Job
from safetensors.torch import save_file
from sklearn.metrics import f1_score
from sklearn.model_selection import train_test_split
from tqdm import tqdm
from train_step import machine

from wbc.datasets.class_folders import image_files
from wbc.network.backbone import Backbone
from wbc.network.keras_layers import last_modules
from wbc.network.pretrained import load_pretrained
from wbc.settings.run_folder import versions
from wbc.utils.files import read_json, write_json
from wbc.utils.text_tables import NOT_MEASURED, markdown_table

ROOT = Path(__file__).resolve().parents[1]
OUTPUT = Path("outputs/benchmarks/peers.json")
ENVIRONMENTS = Path("outputs/benchmarks/environments")
WHOLE = {"head": 15, "finetune": 6}  # epochs of the recipe on a small backbone, conf/train/model/base.yaml
LR = {"head": 1e-3, "finetune": 3e-4}  # likewise
UNFREEZE_LAST = 50
IMAGE_SIZE_PX = 224
PREDICT_BATCH_SIZE = 32
LITE0 = "tf_efficientnet_lite0"
B0 = "tf_efficientnet_b0"
TORCH = ("torch", "torchvision")  # of one release, which pip picks where both are asked for together
TIMM = (*TORCH, "timm", "pytorch-lightning")
FASTAI = (*TORCH, "timm", "fastai==2.8.12")
AUTOTIMM = (*TORCH, "timm", "autotimm==0.7.37")
NO_FIGURES = ("row", "tool", "backbone", "rounds")  # of a record
TOOLS = ("ours", "timm", "fastai", "autotimm", "keras")  # each by the script peers_<tool>.py


@dataclass
class Row:
    """A tool with its settings on one backbone, and what it answered in each round."""

    name: str
    tool: str
    backbone: str
    options: dict[str, Any] = field(default_factory=dict)
    own_name: str | None = None  # of the backbone, where the tool has another
    rounds: list[dict[str, Any]] = field(default_factory=list)
    failed: str | None = None

    @property
    def title(self) -> str:
        precision = {one["precision"] for one in self.rounds}
        return ", ".join([self.name, *sorted(precision)])


def tool_python(tool: str, environments: Path) -> Path:
    """Its interpreter, with the releases that ours has where it has them.

    Raises EnvironmentUnavailableError.
    """
    folder = environments / tool
    if tool == "ours":
        return Path(sys.executable)
    if tool == "keras":
        return keras_python(folder)
    requirements = {"timm": TIMM, "fastai": FASTAI, "autotimm": AUTOTIMM}[tool]
    return environment_python(folder, requirements, ROOT / "constraints.txt")


def rows() -> list[Row]:
    """Ours first on each backbone: what the others are compared with."""
    auto, float32 = {"precision": "auto"}, {"precision": "32-true"}
    cached = {"cache_views": 4}  # as by default
    anew = {"cache_views": 0}  # augmenting in every epoch, as the others do
    return [
        Row("ours", "ours", LITE0, cached | auto),
        Row("ours, cache_views=0", "ours", LITE0, anew | auto),
        Row("ours, cache_views=0", "ours", LITE0, anew | float32),
        Row("timm + Lightning", "timm", LITE0, float32),
        Row("timm + Lightning", "timm", LITE0, {"precision": "bf16-mixed"}),
        Row("fastai", "fastai", LITE0),
        Row("AutoTimm", "autotimm", LITE0, {"compile_model": True}),
        Row("AutoTimm, compile_model=False", "autotimm", LITE0, {"compile_model": False}),
        Row("ours", "ours", B0, cached | auto),
        Row("ours, cache_views=0", "ours", B0, anew | auto),
        Row("Keras", "keras", B0, own_name="EfficientNetB0"),
    ]


def copy_sample(source: Path, target: dict[Path, int], seed: int) -> list[str]:
    """So many images of the folder's classes in each target, no image twice, classes in proportion.

    Returns the classes.
    """
    files = [Path(file) for file in image_files(source)]
    classes = sorted({file.parent.name for file in files})
    for folder, count in target.items():
        taken = files
        if count < len(files):
            labels = [file.parent.name for file in files]
            taken, files = train_test_split(files, train_size=count, stratify=labels, random_state=seed)
        for file in taken:
            place = folder / file.parent.name
            place.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, place / file.name)
    return classes


def prepare(options: argparse.Namespace, scratch: Path) -> dict[str, Job]:
    """The job on each backbone, with images and weights laid ready."""
    images, predict = scratch / "images", scratch / "predict"
    classes = copy_sample(
        options.images / "train", {images / "train": options.train, images / "val": options.val}, 0
    )
    copy_sample(options.images / "val", {predict: options.predict}, 0)
    jobs = {}
    for name in (LITE0, B0):
        backbone = Backbone(name, IMAGE_SIZE_PX)
        weights = None
        if name == LITE0:
            load_pretrained(backbone, options.weights)
            weights = str(scratch / f"{name}.safetensors")
            save_file(backbone.net.state_dict(), weights)
        jobs[name] = Job(
            started=0.0,
            classes=classes,
            images=str(images),
            predict=str(predict),
            scratch="",
            backbone=name,
            weights=weights,
            unfrozen=sorted(last_modules(backbone.net, UNFREEZE_LAST)),
            unfreeze_last=UNFREEZE_LAST,
            image_size_px=IMAGE_SIZE_PX,
            batch_size=options.batch_size,
            predict_batch_size=PREDICT_BATCH_SIZE,
            epochs=options.epochs,
            lr=LR,
            head_units=[128, 256],
            dropout=0.45,
            label_smoothing=0.1,
        )
    return jobs


def run(row: Row, python: Path, job: Job, scratch: Path) -> dict[str, Any]:
    """One process; RuntimeError with what it said last where it fails."""
    question, answer = scratch / "job.json", scratch / "answer.json"
    replace(
        job,
        started=time.time(),
        scratch=str(scratch),
        backbone=row.own_name or job.backbone,
        options=row.options,
    ).write(question)
    environment = os.environ | {
        # Ours sets it itself; so a load by other programs slows no tool more than another.
        "OMP_WAIT_POLICY": "PASSIVE",
        # Compiled code is kept between runs by default, and a second round would not pay for it.
        "TORCHINDUCTOR_CACHE_DIR": str(scratch / "inductor"),
    }
    script = str(Path(__file__).with_name(f"peers_{row.tool}.py"))
    usage = run_measured([str(python), script, str(question), str(answer)], environment)
    content: dict[str, Any] = read_json(answer)
    labels = content.pop("labels")
    content["predicted"] = len(labels)
    content["macro_f1"] = None
    if job.weights is not None:
        truth = [Path(path).parent.name for path in labels]
        content["macro_f1"] = float(f1_score(truth, list(labels.values()), average="macro"))
    return content | asdict(usage)


def summary(row: Row) -> dict[str, Any]:
    """Medians of one row, and the whole recipe computed from them."""
    record: dict[str, Any] = {"row": row.title, "tool": row.tool, "backbone": row.backbone}
    whole = caches = first = 0.0
    for phase, epochs in WHOLE.items():
        answers = [one["phases"][phase] for one in row.rounds]
        later = median(seconds for one in answers for seconds in one["epoch_seconds"][1:])
        record[f"{phase} s/epoch"] = later
        caches += median(one["cache_seconds"] for one in answers)
        first += median(one["epoch_seconds"][0] for one in answers) - later
        whole += epochs * later
    scores = [one["macro_f1"] for one in row.rounds if one["macro_f1"] is not None]
    return record | {
        "caches s": caches,
        "first epochs, more s": first,
        "whole s": whole + caches + first,
        "process s": median(one["trained_s"] for one in row.rounds),
        "peak memory MiB": max(one["peak_memory_mib"] for one in row.rounds),
        "images/s": median(one["predicted"] / one["predict_s"] for one in row.rounds),
        "macro F1, %": 100 * median(scores) if scores else None,
        "rounds": row.rounds,
    }


def table(records: Sequence[dict[str, Any]]) -> str:
    """One row a tool; the first is what the whole recipe is compared with."""
    base = records[0]["whole s"]
    keys = [key for key in records[0] if key not in NO_FIGURES]
    cells = [
        [
            record["row"],
            *(NOT_MEASURED if record[key] is None else f"{record[key]:.1f}" for key in keys),
            f"{record['whole s'] / base:.2f}",
        ]
        for record in records
    ]
    return markdown_table(["", *keys, "whole / first row's"], cells)


def ahead(records: Sequence[dict[str, Any]]) -> list[str]:
    """Where another tool is better than the first row, which is ours."""
    base, *rest = records
    others = [other for other in rest if other["tool"] != base["tool"]]
    found = []
    for key in base:
        if key in (*NO_FIGURES, "caches s", "first epochs, more s") or base[key] is None:
            continue
        more_is_better = key in ("images/s", "macro F1, %")
        for other in others:
            if other[key] is None or (other[key] > base[key]) != more_is_better or other[key] == base[key]:
                continue
            found.append(f"{other['row']}: {key} {other[key]:.1f}, where {base['row']} has {base[key]:.1f}")
    return found


def measure(
    found: list[Row], options: argparse.Namespace, jobs: dict[str, Job], pythons: dict[str, Path]
) -> None:
    """All rows in turn, in every round; one that fails is not asked again."""
    with tqdm(total=options.rounds * len(found), unit="process") as bar:
        for _ in range(options.rounds):
            for row in found:
                bar.set_description(f"{row.backbone}: {row.name}")
                if row.failed is None:
                    with tempfile.TemporaryDirectory() as scratch:
                        try:
                            answer = run(row, pythons[row.tool], jobs[row.backbone], Path(scratch))
                            row.rounds.append(answer)
                        except RuntimeError as error:
                            print(error, file=sys.stderr)
                            row.failed = str(error).strip().splitlines()[-1]
                bar.update()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("images", type=Path, help="a folder that holds train/<class> and val/<class>")
    parser.add_argument("--weights", default="package", help="package, or a file of tf_efficientnet_lite0")
    parser.add_argument("--environments", type=Path, default=ENVIRONMENTS)
    parser.add_argument("--tools", nargs="+", choices=TOOLS, default=TOOLS, help="by default all")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=3, help="of each phase in each round; at least 2")
    parser.add_argument("--train", type=int, default=480, help="training images")
    parser.add_argument("--val", type=int, default=240, help="validation images")
    parser.add_argument("--predict", type=int, default=10**9, help="files to predict; by default all")
    parser.add_argument("--batch-size", type=int, default=16)
    options = parser.parse_args()
    if options.epochs < 2:
        parser.error("--epochs must be at least 2: the first of each phase is told apart")
    if options.train % options.batch_size:
        parser.error("--train must be a multiple of --batch-size: fastai drops what is left of an epoch")
    return options


def main() -> None:
    options = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the process below is ended too
    started = datetime.now(timezone.utc)
    found = [row for row in rows() if row.tool in options.tools]
    pythons: dict[str, Path] = {}
    reasons: dict[str, str] = {}
    for tool in options.tools:
        try:
            pythons[tool] = tool_python(tool, options.environments.absolute())
        except EnvironmentUnavailableError as error:
            reasons[tool] = str(error)
    for row in found:
        row.failed = reasons.get(row.tool)
    stopped = False
    with tempfile.TemporaryDirectory() as scratch:
        try:
            measure(found, options, prepare(options, Path(scratch)), pythons)
        except KeyboardInterrupt:  # what was measured is told
            stopped = True
    for row in found:
        if not row.rounds and row.failed is None:
            row.failed = "stopped before"
    records = []
    print(
        f"\n{options.train} training and {options.val} validation images of {IMAGE_SIZE_PX} px in batches of "
        f"{options.batch_size}, on {machine()['cpu']}"
    )
    for backbone in (LITE0, B0):
        group = [summary(row) for row in found if row.backbone == backbone and row.rounds]
        records += group
        if group:
            print(f"\n{backbone}\n\n{table(group)}\n")
            print("\n".join(f"- {line}" for line in ahead(group)))
    failures = {f"{row.backbone}: {row.name}": row.failed for row in found if row.failed}
    for name, reason in failures.items():
        print(f"not measured: {name}: {reason}")
    elsewhere = [one["cores_elsewhere"] for row in found for one in row.rounds]
    if elsewhere and None not in elsewhere:
        print(f"other programs used {median(elsewhere):.1f} cores meanwhile, {max(elsewhere):.1f} at most")
    write_json(
        OUTPUT,
        {
            "started": started.isoformat(timespec="seconds"),
            "ended": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "machine": machine(),
            "options": {key: str(value) for key, value in vars(options).items()},
            "whole_epochs": WHOLE,
            "rows": records,
            "not_measured": failures,
            "versions": versions(),
        },
    )
    print(f"written to {OUTPUT}")
    if stopped:
        sys.exit(130)


if __name__ == "__main__":
    main()
