"""Which release answers, and what is said and recorded of it: the part of `recommend` that stands above a single release."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from understudy.contracts.release import ReleaseRecord
from understudy.contracts.serving import RecommendRequest
from understudy.contracts.traffic import Standing, Traffic
from understudy.domain.diversity import Slate
from understudy.domain.recommendation import RESERVE, SECOND_TRY, Ask, Deadline, Kitchen, Trace
from understudy.domain.tokens import Shown, item_mark
from understudy.domain.traffic import Assignment, assign, user_hash
from understudy.errors import InvalidInput, StepFailed


@dataclass(frozen=True, slots=True)
class Served:
    """One answer: what was shown by which release, to whom as assigned under which traffic, and how it went.

    `assigned_error` is the reason for which the assigned release could not answer and the champion did. `assigned_ms` is
    how long the assigned release took for its whole answer, from the handler's start; None where it failed. A release
    fails when one of its own steps did, or ended later than a first try may (docs/decisions/serving-assigned-latency.md):
    one rule for all arms, so that they can be compared.
    """

    request: RecommendRequest
    request_id: str
    assignment: Assignment
    traffic: Traffic
    user: Mapping[str, Any]  # features the answer was made with
    standing: Standing  # who answered
    slate: Slate
    trace: Trace
    at: datetime
    assigned_ms: float | None
    assigned_error: str | None = None

    def token_fields(self, ttl_s: int) -> Shown:
        issued = int(self.at.timestamp())
        return Shown(
            request_id=self.request_id,
            user_hash=user_hash(self.request.user_id),
            release_id=self.standing.release,
            assigned_release_id=self.assignment.standing.release,
            arm=self.assignment.arm,
            bucket=self.assignment.bucket,
            traffic_version=self.traffic.version,
            issued_s=issued,
            expires_s=issued + ttl_s,
            marks=tuple(item_mark(self.request_id, item["item_id"]) for item in self.slate.items),
            explored=self.slate.explored,
            propensity=self.slate.propensity,
            propensity_explored=self.slate.propensity_explored,
        )

    def answer(self, token: str) -> dict[str, Any]:
        """Body of the 200. A title is null where only ids are known (popular items)."""
        items = [
            {
                "item_id": item["item_id"],
                "title": item.get("title"),
                "score": round(item["score"], 6),
                "position": place,
            }
            for place, item in enumerate(self.slate.items, start=1)
        ]
        return {
            "items": items,
            "release_id": self.standing.release,
            "recommendation_id": token,
            "degraded": list(self.trace.degraded),
        }

    def record(self, latency_ms: float) -> dict[str, Any]:
        """The served-list record of the lake (docs/seams.md, Lake)."""
        places = range(1, len(self.slate.items) + 1)
        return {
            "request_id": self.request_id,
            "event_time": self.at.isoformat(),
            "user_id": self.request.user_id,
            "release_id": self.standing.release,
            "assigned_release_id": self.assignment.standing.release,
            "slot": self.standing.slot,
            "arm": self.assignment.arm,
            "bucket": self.assignment.bucket,
            "traffic_version": self.traffic.version,
            "items": [item["item_id"] for item in self.slate.items],
            "positions": list(places),
            "propensities": [self.slate.propensity_at(place) for place in places],
            "scores": [round(item["score"], 6) for item in self.slate.items],
            "degraded": list(self.trace.degraded),
            "error": self.assigned_error,
            "latency_ms": round(latency_ms, 2),
            "assigned_latency_ms": None if self.assigned_ms is None else round(self.assigned_ms, 2),
            "latencies_ms": self.trace.latency_ms,
        }

    def shadow_copy(self) -> dict[str, Any] | None:
        """What the candidate is asked as well while it only rehearses (`contracts.shadow.ShadowCopy`); None: nothing."""
        at, candidate = self.assignment, self.traffic.candidate
        if candidate is None or at.arm != "champion" or at.bucket >= self.traffic.shadow_bp:
            return None
        places = enumerate(self.slate.items, start=1)
        return {
            "request_id": self.request_id,
            "at": self.at.isoformat(),
            "traffic_version": self.traffic.version,
            "bucket": at.bucket,
            "champion": self.standing.release,
            "candidate": candidate.model_dump(),
            "request": self.request.model_dump(),
            "user": dict(self.user),
            "items": [item["item_id"] for place, item in places if place not in self.slate.explored],
            "latency_ms": None if self.assigned_ms is None else round(own_ms(self.trace.latency_ms), 2),
        }


def serve(
    request: RecommendRequest,
    request_id: str,
    traffic: Traffic | None,
    release_of: Callable[[str, float], ReleaseRecord],
    kitchen: Kitchen,
    deadline: Deadline,
    now: datetime,
) -> Served:
    """Answer with the release the user is assigned to, or whole with the champion when that one fails.

    Raises
    ------
    InvalidInput
        404 `no_release_on_stage` before there is a release (or while none can be read), 404 `nothing_to_recommend`
        when not even a popular item may be shown: an empty 200 is never given.
    """
    if traffic is None:
        raise InvalidInput(
            "no release is on stage", "a request after the first night", code="no_release_on_stage", status=404
        )
    assignment, trace = assign(traffic, request.user_id), Trace()
    user = kitchen.user_features(request.user_id, deadline, trace)

    def ask(standing: Standing, until: Deadline, on: Trace) -> Slate:
        record = release_of(standing.release, until.left())
        return kitchen.slate(Ask(request, request_id, record, standing.slot, user, now), until, on)

    standing, assigned_error = assignment.standing, None
    slate, shared = Slate(()), set(trace.degraded)
    if standing != traffic.champion:
        slate, assigned_error = first_try(ask, standing, deadline, trace)
        if assigned_error is not None:
            standing = traffic.champion
    if standing == traffic.champion:
        try:
            slate = ask(standing, deadline, trace)
        except StepFailed:
            raise InvalidInput(
                f"release {standing.release} cannot be read now",
                "the same request a second later",
                code="no_release_on_stage",
                status=404,
            ) from None
    if not slate.items:
        raise InvalidInput("no item may be shown", "fewer blocked items", code="nothing_to_recommend", status=404)
    failed = assigned_error is not None or not shared.issuperset(trace.degraded) or _too_late(deadline, trace)
    assigned_ms = None if failed else (deadline.budget_s - deadline.left()) * 1000
    return Served(
        request, request_id, assignment, traffic, user, standing, slate, trace, now, assigned_ms, assigned_error
    )


def first_try(
    ask: Callable[[Standing, Deadline, Trace], Slate], standing: Standing, deadline: Deadline, trace: Trace
) -> tuple[Slate, str | None]:
    """The assigned release, with time kept back for the champion; any failed step of it is a failure of the whole."""
    tried = Trace(latency_ms=trace.latency_ms)
    try:
        slate = ask(standing, deadline.sooner(SECOND_TRY * deadline.budget_s), tried)
    except StepFailed as error:
        tried.failed(error)
        slate = Slate(())
    if not tried.degraded:
        return slate, None
    return slate, "; ".join(f"{step}: {why}" for step, why in tried.degraded.items())


def _too_late(deadline: Deadline, trace: Trace) -> bool:
    """Whether a step of the release ended when a first try would have been given up. Features belong to no release."""
    first = deadline.sooner(SECOND_TRY * deadline.budget_s)
    ends = {step: first.ends - reserve * first.budget_s for step, reserve in RESERVE.items() if step != "features"}
    return any(trace.ended[step] > end for step, end in ends.items() if step in trace.ended)


def own_ms(latency_ms: Mapping[str, float]) -> float:
    """Milliseconds of those steps that belong to a release."""
    return sum(latency_ms.get(step, 0.0) for step in ("user_tower", "index", "ranker"))


def metrics_of(served: Served, latency_ms: float) -> dict[str, tuple[float, str]]:
    """Counts and latency of one answer, for the embedded metric format.

    `AssignedErrors` is 1 where the assigned release failed by the one rule for all arms (`Served`), a champion's too: its
    average by slot is the slot's health, which alarms watch.
    """
    return {
        "Requests": (1, "Count"),
        "Degraded": (int(bool(served.trace.degraded)), "Count"),
        "AssignedErrors": (int(served.assigned_ms is None), "Count"),
        "Latency": (round(latency_ms, 2), "Milliseconds"),
    }


def dimensions_of(served: Served) -> Mapping[str, str]:
    """A failed first try counts against the release and slot it was assigned to, not against the champion that helped."""
    at_fault = served.assignment.standing
    return {"Slot": at_fault.slot, "Release": at_fault.release}
