"""``dataset``: shards of images -> a split by event, and a card that says what the dataset holds."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from snpoint.data.atomic import write_json, write_text
from snpoint.data.contracts import FORMAT_VERSION
from snpoint.data.pages import render
from snpoint.data.productions import STAND_IN, check_broken, check_contents, check_productions, productions
from snpoint.data.shards import Columns, check_one_frame, frame, read_shard, shard_sources, write_split
from snpoint.data.sources import merge_sources
from snpoint.data.tables import check_distinct, event_name
from snpoint.errors import ConfigError, DataError
from snpoint.physics import datasetcard, summary
from snpoint.physics.drawing import draw
from snpoint.physics.duplicates import find_copies
from snpoint.physics.geometry import load_detector
from snpoint.physics.problems import problems
from snpoint.physics.selection import passing, taken
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
_N_EXAMPLES = 8
_EXAMPLE_SIZE = (128, 32)
MOSAIC = (4, 6)
"""Rows and columns of the mosaics of a card."""


@dataclass(frozen=True)
class _Shards:
    """What selection and card need of each image (TPs stay on disk), and what is known of each shard."""

    paths: Sequence[Path]
    images: Columns
    sources: dict[str, Any]
    frame: dict[str, str]
    about: list[dict[str, Any]]  # name, size and checksum, TPs and their ranges


def run(settings: DatasetSettings, *, shards: list[Path], split: Path, card: Path, page: Path) -> None:
    """Select images, split them by event, and write the split and the card; errors as of `make`."""
    make(settings, shards, (split, card, page))


def make(
    settings: DatasetSettings,
    shards: list[Path],
    outputs: tuple[Path, Path, Path],
    given: Sequence[np.ndarray] | None = None,
) -> None:
    """Select images, split them by event, and write the split, the card and its page (``outputs``).

    Images that were exported and imported keep the split that they had: ``given`` holds the number of the split of
    each image, one array per shard.

    Raises
    ------
    InputMissingError, DataError
        A shard is missing or broken, two shards hold the same event or differ in their frame, nothing passes the
        selection, too many files are broken, productions or copies are mixed in unasked, or there are fewer images
        than asked for.
    ConfigError
        The shares of the splits do not add up to 1.
    """
    split, card, page = outputs
    read = _read(shards)
    _check_inputs(settings, read.sources, split)
    passed, counts = passing(read.images, settings.selection, split)
    rows, copies = _without_copies(settings, read, passed, split)
    counts["copies"] = counts["passed"] - len(rows)
    counts |= _events(read, rows)
    rows, found = taken(read.images, rows, settings, counts, split)
    assigned = _assigned(settings, read.images["event_uid"][rows]) if given is None else np.concatenate(given)[rows]
    write_split(split, _split_arrays(read, rows, assigned))
    kept = {key: values[rows] for key, values in read.images.items()}
    content = {"format_version": FORMAT_VERSION, "problems": [], "counts": counts | found, "duplicates": copies}
    content |= _content(settings, read, kept, assigned)
    content["problems"] = problems(content)
    write_json(card, content)
    _write_page(settings, page, content, kept, shards)
    per_split = ", ".join(f"{name} {content['splits'][name]['n']}" for name in SPLITS)
    log.info("%s: %d of %d images selected (%s)", split, len(rows), counts["images"], per_split)
    for problem in content["problems"]:
        if problem["severity"] != "note":
            log.warning("%s: %s: %s", card, problem["severity"], problem["text"])


def _read(shards: Sequence[Path]) -> _Shards:
    parts, frames, sources, about = [], {}, [], []
    for number, path in enumerate(shards):
        shard = read_shard(path)
        frames[path] = frame(shard)
        sources.append(shard_sources(shard, path))
        about.append({"shard": path.name, **fingerprint(path), **summary.box(shard)})
        n = len(shard["event_uid"])
        part = {key: shard[key] for key in _KEPT} | datasetcard.features(shard)
        part |= {"shard": np.full(n, number, np.uint32), "row": np.arange(n, dtype=np.uint32)}
        parts.append(part)
    made = check_one_frame(frames)
    uids = [np.unique(part["event_uid"]) for part in parts]
    made_of = [[str(file["name"]) for file in own.get("files", []) if not file.get("problem")] for own in sources]
    check_distinct(uids, shards, "name the copied file under exclude: of its sample", made_of)
    images = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    return _Shards(shards, images, merge_sources(sources), made, about)


def _check_inputs(settings: DatasetSettings, sources: dict[str, Any], where: Path) -> None:
    """Check the files that the images were made of: broken ones of each kind, files read twice, productions."""
    check_broken(sources["files"], settings.max_quarantined, where)
    check_broken(sources["background"], settings.max_quarantined, where, "background")
    check_contents(sources["files"], where)  # copies among the background are found by their events
    check_productions(productions(sources["files"]), settings.productions, where)
    if len(backgrounds := productions(sources["background"])) > 1:  # one alone is not mixed with anything
        check_productions(backgrounds, settings.productions, where)


def _without_copies(
    settings: DatasetSettings, read: _Shards, passed: np.ndarray, where: Path
) -> tuple[np.ndarray, dict[str, Any]]:
    """Rows of the images that pass without copies of other events, and what copies there are.

    An event over a background that another event lies over goes as a whole; of equal images all but one.
    """
    rows, reports = np.flatnonzero(passed), {}
    names = {"backgrounds": ("background_fingerprint", "background events"), "images": ("fingerprint", "images")}
    for kind, (key, name) in names.items():
        found = find_copies(read.images["event_uid"][rows], read.images[key][rows])
        reports[kind] = report = _named(found.report(), read, rows)
        if found.later.any() and settings.duplicates == "error":
            events = " and ".join(report["examples"][0]["events"][:2])
            raise DataError(
                f"{where}: {name} are there several times: {report['n_shared']} of {report['n_images']} images "
                f"({100 * report['share']:.1f}%) share one with another event, such as {events}; take copied files off "
                "the samples, or set dataset.duplicates to 'drop'"
            )
        rows = rows[~found.later]
    return rows, reports


def _events(read: _Shards, rows: np.ndarray) -> dict[str, int]:
    """Events in the input files, and those of them that an image is left of: the others are losses."""
    n_events = sum(int(file["n_events"]) for file in read.sources["files"] if not file["problem"])
    return {"events": n_events, "events_passed": len(np.unique(read.images["event_uid"][rows]))}


def _named(report: dict[str, Any], read: _Shards, rows: np.ndarray) -> dict[str, Any]:
    """Examples as people can look them up: imported events have made-up numbers, but a place in a shard."""
    examples = []
    for example in report["examples"]:
        places = rows[example["rows"]]
        shards = [read.about[number]["shard"] for number in read.images["shard"][places]]
        events = [
            f"{event_name(uid)} ({shard}, row {row})"
            for uid, shard, row in zip(example["events"], shards, read.images["row"][places], strict=True)
        ]
        examples.append({key: example[key] for key in ("fingerprint", "n_events")} | {"events": events})
    return report | {"examples": examples}


def _assigned(settings: DatasetSettings, event_uid: np.ndarray) -> np.ndarray:
    try:
        return assign_split(event_uid, settings.seed, tuple(getattr(settings.split, name) for name in SPLITS))
    except ValueError as error:
        raise ConfigError(f"dataset.split: {error}") from error


def _split_arrays(read: _Shards, rows: np.ndarray, assigned: np.ndarray) -> Columns:
    arrays = {key: read.images[key][rows] for key in ("shard", "row", "event_uid")}
    names, checksums = (np.array([about[key] for about in read.about], dtype=str) for key in ("shard", "sha256"))
    return arrays | {"split": assigned, "shards": names, "shard_sha256": checksums}


def _content(settings: DatasetSettings, read: _Shards, kept: Columns, assigned: np.ndarray) -> dict[str, Any]:
    """The rest of the card: what follows from the images and from where they come."""
    shares = {name: getattr(settings.split, name) for name in SPLITS}
    before = {"n_main": read.images["n_main"]}
    detector, orientation = load_detector(read.frame["detector"]), read.frame["orientation"]
    return {
        **datasetcard.contents(kept, before, detector, orientation, settings.selection.min_tps_per_plane),
        **datasetcard.splits(kept, assigned, shares),
        **_inputs(read.sources),
        "shards": [_of_shard(number, read, kept, assigned) for number in range(len(read.paths))],
        "settings": settings.model_dump(mode="json"),
    }


def _inputs(sources: dict[str, Any]) -> dict[str, Any]:
    """What the images were made of, as the shards tell it."""
    tags, backgrounds = productions(sources["files"]), productions(sources["background"])
    return {
        "files": sources["files"],
        "background": sources["background"],
        "productions": tags,
        "background_productions": backgrounds,
        "stand_ins": sorted({entry["tag"] for entry in tags + backgrounds if entry["tag"].startswith(STAND_IN)}),
        "truth": sources["truth"],
        "overlay": sources.get("overlay"),
        "truth_agreement": datasetcard.agreement(sources.get("comparison")),
    }


def _of_shard(number: int, read: _Shards, kept: Columns, assigned: np.ndarray) -> dict[str, Any]:
    """Size, checksum and counts of one shard."""
    own, all_of_it = kept["shard"] == number, read.images["shard"] == number
    found = read.about[number] | {"images": int(all_of_it.sum()), "selected": int(own.sum())}
    found["with_background"] = int((read.images["background_uid"][all_of_it] != 0).sum())
    return found | {name: int((own & (assigned == index)).sum()) for index, name in enumerate(SPLITS)}


def _write_page(
    settings: DatasetSettings, page: Path, content: dict[str, Any], kept: Columns, shards: Sequence[Path]
) -> None:
    planes = list(content["frame"]["planes"].values())
    columns = {key: kept[key] for key in ("direction", "energy_true_mev", "energy_reco_mev", "n_tps", "interaction")}
    columns |= {"split": {name: part["n"] for name, part in content["splits"].items()}, "planes": planes}
    columns["volumes"] = [(summary.volume_name(row["apa"], row["face"]), row["n"]) for row in content["volumes"]]
    shown = {
        "name": page.resolve().parent.parent.name,
        "card": content,
        "volume_name": summary.volume_name,
        "size": _EXAMPLE_SIZE,
        "examples": plots.png_uri(_examples(kept, shards, planes)),
        "mosaics": [
            (plane, plots.png_uri(canvas))
            for plane, canvas in zip(planes, _mosaics(settings, kept, shards), strict=True)
        ],
        "overview": plots.png_uri(plots.overview(columns, datasetcard.ENERGY_EDGES_MEV)),
    }
    write_text(page, render("card.html.j2", shown))


def _examples(kept: Columns, shards: Sequence[Path], planes: Sequence[str]) -> Any:
    """Some images from the lowest to the highest energy (true where known, else reconstructed)."""
    order = np.argsort(_energy(kept), kind="stable")
    place = np.unique(np.linspace(0.02, 0.98, min(_N_EXAMPLES, len(order))) * (len(order) - 1) + 0.5).astype(np.int64)
    return plots.examples(_pictures(kept, order[place], shards), _titles(kept, order[place]), planes)


def _mosaics(settings: DatasetSettings, kept: Columns, shards: Sequence[Path]) -> list[Any]:
    """One picture per plane of the same images, drawn at random: those of lowest hash, in the order of energy."""
    n_rows, n_columns = MOSAIC
    rows = np.flatnonzero(choose_images(kept["event_uid"], kept["fingerprint"], settings.seed, n_rows * n_columns))
    rows = rows[np.argsort(_energy(kept)[rows], kind="stable")]
    pictures, titles = _pictures(kept, rows, shards), _titles(kept, rows)
    return [plots.mosaic(pictures[:, slot], titles, n_columns) for slot in range(len(summary.PLANES))]


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
