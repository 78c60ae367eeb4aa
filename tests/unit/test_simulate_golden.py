"""Simulated chunks are those of the last release: to the digit, or on another kind of machine nearly."""

from __future__ import annotations

import copy
import json
from functools import cache
from typing import Any

import numpy as np
import pytest
import toy_golden

HOW = (
    "if results are meant to change, bump SimulateSettings.code, run `python tests/unit/toy_golden.py` and commit "
    "tests/golden/simulate.json"
)


@cache
def golden() -> dict[str, Any]:
    return dict(json.loads(toy_golden.GOLDEN.read_text(encoding="utf-8")))


@pytest.mark.parametrize("generator", toy_golden.CASES)
def test_results_are_those_of_the_last_release(generator: str) -> None:
    known, found = golden()[generator], toy_golden.record(toy_golden.chunk_of(generator))
    machines = f"written on {golden()['machine']}, this is {toy_golden.machine()}"
    if golden()["machine"] == toy_golden.machine():
        changed = [tree for tree, digest in found["digests"].items() if digest != known["digests"].get(tree)]
        assert [*found["digests"]] == [*known["digests"]] and not changed, f"{changed} changed ({machines}): {HOW}"
    else:
        problems = toy_golden.unlike(known, found)
        assert not problems, f"{problems} ({machines}): {HOW}"


def test_on_another_machine_an_event_may_go_another_way() -> None:
    known = golden()["es"]
    found = copy.deepcopy(known) | {"digests": {}}
    found["rows"]["tps"][0] += 1
    assert toy_golden.unlike(known, found) == []
    found["rows"]["tps"][1:3] = [0, 0]
    assert toy_golden.unlike(known, found) == ["3 of 10 events have other rows"]


def test_on_another_machine_other_random_numbers_are_found() -> None:
    trees = {generator: golden()[generator] for generator in ("electrons", "es", "cc")}
    assert toy_golden.unlike(trees["electrons"], trees["es"])
    assert toy_golden.unlike(trees["es"], trees["cc"])


def test_on_another_machine_another_scale_is_found() -> None:
    trees = toy_golden.chunk_of("es")
    known = toy_golden.record(trees)
    trees["tps"]["adc_integral"] = np.rint(trees["tps"]["adc_integral"] * 1.4).astype(np.uint32)
    assert [line.partition(":")[0] for line in toy_golden.unlike(known, toy_golden.record(trees))] == [
        "mean of tps.adc_integral"
    ]
