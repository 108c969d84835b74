"""A small `prepared/` folder, as prepare_data writes one, from nothing but a seed: for tests of the model jobs.

    from support.prepared import make_prepared


Tastes are learnable: each user likes two topics and one author, has a place in a latent space, and clicks more at the
top of a list.
"""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from features.declaration import DECLARATION_FILE, FeatureSet, load
from features.manifest import write_manifest

AS_OF = datetime(2026, 3, 1, tzinfo=UTC)
TOPICS = ("football", "cooking", "travel", "music", "science", "film")
CITIES = ("Lisbon", "Oslo", "Turin", "Ghent")
SEGMENTS = ("casual", "regular", "fan")
PER_DAY = 12  # impressions of a user in a day


def make_prepared(folder: Path, users: int = 200, items: int = 150, days: int = 6, seed: int = 0) -> Path:
    """Write a whole prepared folder; same arguments, same bytes. The last day is holdout, the one before validation."""
    rng = np.random.default_rng(seed)
    declared = load()
    world = _World(rng, users, items)
    rows = world.impressions(rng, days)
    train_end, validation_end = AS_OF - timedelta(days=2), AS_OF - timedelta(days=1)
    splits: dict[str, list[dict[str, Any]]] = {"train": [], "validation": [], "holdout": []}
    for row in rows:
        at = row["event_time"]
        splits["train" if at < train_end else "validation" if at < validation_end else "holdout"].append(row)
    for split, part in splits.items():
        _write(folder / "ranking" / split / "part-0.parquet", part, ranking_schema(declared))
        _write(folder / "recall" / split / "part-0.parquet", [_positive(row) for row in part if row["label"]], RECALL)
    _write(folder / "users" / "part-0.parquet", world.user_rows(), USERS)
    _write(folder / "items" / "part-0.parquet", world.item_rows(), ITEMS)
    pairs = sorted(
        {(row["user_id"], row["item_id"]) for row in rows if row["label"] and row["event_time"] < validation_end}
    )
    _write(folder / "history" / "part-0.parquet", [{"user_id": user, "item_id": item} for user, item in pairs], HISTORY)
    popular = sorted(world.item_rows(), key=lambda row: (-row["item_clicks_7d"], row["item_id"]))[:200]
    popular_rows = [{"item_id": row["item_id"], "clicks": int(row["item_clicks_7d"])} for row in popular]
    (folder / "popular.json").write_text(json.dumps(popular_rows), encoding="utf-8")
    shutil.copy(DECLARATION_FILE, folder / "features.yaml")
    counts = {f"ranking_{split}": len(part) for split, part in splits.items()}
    facts = {
        "window": {"start": (AS_OF - timedelta(days=days)).isoformat(), "end": AS_OF.isoformat()},
        "snapshots": {"events": 1, "users": 1, "items": 1},
        "counts": counts,
        "base_rate": sum(row["label"] for row in splits["train"]) / len(splits["train"]),
    }
    write_manifest(folder, "prepare_data", facts)
    return folder


TEXT, FLOAT, TIME = pa.string(), pa.float32(), pa.timestamp("us", tz="UTC")
IDS, SHARES = pa.list_(TEXT), pa.map_(TEXT, FLOAT)


def _schema(**columns: pa.DataType) -> pa.Schema:
    return pa.schema(list(columns.items()))


PROFILE = {"user_age": FLOAT, "user_city": TEXT, "user_segment": TEXT}
USER_NUMBERS = ("impressions_7d", "clicks_7d", "ctr_7d", "clicks_30d", "days_since_click")
USER_COUNTS = {f"user_{name}": FLOAT for name in USER_NUMBERS}
USER_SHARES = {"user_topic_shares_30d": SHARES, "user_author_shares_30d": SHARES}
ITEM_COUNTS = {f"item_{name}": FLOAT for name in ("age_days", "impressions_7d", "clicks_7d", "ctr_7d", "clicks_30d")}
RECALL = _schema(user_id=TEXT, item_id=TEXT, event_time=TIME, **PROFILE, user_last_5_clicks=IDS, weight=FLOAT)
USERS = _schema(user_id=TEXT, **PROFILE, **USER_COUNTS, user_last_5_clicks=IDS, **USER_SHARES)
ITEMS = _schema(item_id=TEXT, title=TEXT, item_topic=TEXT, item_author_id=TEXT, **ITEM_COUNTS)
HISTORY = _schema(user_id=TEXT, item_id=TEXT)


def ranking_schema(declared: FeatureSet) -> pa.Schema:
    """Columns of ranking/*.parquet: identity, label, then the ranker's columns in order."""
    kinds = {"number": pa.float32(), "category": pa.string()}
    identity = [
        ("event_id", pa.string()),
        ("user_id", pa.string()),
        ("item_id", pa.string()),
        ("event_time", TIME),
        ("label", pa.int8()),
    ]
    return pa.schema(identity + [(column.name, kinds[column.kind]) for column in declared.ranker])


class _World:
    def __init__(self, rng: np.random.Generator, users: int, items: int) -> None:
        self.users = [f"u{index:05d}" for index in range(users)]
        self.items = [f"i{index:05d}" for index in range(items)]
        self.taste = rng.normal(size=(users, 8))
        self.place = rng.normal(size=(items, 8))
        self.topic = rng.integers(len(TOPICS), size=items)
        self.author = rng.integers(max(2, items // 10), size=items)
        self.liked = np.stack([rng.permutation(len(TOPICS))[:2] for _ in range(users)])
        self.fan_of = rng.integers(max(2, items // 10), size=users)
        self.age_days = rng.uniform(0, 40, size=items)
        self.age = rng.integers(16, 70, size=users)
        self.city, self.segment = rng.integers(len(CITIES), size=users), rng.integers(len(SEGMENTS), size=users)
        self.clicks: list[list[int]] = [[] for _ in range(users)]
        self.shown = np.zeros(users)
        self.item_shown, self.item_clicked = np.zeros(items), np.zeros(items)

    def impressions(self, rng: np.random.Generator, days: int) -> list[dict[str, Any]]:
        """Every impression with its label and features; a day's features know only the days before."""
        rows: list[dict[str, Any]] = []
        for day in range(days):
            midnight = AS_OF - timedelta(days=days - day)
            known_items = [self._item(item) for item in range(len(self.items))]
            today: list[tuple[int, int]] = []
            for user in range(len(self.users)):
                known_user, shares = self._user(user), self._shares(self.clicks[user])
                start = midnight + timedelta(hours=int(rng.integers(8, 22)))
                for position, item in enumerate(rng.permutation(len(self.items))[:PER_DAY].tolist(), start=1):
                    label = int(rng.random() < self._click_probability(user, item, position))
                    at = start + timedelta(seconds=20 * position)
                    row = (
                        {"event_id": f"e{len(rows):07d}", "event_time": at, "label": label}
                        | known_user
                        | known_items[item]
                    )
                    row["topic_affinity"] = shares["topic"].get(row["item_topic"], 0.0)
                    row["author_affinity"] = shares["author"].get(row["item_author_id"], 0.0)
                    row |= {"hour": float(at.hour), "weekday": float(at.weekday()), "position": float(position)}
                    rows.append(row)
                    today.append((user, item) if label else (user, -1 - item))
            self._remember(today)
        return rows

    def _click_probability(self, user: int, item: int, position: int) -> float:
        likes, fan = self.topic[item] in self.liked[user], self.author[item] == self.fan_of[user]
        logit = -2.6 + 1.6 * likes + 1.4 * fan + 0.5 * self.taste[user] @ self.place[item] - 0.12 * (position - 1)
        return float(1 / (1 + np.exp(-logit)))

    def _remember(self, shown: list[tuple[int, int]]) -> None:
        """A day's impressions become known: (user, item) was clicked, (user, -1 - item) was not."""
        for user, mark in shown:
            item = mark if mark >= 0 else -1 - mark
            self.shown[user] += 1
            self.item_shown[item] += 1
            if mark >= 0:
                self.clicks[user].append(item)
                self.item_clicked[item] += 1

    def _user(self, user: int) -> dict[str, Any]:
        clicks, shown = self.clicks[user], self.shown[user]
        return {
            "user_id": self.users[user],
            "user_age": float(self.age[user]),
            "user_city": CITIES[self.city[user]],
            "user_segment": SEGMENTS[self.segment[user]],
            "user_impressions_7d": float(shown),
            "user_clicks_7d": float(len(clicks)),
            "user_ctr_7d": len(clicks) / shown if shown else None,
            "user_clicks_30d": float(len(clicks)),
            "user_days_since_click": 1.0 if clicks else None,
            "user_last_5_clicks": [self.items[item] for item in dict.fromkeys(reversed(clicks))][:5],
        }

    def _item(self, item: int) -> dict[str, Any]:
        shown, clicked = self.item_shown[item], self.item_clicked[item]
        return {
            "item_id": self.items[item],
            "item_topic": TOPICS[self.topic[item]],
            "item_author_id": f"a{self.author[item]}",
            "item_age_days": float(self.age_days[item]),
            "item_impressions_7d": float(shown),
            "item_clicks_7d": float(clicked),
            "item_ctr_7d": clicked / shown if shown else None,
            "item_clicks_30d": float(clicked),
        }

    def _shares(self, clicks: list[int]) -> dict[str, dict[str, float]]:
        topics = [TOPICS[self.topic[item]] for item in clicks]
        authors = [f"a{self.author[item]}" for item in clicks]
        return {
            name: {value: values.count(value) / len(values) for value in sorted(set(values))}
            for name, values in (("topic", topics), ("author", authors))
        }

    def user_rows(self) -> list[dict[str, Any]]:
        rows = []
        for user, clicks in enumerate(self.clicks):
            shares = self._shares(clicks)
            maps = {f"user_{name}_shares_30d": list(values.items()) for name, values in shares.items()}
            rows.append(self._user(user) | maps)
        return rows

    def item_rows(self) -> list[dict[str, Any]]:
        titles = (f"{TOPICS[self.topic[item]].title()} note {item}" for item in range(len(self.items)))
        return [
            {
                "item_id": self.items[item],
                "title": title,
                **self._item(item),
            }
            for item, title in enumerate(titles)
        ]


def _positive(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"weight": 1.0}


def _write(file: Path, rows: list[dict[str, Any]], schema: pa.Schema) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(
        pa.Table.from_pylist([{name: row.get(name) for name in schema.names} for row in rows], schema=schema), file
    )
