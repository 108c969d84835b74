"""A story of a stack for the report: two nights, a promotion, a drift that was answered, all in six hours of one day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from cli.job_costs import STAGES, Job
from cli.report_answers import Transition
from cli.report_history import TrafficHistory
from cli.report_live import MONITOR_KINDS, Clicks, MonitorReport
from cli.report_story import Night, Rollout, Story
from understudy.contracts.reactions import Occasion, Reaction
from understudy.contracts.traffic import Standing, Traffic
from understudy.domain.cost import JobRun

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
OLD, NEW = "r-20261123-0a0a0a0a", "r-20261124-1b1b1b1b"
DRIFT = "understudy-drift-ranking-quality"


def ago(hours: float) -> datetime:
    return NOW - timedelta(hours=hours)


def jobs_of(night: str, began: datetime, *, seconds: float = 600, instance: str = "ml.m5.2xlarge") -> list[Job]:
    """One job a stage, one after another."""
    found = []
    for place, stage in enumerate(STAGES):
        at = began + place * timedelta(seconds=seconds)
        ends = at + timedelta(seconds=seconds)
        run = JobRun(f"arn:aws:sagemaker:::job/{stage}", instance, 1, seconds)
        found.append(Job(f"{stage}-{night}-0-0", stage, "Completed", at, at, ends, run))
    return found


def night(name: str, release: str, began: datetime, **changes: Any) -> Night:
    fields: dict[str, Any] = {
        "name": name,
        "reason": "schedule",
        "status": "SUCCEEDED",
        "started": began,
        "ended": began + timedelta(hours=1.2),
        "release": release,
        "registered": True,
        "said": [],
        "jobs": jobs_of(name, began),
    }
    return Night(**(fields | changes))


def evaluation(ndcg: float, champion: float | None) -> dict[str, Any]:
    def side(value: float) -> dict[str, Any]:
        return {"ranking": {"ndcg_at_10": value}, "recall": {"recall_at_10": value / 4}}

    base = ndcg if champion is None else ndcg - champion
    interval = {"value": base, "low": base - 0.02, "high": base + 0.02, "level": 0.95}
    return {
        "candidate": side(ndcg),
        "champion": None if champion is None else side(champion),
        "intervals": {"ranking.ndcg_at_10": interval},
        "gate": {"passed": True, "reasons": []},
    }


def verdict(share_bp: int, kind: str = "share", said: str = "pass") -> dict[str, Any]:
    clicks = {"relative_difference": {"estimate": 0.04, "low": -0.06, "high": 0.15}}
    return {
        "kind": kind,
        "share_bp": share_bp,
        "verdict": said,
        "action": "next",
        "reason": "harm beyond 10 % is not shown",
        "evidence": {"metrics": {"clicks": clicks}},
    }


def history() -> TrafficHistory:
    """r-old serves, meets 10 and 50 % of r-new, then r-new with 5 % held back, then alone."""
    blue, green = Standing(release=OLD, slot="blue"), Standing(release=NEW, slot="green")
    first = Traffic(change_id="a", champion=blue, salt="s", reason="first", changed_at=ago(30))
    tenth = first.next(change_id="b", reason="", changed_at=ago(4), candidate=green, share_bp=1000)
    half = tenth.next(change_id="c", reason="", changed_at=ago(3), share_bp=5000)
    whole = {"candidate": None, "share_bp": 0, "champion": green, "previous": blue, "holdback_bp": 500}
    promoted = half.next(change_id="d", reason="", changed_at=ago(2), **whole)
    alone = promoted.next(change_id="e", reason="", changed_at=ago(1), previous=None, holdback_bp=0)
    changes = [first, tenth, half, promoted, alone]
    return TrafficHistory([one.model_copy(update={"version": n}) for n, one in enumerate(changes, 1)], [])


def reaction(action: str, at: datetime, why: str) -> Reaction:
    occasion = Occasion(alarm=DRIFT, state="ALARM", at=at)
    return Reaction.model_validate(
        {"occasion": occasion, "action": action, "reason": why, "decided_at": at, "settled": True}
    )


def story() -> Story:
    """Six hours in which everything happened."""
    steps = [ago(6 - n / 2) for n in range(12)]
    reports = [
        MonitorReport(
            kind,
            at,
            at + timedelta(minutes=30),
            OLD if at < ago(2) else NEW,
            drifts(kind, at),
            0,
            ndcg(kind, at),
            False,
        )
        for kind in MONITOR_KINDS
        for at in steps
    ]
    nights = [night("night-a", OLD, ago(5.9)), night("drift-20261124t070000-ab12", NEW, ago(5.2), reason="drift")]
    return Story(
        stack="understudy",
        since=ago(24),
        until=NOW,
        days=1,
        traffic={"champion": {"release": NEW, "slot": "green"}},
        releases=[release_row(NEW, "champion"), release_row(OLD, "retired")],
        evaluations={OLD: evaluation(0.58, None), NEW: evaluation(0.61, 0.58)},
        nights=nights,
        rollouts=[
            Rollout(NEW, NEW, "SUCCEEDED", ago(4), ago(1), [verdict(1000), verdict(5000), verdict(0, "watch")], [])
        ],
        history=history(),
        clicks=[Clicks(at, OLD if at < ago(2) else NEW, 4000.0, 380.0 + 10 * n) for n, at in enumerate(steps)],
        monitors=reports,
        transitions=[
            Transition(DRIFT, ago(5.3), "OK", "ALARM", "Threshold crossed: 2 out of 2"),
            Transition(DRIFT, ago(2.5), "ALARM", "OK", "Threshold not crossed"),
        ],
        reactions=[
            reaction("retrain", ago(5.3), "drift of ranking quality: a night on newer data"),
            reaction("ignore", ago(5), "answered"),
        ],
        jobs=[job for each in nights for job in each.jobs],
    )


def drifts(kind: str, at: datetime) -> int:
    return 3 if kind == "ranking-quality" and ago(5.6) < at < ago(3) else 0


def ndcg(kind: str, at: datetime) -> float | None:
    return (0.43 if ago(5.6) < at < ago(3) else 0.56) if kind == "ranking-quality" else None


def release_row(release_id: str, status: str) -> dict[str, Any]:
    lineage = {"reason": "schedule", "cost_usd": 0.54}
    return {"release_id": release_id, "status": status, "created_at": ago(5).isoformat(), "lineage": lineage}
