"""Seconds until no user meets a release that must go, worst of 20 on a deployed local account under traffic.

A candidate meets half of the users; then somebody aborts, an alarm rings, or the judge finds harm, in turns. The time runs
from there (the call that starts the rollback, the alarm's change of state, the decision as it was written) to both: the
moment the traffic item names the candidate no more, read every 10 ms, and the last answer that the candidate gave, by the log
of those who asked.
"""

from __future__ import annotations

import json
import threading
import time
from datetime import UTC, datetime
from statistics import median
from typing import Any

from benchmarks.stage_visitors import Answer, Visitors, bring, candidate_at, small_stack, wait_for
from cli.rollout_commands import begin_rollback
from cli.site import Site
from cli.stage import read_traffic
from understudy.adapters.aws_items import to_item
from understudy.domain.outcomes import hour_of, partition

GOAL_S = 5.0
ROUNDS = 20
CAUSES = ("abort", "alarm", "verdict")
RATE = 20.0  # requests a second; every other one meets the candidate
SHARE_BP = 5000
SETTLE_S = 1.0  # of traffic on both arms before the candidate must go
AFTER_S = 4.0  # the recommender's memory of traffic is 2 s, a request's budget 0.25 s: what came so late would be late
PARAMETERS = {
    "RolloutStages": f"{SHARE_BP},10000",
    "BakeSeconds": "3600",
    "LookSeconds": "1",
    "DrainSeconds": "3",
    "MinimumRequests": "50",
}


def measure() -> dict[str, Any]:
    """Every round a release of its own, on one stack."""
    with small_stack("r-0", **PARAMETERS) as site, Visitors(site, RATE) as visitors:
        rounds = [_round(site, visitors, number) for number in range(1, ROUNDS + 1)]
        errors = sum(answer.status != 200 for answer in visitors.answers)
    times = sorted(one["seconds"] for one in rounds)
    worst = times[-1]
    return {
        "value": round(worst, 2),
        "unit": "s",
        "peer": None,
        "ratio": None,
        "goal": GOAL_S,
        "holds": worst <= GOAL_S and not errors,
        "median": round(median(times), 2),
        "client_errors": errors,
        "requests": len(visitors.answers),
        "by_cause": {cause: max(one["seconds"] for one in rounds if one["cause"] == cause) for cause in CAUSES},
        "rounds": rounds,
    }


def _round(site: Site, visitors: Visitors, number: int) -> dict[str, Any]:
    release_id, cause = f"r-{number}", CAUSES[number % len(CAUSES)]
    bring(site, release_id)
    traffic = wait_for(lambda: candidate_at(site, release_id, SHARE_BP))
    wait_for(lambda: any(answer.release == release_id for answer in visitors.answers))
    time.sleep(SETTLE_S)
    written: list[float] = []
    watcher = threading.Thread(target=_watch, args=(site, release_id, written))
    watcher.start()
    began = _ask_to_go(site, release_id, traffic, cause)
    watcher.join()
    time.sleep(AFTER_S)
    met = _met(visitors.answers, release_id)
    _quiet(site, release_id)
    written_s, answered_s = written[0] - began, met[-1].received - began
    asked_s = met[-1].sent - began
    found = {"cause": cause, "written": round(written_s, 3), "last_answer": round(answered_s, 3)}
    found |= {"last_asked": round(asked_s, 3), "seconds": round(max(written_s, answered_s), 3)}
    print(f"{number:3} {found}", flush=True)  # noqa: T201
    return found


def _met(answers: list[Answer], release_id: str) -> list[Answer]:
    return sorted((one for one in answers if one.release == release_id), key=lambda one: one.received)


def _watch(site: Site, release_id: str, written: list[float]) -> None:
    wait_for(lambda: not candidate_at(site, release_id), pause_s=0.01)
    written.append(time.monotonic())


def _ask_to_go(site: Site, release_id: str, traffic: dict[str, Any], cause: str) -> float:
    """When it was asked for, by time.monotonic()."""
    began = time.monotonic()
    if cause == "abort":
        begin_rollback(site, release_id, release_id, reason="a benchmark")
    elif cause == "alarm":
        began = _ring(site, traffic["candidate"]["slot"])
    else:
        _count_harm(site, release_id, traffic)
        document = wait_for(lambda: _verdict(site, release_id))
        decided = datetime.fromisoformat(document["decided_at"])
        began = time.monotonic() - (datetime.now(UTC) - decided).total_seconds()
    return began


def _ring(site: Site, slot: str) -> float:
    """The alarm on the slot's health goes into ALARM, as CloudWatch would bring it there."""
    cloudwatch, name = site.client("cloudwatch"), f"{site.stack}-health-{slot}"
    if not cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]:
        cloudwatch.put_metric_alarm(
            AlarmName=name,
            Namespace="Benchmark",
            MetricName="Health",
            Statistic="Maximum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=1,
            ComparisonOperator="GreaterThanThreshold",
        )
    cloudwatch.set_alarm_state(AlarmName=name, StateValue="OK", StateReason="a benchmark begins")
    began = time.monotonic()
    cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="a benchmark")
    return began


def _count_harm(site: Site, release_id: str, traffic: dict[str, Any]) -> None:
    """Outcomes as the aggregator would have counted them: the candidate fails every third of its requests."""
    hour, writes = hour_of(datetime.now(UTC)), []
    for bucket in range(0, 10000, 100):
        arm = release_id if bucket < SHARE_BP else traffic["champion"]["release"]
        row = {"pk": partition(arm, traffic["version"], hour), "sk": f"{bucket:04d}", "latency_le_20": 30}
        row |= {"requests": 30, "impressions": 150, "clicks": 20, "errors": 10 * (bucket < SHARE_BP)}
        writes.append({"PutRequest": {"Item": to_item(row)}})
    for start in range(0, len(writes), 25):
        batch = {site.outputs["OutcomesTable"]: writes[start : start + 25]}
        site.client("dynamodb").batch_write_item(RequestItems=batch)


def _verdict(site: Site, release_id: str) -> dict[str, Any] | None:
    s3, key = site.client("s3"), f"verdicts/{release_id}/0-share.json"
    try:
        found = s3.get_object(Bucket=site.outputs["ArtifactBucket"], Key=key)["Body"].read()
    except s3.exceptions.NoSuchKey:
        return None
    return dict(json.loads(found))


def _quiet(site: Site, release_id: str) -> None:
    """Its slot is empty again, so that the next one's stay begins as its own did."""
    states = site.client("stepfunctions")

    def runs() -> bool:
        machines = (site.outputs["RollOutMachineArn"], site.outputs["RollBackMachineArn"])
        return any(
            states.list_executions(stateMachineArn=machine, statusFilter="RUNNING")["executions"]
            for machine in machines
        )

    wait_for(lambda: not runs() and (read_traffic(site) or {})["candidate"] is None)


if __name__ == "__main__":
    print(json.dumps(measure(), indent=1))  # noqa: T201
