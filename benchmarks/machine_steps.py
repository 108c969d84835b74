"""What a state of a machine costs the account: two JSONata expressions, two history events, both rows on disk.

The value is CPU of one Pass state with Assign and Output, played by Step Functions as the account plays it; the peer
is the same walk by the test harness, which keeps nothing.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

from local_account.clock import Clock
from local_account.records import Records
from local_account.step_functions.executions import Executions
from local_account.step_functions.harness import run_machine

GOAL_MS = 1.0
STATES = 300
ARN = "arn:aws:states:us-east-1:123456789012:execution:m:run"


def measure() -> dict[str, Any]:
    """Walk a machine of many Pass states, on disk and in memory, after one walk that compiles its expressions."""
    machine = _machine()

    def bare() -> None:
        assert run_machine(machine, input={"n": 0}, answers={}).output == {"n": STATES}

    _cpu_ms(bare)
    value, peer = _cpu_ms(lambda: _on_disk(machine)), _cpu_ms(bare)
    print(f"on disk {value:.3f} ms CPU a state, in memory {peer:.3f} ms")  # noqa: T201 - the benchmark's table
    return {
        "value": round(value, 3),
        "unit": "ms CPU per state",
        "peer": round(peer, 3),
        "ratio": round(value / peer, 2),
        "goal": GOAL_MS,
        "holds": value <= GOAL_MS,
    }


def _machine() -> dict[str, Any]:
    step = "{% $states.input.n + 1 %}"
    states: dict[str, Any] = {
        f"S{at}": {"Type": "Pass", "Assign": {"x": step}, "Output": {"n": step}, "Next": f"S{at + 1}"}
        for at in range(STATES)
    }
    states[f"S{STATES}"] = {"Type": "Succeed"}
    return {"QueryLanguage": "JSONata", "StartAt": "S0", "States": states}


def _on_disk(machine: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        account = Mock(clock=Clock())
        executions = Executions(account, Records(Path(folder) / "records.db"))
        record = {
            "executionArn": ARN,
            "stateMachineArn": "arn:aws:states:us-east-1:123456789012:stateMachine:m",
            "name": "run",
            "status": "RUNNING",
            "startDate": account.clock.epoch(),
            "input": '{"n": 0}',
            "definition": json.dumps(machine),
            "roleArn": "role",
            "redriveCount": 0,
        }
        executions.start(record)
        executions.wait(ARN, 60)
        assert json.loads((executions.get(ARN) or {})["output"]) == {"n": STATES}


def _cpu_ms(walk: Callable[[], None]) -> float:
    before = time.process_time()
    walk()
    return (time.process_time() - before) * 1000 / STATES


if __name__ == "__main__":
    print(json.dumps(measure()))  # noqa: T201
