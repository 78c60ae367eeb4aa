"""NPZ files that other programs wrote: any keys, object arrays included, nothing executed."""

from __future__ import annotations

import errno
import math
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
from numpy.lib import format as npy

from snpoint.data.atomic import replacing
from snpoint.data.legacy_pickle import unpickled
from snpoint.errors import DataError, InputMissingError

Arrays = dict[str, npt.NDArray[Any]]

_BROKEN = (ValueError, EOFError, KeyError, OSError, RuntimeError, struct.error, zipfile.BadZipFile, zlib.error)

_OF_CONTENT = (None, errno.EINVAL)
"""``errno`` of an OSError that the content of a file is to blame for: a damaged one makes zipfile seek below 0."""

LARGEST_MEMBER = 8 << 30
"""Bytes that one array may take unpacked; more is a mistake, or a small file that is meant to fill the memory."""


def read_legacy_npz(path: str | Path) -> Arrays:
    """All arrays of an NPZ file.

    Returns
    -------
    dict
        Key -> array. Object arrays come as f8 where their elements are numbers, else as arrays of Python objects.

    Raises
    ------
    InputMissingError
        The file does not exist, or the file system does not give it (which may pass).
    DataError
        It is empty, truncated, or no NPZ file.
    UntrustedInputError
        An object array would execute something; nothing was executed.
    """
    source = Path(path)
    try:
        with source.open("rb") as stream:
            size = stream.seek(0, 2)
    except OSError as error:
        raise _unavailable(source, error) from error
    if size == 0:
        raise DataError(f"{source}: is empty (0 bytes); copy it again, or leave it out")
    try:
        with zipfile.ZipFile(source) as archive:
            members = archive.infolist()
            strange = [info.filename for info in members if not info.filename.endswith(".npy")]
            if strange:  # names have no checksum: a damaged one must not make an array disappear
                raise ValueError(f"member {strange[0]!r} is no array")
            return {info.filename.removesuffix(".npy"): _member(archive, info, source) for info in members}
    except _BROKEN as error:
        if isinstance(error, OSError) and error.errno not in _OF_CONTENT:
            raise _unavailable(source, error) from error
        reason = str(error).strip().split("\n", 1)[0][:120] or type(error).__name__
        raise DataError(f"{source}: not a readable NPZ file ({reason}); copy it again, or leave it out") from error


def write_legacy_npz(path: str | Path, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Write a compressed NPZ, as dense images are nearly all zeros. Object arrays are refused."""
    if any(np.asarray(value).dtype.hasobject for value in arrays.values()):
        raise TypeError(f"{path}: an array holds Python objects")
    with replacing(path) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(stream, allow_pickle=False, **dict(arrays))


def _unavailable(source: Path, error: OSError) -> InputMissingError:
    return InputMissingError(f"{source}: cannot be read ({error.strerror}); check path, permissions and file system")


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, source: Path) -> npt.NDArray[Any]:
    if info.file_size > LARGEST_MEMBER:
        raise ValueError(f"'{info.filename}' takes {info.file_size >> 30} GiB unpacked")
    with archive.open(info) as stream:
        shape, fortran, dtype = _header(stream)
        where = f"{source}: '{info.filename.removesuffix('.npy')}'"
        if dtype == np.dtype(object):
            values = unpickled(stream, where)
            # numpy writes objects as one array of this very shape
            if values.shape != shape:
                raise ValueError(f"'{info.filename}' has shape {values.shape}, but says {shape}")
            return values
        if dtype.hasobject or math.prod(shape) * dtype.itemsize > info.file_size:
            raise ValueError(f"'{info.filename}' is no array of {shape} {dtype}")
        values = np.frombuffer(stream.read(math.prod(shape) * dtype.itemsize), dtype)
        if values.size != math.prod(shape):
            raise ValueError(f"'{info.filename}' is truncated")
        return values.reshape(shape, order="F" if fortran else "C")


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = npy.read_magic(stream)
    readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    if version not in readers:
        raise ValueError(f"array format {version}")
    shape, fortran, dtype = readers[version](stream)
    return shape, fortran, dtype
