"""Training on two nodes: as SLURM starts it, and as torchrun does."""

import json

import pandas as pd
import pytest

from tests.helpers.nodes import LAUNCHERS, Nodes
from tests.helpers.small_runs import SMALL

TWO_NODES = ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=1", "trainer.num_nodes=2"]


def words(folder, *more):
    small = [word for word in SMALL if word != "trainer=cpu"]
    return ["train", *small, "phase=head", f"data.root={folder / 'cells'}", *more]


@pytest.mark.slow  # processes that import everything anew
def test_two_nodes_train_one_model_whichever_launcher_started_them(tmp_path):
    found, resumed = [], tmp_path / LAUNCHERS[0]
    for launcher in LAUNCHERS:
        run = tmp_path / launcher
        nodes = Nodes(launcher, words(tmp_path, *TWO_NODES, f"hydra.run.dir={run}"), tmp_path)
        assert nodes.codes() == [0, 0], nodes.printed()
        metrics = json.loads((run / "metrics.json").read_text())
        assert metrics["phases"]["head"]["devices"] == 2
        manifest = pd.read_csv(run / "manifest.csv")
        predictions = pd.read_csv(run / "predictions.csv")
        assert sorted(predictions["path"]) == sorted(manifest.loc[manifest["split"] != "train", "path"])
        found.append(metrics["phases"]["head"]["sets"])
    assert found[0] == found[1]
    # Its phase once more, from its checkpoint, as after a kill.
    (resumed / "logs" / "head" / "result.json").unlink()
    (resumed / "metrics.json").unlink()
    nodes = Nodes(LAUNCHERS[0], ["train", f"resume_from={resumed}"], tmp_path)
    assert nodes.codes() == [0, 0], nodes.printed()
    assert json.loads((resumed / "metrics.json").read_text())["phases"]["head"]["sets"] == found[0]


@pytest.mark.slow  # likewise
@pytest.mark.parametrize("launcher", LAUNCHERS)
@pytest.mark.parametrize(
    ("more", "said"),
    [
        (TWO_NODES, "several processes were started from outside: name one folder, hydra.run.dir=<folder>"),
        (["trainer=cpu", "hydra.run.dir=run"], "trainer=ddp"),
    ],
)
def test_what_does_not_fit_the_nodes_is_told_with_the_mend(tmp_path, launcher, more, said):
    """With torchrun and trainer=cpu each node trained alone, in one folder."""
    nodes = Nodes(launcher, words(tmp_path, *more), tmp_path)
    assert all(nodes.codes()), nodes.printed()
    assert said in nodes.printed()
    assert not list(tmp_path.rglob("metrics.json"))
