"""Every path of the project, once. Rules, status and check all take theirs from here.

Functions return strings relative to the project folder; called without arguments they return the pattern
with Snakemake wildcards in place of the names.
"""

from __future__ import annotations

from pathlib import Path

CONFIGS = Path("configs")
RESULTS = Path("results")
REGISTRY_CSV = "results/registry.csv"
REGISTRY_JSON = "results/registry.json"
REPORT_PAGE = "results/report/index.html"
SMOKE = "results/smoke/smoke.json"

NAME = r"[a-z0-9_]+"
TASK = r"[a-z0-9_]+"
VERSION = r"v\d+(?:_[a-z0-9_]+)?(?:/member_\d+)?"
CHUNK = r"\d{4}"

SAMPLE_STAGES = ("simulate", "match", "cluster")
CHUNK_STAGES = (*SAMPLE_STAGES, "image")
VERSION_OUTPUTS = {
    "train": ("model.keras", "history.csv", "training.json"),
    "evaluate": ("predictions.npz", "metrics.json", "report.pdf"),
    "likelihood": ("likelihood.npz", "validation.json"),
    "interpret": ("attributions.npz", "interpretation.json", "report.pdf"),
}
CALIBRATE_OUTPUTS = ("calibration.json", "report.pdf")
DATASET_OUTPUTS = ("split.npz", "card.json", "card.html")
POINT_OUTPUTS = ("sky.fits", "pointing.json", "skymap.png")


def chunk_name(index: int) -> str:
    """Name of the chunk with this number: four digits, so that names sort as numbers."""
    return f"{index:04d}"


def sample_folder(sample: str = "{sample}") -> str:
    """Folder of a sample."""
    return f"results/samples/{sample}"


def chunk(stage: str, sample: str = "{sample}", chunk: str = "{chunk}") -> str:
    """Result of a sample stage for one chunk: ROOT for ``simulate``, parquet for ``match`` and ``cluster``."""
    suffix = "root" if stage == "simulate" else "parquet"
    return f"{sample_folder(sample)}/{stage}/{chunk}.{suffix}"


def calibrate_file(name: str, sample: str = "{sample}") -> str:
    """A file of the ``calibrate`` stage."""
    return f"{sample_folder(sample)}/calibrate/{name}"


def manifest(sample: str) -> Path:
    """The frozen list of a sample's input files."""
    return CONFIGS / "manifests" / f"{sample}.csv"


def dataset_folder(dataset: str = "{dataset}") -> str:
    """Folder of a dataset."""
    return f"results/datasets/{dataset}"


def imported_folder(dataset: str) -> str:
    """Folder of a dataset that `snpoint import` wrote: made by hand, so no rule may make it again."""
    return f"results/imported/{dataset}"


def shard(dataset: str = "{dataset}", sample: str = "{sample}", chunk: str = "{chunk}") -> str:
    """Images of one chunk of one sample, as a dataset sees them."""
    return f"{dataset_folder(dataset)}/image/shard_{sample}_{chunk}.npz"


def dataset_file(name: str, dataset: str = "{dataset}") -> str:
    """A file of the ``dataset`` stage: ``split.npz``, ``card.json`` or ``card.html``."""
    return f"{dataset_folder(dataset)}/dataset/{name}"


def version_folder(task: str = "{task}", version: str = "{version}") -> str:
    """Folder of a version."""
    return f"results/{task}/{version}"


def version_file(stage: str, name: str, task: str = "{task}", version: str = "{version}") -> str:
    """A file of a version's stage."""
    return f"{version_folder(task, version)}/{stage}/{name}"


def resolved_config(task: str, version: str) -> str:
    """The complete configuration of a version, as it was when the pipeline last ran."""
    return f"{version_folder(task, version)}/config.yaml"


def predictions(dataset: str = "{dataset}", task: str = "{task}", version: str = "{version}") -> str:
    """Predictions of a version for a dataset it was not trained on."""
    return f"{version_folder(task, version)}/predict/{dataset}/predictions.npz"


def point_file(name: str, pointing: str = "{pointing}") -> str:
    """A file of the ``point`` stage."""
    return f"results/point/{pointing}/{name}"


def report_page(page: str) -> str:
    """A page of the report: ``index`` or ``real_data``."""
    return f"results/report/{page}.html"


def target(output: str | Path, stage: str) -> str:
    """Short name of what a job is about: ``sim_es/0003``, ``v0``, ``demo_burst``; shown in front of its messages."""
    path = Path(output)
    if stage in SAMPLE_STAGES:
        return f"{path.parent.parent.name}/{path.stem}"
    if stage == "image":
        return f"{path.parent.parent.name}/{path.stem.removeprefix('shard_')}"
    if stage == "predict":
        return f"{path.parent.parent.parent.name}/{path.parent.name}"
    if stage == "report":
        return path.stem
    return path.parent.name if stage == "point" else path.parent.parent.name


def log(output: str, stage: str) -> str:
    """Log of the job that makes ``output``: ``logs/`` in the sample, dataset, version or point folder."""
    path = Path(output)
    if stage in CHUNK_STAGES:
        return f"{path.parent.parent}/logs/{stage}.{path.stem.removeprefix('shard_')}.log"
    if stage == "predict":
        return f"{path.parent.parent.parent}/logs/predict.{path.parent.name}.log"
    if stage == "report":
        return f"{path.parent}/logs/report.{path.stem}.log"
    folder = path.parent if stage == "point" else path.parent.parent
    return f"{folder}/logs/{stage}.log"


def provenance(output: str | Path, stage: str) -> Path:
    """The provenance record beside ``output``: one per chunk or page, else one per stage folder."""
    path = Path(output)
    if stage in CHUNK_STAGES or stage == "report":
        return path.with_name(f"{path.stem}.provenance.json")
    return path.with_name("provenance.json")
