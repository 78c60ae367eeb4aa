"""Background events laid over signal events.

Each signal event gets at most one background event, drawn without replacement by a seed. Background events of equal
content (the same TPs, whatever their event numbers) count as one. The work comes in three steps, so that a file that
does not fit into memory can be done in parts: `event_contents` looks at the background, `pair_events` draws once for
all events, `lay_over` joins any whole events of both. `overlay` is all three.

A background TP without a true particle is electronics noise. The signal event has its own noise already: laid over
as well it would double, which is why ``noise: drop`` leaves those TPs out.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from snpoint.physics.hashing import content_hash
from snpoint.physics.matching_events import EVENT_FLOATS
from snpoint.physics.matching_rows import Columns, Uids, place_of
from snpoint.physics.ordering import sorted_order
from snpoint.settings import Overlay

_OF_EVENT = ("run", "subrun", "event", "event_uid", "interaction", *EVENT_FLOATS)
_CONTENT = ("channel", "samples_over_threshold", "samples_to_peak", "adc_integral", "adc_peak")
_SAME_CLOCK = 1 << 32
"""Clock ticks (69 s) between two readout windows that cannot be meant to be one."""


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
    ValueError
        Noise shall be dropped but no background TP has truth, there are too few background events, or the clocks of
        both differ.
    """
    uid, _, fingerprint = event_contents(background, settings)
    events = np.unique(signal["event_uid"])
    chosen, counts = pair_events(events, uid, fingerprint, settings)
    table, dropped = lay_over(signal, background, events, chosen, settings)
    return table, counts | {"noise_tps_dropped": dropped}


def event_contents(
    background: Columns, settings: Overlay
) -> tuple[Uids, npt.NDArray[np.int64], npt.NDArray[np.uint64]]:
    """What would be laid over from each background event.

    Returns
    -------
    tuple
        Shape (B,) each, ascending in the first: ``event_uid``, number of TPs by the noise rule, and the hash of
        these TPs (channel, time since the first, lengths, amplitudes; 0 for an event of which nothing is left).
    """
    kept = _kept(background, settings)
    events, event = np.unique(background["event_uid"], return_inverse=True)
    own = event.reshape(-1)[kept]
    n_tps = np.bincount(own, minlength=len(events)).astype(np.int64)
    time = background["time_start"][kept].astype(np.int64)
    first = np.full(len(events), np.iinfo(np.int64).max)
    np.minimum.at(first, own, time)
    content = [background[key][kept] for key in _CONTENT]
    found = content_hash(own, len(events), time - first[own], *content)
    return events, n_tps, np.where(n_tps > 0, found, np.uint64(0))


def pair_events(
    signal_uid: Uids, pool_uid: Uids, pool_fingerprint: npt.NDArray[np.uint64], settings: Overlay
) -> tuple[Uids, dict[str, int]]:
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
    ValueError
        There are fewer background events than signal events, and ``settings.shortage`` is ``error``; or noise shall
        be dropped and nothing is left of the whole pool.
    """
    if settings.noise == "drop" and len(pool_uid) and not pool_fingerprint.any():
        raise ValueError(
            "no background TP has truth, so all would count as noise; set match.overlay.noise: keep, or a match.truth"
            " that the background files hold"
        )
    order = np.argsort(pool_uid, kind="stable")
    uid, fingerprint = pool_uid[order], pool_fingerprint[order]
    _, first = np.unique(fingerprint, return_index=True)
    usable = fingerprint == 0
    usable[first] = True
    # Number 0 means "no background event" in the table.
    pool = uid[usable & (uid != 0)]
    n_events, duplicates = len(signal_uid), len(uid) - int(usable.sum())
    if len(pool) < n_events and settings.shortage == "error":
        raise ValueError(
            f"{n_events} events but only {len(pool)} different background events ({duplicates} of {len(uid)} repeat"
            " another); give more background files, or set match.overlay.shortage: leave"
        )
    drawn = np.random.default_rng(settings.seed).permutation(pool)[:n_events]
    chosen = np.zeros(n_events, np.uint64)
    chosen[np.argsort(signal_uid, kind="stable")[: len(drawn)]] = drawn
    counts = {"events": n_events, "with_background": len(drawn)}
    return chosen, counts | {"pool_events": len(uid), "pool_duplicates": duplicates}


def lay_over(
    signal: Columns, background: Columns, signal_uid: Uids, background_uid: Uids, settings: Overlay
) -> tuple[Columns, int]:
    """Join signal events and the background events drawn for them.

    Parameters
    ----------
    signal
        Whole events.
    background
        Whole events: at least those drawn for the events of ``signal``.
    signal_uid, background_uid
        The pairs of `pair_events`, shape (S,); those of other events are allowed.
    settings
        The noise rule.

    Returns
    -------
    tuple
        The table, sorted, and the number of noise TPs left out. Laid-over TPs carry number and truth of the signal
        event, and their own particle's truth; they are no signal. All TPs of an event name the background event.

    Raises
    ------
    ValueError
        The clocks of both are far apart.
    """
    _check_clocks(signal, background)
    events, first = np.unique(signal["event_uid"], return_index=True)
    order = np.argsort(signal_uid, kind="stable")
    place = place_of(signal_uid[order], events)
    partner = np.where(place >= 0, np.append(background_uid[order], np.uint64(0))[place], np.uint64(0))
    event = _event_of(background, partner)
    drawn = {key: values[event >= 0] for key, values in background.items()}
    pool, _, fingerprint = event_contents(drawn, settings)
    content = np.append(fingerprint, np.uint64(0))[place_of(pool, partner)]
    kept = _kept(drawn, settings)
    added = {key: values[kept] for key, values in drawn.items()}
    event = event[event >= 0][kept]
    added |= {key: signal[key][first][event] for key in _OF_EVENT}
    added["is_signal"], added["is_overlay"] = np.zeros(len(event), np.uint8), np.ones(len(event), np.uint8)
    table = {key: np.concatenate([values, added[key].astype(values.dtype)]) for key, values in signal.items()}
    own = place_of(events, table["event_uid"])
    table |= {"background_uid": partner[own], "background_fingerprint": content[own]}
    by_time = sorted_order(own, table["time_start"], table["channel"])
    return {key: values[by_time] for key, values in table.items()}, int(np.count_nonzero(~kept))


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


def _check_clocks(signal: Columns, background: Columns) -> None:
    if not (len(signal["time_start"]) and len(background["time_start"])):
        return
    ours, theirs = (np.asarray(table["time_start"], np.int64) for table in (signal, background))
    if max(ours.min() - theirs.max(), theirs.min() - ours.max()) > _SAME_CLOCK:
        raise ValueError(
            f"signal starts at {ours.min()} and background at {theirs.min()} clock ticks: not the same readout window;"
            " background must come on the clock of the signal"
        )
