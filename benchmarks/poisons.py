"""What a poison costs under the true taste, and how soon the judge sees it: `python -m simulator.calibration --state DIR`.

Two parts, both without HTTP. `clicks`: the same visits answered by each variant of a release, their clicks per impression computed
from the world's own probabilities, not drawn. `race`: visits at a rate, drawn clicks, users assigned as in serving, the judge asked at every look;
how often and when each variant is promoted or taken down. The account must hold two nights of a generated world.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

import numpy as np

from benchmarks.offline_release import OfflineRelease, ReleaseModels, download_models
from benchmarks.rollout_race import Race, Setting
from cli.index_poisons import Poison, content_of, poisoned
from simulator.registry import read_world
from simulator.tastes import WorldTastes
from simulator.traffic import Site
from simulator.world import World, examination
from understudy.adapters.aws_items import from_item
from understudy.contracts.release import ReleaseRecord

VISITS, K = 2000, 10
SETTINGS = (  # visits a second, delta, seconds a bake, seconds between looks, minimum requests
    Setting(rps=10, delta=0.25, bake_s=30, look_s=3, min_requests=15),
    Setting(rps=15, delta=0.25, bake_s=20, look_s=3, min_requests=20),
    Setting(rps=15, delta=0.25, bake_s=30, look_s=3, min_requests=20),
    Setting(rps=15, delta=0.20, bake_s=30, look_s=3, min_requests=20),
    Setting(rps=25, delta=0.20, bake_s=25, look_s=3, min_requests=30),
)


@dataclass(frozen=True, slots=True)
class Measured:
    """Expected clicks per impression of each visited user, (U,), and what the whole is, weighted by visits."""

    rates: dict[str, float]
    mean: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--state", type=Path, default=Path(".understudy"))
    parser.add_argument("--runs", type=int, default=200)
    arguments = parser.parse_args()
    from cli.site import connect

    site = connect("understudy", arguments.state)
    with tempfile.TemporaryDirectory() as scratch:
        variants, visits = measure_variants(site, Path(scratch))
    base = variants["first night (champion)"]
    print("| variant | clicks per impression | against the champion | users who gain |\n|---|---|---|---|")  # noqa: T201
    for name, measured in variants.items():
        gain = np.mean([measured.rates[user] > base.rates[user] for user in base.rates])
        print(f"| {name} | {measured.mean:.4f} | {measured.mean / base.mean - 1:+.1%} | {gain:.0%} |")  # noqa: T201
    head = "| setting | variant | promoted | taken down | undecided | median s to the end |"
    print(f"\n{head}\n|---|---|---|---|---|---|")  # noqa: T201
    for setting in SETTINGS:
        for name, measured in variants.items():
            race = Race(setting, base.rates, measured.rates, visits)
            ends = [race.run(seed) for seed in range(arguments.runs)]
            share = {
                end: sum(one.end == end for one in ends) / len(ends) for end in ("promoted", "taken down", "undecided")
            }
            took = median(one.seconds for one in ends)
            print(f"| {setting} | {name} | " + " | ".join(f"{share[end]:.0%}" for end in share) + f" | {took:.0f} |")  # noqa: T201


def measure_variants(site: Site, scratch: Path) -> tuple[dict[str, Measured], list[str]]:
    """Every variant's clicks per impression on the same visits, and who visits, in order."""
    known = read_world(site.session.client("dynamodb"), site.outputs["StateTable"])
    assert known is not None, "the account holds no generated world"
    tastes = WorldTastes(World(known.spec), known.now)
    rng = Random(11)
    visits = [tastes.visitor(rng) for _ in range(VISITS)]
    second, first = newest_releases(site)[:2]
    users = online_features(site)
    s3 = site.session.client("s3")
    content = {record.release_id: content_of(s3, record, scratch) for record in (first, second)}
    models = {
        record.release_id: ReleaseModels(
            download_models(s3, record, scratch / "models" / record.release_id), scratch / "open" / record.release_id
        )
        for record in (first, second)
    }
    orders = {
        "first night (champion)": (first, None),
        "second night (good)": (second, None),
        "shuffled_index, all": (second, Poison("shuffled_index")),
        "shuffled_index, half": (second, Poison("shuffled_index", share=0.5)),
        "stale_index": (second, Poison("stale_index", other=first)),
        "popularity_only": (second, Poison("popularity_only")),
    }
    variants = {}
    for name, (record, poison) in orders.items():
        own = content[record.release_id]
        held = own if poison is None else poisoned(own, poison, record, content[first.release_id])
        release = OfflineRelease.of(record, models[record.release_id], held, Random(3))
        variants[name] = measured(release, tastes, users, visits, known.now)
    return variants, visits


def measured(
    release: OfflineRelease, tastes: WorldTastes, users: Mapping[str, Any], visits: list[str], now: datetime
) -> Measured:
    """Expected clicks per impression for each visitor, who is shown one list however often the visitor comes."""
    rates = {}
    for user in dict.fromkeys(visits):
        items = [str(item["item_id"]) for item in release.slate(user, users.get(user, {}), K, now).items]
        chances_N = examination(np.arange(1, len(items) + 1)) * tastes.likings(user, items)
        rates[user] = float(chances_N.mean())
    return Measured(rates, float(np.mean([rates[user] for user in visits])))


def newest_releases(site: Site) -> list[ReleaseRecord]:
    """Every release, newest first."""
    pages = site.session.client("dynamodb").get_paginator("scan").paginate(TableName=site.outputs["ReleasesTable"])
    records = [ReleaseRecord.model_validate(from_item(item)) for page in pages for item in page["Items"]]
    return sorted(records, key=lambda record: record.created_at, reverse=True)


def online_features(site: Site) -> dict[str, Any]:
    """Every user's online features, as the recommender reads them."""
    pages = site.session.client("dynamodb").get_paginator("scan").paginate(TableName=site.outputs["UserFeaturesTable"])
    rows = [from_item(item) for page in pages for item in page["Items"]]
    return {row["user_id"]: row["features"] for row in rows}


if __name__ == "__main__":
    main()
