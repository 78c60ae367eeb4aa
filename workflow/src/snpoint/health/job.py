"""What a job finds where it runs: packages, folders, cores, memory, GPUs."""

from __future__ import annotations

import importlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from snpoint import __version__
from snpoint.errors import OutputError
from snpoint.health.environment import GPU_REMEDY, cpu_only
from snpoint.health.finding import Finding, answer, fail, ok, several, warn

PACKAGES = ("numpy", "pandas", "pyarrow", "uproot", "numba", "scipy", "matplotlib", "astropy", "keras")
SLOW_IMPORT_S = 60.0
NO_SUPPORT = "gpu support"
MEGABYTE = 1_000_000


def imports() -> Iterator[Finding]:
    """Every package that a stage imports, with the network's backend; slow ones are named."""
    yield ok("python", f"{sys.version.split()[0]} ({sys.executable}), snpoint {__version__}")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")  # warnings, but not a page about the CPU's instructions
    seconds = {}
    for name in PACKAGES:
        begin = time.monotonic()
        try:
            importlib.import_module(name)
        except Exception as error:  # noqa: BLE001 -- a broken library raises what it likes
            yield fail(
                "imports",
                f"{name}: {type(error).__name__}: {error}".splitlines()[0][:300],
                "install again with `make env`, or name the right folder in the site file (environment.bin)",
            )
            return
        seconds[name] = time.monotonic() - begin
    total, slowest = sum(seconds.values()), max(seconds, key=lambda name: seconds[name])
    text = f"{len(PACKAGES)} packages in {total:.0f} s (slowest {slowest}, {seconds[slowest]:.0f} s)"
    if total > SLOW_IMPORT_S:
        yield warn("imports", text, "put the environment on a faster file system (AFS work or CVMFS, not EOS)")
    else:
        yield ok("imports", text)


def writes(folder: Path) -> Iterator[Finding]:
    """Result and scratch folder take a megabyte and give it back."""
    for name, place in (("results", folder), ("scratch", Path(tempfile.gettempdir()))):
        try:
            seconds = probe_write(place)
        except OutputError as error:
            yield fail(name, str(error), "")
            continue
        free = shutil.disk_usage(place).free / 1e9
        yield ok(name, f"{place.absolute()}: 1 MB written and read in {seconds * 1000:.0f} ms, {free:.1f} GB free")


def probe_write(folder: Path) -> float:
    """Write a file of 1 MB into a folder, read it again and remove it; return the seconds it took.

    Raises
    ------
    OutputError
        It cannot be written, or is not what was written.
    """
    begin, content = time.monotonic(), os.urandom(MEGABYTE)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".probe.") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
            same = Path(stream.name).read_bytes() == content
    except OSError as error:
        raise OutputError(f"{folder}: 1 MB cannot be written here ({error.strerror}); permissions, quota?") from error
    if not same:
        raise OutputError(f"{folder}: what was written is not what is read; do not use this file system")
    return time.monotonic() - begin


def limits(threads: int) -> Iterator[Finding]:
    """Cores, memory and the time of the job."""
    cores = len(os.sched_getaffinity(0))
    asked = os.environ.get("OMP_NUM_THREADS", str(threads))
    text = f"{asked} of {several(cores, 'core')}, {memory_text()}, job {job_id()} on {os.uname().nodename}"
    if cores < threads:
        yield warn("limits", text, f"{several(threads, 'core')} asked for: `cpus` of the site's slots is smaller")
    else:
        yield ok("limits", text)


def memory_text() -> str:
    """Memory of the job's control group, or of the machine."""
    for name in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            text = Path(name).read_text(encoding="ascii").strip()
        except OSError:
            continue
        if text.isdigit() and int(text) < 1 << 50:
            return f"memory limit {int(text) / 1e9:.1f} GB"
    return f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 1e9:.1f} GB in the machine"


def job_id() -> str:
    """Id of the job as the batch system has it."""
    names = ("SNPOINT_JOB_ID", "SLURM_JOB_ID", "_CONDOR_JOB_ID")
    return next((os.environ[name] for name in names if name in os.environ), "(none)")


def environment() -> Iterator[Finding]:
    """Variables that stages read."""
    backend = os.environ.get("KERAS_BACKEND", "(default)")
    data = os.environ.get("SNPOINT_DATA")
    text = f"KERAS_BACKEND {backend}, SNPOINT_DATA {data or '(not set: ./data)'}"
    if data and not Path(data).is_dir():
        yield warn("environment", text, "that folder is not visible here: samples of real files will not be found")
    elif " " in os.environ.get("PYTHONPATH", "") or os.environ.get("PYTHONPATH"):
        yield warn("environment", f"{text}, PYTHONPATH {os.environ['PYTHONPATH']}", "it may hide locked packages")
    else:
        yield ok("environment", text)


def gpus(asked: int) -> Iterator[Finding]:
    """The GPUs that were asked for work: the network's backend computes on one."""
    if not asked:
        yield ok("gpu", "none asked for")
        return
    if cpu_only(_backend()):
        # no machine can help: to be told apart from one whose GPU is broken
        yield fail(NO_SUPPORT, "this environment has no GPU support (tensorflow-cpu)", GPU_REMEDY)
        return
    given = os.environ.get("CUDA_VISIBLE_DEVICES", "(not set)")
    names = (answer("nvidia-smi", "-L") or "nvidia-smi does not answer").strip().splitlines()
    text = f"CUDA_VISIBLE_DEVICES {given}; {'; '.join(names)[:300]}"
    found, computed = _devices()
    if found < asked:
        yield fail(
            "gpu",
            f"{asked} asked for, the network's backend sees {found} ({text})",
            "the node is broken, or its driver too old for this environment: tell the site",
        )
    elif not computed:
        yield fail("gpu", f"{found} seen, but a product of matrices on it is wrong ({text})", "tell the site")
    else:
        yield ok("gpu", f"{found} of {asked} compute; {text}")


def _backend() -> str:
    import keras

    return str(keras.backend.backend())


def _devices() -> tuple[int, bool]:
    """GPUs that the network's backend sees, and whether the first one multiplies correctly."""
    import keras
    import numpy as np

    backend = _backend()
    if backend == "tensorflow":
        import tensorflow

        found = len(tensorflow.config.list_physical_devices("GPU"))
    elif backend == "jax":
        import jax

        found = sum(device.platform == "gpu" for device in jax.devices())
    else:
        import torch

        found = torch.cuda.device_count()
    if not found:
        return 0, False
    matrix = np.arange(64 * 64, dtype="float32").reshape(64, 64) / 4096
    product = keras.ops.convert_to_numpy(keras.ops.matmul(matrix, matrix))
    return found, bool(np.allclose(product, matrix @ matrix, rtol=1e-2))
