"""What the job of a stage asks the batch system for: the `job:` section behind it, as Snakemake's resources."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Any

from snpoint import config, paths
from snpoint.documents import Job

TRAINING_ONLY = ("gpu_capability", "gpu_memory_gb")
CHOSEN_FOR_TRAINING = ("partition", "qos", "flavour", "max_segments")
FOR_ALL = ("container_image", "requirements", "account")
LONGEST_AFTER_TRAINING_H = 2.0


@cache
def resources(job: Job, stage: str) -> Mapping[str, Any]:
    """A job request in Snakemake's standard resources, and ``job``: JSON of the further keys that are set, or empty.

    ``job:`` of a version is what its training asks for; its other stages ask for the same memory and cores, no GPU,
    at most two hours, and not for the partition, QOS or flavour that was chosen for the training.
    """
    trains = stage == "train"
    after_training = not trains and config.STAGE_FOLDERS.get(stage) in config.TASKS
    runtime_h = min(job.runtime_h, LONGEST_AFTER_TRAINING_H) if after_training else job.runtime_h
    further = FOR_ALL + (() if after_training else CHOSEN_FOR_TRAINING) + (TRAINING_ONLY if trains and job.gpus else ())
    keys = {key: value for key in further if (value := getattr(job, key)) is not None}
    standard = {
        "threads": job.cpus,
        "mem_mb": math.ceil(job.memory_gb * 1000),
        "disk_mb": math.ceil(job.disk_gb * 1000),
        "runtime": math.ceil(runtime_h * 60),
        "job": json.dumps(keys, sort_keys=True) if keys else "",
    }
    gpu = {"gpu": job.gpus if trains else 0, "gpu_model": (job.gpu_model or "") if trains else ""}
    return MappingProxyType(standard | gpu)


def resource_names(stage: str) -> tuple[str, ...]:
    """The resources that a rule asks for, besides ``threads``; only a training can ask for a GPU."""
    return ("mem_mb", "disk_mb", "runtime", "job", *(("gpu", "gpu_model") if stage == "train" else ()))


def stage_job(stage: str, target: Mapping[str, str]) -> Job:
    """The job request behind a stage of a sample, dataset, version or pointing."""
    if stage in (*paths.SAMPLE_STAGES, "calibrate"):
        return config.load_sample(target["sample"]).job
    if stage in ("image", "dataset"):
        return config.load_dataset(target["dataset"]).job
    if stage == "point":
        return config.load_pointing(target["pointing"]).job
    return config.load_version(target["task"], target["version"]).job
