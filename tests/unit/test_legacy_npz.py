"""NPZ files of others: object arrays are read, and nothing in them is executed."""

import errno
import io
import os
import pickle
import zipfile
from collections import OrderedDict
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib import format as npy

from snpoint.data.legacy_npz import read_legacy_npz, write_legacy_npz
from snpoint.data.legacy_pickle import unpickled
from snpoint.errors import DataError, InputMissingError, UntrustedInputError


def write_object(path: Path, content: bytes, shape: tuple = (1,)) -> Path:
    """An NPZ with one object array whose pickle is written by hand."""
    member = io.BytesIO()
    npy.write_array_header_1_0(member, {"descr": "|O", "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.npy", member.getvalue() + content)
    return path


class Malicious:
    """Leaves a mark where it is loaded."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


def test_numbers_and_records_come_back_as_they_were_written(tmp_path):
    images = np.random.default_rng(1).uniform(0, 900, (3, 5, 7)).astype(np.float32)
    records = [
        {"event": 7, "plane": "X", "energy": np.float64(12.5), "shape": (208, 1242), "flag": True, "at": np.arange(3)}
    ]
    np.savez_compressed(
        tmp_path / "volumes.npz",
        images=np.array(list(images), dtype=object),
        metadata=np.array(records, dtype=object),
        plain=np.arange(4),
    )
    arrays = read_legacy_npz(tmp_path / "volumes.npz")
    np.testing.assert_array_equal(arrays["images"], images)
    assert arrays["images"].dtype == np.float64
    assert arrays["plain"].tolist() == [0, 1, 2, 3]
    found = arrays["metadata"][0]
    assert found.pop("at").value.tolist() == [0, 1, 2]
    assert found == {"event": 7, "plane": "X", "energy": 12.5, "shape": (208, 1242), "flag": True}
    assert type(found["energy"]) is float


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_every_protocol_of_pickle_is_read(protocol):
    array = np.empty(3, object)
    array[:] = [{"a": 1.5}, "text", np.float32(2.5)]
    content = io.BytesIO(pickle.dumps(array, protocol))
    assert unpickled(content, "here").tolist() == [{"a": 1.5}, "text", 2.5]


@pytest.mark.parametrize("module", [b"numpy.core.multiarray", b"numpy._core.multiarray"])
def test_names_of_old_and_new_numpy_are_known(module):
    content = pickle.dumps(np.array([1.5, "x"], object), 2)
    written = content.replace(b"numpy._core.multiarray", module).replace(b"numpy.core.multiarray", module)
    assert unpickled(io.BytesIO(written), "here").tolist() == [1.5, "x"]


def test_code_in_an_object_array_is_refused_and_not_executed(tmp_path):
    mark = tmp_path / "executed"
    array = np.array([{"event": 1, "hidden": [Malicious(mark)]}], object)
    np.savez(tmp_path / "bad.npz", metadata=array)
    with pytest.raises(
        UntrustedInputError, match=r"bad\.npz: 'metadata': loading it would call .*mkdir.* refused"
    ) as info:
        read_legacy_npz(tmp_path / "bad.npz")
    assert info.value.exit_code == 77
    assert not mark.exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("builtins.eval", eval),
        ("builtins.getattr", getattr),
        ("functools.partial", partial(print)),
        ("collections.OrderedDict", OrderedDict(a=1)),
        ("numpy.load", np.load),
        ("pathlib", Path("x")),
        ("numpy.matrix", np.matrix),
        ("numpy.memmap", np.memmap),
    ],
)
def test_only_the_parts_of_arrays_may_be_named(name, value, tmp_path):
    path = write_object(tmp_path / "bad.npz", pickle.dumps(np.array([value, 0], object)[:1]))
    with pytest.raises(UntrustedInputError, match=name.partition(".")[0]):
        read_legacy_npz(path)


@pytest.mark.parametrize(
    "content",
    [
        pickle.dumps([1.0]),
        pickle.dumps({"a": 1}),
        pickle.dumps(np.dtype("f8")),
        b"",
        b"not a pickle at all",
        b"]r\xff\xff\xff\xff.",
        b"]p4294967295\n.",
        b"cnumpy._core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I99999999999\ntS'b'\ntR.",
        b"cnumpy._core.multiarray\n_reconstruct\n(cnumpy\ndtype\n(I0\ntS'b'\ntR.",
        b"cnumpy\ndtype\n(S'O8,f4,V100000000'\ntR.",
        b"c_codecs\nencode\n(S'x'\nS'zlib'\ntR.",
        b"cnumpy\nndarray\n.",
    ],
)
def test_pickles_that_are_no_array_are_broken(content, tmp_path):
    with pytest.raises(DataError, match=r"bad\.npz: not a readable NPZ file"):
        read_legacy_npz(write_object(tmp_path / "bad.npz", content))


@settings(max_examples=300)
@given(at=st.floats(0, 0.999), byte=st.integers(0, 255))
def test_a_damaged_pickle_is_an_array_or_one_of_two_errors(at, byte):
    content = bytearray(pickle.dumps(np.array([{"event": 7, "x": np.float32(1.5), "n": (1, 2)}, "text"], object), 4))
    content[int(at * len(content))] = byte
    with suppress(ValueError, UntrustedInputError):
        assert isinstance(unpickled(io.BytesIO(bytes(content)), "here"), np.ndarray)


def test_an_array_that_claims_another_shape_is_broken(tmp_path):
    content = pickle.dumps(np.array([1.0, 2.0], object))
    with pytest.raises(DataError, match=r"has shape \(2,\), but says \(5,\)"):
        read_legacy_npz(write_object(tmp_path / "bad.npz", content, (5,)))


def test_a_header_that_asks_for_all_memory_is_broken(tmp_path):
    member = io.BytesIO()
    npy.write_array_header_1_0(member, {"descr": "<f8", "fortran_order": False, "shape": (1 << 50,)})
    with zipfile.ZipFile(tmp_path / "bad.npz", "w") as archive:
        archive.writestr("images.npy", member.getvalue() + bytes(64))
    with pytest.raises(DataError, match="is no array of"):
        read_legacy_npz(tmp_path / "bad.npz")


@given(cut=st.floats(0, 0.999))
def test_truncated_files_are_named(cut, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cut")
    np.savez(folder / "whole.npz", metadata=np.array([{"a": 1}] * 5, object), images=np.arange(100.0))
    content = (folder / "whole.npz").read_bytes()
    (folder / "cut.npz").write_bytes(content[: int(cut * len(content))])
    with pytest.raises(DataError, match=r"cut\.npz: (is empty|not a readable NPZ)"):
        read_legacy_npz(folder / "cut.npz")


def test_a_missing_file_is_no_broken_file(tmp_path):
    with pytest.raises(InputMissingError, match=r"absent\.npz: cannot be read"):
        read_legacy_npz(tmp_path / "absent.npz")


@pytest.mark.parametrize("code", [errno.EIO, errno.ESTALE, errno.EACCES])
def test_trouble_of_the_file_system_is_no_broken_file(code, tmp_path, monkeypatch):
    def fails(*_):
        raise OSError(code, os.strerror(code))

    np.savez(tmp_path / "good.npz", images=np.arange(4))
    monkeypatch.setattr(zipfile.ZipExtFile, "read", fails)
    with pytest.raises(InputMissingError, match=rf"good\.npz: cannot be read \({os.strerror(code)}\)"):
        read_legacy_npz(tmp_path / "good.npz")


@given(at=st.floats(0, 0.999), byte=st.integers(0, 255))
def test_a_damaged_file_is_read_or_broken_and_never_missing(at, byte, tmp_path_factory):
    path = tmp_path_factory.mktemp("damaged") / "damaged.npz"
    np.savez(path, metadata=np.array([{"a": 1}] * 5, object), images=np.arange(10.0))
    content = bytearray(path.read_bytes())
    content[int(at * len(content))] = byte
    path.write_bytes(content)
    try:
        outcome: object = set(read_legacy_npz(path))
    except Exception as error:  # noqa: BLE001 -- whatever it is, it must be one of two
        outcome = error
    # A flipped byte may also be in the name of a member, or leave the file as it was.
    assert isinstance(outcome, (DataError, UntrustedInputError)) or len(outcome) == 2, repr(outcome)


def test_structured_and_column_major_arrays_are_read(tmp_path):
    array = np.asfortranarray(np.arange(12.0).reshape(3, 4))
    np.savez(tmp_path / "f.npz", f=array, scalar=np.array("canonical"))
    found = read_legacy_npz(tmp_path / "f.npz")
    np.testing.assert_array_equal(found["f"], array)
    assert str(found["scalar"]) == "canonical"


def test_objects_are_never_written(tmp_path):
    with pytest.raises(TypeError, match="holds Python objects"):
        write_legacy_npz(tmp_path / "out.npz", {"metadata": np.array([{}], object)})
    assert not list(tmp_path.iterdir())
