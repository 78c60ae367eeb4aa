"""What happens in an event before anything is transported: truth blocks, and the particles that leave them.

A block is one neutrino interaction, or everything that one radioactive source does in the event: the same that a
truth block of the files is. Generators make blocks; transport, detector and truth tables read them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from snpoint.physics.constants import ELECTRON_MASS_MEV

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

ELECTRON, POSITRON, PHOTON, PROTON, NEUTRON, ALPHA = 11, -11, 22, 2212, 2112, 1000020040
ARGON_40, POTASSIUM_40, POTASSIUM_39, ARGON_39 = 1000180400, 1000190400, 1000190390, 1000180390
ARGON_41 = 1000180410
MASS_MEV: dict[int, float] = {
    ELECTRON: ELECTRON_MASS_MEV,
    POSITRON: ELECTRON_MASS_MEV,
    PHOTON: 0.0,
    PROTON: 938.27208816,
    NEUTRON: 939.56542052,
    ALPHA: 3727.3794066,
    ARGON_40: 37224.72419,
    POTASSIUM_40: 37226.22860 - ELECTRON_MASS_MEV,
    POTASSIUM_39: 36294.46280 - ELECTRON_MASS_MEV,
    ARGON_39: 36295.02780,
    ARGON_41: 38158.191,
    # What is left of potassium-40 that emits two particles, or an alpha.
    1000190380: 35367.464,
    1000180380: 35362.061,
    1000170380: 35367.489,
    1000180370: 34434.334,
    1000170370: 34434.031,
    1000170360: 33504.777,
    1000160360: 33504.146,
    1000170350: 32573.791,
    1000160350: 32574.469,
    1000150320: 29785.039,
    **{sign * flavour: 0.0 for sign in (1, -1) for flavour in (12, 14, 16)},
}
"""Masses by PDG code [MeV].

Nuclei: neutral atoms (AME2016) without the electrons that argon's 18 lack, as MARLEY's files have them.
"""

NO_MOTHER = -1


class Particles(NamedTuple):
    """Particles of a block, n of them. Times count from the event's own zero, when its neutrino interacts."""

    pdg: IntArray  # (n,)
    kinetic_mev: FloatArray  # (n,)
    position_cm: FloatArray  # (n, 3)
    direction: FloatArray  # (n, 3) unit vectors
    time_us: FloatArray  # (n,)
    mother: IntArray  # (n,) place in the block of the particle that made it; NO_MOTHER: the block itself

    @property
    def momentum_mev(self) -> FloatArray:
        """Momenta, shape (n, 3) [MeV/c]."""
        mass = np.array([MASS_MEV[pdg] for pdg in self.pdg.tolist()])
        size = np.sqrt(self.kinetic_mev * (self.kinetic_mev + 2 * mass))
        return np.asarray(size[:, None] * self.direction)


@dataclass(frozen=True)
class Neutrino:
    """The neutrino of an interaction."""

    pdg: int
    energy_mev: float
    direction: FloatArray  # (3,) unit vector of flight


@dataclass(frozen=True)
class Block:
    """One truth block. Of an interaction, the first electron in ``particles`` is the primary electron."""

    generator: str  # name in the files: "marley" for neutrino interactions, else that of the source
    particles: Particles
    neutrino: Neutrino | None = None  # before the interaction; None: not an interaction
    target_pdg: int = 0  # electron or argon nucleus at rest


@dataclass(frozen=True)
class Event:
    """One readout window."""

    blocks: tuple[Block, ...]
    time_s: float = 0.0  # since the beginning of the burst


class Generator(Protocol):
    """Makes the interaction of an event."""

    def block(self, rng: np.random.Generator) -> Block:
        """One interaction; every random number comes from ``rng``, which belongs to the event alone."""
        ...


def particles(
    pdg: npt.ArrayLike,
    kinetic_mev: npt.ArrayLike,
    position_cm: npt.ArrayLike,
    direction: npt.ArrayLike,
    time_us: npt.ArrayLike = 0.0,
    mother: npt.ArrayLike = NO_MOTHER,
) -> Particles:
    """Particles from lists; what is given once holds for all of them."""
    codes = np.atleast_1d(np.asarray(pdg, np.int64))
    n = len(codes)
    return Particles(
        codes,
        np.broadcast_to(np.asarray(kinetic_mev, np.float64), n).copy(),
        np.broadcast_to(np.asarray(position_cm, np.float64), (n, 3)).copy(),
        np.broadcast_to(np.asarray(direction, np.float64), (n, 3)).copy(),
        np.broadcast_to(np.asarray(time_us, np.float64), n).copy(),
        np.broadcast_to(np.asarray(mother, np.int64), n).copy(),
    )
