"""Object arrays of foreign NPZ files, read without executing anything.

An object array is a pickle, and a pickle is a program: it may call any function of any module it names. Here it may
name the five things that numpy itself writes for arrays, and each of them is replaced by a small class of this module
that only keeps what it is given. A pickle that names anything else is refused.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
import re
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from snpoint.errors import UntrustedInputError

Values = npt.NDArray[Any]

_DTYPE = re.compile(r"[<>|=]?(?P<kind>[biufSUO])(?P<size>\d{1,6})")
_NUMBERS = (float, int, bool)


class _Dtype:
    """Stands for ``numpy.dtype``: a kind, a size and a byte order."""

    def __init__(self, code: object = "", *_: object) -> None:
        match = _DTYPE.fullmatch(code) if isinstance(code, str) else None
        if match is None:
            raise ValueError(f"an array of type {code!r:.40}")
        self.kind, self.size, self.order = match["kind"], int(match["size"]), "<"

    def __setstate__(self, state: object) -> None:
        order = state[1] if isinstance(state, tuple) and len(state) > 1 else None
        if order not in ("<", ">", "|", "="):
            raise ValueError(f"a byte order {order!r:.40}")
        self.order = "<" if order in ("|", "=") else order

    def numpy(self) -> np.dtype[Any]:
        """The type itself; there is none for objects."""
        if self.kind == "O":
            raise ValueError("bytes as Python objects")
        return np.dtype(f"{self.order}{self.kind}{self.size}")


class _Array:
    """Stands for ``numpy.ndarray``."""

    value: Values | None = None

    def __setstate__(self, state: object) -> None:
        if not isinstance(state, tuple) or len(state) != 5:
            raise ValueError("an array without its five parts")
        _, shape, dtype, fortran, data = state
        if not (isinstance(shape, tuple) and all(type(size) is int and size >= 0 for size in shape)):
            raise ValueError(f"a shape {shape!r:.40}")
        if not isinstance(dtype, _Dtype):
            raise TypeError("an array without a type")
        flat = _objects(data) if dtype.kind == "O" else _numbers(data, dtype)
        if flat.size != math.prod(shape):
            raise ValueError(f"an array of {flat.size} elements in place of {shape}")
        self.value = flat.reshape(shape, order="F" if fortran else "C")


def _numbers(data: object, dtype: _Dtype) -> Values:
    if not isinstance(data, bytes):
        raise TypeError("an array of numbers without bytes")
    return np.frombuffer(data, dtype.numpy())


def _objects(data: object) -> Values:
    """The elements of an object array, shape (n,): as f8 where all are numbers, else as they are."""
    if not isinstance(data, list):
        raise TypeError("an array of objects without a list")
    if data and type(data[0]) in _NUMBERS:
        try:
            return np.array(data, np.float64)
        except (TypeError, ValueError):
            pass
    objects = np.empty(len(data), object)
    for place, item in enumerate(data):
        objects[place] = item.value if isinstance(item, _Array) else item
    return objects


def _reconstruct(kind: object, *_: object) -> _Array:
    if kind is not _Array:
        raise ValueError("an array of a class of its own")
    return _Array()


def _scalar(dtype: object, data: object = b"") -> Any:
    if not isinstance(dtype, _Dtype) or not isinstance(data, bytes) or len(data) != dtype.numpy().itemsize:
        raise ValueError("a number without bytes")
    return np.frombuffer(data, dtype.numpy())[0].item()


def _encode(text: object, encoding: object = "latin1") -> bytes:
    if not isinstance(text, str) or encoding != "latin1":
        raise ValueError(f"text in {encoding!r:.40}")
    return text.encode("latin1")


_MULTIARRAY = ("numpy.core.multiarray", "numpy._core.multiarray")
_KNOWN: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): _encode,
    **{(module, "_reconstruct"): _reconstruct for module in _MULTIARRAY},
    **{(module, "scalar"): _scalar for module in _MULTIARRAY},
}


_STEPS = {step.code: step for step in pickletools.opcodes}
_PUTS = ("PUT", "BINPUT", "LONG_BINPUT")
_WITHOUT_ARGUMENT = "".join(code for code, step in _STEPS.items() if step.arg is None and step.name != "STOP").encode(
    "latin1"
)
_PLAIN = re.compile(rb"(?:G.{8}|[" + re.escape(_WITHOUT_ARGUMENT) + rb"])*+", re.DOTALL)
"""Steps that cannot be one of `_PUTS`: floats, and those without an argument."""


class _Unpickler(pickle.Unpickler):
    """Knows the names of `_KNOWN` and no others."""

    def __init__(self, stream: IO[bytes], where: str) -> None:
        super().__init__(stream)
        self._where = where

    def find_class(self, module: str, name: str) -> Any:
        found = _KNOWN.get((module, name))
        if found is None:
            raise UntrustedInputError(
                f"{self._where}: loading it would call {module}.{name}, which an array does not need; refused, nothing "
                "was executed"
            )
        return found


def _check_memo(content: bytes) -> None:
    """Check that no step stores an object at a place beyond the length of the pickle.

    The unpickler makes room for all places before it, which for a damaged byte may be 64 GB. Numbers and steps without
    an argument are skipped by a regular expression: images of objects are millions of them.

    Raises
    ------
    ValueError
        One does, or a step is cut off.
    """
    stream, place = io.BytesIO(content), 0
    while True:
        skipped = _PLAIN.match(content, place)
        place = place if skipped is None else skipped.end()
        step = _STEPS.get(content[place : place + 1].decode("latin1"))
        if step is None or step.name == "STOP":
            return  # the unpickler says what is wrong
        stream.seek(place + 1)
        argument: Any = None if step.arg is None else step.arg.reader(stream)
        if step.name in _PUTS and argument > len(content):
            raise ValueError(f"a pickle that stores its object number {argument}")
        place = stream.tell()


def unpickled(stream: IO[bytes], where: str) -> Values:
    """The array of a pickle: f8 where its elements are numbers, else of Python objects (dicts, text, arrays).

    Parameters
    ----------
    stream
        Placed at the beginning of the pickle.
    where
        What errors call it.

    Raises
    ------
    UntrustedInputError
        The pickle names something that is no part of an array.
    ValueError
        It is broken, or holds no array.
    """
    try:
        content = stream.read()
        _check_memo(content)
        result = _Unpickler(io.BytesIO(content), where).load()
    except (pickle.UnpicklingError, EOFError, TypeError, LookupError, AttributeError, OverflowError) as error:
        raise ValueError(f"a broken object array: {error}") from error
    except (RecursionError, MemoryError) as error:
        raise ValueError("an object array that is nested too deeply, or too large for the memory") from error
    if not isinstance(result, _Array) or result.value is None:
        raise ValueError("a pickle that is no array")
    return result.value
