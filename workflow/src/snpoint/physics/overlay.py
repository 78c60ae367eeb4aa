"""Background events laid over signal events.

Each signal event gets at most one background event, drawn without replacement by a seed. Background events of equal
content (the same TPs, whatever their event numbers) count as one. The work comes in three steps, so that a file that
does not fit into memory can be done in parts: a `Pool` keeps what is laid over of the background, `pair_events` draws
once for all events, `lay_over` joins any whole events of both. `overlay` is all three.

A background TP without a true particle is electronics noise. The signal event has its own noise already: laid over
as well it would double, which is why ``noise: drop`` leaves those TPs out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from snpoint.physics.hashing import content_hash
from snpoint.physics.matching_events import EVENT_FLOATS
from snpoint.physics.matching_rows import Columns, Uids, place_of
from snpoint.physics.ordering import sorted_order
from snpoint.settings import Overlay

_OF_EVENT = ("run", "subrun", "event", "event_uid", "interaction", *EVENT_FLOATS)
_OF_TP = (
    *("event_uid", "apa", "plane", "face", "channel", "time_start", "samples_over_threshold", "samples_to_peak"),
    *("adc_integral", "adc_peak", "track_id", "pdg", "edep_mev", "n_electrons", "x_cm", "y_cm", "z_cm"),
)
"""Columns of a TP that are laid over; all others follow from the signal event."""
_CONTENT = ("channel", "samples_over_threshold", "samples_to_peak", "adc_integral", "adc_peak")
_SAME_CLOCK = 1 << 32
"""Clock ticks (69 s) between two readout windows that cannot be meant to be one."""


class OverlayError(ValueError):
    """Background that cannot be laid over these signal events."""


@dataclass(frozen=True)
class Pool:
    """Background events of which each can be laid over one signal event.

    Attributes
    ----------
    tps
        TPs to lay over, by the noise rule; of the columns of the TP table only what belongs to a TP.
    uid
        ``event_uid`` of all events, shape (B,), also of those of which no TP is left.
    fingerprint
        Hash of the TPs of each event (channel, time since the first, lengths, amplitudes), shape (B,); 0 for none.
    n_noise
        TPs of each event that the noise rule left out, shape (B,).
    """

    tps: Columns
    uid: Uids
    fingerprint: npt.NDArray[np.uint64]
    n_noise: npt.NDArray[np.int64]

    @classmethod
    def of(cls, background: Columns, settings: Overlay) -> Pool:
        """The pool of some whole events, given by columns of the TP table in any order."""
        uid, event = np.unique(background["event_uid"], return_inverse=True)
        kept = np.flatnonzero(_kept(background, settings))
        tps = {key: background[key][kept] for key in _OF_TP}
        own = event.reshape(-1)[kept]
        n_tps = np.bincount(own, minlength=len(uid))
        time = tps["time_start"].astype(np.int64)
        first = np.full(len(uid), np.iinfo(np.int64).max)
        np.minimum.at(first, own, time)
        found = content_hash(own, len(uid), time - first[own], *(tps[key] for key in _CONTENT))
        n_noise = np.bincount(event.reshape(-1), minlength=len(uid)) - n_tps
        return cls(tps, uid, np.where(n_tps > 0, found, np.uint64(0)), n_noise.astype(np.int64))

    @classmethod
    def joined(cls, pools: Sequence[Pool]) -> Pool:
        """One pool of several (at least one) with different events."""
        uid = np.concatenate([pool.uid for pool in pools])
        order = np.argsort(uid, kind="stable")
        return cls(
            {key: np.concatenate([pool.tps[key] for pool in pools]) for key in _OF_TP},
            uid[order],
            np.concatenate([pool.fingerprint for pool in pools])[order],
            np.concatenate([pool.n_noise for pool in pools])[order],
        )


def overlay(signal: Columns, background: Columns, settings: Overlay) -> tuple[Columns, dict[str, int]]:
    """Lay background events over signal events.

    Parameters
    ----------
    signal, background
        Columns of the TP table, any number of events each; no event of the background may be there twice.
    settings
        Seed, noise rule, and what to do if there are fewer background events than signal events.

    Returns
    -------
    tuple
        Columns of the TP table sorted by (event_uid, time_start, channel), and counts: ``events``,
        ``with_background``, ``pool_events``, ``pool_duplicates`` (pool events whose content another one has),
        ``noise_tps_dropped`` (of the events laid over).

    Raises
    ------
    OverlayError
        Noise shall be dropped but no background TP has truth, there are too few background events, or the clocks of
        both differ.
    """
    pool = Pool.of(background, settings)
    events = np.unique(signal["event_uid"])
    chosen, counts = pair_events(events, pool, settings)
    table, dropped = lay_over(signal, pool, events, chosen)
    return table, counts | {"noise_tps_dropped": dropped}


def pair_events(signal_uid: Uids, pool: Pool, settings: Overlay) -> tuple[Uids, dict[str, int]]:
    """Draw a background event for each signal event, none twice.

    Of pool events with equal content only the one of the smallest ``event_uid`` takes part; those with nothing to lay
    over (fingerprint 0) are not equal to each other. Neither the order of the pool nor that of the signal matters.

    Returns
    -------
    tuple
        ``event_uid`` of the background event of each signal event (0 none), shape (S,), and counts as for `overlay`,
        but those of noise.

    Raises
    ------
    OverlayError
        There are fewer background events than signal events, and ``settings.shortage`` is ``error``; or noise shall
        be dropped and nothing is left of the whole pool.
    """
    if settings.noise == "drop" and len(pool.uid) and not pool.fingerprint.any():
        raise OverlayError(
            "no background TP has truth, so all would count as noise; set match.overlay.noise: keep, or a match.truth"
            " that the background files hold"
        )
    usable = _usable(pool)
    n_events, duplicates = len(signal_uid), len(pool.uid) - int(usable.sum())
    # Number 0 means "no background event" in the table.
    uid = pool.uid[usable & (pool.uid != 0)]
    if len(uid) < n_events and settings.shortage == "error":
        raise OverlayError(
            f"{n_events} events but only {len(uid)} different background events ({duplicates} of {len(pool.uid)} repeat"
            " another); give more background files, or set match.overlay.shortage: leave"
        )
    drawn = np.random.default_rng(settings.seed).permutation(uid)[:n_events]
    chosen = np.zeros(n_events, np.uint64)
    chosen[np.argsort(signal_uid, kind="stable")[: len(drawn)]] = drawn
    counts = {"events": n_events, "with_background": len(drawn)}
    return chosen, counts | {"pool_events": len(pool.uid), "pool_duplicates": duplicates}


def lay_over(signal: Columns, pool: Pool, signal_uid: Uids, background_uid: Uids) -> tuple[Columns, int]:
    """Join signal events and the background events drawn for them.

    Parameters
    ----------
    signal
        Whole events.
    pool
        At least the background events drawn for the events of ``signal``.
    signal_uid, background_uid
        The pairs of `pair_events`, shape (S,); those of other events are allowed.

    Returns
    -------
    tuple
        The table, sorted, and the number of noise TPs left out. Laid-over TPs carry number and truth of the signal
        event, and their own particle's truth; they are no signal. All TPs of an event name the background event.

    Raises
    ------
    OverlayError
        The clocks of both are far apart, or an event was drawn for itself.
    """
    _check_clocks(signal, pool.tps)
    events, first = np.unique(signal["event_uid"], return_index=True)
    order = np.argsort(signal_uid, kind="stable")
    place = place_of(signal_uid[order], events)
    partner = np.where(place >= 0, np.append(background_uid[order], np.uint64(0))[place], np.uint64(0))
    drawn = np.where(partner != 0, place_of(pool.uid, partner), -1)
    fingerprint = np.append(pool.fingerprint, np.uint64(0))[drawn]
    added = _added(signal, pool, first, partner)
    table = {key: np.concatenate([values, added[key].astype(values.dtype)]) for key, values in signal.items()}
    own = place_of(events, table["event_uid"])
    table |= {"background_uid": partner[own], "background_fingerprint": fingerprint[own]}
    by_time = sorted_order(own, table["time_start"], table["channel"])
    _check_others(table, by_time, own, partner == events)
    n_noise = int(pool.n_noise[drawn[drawn >= 0]].sum())
    return {key: values[by_time] for key, values in table.items()}, n_noise


def _usable(pool: Pool) -> npt.NDArray[np.bool_]:
    """Events of the pool without those that repeat another one of a smaller number (``uid`` ascends)."""
    _, first = np.unique(pool.fingerprint, return_index=True)
    usable = pool.fingerprint == 0
    usable[first] = True
    return np.asarray(usable)


def _added(signal: Columns, pool: Pool, first: npt.NDArray[np.int64], partner: Uids) -> Columns:
    """Background TPs as rows of the signal events they are laid over; ``first``: one row of each signal event."""
    event = _event_of(pool.tps, partner)
    rows = np.flatnonzero(event >= 0)
    event = event[rows]
    added = {key: values[rows] for key, values in pool.tps.items()}
    added |= {key: signal[key][first][event] for key in _OF_EVENT}
    added |= {key: np.zeros(len(rows), np.uint64) for key in ("background_uid", "background_fingerprint")}
    return added | {"is_signal": np.zeros(len(rows), np.uint8), "is_overlay": np.ones(len(rows), np.uint8)}


def _kept(background: Columns, settings: Overlay) -> npt.NDArray[np.bool_]:
    """Background TPs that are laid over."""
    if settings.noise == "keep":
        return np.ones(len(background["track_id"]), bool)
    return np.asarray(background["track_id"] != 0)


def _event_of(background: Columns, partner: Uids) -> npt.NDArray[np.int64]:
    """For each background TP the place of the signal event that its event was drawn for; -1 none."""
    order = np.argsort(partner, kind="stable")
    place = place_of(partner[order], background["event_uid"])
    found: npt.NDArray[Any] = np.where(place >= 0, order[place] if len(order) else -1, -1)
    return np.where(background["event_uid"] == 0, -1, found).astype(np.int64)


def _check_others(
    table: Columns, by_time: npt.NDArray[np.int64], own: npt.NDArray[np.int64], same: npt.NDArray[np.bool_]
) -> None:
    """Check that no event lies over itself.

    Productions may count their events alike, so equal numbers (``same``) alone do not tell: half of the TPs laid over
    start where one of the event's own does.
    """
    if not same.any():
        return
    rows = by_time[same[own[by_time]]]
    twin = np.zeros(len(rows), bool)
    twin[1:] = table["is_overlay"][rows[1:]] != table["is_overlay"][rows[:-1]]
    for values in (own, table["channel"], table["time_start"]):
        twin[1:] &= values[rows[1:]] == values[rows[:-1]]
    n_twins = np.bincount(own[rows[twin]], minlength=len(same))
    n_over = np.bincount(own[rows], table["is_overlay"][rows], minlength=len(same))
    themselves = np.flatnonzero((n_over > 0) & (2 * n_twins >= n_over))
    if len(themselves):
        run, subrun, event = (table[key][rows[own[rows] == themselves[0]]][0] for key in ("run", "subrun", "event"))
        raise OverlayError(
            f"{len(themselves)} events lie over themselves, such as run {run}, subrun {subrun}, event {event}; give "
            "background files that do not hold the events of the sample"
        )


def _check_clocks(signal: Columns, background: Columns) -> None:
    if not (len(signal["time_start"]) and len(background["time_start"])):
        return
    ours, theirs = (np.asarray(table["time_start"], np.int64) for table in (signal, background))
    if max(ours.min() - theirs.max(), theirs.min() - ours.max()) > _SAME_CLOCK:
        raise OverlayError(
            f"signal starts at {ours.min()} and background at {theirs.min()} clock ticks: not the same readout window;"
            " background must come on the clock of the signal"
        )
