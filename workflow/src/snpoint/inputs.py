"""Which files a sample consists of, chunk by chunk.

Files are found by their patterns, or named by the sample's manifest: a frozen list with sizes and checksums that
`snpoint freeze` writes. A sample of a production that is not here has a simulated stand-in of equal size.
"""

from __future__ import annotations

import csv
import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from snpoint import paths
from snpoint.documents import Background, Sample
from snpoint.errors import ConfigError, InputMissingError
from snpoint.inheritance import config_file

STAND_IN = "stand_in"
"""How the production tag of a stand-in begins."""
MANIFEST_COLUMNS = ("file", "bytes", "sha256")


@dataclass(frozen=True)
class Frozen:
    """One line of a manifest."""

    file: str
    bytes: int
    sha256: str


def is_stand_in(sample: Sample) -> bool:
    """Whether simulated files take the place of a production that is not here ($SNPOINT_PRODUCTION is not set)."""
    return sample.source == "files" and sample.folder == "production" and not os.environ.get("SNPOINT_PRODUCTION")


def is_simulated(sample: Sample) -> bool:
    """Whether the pipeline makes the files itself."""
    return sample.source == "simulated" or is_stand_in(sample)


def simulated_tag(name: str, sample: Sample) -> str | None:
    """Production tag of files that the pipeline makes itself; None for others, which are known by their names."""
    if not is_simulated(sample):
        return None
    return f"{STAND_IN}:{name}" if is_stand_in(sample) else f"simulated:{name}"


def made_from_files(name: str) -> bool:
    """Whether the sample's results here come from files that the pipeline did not make, by the first record found."""
    for record in sorted(Path(paths.chunk("match", name, paths.chunk_name(0))).parent.glob("*.provenance.json")):
        used = json.loads(record.read_text(encoding="utf-8")).get("inputs", {})
        return any(not str(path).startswith(f"{paths.RESULTS}/") for path in used)
    return False


def stand_in_notice(name: str, sample: Sample) -> str | None:
    """What to say about a sample that stands in for a production, in a frame; None if it does not."""
    if not is_stand_in(sample):
        return None
    events = (sample.chunks or 0) * sample.simulate.events_per_chunk
    lines = (
        f"STAND-IN: SNPOINT_PRODUCTION is not set: '{name}' is SIMULATED ({events:,} events, {sample.chunks} chunks).",
        "Nothing made from it says anything about the production. Set the variable to the folder of the files.",
    )
    bar = "*" * (max(map(len, lines)) + 4)
    return "\n".join((bar, *(f"* {line:<{len(bar) - 4}} *" for line in lines), bar))


def folder_of(sample: Sample) -> Path:
    """Where relative file names lie: ``$SNPOINT_PRODUCTION``, ``$SNPOINT_DATA``, or ``./data``."""
    if sample.folder == "production":
        return Path(os.environ.get("SNPOINT_PRODUCTION") or ".").expanduser()
    return Path(os.environ.get("SNPOINT_DATA") or "data").expanduser()


def n_chunks(name: str, sample: Sample) -> int:
    """Number of chunks.

    Raises
    ------
    ConfigError
        A simulated sample, or a stand-in, does not say how many.
    InputMissingError
        The files are not there.
    """
    if not is_simulated(sample):
        return math.ceil(len(files(name, sample)) / sample.files_per_job)
    if sample.chunks is None:
        raise ConfigError(f"{config_file('samples', name)}: chunks: null; say how many chunks are to be simulated")
    return sample.chunks


def chunk_files(name: str, sample: Sample, chunk: str) -> list[str]:
    """TPStream files of one chunk: the simulated one, or the next ``files_per_job`` files of the sample.

    Raises
    ------
    InputMissingError
        There is no such chunk.
    """
    if is_simulated(sample):
        return [paths.chunk("simulate", name, chunk)]
    found, first = files(name, sample), int(chunk) * sample.files_per_job
    if first >= len(found):
        raise InputMissingError(f"{config_file('samples', name)}: has no chunk {chunk}; it has {len(found)} files")
    return list(found[first : first + sample.files_per_job])


def background_files(name: str, sample: Sample, pool: Sample, chunk: str) -> list[str]:
    """Files of the background pool for one chunk: each of the pool's files belongs to one chunk of one sample.

    Raises
    ------
    InputMissingError
        The pool has too few files, and ``match.overlay.shortage`` does not allow it.
    """
    background = sample.background
    if background is None:
        return []
    own = _pool_files(background, pool)[background.part :: background.of]
    first = int(chunk) * background.files_per_chunk
    needed = n_chunks(name, sample) * background.files_per_chunk
    if len(own) < needed and sample.match.overlay.shortage == "error":
        raise InputMissingError(
            f"{config_file('samples', name)}: background: {needed} files are needed, part {background.part} of "
            f"{background.of} of '{background.sample}' has {len(own)}; add files, take more files per job, or set "
            "match.overlay.shortage to 'leave' (the other events stay without background)"
        )
    return list(own[first : first + background.files_per_chunk])


def _pool_files(background: Background, pool: Sample) -> Sequence[str]:
    if is_simulated(pool):
        chunks = range(n_chunks(background.sample, pool))
        return [paths.chunk("simulate", background.sample, paths.chunk_name(index)) for index in chunks]
    return files(background.sample, pool)


def checksums(name: str, sample: Sample, chunk: str) -> Mapping[str, str]:
    """End of a file's path -> checksum it must have: what the sample names, and of its manifest the chunk's own."""
    if is_simulated(sample) or not manifest(name):
        return sample.match.sha256
    folder = folder_of(sample)
    own = set(chunk_files(name, sample, chunk))
    frozen = {entry.file: entry.sha256 for entry in manifest(name) if str(folder / entry.file) in own}
    return frozen | sample.match.sha256


_FILES: dict[tuple[str, Path], tuple[str, ...]] = {}


def files(name: str, sample: Sample) -> tuple[str, ...]:
    """All files of a sample of real files: those of its manifest, else in the order of the patterns, sorted in each.

    Raises
    ------
    InputMissingError
        A pattern matches nothing, or a file of the manifest is not there.
    """
    folder = folder_of(sample)
    if (name, folder) not in _FILES:
        _FILES[name, folder] = _frozen(name, folder) if manifest(name) else matching(name, sample)
    return _FILES[name, folder]


def _frozen(name: str, folder: Path) -> tuple[str, ...]:
    found = [str(folder / entry.file) for entry in manifest(name)]
    missing = [file for file in found if not Path(file).exists()]
    if missing:
        raise InputMissingError(
            f"{paths.manifest(name)}: {len(missing)} of {len(found)} files are not in {folder.absolute()}, such as "
            f"{missing[0]}; bring them back, or remove the manifest and freeze anew (snpoint freeze {name})"
        )
    return tuple(found)


def matching(name: str, sample: Sample) -> tuple[str, ...]:
    """Files that the sample's patterns find now, whatever its manifest says.

    Raises
    ------
    InputMissingError
        A pattern matches nothing.
    ConfigError
        A pattern of files to leave out fits none.
    """
    found: dict[str, None] = {}
    for pattern in sample.files:
        absolute = Path(pattern).is_absolute()
        base = Path(Path(pattern).anchor) if absolute else folder_of(sample)
        matches = sorted(str(path) for path in base.glob(str(Path(pattern).relative_to(base) if absolute else pattern)))
        if not matches:
            variable = "SNPOINT_PRODUCTION" if sample.folder == "production" else "SNPOINT_DATA"
            raise InputMissingError(
                f"{config_file('samples', name)}: files: '{pattern}' matches nothing in {base.absolute()}; "
                f"set {variable} to the folder that holds it (docs/data.md)"
            )
        found.update(dict.fromkeys(matches))
    left_out = [pattern for pattern in sample.exclude if not any(_fits(file, pattern) for file in found)]
    if left_out:
        raise ConfigError(f"{config_file('samples', name)}: exclude: '{left_out[0]}' fits no file of the sample")
    return tuple(file for file in found if not any(_fits(file, pattern) for pattern in sample.exclude))


def _fits(file: str, pattern: str) -> bool:
    """Whether the last parts of a path fit a pattern of as many parts."""
    return Path(file).match(pattern)


@cache
def manifest(name: str) -> tuple[Frozen, ...]:
    """The sample's frozen list of files; empty if it has none.

    Raises
    ------
    ConfigError
        The manifest is no table of file, bytes and sha256.
    """
    path = paths.manifest(name)
    if not path.exists():
        return ()
    with path.open(encoding="utf-8", newline="") as stream:
        lines = list(csv.reader(stream))
    try:
        if tuple(lines[0]) != MANIFEST_COLUMNS:
            raise ValueError(f"columns {lines[0]}")
        return tuple(Frozen(file, int(size), digest) for file, size, digest in lines[1:])
    except (ValueError, IndexError) as error:
        raise ConfigError(f"{path}: not a manifest ({error}); write it again: snpoint freeze {name}") from error
