"""``dataset``: shards of images -> a split by event, and a card that says what the dataset holds."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from snpoint.data.atomic import write_json, write_text
from snpoint.data.contracts import FORMAT_VERSION
from snpoint.data.pages import render
from snpoint.data.productions import STAND_IN, check_files, check_productions, productions
from snpoint.data.shards import Columns, check_one_frame, frame, read_shard, shard_sources, write_split
from snpoint.data.sources import merge_sources
from snpoint.data.tables import check_distinct, event_name
from snpoint.errors import ConfigError, DataError
from snpoint.physics import datasetcard, summary
from snpoint.physics.drawing import draw
from snpoint.physics.duplicates import Copies, find_copies
from snpoint.physics.geometry import load_detector
from snpoint.physics.problems import problems
from snpoint.physics.splitting import assign_split, choose_images
from snpoint.plots import dataset as plots
from snpoint.provenance import fingerprint
from snpoint.settings import SPLITS, DatasetSettings

log = logging.getLogger(__name__)

_KEPT = (
    *("event_uid", "direction", "vertex_cm", "energy_true_mev", "energy_reco_mev", "neutrino_energy_mev"),
    *("interaction", "is_main", "apa", "face", "fingerprint", "background_uid", "background_fingerprint"),
    *("link_margin", "signal_fraction"),
)
_UNKNOWN = 255
_N_EXAMPLES = 8
_EXAMPLE_SIZE = (128, 32)


def run(settings: DatasetSettings, *, shards: list[Path], split: Path, card: Path, page: Path) -> None:
    """Select images, split them by event, and write the split and the card.

    Raises
    ------
    InputMissingError, DataError
        A shard is missing or broken, two shards hold the same event or differ in their frame, nothing passes the
        selection, too many files are broken, productions or copies are mixed in unasked, or there are fewer images
        than asked for.
    ConfigError
        The shares of the splits do not add up to 1.
    """
    images, sources, made, boxes = _read(shards)
    check_files(sources["files"], settings.max_quarantined, split)
    tags = productions(sources["files"])
    check_productions(tags, settings.productions, split)
    if len(backgrounds := productions(sources["background"])) > 1:  # one alone is not mixed with anything
        check_productions(backgrounds, settings.productions, split)
    passed, counts = _selected(settings, images, split)
    passed, copies = _without_copies(settings, images, passed, split)
    counts["copies"] = counts["passed"] - int(passed.sum())
    rows = _chosen(settings, images, passed, counts, split)
    assigned = _assigned(settings, images["event_uid"][rows])
    write_split(split, _split_arrays(images, rows, assigned, shards))
    kept = {key: values[rows] for key, values in images.items()}
    shares = {name: getattr(settings.split, name) for name in SPLITS}
    before = {"n_main": images["n_main"]}
    detector = load_detector(made["detector"])
    content = {
        "format_version": FORMAT_VERSION,
        "counts": counts,
        **datasetcard.contents(kept, before, detector, made["orientation"], settings.selection.min_tps_per_plane),
        **datasetcard.splits(kept, assigned, shares),
        "duplicates": {key: _named(found.report()) for key, found in copies.items()},
        **_inputs(sources, tags),
        "shards": [
            _of_shard(number, path, images, kept, assigned) | boxes[number] for number, path in enumerate(shards)
        ],
        "settings": settings.model_dump(mode="json"),
    }
    content = {"format_version": FORMAT_VERSION, "problems": problems(content), **content}
    write_json(card, content)
    _write_page(settings, page, content, kept, shards)
    per_split = ", ".join(f"{name} {content['splits'][name]['n']}" for name in SPLITS)
    log.info("%s: %d of %d images selected (%s)", split, len(rows), counts["images"], per_split)
    for problem in content["problems"]:
        if problem["severity"] != "note":
            log.warning("%s: %s: %s", card, problem["severity"], problem["text"])


def _read(shards: Sequence[Path]) -> tuple[Columns, dict[str, Any], dict[str, str], list[dict[str, Any]]]:
    """What selection and card need of each image (TPs stay on disk), merged sources, frame, and size of each shard."""
    parts, frames, sources, boxes = [], {}, [], []
    for number, path in enumerate(shards):
        shard = read_shard(path)
        frames[path] = frame(shard)
        sources.append(shard_sources(shard, path))
        boxes.append(summary.box(shard))
        n = len(shard["event_uid"])
        part = {key: shard[key] for key in _KEPT} | datasetcard.features(shard)
        part |= {"shard": np.full(n, number, np.uint32), "row": np.arange(n, dtype=np.uint32)}
        parts.append(part)
    made = check_one_frame(frames)
    uids = [np.unique(part["event_uid"]) for part in parts]
    check_distinct(uids, shards, "take one of their files off the samples")
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}, merge_sources(sources), made, boxes


def _selected(settings: DatasetSettings, images: Columns, where: Path) -> tuple[np.ndarray, dict[str, Any]]:
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


def _without_copies(
    settings: DatasetSettings, images: Columns, passed: np.ndarray, where: Path
) -> tuple[np.ndarray, dict[str, Copies]]:
    """The images without copies of other events, and what copies there are.

    An event over a background that another event lies over goes as a whole; of equal images all but one.
    """
    rows, copies = np.flatnonzero(passed), {}
    names = {"backgrounds": ("background_fingerprint", "background events"), "images": ("fingerprint", "images")}
    for kind, (key, name) in names.items():
        found = find_copies(images["event_uid"][rows], images[key][rows])
        copies[kind] = found
        if found.later.any() and settings.duplicates == "error":
            report = found.report()
            example = report["examples"][0]
            events = " and ".join(event_name(uid) for uid in example["events"][:2])
            raise DataError(
                f"{where}: {name} are there several times: {report['n_shared']} of {report['n_images']} images "
                f"({100 * report['share']:.1f}%) share one with another event, such as {events}; take copied files off "
                "the samples, or set dataset.duplicates to 'drop'"
            )
        rows = rows[~found.later]
    left = np.zeros(len(passed), bool)
    left[rows] = True
    return left, copies


def _chosen(
    settings: DatasetSettings, images: Columns, passed: np.ndarray, counts: dict[str, Any], where: Path
) -> np.ndarray:
    """Rows of the images that make up the dataset: as many as asked for, balanced; ``counts`` is completed."""
    rows, classes = np.flatnonzero(passed), None
    if settings.balance != "none":
        known = images[settings.balance][rows] != _UNKNOWN
        rows, counts["of_no_class"] = rows[known], int((~known).sum())
        classes = images[settings.balance][rows]
        names, sizes = np.unique(classes, return_counts=True)
        counts["classes"] = {str(name): int(size) for name, size in zip(names, sizes, strict=True)}
        if len(names) < 2:
            found = ", ".join(summary.INTERACTIONS[c] if settings.balance == "interaction" else str(c) for c in names)
            raise DataError(
                f"{where}: dataset.balance = '{settings.balance}' needs two classes, found only {found or 'none'}; "
                "add a sample of the other, or set it to 'none'"
            )
    taken = choose_images(
        images["event_uid"][rows], images["fingerprint"][rows], settings.seed, settings.images, classes
    )
    counts |= {"asked": settings.images, "selected": int(taken.sum())}
    # A share of each class for itself: what is left over of an odd number is not missing.
    spare = 0 if classes is None else len(np.unique(classes)) - 1
    if settings.images is not None and counts["selected"] + spare < settings.images and not settings.allow_fewer:
        raise DataError(
            f"{where}: {settings.images} images were asked for (dataset.images), {counts['selected']} found: "
            f"{counts['passed']} of {counts['images']} pass the selection, {counts['copies']} of these are copies; "
            "add files, or set dataset.allow_fewer to true"
        )
    return rows[taken]


def _assigned(settings: DatasetSettings, event_uid: np.ndarray) -> np.ndarray:
    try:
        return assign_split(event_uid, settings.seed, tuple(getattr(settings.split, name) for name in SPLITS))
    except ValueError as error:
        raise ConfigError(f"dataset.split: {error}") from error


def _split_arrays(images: Columns, rows: np.ndarray, assigned: np.ndarray, shards: Sequence[Path]) -> Columns:
    arrays = {key: images[key][rows] for key in ("shard", "row", "event_uid")}
    names = np.array([path.name for path in shards], dtype=str)
    checksums = np.array([fingerprint(path)["sha256"] for path in shards], dtype=str)
    return arrays | {"split": assigned, "shards": names, "shard_sha256": checksums}


def _named(report: dict[str, Any]) -> dict[str, Any]:
    """Event numbers as people write them."""
    examples = [row | {"events": [event_name(uid) for uid in row["events"]]} for row in report["examples"]]
    return report | {"examples": examples}


def _inputs(sources: dict[str, Any], tags: list[dict[str, Any]]) -> dict[str, Any]:
    """What the images were made of, as the shards tell it."""
    return {
        "files": sources["files"],
        "background": sources["background"],
        "productions": tags,
        "background_productions": productions(sources["background"]),
        "stand_ins": [entry["tag"] for entry in tags if entry["tag"].startswith(STAND_IN)],
        "truth": sources["truth"],
        "overlay": sources.get("overlay"),
        "truth_agreement": datasetcard.agreement(sources.get("comparison")),
    }


def _of_shard(number: int, path: Path, images: Columns, kept: Columns, assigned: np.ndarray) -> dict[str, Any]:
    """Counts, checksum and size of one shard."""
    own, all_of_it = kept["shard"] == number, images["shard"] == number
    found = {"shard": path.name, **fingerprint(path), "images": int(all_of_it.sum()), "selected": int(own.sum())}
    return found | {name: int((own & (assigned == index)).sum()) for index, name in enumerate(SPLITS)}


def _write_page(
    settings: DatasetSettings, page: Path, content: dict[str, Any], kept: Columns, shards: Sequence[Path]
) -> None:
    columns = {key: kept[key] for key in ("direction", "energy_true_mev", "energy_reco_mev", "n_tps", "interaction")}
    columns |= {"split": {name: part["n"] for name, part in content["splits"].items()}, "volumes": content["volumes"]}
    shown = {
        "name": page.resolve().parent.parent.name,
        "card": content,
        "size": _EXAMPLE_SIZE,
        "examples": plots.png_uri(_examples(kept, shards)),
        "mosaics": [
            (plane, plots.png_uri(canvas))
            for plane, canvas in zip(summary.PLANES, _mosaics(settings, kept, shards), strict=True)
        ],
        "overview": plots.png_uri(plots.overview(columns, datasetcard.ENERGY_EDGES_MEV)),
    }
    write_text(page, render("card.html.j2", shown))


def _examples(kept: Columns, shards: Sequence[Path]) -> Any:
    """Some images from the lowest to the highest energy (true where known, else reconstructed)."""
    order = np.argsort(_energy(kept), kind="stable")
    place = np.unique(np.linspace(0.02, 0.98, min(_N_EXAMPLES, len(order))) * (len(order) - 1) + 0.5).astype(np.int64)
    return plots.examples(_pictures(kept, order[place], shards), _titles(kept, order[place]))


def _mosaics(settings: DatasetSettings, kept: Columns, shards: Sequence[Path]) -> list[Any]:
    """One picture per plane of the same images, drawn at random: those of lowest hash, in the order of energy."""
    n = settings.mosaic.rows * settings.mosaic.columns
    rows = np.flatnonzero(choose_images(kept["event_uid"], kept["fingerprint"], settings.seed, n))
    rows = rows[np.argsort(_energy(kept)[rows], kind="stable")]
    pictures, titles = _pictures(kept, rows, shards), _titles(kept, rows)
    return [plots.mosaic(pictures[:, slot], titles, settings.mosaic.columns) for slot in range(len(summary.PLANES))]


def _energy(kept: Columns) -> np.ndarray:
    true = kept["energy_true_mev"]
    return np.where(np.isfinite(true), true, kept["energy_reco_mev"][:, 2])


def _pictures(kept: Columns, rows: np.ndarray, shards: Sequence[Path]) -> np.ndarray:
    """Draw a few images; only their shards are read."""
    pictures = np.zeros((len(rows), len(summary.PLANES), *_EXAMPLE_SIZE), np.float32)
    for number in np.unique(kept["shard"][rows]):
        own = kept["shard"][rows] == number
        shard = SimpleNamespace(**read_shard(shards[number]))
        pictures[own] = draw(shard, kept["row"][rows[own]], *_EXAMPLE_SIZE)
    return pictures


def _titles(kept: Columns, rows: np.ndarray) -> list[str]:
    """Interaction and energy of each image: that of the electron on its main cluster, else the energy seen."""
    kinds = {1: "ES ", 2: "CC ", 0: "bkg "}
    columns = (kept["interaction"], kept["is_main"], kept["energy_true_mev"], kept["energy_reco_mev"][:, 2])
    return [
        f"{kinds.get(int(kind), '')}{true:.1f} MeV"
        if main and np.isfinite(true)
        else f"{kinds.get(int(kind), '')}{'' if main else 'other, '}reco {seen:.1f} MeV"
        for kind, main, true, seen in zip(*(values[rows] for values in columns), strict=True)
    ]
