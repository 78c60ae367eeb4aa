"""The submit files: what the templates make of a job, and what they refuse."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from snakemake_executor_plugin_templated.render import FLAVOURS, JobFields, fields_from, render
from snakemake_executor_plugin_templated.submitcheck import check
from snpoint.documents import Flavour
from snpoint.errors import ConfigError

REPOSITORY = Path(__file__).parents[2]
TEMPLATES = REPOSITORY / "workflow/templates"
GOLDEN = REPOSITORY / "tests/golden"
RUN = "/afs/cern.ch/work/u/user/snpoint/.snakemake/templated/20300101-120000-1234"
PATHS = {"wrapper": f"{RUN}/train.sh", "log": f"{RUN}/events.log", "stdout": f"{RUN}/train.out"}


SITE_DEFAULTS = {"gpu_capability": 7.0, "warn_s": 300, "overrun_s": 300}
SYSTEMS = {"htcondor.sub": "htcondor", "slurm.sbatch": "slurm"}


def training_job(excluded_nodes: tuple[str, ...] = (), **changes: object) -> JobFields:
    """One GPU training: 4 cores, 16 GB, 8 h, 1 GPU."""
    resources = {"mem_mb": 16000, "disk_mb": 20000, "runtime": 480, "gpu": 1} | changes
    name = "train.electron_direction.v0"
    return fields_from(resources, 4, name=name, defaults=SITE_DEFAULTS, excluded_nodes=excluded_nodes, **PATHS)


def text_of(name: str, job: JobFields) -> str:
    """A rendered submit file that has passed the check."""
    text = render(TEMPLATES / f"{name}.j2", job)
    check(SYSTEMS[name], text, name)
    return text


@pytest.mark.parametrize("name", ["htcondor.sub", "slurm.sbatch"])
def test_submit_file_is_the_golden_one(name: str) -> None:
    text = render(TEMPLATES / f"{name}.j2", training_job())
    if os.environ.get("UPDATE"):
        (GOLDEN / name).write_text(text, encoding="utf-8")
    assert text == (GOLDEN / name).read_text(encoding="utf-8"), (
        "UPDATE=1 pytest tests/workflow/test_render.py accepts it"
    )


@pytest.mark.parametrize("name", SYSTEMS)
def test_every_request_reaches_the_submit_file(name: str) -> None:
    further = {"gpu_memory_gb": 30.0, "gpu_capability": 8.0, "container_image": "/cvmfs/images/snpoint.sif"}
    features = {"htcondor.sub": 'OpSysAndVer =?= "AlmaLinux9" || Fast', "slurm.sbatch": "a100&nvlink"}[name]
    job = training_job(
        excluded_nodes=("b1.cern.ch", "b2"),
        gpu=2,
        gpu_model="H100",
        partition="gpu",
        qos="long",
        account="dune",
        accounting_group="group_u_X",
        job=json.dumps(further | {"requirements": features}),
    )
    wanted = {
        "htcondor.sub": [
            "request_cpus        = 4",
            "request_memory      = 16000MB",
            "request_disk        = 20000MB",
            "request_gpus        = 2",
            'require_gpus        = Capability >= 8.0 && GlobalMemoryMb >= 30000 && regexp("H100", DeviceName, "i")',
            'requirements        = (OpSysAndVer =?= "AlmaLinux9" || Fast) && (TARGET.Machine =!= "b1.cern.ch")'
            ' && (TARGET.Machine =!= "b2")',
            "+MaxRuntime         = 28800",
            "periodic_hold       = JobStatus == 2 && time() - JobCurrentStartExecutingDate > 29100",
            "periodic_hold_subcode = 46",
            'MY.SingularityImage = "/cvmfs/images/snpoint.sif"',
            '+AccountingGroup    = "group_u_X"',
        ],
        "slurm.sbatch": [
            *(f"#SBATCH --{option}" for option in ("cpus-per-task=4", "mem=16000M", "time=480", "gres=gpu:H100:2")),
            *(
                f"#SBATCH --{option}"
                for option in ("partition=gpu", "account=dune", "qos=long", "exclude=b1.cern.ch,b2")
            ),
            "#SBATCH --signal=B:TERM@75",
            '#SBATCH --constraint="a100&nvlink"',
            f"exec apptainer exec --nv /cvmfs/images/snpoint.sif {PATHS['wrapper']}",
        ],
    }
    assert set(wanted[name]) - set(text_of(name, job).splitlines()) == set()


@pytest.mark.parametrize(
    ("resources", "line"),
    [
        ({}, "Capability >= 7.0"),
        ({"gpu_model": "T4"}, 'regexp("T4", DeviceName, "i")'),
        ({"job": '{"gpu_capability": 8.6}'}, "Capability >= 8.6"),
        ({"job": '{"gpu_memory_gb": 16}'}, "Capability >= 7.0 && GlobalMemoryMb >= 16000"),
    ],
)
def test_the_floor_of_the_site_holds_for_a_job_that_names_neither_model_nor_capability(
    resources: dict[str, object], line: str
) -> None:
    assert f"require_gpus        = {line}\n" in text_of("htcondor.sub", training_job(**resources))


def test_expressions_are_ones_that_htcondor_can_read() -> None:
    classad2 = pytest.importorskip("classad2")
    text = text_of(
        "htcondor.sub", training_job(("n1",), job='{"requirements": "Memory > 4 || HasX"}', gpu_model="A100")
    )
    values = dict(line.split(" = ", 1) for line in text.splitlines() if " = " in line and not line.startswith("#"))
    values = {key.strip(): value for key, value in values.items()}
    machine = classad2.ClassAd({"Machine": "n1", "Memory": 8})
    for key in ("requirements", "require_gpus", "periodic_hold"):
        assert classad2.ExprTree(values[key]), key
    requirements = values["requirements"].replace("TARGET.", "")
    assert classad2.ExprTree(requirements).eval(machine) is False
    machine["Machine"] = "n2"
    assert classad2.ExprTree(requirements).eval(machine) is True
    gpu = classad2.ClassAd({"DeviceName": "NVIDIA a100-SXM4-40GB", "Capability": 8.0})
    assert classad2.ExprTree(values["require_gpus"]).eval(gpu) is True


@pytest.mark.parametrize(
    ("resources", "defaults", "group"),
    [
        ({"job": '{"qos": "of_job"}', "qos": "of_call"}, {"qos": "of_user"}, "of_job"),
        ({"job": "", "qos": "of_call"}, {"qos": "of_user"}, "of_call"),
        ({"job": "", "qos": ""}, {"qos": "of_user"}, "of_user"),
        ({}, {}, ""),
    ],
)
def test_the_configuration_wins_over_the_call_and_the_call_over_the_user(
    resources: dict[str, object], defaults: dict[str, object], group: str
) -> None:
    assert fields_from(resources, 1, name="a", defaults=defaults, **PATHS).qos == group


def test_memory_after_an_out_of_memory_end_replaces_the_request() -> None:
    job = fields_from({"mem_mb": 1000}, 1, name="a", mem_mb=1500, **PATHS)
    assert "request_memory      = 1500MB" in text_of("htcondor.sub", job)


@pytest.mark.parametrize(("name", "word"), [("htcondor.sub", "request_"), ("slurm.sbatch", "--")])
def test_what_is_not_asked_for_is_left_to_the_site(name: str, word: str) -> None:
    text = render(
        TEMPLATES / f"{name}.j2", fields_from({"gpu": 0, "mem_mb": None, "gpu_model": ""}, 1, name="a", **PATHS)
    )
    assert "gpu" not in text.lower()
    assert "mem" not in text
    assert "runtime" not in text.replace("run time", "").lower()
    assert not {"hold", "signal", "constraint", "requirements", "exclude", "container", "apptainer"} & set(
        re.findall(r"\w+", text)
    )
    assert word in text


def test_slurm_warns_after_the_wrapper_and_not_at_the_start() -> None:
    """SLURM may send its signal a minute early; the wrapper, which says why, comes first."""
    sent = re.search(r"--signal=B:TERM@(\d+)", text_of("slurm.sbatch", training_job()))
    assert sent
    assert int(sent[1]) + 60 < SITE_DEFAULTS["warn_s"]
    assert "--signal" not in text_of("slurm.sbatch", training_job(runtime=2))


def test_cern_flavour_replaces_the_run_time() -> None:
    job = training_job(job='{"flavour": "tomorrow"}')
    text = text_of("htcondor.sub", job)
    assert '+JobFlavour         = "tomorrow"' in text
    assert "+MaxRuntime" not in text
    assert job.runtime_min == 1440
    assert "JobCurrentStartExecutingDate > 86700" in text


def test_configuration_and_executor_know_the_same_flavours() -> None:
    assert get_args(Flavour) == tuple(FLAVOURS)


def test_credential_is_sent_only_where_the_pool_keeps_one() -> None:
    job = fields_from({}, 1, name="a", send_credential=True, **PATHS)
    assert "MY.SendCredential   = True" in render(TEMPLATES / "htcondor.sub.j2", job)
    assert "SendCredential" not in render(TEMPLATES / "htcondor.sub.j2", training_job())


def test_environment_of_the_submitter_is_not_asked_for() -> None:
    lines = text_of("htcondor.sub", training_job()).splitlines()
    assert [line for line in lines if "getenv" in line and not line.startswith("#")] == []
    assert 'environment         = "PATH=/usr/local/bin:/usr/bin:/bin"' in lines


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
        {"requirements": "True\nqueue 1000"},
        {"requirements": "$(FOO) == 1"},
        {"container_image": "/cvmfs/x.sif; reboot"},
        {"gpu_capability": -1.0},
        {"gpu_memory_gb": "lots"},
        {"max_segments": 0.5},
    ],
)
def test_odd_request_is_refused_by_name(changes: dict[str, object]) -> None:
    (key,) = changes
    with pytest.raises(ConfigError, match="runtime_min" if key == "runtime" else key):
        training_job(**changes)


@pytest.mark.parametrize("text", ["{", "[1]", "nothing"])
def test_further_keys_are_one_json_object(text: str) -> None:
    with pytest.raises(ConfigError, match="'job'"):
        training_job(job=text)


def test_odd_node_is_refused() -> None:
    with pytest.raises(ConfigError, match="excluded_nodes"):
        training_job(excluded_nodes=('n1" || True',))


@pytest.mark.parametrize("path", ["/home/me/my results/x.sh", "/home/me/$(x)/y.sh", "/home/me/x.sh\nqueue"])
def test_odd_path_is_refused(path: str) -> None:
    with pytest.raises(ConfigError, match="wrapper"):
        fields_from({}, 1, name="a", **(PATHS | {"wrapper": path}))


def test_zero_threads_are_refused() -> None:
    with pytest.raises(ConfigError, match="threads"):
        fields_from({}, 0, name="a", **PATHS)


def test_plugin_starts_light() -> None:
    """Snakemake imports every installed plugin at each start."""
    code = (
        "import sys, snakemake.cli; before = set(sys.modules); import snakemake_executor_plugin_templated;"
        "new = set(sys.modules) - before;"
        "heavy = {'jinja2', 'htcondor2', 'classad2', 'numpy', 'keras'} & new; assert not heavy, heavy; print(len(new))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip()
