"""The three profiles: found from the project folder, complete, explained."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from snpoint.documents import Job
from snpoint.site import load_site

REPOSITORY = Path(__file__).parents[2]
NAMES = ["local", "htcondor", "slurm"]


@pytest.mark.parametrize("name", NAMES)
def test_link_is_committed_as_a_link(name: str) -> None:
    """A checkout without links would turn it into a text file, which Snakemake then reads as YAML."""
    if not (REPOSITORY / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(
        ["git", "ls-files", "--stage", name], cwd=REPOSITORY, check=True, capture_output=True, text=True
    ).stdout
    assert listed.startswith("120000 "), listed
    assert (REPOSITORY / name).readlink() == Path("profiles") / name


@pytest.mark.parametrize("name", NAMES)
def test_dry_run_with_the_profile(name: str, project: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "snakemake", "--profile", name, "-n", "--quiet"],
        cwd=project,
        check=False,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    assert f"Using profile {name} " in run.stderr


@pytest.mark.parametrize("name", NAMES)
def test_every_value_is_explained(name: str) -> None:
    text = (REPOSITORY / f"profiles/{name}/profile.yaml").read_text()
    lines = [
        line for line in text.splitlines() if re.match(r"[a-z]", line) and not re.match(r"executor|templated-", line)
    ]
    assert lines
    assert [line for line in lines if "  # " not in line] == []


@pytest.mark.parametrize("name", ["htcondor", "slurm"])
def test_batch_profile_submits_through_its_template(name: str) -> None:
    profile = yaml.safe_load((REPOSITORY / f"profiles/{name}/profile.yaml").read_text())
    assert (profile["executor"], profile["templated-system"]) == ("templated", name)
    assert (REPOSITORY / profile["templated-template"]).is_file()
    assert load_site(REPOSITORY / profile["templated-site"]).why


@pytest.mark.parametrize("name", ["htcondor", "slurm"])
def test_poll_is_no_more_often_than_the_documented_one(name: str) -> None:
    profile = yaml.safe_load((REPOSITORY / f"profiles/{name}/profile.yaml").read_text())
    every = profile["seconds-between-status-checks"]
    assert f"every {every} s" in (REPOSITORY / "profiles/README.md").read_text()
    assert f"at most {profile['jobs']} in the queue" in (REPOSITORY / "profiles/README.md").read_text()


def test_every_key_of_job_is_explained() -> None:
    """What a version may ask for, and what becomes of it on each system."""
    readme = (REPOSITORY / "profiles/README.md").read_text()
    table = readme[readme.index("| `job:` key |") :].split("\n\n")[0]
    explained = {key for line in table.splitlines()[2:] for key in re.findall(r"`(\w+)`", line.split("|")[1])}
    assert explained == set(Job.model_fields)


def test_nothing_overrides_the_profiles() -> None:
    """Snakemake adds profiles/default to every call, and it wins over the profile that was asked for."""
    assert not (REPOSITORY / "profiles/default").exists()
    assert not (REPOSITORY / "workflow/profiles/default").exists()


def test_no_file_in_a_profile_is_named_like_a_value() -> None:
    """Snakemake replaces a value that is the name of a file in the profile's folder by that file's path."""
    for name in NAMES:
        assert [path.name for path in (REPOSITORY / "profiles" / name).iterdir()] == ["profile.yaml"]


def test_no_other_executor_plugin_is_installed() -> None:
    """Each one is imported at every start of Snakemake: the SLURM one alone takes seconds."""
    for lock in (REPOSITORY / "envs").glob("*.txt"):
        assert "snakemake-executor-plugin" not in lock.read_text(), lock
