"""Settings of the stage ``simulate``; see `snpoint.settings`, which hands these on."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag

from snpoint.section import (
    NUMBERS,
    WORD,
    Count,
    Name,
    Natural,
    NonNegative,
    PerPlane,
    Positive,
    Section,
    Seed,
    numbers_or_word,
)

Direction = Annotated[
    Annotated[list[float], Field(min_length=3, max_length=3), Tag(NUMBERS)]
    | Annotated[Literal["isotropic", "one"], Tag(WORD)],
    Discriminator(numbers_or_word),
]


class Spectrum(Section):
    """Kinetic energy of the electrons: a Gamma distribution cut to a window."""

    shape: Positive = Field(description="shape parameter of the Gamma distribution")
    scale_mev: Positive = Field(description="scale parameter [MeV]")
    min_mev: Positive
    max_mev: Positive


class Flavour(Section):
    """Neutrinos of one flavour, pinched: (E/<E>)^alpha exp(-(alpha+1) E/<E>)."""

    mean_energy_mev: Positive
    alpha: NonNegative
    emitted_erg: Positive = Field(description="energy that the supernova emits in this flavour [erg]")


class Flux(Section):
    """Neutrinos as they leave the supernova, and what becomes of them on the way."""

    nue: Flavour
    nuebar: Flavour
    nux: Flavour = Field(description="muon or tau neutrinos, and as many antineutrinos: four of this kind")
    oscillation: Literal["none", "NMO", "IMO"] = Field(description="normal or inverted mass ordering (adiabatic MSW)")


class Window(Section):
    """Kinetic energies of primary electrons that are simulated; others do not count."""

    min_mev: NonNegative
    max_mev: Positive


class Burst(Section):
    """How many neutrinos of one supernova interact, and when."""

    distance_kpc: Positive
    mass_kt: Positive
    n_es: Natural | None = Field(description="ES interactions; null: drawn, from flux, distance and mass")
    n_cc: Natural | None = Field(description="CC interactions; null: drawn, from flux, distance and mass")
    n_background: Natural = Field(description="windows without interaction, at random times of the burst")
    duration_s: Positive
    rise_s: Positive = Field(description="the rate rises as 1 - exp(-t / rise)")
    fall_s: Positive = Field(description="and falls as exp(-t / fall)")
    chunks: Count = Field(description="parts, in the order of time; `chunks` of the sample")


class Twin(Section):
    """Energies and place of a (real) event that is simulated again and again."""

    interaction: Literal["ES", "CC"]
    electron_mev: Positive = Field(description="kinetic energy of the primary electron [MeV]")
    neutrino_mev: Positive
    abs_x_cm: NonNegative = Field(description="distance of the vertex from the plane x = 0 [cm]")


class Radioactivity(Section):
    """Background rates; 0 leaves a source out."""

    ar39_bq_kg: NonNegative
    ar42_bq_kg: NonNegative = Field(description="with its daughter K-42")
    rn222_bq_kg: NonNegative = Field(description="with its daughters, in equilibrium")
    cavern_gammas_hz: NonNegative = Field(description="gammas that enter the argon, of all walls [1/s]")
    cavern_neutrons_hz: NonNegative = Field(description="neutrons that enter the argon, of all walls [1/s]")


class Noise(Section):
    """Electronics noise."""

    sigma_adc: PerPlane = Field(description="standard deviation of the noise under a signal, mean of the wires [ADC]")
    wire_spread: NonNegative = Field(description="relative spread of that from wire to wire")
    tps_per_event: PerPlane = Field(description="standalone noise TPs per event, all APAs [1]")


class SimulateSettings(Section):
    """``simulate``: interactions and backgrounds -> TPStream ROOT."""

    code: Literal[2] = 2
    detector: Name
    seed: Seed
    events_per_chunk: Count
    generator: Literal["electrons", "es", "cc", "burst", "twins", "background"]
    spectrum: Spectrum
    flux: Flux
    electron: Window
    direction: Direction = Field(
        description="of the neutrinos: `isotropic`, `one` for the whole sample (drawn), or that vector (detector frame)"
    )
    vertex_margin_cm: NonNegative = Field(
        description="distance of the vertex from the walls of its drift volume; 0: anywhere in the active volume [cm]"
    )
    burst: Burst
    twins: list[Twin]
    radioactivity: Radioactivity
    noise: Noise
    truth: Literal["all", "interaction"] = Field(
        description="rows of the truth trees: `all`, or of the `interaction` only (TPs keep theirs in any case)"
    )
