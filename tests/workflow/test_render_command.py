"""`snpoint render`: the submit file of any job, as the executor would write it, without submitting anything."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from snpoint.errors import ConfigError, SnpointError
from snpoint.tools.render import submission


@pytest.mark.parametrize(
    ("target", "stage", "job"),
    [
        ("electron_direction/v0", "train", "train.electron_direction.v0"),
        ("electron_direction/v0", "predict", "predict.electron_direction.v0.fdhd_es"),
        ("electron_direction/v0_raw", "predict", "predict.electron_direction.v0_raw.sim_es_raw"),
        ("samples/sim_es", "simulate", "simulate.sim_es.0000"),
        ("samples/fdhd_es", "match", "match.fdhd_es.0000"),
        ("datasets/sim_es_raw", "image", "image.sim_es_raw.sim_es.0000"),
        ("datasets/sim_es", "dataset", "dataset.sim_es"),
        ("point/demo_burst", "point", "point.demo_burst"),
    ],
)
def test_every_batch_stage_can_be_looked_at(
    project: Path, monkeypatch: pytest.MonkeyPatch, target: str, stage: str, job: str
) -> None:
    monkeypatch.chdir(project)
    for profile, line in (("htcondor", f'MY.JobBatchName     = "{job}"'), ("slurm", f"#SBATCH --job-name={job}")):
        assert line in submission(target, stage, profile)[0].splitlines()


@pytest.mark.parametrize(
    ("target", "stage", "said"),
    [
        ("electron_direction/v0", "trian", "known: train, evaluate, likelihood, interpret, predict"),
        ("samples/sim_es", "train", "known: simulate, match, cluster"),
        ("samples/fdhd_es", "simulate", "known: match, cluster"),
        ("datasets/sim_es", "match", "known: image, dataset"),
        ("point/demo_burst", "train", "known: point"),
        ("v0", "train", "expected folder/name"),
        ("sample/sim_es", "match", "did you mean 'samples'"),
        ("electron_direction/v00", "train", "did you mean 'v0'"),
    ],
)
def test_what_cannot_be_rendered_is_told_with_what_can(
    project: Path, monkeypatch: pytest.MonkeyPatch, target: str, stage: str, said: str
) -> None:
    monkeypatch.chdir(project)
    with pytest.raises(SnpointError, match=said) as caught:
        submission(target, stage, "htcondor")
    assert "\n" not in str(caught.value)


def test_command_prints_the_submit_file(project: Path) -> None:
    command = ["snpoint", "render", "samples/sim_es", "cluster", "--profile", "slurm"]
    result = subprocess.run(command, cwd=project, check=True, capture_output=True, text=True)
    assert result.stdout.startswith("#!/bin/bash\n#SBATCH --job-name=cluster.sim_es.0000\n")
    assert not (project / ".snakemake").exists()


def new_version(project: Path, name: str, job: str) -> None:
    """A version that differs from v0 in its `job:` only. Each test needs a name of its own: files are read once."""
    text = f"extends: v0\nwhy: a test of its requests\nstatus: draft\njob: {job}\n"
    (project / f"configs/electron_direction/{name}.yaml").write_text(text)


def test_what_is_shown_has_site_and_user_settings_in_it(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(project))
    (project / "snpoint").mkdir()
    (project / "snpoint/user.yaml").write_text("job: {accounting_group: group_u_X, account: dune}\n")
    new_version(project, "v71", "{gpus: 1, memory_gb: 9.0}")
    text, warning = submission("electron_direction/v71", "train", "htcondor")
    assert '+AccountingGroup    = "group_u_X"' in text
    assert "require_gpus        = Capability >= 7.0\n" in text
    assert warning == (
        "9 GB with 2 cores is charged as 3 cores: each comes with 3 GB (configs/sites/lxplus.yaml: memory_per_core_gb);"
        " `cpus: 3` in its `job:` costs nothing more"
    )
    assert "--account=dune" in submission("electron_direction/v71", "evaluate", "slurm")[0]


def test_more_than_the_site_gives_is_refused_before_it_waits(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    new_version(project, "v72", "{memory_gb: 400.0}")
    with pytest.raises(ConfigError, match=r"memory_gb = 400 .* 96 \(configs/sites/lxplus.yaml: ceiling.memory_gb\)"):
        submission("electron_direction/v72", "train", "htcondor")
    assert "--mem=400000M" in submission("electron_direction/v72", "train", "slurm")[0]
