"""``dataset``: shards of images -> a split by event, and a card that says what the dataset holds."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from snpoint.data.atomic import write_json, write_text
from snpoint.data.contracts import FORMAT_VERSION
from snpoint.data.pages import render
from snpoint.data.shards import check_one_frame, frame, load_dataset, read_shard, write_split
from snpoint.data.tables import check_distinct
from snpoint.errors import ConfigError, DataError
from snpoint.physics import summary
from snpoint.physics.imaging import draw
from snpoint.physics.splitting import assign_split, choose_events
from snpoint.plots import dataset as plots
from snpoint.provenance import fingerprint
from snpoint.settings import SPLITS, DatasetSettings

log = logging.getLogger(__name__)

_KEPT = ("event_uid", "direction", "energy_true_mev", "energy_reco_mev", "interaction", "apa", "face")
_ENERGY_EDGES_MEV = np.arange(0.0, 71.0, 2.0)
_N_EXAMPLES = 8
_EXAMPLE_SIZE = (128, 32)


def run(settings: DatasetSettings, *, shards: list[Path], split: Path, card: Path, page: Path) -> None:
    """Select images, split them by event, and write the split and the card.

    Raises
    ------
    InputMissingError, DataError
        A shard is missing or broken, two shards hold the same event or differ in their frame, or nothing passes the
        selection.
    ConfigError
        The shares of the splits do not add up to 1.
    """
    images = _read(shards)
    passed, counts = _selected(settings, images, split)
    chosen = passed.copy()
    if settings.events is not None:
        chosen[passed] = choose_events(images["event_uid"][passed], settings.seed, settings.events)
    counts |= {"asked": settings.events, "selected": int(chosen.sum())}
    shares = tuple(getattr(settings.split, name) for name in SPLITS)
    try:
        assigned = assign_split(images["event_uid"], settings.seed, shares)
    except ValueError as error:
        raise ConfigError(f"dataset.split: {error}") from error
    rows = np.flatnonzero(chosen)
    write_split(split, _split_arrays(images, rows, assigned, shards))
    content = _card(settings, images, rows, assigned, counts, shards)
    write_json(card, content)
    _write_page(page, content, {key: values[rows] for key, values in images.items()}, split)
    per_split = ", ".join(f"{name} {content['splits'][name]['n']}" for name in SPLITS)
    log.info("%s: %d of %d images selected (%s)", split, len(rows), counts["images"], per_split)
    if settings.events is not None and len(rows) < settings.events:
        log.warning(
            "%s: %d events asked for, only %d found; add files or simulate more", split, settings.events, len(rows)
        )


def _read(shards: Sequence[Path]) -> dict[str, np.ndarray]:
    """What selection and card need of each image; TPs stay on disk."""
    parts, frames = [], {}
    for number, path in enumerate(shards):
        shard = read_shard(path)
        frames[path] = frame(shard)
        part = {key: shard[key] for key in _KEPT}
        part["n_tps"], part["n_main"] = summary.image_counts(shard)
        part["shard"] = np.full(len(shard["event_uid"]), number, np.uint32)
        part["row"] = np.arange(len(shard["event_uid"]), dtype=np.uint32)
        parts.append(part)
    check_one_frame(frames)
    check_distinct([part["event_uid"] for part in parts], shards, "take one of their files off the samples")
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


def _selected(
    settings: DatasetSettings, images: dict[str, np.ndarray], where: Path
) -> tuple[np.ndarray, dict[str, Any]]:
    """Images that pass the selection, and how many each condition removes (in this order)."""
    selection = settings.selection
    has_truth = np.isfinite(images["direction"]).all(axis=1) | (not selection.require_truth)
    n_planes = (images["n_main"] >= selection.min_tps_per_plane).sum(axis=1)
    has_planes = n_planes >= selection.min_planes
    counts = {
        "images": len(has_truth),
        "without_truth": int((~has_truth).sum()),
        "too_few_planes": int((has_truth & ~has_planes).sum()),
        "passed": int((has_truth & has_planes).sum()),
    }
    if counts["passed"] == 0:
        raise DataError(
            f"{where}: no image is left of {counts['images']}: {counts['without_truth']} removed by "
            f"selection.require_truth, {counts['too_few_planes']} by selection.min_planes = {selection.min_planes} "
            f"(min_tps_per_plane = {selection.min_tps_per_plane}); loosen the selection or add files"
        )
    return has_truth & has_planes, counts


def _split_arrays(
    images: dict[str, np.ndarray], rows: np.ndarray, assigned: np.ndarray, shards: Sequence[Path]
) -> dict[str, np.ndarray]:
    arrays = {key: images[key][rows] for key in ("shard", "row", "event_uid")}
    names = np.array([path.name for path in shards], dtype=str)
    checksums = np.array([fingerprint(path)["sha256"] for path in shards], dtype=str)
    return arrays | {"split": assigned[rows], "shards": names, "shard_sha256": checksums}


def _card(
    settings: DatasetSettings,
    images: dict[str, np.ndarray],
    rows: np.ndarray,
    assigned: np.ndarray,
    counts: dict[str, Any],
    shards: Sequence[Path],
) -> dict[str, Any]:
    kept = {key: values[rows] for key, values in images.items()}
    of_split = {name: assigned[rows] == index for index, name in enumerate(SPLITS)}
    min_tps = settings.selection.min_tps_per_plane
    return {
        "format_version": FORMAT_VERSION,
        "counts": counts,
        "splits": {
            name: {"share_asked": getattr(settings.split, name), "share_found": float(own.mean()), "n": int(own.sum())}
            for name, own in of_split.items()
        },
        "shards": [_shard_counts(number, path, images, kept, of_split) for number, path in enumerate(shards)],
        "interactions": summary.interactions(kept["interaction"]),
        "labels": summary.isotropy(kept["direction"]),
        "energy_true_mev": summary.distribution(kept["energy_true_mev"], _ENERGY_EDGES_MEV),
        "energy_reco_mev": {
            plane: summary.distribution(kept["energy_reco_mev"][:, index], _ENERGY_EDGES_MEV)
            for index, plane in enumerate(summary.PLANES)
        },
        "planes_found": {
            "before_selection": summary.planes_found(images["n_main"], min_tps),
            "selected": summary.planes_found(kept["n_main"], min_tps),
        },
        "tps_per_image": {
            plane: summary.distribution(kept["n_tps"][:, index]) for index, plane in enumerate(summary.PLANES)
        },
        "volumes": summary.volumes(kept["apa"], kept["face"]),
        "settings": settings.model_dump(mode="json"),
    }


def _shard_counts(
    number: int,
    path: Path,
    images: dict[str, np.ndarray],
    kept: dict[str, np.ndarray],
    of_split: dict[str, np.ndarray],
) -> dict[str, Any]:
    own = kept["shard"] == number
    found = {"shard": path.name, "images": int((images["shard"] == number).sum()), "selected": int(own.sum())}
    return found | {name: int((own & chosen).sum()) for name, chosen in of_split.items()}


def _write_page(page: Path, content: dict[str, Any], kept: dict[str, np.ndarray], split: Path) -> None:
    columns = {key: kept[key] for key in ("direction", "energy_true_mev", "energy_reco_mev", "n_tps")}
    columns |= {"split": {name: part["n"] for name, part in content["splits"].items()}, "volumes": content["volumes"]}
    shown = {
        "name": page.resolve().parent.parent.name,
        "card": content,
        "size": _EXAMPLE_SIZE,
        "examples": plots.png_uri(_example_figure(kept, split)),
        "overview": plots.png_uri(plots.overview(columns, _ENERGY_EDGES_MEV)),
    }
    write_text(page, render("card.html.j2", shown))


def _example_figure(kept: dict[str, np.ndarray], split: Path) -> Any:
    """Some images from the lowest to the highest energy (true where known, else reconstructed)."""
    true, reco = kept["energy_true_mev"], kept["energy_reco_mev"][:, 2]
    order = np.argsort(np.where(np.isfinite(true), true, reco), kind="stable")
    place = np.unique(np.linspace(0.02, 0.98, min(_N_EXAMPLES, len(order))) * (len(order) - 1) + 0.5).astype(np.int64)
    chosen = order[place]
    events = load_dataset(split).take(chosen)
    kinds = {1: "ES ", 2: "CC ", 0: "bkg "}
    titles = [
        f"{kinds.get(int(kind), '')}{energy:.1f} MeV" if np.isfinite(energy) else f"reco {seen:.1f} MeV"
        for kind, energy, seen in zip(events.interaction, events.energy_true_mev, reco[chosen], strict=True)
    ]
    return plots.examples(draw(events, np.arange(len(events)), *_EXAMPLE_SIZE), titles)
