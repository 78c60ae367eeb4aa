"""What the columns of the predecessor's metadata mean, layout by layout.

Its image files changed their columns six times within three weeks of 2025, without a version number; files of all of
them exist. Everything is read by name here, and a layout that is not certain is an error: two published mistakes came
from columns that were off by one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from snpoint.physics.constants import BACKGROUND, CC, ELECTRON_MASS_MEV, ES, UNKNOWN
from snpoint.settings import PREDECESSOR_ADC_PER_MEV

Columns = dict[str, npt.NDArray[Any]]
Floats = npt.NDArray[np.float64]

PLANES = ("U", "V", "X")
UNMATCHED, NO_MATCHES = -1, -2
"""Values of ``match_id``: a cluster that was matched with no other, and a layout that does not say."""
NO_EVENT = -1

_POSITION = ("x_cm", "y_cm", "z_cm")
_MOMENTUM = ("px_gev", "py_gev", "pz_gev")
_DIRECTION = ("dx", "dy", "dz")
_NEUTRINO = ("neutrino_px_gev", "neutrino_py_gev", "neutrino_pz_gev")
_ENERGIES = ("neutrino_energy_mev", "particle_energy_mev")
_FLAGS = ("is_marley", "is_main")
_LATER = ("event", *_FLAGS, "is_es", *_POSITION, *_MOMENTUM)
_CLUSTER = (*_LATER, "cluster_energy_mev", "particle_energy_mev", "plane")

LAYOUTS: dict[str, tuple[str, ...]] = {
    "11": (*_FLAGS, *_POSITION, *_DIRECTION, *_ENERGIES, "plane"),
    "12_direction": (*_FLAGS, *_POSITION, *_DIRECTION, *_ENERGIES, "plane", "is_es"),
    "12_momentum": (*_FLAGS, "is_es", *_POSITION, *_MOMENTUM, *_ENERGIES, "plane"),
    "13_neutrino": (*_LATER, *_ENERGIES, "plane"),
    "13_cluster": _CLUSTER,
    "14": (*_CLUSTER, "match_id"),
    "15": (*_FLAGS, *_POSITION, *_DIRECTION, *_MOMENTUM, *_ENERGIES, "plane", "is_es"),
    "18": (*_CLUSTER, "match_id", "neutrino_energy_mev", *_NEUTRINO),
}
"""Name -> columns. ``particle_energy_mev`` is no truth: it is worked out from the ADC of the particle's TPs."""


def recognize(metadata: Floats, image_adc: Floats | None) -> str:
    """The layout of a file.

    Where two layouts have as many columns, the values decide: flags are 0 or 1, planes 0, 1 or 2, directions have
    length 1, and the energy of a cluster is the sum of its pixels over a constant.

    Parameters
    ----------
    metadata
        Shape (N, columns).
    image_adc
        Sum of the pixels of each image, shape (N,) [ADC]; None where there are no images.

    Raises
    ------
    ValueError
        No layout, or more than one, fits.
    """
    sized = [name for name, columns in LAYOUTS.items() if len(columns) == metadata.shape[1]]
    if not sized:
        known = sorted({len(columns) for columns in LAYOUTS.values()})
        raise ValueError(f"metadata of {metadata.shape[1]} columns; known are {', '.join(map(str, known))}")
    fitting = [name for name in sized if _fits(_by_name(metadata, name), image_adc)]
    if len(fitting) > 1 and "13_cluster" in fitting and image_adc is not None:
        return "13_cluster"  # an energy that equals the sum of the pixels is no coincidence
    if len(fitting) != 1:
        found = "none of them fits" if not fitting else f"{' and '.join(fitting)} fit"
        raise ValueError(
            f"metadata of {metadata.shape[1]} columns is of layout {' or '.join(sized)}, but {found} the values; "
            "name it with --layout"
        )
    return fitting[0]


def named_clusters(metadata: Floats, layout: str) -> Columns:
    """Metadata of cluster images by name, one row per image.

    Parameters
    ----------
    metadata
        Shape (N, columns).
    layout
        A key of `LAYOUTS`.

    Returns
    -------
    dict
        ``event`` (i8, or `NO_EVENT`), ``match_id`` (i8, or `UNMATCHED`, `NO_MATCHES`), ``plane`` (i8), ``is_main``
        (bool), ``interaction`` (u1), ``direction``, ``vertex_cm``, ``neutrino_direction`` (N, 3), ``energy_true_mev``,
        ``neutrino_energy_mev`` and ``energy_reco_mev`` (f8); NaN where the file does not say. A cluster
        has truth where its momentum is not 0.

    Raises
    ------
    ValueError
        The layout has another number of columns.
    """
    if metadata.ndim != 2 or metadata.shape[1] != len(LAYOUTS[layout]):
        raise ValueError(f"metadata of shape {metadata.shape} is not of layout {layout}")
    raw, n = _by_name(metadata, layout), len(metadata)
    electron = _vector(raw, _MOMENTUM if _MOMENTUM[0] in raw else _DIRECTION, n)
    direction, momentum = _split(electron)
    missing = ~np.isfinite(direction).all(axis=1)
    neutrino, _ = _split(_vector(raw, _NEUTRINO, n))
    energy = _kinetic_mev(momentum) if _MOMENTUM[0] in raw else np.full(n, np.nan)
    vertex = _vector(raw, _POSITION, n)
    vertex[missing] = np.nan
    return {
        "event": _whole(raw.get("event"), n, NO_EVENT),
        "match_id": _whole(raw.get("match_id"), n, NO_MATCHES),
        "plane": _whole(raw["plane"], n, NO_EVENT),
        "is_main": raw["is_main"] > 0.5,
        "interaction": _interaction(raw["is_marley"] > 0.5, raw.get("is_es")),
        "direction": direction,
        "vertex_cm": vertex,
        "neutrino_direction": neutrino,
        "energy_true_mev": energy,
        "neutrino_energy_mev": _positive(raw.get("neutrino_energy_mev"), n),
        "energy_reco_mev": _positive(raw.get("cluster_energy_mev"), n),
    }


def named_volumes(records: Sequence[Mapping[str, Any]]) -> Columns:
    """Metadata of one-meter volumes by name, as `named_clusters` gives it; each volume is about a main cluster.

    Raises
    ------
    ValueError
        A record lacks its event, plane or interaction, or holds something else than a number there.
    """
    n = len(records)
    electron = _records(records, "main_track_momentum_{}", "xyz")
    neutrino = _records(records, "main_track_neutrino_momentum_{}", "xyz")
    direction, momentum = _split(electron)
    neutrino_direction, neutrino_gev = _split(neutrino)
    codes = {"ES": ES, "CC": CC, "Background": BACKGROUND}
    try:
        return {
            "event": np.array([int(record["event"]) for record in records], np.int64),
            "match_id": np.array(
                [int(record.get("main_cluster_match_id", NO_MATCHES)) for record in records], np.int64
            ),
            "plane": np.array([PLANES.index(str(record["plane"])) for record in records], np.int64),
            "is_main": np.ones(n, bool),
            "interaction": np.array(
                [codes.get(str(record["interaction_type"]), UNKNOWN) for record in records], np.uint8
            ),
            "direction": direction,
            "vertex_cm": np.full((n, 3), np.nan),
            "neutrino_direction": neutrino_direction,
            "energy_true_mev": _kinetic_mev(momentum),
            "neutrino_energy_mev": np.where(neutrino_gev > 0, 1e3 * neutrino_gev, np.nan),
            "energy_reco_mev": _positive(_records(records, "cluster_energy", ("",))[:, 0], n),
        }
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"metadata of a volume without a proper event, plane or interaction_type ({error})") from error


def _by_name(metadata: Floats, layout: str) -> dict[str, Floats]:
    return dict(zip(LAYOUTS[layout], metadata.astype(np.float64).T, strict=True))


def _fits(raw: Mapping[str, Floats], image_adc: Floats | None) -> bool:
    flags = [raw[name] for name in ("is_marley", "is_main", "is_es") if name in raw]
    if not all(np.isin(values, (0.0, 1.0)).all() for values in flags) or not np.isin(raw["plane"], (0, 1, 2)).all():
        return False
    if "dx" in raw:
        lengths = np.linalg.norm(_vector(raw, _DIRECTION, len(raw["plane"])), axis=1)
        if not ((lengths == 0) | (np.abs(lengths - 1) < 0.01)).all():
            return False
    if "cluster_energy_mev" in raw and "match_id" not in raw and image_adc is not None:
        expected = image_adc / np.array(PREDECESSOR_ADC_PER_MEV)[raw["plane"].astype(np.int64)]
        return bool((np.abs(raw["cluster_energy_mev"] - expected) <= 0.05 + 0.02 * expected).mean() > 0.9)
    return True


def _vector(raw: Mapping[str, Floats], names: tuple[str, ...], n: int) -> Floats:
    """Three columns as vectors (N, 3); NaN where the layout has none."""
    if names[0] not in raw:
        return np.full((n, 3), np.nan)
    return np.stack([raw[name] for name in names], axis=1)


def _split(vectors: Floats) -> tuple[Floats, Floats]:
    """Unit vectors and lengths; NaN where the length is 0."""
    lengths = np.linalg.norm(vectors, axis=1)
    lengths = np.where(lengths > 0, lengths, np.nan)
    return vectors / lengths[:, None], lengths


def _kinetic_mev(momentum_gev: Floats) -> Floats:
    momentum = 1e3 * momentum_gev
    return np.asarray(np.hypot(momentum, ELECTRON_MASS_MEV) - ELECTRON_MASS_MEV)


def _positive(values: Floats | None, n: int) -> Floats:
    """Energies; the predecessor writes -1 or 0 for those that it does not know."""
    if values is None:
        return np.full(n, np.nan)
    return np.where(values > 0, values, np.nan)


def _whole(values: Floats | None, n: int, missing: int) -> npt.NDArray[np.int64]:
    return np.full(n, missing, np.int64) if values is None else np.rint(values).astype(np.int64)


def _interaction(is_marley: npt.NDArray[np.bool_], is_es: Floats | None) -> npt.NDArray[np.uint8]:
    signal = UNKNOWN if is_es is None else np.where(is_es > 0.5, ES, CC)
    return np.asarray(np.where(is_marley, signal, BACKGROUND), np.uint8)


def _records(records: Sequence[Mapping[str, Any]], name: str, axes: Sequence[str]) -> Floats:
    """Numbers of the records, shape (N, axes); NaN where a record has none."""
    try:
        found = [[float(record.get(name.format(axis), np.nan)) for axis in axes] for record in records]
    except (AttributeError, TypeError, ValueError) as error:
        raise ValueError(f"metadata of a volume: '{name.format('')}' is no number ({error})") from error
    return np.array(found, np.float64).reshape(len(records), len(axes))
