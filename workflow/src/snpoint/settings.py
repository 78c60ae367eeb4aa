"""Settings of every stage: what a stage may know, and nothing else.

One class per stage, named after it. A rule hands exactly one of these to its stage as sorted JSON, and that
string is what Snakemake tracks: what is tracked is what is used. No class has default values (but `code`): they are
in the ``_base.yaml`` of each configuration folder, where a reader sees all of them. Those of ``simulate`` are in a
module of their own (`snpoint.simulationsettings`) and are imported from here.

``code`` is bumped by hand when a change of the code changes results; every result of that stage is then stale.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag

from snpoint.section import (
    NUMBERS,
    WORD,
    Count,
    Edges,
    Fraction,
    Name,
    Natural,
    NonNegative,
    PerPlane,
    Positive,
    Section,
    Seed,
    numbers_or_word,
)
from snpoint.simulationsettings import Burst as Burst
from snpoint.simulationsettings import Flavour as Flavour
from snpoint.simulationsettings import Flux as Flux
from snpoint.simulationsettings import Noise as Noise
from snpoint.simulationsettings import Radioactivity as Radioactivity
from snpoint.simulationsettings import SimulateSettings as SimulateSettings
from snpoint.simulationsettings import Spectrum as Spectrum
from snpoint.simulationsettings import Twin as Twin
from snpoint.simulationsettings import Window as Window


def _power_of_two(number: int) -> int:
    if number & (number - 1):
        raise ValueError("must be a power of two (HEALPix)")
    return number


AdcPerMev = Annotated[
    Annotated[PerPlane, Tag(NUMBERS)] | Annotated[Literal["predecessor", "calibrated"], Tag(WORD)],
    Discriminator(numbers_or_word),
    Field(description="of planes U, V, X; `predecessor`: 900, 900, 3600; `calibrated`: as measured on a sample"),
]
PREDECESSOR_ADC_PER_MEV = (900.0, 900.0, 3600.0)
"""What the word `predecessor` stands for: its factors for planes U, V, X."""


class SimideMatching(Section):
    """Whose deposits a TP holds: those on its channel in [start - before, end + after], plane offsets subtracted."""

    before_ticks: NonNegative
    after_ticks: NonNegative
    offset_ticks: PerPlane = Field(description="how much later than its deposits a TP comes [ticks]")
    min_fraction: Fraction = Field(description="least share of a TP's charge (electrons) that its track must have made")


class Overlay(Section):
    """Background events laid over the events of a sample, each of them once."""

    seed: Seed
    noise: Literal["drop", "keep"] = Field(
        description="`drop`: background TPs without truth are electronics noise, which the events have already"
    )
    shortage: Literal["error", "leave"] = Field(
        description="too few background events: `error`, or `leave` the other events without one"
    )


class MatchSettings(Section):
    """``match``: TPStream ROOT -> TPs with truth, background laid over."""

    code: Literal[2] = 2
    detector: Name
    truth: Literal["backtracker", "simide", "predecessor", "none"]
    interaction: Literal["truth", "ES", "CC"] = Field(description="`truth` reads it from the truth tables")
    margin_ticks: Natural = Field(description="truth `predecessor`: deposits within margin + 1 ticks of a TP's start")
    simide: SimideMatching
    compare: bool = Field(description="count how far the other methods agree with the backtracker (for the card)")
    production: str | None = Field(description="tag of the files' production; null: by their names")
    background_production: str | None = Field(description="the same of the background files")
    quarantine: bool = Field(description="leave broken files out, and name them on the card, instead of stopping")
    overlay: Overlay
    sha256: dict[str, str] = Field(description="input file name -> checksum it must have")


class CalibrateSettings(Section):
    """``calibrate``: ADC per MeV and per electron, from TPs with truth."""

    code: Literal[2] = 2
    detector: Name
    seed: Seed
    min_tot: Count = Field(description="TPs with a smaller ToT stay out [ticks]")
    min_edep_mev: Positive = Field(description="TPs with less true energy stay out [MeV]")
    bootstrap_samples: Annotated[int, Field(ge=10)]


class Linking(Section):
    """How clusters of the three planes are told to belong together; a distance d costs 2 log(1 + d^2 / (2 sigma^2))."""

    tolerance_ticks: NonNegative = Field(description="gap in time allowed between linked clusters [ticks]")
    sigma_ticks: Positive = Field(description="spread of the difference in time [ticks]")
    sigma_y_cm: Positive = Field(description="spread of the difference in height that X+U and X+V imply [cm]")
    sigma_log_charge: Positive = Field(description="spread of the logarithm of the ratio of energies")
    missing_plane_cost: Positive = Field(description="what a link without one of the induction planes costs")


class ClusterSettings(Section):
    """``cluster``: TPs -> clusters per event, plane and APA; three-plane links; main clusters."""

    code: Literal[2] = 2
    detector: Name
    method: Literal["connected", "greedy"]
    tick_limit: Natural = Field(description="largest gap in time between neighbors [ticks]")
    channel_limit: Natural = Field(description="largest distance between neighbors [channels]")
    min_tps: Count
    tot_cut: Natural = Field(description="TPs with ToT <= tot_cut are not clustered [ticks]")
    energy_cut_mev: NonNegative = Field(description="marks clusters above as accepted; drops none [MeV]")
    adc_per_mev: AdcPerMev
    link: Linking


class ImageSettings(Section):
    """``image``: clusters -> sparse shards in one frame."""

    code: Literal[2] = 2
    detector: Name
    anchors: Literal["main", "links"] = Field(
        description="`main`: an image of each event's main cluster; `links`: of every accepted cluster (with its links)"
    )
    context: Literal["cluster", "window"]
    orientation: Literal["canonical", "predecessor"]
    window_ticks: Annotated[int, Field(ge=8, le=8192)]
    window_channels: Annotated[int, Field(ge=4, le=2048)]
    tot_cut: Natural = Field(description="window TPs with ToT <= tot_cut are left out [ticks]")
    adc_per_mev: AdcPerMev


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

    code: Literal[2] = 2
    seed: Seed
    split: Split
    selection: Selection
    images: Count | None = Field(description="images asked for: more are cut; null takes all")
    allow_fewer: bool = Field(description="finding fewer than asked for is no error")
    balance: Literal["none", "interaction", "is_main"] = Field(description="take equally many of each class")
    productions: list[str] = Field(
        description="production tags (or patterns) that may be mixed; empty: all must be one"
    )
    duplicates: Literal["error", "drop"] = Field(description="equal images or backgrounds: refuse, or keep one of them")
    max_quarantined: Fraction = Field(description="share of the input files that may be broken")


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
    waveform: Literal["triangle", "pentagon", "gaussian"]
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
    "calibrate": CalibrateSettings,
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
