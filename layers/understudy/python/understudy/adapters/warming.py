"""A first request through a release, by nobody: loads graphs and models, and proves that the parts belong together."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import quote

from understudy.adapters.aws_serving import EndpointModels, OpenSearchIndex
from understudy.adapters.aws_wire import SignedHttp
from understudy.contracts.release import ReleaseRecord
from understudy.contracts.traffic import Slot
from understudy.domain.ranking_rows import ranking_csv
from understudy.domain.recommendation import IndexQuestion
from understudy.errors import InvalidInput, NotReady, StepFailed

NOBODY = "understudy-warm-up"
ROUNDS = 5  # enough for every lazy load and the connection pools; measured in docs/runbook.md#warm-up
PATIENCE_S = 10.0
CANDIDATES = 200


def warm_index(http: SignedHttp, url: str, record: ReleaseRecord) -> None:
    """Load the k-NN graphs: native ones are otherwise read at the first query."""
    answer = http.send(
        "GET",
        f"{url.rstrip('/')}/_plugins/_knn/warmup/{quote(record.index)}",
        b"",
        {},
        signing_name="es",
        timeout_s=PATIENCE_S,
    )
    if answer.status == 404:
        raise InvalidInput(f"index {record.index} does not exist", "the index that this release was registered with")
    if answer.status != 200:
        raise NotReady(f"warm-up of {record.index} answered HTTP {answer.status}; it")


def warm_release(
    record: ReleaseRecord, models: EndpointModels, index: OpenSearchIndex, *, slot: Slot, now: datetime
) -> int:
    """Candidates found for a cold user, after `ROUNDS` whole requests.

    Raises
    ------
    NotReady
        A part does not answer yet.
    InvalidInput
        A part answers, and is another release's.
    """
    found = 0
    for number in range(ROUNDS):
        request_id = f"warmup-{number}"
        try:
            tower = models.user_vector({"user_id": NOBODY}, slot, request_id, PATIENCE_S)
            if tower.tower_id != record.tower_id:
                raise InvalidInput(
                    f"slot {slot} holds user tower {tower.tower_id}", f"{record.tower_id} of {record.release_id}"
                )
            items = index.nearest(record, IndexQuestion(tower.vector, CANDIDATES, CANDIDATES, (), ()), PATIENCE_S)
            ranked = models.scores(ranking_csv(record, {}, items, now), slot, request_id, PATIENCE_S)
        except StepFailed as error:
            raise NotReady(f"{record.release_id} in slot {slot} ({error})") from error
        if ranked.ranker_id != record.ranker_id:
            raise InvalidInput(
                f"slot {slot} holds ranker {ranked.ranker_id}", f"{record.ranker_id} of {record.release_id}"
            )
        if not items or len(ranked.scores) != len(items):
            raise NotReady(f"{record.release_id}: {len(ranked.scores)} scores for {len(items)} items; it")
        found = len(items)
    return found
