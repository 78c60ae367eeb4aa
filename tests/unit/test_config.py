"""Configuration: one file says everything, and every mistake is an error that names its place."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from snpoint import config, inheritance, inputs, jobrequests, settings, yamlfile
from snpoint.documents import Job
from snpoint.errors import ConfigError, InputMissingError, UntrustedInputError, UsageError
from snpoint.tools.config import SCHEMAS, schema_text
from snpoint.validation import validated

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def inside(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Work inside a copy of the project, with nothing remembered from other tests."""
    monkeypatch.chdir(project)
    caches = (inheritance.merged, config._validated_file, inputs.manifest)
    for cached in caches:
        cached.cache_clear()
    inputs._FILES.clear()
    yield project
    for cached in caches:
        cached.cache_clear()
    inputs._FILES.clear()


def version(inside: Path, text: str, name: str = "v9") -> None:
    (inside / f"configs/electron_direction/{name}.yaml").write_text(f"why: a test of the reader\nstatus: draft\n{text}")


def test_every_shipped_file_is_valid(inside: Path) -> None:
    count = 0
    for folder in config.FOLDERS:
        for name in config.names(folder):
            config.load(folder, name)
            count += 1
    assert count >= 15


def test_no_settings_class_hides_a_default() -> None:
    """Defaults live in `_base.yaml`; `code` is not a setting but the version of the code."""
    for stage, model in settings.STAGES.items():
        hidden = [name for name, field in model.model_fields.items() if not field.is_required()]
        assert hidden == ["code"], stage


def test_a_burst_is_simulated_whole(inside: Path) -> None:
    """Every chunk takes its part of the burst: with fewer chunks than parts, neutrinos would be missing unnoticed."""
    assert config.load_sample("reference_burst").chunks == 8
    path = inside / "configs/samples/reference_burst.yaml"
    path.write_text(path.read_text().replace("chunks: 8\n", "chunks: 7\n", 1))
    inheritance.merged.cache_clear()
    config._validated_file.cache_clear()
    with pytest.raises(ConfigError, match=r"reference_burst\.yaml: .*chunks.*burst\.chunks \(8\)"):
        config.load_sample("reference_burst")


def test_version_stands_on_its_parent_and_on_base(inside: Path) -> None:
    version(inside, "extends: v0\ntrain: {epochs: 7}\n")
    child, parent = config.load_version("electron_direction", "v9"), config.load_version("electron_direction", "v0")
    assert child.train.epochs == 7
    assert child.train.architecture == parent.train.architecture
    assert child.dataset == parent.dataset
    assert child.lesson is None
    assert child.why == "a test of the reader"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("train: {learning_rat: 0.1}\n", ["v9.yaml", "train.learning_rat", "did you mean 'learning_rate'"]),
        ("trian: {epochs: 1}\n", ["v9.yaml", "'trian'", "did you mean 'train'"]),
        ("train: {learning_rate: 1e-3}\n", ["train.learning_rate", "1e-3", "YAML read it as text"]),
        ("train: {learning_rate: -1.0}\n", ["train.learning_rate", "-1.0", "greater than 0"]),
        ("train: {epochs: 3.5}\n", ["train.epochs", "3.5", "integer"]),
        ("train: {epochs: yes}\n", ["train.epochs", "true"]),
        ("train: {loss: angulr}\n", ["train.loss", "angulr", "angular"]),
        ("likelihood: {energy_edges_mev: [10.0, 5.0]}\n", ["likelihood.energy_edges_mev", "must grow"]),
        ("job: {memory: 8}\n", ["job.memory", "memory_gb"]),
        ("extends: v00\n", ["v9.yaml", "'v00' does not exist", "did you mean"]),
        ("extends: v9\n", ["extends itself"]),
        ("train: {epochs: 1}\ntrain: {epochs: 2}\n", ["v9.yaml, line 4", "'train' is given twice"]),
        ("train: {epochs: 1\n", ["v9.yaml, line"]),
        ("train: &a {epochs: 1}\nevaluate: *a\n", ["line 4", "aliases"]),
    ],
)
def test_mistake_names_file_key_and_remedy(inside: Path, text: str, words: list[str]) -> None:
    version(inside, text)
    with pytest.raises(ConfigError) as caught:
        config.load_version("electron_direction", "v9")
    assert caught.value.exit_code == 78
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def test_every_key_of_base_is_guarded_against_misspelling(inside: Path) -> None:
    base = yamlfile.read(Path("configs/electron_direction/_base.yaml"))
    for section, content in base.items():
        for key in content if isinstance(content, dict) else []:
            version(inside, yaml.safe_dump({section: {f"{key}x": 1}}))
            inheritance.merged.cache_clear()
            with pytest.raises(ConfigError, match=rf"unknown key '{section}.{key}x'"):
                config.load_version("electron_direction", "v9")


def test_yaml_cannot_execute_anything(tmp_path: Path) -> None:
    marker = tmp_path / "executed"
    file = tmp_path / "evil.yaml"
    file.write_text(f"why: !!python/object/apply:os.mknod ['{marker}']\n")
    with pytest.raises(UntrustedInputError):
        yamlfile.read(file)
    assert not marker.exists()


def test_missing_real_files_name_the_variable(inside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SNPOINT_DATA", str(inside / "nowhere"))
    with pytest.raises(InputMissingError, match="SNPOINT_DATA"):
        config.chunk_names("fdhd_es")


def test_files_become_chunks_in_order(inside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = inside / "input"
    folder.mkdir()
    for index in range(5):
        (folder / f"es_{index}.root").touch()
    monkeypatch.setenv("SNPOINT_DATA", str(folder))
    (inside / "configs/samples/mine.yaml").write_text(
        "why: five files of a test\nstatus: draft\nsource: files\nfiles: ['es_*.root']\nfiles_per_job: 2\n"
    )
    assert config.chunk_names("mine") == ["0000", "0001", "0002"]
    assert [Path(name).name for name in config.tpstream_files("mine", "0002")] == ["es_4.root"]


def test_settings_are_one_canonical_string(inside: Path) -> None:
    target = {"task": "electron_direction", "version": "v0"}
    text = config.stage_settings("train", target).canonical()
    assert text == json.dumps(json.loads(text), sort_keys=True, separators=(", ", ": "))
    assert config.parse_settings("train", text, []).canonical() == text


def test_set_puts_single_values_on_top(inside: Path) -> None:
    changed = config.parse_settings("train", None, ["learning_rate=0.5", "architecture.filters=[1, 2]", "loss=angular"])
    assert isinstance(changed, settings.TrainSettings)
    assert (changed.learning_rate, changed.architecture.filters, changed.loss) == (0.5, [1, 2], "angular")
    with pytest.raises(ConfigError, match="did you mean 'learning_rate'"):
        config.parse_settings("train", None, ["learning_rat=0.5"])
    with pytest.raises(UsageError, match="key=value"):
        config.parse_settings("train", None, ["learning_rate"])


@pytest.mark.parametrize("name", ["foo.yaml", "v1-wide.yaml", "V4.yaml", "v3.yml"])
def test_file_that_no_rule_would_find_is_an_error(inside: Path, name: str) -> None:
    (inside / "configs/electron_direction" / name).write_text("why: a test of names\nstatus: active\n")
    with pytest.raises(ConfigError, match=f"{name}: nothing would find a file of this name"):
        config.active_versions()


def test_sky_resolution_is_a_power_of_two(inside: Path) -> None:
    with pytest.raises(ConfigError, match=r"nside.*power of two"):
        config.parse_settings("point", None, ["nside=100"])


def test_job_is_in_no_stage(inside: Path) -> None:
    target = {"task": "electron_direction", "version": "v0"}
    for stage in ("train", "evaluate", "likelihood", "interpret", "predict"):
        keys = set(config.stage_settings(stage, target).model_dump())
        assert not keys & {"why", "status", "lesson", "job"}


def test_only_training_asks_for_a_gpu(inside: Path) -> None:
    job = config.load_version("electron_direction", "v0").job.model_copy(update={"gpus": 2, "runtime_h": 8.0})
    assert jobrequests.resources(job, "train")["gpu"] == 2
    assert jobrequests.resources(job, "train")["runtime"] == 480
    assert jobrequests.resources(job, "evaluate")["gpu"] == 0
    assert jobrequests.resources(job, "evaluate")["runtime"] == 120


def test_further_keys_travel_in_one_string(inside: Path) -> None:
    """One cheap string per job: what is not set is not in it, and what was chosen for the training stays with it."""
    job = config.load_version("electron_direction", "v0").job
    assert {jobrequests.resources(job, stage)["job"] for stage in ("train", "evaluate", "match")} == {""}
    asked = {"gpus": 1, "gpu_capability": 8.0, "partition": "gpu", "account": "dune", "max_segments": 3}
    job = job.model_copy(update=asked)
    asked.pop("gpus")
    assert json.loads(jobrequests.resources(job, "train")["job"]) == asked
    assert json.loads(jobrequests.resources(job, "evaluate")["job"]) == {"account": "dune"}


def test_a_chunk_may_take_longer_than_the_stages_after_a_training(inside: Path) -> None:
    job = config.load_sample("sim_es").job.model_copy(update={"runtime_h": 6.0, "partition": "long"})
    assert jobrequests.resources(job, "simulate")["runtime"] == 360
    assert json.loads(jobrequests.resources(job, "simulate")["job"]) == {"partition": "long"}


def test_who_is_charged_is_no_part_of_a_version(inside: Path) -> None:
    values = config.load_version("electron_direction", "v0").job.model_dump() | {"accounting_group": "group_u_X"}
    with pytest.raises(ConfigError, match=r"belongs to a person.*user\.yaml.*--default-resources"):
        validated(Job, values, "v0.yaml")


@pytest.mark.parametrize("kind", SCHEMAS)
def test_schema_file_is_in_sync(kind: str) -> None:
    written = (REPOSITORY / f"configs/schema/{kind}.json").read_text()
    assert written == schema_text(kind), "regenerate with: snpoint config schema --write"


def test_shipped_files_name_their_schema() -> None:
    for path in (REPOSITORY / "configs").glob("*/*.yaml"):
        first = path.read_text().splitlines()[0]
        assert first.startswith("# yaml-language-server: $schema=../schema/"), path
        assert (path.parent / first.split("=", 1)[1]).resolve().exists(), path


def test_absolute_paths_stay_out_of_shipped_files() -> None:
    """A site file is about one place and has to name its folders; all others hold anywhere."""
    for path in set((REPOSITORY / "configs").glob("*/*.yaml")) - set((REPOSITORY / "configs/sites").glob("*")):
        assert not any(prefix in path.read_text() for prefix in ("/afs", "/eos", "/home", os.sep + "root")), path
