"""Truth of images as the 18 columns of the predecessor's metadata."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from snpoint.physics.constants import BACKGROUND, CC, ELECTRON_MASS_MEV, ES
from snpoint.physics.legacy_layouts import LAYOUTS

Values = npt.NDArray[Any]

LAYOUT = "18"
EXACT = 1 << 24
"""Whole numbers below this are exact as float32."""
NOT_KNOWN_MEV = -1.0
LEAST_SIGNAL = 0.5
"""Share of the charge of an image from which on it is the neutrino's."""


class Described(Protocol):
    """What the columns are made of: arrays with one entry per image."""

    @property
    def event(self) -> Values: ...  # noqa: D102
    @property
    def interaction(self) -> Values: ...  # noqa: D102
    @property
    def signal_fraction(self) -> Values: ...  # noqa: D102
    @property
    def is_main(self) -> Values: ...  # noqa: D102
    @property
    def vertex_cm(self) -> Values: ...  # noqa: D102
    @property
    def direction(self) -> Values: ...  # noqa: D102
    @property
    def energy_true_mev(self) -> Values: ...  # noqa: D102
    @property
    def energy_reco_mev(self) -> Values: ...  # noqa: D102
    @property
    def neutrino_direction(self) -> Values: ...  # noqa: D102
    @property
    def neutrino_energy_mev(self) -> Values: ...  # noqa: D102


def metadata(images: Described, plane: int) -> npt.NDArray[np.float32]:
    """Rows of metadata for one plane of images, shape (N, 18).

    Every column holds what its name says: 1 whether most of the image is the neutrino's; 3 only for ES; 7-9 the
    momentum of the primary electron; 10 the reconstructed energy of the cluster on this plane; 11 the **true kinetic**
    energy of that electron [MeV], where the predecessor wrote an energy from ADC; 13 the number of the image, by which
    planes go together. Positions and momenta of background, and those that are not known, are 0 and energies -1, as the
    predecessor has them. Column 0 is the event number as far as float32 holds it, see `n_rounded`.

    Raises
    ------
    ValueError
        There are more images than a float32 can number.
    """
    n = len(images.event)
    if n >= EXACT:
        raise ValueError(f"{n} images cannot be numbered as float32; write them in several files")
    kind = interaction(images)
    has_truth = kind != BACKGROUND
    energy = np.where(has_truth, images.energy_true_mev.astype(np.float64), np.nan)
    momentum = 1e-3 * np.sqrt(energy * (energy + 2 * ELECTRON_MASS_MEV))
    electron = images.direction * momentum[:, None]
    neutrino_energy = np.where(has_truth, images.neutrino_energy_mev.astype(np.float64), np.nan)
    neutrino = images.neutrino_direction * (1e-3 * neutrino_energy)[:, None]
    vertex = np.where(has_truth[:, None], images.vertex_cm, np.nan)
    columns: dict[str, Any] = {
        "event": images.event,
        "is_marley": _is_signal(images, kind),
        "is_main": images.is_main,
        "is_es": kind == ES,
        "cluster_energy_mev": images.energy_reco_mev[:, plane],
        "particle_energy_mev": _known(energy),
        "plane": np.full(n, plane),
        "match_id": np.arange(n),
        "neutrino_energy_mev": _known(neutrino_energy),
    }
    for axis, name in enumerate("xyz"):
        columns |= {f"{name}_cm": _zeroed(vertex[:, axis]), f"p{name}_gev": _zeroed(electron[:, axis])}
        columns[f"neutrino_p{name}_gev"] = _zeroed(neutrino[:, axis])
    return np.stack([np.asarray(columns[name]).astype(np.float32) for name in LAYOUTS[LAYOUT]], axis=1)


def interaction(images: Described) -> npt.NDArray[np.uint8]:
    """Interaction that each image shows, (N,): background where the neutrino made less than half of its charge."""
    mostly_background = images.signal_fraction < LEAST_SIGNAL  # False where it is not known
    return np.asarray(np.where(mostly_background, BACKGROUND, images.interaction), np.uint8)


def n_rounded(event: Values) -> int:
    """How many event numbers a float32 column gives back as another number (some of those above 2^24)."""
    return int((event.astype(np.float32).astype(np.float64) != event.astype(np.float64)).sum())


def _is_signal(images: Described, kind: npt.NDArray[np.uint8]) -> Values:
    """By the share of charge where it is known, else by the interaction."""
    by_charge = np.isfinite(images.signal_fraction) & (kind != BACKGROUND)
    return np.asarray(by_charge | np.isin(kind, (ES, CC)))


def _known(values: Values) -> Values:
    return np.where(np.isfinite(values), values, NOT_KNOWN_MEV)


def _zeroed(values: Values) -> Values:
    return np.where(np.isfinite(values), values, 0.0)
