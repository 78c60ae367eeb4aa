"""What a configuration file contains: one class per kind of file."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from snpoint import paths, settings
from snpoint.settings import Count, Name, Positive, Section

Status = Literal["draft", "active", "archived"]
Why = Annotated[str, Field(min_length=8)]


class Job(Section):
    """What a job asks of the batch system: where and with what, never what."""

    cpus: Count
    memory_gb: Positive
    disk_gb: Positive
    runtime_h: Positive
    gpus: Annotated[int, Field(ge=0)]
    gpu_model: str | None


class Described(Section):
    """What every file says about itself; it makes nothing stale."""

    why: Why = Field(description="why this exists")
    status: Status = Field(description="`all` builds the active ones")
    lesson: str | None = Field(default=None, description="what was learnt")


class Sample(Described):
    """A list of TPStream files, real or simulated, and how they become clusters."""

    source: Literal["simulated", "files"]
    chunks: Count | None = Field(description="chunks of a simulated sample")
    files: list[str] = Field(description="file names or patterns below $SNPOINT_DATA (or ./data), or absolute")
    files_per_job: Count
    simulate: settings.SimulateSettings
    match: settings.MatchSettings
    cluster: settings.ClusterSettings
    job: Job


class Dataset(Described):
    """Samples, image recipe, selection and split."""

    samples: Annotated[list[Name], Field(min_length=1)]
    image: settings.ImageSettings
    dataset: settings.DatasetSettings
    job: Job


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
