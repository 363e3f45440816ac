import copy
import itertools
from pathlib import Path

import pytest
from hydra.errors import HydraException
from hydra.utils import instantiate
from omegaconf import OmegaConf

from tests.helpers.configs import composed
from tests.helpers.places import CONF
from wbc.errors import ConfigError
from wbc.settings.train import parse


def choices(group: str) -> list[str]:
    return sorted(path.stem for path in (CONF / "train" / group).glob("*.yaml") if path.stem != "base")


def needed(data: str, model: str) -> list[str]:
    extra = {
        "folder": ["data.root=somewhere"],
        "manifest": ["data.root=somewhere"],
        "labs": ["data.labs={a: here, b: there.csv}"],
    }
    return extra.get(data, []) + (["model.backbone=resnet18"] if model == "timm" else [])


@pytest.mark.parametrize(
    ("data", "model", "phase"), list(itertools.product(choices("data"), choices("model"), choices("phase")))
)
def test_every_combination_composes(data, model, phase):
    config = composed(f"data={data}", f"model={model}", f"phase={phase}", *needed(data, model))
    assert config.data.name == data
    assert config.phase.run == (["head"] if phase == "head" else ["head", "finetune"])
    assert config.name == f"{data}_{model}"


@pytest.mark.parametrize("group", ["augment", "trainer", "logger", "experiment"])
def test_every_other_preset_composes(group):
    for name in choices(group):
        config = composed(f"{group}={name}", "data.root=somewhere")
        instantiate(config.augment.transforms, _convert_="all")


@pytest.mark.parametrize(
    ("typed", "side"),
    [
        ("experiment=raabin model=efficientnet_lite0", 320),
        ("experiment=raabin", 224),
        ("data=folder data.root=somewhere model=efficientnet_lite0", 224),
        ("experiment=other_labs data=raabin", 160),
        ("experiment=raabin model=efficientnet_lite0 model.image_size_px=96", 96),
    ],
)
def test_the_size_of_pictures_is_the_data_sets_unless_the_model_says_one(typed, side):
    assert composed(*typed.split()).model.image_size_px == side


def test_the_default_is_the_recipe():
    config = composed()
    assert (config.data.name, config.model.backbone) == ("raabin", "tf_efficientnetv2_l.in1k")
    assert (config.data.split_folders, config.data.group) == (None, r"^(\d{8}|\d+(?:-\d+){3})_")
    assert config.data.classes == ["Basophil", "Eosinophil", "Lymphocyte", "Monocyte", "Neutrophil"]
    assert (config.model.image_size_px, config.model.head_units, config.model.dropout) == (
        224,
        [128, 256],
        0.45,
    )
    head, finetune = config.phase.head, config.phase.finetune
    assert (head.lr, head.max_epochs, head.unfreeze_last) == (1e-4, 15, 0)
    assert (finetune.lr, finetune.max_epochs, finetune.unfreeze_last) == (1e-5, 30, 50)
    assert head.plateau is None
    assert finetune.plateau.min_delta == 1e-4
    training = config.training
    assert (training.label_smoothing, training.l2, training.adam_epsilon) == (0.1, 1e-4, 1e-7)


@pytest.mark.parametrize(
    "override",
    [
        "phase.finetune.learning_rate=1",
        "trainig.batch_size=1",
        "data=rabin",
        "phase=finetun",
        "model.weight=none",
    ],
)
def test_a_misspelt_key_or_choice_is_refused(override):
    with pytest.raises(HydraException):
        composed(override)


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("+data.rooot=x", "rooot"),
        ("+extra=1", "extra"),
        ("seed=first", "seed"),
        ("seed=-1", "seed=-1: expected 0 to 2"),
        (
            "phase.finetune.monitor=x",
            "phase.finetune.monitor='x': expected one of 'val_loss', 'val_accuracy', ",
        ),
        (
            "+phase.head.max_epoch=1",
            "phase.head.max_epoch is not a setting; the nearest that exists is phase.head.max_epochs",
        ),
        ("cache_keep=perhaps", "cache_keep='perhaps': expected true or false"),
        ("augment.transforms=none", "augment.transforms='none': expected a list"),
        ("phase.head=1", "phase.head=1: expected settings"),
        (
            "abstain.outlier_score=nearest",
            "abstain.outlier_score='nearest': expected one of energy, mahalanobis",
        ),
        ("abstain.outlier_score=null", "abstain.outlier_score=null: expected one of"),
        ("data.workers=-1", "data.workers=-1: expected 0 or more, or null to choose"),
        ("model.head_units=[128,0]", "model.head_units=\\[128, 0\\]: expected 1 or more in each layer"),
        ("phase.head.lr=0", "phase.head.lr=0"),
        ("phase.head.max_epochs=0", "max_epochs=0"),
        ("phase.finetune.unfreeze_last=-1", "unfreeze_last=-1"),
        ("phase.finetune.batch_norm=sometimes", "batch_norm='sometimes'"),
        ("phase.run=[tail]", "tail"),
        ("training.label_smoothing=1", "label_smoothing=1"),
        ("training.balance=1.5", "training.balance=1.5"),
        ("training.max_repeats=0", "training.max_repeats=0"),
        ("data.on_unreadable=ignore", "on_unreadable='ignore'"),
        ("data=labs", "data.labs"),
        ("data=labs data.labs={}", "data.labs names no lab"),
        ("data=labs data.labs={a:b} data.split_folders={a:train}", "data.split_folders is for one folder"),
        ("+data.labs={a:b}", "with data=labs only"),
        ("data.classes=[A]", "two classes"),
        ("data.classes=[A,A]", "twice"),
        (
            "data.hierarchy={g:[Basophil,Blast]}",
            "data.hierarchy: 'g' holds 'Blast', which is neither a class \\(Basophil, ",
        ),
        ("data.hierarchy={g:Basophil}", "data.hierarchy.g='Basophil': expected a list"),
        ("data.hierarchy=[g]", "data.hierarchy=\\['g'\\]: expected names with values"),
        ("data=folder", "data.root is not given: give data.root=<folder or table.csv>"),
        ("model=timm", "model.backbone is not given: give model.backbone=<a name that timm knows"),
        ("phase.head.monitor=val_los", "val_los"),
        ("phase.run=[finetune,head]", "phase.run"),
        ("phase.run=[finetune]", "init_from"),
        ("phase.finetune.plateau.factor=1", "factor"),
        ("phase.finetune.plateau.patience=0", "patience"),
        ("model.test_time.draws=-1", "test_time.draws"),
        ("model.second_opinion=-0.5", "second_opinion"),
        ("model.second_opinion=inf", "second_opinion"),
        ("model.test_time.draws=8 augment.transforms=[]", "no augment.transforms"),
        ("phase.head.average={decay:1}", "phase.head.average"),
        ("phase.head.average={from_epoch:15}", "below max_epochs"),
        ("phase.head.average={decai:0.9}", "decai"),
        ("model.drop_path_rate=1", "drop_path_rate"),
        ("model.standardise=[all]", "standardise=\\['all'\\]"),
        ("+trainer.max_epochs=3", "phase.<phase>.max_epochs"),
        ("+trainer.fast_dev_run=true", "fast_dev_run"),
        ("init_from=a resume_from=b", "init_from"),
    ],
)
def test_bad_values_are_refused_by_name(override, named):
    with pytest.raises(ConfigError, match=named.replace(".", r"\.")):
        composed(*override.split())


def test_superclasses_are_given_with_their_members():
    assert composed().data.hierarchy == {}
    given = composed("data.hierarchy={granulocyte: [Basophil, Eosinophil, Neutrophil]}").data.hierarchy
    assert given == {"granulocyte": ["Basophil", "Eosinophil", "Neutrophil"]}


def test_all_that_is_wrong_is_said_at_once():
    with pytest.raises(ConfigError) as error:
        composed("seed=-1", "phase.head.lr=0", "+extra=1")
    assert len(str(error.value).splitlines()) == 3


def test_a_saved_config_is_the_same_config(tmp_path):
    config = composed("data=synthetic", "experiment=pbc", "data.root=x")
    OmegaConf.save(OmegaConf.create(config.as_plain()), tmp_path / "config.yaml")
    assert parse(OmegaConf.load(tmp_path / "config.yaml")) == config
    assert isinstance(config.as_plain()["trainer"], dict)


def test_paths_are_made_absolute_and_words_are_not():
    config = composed("data.root=somewhere", "model.weights=package").with_absolute_paths()
    assert Path(config.data.root) == Path.cwd() / "somewhere"
    assert config.model.weights == "package"
    assert config.init_from is None
    config = composed("model.weights='~/w.pth'", "init_from=a.ckpt").with_absolute_paths()
    assert Path(config.model.weights) == Path.home() / "w.pth"
    assert Path(config.init_from) == Path.cwd() / "a.ckpt"


def test_a_run_from_before_a_setting_existed_can_be_resumed():
    plain = composed().as_plain()
    older = copy.deepcopy(plain)
    for section, keys in {
        "training": ["balance", "max_repeats"],
        "model": ["standardise", "test_time", "second_opinion", "size_opinion"],
    }.items():
        for key in keys:
            del older[section][key]
    assert parse(OmegaConf.create(older)).as_plain() == plain


def test_other_spellings_are_given_as_the_error_of_an_unknown_class_says():
    assert composed("data=synthetic").data.aliases == {}
    given = composed("data=synthetic", "data.aliases={erythroblast: Neutrophil, seg: Neutrophil}")
    assert given.data.aliases == {"erythroblast": "Neutrophil", "seg": "Neutrophil"}
