"""The world of `recommend`, wired: one signed connection pool under every dependency."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from botocore.exceptions import ClientError

from understudy.adapters.aws import DynamoReleases, DynamoTraffic
from understudy.adapters.aws_serving import DynamoFeatures, EndpointModels, Firehose, OpenSearchIndex, SecretKey
from understudy.adapters.aws_shadow import ShadowQueue
from understudy.adapters.aws_wire import DynamoReads, SignedHttp
from understudy.adapters.cached import CachedReleases, CachedTraffic
from understudy.contracts.release import ReleaseRecord
from understudy.contracts.serving import RecommendRequest
from understudy.contracts.traffic import Traffic
from understudy.domain.recommendation import Deadline, Kitchen, Rules
from understudy.domain.serving import Served, dimensions_of, metrics_of, serve
from understudy.domain.tokens import new_request_id, sign
from understudy.domain.traffic import user_hash
from understudy.errors import InvalidInput, StepFailed
from understudy.observability import count, log
from understudy.settings import RecommendSettings

# A read that finds a dependency down must leave the rest of the budget to the answer.
STATE_READ_S = 0.06
# Of the first read of traffic in a process's life, whose connection is made with it: late is better than "nobody is on stage".
FIRST_READ_S = 1.0
# The served list is sent when the answer stands; it may take what is left of the budget, and at least this long.
SERVED_LIST_S = 0.05


@dataclass(frozen=True, slots=True)
class RecommendWorld:
    """Everything `recommend` reaches. `clock` counts budgets, `wall` tells the time."""

    settings: RecommendSettings
    traffic: CachedTraffic
    releases: CachedReleases
    kitchen: Kitchen
    key: SecretKey
    served_lists: Firehose
    shadow: ShadowQueue
    clock: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time

    def answer(self, request: RecommendRequest, deadline: Deadline) -> tuple[Served, str]:
        """What to show, and the token that stands for it."""
        now = self.wall()
        traffic, fresh = self.traffic.current()
        request_id = new_request_id(int(now * 1000), os.urandom(10))
        at = datetime.fromtimestamp(now, UTC)
        served = serve(request, request_id, traffic, self.releases.get, self.kitchen, deadline, at)
        if not fresh:
            served.trace.failed(StepFailed("traffic", "not read in time; the last one known serves"))
        try:
            key = self.key.get(now, max(deadline.left(), SERVED_LIST_S))
        except StepFailed as error:  # the list is good without a token; only its feedback cannot be taken
            served.trace.failed(error)
            return served, request_id
        return served, sign(served.token_fields(self.settings.token_ttl_s), key)

    def deadline(self) -> Deadline:
        """The budget of a request that starts now."""
        budget_s = self.settings.deadline_ms / 1000
        return Deadline(self.clock() + budget_s, budget_s, self.clock)

    def report(self, served: Served, deadline: Deadline) -> None:
        """Keep the served list and count what happened; an answer that stands is never lost to this."""
        latency_ms, lost = (deadline.budget_s - deadline.left()) * 1000, 0.0
        try:
            self.served_lists.put(served.record(latency_ms), max(deadline.left(), SERVED_LIST_S))
        except StepFailed as error:
            lost = 1.0
            log("WARNING", "served list not recorded", request_id=served.request_id, why=error.why)
        metrics = {**metrics_of(served, latency_ms), "ServedListsLost": (lost, "Count"), **self._rehearse(served)}
        count(metrics, dimensions_of(served), [["Slot"], ["Release"]])
        user = user_hash(served.request.user_id)
        for step, why in served.trace.degraded.items():
            count({"DegradedStep": (1, "Count")}, {"Step": step})
            log("WARNING", "degraded", step=step, why=why, request_id=served.request_id, user=user)
        if served.assigned_error is not None:
            release = served.assignment.standing.release
            log("WARNING", "the champion answered instead", release=release, why=served.assigned_error, user=user)

    def _rehearse(self, served: Served) -> dict[str, tuple[float, str]]:
        """Leave a copy for the candidate while it stands in the shadow; what became of it, as metrics."""
        copy, lost = served.shadow_copy(), 0.0
        if copy is None:
            return {}
        try:
            self.shadow.put(copy, SERVED_LIST_S)
        except (StepFailed, ValueError) as error:
            lost = 1.0
            log("WARNING", "no shadow copy", request_id=served.request_id, why=type(error).__name__)
        return {"ShadowCopies": (1.0 - lost, "Count"), "ShadowCopiesLost": (lost, "Count")}

    def warm(self) -> None:
        """Read at the start of the process what the first request would wait for. What fails is read again then."""
        try:
            self.traffic.current()
            self.key.get(self.wall(), 2.0)
        except (StepFailed, InvalidInput, ClientError):
            return


def recommend_world(settings: RecommendSettings, http: SignedHttp | None = None) -> RecommendWorld:
    http = http or SignedHttp()

    def read_release(release_id: str, timeout_s: float) -> ReleaseRecord | None:
        return DynamoReleases(DynamoReads(http, max(timeout_s, STATE_READ_S)), settings.releases_table).get(release_id)

    releases = CachedReleases(read_release)

    def traffic_read(timeout_s: float) -> Callable[[], Traffic | None]:
        current = DynamoTraffic(DynamoReads(http, timeout_s), settings.traffic_table).current

        def read() -> Traffic | None:
            traffic = current()
            if traffic is not None:
                releases.expect(traffic, timeout_s)
            return traffic

        return read

    rules = Rules(settings.candidates, settings.exploration_bp, settings.max_per_author, settings.max_per_topic_share)
    kitchen = Kitchen(
        DynamoFeatures(http, settings.user_features_table),
        EndpointModels(http, settings.two_tower_endpoint, settings.ranker_endpoint),
        OpenSearchIndex(http, settings.opensearch_url),
        rules,
        random.SystemRandom(),
    )
    return RecommendWorld(
        settings,
        CachedTraffic(
            traffic_read(STATE_READ_S), settings.traffic_ttl_ms / 1000, time.time, traffic_read(FIRST_READ_S)
        ),
        releases,
        kitchen,
        SecretKey(http, settings.token_secret_arn),
        Firehose(http, settings.served_stream),
        ShadowQueue(http, settings.shadow_queue_url),
    )
