"""What is compared between real events and their simulated twins: numbers of each event.

Everything is measured in the same way on both, from tables of clusters and, for the charge itself, SimIDEs. Whatever
depends on the settings of samples (clusters, noise cut) is what they say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from snpoint.errors import DataError
from snpoint.physics.constants import X
from snpoint.physics.geometry import Detector
from snpoint.physics.imaging import build_images

Columns = Mapping[str, npt.NDArray[Any]]
FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Part = tuple[npt.NDArray[np.uint64], Mapping[str, FloatArray]]
"""Events and quantities of one file."""

_EVENT_BITS = 0xFFFFFFFF
PLANES = ("U", "V", "X")
WINDOW_TICKS, WINDOW_CHANNELS = 512, 128
"""Size of the window that blips are counted in: that of the images of windows."""
SMALL_TOT = 3
"""Blips of at most so many ticks are counted apart from the larger ones [ticks]."""


class Measured(NamedTuple):
    """Events and their quantities."""

    event_uid: npt.NDArray[np.uint64]  # (n,) ascending
    electron_mev: FloatArray  # (n,) kinetic energy of the primary electron
    abs_x_cm: FloatArray  # (n,) distance of the vertex from x = 0
    vertex_cm: FloatArray  # (n, 3)
    interaction: IntArray  # (n,) 1 ES, 2 CC
    quantities: dict[str, FloatArray]  # name -> (n,); NaN where there is nothing to measure

    def with_quantities(self, parts: Sequence[Part], where: object = "other files") -> Self:
        """The same with quantities that were measured on other files of these events, each event in one of them.

        Raises
        ------
        DataError
            An event is in none of the files, or in two.
        """
        uid = np.concatenate([np.empty(0, np.uint64), *(part[0] for part in parts)])
        order = np.argsort(uid, kind="stable")
        if not np.array_equal(uid[order], self.event_uid):
            missing, extra = np.setdiff1d(self.event_uid, uid), len(uid) - len(np.unique(uid))
            told = f"not event {int(missing[0]) & _EVENT_BITS}" if len(missing) else f"{extra} events twice"
            raise DataError(f"{where}: {len(parts)} files hold {told} of the table of clusters; they belong to others")
        names = parts[0][1] if parts else {}
        added = {name: np.concatenate([part[1][name] for part in parts])[order] for name in names}
        return self._replace(quantities=self.quantities | added)


DESCRIPTIONS = {
    "tps_per_mev_tot2": "TPs of the neutrino per MeV, ToT >= 2",
    "tps_per_mev_tot4": "TPs of the neutrino per MeV, ToT >= 4",
    "adc_per_mev": "ADC integral of the neutrino's TPs per MeV",
    "main_tot": "median ToT of the main cluster's TPs [ticks]",
    "main_peak": "median peak of the main cluster's TPs [ADC]",
    "main_ticks": "extent of the main cluster in time [ticks]",
    "main_channels": "extent of the main cluster across wires [channels]",
    "blips_small": "TPs of the neutrino off the main cluster in its window, 2 <= ToT <= 3",
    "blips_large": "TPs of the neutrino off the main cluster in its window, ToT >= 4",
    "noise_tot1": "TPs without truth per event, ToT 1",
    "noise_tot2": "TPs without truth per event, ToT 2",
    "noise_tot3": "TPs without truth per event, ToT >= 3",
    "noise_height": "mean peak of TPs without truth above threshold [ADC]",
    "electrons_per_mev": "charge on the wires per MeV (SimIDEs, mean of the planes) [electrons/MeV]",
    "track_extent": "diagonal of the box around the primary electron's SimIDEs [cm]",
    "charge_rms": "spread of all SimIDEs of the event around their mean [cm]",
    "simides_per_mev": "rows of SimIDEs per MeV",
    "leader_share": "share of the leading particle in the charge of a TP, mean over the TPs with truth",
}
"""Quantities without the suffix of their plane. "Per MeV" means kinetic energy of the primary electron."""

CHARGE = ("electrons_per_mev", "track_extent", "charge_rms", "simides_per_mev", "leader_share")
"""Those that TPStream files are needed for."""
_COUNTS = ("tps_per_mev", "noise_tot", "blips", "simides_per_mev")


def _planes(stem: str) -> tuple[str, ...]:
    if stem in CHARGE:
        return ()
    return ("UV", "X") if stem.startswith("blips") else PLANES


NAMES = tuple(name for stem in DESCRIPTIONS for name in ([f"{stem}_{plane}" for plane in _planes(stem)] or [stem]))
"""All quantities."""


def describe(name: str) -> str:
    """A quantity in words.

    Raises
    ------
    KeyError
        There is none of this name.
    """
    if name not in NAMES:
        raise KeyError(name)
    stem, _, plane = name.rpartition("_")
    return f"{DESCRIPTIONS[stem]}, plane {plane}" if stem in DESCRIPTIONS else DESCRIPTIONS[name]


def is_count(name: str) -> bool:
    """Whether a quantity counts: few of them in an event, so that sums say how large a difference is, not medians."""
    return name.startswith(_COUNTS)


def measure(table: Columns, detector: Detector) -> Measured:
    """Quantities of the events of a table of clusters.

    Parameters
    ----------
    table
        Columns of the cluster table, whole events; TPs of all kinds.
    detector
        Layout, for the unwrapping of channels and the thresholds.
    """
    uid, first, event = np.unique(table["event_uid"], return_index=True, return_inverse=True)
    energy = table["energy_true_mev"][first].astype(np.float64)
    vertex = np.stack([table[f"vertex_{axis}_cm"][first] for axis in "xyz"], axis=1).astype(np.float64)
    found = _signal(table, event, energy) | _noise(table, event, len(uid), detector)
    found |= _main_clusters(table, event, len(uid), detector) | _blips(table, uid, detector)
    return Measured(uid, energy, np.abs(vertex[:, 0]), vertex, table["interaction"][first].astype(np.int64), found)


def _signal(table: Columns, event: IntArray, energy: FloatArray) -> dict[str, FloatArray]:
    """TPs and ADC of the neutrino per MeV."""
    found = {}
    tot = table["samples_over_threshold"]
    for plane, name in enumerate(PLANES):
        own = (table["is_signal"] == 1) & (table["plane"] == plane)
        for least in (2, 4):
            chosen = own & (tot >= least)
            found[f"tps_per_mev_tot{least}_{name}"] = np.bincount(event[chosen], minlength=len(energy)) / energy
        adc = np.bincount(event[own], table["adc_integral"][own], minlength=len(energy))
        found[f"adc_per_mev_{name}"] = adc / energy
    return found


def _noise(table: Columns, event: IntArray, n: int, detector: Detector) -> dict[str, FloatArray]:
    """TPs that nothing true is behind."""
    found = {}
    tot = table["samples_over_threshold"]
    for plane, name in enumerate(PLANES):
        own = (table["is_signal"] == 0) & (table["plane"] == plane)
        for label, chosen in (("1", tot == 1), ("2", tot == 2), ("3", tot >= 3)):
            found[f"noise_tot{label}_{name}"] = np.bincount(event[own & chosen], minlength=n).astype(np.float64)
        height = table["adc_peak"][own] - detector.threshold_adc[plane]
        number = np.bincount(event[own], minlength=n)
        total = np.bincount(event[own], height, minlength=n)
        found[f"noise_height_{name}"] = np.where(number > 0, total / np.maximum(number, 1), np.nan)
    return found


def _main_clusters(table: Columns, event: IntArray, n: int, detector: Detector) -> dict[str, FloatArray]:
    """Lengths, heights and extents of the main clusters; NaN for events without one on a plane."""
    found = {}
    for plane, name in enumerate(PLANES):
        rows = np.flatnonzero((table["is_main"] == 1) & (table["plane"] == plane))
        own = event[rows]
        tot = table["samples_over_threshold"][rows].astype(np.float64)
        found[f"main_tot_{name}"] = median_by(own, tot, n)
        found[f"main_peak_{name}"] = median_by(own, table["adc_peak"][rows].astype(np.float64), n)
        start = table["time_start"][rows] / detector.clock_per_tick
        found[f"main_ticks_{name}"] = extent_by(own, start, start + tot, n)
        channel = _unwrapped(detector.local(table["channel"][rows]), own, n, detector.volumes[0].wires[plane].modulus)
        found[f"main_channels_{name}"] = extent_by(own, channel, channel + 1.0, n)
    return found


def _unwrapped(local: IntArray, event: IntArray, n: int, modulus: int | None) -> FloatArray:
    """Channels of a cluster on wrapped wires, counted from its first TP."""
    if modulus is None or not len(local):
        return local.astype(np.float64)
    seed = np.zeros(n, np.int64)
    seed[event[::-1]] = local[::-1]
    return np.asarray((local - seed[event] + modulus // 2) % modulus, np.float64)


def _blips(table: Columns, uid: npt.NDArray[np.uint64], detector: Detector) -> dict[str, FloatArray]:
    """TPs of the neutrino in the window of the main cluster, off it; NaN for events without an image."""
    kept = (table["is_signal"] == 1) | (table["is_main"] == 1)
    images = build_images(
        {key: values[kept] for key, values in table.items()}, detector, anchors="main", context="window",
        orientation="canonical", window_ticks=WINDOW_TICKS, window_channels=WINDOW_CHANNELS, tot_cut=1,
        adc_per_mev=(1.0, 1.0, 1.0),
    )  # fmt: skip
    place = np.repeat(np.arange(3 * len(images["event_uid"])), np.diff(images["offsets"]))
    event = np.searchsorted(uid, images["event_uid"])[place // 3] if len(place) else place
    off = images["in_main"] == 0
    small = images["samples_over_threshold"] <= SMALL_TOT
    seen = np.isin(uid, images["event_uid"])
    found = {}
    for name, planes in (("UV", place % 3 != X), ("X", place % 3 == X)):
        for size, chosen in (("small", small), ("large", ~small)):
            counts = np.bincount(event[off & planes & chosen], minlength=len(uid))
            found[f"blips_{size}_{name}"] = np.where(seen, counts, np.nan)
    return found


def measure_charge(trees: Mapping[str, Columns], electron_mev: Mapping[int, float], detector: Detector) -> Part:
    """Quantities of the charge itself.

    Parameters
    ----------
    trees
        Trees ``tps``, ``simides`` and ``mcparticles`` of a TPStream file, with ``event_uid``.
    electron_mev
        Kinetic energy of the primary electron by event_uid [MeV]; only these events count.
    detector
        Layout.

    Returns
    -------
    (array, dict)
        Events, ascending, and their quantities; an event without any charge has charge 0 and NaN extents.
    """
    simides = trees["simides"]
    uid = np.array(sorted(electron_mev), np.uint64)
    energy = np.array([electron_mev[int(key)] for key in uid])
    known = np.isin(simides["event_uid"], uid)
    ides = {key: values[known] for key, values in simides.items()}
    event = np.searchsorted(uid, ides["event_uid"])
    charge = ides["numelectrons"].astype(np.float64)
    total = np.bincount(event, charge, minlength=len(uid))
    # a wire's X position says where, and on all planes alike: collection stands for all three
    on_x = detector.plane(ides["channel"]) == X
    own = on_x & (ides["trackID"] == _primary_track(trees["mcparticles"], uid)[event])
    box = [extent_by(event[own], *(ides[axis][own].astype(np.float64),) * 2, len(uid)) for axis in "xyz"]
    return uid, {
        "electrons_per_mev": total / 3.0 / energy,
        "track_extent": np.sqrt(sum(side**2 for side in box)),
        "charge_rms": _rms(event[on_x], {key: ides[key][on_x] for key in "xyz"}, charge[on_x], len(uid)),
        "simides_per_mev": np.bincount(event, minlength=len(uid)) / energy,
        "leader_share": _leader_share(trees["tps"], uid),
    }


def _leader_share(tps: Columns, uid: npt.NDArray[np.uint64]) -> FloatArray:
    """Mean share of the charge of a TP that its leading particle has; NaN for an event without TPs with truth."""
    own = (tps["bt_numelectrons"] > 0) & np.isin(tps["event_uid"], uid)
    event = np.searchsorted(uid, tps["event_uid"][own])
    number = np.bincount(event, minlength=len(uid))
    total = np.bincount(event, tps["bt_primary_track_numelectron_frac"][own], minlength=len(uid))
    return np.where(number > 0, total / np.maximum(number, 1), np.nan)


def _primary_track(particles: Columns, uid: npt.NDArray[np.uint64]) -> IntArray:
    """Geant4's number of each event's primary electron: the first electron that nothing else made; 0 without one."""
    chosen = np.flatnonzero((np.abs(particles["pdg"]) == 11) & (particles["process"] == "primary"))
    chosen = chosen[np.isin(particles["event_uid"][chosen], uid)]
    track = np.zeros(len(uid), np.int64)
    track[np.searchsorted(uid, particles["event_uid"][chosen[::-1]])] = particles["g4_track_id"][chosen[::-1]]
    return track


def _rms(event: IntArray, position: Columns, weight: FloatArray, n: int) -> FloatArray:
    """Root of the mean squared distance from the mean, weighted; NaN without weight."""
    total = np.bincount(event, weight, minlength=n)
    safe = np.where(total > 0, total, np.nan)
    variance = np.zeros(n)
    for values in position.values():
        mean = np.bincount(event, weight * values, minlength=n) / safe
        variance = variance + np.bincount(event, weight * (values - mean[event]) ** 2, minlength=n) / safe
    return np.sqrt(variance)


def median_by(group: IntArray, values: FloatArray, n: int) -> FloatArray:
    """Median of each of n groups, shape (n,); NaN for an empty one."""
    order = np.lexsort((values, group))
    counts = np.bincount(group, minlength=n)
    first = np.cumsum(counts) - counts
    ordered = np.append(values[order], np.nan)
    full = counts > 0
    low = np.where(full, first + (counts - 1) // 2, len(values))
    high = np.where(full, first + counts // 2, len(values))
    return np.asarray((ordered[low] + ordered[high]) / 2)


def extent_by(group: IntArray, low: FloatArray, high: FloatArray, n: int) -> FloatArray:
    """Largest ``high`` - smallest ``low`` of each of n groups, shape (n,); NaN for an empty one."""
    smallest, largest = np.full(n, np.inf), np.full(n, -np.inf)
    np.minimum.at(smallest, group, low)
    np.maximum.at(largest, group, high)
    return np.where(np.isfinite(smallest), largest - smallest, np.nan)
