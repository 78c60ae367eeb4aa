"""Mistakes in configuration and settings: one line that says what to do, and no page of traceback."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from workplace import Workplace

DRAFT = "why: something to be finished tomorrow\nstatus: draft\n"


def misspell_a_key(configs: Path) -> None:
    with (configs / "electron_direction/v0.yaml").open("a", encoding="utf-8") as file:
        file.write("evaluate: {bootstrap_sample: 30}\n")


def break_the_yaml(configs: Path) -> None:
    with (configs / "electron_direction/v0_raw.yaml").open("a", encoding="utf-8") as file:
        file.write("evaluate: {bootstrap_samples: 30\n")


def break_the_yaml_of_a_sample(configs: Path) -> None:
    (configs / "samples/sim_es.yaml").write_text("why: [never closed\nstatus: active\n", encoding="utf-8")


def lose_the_dataset(configs: Path) -> None:
    (configs / "datasets/sim_es.yaml").unlink()


def lose_the_sample(configs: Path) -> None:
    (configs / "samples/sim_es.yaml").unlink()


def point_with_a_version_that_is_not_there(configs: Path) -> None:
    with (configs / "pointing/demo_burst.yaml").open("a", encoding="utf-8") as file:
        file.write("version: electron_direction/v77\n")


@pytest.mark.parametrize(
    ("mistake", "file", "key"),
    [
        (misspell_a_key, "electron_direction/v0.yaml", "evaluate.bootstrap_sample'.*did you mean 'bootstrap_samples'"),
        (break_the_yaml, "electron_direction/v0_raw.yaml", r"line \d+"),
        (break_the_yaml_of_a_sample, "samples/sim_es.yaml", r"line \d+"),
        (lose_the_dataset, "electron_direction/v0.yaml", "dataset: 'sim_es' does not exist"),
        (lose_the_sample, "datasets/sim_es.yaml", "samples: 'sim_es' does not exist"),
        (point_with_a_version_that_is_not_there, "pointing/demo_burst.yaml", "version: 'v77' does not exist"),
    ],
    ids=lambda value: value.__name__ if callable(value) else None,
)
def test_mistake_is_one_line_that_names_file_and_key(
    empty_workplace: Workplace, mistake: Callable[[Path], None], file: str, key: str
) -> None:
    empty_workplace.quick = None  # the command as it is typed, with all it prints
    mistake(empty_workplace.folder / "configs")
    result = empty_workplace.snakemake("-n", check=False)
    assert result.returncode != 0
    (line,) = (result.stdout + result.stderr).strip().splitlines()  # a dry run logs to standard output
    assert re.search(rf"configs/{file}.*{key}", line), line


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(DRAFT + "train: {epochs: 1\n", id="no YAML"),
        pytest.param(DRAFT + "extends: v0\ntrain: {epoch: 1}\n", id="misspelt key"),
        pytest.param(DRAFT + "extends: v0\ndataset: not_there_yet\n", id="missing dataset"),
    ],
)
def test_broken_draft_stops_nobody(empty_workplace: Workplace, text: str) -> None:
    (empty_workplace.folder / "configs/electron_direction/v9.yaml").write_text(text, encoding="utf-8")
    empty_workplace.snakemake("-n")
    assert empty_workplace.snakemake("-n", "results/electron_direction/v9/train/model.keras", check=False).returncode


def test_validation_outside_a_project_is_refused(empty_workplace: Workplace, tmp_path: Path) -> None:
    empty_workplace.folder = tmp_path
    result = empty_workplace.run("snpoint", "config", "validate", check=False)
    assert result.returncode == 66
    assert f"{tmp_path} has no folder configs" in result.stderr


def test_validation_lists_every_mistake(empty_workplace: Workplace) -> None:
    misspell_a_key(empty_workplace.folder / "configs")
    point_with_a_version_that_is_not_there(empty_workplace.folder / "configs")
    result = empty_workplace.run("snpoint", "config", "validate", check=False)
    assert result.returncode == 78
    assert "'evaluate.bootstrap_sample'" in result.stderr
    assert "demo_burst.yaml: version: 'v77' does not exist" in result.stderr


@pytest.mark.parametrize(
    ("option", "code", "said"),
    [
        (("--set", "seed=abc"), 78, r"seed = \"abc\": input should be a valid integer[^;]*$"),
        (("--set", "learning_rate=fast"), 78, r"learning_rate = \"fast\": input should be a valid number[^;]*$"),
        (("--settings", "[]"), 64, r"--settings: expected a JSON object, got \[\]"),
        (("--settings", '"seed"'), 64, r"--settings: expected a JSON object, got \"seed\""),
        (("--settings", "[]", "--set", "seed=1"), 64, r"--settings: expected a JSON object, got \[\]"),
        (("--settings", "{seed"), 64, "--settings: not JSON"),
    ],
)
def test_odd_settings_are_explained(empty_workplace: Workplace, option: tuple[str, ...], code: int, said: str) -> None:
    files = ("--dataset", "split.npz", "--model", "m.keras", "--history", "h.csv", "--training", "t.json")
    empty_workplace.environment = dict(os.environ)  # the stages themselves, not their stand-ins
    empty_workplace.quick = None
    result = empty_workplace.run("snpoint", "train", *files, *option, check=False)
    assert result.returncode == code
    assert re.search(said, result.stderr.strip())
    assert "YAML" not in result.stderr


def test_number_that_yaml_takes_for_a_word_gets_a_hint(empty_workplace: Workplace) -> None:
    with (empty_workplace.folder / "configs/electron_direction/v0_raw.yaml").open("a", encoding="utf-8") as file:
        file.write("train: {learning_rate: 1e-3}\n")
    result = empty_workplace.run("snpoint", "config", "validate", check=False)
    assert "YAML read it as text: write 0.001 or 1.0e-3" in result.stderr
