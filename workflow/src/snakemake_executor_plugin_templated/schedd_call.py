"""One request to HTCondor's daemons, in a process of its own: JSON on standard input, JSON on standard output.

While a daemon does not answer, HTCondor's bindings let no other Python code of their process run, no thread and no
Ctrl-C: with a stopped schedd, 20 s in a query or a removal, and more than a minute in a submission or in the history.
Run by its path: it needs nothing but the bindings.
"""

from __future__ import annotations

import json
import sys
import warnings
from typing import Any

import classad2
import htcondor2


def locate(name: str = "") -> Any:
    """Address of the schedd with this name; of the one that the configuration names, if there is no name."""
    collector, kind = htcondor2.Collector(), htcondor2.DaemonType.Schedd
    default: Any = None
    try:
        default = collector.locate(kind)
    except Exception:
        if not name:
            raise
    if default is not None:
        public = default["Name"] if name == default["Name"] else _public_name(collector, default)
        if name in ("", public):
            return {"ad": str(default), "name": public, "default": True}
    found = collector.locate(kind, name)
    return found and {"ad": str(found), "name": name, "default": False}


def _public_name(collector: Any, schedd: Any) -> str:
    """The name by which other machines find a schedd; one that does not run as root has its user in front of it."""
    names = [
        ad["Name"] for ad in collector.query(htcondor2.AdType.Schedd, f'Machine == "{schedd["Machine"]}"', ["Name"])
    ]
    return str(names[0] if len(names) == 1 else schedd["Name"])


def submit(at: str, text: str, more: dict[str, str], credential: bool) -> Any:
    """Submit one job: its id, and warnings."""
    description = htcondor2.Submit(text)
    for name, value in more.items():
        description[name] = value
    if credential:
        try:
            description.issue_credentials()
        except Exception as error:
            raise RuntimeError(f"Failed to store the Kerberos credential for the pool: {error}") from error
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        job = _schedd(at).submit(description).cluster()
    return {"job": str(job), "warnings": [str(one.message) for one in told]}


def query(at: str, constraint: str, attributes: list[str]) -> list[str]:
    """Jobs in the queue."""
    return [str(ad) for ad in _schedd(at).query(constraint, attributes)]


def history(at: str, constraint: str, attributes: list[str], count: int, stop: str | None) -> list[str]:
    """Jobs that have left the queue, the last one first."""
    return [str(ad) for ad in _schedd(at).history(constraint, attributes, count, stop)]


def remove(at: str, jobs: list[str]) -> None:
    """Remove jobs. The bindings pass a reason on only beside a code."""
    _schedd(at).act(htcondor2.JobAction.Remove, jobs, ("removed by the pipeline", 1))


def slots(constraint: str, attributes: list[str]) -> list[str]:
    """Machines of the pool."""
    return [str(ad) for ad in htcondor2.Collector().query(htcondor2.AdType.Slot, constraint, attributes)]


def _schedd(at: str) -> Any:
    return htcondor2.Schedd(classad2.ClassAd(at))


def main() -> None:
    """Answer the request: ``{"result": ...}``, or ``{"error": what the bindings say}``."""
    request = json.load(sys.stdin)
    calls = {call.__name__: call for call in (locate, submit, query, history, remove, slots)}
    try:
        answer = {"result": calls[request.pop("call")](**request)}
    except Exception as error:  # noqa: BLE001 -- the bindings raise several unrelated classes
        answer = {"error": str(error) or type(error).__name__}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
