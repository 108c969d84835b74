"""What serves, what users did with it and what a night cost, as metrics: the dashboard and `understudy report` draw them.

A metric is a log line (`observability.count`): a door that says one makes no call and needs no right for it. What decides
anything is read from its table; these may be lost with a log line.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from understudy.contracts.traffic import ALL_BP, Traffic
from understudy.domain.outcomes import Fact
from understudy.observability import count

if TYPE_CHECKING:  # a record's model costs a cold start that only registration needs
    from understudy.contracts.release import ReleaseRecord


def tell_shares(traffic: Traffic | None) -> None:
    """Percent of users with each arm, as traffic says from now on; nothing before the first release."""
    if traffic is None:
        return
    shares = {"Candidate": traffic.share_bp, "Holdback": traffic.holdback_bp}
    shares["Champion"] = ALL_BP - sum(shares.values())
    count({f"{arm}Share": (bp / 100, "Percent") for arm, bp in shares.items()})


def tell_night(record: ReleaseRecord) -> None:
    """Cost and held-out quality of the release a night made; a figure that is not known is not sent."""
    ranking, recall = record.metrics.get("ranking", {}), record.metrics.get("recall", {})
    figures = {
        "NightCost": record.lineage.get("cost_usd"),  # USD; CloudWatch has no unit for money
        "OfflineNdcg": ranking.get("ndcg_at_10"),
        "OfflineRecall": recall.get("recall_at_10"),
        "GatePassed": float(record.gate["passed"]) if "passed" in record.gate else None,
    }
    known = {name: (float(value), "None") for name, value in figures.items() if value is not None}
    if known:
        count(known)


def tell_outcomes(facts: Iterable[Fact]) -> None:
    """Impressions and clicks by arm, and by release: of lines that were counted now for the first time."""
    found: dict[tuple[str, str], Counter[str]] = {}
    for fact in facts:
        if fact.arm and (seen := fact.adds.keys() & {"impressions", "clicks"}):
            found.setdefault((fact.arm, fact.row.release_id), Counter()).update(seen)
    for (arm, release), sums in found.items():
        metrics = {name.title(): (float(sums[name]), "Count") for name in ("impressions", "clicks")}
        count(metrics, {"Arm": arm, "Release": release}, [["Arm"], ["Release"]])
