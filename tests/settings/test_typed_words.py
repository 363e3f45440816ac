"""What a newcomer types is answered before Hydra's own message, and every mend that is printed works."""

import re
import shlex
from pathlib import Path

import pytest

from tests.helpers.configs import composed_for
from wbc.commands import COMMANDS
from wbc.errors import ConfigError
from wbc.settings.text_values import kept_as_text
from wbc.settings.typed_words import check_words

NEEDED = {
    "train": [],
    "evaluate": ["checkpoint=a.ckpt", "data=test"],
    "explain": ["checkpoint=a.ckpt", "images=cells"],
    "predict": ["checkpoint=a.ckpt", "images=cells"],
    "adapt": ["checkpoint=a.ckpt", "data=cells"],
}


def answer(verb: str, *words: str) -> str:
    with pytest.raises(ConfigError) as error:
        check_words(list(words), verb, COMMANDS[verb].kind)
    return str(error.value)


def take(verb: str, words: list[str]):
    """The settings that `verb` makes of what is typed."""
    keys = {word.partition("=")[0] for word in words}
    words = [*(word for word in NEEDED[verb] if word.partition("=")[0] not in keys), *words]
    check_words(words, verb, COMMANDS[verb].kind)
    return composed_for(verb, COMMANDS[verb].kind, *(word for word in words if not word.startswith("hydra")))


@pytest.mark.parametrize(
    ("verb", "typed", "mend"),
    [
        ("train", "epochs=3", "phase.head.max_epochs=3 phase.finetune.max_epochs=3"),
        ("train", "+epochs=3", "phase.head.max_epochs=3 phase.finetune.max_epochs=3"),
        ("train", "--epochs=3", "phase.head.max_epochs=3 phase.finetune.max_epochs=3"),
        ("train", "--epochs 3", "phase.head.max_epochs=3 phase.finetune.max_epochs=3"),
        ("train", "max_epochs=3", "phase.head.max_epochs=3 phase.finetune.max_epochs=3"),
        ("train", "lr=1e-3", "phase.head.lr=1e-3 phase.finetune.lr=1e-3"),
        ("train", "learning_rate=1e-3", "phase.head.lr=1e-3 phase.finetune.lr=1e-3"),
        ("train", "phase.head.learning_rate=1e-3", "phase.head.lr=1e-3"),
        ("train", "patience=3", "phase.head.patience=3 phase.finetune.patience=3"),
        ("train", "batch_size=8", "training.batch_size=8"),
        ("train", "--batch-size=8", "training.batch_size=8"),
        ("train", "backbone=resnet50", "model=timm model.backbone=resnet50"),
        ("train", "model=resnet50", "model=timm model.backbone=resnet50"),
        ("train", "weights=none", "model.weights=none"),
        ("train", "pretrained=none", "model.weights=none"),
        ("train", "workers=0", "data.workers=0"),
        ("train", "num_workers=0", "data.workers=0"),
        ("train", "image_size=96", "model.image_size_px=96"),
        ("train", "dropout=0.2", "model.dropout=0.2"),
        ("train", "weight_decay=0.1", "training.l2=0.1"),
        ("train", "classes=[A,B]", "'data.classes=[A,B]'"),
        ("train", "images=cells", "data=folder data.root=cells"),
        ("train", "data=cells", "data=folder data.root=cells"),
        ("train", "data=cells/train", "data=folder data.root=cells/train"),
        ("train", "device=gpu", "trainer=gpu"),
        ("train", "device=cpu", "trainer=cpu"),
        ("train", "gpu=1", "trainer=gpu"),
        ("train", "gpus=2", "trainer=ddp trainer.devices=2"),
        ("train", "checkpoint=a.ckpt", "init_from=a.ckpt"),
        ("train", "resume=outputs/run", "resume_from=outputs/run"),
        ("train", "output=here", "hydra.run.dir=here"),
        ("train", "trainig.batch_size=8", "training.batch_size=8"),
        ("train", "training.loss=focal", "training.balance=1"),
        ("train", "class_weights=balanced", "training.balance=1"),
        ("train", "imgsz=320", "model.image_size_px=320"),
        ("train", "data.image_size_px=320", "model.image_size_px=320"),
        ("evaluate", "weights=a.ckpt", "checkpoint=a.ckpt"),
        ("evaluate", "images=cells", "data=cells"),
        ("evaluate", "gpu=0", "device=cuda"),
        ("evaluate", "compare=a.ckpt,b.ckpt", "'compare=[a.ckpt,b.ckpt]'"),
        ("evaluate", "data=test cells", "'data=[test,cells]'"),
        ("explain", "weights=a.ckpt", "checkpoint=a.ckpt"),
        ("explain", "data=cells", "images=cells"),
        ("explain", "method=lime", "methods=lime"),
        ("explain", "methods=gradcam,lime", "'methods=[gradcam,lime]'"),
        ("explain", "methods=gradcam lime", "'methods=[gradcam,lime]'"),
        ("explain", "--methods lime", "methods=lime"),
        ("explain", "output=here", "hydra.run.dir=here"),
        ("predict", "model=a.ckpt", "checkpoint=a.ckpt"),
        ("predict", "data=cells", "images=cells"),
        ("predict", "output_dir=here", "output=here"),
        ("predict", "device=gpu", "accelerator=cuda"),
        ("predict", "batch=8", "batch_size=8"),
        ("predict", "images=a.png,b.png", "'images=\"cells/*.png\"'"),
        ("predict", "images=a.png b.png", "images=cells.csv"),
        ("predict", "images= cells", "images=cells"),
        ("adapt", "ckpt=a.ckpt", "checkpoint=a.ckpt"),
        ("adapt", "folder=cells", "data=cells"),
        ("adapt", "accelerator=cpu", "device=cpu"),
    ],
)
def test_what_is_typed_out_of_habit_is_answered_with_what_is_meant(verb, typed, mend):
    said = answer(verb, *typed.split(" "))
    assert mend in said
    assert "Hydra" not in said
    take(verb, shlex.split(mend))


def test_the_answer_names_key_command_and_each_setting():
    assert answer("train", "epochs=3") == (
        "epochs is not a setting of train. Here it is phase.head.max_epochs and phase.finetune.max_epochs: "
        "give phase.head.max_epochs=3 phase.finetune.max_epochs=3"
    )


@pytest.mark.parametrize(
    "typed",
    [
        *(
            "imgsz=320",
            "image_size_px=320",
            "data.image_size_px=320",
            "data.img_size=320",
            "data.imagesizepx=320",
        ),
        *("--data.image_size_px=320", "--imgsz 320", "~data.image_size_px"),
    ],
)
def test_the_size_of_pictures_is_said_of_the_model_which_may_have_one_of_its_own(typed):
    said = answer("train", *typed.split(" "))
    assert "model.image_size_px" in said
    assert "data.image_size_px" not in said.partition(typed.strip("~-"))[2]  # which would be refused


@pytest.mark.parametrize(
    "value",
    [
        *("my=cells", "a(b).png", "a[1].png", "a&b.png", "zellen/ä.png", "it's.png", 'the "best".png', "a#b"),
        *("[new]", "{old}x", "~/cells", "smear 1=a", "back\\slash=", "end=\\", 'a=\\"b', "half,half="),
    ],
)
def test_a_path_that_hydra_cannot_read_is_quoted_for_the_user(value):
    said = answer("predict", f"images={value}", "checkpoint=a", "output=b") if value != "[new]" else ""
    words = shlex.split(said.partition("quote the value: ")[2]) if said else ['images="[new]"']
    assert len(words) == 1
    assert take("predict", words).images == value


@pytest.mark.parametrize(
    ("verb", "typed", "kept"),
    [
        ("predict", "images=2024_01", 'images="2024_01"'),
        ("predict", "images=1e5", 'images="1e5"'),
        ("predict", "batch_size=1_6", "batch_size=1_6"),
        ("predict", "output=null", "output=null"),
        ("evaluate", "data=[2024_01,lab b,./2024]", 'data=["2024_01",lab b,./2024]'),
        ("train", "data.root=2024_01,2024_02", 'data.root="2024_01","2024_02"'),
        ("train", "+trainer.max_steps=1_0", "+trainer.max_steps=1_0"),
        ("train", "data.labs={a: 2024}", "data.labs={a: 2024}"),
        ("train", "-m", "-m"),
    ],
)
def test_a_folder_named_like_a_number_is_that_folder(verb, typed, kept):
    """images=2024_01 looked for the folder 202401."""
    assert kept_as_text([typed], COMMANDS[verb].kind) == [kept]


def test_a_folder_named_like_a_number_is_taken():
    words = kept_as_text(["images=2024_01", "checkpoint=a"], COMMANDS["predict"].kind)
    assert take("predict", words).images == "2024_01"


def test_a_name_that_reads_like_another_key_says_how_to_write_it():
    with pytest.raises(ConfigError, match=r"Interpolation key 'x' not found; .* write \\\$\{"):
        take("predict", ["images=${x}/cells", "checkpoint=a"])
    assert take("predict", [r"images=\${x}/cells", "checkpoint=a"]).images == "${x}/cells"


@pytest.mark.parametrize(
    ("typed", "mend"),
    [
        (["data=[test,lab=b]"], "'data=[test,\"lab=b\"]'"),
        (["data=[test,", "lab_b]"], "'data=[test, lab_b]'"),
    ],
)
def test_of_a_list_only_the_part_with_the_sign_is_quoted(typed, mend):
    assert mend in answer("evaluate", *typed)
    assert len(take("evaluate", shlex.split(mend)).data) == 2


def test_a_mapping_parted_by_the_shell_is_put_together():
    said = answer("train", "data=labs", "data.labs={a:", "here,", "b:", "there.csv}", "seed=1")
    mend = "'data.labs={a: here, b: there.csv}'"
    assert said.endswith(mend)
    assert take("train", ["data=labs", *shlex.split(mend)]).data.labs == {"a": "here", "b": "there.csv"}


@pytest.mark.parametrize("verb", ["evaluate", "explain", "predict", "adapt"])
def test_what_has_to_be_given_is_named_with_what_to_give(verb):
    said = answer(verb)
    # evaluate may be given several models, and predict has one of its own
    optional = {"checkpoint"} if verb in ("evaluate", "predict") else set()
    needed = {word.partition("=")[0] for word in NEEDED[verb]} - optional
    assert set(re.findall(r"^(\w+) is not given: give \1=<?\w+", said, re.MULTILINE)) == needed


@pytest.mark.parametrize(
    ("verb", "words"),
    [
        ("train", ["-m", "phase.head.lr=1e-3,1e-4", "seed=0,1"]),
        ("train", ["+trainer.gradient_clip_val=1", "trainer.enable_progress_bar=false"]),
        ("train", ["data=labs", "data.labs={a: x}", "data.aliases={seg: Neutrophil}"]),
        ("train", ["experiment=demo", "--cfg", "job"]),
        ("train", ["experiment=demo", "~logger", "hydra/job_logging=none", "hydra.run.dir=x"]),
        ("explain", ["resume_from=outputs/explain/x"]),
        ("explain", ["--hydra-help"]),
        ("explain", ["checkpoint=a", "images=cells/*.png", "methods=lime", "target=true"]),
        ("predict", ["--info"]),
    ],
)
def test_what_is_right_passes(verb, words):
    check_words(words, verb, COMMANDS[verb].kind)


@pytest.mark.parametrize(
    ("typed", "named"),
    [
        ("data=rabin", "is data=raabin meant?"),
        ("trainer=tpu", "auto, cpu, ddp, gpu"),
        ("experiment=null", "leave experiment= out"),
        ("model=50", "give model=timm model.backbone=50"),
        ("phase.head.max_epoch=1", "phase.head.max_epochs"),
        ("cache_viewz=1", "the nearest that exists is cache_views"),
        ("qqq=1", "wbc train --help"),
        ("phase.head.lr=1e-3,1e-4", "add -m"),
        ("seed", "key=value"),
    ],
)
def test_other_slips_are_answered_too(typed, named):
    assert named in answer("train", typed)


def test_own_presets_are_not_refused(tmp_path):
    (tmp_path / "data").mkdir()
    Path(tmp_path / "data" / "mine.yaml").write_text("defaults: [base]\n")
    check_words(["--config-dir", str(tmp_path), "data=mine"], "train", COMMANDS["train"].kind)
