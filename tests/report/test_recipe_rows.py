"""The settings that a model card tells: those that make a difference, of the phases that ran."""

import pytest

from tests.helpers.configs import composed
from wbc.report.recipe_rows import settings_rows


@pytest.mark.parametrize(
    ("provenance", "ran"),
    [({"phases": ["finetune"]}, '["finetune"]'), ({}, '["head", "finetune"]')],  # an older file does not tell
)
def test_only_what_makes_a_difference_is_told(provenance, ran):
    config = composed("data=synthetic", "trainer.precision=bf16-mixed", "init_from=a.ckpt", "data.workers=3")
    rows = dict(settings_rows({"config": config.as_plain(), **provenance}))
    assert rows["trainer.precision"] == "bf16-mixed"
    assert rows["phase.run"] == ran
    assert ("phase.head.lr" in rows) == ("head" in ran)
    assert "phase.finetune.lr" in rows
    assert rows["data.images_per_class"] == "150"
    assert not {"data.checks_dir", "data.workers", "trainer.devices", "report", "cache_keep"} & set(rows)
