"""What a configuration file contains: one class per kind of file."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from snpoint import paths, settings
from snpoint.section import Count, Name, Natural, NonNegative, Positive, Section
from snpoint.site import CHARGED

Status = Literal["draft", "active", "archived"]
Why = Annotated[str, Field(min_length=8)]


Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:@+/-]*$")]
Flavour = Literal["espresso", "microcentury", "longlunch", "workday", "tomorrow", "testmatch", "nextweek"]


class Job(Section):
    """What a job asks of the batch system: where and with what, never what. Null: not asked for, the site decides."""

    cpus: Count
    memory_gb: Positive
    disk_gb: Positive
    runtime_h: Positive
    gpus: Annotated[int, Field(ge=0)]
    gpu_model: Word | None = Field(description="(part of) the name that the site gives to its GPUs")
    gpu_capability: NonNegative | None = Field(description="HTCondor: lowest CUDA compute capability, such as 8.0")
    gpu_memory_gb: Positive | None = Field(description="HTCondor: lowest memory of one GPU")
    container_image: str | None = Field(description="image that the job runs in")
    requirements: str | None = Field(description="HTCondor: ClassAd expression; SLURM: features (--constraint)")
    partition: Word | None = Field(description="SLURM")
    qos: Word | None = Field(description="SLURM")
    account: Word | None = Field(description="SLURM")
    flavour: Flavour | None = Field(description="CERN: named run time instead of runtime_h")
    max_segments: Count | None = Field(description="how often a job that saved its state goes on")

    @model_validator(mode="before")
    @classmethod
    def _nobody_is_charged(cls, values: Any) -> Any:
        if isinstance(values, dict) and "accounting_group" in values:
            raise PydanticCustomError("key", CHARGED, {"key": "accounting_group"})  # type: ignore[arg-type]
        return values


class Described(Section):
    """What every file says about itself; it makes nothing stale."""

    why: Why = Field(description="why this exists")
    status: Status = Field(description="`all` builds the active ones")
    lesson: str | None = Field(default=None, description="what was learned")


class Background(Section):
    """Background events to lay over the events of a sample: the next files of a pool for each of its chunks."""

    sample: Name = Field(description="the pool: a sample of background files")
    files_per_chunk: Count = Field(description="files of the pool for one chunk")
    part: Natural = Field(description="this sample takes part `part` (from 0) of `of` of the pool")
    of: Count = Field(description="samples that share the pool, so that none takes what another has")

    @model_validator(mode="after")
    def _part_of_the_pool(self) -> Background:
        if self.part >= self.of:
            raise PydanticCustomError("key", "must be below `of` (parts count from 0)", {"key": "part"})
        return self


class Sample(Described):
    """A list of TPStream files, real or simulated, and how they become clusters."""

    source: Literal["simulated", "files"]
    folder: Literal["data", "production"] = Field(
        description="where relative file names lie: $SNPOINT_DATA (or ./data), or $SNPOINT_PRODUCTION; without the "
        "latter a simulated stand-in takes the place of the files"
    )
    chunks: Count | None = Field(description="chunks of a simulated sample, or of a production's stand-in")
    files: list[str] = Field(description="file names or patterns, below the folder or absolute")
    exclude: list[str] = Field(description="names or patterns of files to leave out: the copies, the broken ones")
    files_per_job: Count
    background: Background | None = Field(description="background events to lay over the events; null: none")
    calibration: Name | None = Field(description="sample whose calibration `calibrated` means; null: this one")
    calibration_chunks: Count = Field(description="chunks, from the first, that its own calibration is measured on")
    simulate: settings.SimulateSettings
    match: settings.MatchSettings
    calibrate: settings.CalibrateSettings
    cluster: settings.ClusterSettings
    job: Job

    @model_validator(mode="after")
    def _whole_burst(self) -> Sample:
        parts = self.simulate.burst.chunks
        if self.source == "simulated" and self.simulate.generator == "burst" and self.chunks != parts:
            raise PydanticCustomError("key", f"must be equal to simulate.burst.chunks ({parts})", {"key": "chunks"})  # type: ignore[arg-type]
        return self


class Dataset(Described):
    """Samples, image recipe, selection and split."""

    samples: list[Name] = Field(description="what it is made of; empty for an imported one")
    imported: bool = Field(description="true: `snpoint import` wrote it to results/imported/<name>")
    max_chunks: Count | None = Field(description="chunks taken of each sample; null: all")
    image: settings.ImageSettings
    dataset: settings.DatasetSettings
    job: Job

    @model_validator(mode="after")
    def _made_of_something(self) -> Dataset:
        if self.imported == bool(self.samples):
            needed = "must be empty, the dataset is imported" if self.imported else "name at least one sample"
            raise PydanticCustomError("key", needed, {"key": "samples"})  # type: ignore[arg-type]
        return self


class Version(Described):
    """One network of a task."""

    dataset: Name
    apply_to: list[Name] = Field(description="datasets the network is applied to by `real_data`")
    train: settings.TrainSettings
    evaluate: settings.EvaluateSettings
    likelihood: settings.LikelihoodSettings
    interpret: settings.InterpretSettings
    predict: settings.PredictSettings
    job: Job


class Pointing(Described):
    """One burst (or one set of events) turned into a sky map."""

    version: Annotated[str, Field(pattern=rf"^{paths.TASK}/{paths.VERSION}$")]
    predictions: Name | None = Field(description="a dataset of the version's apply_to; null: the version's test events")
    point: settings.PointSettings
    job: Job
