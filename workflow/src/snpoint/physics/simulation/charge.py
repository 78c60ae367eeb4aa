"""From energy deposits to the charge that reaches each wire: drift, lifetime, diffusion, channel map.

Yield and lifetime were fitted to the SimIDEs of a LArSoft production (60 events). SimIDEs are made as Wire-Cell's
DepoFluxWriter makes them (LArSoft, larwirecell): each deposit is a Gaussian in time and across the wires, cut at three
standard deviations and integrated over the cells; where it leaves less than one electron it leaves none. In the files
every cell of a channel and a tick has one track, whoever else left charge there: that of the deposit that arrives
first. (So say all six protons of the production: around the vertex they have the charge of the electron where it flies
away from the anode, and lose theirs to it where it flies towards the anode.)
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from snpoint.physics.compiled import compiled
from snpoint.physics.simulation.recombination import ELECTRONS_PER_MEV, escaping
from snpoint.physics.simulation.wires import (
    ANODE,
    FIRST_CHANNEL,
    SIGN,
    Layout,
    find_volume,
    wire_channel,
    wire_position,
)

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

LIFETIME_US = 10_400.0
LONGITUDINAL_CM2_US, TRANSVERSE_CM2_US = 4.0e-6, 8.8e-6
"""Diffusion constants of DUNE's simulation."""
RESPONSE_PLANE_CM = 10.0
"""Clouds grow until they are so far from the anode, where Wire-Cell's field responses begin."""
SIGMAS = 3.0
"""Clouds of electrons end at so many standard deviations."""
LEAST_ELECTRONS, DEPOSIT_ELECTRONS = 1.0, 400.0
"""What a deposit leaves in a cell is left out below one electron; the rest of the deposit has that charge, too. A cloud
of more electrons counts as several deposits of this size (tuned: the number of SimIDEs per MeV of ES events)."""

NE, MEV, X_NE = range(3)
"""Columns of the amounts: electrons, energy [MeV], and from the third on position [cm] times electrons."""
AMOUNTS = X_NE + 3
PLACE, ENERGY, ELECTRONS, WHOSE, VOLUME, TICK, ACROSS, ALONG, CLOUD_COLUMNS = 0, *range(3, 11)
"""Columns of a cloud of electrons: position [cm], energy [MeV], electrons, origin, volume (-1: none), arrival [ticks],
standard deviations across [cm] and along [ticks]."""
TOGETHER_CM = 0.05
"""Deposits of one origin that follow each other within this distance in every axis drift as one."""
_MOST_TICKS, _MOST_WIRES = 32, 12
"""A cloud is no larger: 5 standard deviations of 3 ms of drift."""
_BLOCK = 64
_NARROWEST, _TINY = 1e-6, 1e-30
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_HALF = np.uint64(32)


class Charge(NamedTuple):
    """Charge per channel and tick: one row each, found by hashing; sorted by `order_rows`.

    The origin says whose charge it is (that of the first deposit to arrive): 2 * particle + (0 its own, 1 that of the
    electrons and photons it made).
    """

    table: npt.NDArray[np.int32]  # (power of two,) row + 1 of a key, by open addressing; 0 = none
    codes: IntArray  # (rows,) channel * ticks + tick of each row
    places: npt.NDArray[np.int32]  # (rows,) where in the table each row stands
    arrivals: FloatArray  # (rows,) when the first deposit arrived [ticks]
    keys: IntArray  # (rows, 3) channel, tick, origin
    amounts: FloatArray  # (rows, 5) electrons, MeV, x, y, z times electrons
    counts: IntArray  # rows, full


ROWS, FULL = 0, 1
"""Places in the counts."""


def new_charge(rows: int) -> Charge:
    """Empty charge lists with room for ``rows`` rows."""
    size = 1 << max(10, (2 * rows - 1).bit_length())
    return Charge(
        np.zeros(size, np.int32),
        np.zeros(rows, np.int64),
        np.zeros(rows, np.int32),
        np.zeros(rows),
        np.zeros((rows, 3), np.int64),
        np.zeros((rows, AMOUNTS)),
        np.zeros(2, np.int64),
    )


@compiled()
def drift_deposits(
    deposits: FloatArray, classes: IntArray, owners: IntArray, times_us: FloatArray, layout: Layout, charge: Charge
) -> None:  # fmt: skip
    """Drift all deposits of an event to the wires. Deposits outside the drift volumes are lost.

    Parameters
    ----------
    deposits, classes, owners
        Of the shower, shapes (n, 5), (n,), (n,): x, y, z [cm], energy [MeV], density of the ionization [MeV/cm]; class
        (0 the particle's own); index of the particle.
    times_us
        When each particle was made, counted from the begin of the readout, shape (particles,) [us].
    layout
        The detector.
    charge
        Lists that are added to. ``charge.counts[FULL]`` is set when they were too short: start again with longer ones.
    """
    n, n_ticks = charge.counts[ROWS], int(layout.drift[3])
    clouds = np.empty((deposits.shape[0], CLOUD_COLUMNS))
    clouds = clouds[: _gather(deposits, classes, owners, clouds)]
    _arrivals(clouds, times_us, layout.volumes, layout.drift)
    codes, sizes = np.empty((_BLOCK, 3 * _MOST_TICKS * _MOST_WIRES), np.int64), np.empty(_BLOCK, np.int64)
    shares = np.empty(codes.shape)
    for first in range(0, clouds.shape[0], _BLOCK):
        some = clouds[first : min(first + _BLOCK, clouds.shape[0])]
        _spread(some, layout.volumes, layout.wires, n_ticks, codes, shares, sizes)
        n = _add(
            some, codes, shares, sizes, charge.table, charge.codes, charge.places, charge.arrivals, charge.keys,
            charge.amounts, n,
        )  # fmt: skip
        if n < 0:
            charge.counts[FULL] = 1
            return
    for row in range(charge.counts[ROWS], n):
        charge.keys[row, 0] = charge.codes[row] // n_ticks
        charge.keys[row, 1] = charge.codes[row] % n_ticks
    charge.counts[ROWS] = n


# The deposits go through loops over plain arrays. In one loop with calls in it, or with the fields of a NamedTuple read
# in it, numba's reference counts cost three to five times as much as the rest.
@compiled()
def _gather(deposits: FloatArray, classes: IntArray, owners: IntArray, clouds: FloatArray) -> int:
    """One cloud of electrons for deposits that follow each other closely; gives how many clouds there are."""
    n, origin = -1, -1
    x = y = z = 0.0
    for k in range(deposits.shape[0]):
        electrons = ELECTRONS_PER_MEV * escaping(deposits[k, 4]) * deposits[k, 3]
        own = 2 * owners[k] + (0 if classes[k] == 0 else 1)
        far = max(abs(deposits[k, 0] - x), abs(deposits[k, 1] - y), abs(deposits[k, 2] - z)) > TOGETHER_CM
        if own != origin or far:
            n, origin = n + 1, own
            x, y, z = deposits[k, 0], deposits[k, 1], deposits[k, 2]
            clouds[n], clouds[n, WHOSE] = 0.0, own
        clouds[n, ELECTRONS] += electrons
        clouds[n, ENERGY] += deposits[k, 3]
        for axis in range(3):
            clouds[n, PLACE + axis] += electrons * deposits[k, axis]
    return n + 1


@compiled()
def _arrivals(clouds: FloatArray, times_us: FloatArray, volumes: FloatArray, drift: FloatArray) -> None:
    """Where and when each cloud arrives, and how large it is then."""
    per_cm, at_anode, tick_us = drift[0], drift[1], drift[2]
    for k in range(clouds.shape[0]):
        cloud = clouds[k]
        cloud[PLACE : PLACE + 3] /= max(cloud[ELECTRONS], _TINY)
        volume = find_volume(volumes, cloud[PLACE], cloud[PLACE + 1], cloud[PLACE + 2])
        cloud[VOLUME] = volume
        if volume < 0:
            continue
        line = per_cm * volumes[volume, SIGN] * (cloud[PLACE] - volumes[volume, ANODE]) + at_anode
        cloud[ELECTRONS] *= math.exp(-max(line, 0.0) * tick_us / LIFETIME_US)
        cloud[TICK] = line + times_us[int(cloud[WHOSE]) >> 1] / tick_us
        growth_us = max(line - at_anode - per_cm * RESPONSE_PLANE_CM, 0.0) * tick_us
        cloud[ACROSS] = math.sqrt(2.0 * TRANSVERSE_CM2_US * growth_us)
        cloud[ALONG] = math.sqrt(2.0 * LONGITUDINAL_CM2_US * growth_us) * per_cm


@compiled()
def _spread(
    clouds: FloatArray, volumes: FloatArray, wires: FloatArray, n_ticks: int, codes: IntArray, shares: FloatArray,
    sizes: IntArray,
) -> None:  # fmt: skip
    """The cells that each cloud of electrons reaches, and its share there; -1 is a cell that no wire sees.

    The shares of a plane add up to 1, cells that no wire sees included.
    """
    over_ticks, over_wires = np.empty(_MOST_TICKS), np.empty(_MOST_WIRES)
    for k in range(clouds.shape[0]):
        volume, n = int(clouds[k, VOLUME]), 0
        sizes[k] = 0
        if volume < 0 or clouds[k, ELECTRONS] <= 0.0:
            continue
        base = int(volumes[volume, FIRST_CHANNEL])
        tick, ticks = _cells(clouds[k, TICK], clouds[k, ALONG], over_ticks)
        if tick + ticks <= 0 or tick >= n_ticks:
            continue
        least = LEAST_ELECTRONS / min(clouds[k, ELECTRONS], DEPOSIT_ELECTRONS)
        for plane in range(3):
            center = wire_position(wires, volume, plane, clouds[k, PLACE + 1], clouds[k, PLACE + 2])
            per_cm = math.sqrt(wires[volume, plane, 0] ** 2 + wires[volume, plane, 1] ** 2)
            wire, across = _cells(center, clouds[k, ACROSS] * per_cm, over_wires)
            begin, kept = n, 0.0
            for a in range(across):
                local = wire_channel(wires, volume, plane, wire + a)
                for b in range(ticks):
                    share = over_wires[a] * over_ticks[b]
                    if share < least:
                        continue
                    seen = local >= 0 and 0 <= tick + b < n_ticks
                    codes[k, n] = (base + local) * n_ticks + int(tick) + b if seen else -1
                    shares[k, n] = share
                    kept += share
                    n += 1
            for cell in range(begin, n):
                shares[k, cell] /= kept
        sizes[k] = n


@compiled()
def _cells(center: float, sigma: float, shares: FloatArray) -> tuple[float, int]:
    """Cells around whole numbers that a Gaussian reaches: the first one, how many; their shares add up to 1."""
    width = max(sigma, _NARROWEST)
    first = math.floor(center - SIGMAS * width + 0.5)
    n = min(int(math.floor(center + SIGMAS * width + 0.5) - first) + 1, shares.shape[0])
    if n == 1:
        shares[0] = 1.0
        return first, n
    scale = 1.0 / (math.sqrt(2.0) * width)
    below, total = math.erf((first - 0.5 - center) * scale), 0.0
    for k in range(n):
        above = math.erf((first + k + 0.5 - center) * scale)
        shares[k], below = above - below, above
        total += shares[k]
    for k in range(n):
        shares[k] /= total
    return first, n


@compiled()
def _add(
    clouds: FloatArray, wanted: IntArray, shares: FloatArray, sizes: IntArray, table: npt.NDArray[np.int32],
    codes: IntArray, places: npt.NDArray[np.int32], arrivals: FloatArray, keys: IntArray, amounts: FloatArray, n: int,
) -> int:  # fmt: skip
    """Add the clouds to the rows of their cells; gives the number of rows then, -1 if there was no room."""
    mask = table.shape[0] - 1
    for k in range(clouds.shape[0]):
        for cell in range(sizes[k]):
            code = wanted[k, cell]
            if code < 0:
                continue
            place = int((np.uint64(code) * _GOLDEN) >> _HALF) & mask
            row = int(table[place]) - 1
            while row >= 0 and codes[row] != code:
                place = (place + 1) & mask
                row = int(table[place]) - 1
            if row < 0:
                if n >= codes.shape[0]:
                    return -1
                row, n = n, n + 1
                table[place], codes[row], places[row], arrivals[row] = n, code, place, math.inf
                for column in range(AMOUNTS):
                    amounts[row, column] = 0.0
            if clouds[k, TICK] < arrivals[row]:
                arrivals[row], keys[row, 2] = clouds[k, TICK], int(clouds[k, WHOSE])
            electrons = shares[k, cell] * clouds[k, ELECTRONS]
            amounts[row, NE] += electrons
            amounts[row, MEV] += shares[k, cell] * clouds[k, ENERGY]
            for axis in range(3):
                amounts[row, X_NE + axis] += electrons * clouds[k, PLACE + axis]
    return n


def order_rows(charge: Charge) -> IntArray:
    """Rows in the order channel, tick, shape (rows,)."""
    return np.argsort(charge.codes[: charge.counts[ROWS]])


@compiled()
def clear_charge(charge: Charge) -> None:
    """Empty the lists; costs as much as they hold."""
    for row in range(charge.counts[ROWS]):
        charge.table[charge.places[row]] = 0
    charge.counts[:] = 0
