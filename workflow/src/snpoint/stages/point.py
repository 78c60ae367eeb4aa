"""``point``: predictions and a likelihood table -> log-likelihood of a burst over the sky, best direction, areas."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snpoint.data import contracts
from snpoint.data.atomic import write_json
from snpoint.data.results import PLANE_X, read_npz, read_predictions
from snpoint.data.sky import write_sky
from snpoint.errors import DataError
from snpoint.physics import pointing as physics
from snpoint.physics import sphere
from snpoint.physics.angles import angle_deg
from snpoint.physics.likelihood import Tables
from snpoint.plots import pointing as plots
from snpoint.plots.canvas import write_figure
from snpoint.settings import SPLITS, PointSettings

_log = logging.getLogger(__name__)

TEST = SPLITS.index("test")
EVENT_CLASS = "ES"


def run(
    settings: PointSettings, *, predictions: Path, likelihood: Path, sky: Path, pointing: Path, skymap: Path
) -> None:
    """Point at the supernova of one burst and write the map, the numbers and the figure.

    Raises
    ------
    DataError
        There is no event to point with.
    """
    arrays = read_predictions(predictions)
    table = read_npz(likelihood, contracts.LIKELIHOOD)
    event_class, tables = _tables(table)
    burst = _burst(settings, arrays, predictions)
    directions = sphere.pixel_directions(settings.nside)
    log_likelihood = physics.log_likelihood(directions, burst.directions, burst.energies_mev, tables)
    probability = physics.posterior(log_likelihood)
    best = directions[int(np.argmax(probability))]
    mean = physics.mean_direction(probability, directions)
    content = {
        "format_version": contracts.FORMAT_VERSION,
        "nside": settings.nside,
        **_used(settings, burst, event_class, str(table["target"]), tables),
        "log_likelihood_over_isotropic": float(log_likelihood.max() - len(burst.rows) * np.log(0.5)),
        **_estimate(settings, probability, best, mean),
        **_truth(settings, probability, best, mean, burst.true_direction),
    }
    shown = plots.Sky(
        log_likelihood,
        probability,
        burst.directions,
        burst.energies_mev,
        best,
        mean,
        burst.true_direction,
        settings.levels,
    )
    figure = plots.sky_map(shown, f"Sky map of {pointing.parent.name}", _caption(content))
    write_figure(figure, skymap, plots.events_table(shown))
    write_sky(sky, log_likelihood, probability)
    write_json(pointing, content)
    _log.info("%s", _caption(content).replace("\n", "; "))


def _tables(table: dict[str, NDArray[Any]]) -> tuple[str, Tables]:
    classes = [str(name) for name in table["classes"]]
    chosen = classes.index(EVENT_CLASS) if EVENT_CLASS in classes else 0
    tables = Tables(
        table["pdf"][chosen],
        table["energy_edges_mev"],
        table["cos_edges"],
        table["n_events"][chosen],
        table["fallback"][chosen].astype(bool),
    )
    return classes[chosen], tables


def _burst(settings: PointSettings, arrays: dict[str, NDArray[Any]], predictions: Path) -> physics.Burst:
    directions = sphere.normalized(arrays["direction_pred"])
    energies = arrays["energy_reco_mev"][:, PLANE_X].astype(np.float64)
    neutrinos = arrays["neutrino_direction"].astype(np.float64)
    if settings.burst == "all":
        if len(directions) == 0:
            raise DataError(f"{predictions}: holds no event to point with; check the dataset's card")
        return physics.whole(directions, neutrinos, energies)
    candidates = np.flatnonzero((arrays["split"] == TEST) & np.isfinite(neutrinos).all(axis=1))
    if candidates.size == 0:
        raise DataError(
            f"{predictions}: 'split': no test event with a true neutrino direction to draw a burst from; "
            "use point.burst: all, or a dataset with truth"
        )
    if candidates.size < settings.n_events:
        _log.warning(
            "n_events = %d, but there are %d test events: some are drawn more than once",
            settings.n_events,
            candidates.size,
        )
    direction = None if settings.direction is None else np.asarray(settings.direction, np.float64)
    if direction is not None and np.linalg.norm(direction) < 1e-9:
        raise DataError("point.direction is [0, 0, 0], which is no direction; give any other vector, or null")
    rng = np.random.default_rng(settings.seed)
    return physics.draw_burst(directions, neutrinos, energies, candidates, settings.n_events, direction, rng)


def _used(
    settings: PointSettings, burst: physics.Burst, event_class: str, target: str, tables: Tables
) -> dict[str, Any]:
    return {
        "burst": settings.burst,
        "n_events": len(burst.rows),
        "n_different_events": len(np.unique(burst.rows)),
        "n_true_directions": burst.n_true_directions,
        "likelihood_class": event_class,
        "likelihood_target": target,
        "n_tables_fallback": int(tables.fallback.sum()),
        "n_events_fallback": int(tables.fallback[tables.rows(burst.energies_mev)].sum()),
    }


def _estimate(
    settings: PointSettings,
    probability: NDArray[np.float64],
    best: NDArray[np.float64],
    mean: NDArray[np.float64] | None,
) -> dict[str, Any]:
    longitude, latitude = sphere.longitude_latitude_deg(best)
    return {
        "area_deg2": {str(level): physics.credible_area_deg2(probability, level) for level in settings.levels},
        "pixel_area_deg2": sphere.pixel_area_deg2(settings.nside),
        "best_direction": best.tolist(),
        "best_longitude_deg": float(longitude),
        "best_latitude_deg": float(latitude),
        "mean_direction": None if mean is None else mean.tolist(),
    }


def _truth(
    settings: PointSettings,
    probability: NDArray[np.float64],
    best: NDArray[np.float64],
    mean: NDArray[np.float64] | None,
    true: NDArray[np.float64] | None,
) -> dict[str, Any]:
    if true is None:
        keys = ("true_direction", "offset_deg", "mean_offset_deg", "true_direction_inside", "true_direction_level")
        return dict.fromkeys(keys)
    pixel = int(sphere.pixel_of(settings.nside, true))
    return {
        "true_direction": true.tolist(),
        "offset_deg": float(angle_deg(best, true)),
        "mean_offset_deg": None if mean is None else float(angle_deg(mean, true)),
        "true_direction_inside": {
            str(level): bool(physics.credible_set(probability, level)[pixel]) for level in settings.levels
        },
        "true_direction_level": physics.level_of(probability, pixel),
    }


def _caption(content: dict[str, Any]) -> str:
    areas = ", ".join(f"{float(level):.0%}: {area:,.0f} deg²" for level, area in content["area_deg2"].items())
    lines = [
        f"{content['n_events']} events · area {areas} · best direction longitude {content['best_longitude_deg']:.1f}°, "
        f"latitude {content['best_latitude_deg']:.1f}°"
    ]
    if content["offset_deg"] is not None:
        lines[0] += f" · offset from the truth {content['offset_deg']:.1f}°"
    elif content["n_true_directions"] is None:
        lines[0] += " · true direction unknown"
    else:
        lines[0] += f" · no burst: {content['n_true_directions']} different true directions, no common one to find"
    lines.append(
        "Direction of flight of the neutrinos in the detector frame (the supernova is opposite); "
        "circles: predicted directions of the events, larger for more energy"
    )
    return "\n".join(lines).replace("-", "−")
