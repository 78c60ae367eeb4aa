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
def track_photon(particle: FloatArray, family: int, state: State, table: FloatArray, lists: Lists) -> None:
    """Follow a photon until it is absorbed; electrons and positrons it makes go on the stack."""
    while True:
        energy = particle[ENERGY]
        if energy < PHOTON_CUT_MEV:
            deposit(lists, family, energy, table[END_LOSS, 0], particle[1], particle[2], particle[3])
            return
        index, part = locate(energy)
        compton = table_value(table, COMPTON, index, part)
        pair = table_value(table, PAIR, index, part) if energy > 2 * ELECTRON_MASS_MEV else 0.0
        total = compton + pair + table_value(table, PHOTO, index, part)
        move(particle, -math.log(uniform(state)) / total)
        choice = uniform(state) * total
        if choice < compton:
            _scatter(particle, family, state, table, lists)
        elif choice < compton + pair:
            _make_pair(particle, family, state, lists)
            return
        else:
            push(lists, ELECTRON, family, energy, particle, particle[4:7])
            return


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
    recoil = energy * particle[4:7]
    turn(particle, 1.0 - t, random_azimuth(state))
    recoil -= energy * kept * particle[4:7]
    length = math.sqrt(recoil[0] ** 2 + recoil[1] ** 2 + recoil[2] ** 2)
    particle[ENERGY] = energy * kept
    if length > 0.0:
        push(lists, ELECTRON, family, energy * (1.0 - kept), particle, recoil / length)
    else:
        deposit(lists, family, energy * (1.0 - kept), table[END_LOSS, 0], particle[1], particle[2], particle[3])


@compiled()
def _make_pair(particle: FloatArray, family: int, state: State, lists: Lists) -> None:
    """Pair production: the kinetic energy is shared evenly distributed, angles are about m / E."""
    shared = particle[ENERGY] - 2 * ELECTRON_MASS_MEV
    first = uniform(state) * shared
    for kind, energy in ((ELECTRON, first), (POSITRON, shared - first)):
        mean = ELECTRON_MASS_MEV / (energy + ELECTRON_MASS_MEV)
        angle = min(-mean * math.log(uniform(state)), WIDEST_ANGLE)
        direction = turned(particle[4:7], math.cos(angle), random_azimuth(state))
        push(lists, kind, family, energy, particle, direction)
