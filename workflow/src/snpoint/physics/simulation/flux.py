"""Neutrinos of a supernova at the Earth: pinched spectra, mixed in the star, per area and energy.

Four kinds are told apart, as far as cross sections do: electron neutrinos and antineutrinos, and the sums over the
muon and the tau kind of the others. Oscillation is the adiabatic MSW effect (Dighe & Smirnov, Phys. Rev. D 62, 033007
(2000)): a flavor leaves the star as one mass state, whatever its energy, so that two survival probabilities say all.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.special import gammainccinv, gammaln

from snpoint.physics.constants import AVOGADRO
from snpoint.physics.simulation.materials import ATOMIC_MASS
from snpoint.settings import Flavour, Flux

FloatArray = npt.NDArray[np.float64]
Kind = Literal["nue", "nuebar", "nux", "nuxbar"]

KINDS: tuple[Kind, ...] = ("nue", "nuebar", "nux", "nuxbar")
"""What reaches the Earth; ``nux`` is the sum of muon and tau neutrinos, ``nuxbar`` of their antineutrinos."""
PDG: dict[Kind, tuple[int, ...]] = {"nue": (12,), "nuebar": (-12,), "nux": (14, 16), "nuxbar": (-14, -16)}
"""PDG codes of each kind; those of one kind are equally frequent (the star does not tell muon from tau)."""

MEV_PER_ERG = 624150.9074
CM_PER_KPC = 3.0856775814913673e21
SIN2_THETA12: dict[str, float] = {"NMO": 0.303, "IMO": 0.303}
SIN2_THETA13: dict[str, float] = {"NMO": 0.02203, "IMO": 0.02219}
"""Best fit of NuFIT 5.2 (2022) without Super-Kamiokande's atmospheric data; Esteban et al., JHEP 09 (2020) 178."""


def argon_atoms(mass_kt: float) -> float:
    """Number of atoms in a mass of argon [kt]."""
    return mass_kt * 1e9 / ATOMIC_MASS * AVOGADRO


def survival(oscillation: Literal["none", "NMO", "IMO"]) -> tuple[float, float]:
    """Probability that an electron (anti)neutrino arrives as one: neutrinos, antineutrinos.

    Normal ordering: neutrinos leave as mass state 3, antineutrinos as 1. Inverted: 2 and 3.
    """
    if oscillation == "none":
        return 1.0, 1.0
    s12, s13 = SIN2_THETA12[oscillation], SIN2_THETA13[oscillation]
    if oscillation == "NMO":
        return s13, (1 - s12) * (1 - s13)
    return s12 * (1 - s13), s13


def emitted_number(flavour: Flavour) -> float:
    """Neutrinos that the star emits in one flavor: energy over mean energy."""
    return flavour.emitted_erg * MEV_PER_ERG / flavour.mean_energy_mev


def pinched(flavour: Flavour, energy_mev: npt.ArrayLike) -> FloatArray:
    """Spectrum normalized to 1 [1/MeV]: E^alpha exp(-(alpha + 1) E / <E>) (Keil, Raffelt & Janka, ApJ 590, 971)."""
    energy = np.asarray(energy_mev, np.float64)
    shape, decay = flavour.alpha + 1, flavour.mean_energy_mev / (flavour.alpha + 1)
    with np.errstate(divide="ignore"):
        power = np.where(energy > 0, np.log(np.maximum(energy, 1e-300) / decay), -np.inf) if flavour.alpha else 0.0
    density = np.exp(flavour.alpha * power - energy / decay - gammaln(shape)) / decay
    return np.asarray(np.where(energy >= 0, density, 0.0))


class FluxModel:
    """Spectra at the Earth, from what the star emits and what becomes of it on the way."""

    def __init__(self, flux: Flux) -> None:
        p, pbar = survival(flux.oscillation)
        sources = {"nue": flux.nue, "nuebar": flux.nuebar, "nux": flux.nux}
        # Of the four x kinds of the star, two are neutrinos; what electron neutrinos lose to them, one of them gives.
        mixing: dict[Kind, dict[str, float]] = {
            "nue": {"nue": p, "nux": 1 - p},
            "nux": {"nue": 1 - p, "nux": 1 + p},
            "nuebar": {"nuebar": pbar, "nux": 1 - pbar},
            "nuxbar": {"nuebar": 1 - pbar, "nux": 1 + pbar},
        }
        self.components: tuple[tuple[Kind, Flavour, float], ...] = tuple(
            (kind, sources[source], share * emitted_number(sources[source]))
            for kind in KINDS
            for source, share in mixing[kind].items()
            if share > 0
        )
        """Kind at the Earth, spectrum it has from the star, and how many there are."""

    @property
    def highest_mev(self) -> float:
        """An energy [MeV] above which less than 1e-12 of any flavor is, even if weighted with E^4."""
        return max(
            float(gammainccinv(flavour.alpha + 5, 1e-12)) * flavour.mean_energy_mev / (flavour.alpha + 1)
            for _, flavour, _ in self.components
        )

    def number(self, kind: Kind, energy_mev: npt.ArrayLike) -> FloatArray:
        """Neutrinos per energy over the whole sphere [1/MeV], of the shape of ``energy_mev``."""
        energy = np.asarray(energy_mev, np.float64)
        total = np.zeros_like(energy)
        for to, flavour, number in self.components:
            if to == kind:
                total = total + number * pinched(flavour, energy)
        return total


def sphere_cm2(distance_kpc: float) -> float:
    """Area of the sphere around the supernova on which the Earth is [cm^2]."""
    return float(4 * np.pi * (distance_kpc * CM_PER_KPC) ** 2)
