"""Load with a malformed fifth, by the very script that measures it; see perf/soak.py for what it looks for."""

import json
import subprocess
import sys
from typing import Any

import pytest


def soak(*arguments: str, seconds: float) -> dict[str, Any]:
    done = subprocess.run([sys.executable, "-m", "perf.soak", *arguments], capture_output=True, text=True,
                          timeout=seconds, check=False)  # fmt: skip
    assert done.stdout, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_good_requests_are_answered_among_bad_ones() -> None:
    found = soak("--requests", "300", "--at-once", "50", seconds=200)
    assert found["examples"] == []
    assert found["good"] + found["bad"] == 300 and found["bad"] > 40


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_ten_thousand_requests_leave_nothing_behind() -> None:
    found = soak("--requests", "10000", "--at-once", "200", seconds=1700)
    assert found["examples"] == []
    assert found["good"] > 7000 and found["kinds_of_bad"] > 20


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_real_engine_behind_the_gateway_holds_as_well() -> None:
    assert soak("--requests", "600", "--at-once", "100", "--real", seconds=1100)["examples"] == []
