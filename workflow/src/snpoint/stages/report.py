"""``report``: what lies under ``results/`` -> the registry and the pages people look at.

Settings hold names only; why, status and lesson of a version are read from its configuration when the page is
made, so that editing them makes nothing stale.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from snpoint import __version__, config, paths
from snpoint.data.atomic import write_text
from snpoint.data.pages import render
from snpoint.data.registry import Row, version_row, write_registry
from snpoint.data.results import PLANE_X, read_predictions
from snpoint.data.summaries import read_strict_json
from snpoint.data.tables import uid_parts
from snpoint.errors import ConfigError
from snpoint.physics.angles import angle_deg
from snpoint.physics.baselines import ISOTROPIC_EXPECTATION
from snpoint.physics.constants import BACKGROUND, CC, ES
from snpoint.physics.sphere import longitude_latitude_deg
from snpoint.physics.statistics import containment
from snpoint.settings import SPLITS, ReportSettings

_log = logging.getLogger(__name__)

_LINKED = {
    "evaluate": ("report.pdf", "metrics.json", "predictions.npz"),
    "train": ("history.csv", "training.json"),
    "likelihood": ("validation.json",),
    "interpret": ("report.pdf", "interpretation.json"),
}
_PLOTTED = ("evaluate", "likelihood", "interpret")
_INTERACTIONS = {BACKGROUND: "background", ES: "ES", CC: "CC"}
_EVENTS_SHOWN = 25

Link = Callable[[str | Path], str]


def run(
    settings: ReportSettings, *, page: Path, registry_csv: Path | None = None, registry_json: Path | None = None
) -> None:
    """Write one page and, where paths for it are given, the registry."""
    rows = [version_row(task, version, _described(task, version)) for task, version in map(_split, settings.versions)]

    def link(target: str | Path) -> str:
        return Path(os.path.relpath(target, page.parent)).as_posix()

    chart = _chart(rows)
    content = {
        "kind": page.stem,
        "title": "Supernova pointing" if page.stem == "index" else "Supernova pointing: real files",
        "made": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "code": __version__,
        "rows": rows,
        "chart": chart,
        "axis_max": _axis_max_deg(chart),
        "chance": ISOTROPIC_EXPECTATION,
        "no_blip": _no_blip(chart),
        "versions": [_version(row, link) for row in rows],
        "pointings": [_pointing(name, link) for name in settings.pointings],
        "datasets": [_dataset(name, link) for name in settings.datasets],
        "predictions": [_prediction(name, link) for name in settings.predictions],
        "links": _page_links(page, registry_csv, link),
    }
    write_text(page, render("report.html.j2", content, _FILTERS))
    if registry_csv is not None and registry_json is not None:
        write_registry(registry_csv, registry_json, rows)
    done = sum(row["state"] == "evaluated" for row in rows)
    _log.info("%s: %d of %d versions evaluated", page, done, len(rows))


def _split(name: str) -> tuple[str, str]:
    task, _, version = name.partition("/")
    return task, version


def _described(task: str, version: str) -> Row:
    try:
        content = config.load_version(task, version)
    except ConfigError as error:
        _log.warning("%s/%s is shown without its description: %s", task, version, error)
        return {}
    return {
        "status": content.status,
        "why": content.why,
        "lesson": content.lesson,
        "dataset": content.dataset,
    }


def _number(value: float | None, digits: int = 1) -> str:
    return "–" if value is None else f"{value:,.{digits}f}".replace("-", "−")


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f}%"


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _plain(stem: str) -> str:
    return stem.replace("_", " ")


_FILTERS = {"number": _number, "percent": _percent, "duration": _duration, "plain": _plain}


def _chart(rows: list[Row]) -> list[Row]:
    """Versions with a result, sharpest first: what the chart of the headline draws."""
    done = [row for row in rows if row["containment_68_deg"] is not None]
    return sorted(done, key=lambda row: row["containment_68_deg"])


def _axis_max_deg(chart: list[Row]) -> float:
    """End of the chart's axis: a multiple of 20 deg, at least 120, beyond everything drawn."""
    keys = ("containment_68_high_deg", "principal_axis_68_deg", "isotropic_68_deg")
    drawn = [row[key] for row in chart for key in keys if row[key] is not None]
    return 20.0 * np.ceil(max([120.0, *drawn]) / 20.0)


def _no_blip(chart: list[Row]) -> str:
    """Share of the test events without a blip, over all versions."""
    shares = [row["principal_axis_no_blip_fraction"] for row in chart]
    known = sorted({_percent(share) for share in shares if share is not None}, key=lambda text: float(text[:-1]))
    return " to ".join(known[:1] + known[1:][-1:]) if known else "a share"


def _existing(folder: str, names: tuple[str, ...], link: Link) -> list[tuple[str, str]]:
    return [(name, link(f"{folder}/{name}")) for name in names if Path(folder, name).exists()]


def _plots(folder: str, link: Link) -> list[tuple[str, str]]:
    return [(path.stem, link(path)) for path in sorted(Path(folder, "plots").glob("*.png"))]


def _version(row: Row, link: Link) -> dict[str, Any]:
    task, version = row["task"], row["version"]
    folder = paths.version_folder(task, version)
    files = [
        (f"{stage}/{name}", target)
        for stage, names in _LINKED.items()
        for name, target in _existing(f"{folder}/{stage}", names, link)
    ]
    interpretation = Path(paths.version_file("interpret", "interpretation.json", task, version))
    return {
        "row": row,
        "anchor": f"{task}-{version}".replace("/", "-"),
        "files": [*files, *_existing(folder, ("config.yaml",), link)],
        "plots": {stage: _plots(f"{folder}/{stage}", link) for stage in _PLOTTED},
        "sentences": read_strict_json(interpretation).get("sentences", []) if interpretation.exists() else [],
    }


def _pointing(name: str, link: Link) -> dict[str, Any]:
    numbers, picture = Path(paths.point_file("pointing.json", name)), Path(paths.point_file("skymap.png", name))
    try:
        content = config.load_pointing(name)
        why, version = content.why, content.version
    except ConfigError as error:
        _log.warning("pointing %s is shown without its description: %s", name, error)
        why, version = None, None
    return {
        "name": name,
        "why": why,
        "version": version,
        "numbers": read_strict_json(numbers) if numbers.exists() else None,
        "picture": link(picture) if picture.exists() else None,
        "files": _existing(str(numbers.parent), ("pointing.json", "sky.fits", "skymap.csv"), link),
    }


def _dataset(name: str, link: Link) -> dict[str, Any]:
    path, page = Path(config.dataset_file("card.json", name)), Path(config.dataset_file("card.html", name))
    card = read_strict_json(path) if path.exists() else {}
    counts, splits = card.get("counts", {}), card.get("splits", {})
    return {
        "name": name,
        "made": path.exists(),
        "page": link(page) if page.exists() else None,
        "counts": {key: counts.get(key) for key in ("images", "asked", "selected")},
        "splits": {split: splits.get(split, {}).get("n") for split in SPLITS},
        "interactions": card.get("interactions", {}),
    }


def _prediction(name: str, link: Link) -> dict[str, Any]:
    version, _, dataset = name.partition("/predict/")
    task, version = _split(version)
    path = Path(paths.predictions(dataset, task, version))
    shown: dict[str, Any] = {"dataset": dataset, "task": task, "version": version, "n": None}
    if not path.exists():
        return shown
    arrays = read_predictions(path)
    errors = angle_deg(arrays["direction_pred"], arrays["direction_true"])
    known = np.isfinite(errors)
    return shown | {
        "file": link(path),
        "n": len(errors),
        "n_known": int(known.sum()),
        "containment_68_deg": containment(errors[known]) if known.any() else None,
        "flipped": int((errors[known] > 90).sum()),
        "events": [_event(arrays, errors, index) for index in range(min(len(errors), _EVENTS_SHOWN))],
    }


def _event(arrays: dict[str, Any], errors: Any, index: int) -> dict[str, Any]:
    uid = int(arrays["event_uid"][index])
    longitude, latitude = longitude_latitude_deg(arrays["direction_pred"][index])
    return {
        "name": " / ".join(map(str, uid_parts(uid))),
        "interaction": _INTERACTIONS.get(int(arrays["interaction"][index]), "–"),
        "energy_true_mev": _finite(arrays["energy_true_mev"][index]),
        "energy_reco_mev": _finite(arrays["energy_reco_mev"][index, PLANE_X]),
        "longitude_deg": float(longitude),
        "latitude_deg": float(latitude),
        "kappa": _finite(arrays["kappa"][index]),
        "head_probability": _finite(arrays["head_probability"][index]),
        "error_deg": _finite(errors[index]),
    }


def _finite(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None


def _page_links(page: Path, registry_csv: Path | None, link: Link) -> list[tuple[str, str]]:
    other = page.with_name("real_data.html" if page.stem == "index" else "index.html")
    links = [("simulation" if other.stem == "index" else "real files", link(other))] if other.exists() else []
    table = Path(paths.REGISTRY_CSV)
    if registry_csv is not None or table.exists():
        links.append(("registry.csv", link(registry_csv or table)))
    return links
