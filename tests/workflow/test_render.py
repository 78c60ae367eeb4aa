"""The submit files: what the templates make of a job, and what they refuse."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from snakemake_executor_plugin_templated.render import JobFields, fields_from, render
from snpoint.errors import ConfigError, SnpointError
from snpoint.tools.render import submit_text

REPOSITORY = Path(__file__).parents[2]
TEMPLATES = REPOSITORY / "workflow/templates"
GOLDEN = REPOSITORY / "tests/golden"
RUN = "/afs/cern.ch/work/u/user/snpoint/.snakemake/templated/20300101-120000-1234"
PATHS = {"wrapper": f"{RUN}/train.sh", "log": f"{RUN}/events.log", "stdout": f"{RUN}/train.out"}


def training_job(**changes: object) -> JobFields:
    """One GPU training: 4 cores, 16 GB, 8 h, 1 GPU."""
    resources = {"mem_mb": 16000, "disk_mb": 20000, "runtime": 480, "gpu": 1} | changes
    return fields_from(resources, 4, name="train.electron_direction.v0", **PATHS)


@pytest.mark.parametrize("name", ["htcondor.sub", "slurm.sbatch"])
def test_submit_file_is_the_golden_one(name: str) -> None:
    text = render(TEMPLATES / f"{name}.j2", training_job())
    if os.environ.get("UPDATE"):
        (GOLDEN / name).write_text(text, encoding="utf-8")
    assert text == (GOLDEN / name).read_text(encoding="utf-8"), (
        "UPDATE=1 pytest tests/workflow/test_render.py accepts it"
    )


@pytest.mark.parametrize("name", ["htcondor.sub", "slurm.sbatch"])
def test_every_request_reaches_the_submit_file(name: str) -> None:
    job = training_job(
        gpu=2, gpu_model="H100", partition="gpu", qos="long", account="dune", accounting_group="group_u_X"
    )
    text = render(TEMPLATES / f"{name}.j2", job)
    wanted = {
        "htcondor.sub": [
            "request_cpus        = 4\n",
            "request_memory      = 16000MB\n",
            "request_disk        = 20000MB\n",
            "request_gpus        = 2\n",
            'require_gpus        = regexp("H100", DeviceName)\n',
            "+MaxRuntime         = 28800\n",
            '+AccountingGroup    = "group_u_X"\n',
        ],
        "slurm.sbatch": [
            "--cpus-per-task=4\n",
            "--mem=16000M\n",
            "--time=480\n",
            "--gres=gpu:H100:2\n",
            "--partition=gpu\n",
            "--account=dune\n",
            "--qos=long\n",
        ],
    }
    assert [line for line in wanted[name] if line not in text] == []


@pytest.mark.parametrize(("name", "word"), [("htcondor.sub", "request_"), ("slurm.sbatch", "--")])
def test_what_is_not_asked_for_is_left_to_the_site(name: str, word: str) -> None:
    text = render(
        TEMPLATES / f"{name}.j2", fields_from({"gpu": 0, "mem_mb": None, "gpu_model": ""}, 1, name="a", **PATHS)
    )
    assert "gpu" not in text.lower()
    assert "mem" not in text
    assert "runtime" not in text.replace("run time", "").lower()
    assert word in text


def test_cern_flavour_replaces_the_run_time() -> None:
    text = render(TEMPLATES / "htcondor.sub.j2", training_job(flavour="tomorrow"))
    assert '+JobFlavour         = "tomorrow"' in text
    assert "+MaxRuntime" not in text


def test_credential_is_sent_only_where_the_pool_keeps_one() -> None:
    job = fields_from({}, 1, name="a", send_credential=True, **PATHS)
    assert "MY.SendCredential   = True" in render(TEMPLATES / "htcondor.sub.j2", job)
    assert "SendCredential" not in render(TEMPLATES / "htcondor.sub.j2", training_job())


def test_environment_of_the_submitter_is_not_asked_for() -> None:
    assert "getenv" not in (TEMPLATES / "htcondor.sub.j2").read_text().lower()


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("request_memory = {{ memory }}", "'memory' is undefined"),
        ("{{ ''.__class__.__mro__[1].__subclasses__() }}", "unsafe"),
        ("{{ name.__init__.__globals__ }}", "unsafe"),
        ("{% for x in range(999999999) %}{% endfor %}", "Range too big"),
        ("{{ name ", "unexpected end of template"),
        ("{% include '/etc/passwd' %}", "no loader"),
    ],
)
def test_bad_template_is_one_line_that_names_the_file(tmp_path: Path, template: str, said: str) -> None:
    path = tmp_path / "site.j2"
    path.write_text(template)
    with pytest.raises(ConfigError, match=said) as caught:
        render(path, training_job())
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_template_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nothere\.j2"):
        render(tmp_path / "nothere.j2", training_job())


@pytest.mark.parametrize(
    "changes",
    [
        {"mem_mb": -1},
        {"mem_mb": "16000"},
        {"mem_mb": 1.5},
        {"gpu": True},
        {"runtime": "8h"},
        {"gpu_model": 'A100"\nqueue 1000'},
        {"partition": "gpu --wrap=x"},
        {"account": "$(reboot)"},
        {"flavour": "tomorow"},
    ],
)
def test_odd_request_is_refused_by_name(changes: dict[str, object]) -> None:
    (key,) = changes
    with pytest.raises(ConfigError, match="runtime_min" if key == "runtime" else key):
        training_job(**changes)


@pytest.mark.parametrize("path", ["/home/me/my results/x.sh", "/home/me/$(x)/y.sh", "/home/me/x.sh\nqueue"])
def test_odd_path_is_refused(path: str) -> None:
    with pytest.raises(ConfigError, match="wrapper"):
        fields_from({}, 1, name="a", **(PATHS | {"wrapper": path}))


def test_zero_threads_are_refused() -> None:
    with pytest.raises(ConfigError, match="threads"):
        fields_from({}, 0, name="a", **PATHS)


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
        assert line in submit_text(target, stage, profile).splitlines()


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
        submit_text(target, stage, "htcondor")
    assert "\n" not in str(caught.value)


def test_command_prints_the_submit_file(project: Path) -> None:
    command = ["snpoint", "render", "samples/sim_es", "cluster", "--profile", "slurm"]
    result = subprocess.run(command, cwd=project, check=True, capture_output=True, text=True)
    assert result.stdout.startswith("#!/bin/bash\n#SBATCH --job-name=cluster.sim_es.0000\n")
    assert not (project / ".snakemake").exists()


def test_plugin_starts_light() -> None:
    """Snakemake imports every installed plugin at each start."""
    code = (
        "import sys, snakemake.cli; before = set(sys.modules); import snakemake_executor_plugin_templated;"
        "new = set(sys.modules) - before;"
        "heavy = {'jinja2', 'htcondor2', 'classad2', 'numpy', 'keras'} & new; assert not heavy, heavy; print(len(new))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip()
