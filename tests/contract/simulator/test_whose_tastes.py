"""Whose tastes the traffic has, over a real lake: the generated world's, day after day, or what real people did later."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import boto3
import numpy as np
import pytest

from cli.data_commands import add_day, generate_world, shift_taste
from cli.site import Problem
from cli.tastes import read_futures, tastes_of
from features.importers.movielens import import_movielens
from simulator.registry import WorldRecord, keep_world, read_world
from simulator.tastes import FutureTastes, WorldTastes
from simulator.world import World, WorldSpec
from understudy.adapters.aws_items import to_item

pytest_plugins = ["support.lake_account"]
STATE_TABLE = "state"  # lake_account's
DATA = Path(__file__).parents[4] / "shared/data/ml-100k"
SMALL = {"users": 50, "items": 60, "days": 5, "impressions_per_day": 500, "seed": 3}


@pytest.fixture
def site(lake: Any, dynamodb: Any) -> Any:
    """A stack without endpoints: a lake and its tables."""
    names = {"LakeBucket": lake.bucket, "GlueDatabase": lake.database, "StateTable": STATE_TABLE}
    for table, key in (("traffic", "id"), ("releases", "release_id")):
        dynamodb.create_table(
            TableName=table,
            KeySchema=[{"AttributeName": key, "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
    outputs = {**names, "TrafficTable": "traffic", "ReleasesTable": "releases"}
    return SimpleNamespace(client=boto3.client, session=boto3.Session(), outputs=outputs, stack="understudy")


def test_a_world_is_rebuilt_from_its_spec_and_no_other_taste_is_like_it(dynamodb):
    end = datetime(2026, 3, 1, tzinfo=UTC)
    spec = WorldSpec(users=40, items=50, days=6, seed=9, end=end)
    assert read_world(dynamodb, STATE_TABLE) is None
    keep_world(dynamodb, STATE_TABLE, WorldRecord(spec, 5))
    known = read_world(dynamodb, STATE_TABLE)
    assert known == WorldRecord(spec, 5)
    assert known.now == end - timedelta(days=1)
    assert np.array_equal(World(known.spec).taste_UD, World(spec).taste_UD)
    assert not np.array_equal(World(known.spec).taste_UD, World(WorldSpec(users=40, items=50, days=6, seed=8)).taste_UD)


def test_a_generated_world_goes_on_day_by_day_until_today_and_not_beyond(site, lake):
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    written = generate_world(site, **SMALL, ahead=1)
    known = read_world(boto3.client("dynamodb"), STATE_TABLE)
    assert known is not None
    assert known.now == midnight - timedelta(days=1)
    day, events = add_day(site)
    assert day == date.fromordinal(midnight.date().toordinal() - 1)
    rows = lake.table("events").scan(selected_fields=("event_id", "event_time")).to_arrow()
    assert rows.num_rows == written + events == len(set(rows["event_id"].to_pylist()))
    assert sum(time.date() == day for time in rows["event_time"].to_pylist()) == events
    assert lake.table("users").scan().to_arrow().num_rows == 50, "everybody came with the first days"
    with pytest.raises(Problem, match="all 6 days"):
        add_day(site)
    assert isinstance(tastes_of(site), WorldTastes)


def test_a_lake_of_nobodys_world_has_no_next_day(site):
    with pytest.raises(Problem, match="no simulated world"):
        add_day(site)


@pytest.mark.shared
@pytest.mark.skipif(not DATA.exists(), reason="../shared/data/ml-100k is absent")
def test_real_people_click_the_films_they_went_on_to_like(site, target, dynamodb):
    import_movielens(DATA, target)
    since = datetime(1998, 3, 1, tzinfo=UTC)
    expected: dict[str, set[str]] = {}
    for line in (DATA / "ml-100k.inter").read_text().splitlines()[1:]:
        user, film, rating, at = line.split("\t")
        if float(rating) >= 4 and float(at) >= since.timestamp():
            expected.setdefault(user, set()).add(film)
    assert read_futures(site, since) == expected

    champion = {"champion": {"release": "r-1", "slot": "blue"}}
    dynamodb.put_item(TableName="traffic", Item=to_item({"id": "traffic", **champion}))
    dynamodb.put_item(
        TableName="releases", Item=to_item({"release_id": "r-1", "lineage": {"as_of": since.isoformat()}})
    )
    tastes = tastes_of(site)
    assert isinstance(tastes, FutureTastes)
    user = tastes.visitor(Random(1))
    assert tastes.likings(user, [next(iter(expected[user])), "no film"]).tolist() == [1.0, 0.0]
    too_late = {"release_id": "r-1", "lineage": {"as_of": "1999-01-01T00:00:00+00:00"}}
    dynamodb.put_item(TableName="releases", Item=to_item(too_late))
    with pytest.raises(Problem, match="nobody has a future"):
        tastes_of(site)


def test_a_world_changes_its_taste_once_from_the_moment_its_people_live_in(site):
    with pytest.raises(Problem, match="no simulated world"):
        shift_taste(site)
    generate_world(site, **SMALL, ahead=2)
    users = tastes_of(site)
    someone = users.visitor(Random(4))
    items = [f"i{number:06d}" for number in range(60)]
    old = users.likings(someone, items)
    assert shift_taste(site) == add_day(site)[0]
    assert not np.allclose(tastes_of(site).likings(someone, items), old)
    with pytest.raises(Problem, match="shifts once"):
        shift_taste(site)
