"""Settings of every stage: what a stage may know, and nothing else.

One class per stage, named after it. A rule hands exactly one of these to its stage as sorted JSON, and that
string is what Snakemake tracks: what is tracked is what is used. No class has default values (but `code`): they are
in the ``_base.yaml`` of each configuration folder, where a reader sees all of them.

``code`` is bumped by hand when a change of the code changes results; every result of that stage is then stale.
"""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Name = Annotated[str, Field(pattern=r"^[a-z0-9_]+$", max_length=64)]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[float, Field(gt=0.0)]
NonNegative = Annotated[float, Field(ge=0.0)]
Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]


def _growing(edges: list[float]) -> list[float]:
    if any(low >= high for low, high in pairwise(edges)):
        raise ValueError("bin edges must grow")
    return edges


def _power_of_two(number: int) -> int:
    if number & (number - 1):
        raise ValueError("must be a power of two (HEALPix)")
    return number


Edges = Annotated[list[NonNegative], Field(min_length=2), AfterValidator(_growing)]


class Section(BaseModel):
    """A group of settings: frozen, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    def canonical(self) -> str:
        """The one string of these settings: JSON with sorted keys, equal for equal settings."""
        return self.canonical_json(self.model_dump(mode="json"))

    @staticmethod
    def canonical_json(values: object) -> str:
        """The same for settings that were read back from a record."""
        return json.dumps(values, sort_keys=True, separators=(", ", ": "))


class PerPlane(Section):
    """One number for each wire plane."""

    U: float
    V: float
    X: float

    def as_tuple(self) -> tuple[float, float, float]:
        """The values in plane order U, V, X (plane numbers 0, 1, 2)."""
        return self.U, self.V, self.X


class Spectrum(Section):
    """Kinetic energy of the electrons: a Gamma distribution cut to a window."""

    shape: Positive = Field(description="shape parameter of the Gamma distribution")
    scale_mev: Positive = Field(description="scale parameter [MeV]")
    min_mev: Positive
    max_mev: Positive


class Flux(Section):
    """Pinched neutrino flux from which the neutrino of an electron is drawn: (E/<E>)^alpha exp(-(alpha+1) E/<E>)."""

    mean_energy_mev: Positive
    alpha: NonNegative


class Noise(Section):
    """Electronics noise."""

    white_adc: PerPlane = Field(description="standard deviation of the noise under a signal [ADC]")
    tps_per_event: PerPlane = Field(description="standalone noise TPs per event, all APAs [1]")


class SimulateSettings(Section):
    """``simulate``: ES electrons -> TPStream ROOT."""

    code: Literal[1] = 1
    detector: Name
    seed: Seed
    events_per_chunk: Count
    spectrum: Spectrum
    flux: Flux
    vertex_margin_cm: NonNegative = Field(description="distance of the vertex from the walls of its drift volume [cm]")
    noise: Noise


class MatchSettings(Section):
    """``match``: TPStream ROOT -> TPs with truth."""

    code: Literal[1] = 1
    detector: Name
    truth: Literal["backtracker", "none"]
    interaction: Literal["truth", "ES", "CC"] = Field(description="`truth` reads it from the truth tables")
    sha256: dict[str, str] = Field(description="input file name -> checksum it must have")


class ClusterSettings(Section):
    """``cluster``: TPs -> clusters per event, plane and APA; main clusters; three-plane links."""

    code: Literal[1] = 1
    detector: Name
    algorithm: Literal["connected", "greedy"]
    tick_gap: Annotated[int, Field(ge=0)] = Field(description="largest gap in time between neighbours [ticks]")
    channel_gap: Annotated[int, Field(ge=0)] = Field(description="largest distance between neighbours [channels]")
    min_tps: Count
    tot_cut: Annotated[int, Field(ge=0)] = Field(description="TPs with ToT <= tot_cut are not clustered [ticks]")
    energy_cut_mev: NonNegative = Field(description="marks clusters above as accepted; drops none [MeV]")
    adc_per_mev: PerPlane
    link_tolerance_ticks: NonNegative = Field(description="gap allowed between linked clusters [ticks]")


class ImageSettings(Section):
    """``image``: clusters -> sparse shards in one frame."""

    code: Literal[1] = 1
    detector: Name
    context: Literal["cluster", "window"]
    orientation: Literal["canonical", "predecessor"]
    window_ticks: Annotated[int, Field(ge=8, le=8192)]
    window_channels: Annotated[int, Field(ge=4, le=2048)]
    tot_cut: Annotated[int, Field(ge=0)] = Field(description="window TPs with ToT <= tot_cut are left out [ticks]")
    adc_per_mev: PerPlane


class Split(Section):
    """Shares of the events; they must add up to 1."""

    train: Fraction
    val: Fraction
    calib: Fraction
    test: Fraction


SPLITS = tuple(Split.model_fields)
"""Names of the splits; the number of a split in every file is its place here."""


class Selection(Section):
    """Which images enter the dataset."""

    min_planes: Annotated[int, Field(ge=1, le=3)] = Field(description="planes with enough TPs of the main cluster")
    min_tps_per_plane: Count
    require_truth: bool


class DatasetSettings(Section):
    """``dataset``: shards -> split and card."""

    code: Literal[1] = 1
    seed: Seed
    split: Split
    selection: Selection
    events: Count | None = Field(description="events asked for: more are cut, fewer are shown on the card")


class Architecture(Section):
    """A network by name, and its size."""

    name: Literal["three_plane_cnn"]
    filters: Annotated[list[Count], Field(min_length=1, max_length=6)]
    kernel: Annotated[int, Field(ge=1, le=11)]
    dense: Annotated[list[Count], Field(max_length=4)]
    batch_norm: bool
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)]


class Drawing(Section):
    """How sparse TPs become an image at training time."""

    ticks: Annotated[int, Field(ge=8, le=8192)]
    channels: Annotated[int, Field(ge=4, le=2048)]
    waveform: Literal["triangle"]
    scale_adc: Positive = Field(description="pixels enter the network as log(1 + adc / scale_adc) [ADC]")


class EarlyStopping(Section):
    """Stop when `val_loss` has not improved for `patience` epochs; the best epoch is kept."""

    patience: Count


class ReduceLearningRate(Section):
    """Lower the learning rate on a plateau of `val_loss`."""

    patience: Count
    factor: Annotated[float, Field(gt=0.0, lt=1.0)]
    min_learning_rate: Positive


class TrainSettings(Section):
    """``train``: one network of one version."""

    code: Literal[1] = 1
    seed: Seed
    architecture: Architecture
    image: Drawing
    loss: Literal["angular", "head_tail_vmf"]
    optimizer: Literal["adam"]
    learning_rate: Positive
    clipnorm: Positive
    batch_size: Count
    epochs: Count
    early_stopping: EarlyStopping
    reduce_learning_rate: ReduceLearningRate


class EvaluateSettings(Section):
    """``evaluate``: predictions, metrics with intervals, plots."""

    code: Literal[1] = 1
    seed: Seed
    batch_size: Count
    bootstrap_samples: Annotated[int, Field(ge=10)]
    energy_edges_mev: Edges


class LikelihoodSettings(Section):
    """``likelihood``: P(cos theta | E) from the `calib` split."""

    code: Literal[1] = 1
    method: Literal["vmf_mixture"]
    target: Literal["neutrino", "electron"] = Field(description="whose true direction theta is measured from")
    energy_edges_mev: Edges
    cos_bins: Annotated[int, Field(ge=20, le=2000)]
    min_events: Count = Field(description="bins with fewer events take the table of all energies")
    min_pdf: Positive


class InterpretSettings(Section):
    """``interpret``: what the network uses (plane ablation)."""

    code: Literal[1] = 1
    seed: Seed
    batch_size: Count
    max_events: Count
    bootstrap_samples: Annotated[int, Field(ge=10)]


class PredictSettings(Section):
    """``predict``: a version applied to a dataset, with or without truth."""

    code: Literal[1] = 1
    batch_size: Count


class PointSettings(Section):
    """``point``: log-likelihood of a burst over a HEALPix sky."""

    code: Literal[1] = 1
    seed: Seed
    nside: Annotated[int, Field(ge=1, le=1024), AfterValidator(_power_of_two)]
    burst: Literal["draw", "all"] = Field(
        description="`draw`: test events turned to one true direction; `all`: every event of the predictions as it is"
    )
    n_events: Annotated[int, Field(ge=1, le=100_000)] = Field(description="events of a drawn burst")
    direction: Annotated[list[float], Field(min_length=3, max_length=3)] | None = Field(
        description="true direction of flight of a drawn burst's neutrinos, detector frame; null draws one"
    )
    levels: Annotated[list[Fraction], Field(min_length=1)]


class ReportSettings(Section):
    """``report``: which results the registry and the page show, by name."""

    code: Literal[1] = 1
    versions: list[str]
    datasets: list[str]
    predictions: list[str]
    pointings: list[str]


STAGES: dict[str, type[Section]] = {
    "simulate": SimulateSettings,
    "match": MatchSettings,
    "cluster": ClusterSettings,
    "image": ImageSettings,
    "dataset": DatasetSettings,
    "train": TrainSettings,
    "evaluate": EvaluateSettings,
    "likelihood": LikelihoodSettings,
    "interpret": InterpretSettings,
    "predict": PredictSettings,
    "point": PointSettings,
    "report": ReportSettings,
}
