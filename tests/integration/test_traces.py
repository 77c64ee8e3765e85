"""The same seeds give the same losses, networks and transitions as when they were recorded."""

from __future__ import annotations

import json
from typing import Any

import pytest
from representative import cases
from traces import CASES, RECORDED, trace

from rommeo_rllib.registration import ALGORITHMS

pytestmark = pytest.mark.usefixtures("ray_session")

RECORDS = json.loads(RECORDED.read_text())
# Each algorithm as it is; and what changes how rows are stored, drawn or computed.
QUICK = [
    *ALGORITHMS,
    "ROMMEO-AC, discrete",
    "ROMMEO-AC, a team, three steps ahead",
    "MADDPG, a team, prioritised replay",
    "MASAC, two Q-networks",
    "MADDPG, replicas",
]


def assert_near(value: Any, recorded: Any, where: str) -> None:
    """Within what other processors and versions of torch round differently."""
    if isinstance(recorded, dict):
        assert value.keys() == recorded.keys(), where
        for key in recorded:
            assert_near(value[key], recorded[key], f"{where}/{key}")
    elif isinstance(recorded, list):
        assert len(value) == len(recorded), where
        for number, (one, other) in enumerate(zip(value, recorded, strict=True)):
            assert_near(one, other, f"{where}/{number}")
    else:
        assert value == pytest.approx(recorded, rel=1e-3, abs=1e-4), where


def test_every_case_is_recorded():
    assert set(RECORDS) == set(CASES)


@pytest.mark.parametrize("case", cases(CASES, QUICK))
def test_a_small_run_computes_what_was_recorded(case):
    assert_near(trace(case), RECORDS[case], case)
