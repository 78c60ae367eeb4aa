"""The DAG: the rules and the plan that `snpoint status` judges by say the same, and reading it stays light."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

from workplace import Workplace, listed_jobs, name_of

REPOSITORY = Path(__file__).parents[2]
PLAN = """
import json
from snpoint import plan
nodes = plan.behind(["all", "real_data"])
print(json.dumps([[node.rule, str(node), node.inputs, node.outputs, node.settings_json, node.log] for node in nodes]))
"""


def test_plan_and_rules_cannot_drift(workplace: Workplace) -> None:
    """Every job of the rules is a node of the plan: rule, name, inputs, outputs, settings, log; and the reverse."""
    text = workplace.snakemake("-n", "--forceall", "--printshellcmds", "all", "real_data").stdout
    blocks = re.findall(r"^(?:local)?rule (\w+):\n((?:    .*\n)+)Shell command: (.*)$", text, re.MULTILINE)
    rules = []
    for rule, body, command in blocks:
        if rule in ("all", "real_data"):
            continue
        fields = dict(line.strip().split(": ", 1) for line in body.splitlines())
        words = shlex.split(command)
        settings = words[words.index("--settings") + 1]
        inputs, outputs = (fields.get(name, "").split(", ") for name in ("input", "output"))
        rules.append(
            [rule, name_of(rule, outputs[0]), [path for path in inputs if path], outputs, settings, fields["log"]]
        )
        assert words[:2] == ["snpoint", rule.removesuffix("_real_data")]
        assert words[words.index("--log") + 1] == fields["log"]
    plan = json.loads(workplace.run(sys.executable, "-c", PLAN).stdout)
    assert len(rules) > 30
    assert sorted(rules) == sorted(plan)


def test_nodes_come_after_what_they_need(workplace: Workplace) -> None:
    nodes = json.loads(workplace.run(sys.executable, "-c", PLAN).stdout)
    made: set[str] = set()
    produced = {path for node in nodes for path in node[3]}
    for _, name, inputs, outputs, _, _ in nodes:
        assert made >= set(inputs) & produced, name
        made |= set(outputs)
    assert len({name for _, name, *_ in nodes}) == len(nodes)
    assert len(produced) == sum(len(node[3]) for node in nodes), "no two jobs write the same file"


def test_fresh_project_builds_everything_active_and_nothing_else(empty_workplace: Workplace) -> None:
    text = empty_workplace.snakemake("-n").stdout
    jobs = {name_of(rule, outputs[0]) for rule, outputs in listed_jobs(text) if outputs}
    assert {"simulate sim_es/0000", "train electron_direction/v0", "train electron_direction/v0_raw"} <= jobs
    assert "report index" in jobs
    assert not [name for name in jobs if "30k" in name or "fdhd" in name or "50k" in name]
    states = empty_workplace.states()
    assert set(states) == jobs
    assert set(states.values()) == {"missing"}


def test_one_result_can_be_asked_for_by_its_path(empty_workplace: Workplace) -> None:
    jobs = empty_workplace.dry_run("results/electron_direction/v0/evaluate/metrics.json")
    assert {"train electron_direction/v0", "evaluate electron_direction/v0"} <= jobs
    assert not [name for name in jobs if "raw" in name or name.startswith(("point", "report", "likelihood"))]


def test_every_output_stays_in_its_stage_folder(workplace: Workplace) -> None:
    """The naming law: a stage has the same name as its results folder."""
    for rule, _, _, outputs, _, _ in json.loads(workplace.run(sys.executable, "-c", PLAN).stdout):
        stage = rule.removesuffix("_real_data")
        for path in outputs:
            assert stage in Path(path).parts or path.startswith("results/registry."), path


def test_reading_the_configuration_needs_nothing_heavy() -> None:
    code = (
        "import sys, snpoint.config, snpoint.paths, snpoint.recovery, snpoint.tools.status\n"
        "print([name for name in ('numpy', 'keras', 'tensorflow', 'pandas', 'snakemake') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_rule_files_import_only_what_is_light() -> None:
    modules = set()
    for file in (REPOSITORY / "Snakefile", *(REPOSITORY / "workflow/rules").glob("*.smk")):
        for line in file.read_text(encoding="utf-8").splitlines():
            if match := re.match(r"\s*(?:from|import) (.*)", line):
                modules.add(match[1])
    assert modules == {
        "os",
        "sys",
        "time",
        "functools import cache",
        "snakemake.utils import min_version",
        "snpoint import config as config_files",
        "snpoint import lock",
        "snpoint import jobrequests, paths, preflight, recovery, submissions",
        "snpoint.errors import InputMissingError, SnpointError",
    }
