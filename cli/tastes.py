"""Whose tastes the traffic has: the world that the lake was generated from, or what real people did after the releases' data ended."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime

from cli.data_commands import lake_of
from cli.site import Problem, Site
from cli.stage import serving_release
from simulator.registry import read_world
from simulator.tastes import FutureTastes, Tastes, WorldTastes
from simulator.world import World

POSITIVE = ("click", "like", "follow")


def tastes_of(site: Site, *, cold_share: float = 0.0, people: int | None = None) -> Tastes:
    """The people behind this lake's data; simulated ones are rebuilt from the spec, real ones from their held-out future.

    Raises
    ------
    Problem
        Neither is known: no generated world, and nothing in the log after the champion's data.
    """
    record = read_world(site.client("dynamodb"), site.outputs["StateTable"])
    if record is not None:
        return WorldTastes(World(record.spec), record.now, cold_share, people)
    as_of = serving_release(site)["lineage"]["as_of"]
    futures = read_futures(site, datetime.fromisoformat(as_of))
    chosen = dict(sorted(futures.items())[:people])
    try:
        return FutureTastes(chosen, cold_share)
    except ValueError as error:
        raise Problem(
            f"{error}, which end at {as_of}; run the night on an earlier day: understudy night --as-of"
        ) from error


def read_futures(site: Site, since: datetime) -> dict[str, set[str]]:
    """What each user clicked, liked or followed at or after `since`."""
    kinds = ", ".join(f"'{kind}'" for kind in POSITIVE)
    later = f"event_time >= '{since.isoformat()}' and event_type in ({kinds})"
    table = lake_of(site).table("events").scan(row_filter=later, selected_fields=("user_id", "item_id")).to_arrow()
    futures: defaultdict[str, set[str]] = defaultdict(set)
    for user, item in zip(table["user_id"].to_pylist(), table["item_id"].to_pylist(), strict=True):
        futures[user].add(item)
    return dict(futures)
