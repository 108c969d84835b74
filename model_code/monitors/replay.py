"""What a release would have shown: past requests answered with its models, by the recommender's rules, as serving will find them.

A baseline of logged impressions would be of another policy: the first hour of a better release would look like drift. So users
and times are those of the last prepared days, features those of the night (what is online tomorrow), lists the release's own.

Letters: Q requests, U users, I items, C candidates, D dimensions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from evaluation.holdout import LIST_GAP_S, read_split
from evaluation.release import Release
from features.declaration import FeatureSet
from features.job import JobFailed
from monitors.shown import Column, Shown, numbered
from monitors.window import HOUR_US, hours_of_week
from ranker.scorer import Scorer

DAYS = timedelta(days=14)  # two of each weekday; older requests say little of tomorrow's users
SEEN = 50  # items that a user is not shown again, as features.yaml has it
REQUESTS_A_PASS = 100  # of C candidates each


@dataclass(frozen=True, slots=True)
class Rules:
    """Of the recommender: RecommendSettings' fields of these names."""

    candidates: int = 200
    places: int = 10
    max_per_author: int = 2
    max_per_topic_share: float = 0.5


@dataclass(frozen=True, slots=True)
class Requests:
    """Q past requests of U users."""

    users: list[str]
    user_Q: np.ndarray  # 0 … U − 1
    at_us_Q: np.ndarray
    seen: Mapping[str, list[str]]  # user -> newest items shown, SEEN at most


def read_requests(prepared: Path, limit: int, seed: int) -> Requests:
    """Lists (a user's impressions without a pause) of the last days, at most `limit`, drawn by seed.

    Raises
    ------
    JobFailed
        If there is no impression.
    """
    columns = ["user_id", "item_id", "event_time"]
    table = pa.concat_tables(
        read_split(prepared, f"ranking/{split}", columns) for split in ("train", "validation", "holdout")
    )
    newest = pc.max(table["event_time"]).as_py()
    table = table.filter(pc.greater(table["event_time"], pa.scalar(newest - DAYS, table["event_time"].type)))
    table = table.sort_by([("user_id", "ascending"), ("event_time", "ascending")])
    user, at_us = table["user_id"].to_numpy(zero_copy_only=False), table["event_time"].cast(pa.int64()).to_numpy()
    begins = np.ones(len(user), bool)
    begins[1:] = (user[1:] != user[:-1]) | (np.diff(at_us) > LIST_GAP_S * 1_000_000)
    first = np.flatnonzero(begins)
    if len(first) > limit:
        first = np.sort(np.random.default_rng(seed).choice(first, limit, replace=False))
    names = sorted(set(user[first].tolist()))
    place = {name: index for index, name in enumerate(names)}
    mine = table.filter(pc.is_in(table["user_id"], pa.array(names)))
    seen: dict[str, dict[str, None]] = {}
    pairs = zip(mine["user_id"].to_pylist(), mine["item_id"].to_pylist(), strict=True)
    for name, item in reversed(list(pairs)):  # newest first
        items = seen.setdefault(name, {})
        if len(items) < SEEN:
            items.setdefault(item)
    user_Q = np.array([place[name] for name in user[first].tolist()], np.int64)
    return Requests(names, user_Q, at_us[first], {name: list(items) for name, items in seen.items()})


class Replay:
    """A release and the features that its next day is served with."""

    def __init__(self, release: Release, scorer: Scorer, declared: FeatureSet, prepared: Path, rules: Rules) -> None:
        self._release, self._scorer, self._declared, self._rules = release, scorer, declared, rules
        self.columns: tuple[Column, ...] = scorer.encoder.plan.columns
        items = read_split(prepared, "items")
        rows = {name: row for row, name in enumerate(items["item_id"].to_pylist())}
        absent = [item for item in release.item_ids if item not in rows]
        if absent:
            raise JobFailed(f"{len(absent)} items have a vector but no features, such as {absent[0]}")
        self._items = _columns(items.take([rows[item] for item in release.item_ids]))
        self._item_place = {item: place for place, item in enumerate(release.item_ids)}
        users = read_split(prepared, "users")
        self._users = {row["user_id"]: row for row in users.to_pylist(maps_as_pydicts="lossy")}

    def shown(self, requests: Requests) -> Shown:
        """The lists of the requests, labels not known."""
        profiles = [self._profile(name) for name in requests.users]
        vectors_UD = self._release.user_vectors(profiles)
        parts = []
        for start in range(0, len(requests.user_Q), REQUESTS_A_PASS):
            chosen = slice(start, start + REQUESTS_A_PASS)
            parts.append(self._lists(requests, vectors_UD, requests.user_Q[chosen], requests.at_us_Q[chosen], start))
        raw = {name: np.concatenate([part[0][name] for part in parts]) for name, _ in self.columns}
        user, request, item, position, at_us = (
            np.concatenate([part[1][place] for part in parts]) for place in range(5)
        )
        items = np.array(self._release.item_ids, object)[item]
        return Shown(
            self.columns, raw, numbered(user), numbered(request), items, position, at_us, np.full(len(user), np.nan)
        )

    def _profile(self, name: str) -> dict[str, Any]:
        """The user tower's request; a user without features is a cold one."""
        row = self._users.get(name, {})
        fields = {"age": row.get("user_age"), "city": row.get("user_city"), "segment": row.get("user_segment")}
        return {"user_id": name, **fields, "last_5_clicks": row.get("user_last_5_clicks") or []}

    def _lists(
        self, requests: Requests, vectors_UD: np.ndarray, user_Q: np.ndarray, at_us_Q: np.ndarray, start: int
    ) -> tuple[dict[str, np.ndarray], tuple[np.ndarray, ...]]:
        """Shown rows of one pass: raw columns, and (user, request, item, position, time)."""
        scores_QI = vectors_UD[user_Q] @ self._release.vectors.T
        for row, user in enumerate(user_Q):
            seen = [
                self._item_place[one] for one in requests.seen.get(requests.users[user], ()) if one in self._item_place
            ]
            scores_QI[row, seen] = -np.inf
        size = min(self._rules.candidates, scores_QI.shape[1])
        top_QC = np.argpartition(-scores_QI, size - 1, axis=1)[:, :size]
        order = np.argsort(-np.take_along_axis(scores_QI, top_QC, axis=1), axis=1, kind="stable")
        top_QC = np.take_along_axis(top_QC, order, axis=1)
        raw = self._rows(requests, user_Q, at_us_Q, top_QC)
        chances_QC = self._scorer.score(raw).reshape(top_QC.shape)
        picked = [self._list(items, chances) for items, chances in zip(top_QC, chances_QC, strict=True)]
        flat = np.concatenate([row * size + np.array(places) for row, places in enumerate(picked)])
        counts = np.array([len(places) for places in picked])
        owner = np.repeat(np.arange(len(user_Q)), counts)
        position = np.concatenate([np.arange(1.0, count + 1) for count in counts])
        shown = {name: values[flat] for name, values in raw.items()}
        return shown, (user_Q[owner], start + owner, top_QC.ravel()[flat], position, at_us_Q[owner])

    def _list(self, items: np.ndarray, chances: np.ndarray) -> list[int]:
        """Candidates shown, in order: best first, no more than their share of an author or topic (`recommend`'s caps)."""
        authors: dict[str, int] = {}
        topics: dict[str, int] = {}
        rules, first, passed = self._rules, list[int](), list[int]()
        most = max(1, int(np.ceil(rules.places * rules.max_per_topic_share)))
        for place in np.argsort(-chances, kind="stable").tolist():
            author, topic = self._items["item_author_id"][items[place]], self._items["item_topic"][items[place]]
            if (author and authors.get(author, 0) >= rules.max_per_author) or (topic and topics.get(topic, 0) >= most):
                passed.append(place)
                continue
            authors[author], topics[topic] = authors.get(author, 0) + 1, topics.get(topic, 0) + 1
            first.append(place)
            if len(first) == rules.places:
                return first
        return (first + passed)[: rules.places]

    def _rows(
        self, requests: Requests, user_Q: np.ndarray, at_us_Q: np.ndarray, top_QC: np.ndarray
    ) -> dict[str, np.ndarray]:
        """The ranker's raw columns of every candidate, request by request."""
        people = [self._users.get(requests.users[user], {}) for user in user_Q]
        crosses = {cross.name: cross for cross in self._declared.crosses}
        weekhour = hours_of_week(at_us_Q)
        context = {"hour": at_us_Q // HOUR_US % 24, "weekday": weekhour // 24, "position": np.ones(len(user_Q))}
        raw = {}
        for name, kind in self.columns:
            default = self._declared.columns[name].default
            if name in crosses:
                cross = crosses[name]
                values = self._items[f"item_{cross.item}"][top_QC]
                maps = [person.get(f"user_{cross.user}") or {} for person in people]
                cells = [
                    [one.get(value, cross.default) for value in row] for one, row in zip(maps, values, strict=True)
                ]
                raw[name] = np.array(cells, np.float64).ravel()
            elif name.startswith("item_"):
                raw[name] = _filled(self._items[name], kind, default)[top_QC].ravel()
            else:
                own = context[name] if name in context else _cells([person.get(name) for person in people])
                raw[name] = np.repeat(_filled(own, kind, default), top_QC.shape[1])
        return raw


def _filled(values: np.ndarray, kind: str, default: Any) -> np.ndarray:
    """Cells as the ranker's container reads them: what is missing is the default, an empty cell where that is null."""
    if kind == "category":
        return np.array([value if value is not None else default or "" for value in values.tolist()], object)
    missing = np.nan if default is None else float(default)
    numbers = np.array([missing if value is None else value for value in values.tolist()], np.float64)
    return np.where(np.isnan(numbers), missing, numbers)


def _cells(values: Sequence[Any]) -> np.ndarray:
    cells = np.empty(len(values), object)
    cells[:] = values
    return cells


def _columns(table: pa.Table) -> dict[str, np.ndarray]:
    return {name: _cells(table[name].to_pylist()) for name in table.schema.names}
