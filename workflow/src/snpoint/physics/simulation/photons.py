"""Photons in liquid argon, one interaction at a time: Compton, pair production, photoelectric effect."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from snpoint.physics.compiled import compiled
from snpoint.physics.constants import ELECTRON_MASS_MEV
from snpoint.physics.simulation.materials import COMPTON, END_LOSS, PAIR, PHOTO, PHOTON_CUT_MEV
from snpoint.physics.simulation.particles import (
    ELECTRON,
    ENERGY,
    POSITRON,
    Lists,
    deposit,
    locate,
    move,
    push,
    random_azimuth,
    table_value,
    turn,
    turned,
)
from snpoint.physics.xoshiro import State, uniform

FloatArray = npt.NDArray[np.float64]

WIDEST_ANGLE = 1.5
"""Cap on sampled polar angles of bremsstrahlung photons and pairs [rad]."""


@compiled()
def track_photon(particle: FloatArray, family: int, state: State, table: FloatArray, lists: Lists) -> float:
    """Follow a photon until it is absorbed; electrons and positrons it makes go on the stack. Gives its path [cm].

    ``particle`` is moved to where it was absorbed.
    """
    path = 0.0
    while True:
        energy = particle[ENERGY]
        if energy < PHOTON_CUT_MEV:
            if energy > 0.0:
                deposit(lists, family, energy, table[END_LOSS, 0], particle[1], particle[2], particle[3])
            return path
        index, part = locate(energy)
        compton = table_value(table, COMPTON, index, part)
        pair = table_value(table, PAIR, index, part) if energy > 2 * ELECTRON_MASS_MEV else 0.0
        total = compton + pair + table_value(table, PHOTO, index, part)
        step = -math.log(uniform(state)) / total
        move(particle, step)
        path += step
        choice = uniform(state) * total
        if choice < compton:
            _scatter(particle, family, state, table, lists)
            continue
        if choice < compton + pair:
            _make_pair(particle, family, state, lists)
        else:
            push(lists, ELECTRON, family, energy, particle, (particle[4], particle[5], particle[6]))
        return path


@compiled()
def _compton_fraction(a: float, state: State) -> tuple[float, float]:
    """Klein-Nishina: energy kept by the photon, as a fraction, and 1 - cos of its angle; a = energy / mass."""
    least = 1.0 / (1.0 + 2.0 * a)
    log_part, square_part = math.log(1.0 / least), 0.5 * (1.0 - least * least)
    while True:
        if uniform(state) * (log_part + square_part) < log_part:
            kept = least ** uniform(state)
        else:
            kept = math.sqrt(least * least + (1.0 - least * least) * uniform(state))
        t = (1.0 - kept) / (a * kept)
        if uniform(state) < 1.0 - kept * t * (2.0 - t) / (1.0 + kept * kept):
            return kept, t


@compiled()
def _scatter(particle: FloatArray, family: int, state: State, table: FloatArray, lists: Lists) -> None:
    """Compton scattering on a free electron; the recoil takes the momentum difference's direction."""
    energy = particle[ENERGY]
    kept, t = _compton_fraction(energy / ELECTRON_MASS_MEV, state)
    u, v, w = energy * particle[4], energy * particle[5], energy * particle[6]
    turn(particle, 1.0 - t, random_azimuth(state))
    left = energy * kept
    u, v, w = u - left * particle[4], v - left * particle[5], w - left * particle[6]
    length = math.sqrt(u * u + v * v + w * w)
    particle[ENERGY] = left
    if length > 0.0:
        push(lists, ELECTRON, family, energy - left, particle, (u / length, v / length, w / length))
    else:
        deposit(lists, family, energy - left, table[END_LOSS, 0], particle[1], particle[2], particle[3])


@compiled()
def _make_pair(particle: FloatArray, family: int, state: State, lists: Lists) -> None:
    """Pair production: the kinetic energy is shared evenly distributed, angles are about m / E."""
    shared = particle[ENERGY] - 2 * ELECTRON_MASS_MEV
    first = uniform(state) * shared
    for kind, energy in ((ELECTRON, first), (POSITRON, shared - first)):
        mean = ELECTRON_MASS_MEV / (energy + ELECTRON_MASS_MEV)
        angle = min(-mean * math.log(uniform(state)), WIDEST_ANGLE)
        direction = turned(particle, math.cos(angle), random_azimuth(state))
        push(lists, kind, family, energy, particle, direction)
