"""The sky map of a burst: log-likelihood over the full sky, and the posterior around its best direction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from snpoint.physics import pointing as physics
from snpoint.physics import sphere
from snpoint.plots.canvas import COLORS, figure, style

Floats = NDArray[np.float64]

_AXES = {"+z beam": (0, 0), "+x drift": (90, 0), "−x": (-90, 0), "+y up": (0, 84), "−y": (0, -84)}
_DASHES = ("solid", "dashed", "dotted", "dashdot")


@dataclass(frozen=True)
class Sky:
    """What a sky map shows.

    log_likelihood and probability (12 nside^2,) in RING order; directions (N, 3) and energies_mev (N,) of the events;
    best, mean and true directions (3,), the last two None where there is none; levels of the contours.
    """

    log_likelihood: Floats
    probability: Floats
    directions: Floats
    energies_mev: Floats
    best: Floats
    mean: Floats | None
    true: Floats | None
    levels: Sequence[float]


@style()
def sky_map(sky: Sky, title: str, caption: str) -> Figure:
    """Draw the full sky (Mollweide) and the neighborhood of the best direction."""
    canvas, (left, right) = figure(11.5, 5.0, ncols=2, gridspec_kw={"width_ratios": [2.15, 1.0]})
    spec = left.get_subplotspec()
    left.remove()
    full = canvas.add_subplot(spec, projection="mollweide")
    _full_sky(canvas, full, sky)
    _neighborhood(canvas, right, sky)
    canvas.suptitle(title, x=0.01, ha="left", fontweight="bold")
    canvas.supxlabel(caption, x=0.01, ha="left", fontsize=9)
    return canvas


def _full_sky(canvas: Figure, axes: Any, sky: Sky) -> None:
    longitude, latitude = np.meshgrid(np.linspace(-180, 180, 541), np.linspace(-90, 90, 271))
    grid = sphere.from_longitude_latitude(longitude, latitude)
    relative = sphere.interpolated(sky.log_likelihood, grid) - sky.log_likelihood.max()
    x, y = np.radians(longitude), np.radians(latitude)
    image = axes.pcolormesh(x, y, np.minimum(relative, 0.0), cmap="cividis", rasterized=True, shading="gouraud")
    _contours(axes, x, y, sphere.interpolated(sky.probability, grid), sky)
    lon, lat = (np.radians(part) for part in sphere.longitude_latitude_deg(sky.directions))
    sizes = 5.0 + 1.2 * np.clip(sky.energies_mev, 0.0, 40.0)
    axes.scatter(lon, lat, s=sizes, facecolors="white", edgecolors="black", linewidths=0.5, alpha=0.75)
    _marks(axes, sky, lambda direction: np.radians(np.stack(sphere.longitude_latitude_deg(direction))))
    for name, (lon_deg, lat_deg) in _AXES.items():
        axes.text(
            np.radians(lon_deg),
            np.radians(lat_deg),
            name,
            color="white",
            fontsize=8.5,
            fontweight="bold",
            ha="center",
            va="center",
            path_effects=[withStroke(linewidth=2.2, foreground="#1d2433")],
        )
    axes.grid(color="white", alpha=0.18, lw=0.6)
    axes.set_xticklabels([])
    axes.tick_params(axis="y", labelsize=8)
    axes.set_xlabel("longitude atan2(x, z): −180° … +180° from left to right, beam in the center", fontsize=9)
    axes.set_ylabel("latitude asin(y)", fontsize=9)
    bar = canvas.colorbar(image, ax=axes, orientation="horizontal", shrink=0.55, aspect=36, pad=0.03)
    bar.set_label("log L − log L(best)", fontsize=9)
    bar.ax.tick_params(labelsize=8)


def _neighborhood(canvas: Figure, axes: Any, sky: Sky) -> None:
    radius = _radius_deg(sky)
    steps = np.linspace(-radius, radius, 301)
    a, b = np.meshgrid(steps, steps)
    grid = _from_offsets(sky.best, a, b)
    probability = sphere.interpolated(sky.probability, grid)
    density = probability * len(sky.probability) / sphere.FULL_SKY_DEG2
    image = axes.pcolormesh(a, b, density, cmap="Blues", vmin=0.0, rasterized=True, shading="gouraud")
    _contours(axes, a, b, probability, sky)
    _marks(axes, sky, lambda direction: _to_offsets(sky.best, direction))
    axes.set(
        aspect="equal",
        xlim=(-radius, radius),
        ylim=(-radius, radius),
        xlabel="offset to larger longitude [deg]",
        ylabel="offset to larger latitude [deg]",
        title="Around the best direction",
    )
    bar = canvas.colorbar(image, ax=axes, orientation="horizontal", aspect=30, pad=0.03, ticks=MaxNLocator(4))
    bar.formatter.set_powerlimits((-2, 3))
    bar.set_label("posterior probability [1/deg²]", fontsize=9)
    bar.ax.tick_params(labelsize=8)
    axes.legend(handles=_legend(sky), loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=8.5, handlelength=1.6)


def _radius_deg(sky: Sky) -> float:
    """Half width of the close view: the largest region and the true direction with room around, at most 90."""
    inside = physics.credible_set(sky.probability, max(sky.levels))
    directions = sphere.pixel_directions(int(np.sqrt(len(inside) / 12)))[inside]
    reach = np.degrees(np.arccos(np.clip((directions @ sky.best).min(), -1.0, 1.0)))
    if sky.true is not None:
        reach = max(reach, np.degrees(np.arccos(np.clip(sky.true @ sky.best, -1.0, 1.0))))
    return float(np.clip(1.35 * reach, 5.0, 90.0))


def _from_offsets(centre: Floats, a_deg: Floats, b_deg: Floats) -> Floats:
    """Directions at offsets from a centre, on the azimuthal equidistant projection: distances to it are true."""
    east, north = sphere.tangents(centre)
    distance = np.hypot(a_deg, b_deg)
    scale = np.sinc(distance / 180.0)[..., None] * np.pi / 180.0
    along = scale * (a_deg[..., None] * east + b_deg[..., None] * north)
    return np.asarray(np.cos(np.radians(distance))[..., None] * centre + along, np.float64)


def _to_offsets(centre: Floats, direction: Floats) -> Floats:
    east, north = sphere.tangents(centre)
    across = np.array([direction @ east, direction @ north])
    length = np.linalg.norm(across)
    distance = np.degrees(np.arctan2(length, direction @ centre))
    return np.asarray(across / length * distance if length > 0 else np.zeros(2), np.float64)


def _contours(axes: Any, x: Floats, y: Floats, probability: Floats, sky: Sky) -> None:
    if np.ptp(sky.probability) < 1e-3 * sky.probability.max():
        return  # an even sky has no contour
    for level, dashes in zip(sky.levels, _DASHES, strict=False):
        threshold = sky.probability[physics.credible_set(sky.probability, level)].min()
        axes.contour(x, y, probability, levels=[threshold], colors="black", linestyles=dashes, linewidths=1.1)


def _marks(axes: Any, sky: Sky, place: Any) -> None:
    for direction, look in ((sky.mean, _MEAN), (sky.best, _BEST), (sky.true, _TRUE)):
        if direction is not None:
            axes.plot(*place(direction), ls="none", zorder=5, **look)


_BEST: Mapping[str, Any] = {
    "marker": "*", "ms": 12, "mfc": COLORS["second"], "mec": "white", "mew": 0.8, "label": "best direction"
}  # fmt: skip
# A ring larger than the star, with a light rim: seen also where the two agree, which is the usual case.
_MEAN: Mapping[str, Any] = {
    "marker": "o",
    "ms": 14,
    "mfc": "none",
    "mec": COLORS["third"],
    "mew": 2.0,
    "path_effects": [withStroke(linewidth=4.2, foreground="white")],
    "label": "mean direction",
}
_TRUE: Mapping[str, Any] = {
    "marker": "X",
    "ms": 9,
    "mfc": COLORS["truth"],
    "mec": "white",
    "mew": 0.9,
    "label": "truth",
}


def _legend(sky: Sky) -> list[Line2D]:
    handles = [
        Line2D([], [], color="black", ls=dashes, lw=1.1, label=f"{level:.0%} region")
        for level, dashes in zip(sky.levels, _DASHES, strict=False)
    ]
    shown = ((sky.best, _BEST), (sky.mean, _MEAN), (sky.true, _TRUE))
    return handles + [Line2D([], [], ls="none", **look) for direction, look in shown if direction is not None]


def events_table(sky: Sky) -> pd.DataFrame:
    """The events of the map: direction, longitude, latitude and energy."""
    longitude, latitude = sphere.longitude_latitude_deg(sky.directions)
    x, y, z = sky.directions.T
    return pd.DataFrame(
        {
            "direction_x": x,
            "direction_y": y,
            "direction_z": z,
            "longitude_deg": longitude,
            "latitude_deg": latitude,
            "energy_reco_mev": sky.energies_mev,
        }
    )
