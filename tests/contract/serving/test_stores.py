"""One body for traffic, leases and releases over memory, the local account, and DynamoDB's own engine where it is."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Any

import boto3
import pytest
from botocore.exceptions import ReadTimeoutError

from understudy.adapters.aws import DynamoLeases, DynamoReleases, DynamoTraffic
from understudy.adapters.memory import MemoryLeases, MemoryReleases, MemoryTraffic
from understudy.contracts.release import ReleaseRecord
from understudy.contracts.traffic import Standing, Traffic
from understudy.errors import (
    LeaseHeld,
    LeaseLost,
    ReleaseExists,
    ReleaseMoved,
    StatusNotAllowed,
    TrafficMoved,
    WriteRefused,
)
from understudy.ports import LeaseStore, ReleaseStore, TrafficStore

NOW = datetime(2026, 3, 1, 4, 0, tzinfo=UTC)
BLUE, GREEN = Standing(release="r-1", slot="blue"), Standing(release="r-2", slot="green")
FIRST = Traffic(change_id="c-1", champion=BLUE, salt="s", reason="first", changed_at=NOW)


@dataclass
class Stores:
    traffic: TrafficStore
    leases: LeaseStore
    releases: ReleaseStore
    client: Any = None  # DynamoDB's, None in memory


def dynamo_stores(client: Any) -> Stores:
    tables = {}
    for kind, key in (("traffic", "id"), ("leases", "name"), ("releases", "release_id")):
        tables[kind] = f"serving-{kind}-{uuid.uuid4().hex[:8]}"
        client.create_table(
            TableName=tables[kind],
            KeySchema=[{"AttributeName": key, "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
    return Stores(
        DynamoTraffic(client, tables["traffic"]),
        DynamoLeases(client, tables["leases"]),
        DynamoReleases(client, tables["releases"]),
        client,
    )


@pytest.fixture(params=["memory", "account", pytest.param("engine", marks=pytest.mark.engine)])
def stores(request: pytest.FixtureRequest) -> Iterator[Stores]:
    if request.param == "memory":
        yield Stores(MemoryTraffic(), MemoryLeases(), MemoryReleases())
    elif request.param == "account":
        yield dynamo_stores(request.getfixturevalue("account").client("dynamodb"))
    else:
        if not (url := os.environ.get("DYNAMODB_URL")):
            pytest.skip("DYNAMODB_URL names no DynamoDB")
        keys = {"aws_access_key_id": "local", "aws_secret_access_key": "local"}
        client = boto3.client("dynamodb", endpoint_url=url, region_name="us-east-1", **keys)
        yield dynamo_stores(client)
        client.close()


def stage(traffic: Traffic, change_id: str, **changes: Any) -> Traffic:
    return traffic.next(change_id=change_id, reason="a test moves it", changed_at=NOW, **changes)


def record(release_id: str = "r-1", **changes: Any) -> ReleaseRecord:
    fields: dict[str, Any] = {
        "release_id": release_id,
        "run_id": "n-1",
        "created_at": NOW,
        "index": f"items-{release_id}",
        "tower_id": "t",
        "ranker_id": "k",
        **{f"{name}_s3": f"s3://b/{name}" for name in ("two_tower_model", "ranker_model", "vectors", "prepared")},
        **{f"{name}_s3": f"s3://b/{name}" for name in ("evaluation", "model_card", "baseline")},
        "feature_set": "1",
        "ranker_columns": [("user_age", "number", None), ("item_topic", "category", "")],
        "crosses": [{"name": "topic_affinity", "user": "topic_shares_30d", "item": "topic", "default": 0}],
        "item_fields": ["item_id", "title"],
        "popular": ["i1"],
        "metrics": {"recall_at_100": 0.123456789012345, "count": 3, "tiny": 1e-12},
    }
    return ReleaseRecord.model_validate({**fields, **changes})


def race(writers: int, write: Callable[[int], Any]) -> list[Any]:
    """Results of `write(0..n-1)` begun at the same moment; a refusal stands where it was raised."""
    gate = Barrier(writers)

    def run(number: int) -> Any:
        gate.wait()
        try:
            return write(number)
        except WriteRefused as error:
            return error

    with ThreadPoolExecutor(writers) as pool:
        return list(pool.map(run, range(writers)))


# ---- traffic ----


def test_there_is_no_traffic_before_the_first_release(stores: Stores) -> None:
    assert stores.traffic.current() is None


def test_the_first_write_needs_that_nothing_is_there(stores: Stores) -> None:
    stored = stores.traffic.replace(None, FIRST, fence=1)
    assert (stored.version, stored.fence) == (1, 1)
    assert stores.traffic.current() == stored
    with pytest.raises(TrafficMoved):
        stores.traffic.replace(None, stage(FIRST, "c-2"), fence=1)


def test_a_change_is_numbered_by_the_store_and_read_back_whole(stores: Stores) -> None:
    first = stores.traffic.replace(None, FIRST, fence=1)
    second = stores.traffic.replace(first, stage(first, "c-2", candidate=GREEN, share_bp=1000), fence=2)
    assert (second.version, second.fence, second.share_bp) == (2, 2, 1000)
    assert stores.traffic.current() == second


def test_a_change_that_was_decided_on_an_older_version_is_refused(stores: Stores) -> None:
    first = stores.traffic.replace(None, FIRST, fence=1)
    second = stores.traffic.replace(first, stage(first, "c-2"), fence=1)
    with pytest.raises(TrafficMoved) as refused:
        stores.traffic.replace(first, stage(first, "c-3"), fence=1)
    assert refused.value.change_id == "c-2"
    assert stores.traffic.current() == second


@pytest.mark.parametrize(
    ("fence", "lands"),
    [
        pytest.param(4, False, id="one below the stored fence: refused"),
        pytest.param(5, True, id="the stored fence itself: written"),
    ],
)
def test_nothing_decided_under_a_lower_fence_lands_after_a_rollback(stores: Stores, fence: int, lands: bool) -> None:
    first = stores.traffic.replace(None, FIRST, fence=1)
    rolled_back = stores.traffic.replace(first, stage(first, "back"), fence=5)
    if lands:
        assert stores.traffic.replace(rolled_back, stage(rolled_back, "c-3"), fence=fence).version == 3
    else:
        with pytest.raises(TrafficMoved):
            stores.traffic.replace(rolled_back, stage(rolled_back, "c-3"), fence=fence)
        assert stores.traffic.current() == rolled_back


def test_a_writer_that_finds_its_own_change_lost_only_its_reply(stores: Stores) -> None:
    first = stores.traffic.replace(None, FIRST, fence=1)
    assert stores.traffic.replace(None, FIRST, fence=1) == first
    wanted = stage(first, "c-2", candidate=GREEN)
    second = stores.traffic.replace(first, wanted, fence=1)
    assert stores.traffic.replace(first, wanted, fence=1) == second
    assert stores.traffic.current() == second


def test_a_lost_reply_on_the_wire_is_written_once(stores: Stores) -> None:
    if stores.client is None:
        pytest.skip("there is no wire in memory")
    lost = [True]

    def lose(**_: Any) -> None:
        if lost:
            lost.pop()
            raise ReadTimeoutError(endpoint_url="the reply was lost after the effect")

    stores.client.meta.events.register("after-call.dynamodb.PutItem", lose)
    try:
        with pytest.raises(ReadTimeoutError):
            stores.traffic.replace(None, FIRST, fence=1)
        assert stores.traffic.replace(None, FIRST, fence=1).version == 1
    finally:
        stores.client.meta.events.unregister("after-call.dynamodb.PutItem", lose)


def test_of_fifty_writers_at_once_one_wins(stores: Stores) -> None:
    first = stores.traffic.replace(None, FIRST, fence=1)
    results = race(50, lambda n: stores.traffic.replace(first, stage(first, f"c-{n + 2}"), fence=1))
    winners = [result for result in results if isinstance(result, Traffic)]
    assert len(winners) == 1
    assert stores.traffic.current() == winners[0]
    assert sum(isinstance(result, TrafficMoved) for result in results) == 49


# ---- leases ----


def test_fences_grow_from_holder_to_holder_and_a_release_keeps_the_count(stores: Stores) -> None:
    first = stores.leases.acquire("night", "a", 60, NOW)
    stores.leases.release(first)
    assert stores.leases.holder("night") is None
    second = stores.leases.acquire("night", "b", 60, NOW)
    assert second.fence == first.fence + 1
    assert stores.leases.holder("night") == second


@pytest.mark.parametrize(
    ("later_s", "is_free"),
    [
        pytest.param(59, False, id="one second before its end it is held"),
        pytest.param(60, True, id="at its end the next may have it"),
    ],
)
def test_a_lease_whose_holder_died_is_free_when_its_time_is_over(stores: Stores, later_s: int, is_free: bool) -> None:
    dead = stores.leases.acquire("night", "a", 60, NOW)
    later = NOW + timedelta(seconds=later_s)
    if is_free:
        assert stores.leases.acquire("night", "b", 60, later).fence == dead.fence + 1
    else:
        with pytest.raises(LeaseHeld, match="held by a"):
            stores.leases.acquire("night", "b", 60, later)


def test_the_holder_that_asks_again_gets_the_lease_it_has(stores: Stores) -> None:
    first = stores.leases.acquire("night", "a", 60, NOW)
    assert stores.leases.acquire("night", "a", 60, NOW + timedelta(seconds=30)) == first
    assert stores.leases.acquire("night", "a", 60, NOW + timedelta(seconds=60)).fence == first.fence + 1


def test_a_lease_is_lifted_above_a_fence_that_was_raised_without_it(stores: Stores) -> None:
    lease = stores.leases.acquire("stage", "a", 60, NOW)
    lifted = stores.leases.lift(lease, 7)
    assert (lifted.fence, lifted.owner) == (8, "a")
    assert stores.leases.holder("stage") == lifted
    assert stores.leases.lift(lifted, 3) == lifted
    assert stores.leases.lift(lease, 7) == lifted, "asked again after a lost reply"
    stores.leases.release(lifted)
    assert stores.leases.acquire("stage", "b", 60, NOW).fence == 9


def test_a_lease_that_was_taken_over_is_not_lifted(stores: Stores) -> None:
    stale = stores.leases.acquire("stage", "a", 60, NOW)
    taken = stores.leases.acquire("stage", "b", 60, NOW + timedelta(seconds=61))
    with pytest.raises(LeaseLost):
        stores.leases.lift(stale, 7)
    assert stores.leases.holder("stage") == taken


def test_a_lease_that_was_taken_over_can_be_neither_renewed_nor_given_back(stores: Stores) -> None:
    stale = stores.leases.acquire("night", "a", 60, NOW)
    taken = stores.leases.acquire("night", "b", 60, NOW + timedelta(seconds=61))
    with pytest.raises(LeaseLost):
        stores.leases.renew(stale, 60, NOW + timedelta(seconds=62))
    stores.leases.release(stale)
    assert stores.leases.holder("night") == taken


def test_a_renewed_lease_is_held_longer_under_the_same_fence(stores: Stores) -> None:
    lease = stores.leases.acquire("night", "a", 60, NOW)
    renewed = stores.leases.renew(lease, 120, NOW)
    assert renewed.fence == lease.fence
    with pytest.raises(LeaseHeld):
        stores.leases.acquire("night", "b", 60, NOW + timedelta(seconds=119))


def test_giving_back_twice_is_giving_back_once(stores: Stores) -> None:
    lease = stores.leases.acquire("night", "a", 60, NOW)
    stores.leases.release(lease)
    stores.leases.release(lease)
    assert stores.leases.acquire("night", "b", 60, NOW).fence == lease.fence + 1


def test_of_fifty_that_ask_at_once_one_holds_the_lease(stores: Stores) -> None:
    results = race(50, lambda n: stores.leases.acquire("night", f"owner-{n}", 60, NOW))
    winners = [result for result in results if not isinstance(result, LeaseHeld)]
    assert len(winners) == 1
    assert stores.leases.holder("night") == winners[0]


# ---- releases ----


def test_a_release_is_read_back_as_it_was_registered(stores: Stores) -> None:
    stores.releases.register(record())
    assert stores.releases.get("r-1") == record()
    assert stores.releases.get("r-2") is None


def test_registering_the_same_release_again_finds_it_done_and_other_contents_are_refused(stores: Stores) -> None:
    first = stores.releases.register(record())
    moved = stores.releases.move_status(first, "approved", fence=1)
    assert stores.releases.register(record()) == moved
    with pytest.raises(ReleaseExists) as refused:
        stores.releases.register(record(tower_id="another"))
    assert refused.value.differing == ["tower_id"]


def test_releases_are_listed_newest_first(stores: Stores) -> None:
    for day in (1, 3, 2):
        stores.releases.register(record(f"r-{day}", created_at=NOW + timedelta(days=day)))
    assert [each.release_id for each in stores.releases.list()] == ["r-3", "r-2", "r-1"]


def test_a_status_moves_once_from_the_version_it_was_decided_on(stores: Stores) -> None:
    first = stores.releases.register(record())
    approved = stores.releases.move_status(first, "approved", fence=1)
    assert (approved.status, approved.version, approved.fence) == ("approved", 2, 1)
    assert stores.releases.move_status(first, "approved", fence=1) == approved  # its own lost reply
    with pytest.raises(ReleaseMoved):
        stores.releases.move_status(first, "rejected", fence=1)
    assert stores.releases.get("r-1") == approved


def test_a_status_decided_under_a_lower_fence_is_refused(stores: Stores) -> None:
    approved = stores.releases.move_status(stores.releases.register(record()), "approved", fence=5)
    with pytest.raises(ReleaseMoved):
        stores.releases.move_status(approved, "champion", fence=4)
    assert stores.releases.move_status(approved, "champion", fence=5).status == "champion"


def test_nothing_leaves_rejected(stores: Stores) -> None:
    rejected = stores.releases.move_status(stores.releases.register(record()), "rejected", fence=1)
    with pytest.raises(StatusNotAllowed):
        stores.releases.move_status(rejected, "champion", fence=1)


def test_of_fifty_moves_at_once_one_lands(stores: Stores) -> None:
    first = stores.releases.register(record())
    results = race(50, lambda n: stores.releases.move_status(first, "approved" if n % 2 else "rejected", fence=n + 1))
    winners = [result for result in results if isinstance(result, ReleaseRecord)]
    assert len(winners) == 1
    assert stores.releases.get("r-1") == winners[0]
