"""``snpoint check``: every file under ``results/`` against its contract, and against the checksum of its record."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import click

from snpoint import paths, provenance
from snpoint.errors import DataError, InputMissingError, SnpointError, UsageError

Checker = Callable[[Path], object]


@click.command("check")
@click.argument("folder", type=click.Path(path_type=Path), default=paths.RESULTS)
@click.option("--quick", is_flag=True, help="Skip the checksums.")
def command(folder: Path, quick: bool) -> None:
    """Verify every file below FOLDER (default results/): keys, dtypes, shapes, ranges, format versions, checksums.

    All problems are listed; the exit code is 65 if there is one.
    """
    if not folder.is_dir():
        raise InputMissingError(f"{folder} is not a folder; run this in the project folder, or name one below results/")
    if not folder.resolve().is_relative_to(paths.RESULTS.resolve()):
        raise UsageError(
            f"{folder} is not below ./{paths.RESULTS}; run this in the folder of the project it belongs to"
        )
    problems: list[str] = []
    checked, unknown = 0, []
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")):
        checker = checker_of(path)
        if checker is None:
            unknown.append(path)
            continue
        checked += 1
        problems += contract_problems(path)
        if path.name.endswith("provenance.json") and not quick:
            problems += checksum_problems(path)
    for problem in problems:
        click.echo(problem, err=True)
    for path in unknown:
        click.echo(f"{path}: no contract for this file; it was not made by a stage")
    if problems:
        raise DataError(f"{len(problems)} problems in {checked} files below {folder}")
    click.echo(f"{checked} files below {folder} keep their contracts")


def contract_problems(path: Path) -> list[str]:
    """What is wrong with one file, its checksum aside."""
    checker = checker_of(path)
    try:
        if checker is None:
            raise DataError(f"{path}: no contract for this file; it was not made by a stage")
        checker(path)
    except SnpointError as error:
        return [str(error)]
    return []


def checksum_problems(record: Path) -> list[str]:
    """Outputs that are not what the record beside them says was written."""
    try:
        content = provenance.read(record)
    except DataError:
        return []  # the record itself is already reported
    problems = []
    for name, written in (content or {}).get("outputs", {}).items():
        path = Path(name)
        if not path.exists():
            problems.append(f"{path}: is missing, but {record} says it was written")
        elif provenance.fingerprint(path)["sha256"] != written.get("sha256"):
            problems.append(
                f"{path}: is not what was written (its checksum differs from {record}); run its stage again"
            )
    return problems


def checker_of(path: Path) -> Checker | None:
    """What checks a file, by its name and folder; None for a file that no stage makes."""
    if path.suffix == ".log" and path.parent.name == "logs":
        return _log
    if path.suffix in (".sub", ".sbatch") and path.parent.name == "jobs":
        return _submit_file
    by_name: dict[str, Checker] = {
        "config.yaml": _config,
        "model.keras": _archive,
        "sky.fits": _sky,
    }
    by_suffix: dict[str, Checker] = {
        ".json": _summary,
        ".npz": _arrays,
        ".parquet": _parquet,
        ".root": _tpstream,
        ".csv": _table,
        ".png": _png,
        ".pdf": _pdf,
        ".html": _html,
    }
    return by_name.get(path.name) or by_suffix.get(path.suffix)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputMissingError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not text ({error})") from error


def _log(path: Path) -> None:
    """A log begins with the time and the exact command."""
    first = _text(path).partition("\n")[0]
    if not re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} INFO command: \S.*", first):
        raise DataError(f"{path}: the first line {first!r:.80} is not the command of a stage")


SUBMIT_LINES = {
    ".sub": {
        "executable": r"executable\s*=\s*\S+",
        "log": r"log\s*=\s*\S+",
        "queue, as the last line": r"queue( 1)?\s*\Z",
    },
    ".sbatch": {
        "#!, as the first line": r"\A#!/\S+",
        "#SBATCH --output": r"#SBATCH --output=\S+",
        "a command, as the last line": r"[^#\s].*\s*\Z",
    },
}
"""What each system needs to be told about a job: its name, and how the line looks."""


def _submit_file(path: Path) -> None:
    text = _text(path)
    missing = [
        name for name, line in SUBMIT_LINES[path.suffix].items() if not re.search(f"^{line}", text, re.MULTILINE)
    ]
    if missing:
        raise DataError(f"{path}: not a whole submit file (lacks {', '.join(missing)})")


def _config(path: Path) -> None:
    from snpoint import yamlfile
    from snpoint.documents import Version
    from snpoint.validation import validated

    validated(Version, yamlfile.read(path), str(path))


def _summary(path: Path) -> None:
    from snpoint.data.summaries import SUMMARIES, check_summary, read_strict_json

    if path.name.endswith("provenance.json"):
        content = read_strict_json(path)
        missing = {"format_version", "stage", "state", "settings", "inputs", "command", "code"} - content.keys()
        if missing or content["format_version"] != provenance.FORMAT_VERSION:
            raise DataError(f"{path}: not a provenance record of this version (missing {sorted(missing)})")
    elif path.name in SUMMARIES:
        check_summary(path, SUMMARIES[path.name])
    else:
        raise DataError(f"{path}: no JSON result has this name")


def _arrays(path: Path) -> None:
    from snpoint.data import contracts
    from snpoint.data.results import read_npz
    from snpoint.data.shards import read_shard, read_split

    known = {
        "predictions.npz": contracts.PREDICTIONS,
        "likelihood.npz": contracts.LIKELIHOOD,
        "attributions.npz": contracts.ATTRIBUTIONS,
    }
    if path.name.startswith("shard_"):
        read_shard(path)
    elif path.name == "split.npz":
        read_split(path)
    elif path.name in known:
        arrays = read_npz(path, known[path.name])
        if path.name == "likelihood.npz":
            _check_normalized(path, arrays)
    else:
        raise DataError(f"{path}: no NPZ result has this name")


def _check_normalized(path: Path, arrays: dict) -> None:  # type: ignore[type-arg]
    import numpy as np

    integrals = (arrays["pdf"] * np.diff(arrays["cos_edges"])).sum(axis=-1)
    if np.abs(integrals - 1).max() > 1e-6:
        raise DataError(f"{path}: a row of 'pdf' integrates to {integrals.flat[np.abs(integrals - 1).argmax()]:.6f}")


def _parquet(path: Path) -> None:
    from snpoint.data.tables import CLUSTER_TABLE, TP_TABLE, iter_table, read_sources

    read_sources(path)
    for _ in iter_table(path, CLUSTER_TABLE if path.parent.name == "cluster" else TP_TABLE):
        pass  # reading checks


def _tpstream(path: Path) -> None:
    from snpoint.data.branches import check_branches
    from snpoint.data.tpstream import read_tpstream

    read_tpstream(path)
    check_branches(path)


def _sky(path: Path) -> None:
    from snpoint.data.sky import read_sky

    read_sky(path)


def _table(path: Path) -> None:
    from snpoint.data.columns import TABLES, check_plot_table, check_table

    if path.name in TABLES:
        check_table(path, TABLES[path.name], least=0 if path.name == "registry.csv" else 1)
    else:
        check_plot_table(path)


def _archive(path: Path) -> None:
    """A .keras file is a ZIP with three members; each is read, nothing in it is executed."""
    import zipfile

    try:
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()
            missing = {"config.json", "metadata.json", "model.weights.h5"} - set(archive.namelist())
    except (zipfile.BadZipFile, OSError) as error:
        raise DataError(f"{path}: not a readable .keras file ({error})") from error
    if broken or missing:
        raise DataError(f"{path}: not a readable .keras file (broken {broken}, missing {sorted(missing)})")


def _png(path: Path) -> None:
    _check_ends(path, b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82", "PNG")


def _pdf(path: Path) -> None:
    _check_ends(path, b"%PDF-", b"%%EOF", "PDF")


def _html(path: Path) -> None:
    _check_ends(path, b"<!doctype html", b"</html>", "HTML")


def _check_ends(path: Path, first: bytes, last: bytes, kind: str) -> None:
    content = path.read_bytes().strip()
    if not (content[: len(first)].lower() == first.lower() and content.endswith(last)):
        raise DataError(f"{path}: not a whole {kind} file; run its stage again")
