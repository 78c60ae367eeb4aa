"""The numbers of a dataset's card, from what was kept of each image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from snpoint.physics import inspection, summary
from snpoint.physics.duplicates import in_several
from snpoint.physics.geometry import Detector

Columns = dict[str, npt.NDArray[Any]]
Json = dict[str, Any]

ENERGY_EDGES_MEV = np.arange(0.0, 71.0, 2.0)
"""Edges of the spectra; the outer bins hold what is beyond."""
PICTURES = {"image": (128, 32), "one_meter": (1246, 208)}
"""Sizes (ticks, channels) whose share of the charge the card reports: the predecessor's images and volumes."""
SIGNAL = (1, 2)
"""Codes of the interactions of a neutrino."""


def features(shard: Mapping[str, npt.NDArray[Any]]) -> Columns:
    """What the card needs of the TPs of each image; the TPs themselves need not be kept.

    Returns
    -------
    dict
        ``n_tps``, ``n_main`` (N, 3) counts, ``slope`` (N, 3) sign, ``in_image``, ``in_one_meter`` (N, 3) shares.
    """
    found: Columns = {}
    found["n_tps"], found["n_main"] = summary.image_counts(shard)
    found["slope"] = inspection.slopes(shard)
    for name, size in PICTURES.items():
        found[f"in_{name}"] = inspection.containment(shard, *size)
    return found


def contents(images: Columns, before: Columns, detector: Detector, orientation: str, min_tps: int) -> Json:
    """Everything that follows from the images alone.

    Parameters
    ----------
    images
        Columns of the selected images: those of a shard that have one entry per image, and `features`.
    before
        ``n_main`` of all images that were read.
    detector, orientation
        How the images were made.
    min_tps
        TPs that make a plane count as found.
    """
    signal = np.isin(images["interaction"], SIGNAL)
    slopes: list[Json] = []
    if orientation == "canonical":
        # Slopes are those of the main cluster, directions those of the electron: other clusters have no label.
        own = (images["is_main"] == 1) & signal
        expected = inspection.expected_slopes(images["direction"][own], detector)
        slopes = inspection.slope_agreement(images["slope"][own], expected, images["apa"][own], images["face"][own])
    electron = (images["is_main"] == 1) & signal & (np.nan_to_num(images["signal_fraction"], nan=1.0) > 0.5)
    return {
        "frame": {
            **{"orientation": orientation, "detector": detector.name},
            "planes": summary.plane_names(orientation),
        },
        "interactions": summary.interactions(images["interaction"]),
        "labels": summary.isotropy(images["direction"][inspection.labeled_events(images)]),
        "label_checks": inspection.labels(images, signal),
        "main": inspection.main_clusters(images),
        "places": inspection.places(images, electron, detector),
        "slopes": slopes,
        **_distributions(images),
        "response": _response(images, electron),
        "planes_found": {
            "before_selection": summary.planes_found(before["n_main"], min_tps),
            "selected": summary.planes_found(images["n_main"], min_tps),
        },
        "charge_inside": {name: _charge_inside(images[f"in_{name}"], size) for name, size in PICTURES.items()},
        "volumes": summary.volumes(images["apa"], images["face"]),
    }


def _distributions(images: Columns) -> Json:
    planes = list(enumerate(summary.PLANES))
    reco, n_tps = images["energy_reco_mev"], images["n_tps"]
    return {
        "energy_true_mev": summary.distribution(images["energy_true_mev"], ENERGY_EDGES_MEV),
        "energy_true_mev_of": _spectra(images["energy_true_mev"], images["interaction"]),
        "neutrino_energy_mev": summary.distribution(images["neutrino_energy_mev"], ENERGY_EDGES_MEV),
        "energy_reco_mev": {plane: summary.distribution(reco[:, slot], ENERGY_EDGES_MEV) for slot, plane in planes},
        "tps_per_image": {plane: summary.distribution(n_tps[:, slot]) for slot, plane in planes},
        "link_margin": summary.distribution(images["link_margin"]),
        "signal_fraction": summary.distribution(images["signal_fraction"]),
    }


def splits(images: Columns, assigned: npt.NDArray[np.uint8], shares: Mapping[str, float]) -> Json:
    """Images of each split and their share; events, contents and backgrounds that are in several splits."""
    of_split = {name: assigned == number for number, name in enumerate(shares)}
    return {
        "splits": {
            name: {
                "share_asked": shares[name],
                "share_found": float(own.mean()) if len(own) else 0.0,
                "n": int(own.sum()),
                "interactions": summary.interactions(images["interaction"][own]),
            }
            for name, own in of_split.items()
        },
        "in_several_splits": {
            "events": in_several(assigned, images["event_uid"]),
            "images": in_several(assigned, images["fingerprint"]),
            "backgrounds": in_several(assigned, images["background_fingerprint"]),
        },
    }


def agreement(comparison: Mapping[str, Any] | None) -> list[Json]:
    """Efficiency and purity per plane of the other truth methods against the backtracker; None where undefined."""
    rows = []
    for method, planes in (comparison or {}).items():
        for plane, counts in planes.items():
            bt, found, both = counts["bt"], counts["found"], counts["both"]
            rows.append(
                {
                    "method": method,
                    "plane": plane,
                    "efficiency": both / bt if bt else None,
                    "purity": both / found if found else None,
                    **{key: int(counts[key]) for key in ("bt", "found", "both")},
                }
            )
    return rows


def _spectra(energy: npt.NDArray[Any], interaction: npt.NDArray[Any]) -> dict[str, Json | None]:
    return {
        name: summary.distribution(energy[interaction == code], ENERGY_EDGES_MEV)
        for code, name in summary.INTERACTIONS.items()
        if (interaction == code).any()
    }


def _response(images: Columns, electron: npt.NDArray[np.bool_]) -> dict[str, float] | None:
    """Median of reconstructed over true energy, per plane that saw the electron."""
    true = images["energy_true_mev"]
    usable = electron & np.isfinite(true) & (true > 0)
    found = {}
    for slot, plane in enumerate(summary.PLANES):
        seen = usable & (images["n_main"][:, slot] > 0)
        if seen.any():
            found[plane] = float(np.median(images["energy_reco_mev"][seen, slot] / true[seen]))
    return found or None


def _charge_inside(share: npt.NDArray[np.float32], size: tuple[int, int]) -> Json:
    """Mean share of the charge inside a picture, and of images that lose more than 1%, per plane."""
    planes: dict[str, Json | None] = {}
    for slot, plane in enumerate(summary.PLANES):
        known = share[:, slot][np.isfinite(share[:, slot])]
        planes[plane] = {"mean": float(known.mean()), "cut": float((known < 0.99).mean())} if len(known) else None
    return {"ticks": size[0], "channels": size[1], "planes": planes}
