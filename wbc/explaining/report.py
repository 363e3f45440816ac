"""What `explain.py` leaves for people: the contact sheet, the summary and its figures, and the gallery."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from wbc.explaining.figures import randomisation_figure, stability_figure
from wbc.explaining.gallery import GalleryRow, write_gallery
from wbc.explaining.reasons import reasons_of
from wbc.explaining.summary import plain, summarise, summary_rows
from wbc.heat.contact_sheet import write_contact_sheet
from wbc.heat.like_these import like_lines
from wbc.heat.lime import STABLE, Lime, Stability, stability
from wbc.heat.methods import LIME, Method, build_method
from wbc.heat.panels import Decision, panel_file
from wbc.heat.randomisation import cascade
from wbc.heat.thumbnails import Row, decision_of, explained_before, image_of
from wbc.network.network import Network
from wbc.pages.figure_style import save_figure
from wbc.pages.html import picture, table
from wbc.plain.prediction_rows import SET_SEPARATOR
from wbc.settings.explain import ExplainConfig
from wbc.settings.layout import FIGURES
from wbc.utils.files import write_json
from wbc.utils.progress import progress

log = logging.getLogger(__name__)


def write_explanations(
    config: ExplainConfig,
    folder: Path,
    frame: pd.DataFrame,
    network: Network,
    methods: Sequence[Method],
    lime: Lime,
    words_known: bool,
) -> None:
    """Everything that is made of all rows of explanations.csv together.

    words_known: whether people named words of the cells that the model knows.
    """
    explained = frame[frame["method"] != ""]
    if explained.empty:
        log.error("no image could be read; explanations.csv says why")
        return
    one_each = explained.drop_duplicates("number")
    sheet = folder / "contact_sheet.png"
    write_contact_sheet(
        sheet, "Explanations", methods[0].name, one_each, explained_before(folder), network.prepare
    )
    parts: list[str] = [
        f"Model: {config.checkpoint}. Images: {config.images}. Heat speaks for: {config.target}."
    ]
    summary: dict[str, Any] = {"all": summarise(explained)}
    right = explained[explained["label"] == explained["predicted"]]
    if len(right) and len(right) < len(explained):
        summary["rightly classified"] = summarise(right)
    for name, part in summary.items():
        parts.append(table(*summary_rows(part), caption=_caption(name, config)))
    if config.measure:
        summary |= _sanity(config, folder, one_each, network, methods, lime, parts)
    write_json(folder / "summary.json", summary)
    noted = explained[explained["note"] != ""]
    remarks = (noted["method"] + ": " + noted["note"]).groupby(noted["number"]).agg("; ".join)
    rows = [
        GalleryRow(
            row["path"],
            _answered(row),
            panel_file(folder, number),
            remarks.get(number, ""),
            like_lines(row),
            words_known,
        )
        for number, row in zip(one_each["number"], one_each.to_dict("records"), strict=True)
    ]
    failed = frame[frame["method"] == ""]
    failures = list(zip(failed["path"], failed["note"], strict=True))
    write_gallery(folder / "gallery.html", "Explanations", rows, parts, failures)
    log.info("%d images explained, %d could not be read", len(one_each), len(failures))
    log.info("gallery: %s; contact_sheet.png and explanations.csv lie beside it", folder / "gallery.html")


def _answered(row: Row) -> Decision:
    """The decision with its status and prediction set, where explanations.csv tells of them."""
    inside = row.get("set", "")
    return replace(
        decision_of(row),
        status=row.get("status", ""),
        set=tuple(inside.split(SET_SEPARATOR)) if inside else (),
        reasons=reasons_of(row),
    )


def _caption(name: str, config: ExplainConfig) -> str:
    caption = f"Measures by method, {name}: mean [95 % bootstrap interval] over the images that have heat"
    if config.masks is not None:
        caption += " and, for where it lies, a mask"
    if config.measure:
        caption += "; random and edge map are what a method has to beat"
    return caption


def _sanity(
    config: ExplainConfig,
    folder: Path,
    rows: pd.DataFrame,
    network: Network,
    methods: Sequence[Method],
    lime: Lime,
    parts: list[str],
) -> dict[str, Any]:
    """The checks that take a sample of the images; what is left out is said on the page."""
    summary: dict[str, Any] = {}
    sample = rows.sample(min(len(rows), config.sanity_images), random_state=config.seed)
    fast = [method.name for method in methods if not method.takes_many_passes]
    slow = [method.name for method in methods if method.takes_many_passes]
    if len(sample) and fast:
        frame = _randomised(sample, config, network, fast, lime)
        means = frame.groupby(["method", "stage"], sort=False)[["rank_correlation", "ssim"]].mean()
        summary["randomisation"] = [
            {"method": method, "stage": stage, "rank_correlation": plain(ranks), "ssim": plain(ssim)}
            for (method, stage), ranks, ssim in means.itertuples()
        ]
        save_figure(randomisation_figure(frame), folder / FIGURES / "randomisation.png")
        shown = picture(folder / FIGURES / "randomisation.png", "likeness of maps, stage by stage")
        text = (
            f"Cascading randomisation on {len(sample)} images: a map that explains the network falls apart."
        )
        parts += [text, shown]
    if slow:
        parts.append(f"Not randomised, for taking hundreds of passes an image: {', '.join(slow)}.")
    sample = rows.sample(min(len(rows), config.stability_images), random_state=config.seed)
    if len(sample) and any(method.name == LIME for method in methods):
        found = []
        for row in progress(sample.to_dict("records"), "stability of lime", "image"):
            _, pixels = image_of(row["path"], network)
            found.append(stability(lime, pixels, network.classes.index(row["target"])))
        summary["lime_stability"] = _stability_summary(found)
        save_figure(stability_figure(found), folder / FIGURES / "lime_stability.png")
        parts += [
            f"Stability of lime on {len(sample)} images, 5 seeds each.",
            picture(folder / FIGURES / "lime_stability.png", "rank correlation between seeds by samples"),
        ]
    return summary


def _randomised(
    sample: pd.DataFrame, config: ExplainConfig, network: Network, names: Sequence[str], lime: Lime
) -> pd.DataFrame:
    """`cascade` for each method."""
    images = torch.cat([image_of(path, network)[0] for path in sample["path"]])
    targets = torch.tensor([network.classes.index(target) for target in sample["target"]])
    frames = []
    for name in progress(names, "randomising", "method"):

        def heat(copy: Network, name: str = name) -> np.ndarray:
            method = build_method(name, copy, lime, views=config.heat_views)
            batches = zip(images.split(config.batch_size), targets.split(config.batch_size), strict=True)
            return torch.cat([method.heat(*batch) for batch in batches]).numpy()

        frames.append(cascade(network, heat, config.seed).assign(method=name))
    return pd.concat(frames)


def _stability_summary(found: Sequence[Stability]) -> dict[str, Any]:
    correlations = pd.DataFrame([one.correlations for one in found])
    return {
        "images": len(found),
        "rank_correlation": {str(count): plain(mean) for count, mean in correlations.mean().items()},
        f"samples_for_{STABLE}": [one.samples for one in found],
    }
