"""Site files and the user's own settings."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from snakemake_executor_plugin_templated.fields import JobFields, check_ceiling, memory_warning
from snpoint.errors import ConfigError
from snpoint.settings import Section
from snpoint.site import Site, UserSettings, load_site, load_user

REPOSITORY = Path(__file__).parents[2]
SHIPPED = sorted((REPOSITORY / "configs/sites").glob("*.yaml"))
PATHS = {"wrapper": "/project/a.sh", "log": "/project/log", "stdout": "/project/out"}


def site_of(tmp_path: Path, text: str) -> Site:
    path = tmp_path / "here.yaml"
    path.write_text(text)
    return load_site(path)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_site_says_everything(path: Path) -> None:
    """A reader of the file sees every setting that there is, and every number has its reason beside it."""

    def missing(model: type[Section], content: dict[str, object]) -> list[str]:
        found = []
        for name, field in model.model_fields.items():
            key = field.alias or name
            if key not in content:
                found.append(key)
            elif isinstance(field.annotation, type) and issubclass(field.annotation, Section):
                found += missing(field.annotation, content[key])
        return found

    load_site(path)
    assert missing(Site, yaml.safe_load(path.read_text())) == []
    numbers = [line for line in path.read_text().splitlines() if line.rstrip().split("#")[0].strip()[-1:].isdigit()]
    assert [line for line in numbers if "  # " not in line] == []


def test_without_a_site_nothing_is_refused() -> None:
    site = load_site(None)
    check_ceiling(JobFields("a", **PATHS, threads=10_000, mem_mb=10**9, gpus=99), site)
    assert memory_warning(JobFields("a", **PATHS, mem_mb=10**9), site) is None
    assert UserSettings().defaults(site).keys() == {"warn_s", "overrun_s"}


@pytest.mark.parametrize(
    ("field", "value", "key"),
    [("threads", 9, "cpus"), ("mem_mb", 20_001, "memory_gb"), ("runtime_min", 61, "runtime_h"), ("gpus", 2, "gpus")],
)
def test_request_above_the_ceiling_is_named(tmp_path: Path, field: str, value: int, key: str) -> None:
    site = site_of(tmp_path, "ceiling: {cpus: 8, memory_gb: 20.0, runtime_h: 1.0, gpus: 1}\n")
    check_ceiling(JobFields("a", **PATHS, threads=8, mem_mb=20_000, runtime_min=60, gpus=1), site)
    with pytest.raises(ConfigError, match=rf"job a: {key} = .*here\.yaml: ceiling\.{key}"):
        check_ceiling(JobFields("a", **PATHS, **{field: value}), site)


def test_folder_where_no_job_can_work_is_refused_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "eos").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "eos")
    site = site_of(tmp_path, f"refuse_folders: {{{tmp_path}/eos: the schedd refuses it}}\n")
    for path in (tmp_path / "eos/project", tmp_path / "link/project"):
        assert "the schedd refuses it" in str(site.refusal(path))
    assert site.refusal(tmp_path / "eos_backup") is None
    image = JobFields("a", **PATHS, container_image=f"{tmp_path}/eos/x.sif")
    with pytest.raises(ConfigError, match="the schedd refuses it"):
        check_ceiling(image, site)


def test_lxplus_refuses_eos() -> None:
    site = load_site(REPOSITORY / "configs/sites/lxplus.yaml")
    assert "AFS" in str(site.refusal("/eos/user/s/somebody/snpoint"))
    assert site.refusal("/afs/cern.ch/work/s/somebody/snpoint") is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ceilings: {}\n", "unknown key 'ceilings' = {}; did you mean 'ceiling'?"),
        ("payload: {stdout_mb: a lot}\n", "payload.stdout_mb"),
        ("job: {partitoin: gpu}\n", "job.partitoin = \"gpu\": not a key of a site's job; did you mean 'partition'?"),
        ("job: {accounting_group: group_u_X}\n", 'job.accounting_group = "group_u_X": it says who is charged'),
        (
            "celling: {}\njop: {}\n",
            "unknown key 'celling' = {}; did you mean 'ceiling'?; unknown key 'jop' = {}; did you mean 'job'?",
        ),
    ],
)
def test_wrong_site_file_is_one_line_that_names_it(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        site_of(tmp_path, text)
    assert said in str(caught.value)
    assert str(caught.value).startswith(str(tmp_path / "here.yaml"))


def test_user_wins_over_site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = site_of(tmp_path, "job: {partition: batch, qos: normal}\ngpu_capability: 7.5\n")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert load_user() == UserSettings()
    (tmp_path / "snpoint").mkdir()
    (tmp_path / "snpoint/user.yaml").write_text("job: {partition: gpu, accounting_group: group_u_X}\n")
    defaults = load_user().defaults(site)
    wanted = {"partition": "gpu", "qos": "normal", "accounting_group": "group_u_X", "gpu_capability": 7.5}
    assert wanted.items() <= defaults.items()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "job: {acounting_group: group_u_X}\n",
            "job.acounting_group = \"group_u_X\": .*did you mean 'accounting_group'",
        ),
        ("job: {memory_gb: 500}\n", r"job\.memory_gb = 500: not a key of user\.yaml's job; .*`job:` of its own file"),
        ("job: {acount: a, cpus: 3}\n", "job.acount = .*'account'\\?; nor is 'cpus'"),
        ("job: {account: 12}\n", "job.account = 12: input should be a valid string"),
        ("job: {account: dune\n\n", "user.yaml, line 1: "),
        ("job:\n  account: 'dune\n", "user.yaml, line 2: "),
    ],
)
def test_wrong_user_setting_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, said: str) -> None:
    write_user(tmp_path, monkeypatch, text)
    with pytest.raises(ConfigError, match=said):
        load_user()


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "job:\n", "job: {}\n"])
def test_user_file_without_settings_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    write_user(tmp_path, monkeypatch, text)
    assert load_user() == UserSettings()


def write_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """The settings of the user whose configuration folder is ``tmp_path``."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "snpoint").mkdir()
    (tmp_path / "snpoint/user.yaml").write_text(text)
