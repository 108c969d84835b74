"""night --estimate: what earlier nights say of the next, what the limits say of the first, and never more than is known."""

from __future__ import annotations

import io
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from cli.job_costs import STAGES
from cli.night_estimate import Estimate, PastNight, Planned, deployed_jobs, shown
from local_account.step_functions.definition import load
from understudy.domain.cost import forecast

PLANNED = [Planned(stage, "ml.m5.2xlarge", 1, 10_800) for stage in STAGES]
START, END = datetime(2026, 10, 25, tzinfo=UTC), datetime(2026, 11, 24, tzinfo=UTC)


def past(rows: int, seconds: float, instance: str = "ml.m5.2xlarge") -> PastNight:
    return PastNight("night", rows, 7 * seconds, dict.fromkeys(STAGES, seconds), frozenset({instance}))


def words(nights: list[PastNight], planned: list[Planned] = PLANNED, *, feedback: bool = False) -> str:
    sink = io.StringIO()
    Console(file=sink, width=200).print(shown(Estimate(START, END, 100_000, planned, nights, feedback)))
    return sink.getvalue()


def test_twice_the_rows_take_up_to_twice_the_time() -> None:
    found = forecast([(50, 100.0), (50, 100.0)], 100)
    assert (found.low, found.high) == (100.0, 200.0)
    assert 100 < found.middle < 200


@given(st.lists(st.tuples(st.floats(1, 1e9), st.floats(0.1, 1e6)), min_size=1, max_size=20), st.floats(1, 1e9))
def test_a_forecast_lies_within_its_range_and_more_nights_are_surer(
    past: list[tuple[float, float]], rows: float
) -> None:
    found = forecast(past, rows)
    assert found.low <= found.middle * (1 + 1e-9)
    assert found.middle <= found.high * (1 + 1e-9)
    assert found.chance is None or 0 < found.chance < 1
    assert (found.chance is None) == (len(past) == 1)


def test_one_night_promises_no_chance() -> None:
    assert "one night tells nothing of how nights differ" in words([past(100_000, 600)])
    assert "a chance of 50%" in words([past(100_000, 600)] * 3)


def test_the_cost_of_a_night_is_that_of_its_jobs_at_todays_machines() -> None:
    said = words([past(100_000, 3600, "ml.m5.xlarge")] * 2)
    assert "$3.23" in said  # 7 jobs of an hour at $0.461
    assert "some of those nights ran on ml.m5.xlarge" in said


def test_a_machine_without_a_known_price_has_no_cost() -> None:
    planned = [Planned(stage, "ml.unheard.of", 1, 10_800) for stage in STAGES]
    assert "price not known" in words([past(100_000, 600)] * 2, planned)
    assert "price not known" in words([], planned)


def test_before_the_first_night_the_limits_are_shown_and_called_limits() -> None:
    said = words([])
    assert "not what they will take" in said
    assert "3 h 0 min" in said
    assert "$9.68" in said  # 7 jobs of 3 h at $0.461


def test_feedback_that_is_in_no_table_yet_is_said() -> None:
    assert "live feedback" in words([past(100_000, 600)], feedback=True)
    assert "live feedback" not in words([past(100_000, 600)])


def test_the_machine_of_the_template_names_every_job_its_machine_and_its_limit() -> None:

    file = Path(__file__).parents[3] / "state_machines" / "nightly.asl.yaml"
    given = dict.fromkeys(re.findall(r"\$\{(\w+)\}", file.read_text()), "x")
    given |= {
        "ProcessingInstanceType": "ml.m5.xlarge",
        "TrainingInstanceType": "ml.g5.xlarge",
        "EmbedInstanceCount": "2",
    }
    machine = {"definition": json.dumps(load(file, given))}
    site: Any = SimpleNamespace(
        client=lambda _name: SimpleNamespace(describe_state_machine=lambda **_: machine),
        outputs={"NightlyMachineArn": "a"},
    )
    found = {job.stage: job for job in deployed_jobs(site)}
    assert found.keys() == set(STAGES)
    assert found["embed-items"].instances == 2
    assert found["two-tower"].instance_type == "ml.g5.xlarge"
    assert found["prepare-data"].limit_s == 10_800
