"""A project folder in which the workflow tests work, and how they read what Snakemake and `snpoint status` say."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from quick import Quick


@dataclass
class Workplace:
    """A project folder, and the commands a user types in it."""

    folder: Path
    environment: dict[str, str]
    quick: Quick | None = None
    """Runs dry runs and `snpoint` itself; None starts every command anew."""

    def run(self, *command: str, check: bool = True, **extra: str) -> subprocess.CompletedProcess[str]:
        """Run a command here; `extra` are environment variables."""
        environment = self.environment | extra
        if self.quick is not None and (command[0] == "snpoint" or command[:2] == ("snakemake", "-n")):
            result = subprocess.CompletedProcess(command, *self.quick.run(command, self.folder, environment))
        else:
            result = subprocess.run(
                command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=300
            )
        assert not check or result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
        return result

    def snakemake(self, *arguments: str, check: bool = True, **extra: str) -> subprocess.CompletedProcess[str]:
        """Run Snakemake."""
        return self.run("snakemake", *arguments, check=check, **extra)

    def dry_run(self, *targets: str, options: tuple[str, ...] = ()) -> set[str]:
        """Jobs that `snakemake -n` lists, as 'stage key' (without the rules that only collect)."""
        text = self.snakemake("-n", *targets, *options).stdout
        return {name_of(rule, outputs[0]) for rule, outputs in listed_jobs(text) if outputs}

    def status(self, *targets: str) -> dict[str, Any]:
        """What `snpoint status --json` says."""
        return json.loads(self.run("snpoint", "status", "--json", *targets).stdout)

    def states(self, *targets: str) -> dict[str, str]:
        """State of every stage, by 'stage key'."""
        return {f"{item['stage']} {item['key']}": item["state"] for item in self.status(*targets)["stages"]}

    def edit(self, name: str, *changes: tuple[str, str]) -> None:
        """Replace pieces of a configuration file."""
        path = self.folder / "configs" / name
        text = path.read_text(encoding="utf-8")
        for old, new in changes:
            assert old in text, f"{path}: {old!r} not found"
            text = text.replace(old, new)
        path.write_text(text, encoding="utf-8")

    def append(self, name: str, text: str) -> None:
        """Add lines to a configuration file."""
        with (self.folder / "configs" / name).open("a", encoding="utf-8") as stream:
            stream.write(text)

    def agreed(self, *targets: str) -> set[str]:
        """What the next run makes: the dry run and the status must say the same."""
        jobs = self.dry_run(*(targets or ("all", "real_data")))
        status = self.status(*targets)
        assert {f"{item['stage']} {item['key']}" for item in status["stages"] if item["runs"]} == jobs
        off = {f"{item['stage']} {item['key']}" for item in status["stages"] if item["state"] != "ok"}
        assert off == jobs
        assert status["notices"] == []
        return jobs


def listed_jobs(text: str) -> Iterator[tuple[str, list[str]]]:
    """Rule and outputs of every job in the text of a dry run."""
    for match in re.finditer(r"^(?:local)?rule (\w+):\n((?:    .*\n)+)", text, re.MULTILINE):
        outputs = re.search(r"^    output: (.*)$", match[2], re.MULTILINE)
        yield match[1], outputs[1].split(", ") if outputs else []


def name_of(rule: str, output: str) -> str:
    """'stage key' of a job, from its rule and first output."""
    words = Path(output).with_suffix("").parts[1:]
    if rule in ("simulate", "match", "cluster"):
        return f"{rule} {words[1]}/{words[3]}"
    if rule == "image":
        return f"image {words[1]}/{words[3].removeprefix('shard_')}"
    if rule in ("dataset", "point", "calibrate"):
        return f"{rule} {words[1]}"
    if rule == "predict":
        return f"predict {words[0]}/{words[1]}/{words[3]}"
    if rule.startswith("report"):
        return f"report {words[1]}"
    return f"{rule} {words[0]}/{words[1]}"
