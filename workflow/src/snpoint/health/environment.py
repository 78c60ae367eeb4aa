"""Is what is installed what the lock says, here and where the jobs run?"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import snpoint
from snpoint.health.finding import Finding, fail, ok, warn
from snpoint.site import Environment

LOCKS = Path("envs")
OLDEST, NEWEST = (3, 11), (3, 13)
IMPORT_TIMEOUT_S = 300
MOST_SHOWN = 3
GPU_REMEDY = "make env ENV=gpu"


def versions() -> Iterator[Finding]:
    """Python and the packages of this environment against the lock it was made from."""
    python = sys.version_info[:2]
    if not OLDEST <= python <= NEWEST:
        yield fail(
            "versions",
            f"Python {python[0]}.{python[1]} ({sys.executable})",
            "make the environment again with Python 3.11 to 3.13: make env PYTHON=...",
        )
        return
    lock = LOCKS / f"{kind()}.txt"
    if not lock.is_file():
        yield warn("versions", f"{lock} does not exist, so nothing can be compared", "run this in the project folder")
        return
    wanted = locked(lock)
    found = {name: installed(name) for name in wanted}
    wrong = [
        f"{name} {found[name] or 'missing'} instead of {wanted[name]}" for name in wanted if found[name] != wanted[name]
    ]
    if wrong:
        more = f" and {len(wrong) - MOST_SHOWN} more" if len(wrong) > MOST_SHOWN else ""
        remedy = "install the lock again: rm -f .venv/.[a-z]* && make env"
        yield fail("versions", f"not what {lock} says: {', '.join(wrong[:MOST_SHOWN])}{more}", remedy)
    else:
        yield ok("versions", f"Python {python[0]}.{python[1]}, {len(wanted)} packages as in {lock}")


def kind() -> str:
    """Which lock this environment was made from: by the one package in which they differ."""
    if installed("tensorflow-cpu"):
        return "cpu"
    return "gpu" if installed("tensorflow") else "workflow"


def cpu_only(backend: str) -> bool:
    """Whether the network's backend, as it is installed here, can use no GPU on any machine."""
    return backend == "tensorflow" and kind() == "cpu" and installed("tensorflow") is None


def jobs_cpu_only(environment: Environment) -> bool:
    """The same of the environment that the site gives to jobs."""
    backend = os.environ.get("KERAS_BACKEND") if "KERAS_BACKEND" in environment.passed else None
    backend = environment.set.get("KERAS_BACKEND") or backend or "tensorflow"
    if environment.bin is None:
        return cpu_only(backend)
    packages = Path(environment.bin).parent.glob("lib/python*/site-packages/tensorflow*.dist-info")
    names = {path.name.partition("-")[0] for path in packages}
    return backend == "tensorflow" and "tensorflow_cpu" in names and "tensorflow" not in names


def package() -> Iterator[Finding]:
    """Whether the package that runs is the one of this folder."""
    here, runs = Path("workflow/src/snpoint").resolve(), Path(snpoint.__file__).resolve().parent
    if here == runs or not here.is_dir():
        yield ok("package", f"snpoint {snpoint.__version__}, {runs}")
    else:
        text = f"snpoint is run from {runs}, and not from this folder: edits in workflow/src here do nothing"
        yield warn("package", text, "make an environment here: make env, then source .venv/bin/activate")


def locked(path: Path) -> dict[str, str]:
    """Packages of a lock that this interpreter needs, with their versions."""
    from packaging.requirements import Requirement

    wanted = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if re.match(r"[A-Za-z0-9]", line):
            requirement = Requirement(line.rstrip(" \\"))
            if requirement.marker is None or requirement.marker.evaluate():
                wanted[requirement.name] = next(iter(requirement.specifier)).version
    return wanted


def installed(name: str) -> str | None:
    """Version of an installed package."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def in_jobs(environment: Environment) -> Iterator[Finding]:
    """The job's environment, as the site file makes it from nothing: does it start, and does it find the packages?

    Raises
    ------
    subprocess.TimeoutExpired
        It does not come to an end.
    """
    folder = Path(environment.bin) if environment.bin else Path(sys.executable).parent
    test = "import keras, numpy, snpoint, uproot; print(snpoint.__version__, keras.__version__)"
    exports = [f"export {name}={shlex.quote(value)}" for name, value in environment.set.items()]
    script = [
        *(f"{line}\n{_or_say(line)}" for line in environment.setup),
        f'export PATH={shlex.quote(str(folder))}:"$PATH"',
        *exports,
        f"command -v snpoint >/dev/null && {shlex.quote(str(folder / 'python'))} -c {shlex.quote(test)}",
    ]
    passed = {name: os.environ[name] for name in environment.passed if name in os.environ}
    result = subprocess.run(
        ["/bin/bash", "-c", "\n".join(script)],
        env=passed | {"PATH": "/usr/local/bin:/usr/bin:/bin", "TF_CPP_MIN_LOG_LEVEL": "2"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=IMPORT_TIMEOUT_S,
    )
    if result.returncode:
        last = (result.stderr.strip() or "the command snpoint is not there").splitlines()[-1][:300]
        yield fail("job imports", f"in {folder}: {last}", "make env, or correct `environment:` of the site file")
    else:
        yield ok("job imports", f"in {folder}: snpoint and keras {result.stdout.strip()}")


def _or_say(line: str) -> str:
    """As in a job's wrapper: a line of the site's setup that fails ends the job."""
    return f"[ $? = 0 ] || {{ echo the setup of the site fails: {shlex.quote(line)} >&2; exit 69; }}"
