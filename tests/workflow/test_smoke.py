"""`snakemake smoke`: one small job through the whole way and back, every time it is called."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner
from workplace import Workplace

from snpoint.data.summaries import SUMMARIES, check_summary
from snpoint.errors import SnpointError
from snpoint.health import environment
from snpoint.tools import smoke as smoke_tool

RESULT = "results/smoke/smoke.json"


def smoke(workplace: Workplace, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    return workplace.snakemake("--profile", "local", "smoke", *arguments, check=check)


def test_every_call_runs_the_job_and_shows_what_it_found(empty_workplace: Workplace) -> None:
    called = []
    for _ in range(2):
        shown = smoke(empty_workplace).stdout
        check_summary(empty_workplace.folder / RESULT, SUMMARIES["smoke.json"])
        content = json.loads((empty_workplace.folder / RESULT).read_text(encoding="utf-8"))
        called.append(content["called"])
        assert {check["name"] for check in content["checks"]} >= {"python", "imports", "results", "scratch", "gpu"}
        assert [check for check in content["checks"] if check["level"] == "FAIL"] == []
        assert "ok    imports" in shown
        assert "s after the call" in shown
    assert called[0] < called[1], "the second result is of the second call"
    empty_workplace.run("snpoint", "check")


def test_it_is_no_part_of_the_pipeline(workplace: Workplace) -> None:
    assert "smoke" not in workplace.snakemake("-n").stdout
    workplace.agreed()


def test_the_job_is_small_and_asks_for_a_gpu_only_if_told(empty_workplace: Workplace) -> None:
    text = empty_workplace.snakemake("-n", "smoke", "--printshellcmds").stdout
    assert "runtime=2" in text
    assert "--gpus 0" in text
    assert "gpu=1" not in text
    text = empty_workplace.snakemake("-n", "smoke", "--printshellcmds", "--config", "smoke_gpu=1").stdout
    assert "gpu=1" in text
    assert "--gpus 1" in text


@pytest.mark.parametrize(
    ("installed", "code", "said"),
    [
        ("tensorflow-cpu", 78, "gpu support: this environment has no GPU support (tensorflow-cpu); make env ENV=gpu"),
        ("tensorflow", 69, "gpu: 1 asked for, the network's backend sees 0"),
    ],
)
def test_a_gpu_that_no_machine_could_use_is_not_taken_for_a_broken_machine(
    monkeypatch: pytest.MonkeyPatch, installed: str, code: int, said: str
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr(environment, "installed", lambda name: "1.0" if name == installed else None)
    result = CliRunner().invoke(smoke_tool.command, ["--gpus", "1"])
    assert isinstance(result.exception, SnpointError)
    assert result.exception.exit_code == code
    assert said in str(result.exception)


def test_a_folder_that_takes_no_result_is_said_to_be_one(empty_workplace: Workplace, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = empty_workplace.run("snpoint", "smoke", "--output", str(tmp_path / "file/smoke.json"), check=False)
    assert result.returncode == 73
    assert f"{tmp_path}/file" in result.stderr


@pytest.mark.parametrize("text", ["", "{}", '{"format_version": 1}'])
def test_a_broken_result_is_one_line(empty_workplace: Workplace, tmp_path: Path, text: str) -> None:
    (tmp_path / "smoke.json").write_text(text)
    result = empty_workplace.run("snpoint", "smoke", "--show", str(tmp_path / "smoke.json"), check=False)
    assert result.returncode == 65
    assert "Traceback" not in result.stderr
