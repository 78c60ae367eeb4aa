"""`snpoint doctor`: what can be wrong before the first submission, each with its remedy, on site and off."""

from __future__ import annotations

import json
import os
import shutil
import socket
import time
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from workplace import Workplace

from snpoint import lock
from snpoint.health import environment, folder, queue
from snpoint.journal import Entry, Journal
from snpoint.site import Environment

REPOSITORY = Path(__file__).parents[2]


def doctor(workplace: Workplace, profile: str, *options: str, **extra: str) -> dict[str, str]:
    """Findings by name, and the exit code as 'code'. Without --quick the imports are tried, too."""
    result = workplace.run("snpoint", "doctor", "--profile", profile, *options, check=False, **extra)
    assert "Traceback" not in result.stdout + result.stderr
    lines = [line for line in result.stdout.splitlines() if line[:4] in ("ok  ", "WARN", "FAIL")]
    assert (result.returncode == 1) == any(line.startswith("FAIL") for line in lines)
    return {line[6:18].strip(): line for line in lines} | {"code": str(result.returncode)}


def program(workplace: Workplace, name: str, text: str) -> dict[str, str]:
    """A program that prints a text; PATH with it in front."""
    place = workplace.folder / "programs"
    place.mkdir(exist_ok=True)
    (place / name).write_text(f"#!/bin/sh\ncat <<'END'\n{text}\nEND\n", encoding="utf-8")
    (place / name).chmod(0o755)
    return {"PATH": f"{place}:{workplace.environment['PATH']}"}


def test_off_site_it_says_what_is_missing(empty_workplace: Workplace) -> None:
    found = doctor(empty_workplace, "htcondor", "--quick", CONDOR_CONFIG="/nowhere")
    assert found["schedd"].startswith("FAIL")
    assert "run on a submit node (lxplus)" in found["schedd"]
    for name in ("profiles", "site", "clock", "lock", "configs"):
        assert found[name].startswith("ok"), found[name]
    assert found["templates"].startswith(("ok", "WARN")), found["templates"]


def test_a_laptop_is_fine(empty_workplace: Workplace) -> None:
    found = doctor(empty_workplace, "local")
    assert found["code"] == "0"
    assert "schedd" not in found
    assert found["job imports"].startswith("ok")


def test_a_checkout_without_links_is_found_and_its_remedy_works(empty_workplace: Workplace) -> None:
    link = empty_workplace.folder / "htcondor"
    link.unlink()
    link.write_text("profiles/htcondor")
    found = doctor(empty_workplace, "htcondor", "--quick")["profiles"]
    assert found.startswith("FAIL")
    assert "'profiles/htcondor'" in found
    remedy = found.split("; ", 1)[1].split(" (git")[0]
    empty_workplace.run("bash", "-c", remedy)
    assert doctor(empty_workplace, "htcondor", "--quick")["profiles"].startswith("ok")
    link.unlink()
    found = doctor(empty_workplace, "htcondor", "--quick")
    assert "htcondor/profile.yaml does not exist" in found["profiles"]
    assert "did you mean" not in str(found), "the other checks go on with the profile that is meant"


def test_packages_are_compared_with_the_lock(empty_workplace: Workplace) -> None:
    locks = empty_workplace.folder / "envs"
    locks.mkdir()
    for name in ("cpu", "gpu", "workflow"):
        (locks / f"{name}.txt").write_text(
            "click==0.1 \\\n    --hash=sha256:0\nnot-there==1.0 \\\n    --hash=sha256:0\n"
            "for-another==1.0 ; sys_platform == 'win32' \\\n    --hash=sha256:0\n"
        )
    found = doctor(empty_workplace, "local", "--quick")["versions"]
    assert found.startswith("FAIL")
    assert "instead of 0.1" in found
    assert "not-there missing instead of 1.0" in found
    assert "for-another" not in found
    assert "make env" in found


def test_a_folder_with_a_space_is_refused(empty_workplace: Workplace, tmp_path: Path) -> None:
    place = tmp_path / "with space"
    shutil.copytree(empty_workplace.folder, place, symlinks=True)
    found = doctor(Workplace(place, empty_workplace.environment, empty_workplace.quick), "slurm", "--quick")
    assert found["folder"].startswith("FAIL")
    assert "contains a space" in found["folder"]


def test_a_folder_that_the_site_refuses_is_explained(empty_workplace: Workplace, tmp_path: Path) -> None:
    site = empty_workplace.folder / "configs/sites/lxplus.yaml"
    text = site.read_text(encoding="utf-8")
    site.write_text(text.replace("refuse_folders:", f"refuse_folders:\n  {tmp_path}: the schedd wants none of it"))
    found = doctor(empty_workplace, "htcondor", "--quick")["folder"]
    assert found.startswith("FAIL")
    assert "the schedd wants none of it" in found


def test_mistakes_in_site_user_and_version_files_are_named(empty_workplace: Workplace, tmp_path: Path) -> None:
    with (empty_workplace.folder / "configs/sites/slurm.yaml").open("a", encoding="utf-8") as stream:
        stream.write("\ncelling: {cpus: 1}\n")
    settings = tmp_path / "settings/snpoint/user.yaml"
    settings.parent.mkdir(parents=True)
    settings.write_text("job: {acounting_group: x}\n")
    empty_workplace.edit("electron_direction/v0.yaml", ("epochs: 10", "epoch: 10"))
    found = doctor(empty_workplace, "slurm", "--quick", XDG_CONFIG_HOME=str(tmp_path / "settings"))
    assert "celling" in found["site"]
    assert "acounting_group" in found["user"]
    assert "train.epoch" in found["configs"]
    assert all(found[name].startswith("FAIL") for name in ("site", "user", "configs"))


def test_a_request_above_the_ceiling_is_found(empty_workplace: Workplace) -> None:
    site = empty_workplace.folder / "configs/sites/slurm.yaml"
    site.write_text(site.read_text(encoding="utf-8").replace("memory_gb: null ", "memory_gb: 0.001 "))
    found = doctor(empty_workplace, "slurm", "--quick")["templates"]
    assert found.startswith("FAIL")
    assert "ceiling" in found


def test_results_that_cannot_be_written_are_found(empty_workplace: Workplace) -> None:
    results = empty_workplace.folder / "results"
    shutil.rmtree(results)
    results.symlink_to("/proc/self")
    found = doctor(empty_workplace, "local", "--quick")["results"]
    assert found.startswith("FAIL")
    assert "cannot be written" in found


def test_a_lock_and_jobs_of_an_earlier_run_are_shown(empty_workplace: Workplace) -> None:
    place = empty_workplace.folder / ".snakemake"
    (place / "locks").mkdir(parents=True)
    (place / "locks/0.output.lock").write_text("results/x\n")
    owner = {"host": socket.gethostname(), "pid": os.getpid(), "boot_id": "x", "process_start": 1}
    owner |= {"started": "2026-01-01T00:00:00+00:00", "command": "snakemake"}
    (place / "owner.json").write_text(json.dumps(owner))
    Journal(place / "templated").intend(Entry(key="a", target="results/a", name="a", system="slurm", digest="a"))
    found = doctor(empty_workplace, "local", "--quick")
    assert found["lock"].startswith("WARN")
    assert f"process {os.getpid()} on {socket.gethostname()}" in found["lock"]
    assert "snpoint unlock" in found["lock"]
    assert "1 job of an earlier run" in found["journal"]


@pytest.mark.parametrize(
    ("hours", "level", "words"),
    [
        (25, "ok", "lasts 25.0 h more"),
        (1, "WARN", "kinit -R"),
        (-3, "WARN", "expired 3.0 h ago"),
        (None, "WARN", "kinit"),
    ],
)
def test_how_long_the_ticket_lasts(empty_workplace: Workplace, hours: float | None, level: str, words: str) -> None:
    text = "Ticket cache: KCM:1000\nDefault principal: me@CERN.CH\n\nValid starting  Expires  Service principal"
    if hours is not None:
        begin, end = (datetime.now() + timedelta(hours=change, seconds=30) for change in (-1, hours))
        text += f"\n{begin:%m/%d/%y %H:%M:%S}  {end:%m/%d/%y %H:%M:%S}  krbtgt/CERN.CH@CERN.CH"
    found = doctor(empty_workplace, "htcondor", "--quick", **program(empty_workplace, "klist", text))["ticket"]
    assert found.startswith(level)
    assert words in found


def test_gpus_of_slurm_are_counted_and_missed(empty_workplace: Workplace) -> None:
    both = program(empty_workplace, "sinfo", "batch*|(null)|64000|32|10\ngpu|gpu:a100:4(S:0-1)|500000|64|2")
    found = doctor(empty_workplace, "slurm", "--quick", **both)
    assert "partitions batch*, gpu" in found["slurmctld"]
    assert "8 x a100" in found["gpus"]
    empty_workplace.edit("electron_direction/v0.yaml", ("gpus: 0", "gpus: 1"))
    found = doctor(
        empty_workplace, "slurm", "--quick", **program(empty_workplace, "sinfo", "batch*|(null)|64000|32|10")
    )
    assert found["gpus"].startswith("FAIL")
    assert "2 active versions ask for one" in found["gpus"]


def test_slurm_that_is_down_is_told_in_its_own_words(empty_workplace: Workplace) -> None:
    path = program(empty_workplace, "sinfo", "")
    (empty_workplace.folder / "programs/sinfo").write_text("#!/bin/sh\necho 'sinfo: fatal: no plugin' >&2; exit 1\n")
    found = doctor(empty_workplace, "slurm", "--quick", **path)["slurmctld"]
    assert found.startswith("FAIL")
    assert "sinfo: fatal: no plugin (sinfo ends with 1)" in found


def test_slurm_whose_sinfo_tries_for_minutes_is_told_within_seconds(empty_workplace: Workplace) -> None:
    path = program(empty_workplace, "sinfo", "")
    (empty_workplace.folder / "programs/sinfo").write_text("#!/bin/sh\nexec sleep 300\n")
    program(empty_workplace, "scontrol", "")
    (empty_workplace.folder / "programs/scontrol").write_text(
        "#!/bin/sh\necho 'Slurmctld(primary) at vm is DOWN'; exit 1\n"
    )
    begin = time.monotonic()
    found = doctor(empty_workplace, "slurm", "--quick", **path)["slurmctld"]
    assert time.monotonic() - begin < 12
    assert "sinfo does not come back; Slurmctld(primary) at vm is DOWN" in found


def test_gpus_of_htcondor_are_counted_and_held_against_the_floor() -> None:
    a100 = {"DeviceName": "A100", "GlobalMemoryMb": 40960, "Capability": 8.0}
    machine = {"TotalGPUs": 2, "GPUs_GPU_1": a100, "GPUs_GPU_2": a100}
    older = {"TotalGPUs": 1, "GPUs_DeviceName": "V100", "GPUs_GlobalMemoryMb": 32768, "GPUs_Capability": 7.0}
    found = Counter([*queue._gpus_of(machine), *queue._gpus_of(older)])
    finding = queue._gpu_finding(found, 1, 7.5, cpu_only=False)
    assert finding.level == "ok"
    assert finding.text == "2 x A100 40 GB capability 8; 1 x V100 32 GB capability 7; 1 below the floor of 7.5"
    assert queue._gpu_finding(found, 1, 9.0, cpu_only=False).level == "FAIL"
    useless = queue._gpu_finding(found, 0, 7.5, cpu_only=True)
    assert (useless.level, useless.remedy) == ("WARN", "make env ENV=gpu")


@pytest.mark.parametrize(
    ("packages", "backend", "useless"),
    [
        (["tensorflow_cpu-2.21.0"], None, True),
        (["tensorflow_cpu-2.21.0"], "jax", False),
        (["tensorflow-2.21.0", "tensorflow_cpu-2.21.0"], None, False),
        (["tensorflow-2.21.0"], None, False),
    ],
)
def test_the_environment_that_the_site_names_may_have_no_use_for_a_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, packages: list[str], backend: str | None, useless: bool
) -> None:
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    for package in packages:
        (tmp_path / f"lib/python3.12/site-packages/{package}.dist-info").mkdir(parents=True)
    variables = {"KERAS_BACKEND": backend} if backend else {}
    named = Environment(bin=str(tmp_path / "bin"), set=variables)
    assert environment.jobs_cpu_only(named) is useless


def test_a_package_of_another_checkout_is_told(empty_workplace: Workplace) -> None:
    assert doctor(empty_workplace, "local", "--quick")["package"].startswith("ok")
    (empty_workplace.folder / "workflow").unlink()
    shutil.copytree(REPOSITORY / "workflow", empty_workplace.folder / "workflow")
    found = doctor(empty_workplace, "local", "--quick")["package"]
    assert found.startswith("WARN")
    assert "not from this folder" in found
    assert "make env" in found


def test_an_expression_that_does_not_parse_is_found(empty_workplace: Workplace) -> None:
    pytest.importorskip("htcondor2")
    empty_workplace.edit("electron_direction/v0.yaml", ("gpus: 0", "gpus: 0, requirements: '(Memory > 1'"))
    found = doctor(empty_workplace, "htcondor", "--quick")["templates"]
    assert found.startswith("FAIL")
    assert "job train.electron_direction.v0" in found
    assert "requirements = ((Memory > 1) is not a ClassAd expression" in found


@pytest.mark.parametrize(("used", "free_gb"), [(9_000_000, 1.0), (9_999_000, 0.001)])
def test_the_quota_of_afs_is_read(
    empty_workplace: Workplace, monkeypatch: pytest.MonkeyPatch, used: int, free_gb: float
) -> None:
    text = f"Volume Name     Quota       Used %Used   Partition\nwork.me    10000000    {used}   90%         50%"
    monkeypatch.setenv("PATH", program(empty_workplace, "fs", text)["PATH"])
    assert folder._free_gb(Path("/afs/cern.ch/work/m/me"))[0] == pytest.approx(free_gb)


@pytest.mark.parametrize(("ahead_s", "level"), [(0.0, "ok"), (30.0, "WARN"), (-30.0, "WARN")])
def test_a_file_system_with_another_time_is_found(
    empty_workplace: Workplace, monkeypatch: pytest.MonkeyPatch, ahead_s: float, level: str
) -> None:
    monkeypatch.chdir(empty_workplace.folder)
    right = lock.time_of
    monkeypatch.setattr(lock, "time_of", lambda place: right(place) + ahead_s)
    assert next(iter(folder.clock())).level == level


def test_the_environment_of_jobs_is_tried(empty_workplace: Workplace, tmp_path: Path) -> None:
    site = empty_workplace.folder / "configs/sites/slurm.yaml"
    text = site.read_text(encoding="utf-8")
    site.write_text(text.replace("bin: null ", f"bin: {tmp_path} "))
    found = doctor(empty_workplace, "slurm")["job imports"]
    assert found.startswith("FAIL")
    assert str(tmp_path) in found
    site.write_text(text.replace("setup: [] ", 'setup: ["source /nowhere/setup.sh"] '))
    assert "the setup of the site fails: source /nowhere/setup.sh" in doctor(empty_workplace, "slurm")["job imports"]


def test_an_unknown_profile_is_named(empty_workplace: Workplace) -> None:
    result = empty_workplace.run("snpoint", "doctor", "--profile", "htcondr", check=False)
    assert result.returncode == 78
    assert "htcondor" in result.stderr
