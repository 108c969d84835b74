"""The world of `replay_shadow`, wired: the candidate's endpoints and index as `recommend` reaches them, and the outcomes."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from understudy.adapters.aws import DynamoReleases, DynamoTraffic, client
from understudy.adapters.aws_outcomes import DynamoOutcomes
from understudy.adapters.aws_serving import DynamoFeatures, EndpointModels, OpenSearchIndex
from understudy.adapters.aws_wire import DynamoReads, SignedHttp
from understudy.adapters.cached import CachedReleases, CachedTraffic
from understudy.contracts.release import ReleaseRecord
from understudy.contracts.shadow import ShadowCopy
from understudy.domain.outcomes import OutcomeStore
from understudy.domain.recommendation import Deadline, Kitchen, Rules
from understudy.domain.shadow import Replay, is_on_stage, replay, shadow_fact
from understudy.observability import count, log
from understudy.settings import ReplayShadowSettings

STATE_READ_S = 2.0


@dataclass(slots=True)
class ReplayWorld:
    settings: ReplayShadowSettings
    traffic: CachedTraffic
    releases: CachedReleases
    kitchen: Kitchen
    outcomes: OutcomeStore
    clock: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    warmed: set[str] = field(default_factory=set)

    def play(self, copy: ShadowCopy) -> Replay | None:
        """Put one copy to its candidate and count how it went; None if that one has left the stage.

        The first copy for a release in this process is played twice and counted once: a connection's and a record's
        first reading would be held against the release.
        """
        traffic, _ = self.traffic.current()
        if not is_on_stage(copy, traffic):
            return None
        if copy.candidate.release not in self.warmed:
            self._replay(copy)
            self.warmed.add(copy.candidate.release)
        played = self._replay(copy)
        self.outcomes.add([shadow_fact(copy, played)], datetime.fromtimestamp(self.wall(), UTC))
        self._report(copy, played)
        return played

    def _replay(self, copy: ShadowCopy) -> Replay:
        budget_s = self.settings.deadline_ms / 1000
        return replay(copy, self.releases.get, self.kitchen, Deadline(self.clock() + budget_s, budget_s, self.clock))

    def _report(self, copy: ShadowCopy, played: Replay) -> None:
        metrics: dict[str, tuple[float, str]] = {"ShadowErrors": (int(played.why is not None), "Count")}
        if played.latency_ms is not None:
            metrics["ShadowLatency"] = (round(played.latency_ms, 2), "Milliseconds")
        if played.overlap is not None:
            metrics["ShadowOverlap"] = (round(played.overlap * 100, 2), "Percent")
        count(metrics, {"Release": copy.candidate.release})
        if played.why is not None:
            log("WARNING", "the candidate failed", request_id=copy.request_id, why=played.why)


def replay_world(settings: ReplayShadowSettings, http: SignedHttp | None = None) -> ReplayWorld:
    http = http or SignedHttp()
    reads = DynamoReads(http, STATE_READ_S)

    def read_release(release_id: str, timeout_s: float) -> ReleaseRecord | None:
        return DynamoReleases(DynamoReads(http, max(timeout_s, STATE_READ_S)), settings.releases_table).get(release_id)

    kitchen = Kitchen(
        DynamoFeatures(http, ""),  # never asked: a copy carries the features the champion used
        EndpointModels(http, settings.two_tower_endpoint, settings.ranker_endpoint),
        OpenSearchIndex(http, settings.opensearch_url),
        Rules(settings.candidates, 0, settings.max_per_author, settings.max_per_topic_share),  # nothing by chance
        random.SystemRandom(),
    )
    return ReplayWorld(
        settings,
        CachedTraffic(DynamoTraffic(reads, settings.traffic_table).current, settings.traffic_ttl_ms / 1000, time.time),
        CachedReleases(read_release),
        kitchen,
        DynamoOutcomes(client("dynamodb"), settings.outcomes_table),
    )
