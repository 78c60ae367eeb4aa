"""Electrons and positrons in liquid argon: class II condensed history.

Energetic collisions (delta rays, photons, hard elastic scattering) are made one by one; the rest is a continuous
loss and a soft deflection at a random hinge of each step. Positrons differ in hard scattering only, and annihilate
at rest.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from snpoint.physics.compiled import compiled
from snpoint.physics.constants import ELECTRON_MASS_MEV, FINE_STRUCTURE
from snpoint.physics.simulation.materials import (
    ATOMIC_NUMBER,
    BREMS,
    BREMS_CUT_MEV,
    BREMS_SHAPE_LOG_ENERGY,
    BREMS_SHAPES,
    DELTA_CUT_MEV,
    ELECTRON_CUT_MEV,
    END_LOSS,
    HARD,
    HARD_BORDER,
    LOSS,
    MAX_STEP_CM,
    MOLLER,
    OWN_DELTA_MEV,
    SCREENING,
    SOFT,
    SPIN_BOUND,
)
from snpoint.physics.simulation.particles import (
    DELTA,
    DESCENDANT,
    ELECTRON,
    ENERGY,
    FULL,
    PHOTON,
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
from snpoint.physics.simulation.photons import WIDEST_ANGLE
from snpoint.physics.xoshiro import State, uniform

FloatArray = npt.NDArray[np.float64]

_LOSS_PER_STEP = 0.15
_SHORTEST_LIMIT_CM = 0.004
_INTERFERENCE = math.pi * FINE_STRUCTURE * ATOMIC_NUMBER


@compiled()
def track_electron(
    particle: FloatArray, positron: bool, family: int, state: State, table: FloatArray, lists: Lists
) -> float:
    """Follow an electron (positron) to rest; what it makes goes on the stack. Gives its path length [cm].

    ``particle`` is moved to where it stopped.
    """
    path, counts = 0.0, lists.counts
    while particle[ENERGY] >= ELECTRON_CUT_MEV and counts[FULL] == 0:
        energy = particle[ENERGY]
        index, part = locate(energy)
        loss = table_value(table, LOSS, index, part)
        moller = table_value(table, MOLLER, index, part)
        brems = table_value(table, BREMS, index, part)
        rate = moller + brems + table_value(table, HARD, index, part)
        limit = min(MAX_STEP_CM, max(_LOSS_PER_STEP * energy / loss, _SHORTEST_LIMIT_CM))
        step = -math.log(uniform(state)) / rate
        due = step <= limit
        step = min(step, limit, energy / loss)
        _step(particle, step, loss, table_value(table, SOFT, index, part), family, state, lists)
        path += step
        if due and particle[ENERGY] >= ELECTRON_CUT_MEV:
            choice = uniform(state) * rate
            if choice < moller:
                _knock(particle, family, state, lists)
            elif choice < moller + brems:
                _radiate(particle, state, lists)
            else:
                _scatter(particle, positron, state, table)
    if particle[ENERGY] > 0.0:
        index, part = locate(particle[ENERGY])
        density = table_value(table, END_LOSS, index, part)
        deposit(lists, family, particle[ENERGY], density, particle[1], particle[2], particle[3])
    if positron:
        _annihilate(particle, state, lists)
    return path


@compiled()
def _step(particle: FloatArray, step: float, loss: float, soft: float, family: int, state: State, lists: Lists) -> None:
    """One step: continuous loss, left half-way, and the soft deflection at a random hinge."""
    x, y, z = particle[1], particle[2], particle[3]
    before = uniform(state) * step
    move(particle, before)
    drop = -soft * step * math.log(uniform(state))
    if drop > 1.9:
        drop = 2.0 * uniform(state)
    turn(particle, 1.0 - drop, random_azimuth(state))
    move(particle, step - before)
    lost = min(loss * step, particle[ENERGY])
    deposit(lists, family, lost, loss, 0.5 * (x + particle[1]), 0.5 * (y + particle[2]), 0.5 * (z + particle[3]))
    particle[ENERGY] -= lost


@compiled()
def _moller_fraction(energy: float, state: State) -> float:
    """Share of the energy that a delta ray above the cut takes."""
    least = DELTA_CUT_MEV / energy
    tau = energy / ELECTRON_MASS_MEV
    c1, c2 = (tau / (tau + 1.0)) ** 2, (2.0 * tau + 1.0) / (tau + 1.0) ** 2
    while True:
        t = uniform(state)
        x = 1.0 / ((1.0 - t) / least + 2.0 * t)
        ratio = x / (1.0 - x)
        weight = (1.0 + ratio * ratio + c1 * x * x - c2 * ratio) / (2.0 + 0.25 * c1)
        if uniform(state) < weight:
            return float(x)


@compiled()
def _knock(particle: FloatArray, family: int, state: State, lists: Lists) -> None:
    """Moller scattering: a delta ray, and the electron's recoil on the other side."""
    energy = particle[ENERGY]
    if energy <= 2 * DELTA_CUT_MEV:
        return
    delta = _moller_fraction(energy, state) * energy
    kept = energy - delta
    mass2 = 2 * ELECTRON_MASS_MEV
    azimuth = random_azimuth(state)
    delta_cosine = math.sqrt(delta * (energy + mass2) / (energy * (delta + mass2)))
    kept_cosine = math.sqrt(kept * (energy + mass2) / (energy * (kept + mass2)))
    direction = turned(particle, min(delta_cosine, 1.0), azimuth)
    push(lists, ELECTRON, max(family, DELTA) if delta > OWN_DELTA_MEV else family, delta, particle, direction)
    turn(particle, min(kept_cosine, 1.0), azimuth + math.pi)
    particle[ENERGY] = kept


@compiled()
def _shape(y: float, log_energy: float) -> float:
    """Seltzer-Berger shape at photon fraction y, linear in y and in ln T, clamped to the table."""
    last = BREMS_SHAPE_LOG_ENERGY.shape[0] - 1
    at = min(max(log_energy, BREMS_SHAPE_LOG_ENERGY[0]), BREMS_SHAPE_LOG_ENERGY[last])
    row = 0 if at < BREMS_SHAPE_LOG_ENERGY[1] else 1
    between = (at - BREMS_SHAPE_LOG_ENERGY[row]) / (BREMS_SHAPE_LOG_ENERGY[row + 1] - BREMS_SHAPE_LOG_ENERGY[row])
    column = min(int(10.0 * y), 9)
    part = 10.0 * y - column
    low = BREMS_SHAPES[row, column] * (1.0 - part) + BREMS_SHAPES[row, column + 1] * part
    high = BREMS_SHAPES[row + 1, column] * (1.0 - part) + BREMS_SHAPES[row + 1, column + 1] * part
    return float(low * (1.0 - between) + high * between)


@compiled()
def _radiate(particle: FloatArray, state: State, lists: Lists) -> None:
    """Bremsstrahlung; the electron keeps its direction."""
    energy = particle[ENERGY]
    if energy <= BREMS_CUT_MEV:
        return
    log_energy = math.log(energy)
    largest = _shape(0.0, log_energy)
    while True:
        photon = BREMS_CUT_MEV * (energy / BREMS_CUT_MEV) ** uniform(state)
        if uniform(state) * largest < _shape(photon / energy, log_energy):
            break
    width = ELECTRON_MASS_MEV / (energy + ELECTRON_MASS_MEV)
    angle = min(width * math.sqrt(1.0 / uniform(state) - 1.0), WIDEST_ANGLE)
    direction = turned(particle, math.cos(angle), random_azimuth(state))
    push(lists, PHOTON, DESCENDANT, photon, particle, direction)
    particle[ENERGY] = energy - photon


@compiled()
def _scatter(particle: FloatArray, positron: bool, state: State, table: FloatArray) -> None:
    """Hard elastic scattering with the spin factor of McKinley and Feshbach, as `materials.spin_factor` has it."""
    energy = particle[ENERGY]
    index, part = locate(energy)
    screening = table_value(table, SCREENING, index, part)
    border = table_value(table, HARD_BORDER, index, part)
    t = uniform(state)
    mu = 1.0 / ((1.0 - t) / (border + screening) + t / (1.0 + screening)) - screening
    mu = min(max(mu, 0.0), 1.0)
    beta2 = energy * (energy + 2 * ELECTRON_MASS_MEV) / (energy + ELECTRON_MASS_MEV) ** 2
    interference = _INTERFERENCE * math.sqrt(beta2 * mu) * (1.0 - math.sqrt(mu))
    if positron:
        interference = -interference
    if SPIN_BOUND * uniform(state) < 1.0 - beta2 * mu + interference:
        turn(particle, 1.0 - 2.0 * mu, random_azimuth(state))


@compiled()
def _annihilate(particle: FloatArray, state: State, lists: Lists) -> None:
    """Two photons back to back, isotropic."""
    cosine, azimuth = 2.0 * uniform(state) - 1.0, random_azimuth(state)
    sine = math.sqrt(1.0 - cosine * cosine)
    u, v = sine * math.cos(azimuth), sine * math.sin(azimuth)
    push(lists, PHOTON, DESCENDANT, ELECTRON_MASS_MEV, particle, (u, v, cosine))
    push(lists, PHOTON, DESCENDANT, ELECTRON_MASS_MEV, particle, (-u, -v, -cosine))
