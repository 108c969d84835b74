"""`understudy rollout plan`: figures out of logs or outcomes, the stack's settings, and warnings before anybody waits."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest

from cli import plan_command
from cli.live_log import live_log
from cli.plan_figures import LEAST_HOURS, log_figures, outcome_figures
from cli.site import Problem, Site
from features.lake import Lake
from understudy.adapters.aws_outcomes import DynamoOutcomes
from understudy.domain.outcomes import Fact, Row, hour_of
from understudy.domain.tokens import new_request_id

pytest_plugins = ["support.lake_account"]

NOW = datetime.now(UTC).replace(microsecond=0)
START = NOW - timedelta(minutes=40)
SETTINGS = {
    "RolloutStages": "1000,5000,10000",
    "BakeSeconds": "14400",
    "Delta": "0.10",
    "MinimumRequests": "300",
    "HoldbackBp": "500",
    "ClickWindowHours": "24",
}
BUSY = {"requests_per_hour": 20_000.0, "users_per_day": 50_000.0, "ctr": 0.05}


@pytest.fixture
def site(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> Site:
    made = Site(boto3.Session(), "test")
    outputs = {"LakeBucket": lake.bucket, "GlueDatabase": lake.database, "OutcomesTable": "outcomes"}
    made.__dict__.update(outputs=outputs, parameters=dict(SETTINGS))
    monkeypatch.setattr(plan_command, "connect", lambda stack, state: made)
    monkeypatch.setattr(plan_command.console, "_width", 160)
    return made


@pytest.fixture
def requests(lake: Lake) -> int:
    """Two bursts of ten minutes an hour apart, 2 requests a second; every list is seen, one place in ten clicked."""
    rng, served, feedback = random.Random(1), [], []
    for second in range(1200):
        at = START + timedelta(seconds=second if second < 600 else second + 1200)
        for n in (2 * second, 2 * second + 1):
            line: dict[str, Any] = {
                "request_id": new_request_id(int(at.timestamp() * 1000), n.to_bytes(10, "big")),
                "user_id": f"u{n % 300}",
                "assigned_release_id": "r-1",
                "traffic_version": 1,
            }
            served.append(json.dumps(line | {"event_time": at.isoformat()}))
            for place in range(4):
                told = {"item_id": f"i-{place}", "known_at": (at + timedelta(seconds=9)).isoformat()}
                feedback.append(json.dumps(line | told | {"event_type": "impression"}))
                if rng.random() < 0.1:
                    feedback.append(json.dumps(line | told | {"event_type": "click"}))
    s3 = boto3.client("s3")
    for log, lines in (("served", served), ("feedback", feedback)):
        s3.put_object(Bucket=lake.bucket, Key=f"{log}/{NOW:%Y/%m/%d/%H}/one", Body="\n".join(lines).encode())
    return len(served)


def test_figures_of_the_logs_leave_pauses_out(site: Site, requests: int) -> None:
    with live_log(site, START - timedelta(hours=1)) as live:
        found = log_figures(live, 14_400)
    assert found.requests_per_hour == pytest.approx(
        requests / 0.5, rel=0.01
    )  # 20 minutes, and a pause that counts as 10
    assert found.users_per_day == 300
    assert found.impressions_per_request == pytest.approx(4)
    assert found.ctr == pytest.approx(0.1, abs=0.01)
    assert found.design_effect == pytest.approx(1, abs=0.3)  # all clicks are independent


def test_the_command_plans_with_what_the_logs_say(
    site: Site, requests: int, capsys: pytest.CaptureFixture[str]
) -> None:
    plan_command.plan(since="2h")
    out = capsys.readouterr().out
    assert "requests per hour 480" in out
    assert "design effect 1" in out
    assert "warning" in out  # 300 users are too few for a stage of a tenth


def test_figures_that_are_given_need_no_logs_and_settings_that_decide_no_warning(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    plan_command.plan(**BUSY)
    out = capsys.readouterr().out
    assert "80 %" in out
    assert "warning" not in out
    plan_command.plan(**BUSY, delta=0.01)
    out = capsys.readouterr().out
    assert "delta 1.0% can never promote" in out


def test_a_log_without_clicks_asks_for_the_figures(site: Site) -> None:
    with pytest.raises(Problem) as refused:
        plan_command.plan(users_per_day=10.0)
    assert "--requests-per-hour, --ctr" in refused.value.sentence


@pytest.mark.parametrize("wrong", [{"stages": "5000,1000"}, {"stages": "all"}, {"ctr": 1.5}, {"bake_seconds": 0.0}])
def test_settings_and_figures_that_cannot_be_are_refused(site: Site, wrong: dict[str, Any]) -> None:
    with pytest.raises(Problem):
        plan_command.plan(**{**BUSY, **wrong})


@pytest.fixture
def outcomes(site: Site) -> DynamoOutcomes:
    client = boto3.client("dynamodb")
    keys = [("pk", "HASH"), ("sk", "RANGE")]
    client.create_table(
        TableName="outcomes",
        KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in keys],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name, _ in keys],
        BillingMode="PAY_PER_REQUEST",
    )
    return DynamoOutcomes(client, "outcomes")


def fill(outcomes: DynamoOutcomes, hours: int) -> None:
    adds = {"requests": 2, "impressions": 20, "clicks": 1}
    for back in range(1, hours + 1):
        rows = [Row("r-1", 7, hour_of(NOW - timedelta(hours=back)), bucket) for bucket in range(40)]
        facts = [Fact((f"f{back}", str(row.bucket)), row, adds) for row in rows]
        outcomes.add(facts, NOW)


TRAFFIC = {"version": 8, "champion": {"release": "r-1", "slot": "blue"}, "candidate": None, "previous": None}


def test_outcomes_of_the_last_day_say_the_same_more_coarsely(site: Site, outcomes: DynamoOutcomes) -> None:
    fill(outcomes, LEAST_HOURS)
    found = outcome_figures(site, TRAFFIC, NOW)
    assert found is not None
    assert (found.requests_per_hour, found.impressions_per_request, found.ctr) == (80, 10, 0.05)
    assert found.users_per_day == pytest.approx(40, abs=0.2)


def test_status_warns_of_settings_that_can_never_promote_once_there_was_a_days_traffic(
    site: Site, outcomes: DynamoOutcomes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan_command, "read_traffic", lambda _: TRAFFIC)
    fill(outcomes, LEAST_HOURS - 1)
    assert plan_command.settings_warnings(site) == ()  # a burst is no rate
    fill(outcomes, LEAST_HOURS)
    assert any("can never" in sentence for sentence in plan_command.settings_warnings(site))
    site.parameters.update({"MinimumRequests": "1", "Delta": "0.9", "BakeSeconds": "80000"})
    assert not any("can never promote" in sentence for sentence in plan_command.settings_warnings(site))
    monkeypatch.setattr(plan_command, "read_traffic", lambda _: None)
    assert plan_command.settings_warnings(site) == ()
