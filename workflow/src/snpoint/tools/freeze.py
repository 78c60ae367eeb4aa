"""``snpoint freeze``: the input files of a sample, once and for all, with sizes and checksums."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import click

from snpoint import config, inputs, paths
from snpoint.atomic import write_text
from snpoint.documents import Sample
from snpoint.errors import DataError, UsageError
from snpoint.provenance import fingerprint


@click.command()
@click.argument("sample")
@click.option("--check", is_flag=True, help="Compare the files with the manifest instead of writing one.")
def command(sample: str, check: bool) -> None:
    """Freeze the list of files of SAMPLE in configs/manifests/SAMPLE.csv.

    From then on the sample is these files, with these checksums, whatever appears beside them: commit the manifest.
    Freezing again takes in new files (after the old ones, so that chunks stay what they are) and refuses if an old
    one is gone or has changed.
    """
    content = config.load_sample(sample)
    if inputs.is_simulated(content):
        raise UsageError(f"sample '{sample}' is simulated here: there are no files to freeze (is a variable not set?)")
    folder, manifest = inputs.folder_of(content), paths.manifest(sample)
    known = {entry.file: entry for entry in inputs.manifest(sample)}
    changed = [name for name, entry in known.items() if _state(folder, entry) != "as it was"]
    for name in changed:
        click.echo(f"{folder / name}: {_state(folder, known[name])}", err=True)
    if changed:
        raise DataError(
            f"{manifest}: {len(changed)} of {len(known)} files are not as they were; bring them back, or remove the "
            "manifest and freeze anew (which makes every chunk of the sample stale)"
        )
    new = [name for name in _names(sample, content, folder) if name not in known]
    if check:
        click.echo(f"{manifest}: {len(known)} files are as they were, {len(new)} are not in it")
        return
    with click.progressbar(new, label=f"checksums of {len(new)} files", item_show_func=str) as names:
        entries = [*known.values(), *(_frozen(folder, name) for name in names)]
    _refuse_useless(sample, entries)
    _write(manifest, entries)
    click.echo(f"{manifest}: {len(entries)} files, {sum(entry.bytes for entry in entries) / 1e6:.1f} MB")


def _state(folder: Path, entry: inputs.Frozen) -> str:
    """Whether a file is still what the manifest says."""
    if not (folder / entry.file).exists():
        return "is gone"
    return "as it was" if _frozen(folder, entry.file) == entry else "has changed"


def _refuse_useless(sample: str, entries: list[inputs.Frozen]) -> None:
    """Files that are empty, or copies of others, do not belong into a list that is to last."""
    first: dict[str, str] = {}
    useless = []
    for entry in entries:
        copied = first.setdefault(entry.sha256, entry.file)
        if entry.bytes == 0:
            useless.append(f"{entry.file} is empty")
        elif copied != entry.file:
            useless.append(f"{entry.file} is a copy of {copied}")
    if useless:
        raise DataError(
            f"sample '{sample}': {'; '.join(useless[:3])}{f' and {len(useless) - 3} more' if len(useless) > 3 else ''};"
            f" leave them out by `exclude:` in configs/samples/{sample}.yaml"
        )


def _names(sample: str, content: Sample, folder: Path) -> list[str]:
    """Files that the patterns find, relative to the folder where they are below it."""
    found = map(Path, inputs.matching(sample, content))
    return [str(path.relative_to(folder) if path.is_relative_to(folder) else path) for path in found]


def _frozen(folder: Path, name: str) -> inputs.Frozen:
    found = fingerprint(folder / name)
    return inputs.Frozen(name, found["bytes"], found["sha256"])


def _write(path: Path, entries: list[inputs.Frozen]) -> None:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(inputs.MANIFEST_COLUMNS)
    table.writerows((entry.file, entry.bytes, entry.sha256) for entry in entries)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, text.getvalue())
