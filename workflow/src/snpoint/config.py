"""Configuration files -> settings. One YAML file is one sample, dataset, version or pointing; the rest is derived.

A file names at most one parent (``extends``, same folder); without it, it stands on the folder's ``_base.yaml``.
Mappings are merged key by key, everything else is replaced. The merged result is validated as a whole, so an
unknown key anywhere in the chain is an error that names the file, the key and the nearest valid key.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from snpoint import inputs, paths, settings, yamlfile
from snpoint.documents import Dataset, Described, Pointing, Sample, Version
from snpoint.errors import ConfigError, UsageError, shown
from snpoint.inheritance import check_project_folder, config_file, merged, put
from snpoint.section import Section
from snpoint.validation import nearest, validated

TASKS = ("electron_direction",)
FOLDERS: dict[str, type[Described]] = {
    "samples": Sample,
    "datasets": Dataset,
    "pointing": Pointing,
    **dict.fromkeys(TASKS, Version),
}
STAGE_FOLDERS = {
    **dict.fromkeys((*paths.SAMPLE_STAGES, "calibrate"), "samples"),
    **dict.fromkeys(("image", "dataset"), "datasets"),
    **dict.fromkeys((*paths.VERSION_OUTPUTS, "predict"), "electron_direction"),
    "point": "pointing",
}
T = TypeVar("T", bound=Section)


def names(folder: str, statuses: Iterable[str] | None = None) -> list[str]:
    """Names of the files of a configuration folder, sorted; of the given statuses only, if any are given."""
    found = sorted(path.stem for path in _files(folder) if not path.stem.startswith("_"))
    if statuses is None:
        return found
    wanted = set(statuses)
    return [name for name in found if _status(config_file(folder, name)) in wanted]


def _files(folder: str) -> list[Path]:
    """The files of a folder; a name that no rule could have is an error instead of a file that nobody sees."""
    pattern = paths.VERSION if folder in TASKS else paths.NAME
    found = [path for path in (paths.CONFIGS / folder).glob("*") if path.suffix in (".yaml", ".yml")]
    for path in found:
        if path.suffix == ".yml" or not re.fullmatch(rf"_base|{pattern}", path.stem):
            expected = "v<number>[_suffix].yaml" if folder in TASKS else "small letters, digits and _, ending in .yaml"
            raise ConfigError(f"{path}: nothing would find a file of this name; rename it: {expected}")
    return found


def _status(path: Path) -> object:
    """Status a file gives itself; a draft that is not even YAML yet is still a draft, and stops nobody."""
    try:
        return yamlfile.read(path).get("status")
    except ConfigError:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        if {line.split("#")[0].strip() for line in lines} & {"status: draft", "status: archived"}:
            return "draft"
        raise


def nearest_name(folder: str, name: str) -> str:
    """A hint for a misspelt file name."""
    return nearest(name, names(folder) if folder in FOLDERS else list(FOLDERS))


def load(folder: str, name: str) -> Described:
    """Read any configuration file, ``configs/<folder>/<name>.yaml``."""
    return _load(folder, name, FOLDERS[folder])


def load_sample(name: str) -> Sample:
    """Read ``configs/samples/<name>.yaml``."""
    return _load("samples", name, Sample)


def load_dataset(name: str) -> Dataset:
    """Read ``configs/datasets/<name>.yaml``."""
    return _load("datasets", name, Dataset)


def load_version(task: str, version: str) -> Version:
    """Read ``configs/<task>/<version>.yaml``."""
    if task not in TASKS:
        raise ConfigError(f"task '{task}' is unknown; {nearest(task, TASKS)}")
    return _load(task, version, Version)


def load_pointing(name: str) -> Pointing:
    """Read ``configs/pointing/<name>.yaml``."""
    return _load("pointing", name, Pointing)


def stage_settings(stage: str, target: Mapping[str, str]) -> Section:
    """Settings of one stage for the sample, dataset, version or pointing named in ``target`` (Snakemake wildcards)."""
    owner: Described
    if stage == "match":
        return match_settings(**target)
    if stage in (*paths.SAMPLE_STAGES, "calibrate"):
        owner = load_sample(target["sample"])
    elif stage in ("image", "dataset"):
        owner = load_dataset(target["dataset"])
    elif stage == "point":
        owner = load_pointing(target["pointing"])
    elif stage == "report":
        return report_settings(target["page"])
    else:
        owner = load_version(target["task"], target["version"])
    section = getattr(owner, stage)
    assert isinstance(section, Section)  # noqa: S101 -- for the type checker
    return section


def match_settings(sample: str, chunk: str) -> settings.MatchSettings:
    """Settings of one chunk: with the checksums of its own files; what is simulated is marked as such."""
    content = load_sample(sample)
    changes: dict[str, Any] = {"sha256": dict(inputs.checksums(sample, content, chunk))}
    changes["production"] = content.match.production or inputs.simulated_tag(sample, content)
    if content.background:
        pool = content.background.sample
        declared = content.match.background_production
        changes["background_production"] = declared or inputs.simulated_tag(pool, load_sample(pool))
    return content.match.model_copy(update=changes)


def report_settings(page: str) -> settings.ReportSettings:
    """What the report page ``index`` or ``real_data`` shows: names only, so that a changed lesson rebuilds nothing."""
    versions = active_versions()
    pointings = [(name, load_pointing(name)) for name in names("pointing", ["active"])]
    if page == "index":
        datasets = sorted({load_version(*version).dataset for version in versions})
        shown_pointings = [name for name, pointing in pointings if pointing.predictions is None]
        predictions = []
    else:
        versions = [version for version in versions if load_version(*version).apply_to]
        applied = [(task, version, name) for task, version in versions for name in load_version(task, version).apply_to]
        datasets = sorted({name for _, _, name in applied})
        shown_pointings = [name for name, pointing in pointings if pointing.predictions is not None]
        predictions = [f"{task}/{version}/predict/{name}" for task, version, name in applied]
    return settings.ReportSettings(
        versions=[f"{task}/{version}" for task, version in versions],
        datasets=datasets,
        predictions=predictions,
        pointings=shown_pointings,
    )


def active_versions() -> list[tuple[str, str]]:
    """All (task, version) with status ``active``."""
    return [(task, name) for task in TASKS for name in names(task, ["active"])]


def pointing_predictions(name: str) -> str:
    """The predictions a pointing uses."""
    pointing = load_pointing(name)
    task, version = pointing.version.split("/", 1)
    if pointing.predictions is None:
        return paths.version_file("evaluate", "predictions.npz", task, version)
    return paths.predictions(pointing.predictions, task, version)


def pointing_likelihood(name: str) -> str:
    """The likelihood table a pointing uses."""
    task, version = load_pointing(name).version.split("/", 1)
    return paths.version_file("likelihood", "likelihood.npz", task, version)


def report_inputs(page: str) -> list[str]:
    """Every result a report page shows.

    Raises
    ------
    InputMissingError
        A sample of real files that the page needs is not there.
    """
    shown_here = report_settings(page)
    for sample in sorted({sample for dataset in shown_here.datasets for sample in load_dataset(dataset).samples}):
        chunk_names(sample)
    return report_files(shown_here, page)


def report_files(shown_here: settings.ReportSettings, page: str) -> list[str]:
    """The results behind the names that a report page shows."""
    files = [dataset_file("card.json", dataset) for dataset in shown_here.datasets]
    for key in shown_here.versions:
        task, version = key.split("/", 1)
        files += [
            paths.version_file("train", "training.json", task, version),
            paths.version_file("evaluate", "metrics.json", task, version),
        ]
        if page == "index":
            files += [
                paths.version_file("likelihood", "validation.json", task, version),
                paths.version_file("interpret", "interpretation.json", task, version),
            ]
    files += [f"results/{key}/predictions.npz" for key in shown_here.predictions]
    return files + [paths.point_file("pointing.json", name) for name in shown_here.pointings]


def default_settings(stage: str) -> dict[str, Any]:
    """The defaults of a stage, from the ``_base.yaml`` of its folder (what `--set` builds on)."""
    if stage not in STAGE_FOLDERS:
        raise UsageError(f"stage '{stage}' has no defaults; give --settings")
    check_project_folder()
    base = yamlfile.read(config_file(STAGE_FOLDERS[stage], "_base"))
    return dict(base.get(stage, {}))


def parse_settings(stage: str, text: str | None, changes: Iterable[str], where: str = "--settings") -> Section:
    """Settings of a stage from a JSON string (or the defaults), with single values put on top as ``key=value``."""
    try:
        values = default_settings(stage) if text is None else json.loads(text)
    except json.JSONDecodeError as error:
        raise UsageError(f"{where}: not JSON ({error})") from error
    if not isinstance(values, dict):
        raise UsageError(f"{where}: expected a JSON object, got {shown(values)}")
    for change in changes:
        put(values, change)
    return validated(
        settings.STAGES[stage], values, where if text else f"--set on configs/{STAGE_FOLDERS[stage]}/_base.yaml"
    )


def chunk_names(sample: str) -> list[str]:
    """Names of all chunks of a sample."""
    return [paths.chunk_name(index) for index in range(inputs.n_chunks(sample, load_sample(sample)))]


def dataset_chunks(dataset: str) -> list[tuple[str, str]]:
    """The (sample, chunk) pairs that a dataset is made of."""
    content = load_dataset(dataset)
    return [(sample, chunk) for sample in content.samples for chunk in chunk_names(sample)[: content.max_chunks]]


def calibration_chunks(sample: str) -> list[str]:
    """Chunks that the calibration of a sample is measured on."""
    return chunk_names(sample)[: load_sample(sample).calibration_chunks]


def dataset_file(name: str, dataset: str) -> str:
    """A file of a dataset (``split.npz``, ``card.json``, ``card.html``), made by the pipeline or imported."""
    if load_dataset(dataset).imported:
        return f"{paths.imported_folder(dataset)}/dataset/{name}"
    return paths.dataset_file(name, dataset)


def is_simulated(sample: str) -> bool:
    """Whether the pipeline makes the files of a sample itself, as a stand-in or by intention."""
    return inputs.is_simulated(load_sample(sample))


def stand_in_notice(sample: str) -> str | None:
    """What to say about a sample that stands in for a production, else None.

    Raises
    ------
    ConfigError
        Results of the production itself are there: a forgotten variable must not replace them by a simulation.
    """
    content = load_sample(sample)
    if inputs.is_stand_in(content) and inputs.made_from_files(sample):
        raise ConfigError(
            f"{paths.sample_folder(sample)} was made from files, and SNPOINT_PRODUCTION is not set now: the simulated "
            "stand-in would replace it; set the variable, or move the folder away"
        )
    return inputs.stand_in_notice(sample, content)


def tpstream_files(sample: str, chunk: str) -> list[str]:
    """TPStream files of one chunk of a sample."""
    return inputs.chunk_files(sample, load_sample(sample), chunk)


def background_files(sample: str, chunk: str) -> list[str]:
    """TPStream files of the background that is laid over one chunk of a sample."""
    content = load_sample(sample)
    if content.background is None:
        return []
    return inputs.background_files(sample, content, load_sample(content.background.sample), chunk)


def calibration(sample: str, dataset: str | None = None) -> list[str]:
    """The calibration that clusters or images of a sample need; none if their settings name numbers."""
    section = load_dataset(dataset).image if dataset else load_sample(sample).cluster
    if section.adc_per_mev != "calibrated":
        return []
    return [paths.calibrate_file("calibration.json", load_sample(sample).calibration or sample)]


@cache
def _validated_file(folder: str, name: str) -> Described:
    return validated(FOLDERS[folder], merged(folder, name), str(config_file(folder, name)))


def _load(folder: str, name: str, model: type[T]) -> T:
    content = _validated_file(folder, name)
    assert isinstance(content, model)  # noqa: S101 -- for the type checker
    return content
