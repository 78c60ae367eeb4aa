"""What the configuration asks for, without Snakemake: one node per job, in dependency order.

`snpoint status` and `snpoint repair` judge results against these nodes. The rules under ``workflow/rules`` say the
same to Snakemake; a test compares the two job by job, so that they cannot drift apart. Imports neither numpy nor
Snakemake.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from snpoint import config, paths
from snpoint.errors import SnpointError

VERSION_STAGES = tuple(paths.VERSION_OUTPUTS)


@dataclass(frozen=True)
class Node:
    """One job: a stage applied to one chunk, dataset, version, pointing or page."""

    stage: str
    key: str
    """What the stage is applied to, e.g. ``sim_es/0003``, ``electron_direction/v0``, ``index``."""
    owner: str
    """What it belongs to: ``samples/sim_es``, ``electron_direction/v0``, ``point/demo_burst``, ``report/index``."""
    target: tuple[tuple[str, str], ...]
    """Names behind its settings, as Snakemake's wildcards."""
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    @property
    def rule(self) -> str:
        """The Snakemake rule."""
        return "report_real_data" if (self.stage, self.key) == ("report", "real_data") else self.stage

    @property
    def settings_json(self) -> str:
        """The settings as the rule's param: canonical JSON."""
        return config.stage_settings(self.stage, dict(self.target)).canonical()

    @property
    def record(self) -> Path:
        """The provenance record beside the outputs."""
        return paths.provenance(self.outputs[0], self.stage)

    @property
    def log(self) -> str:
        """The log of the job."""
        return paths.log(self.outputs[0], self.stage)

    def __str__(self) -> str:
        return f"{self.stage} {self.key}"


def behind(targets: Iterable[str], lenient: bool = False) -> list[Node]:
    """All jobs behind some targets, each after the jobs it depends on.

    A target is ``all`` (what ``snakemake`` builds by itself), ``real_data``, or the path of a result or of a folder of
    results. What is no target of ours is passed over; ``lenient`` also passes over what cannot be worked out.

    Raises
    ------
    ConfigError
        A configuration file is wrong.
    InputMissingError
        A sample of real files is needed and its files are not there.
    """
    builder = _Builder()
    for target in targets:
        try:
            builder.path({"all": paths.REPORT_PAGE, "real_data": paths.report_page("real_data")}.get(target, target))
        except SnpointError:
            if not lenient:
                raise
    return list(builder.nodes.values())


@dataclass
class _Builder:
    """Adds nodes, upstream first; adding one twice does nothing."""

    nodes: dict[tuple[str, str], Node] = field(default_factory=dict)

    def path(self, path: str) -> None:
        parts = path.strip("/").split("/")[1:]
        match parts:
            case ["report", "real_data.html" | "real_data"]:
                self.page("real_data")
            case ["report", *_] | ["registry.csv" | "registry.json"]:
                self.page("index")
            case ["point", name, *_]:
                self.point(name)
            case ["datasets", name, *_]:
                self.dataset(name)
            case ["samples", name, "calibrate", *_]:
                self.calibrate(name)
            case ["samples", name, *_]:
                for chunk in config.chunk_names(name):
                    self.chunk("cluster", name, chunk)
            case [task, version, "predict", dataset, *_]:
                self.predict(task, version, dataset)
            case [task, version, stage, *_] if stage in VERSION_STAGES:
                self.version(stage, task, version)
            case [task, version, *_] if task in config.TASKS:
                for stage in VERSION_STAGES:
                    self.version(stage, task, version)

    def page(self, page: str) -> None:
        shown = config.report_settings(page)
        inputs = config.report_inputs(page)
        stages = VERSION_STAGES if page == "index" else ("train", "evaluate")
        for dataset in shown.datasets:
            self.dataset(dataset)
        for task, version in (key.split("/", 1) for key in shown.versions):
            for stage in stages:
                self.version(stage, task, version)
        for key in shown.predictions:
            owner, _, dataset = key.partition("/predict/")
            task, version = owner.split("/", 1)
            self.predict(task, version, dataset)
        for name in shown.pointings:
            self.point(name)
        registry = [paths.REGISTRY_CSV, paths.REGISTRY_JSON] if page == "index" else []
        self._add("report", page, f"report/{page}", {"page": page}, inputs, [paths.report_page(page), *registry])

    def point(self, name: str) -> None:
        pointing = config.load_pointing(name)
        task, version = pointing.version.split("/", 1)
        if pointing.predictions is not None:
            self.predict(task, version, pointing.predictions)
        self.version("likelihood", task, version)
        inputs = [config.pointing_predictions(name), config.pointing_likelihood(name)]
        outputs = [paths.point_file(file, name) for file in paths.POINT_OUTPUTS]
        self._add("point", name, f"point/{name}", {"pointing": name}, inputs, outputs)

    def predict(self, task: str, version: str, dataset: str) -> None:
        self.dataset(dataset)
        self.version("train", task, version)
        inputs = [config.dataset_file("split.npz", dataset), *_network(task, version)]
        target = {"task": task, "version": version, "dataset": dataset}
        outputs = [paths.predictions(dataset, task, version)]
        self._add("predict", f"{task}/{version}/{dataset}", f"{task}/{version}", target, inputs, outputs)

    def version(self, stage: str, task: str, version: str) -> None:
        key = f"{task}/{version}"
        if (stage, key) in self.nodes:
            return
        split = config.dataset_file("split.npz", config.load_version(task, version).dataset)
        if stage == "train":
            self.dataset(config.load_version(task, version).dataset)
            inputs = [split]
        elif stage == "likelihood":
            self.version("evaluate", task, version)
            inputs = [paths.version_file("evaluate", "predictions.npz", task, version)]
        else:
            self.version("train", task, version)
            inputs = [split, *_network(task, version)]
            if stage == "evaluate":
                inputs.append(paths.version_file("train", "history.csv", task, version))
        outputs = [paths.version_file(stage, file, task, version) for file in paths.VERSION_OUTPUTS[stage]]
        self._add(stage, key, key, {"task": task, "version": version}, inputs, outputs)

    def dataset(self, dataset: str) -> None:
        if ("dataset", dataset) in self.nodes or config.load_dataset(dataset).imported:
            return
        owner = f"datasets/{dataset}"
        shards = []
        for sample, chunk in config.dataset_chunks(dataset):
            self.chunk("cluster", sample, chunk)
            shards.append(paths.shard(dataset, sample, chunk))
            inputs = [paths.chunk("cluster", sample, chunk), *self.calibration(sample, dataset)]
            key = f"{dataset}/{sample}_{chunk}"
            self._add("image", key, owner, {"dataset": dataset}, inputs, shards[-1:])
        outputs = [paths.dataset_file(file, dataset) for file in paths.DATASET_OUTPUTS]
        self._add("dataset", dataset, owner, {"dataset": dataset}, shards, outputs)

    def chunk(self, stage: str, sample: str, chunk: str) -> None:
        if (stage, f"{sample}/{chunk}") in self.nodes:
            return
        inputs: list[str] = []
        if stage == "cluster":
            self.chunk("match", sample, chunk)
            inputs = [paths.chunk("match", sample, chunk), *self.calibration(sample)]
        elif stage == "match":
            inputs = config.tpstream_files(sample, chunk) + config.background_files(sample, chunk)
            for file in inputs:
                self.simulated(file)
        target = {"sample": sample} | ({"chunk": chunk} if stage == "match" else {})
        outputs = [paths.chunk(stage, sample, chunk)]
        self._add(stage, f"{sample}/{chunk}", f"samples/{sample}", target, inputs, outputs)

    def simulated(self, file: str) -> None:
        """The job behind a TPStream file, if the pipeline makes it."""
        match file.split("/"):
            case ["results", "samples", sample, "simulate", name]:
                self.chunk("simulate", sample, name.removesuffix(".root"))

    def calibration(self, sample: str, dataset: str | None = None) -> list[str]:
        """The calibration that a stage needs, with the jobs behind it."""
        found = config.calibration(sample, dataset)
        for file in found:
            self.calibrate(file.split("/")[2])
        return found

    def calibrate(self, sample: str) -> None:
        if ("calibrate", sample) in self.nodes:
            return
        chunks = config.calibration_chunks(sample)
        for chunk in chunks:
            self.chunk("match", sample, chunk)
        inputs = [paths.chunk("match", sample, chunk) for chunk in chunks]
        outputs = [paths.calibrate_file(name, sample) for name in paths.CALIBRATE_OUTPUTS]
        self._add("calibrate", sample, f"samples/{sample}", {"sample": sample}, inputs, outputs)

    def _add(
        self, stage: str, key: str, owner: str, target: dict[str, str], inputs: Iterable[str], outputs: Iterable[str]
    ) -> None:
        node = Node(stage, key, owner, tuple(target.items()), tuple(inputs), tuple(outputs))
        self.nodes.setdefault((stage, key), node)


def _network(task: str, version: str) -> list[str]:
    return [paths.version_file("train", name, task, version) for name in ("model.keras", "training.json")]
