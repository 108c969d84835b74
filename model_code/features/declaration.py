"""The feature declaration as values: `features.yaml`, read and checked. Pure Python and PyYAML.

A flat name is `user_<feature>` or `item_<feature>`; crosses and context features keep their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

DECLARATION_FILE = Path(__file__).with_name("features.yaml")
KINDS = ("number", "category", "ids", "shares")
SOURCES = ("attribute", "age_days", "count", "ratio", "days_since", "last", "shares")


class DeclarationError(ValueError):
    """features.yaml says something that cannot be computed or served."""


@dataclass(frozen=True, slots=True)
class Column:
    """One feature under its flat name.

    Attributes
    ----------
    name : str
        Flat name, as in Parquet files and the ranker's columns.
    kind : str
        ``number``, ``category``, ``ids`` (list of item ids) or ``shares`` (map of value to share).
    default : object
        What stands where the value is missing; None is an empty CSV cell.
    entity : str
        ``user``, ``item``, ``cross`` or ``context``.
    feature : str
        Name within its group, as in the online user item.
    source : mapping
        How it is computed: the declaration's `from` and its parameters; empty for crosses and context.
    """

    name: str
    kind: str
    default: Any
    entity: str
    feature: str
    source: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Cross:
    """A user's map feature looked up with the item's value: `user_features[user][item_features[item]]`."""

    name: str
    user: str  # feature of the user group, kind `shares`
    item: str  # feature of the item group, kind `category`
    default: float


@dataclass(frozen=True, slots=True)
class FeatureSet:
    """Everything features.yaml declares, in order."""

    version: str
    columns: Mapping[str, Column]  # every feature by flat name
    crosses: tuple[Cross, ...]
    ranker: tuple[Column, ...]  # order of the ranker's request cells
    user_tower: tuple[Column, ...]
    item_tower: tuple[Column, ...]
    item_fields: tuple[str, ...]  # flat names plus item_id and title
    seen_count: int
    seen_window_days: int

    def group(self, entity: str) -> tuple[Column, ...]:
        """Features of one entity (`user`, `item`, `cross`, `context`), in declared order."""
        return tuple(column for column in self.columns.values() if column.entity == entity)

    def longest_window_days(self) -> int:
        """Days of events before a feature_time that any of its features may look at."""
        windows = [
            int(column.source["window_days"]) for column in self.columns.values() if "window_days" in column.source
        ]
        return max([*windows, self.seen_window_days])


def load(path: Path | None = None) -> FeatureSet:
    """Read and check a declaration.

    Parameters
    ----------
    path : Path, optional
        A features.yaml, e.g. the copy in a prepared folder. Default: the one beside this module.

    Raises
    ------
    DeclarationError
        With every problem found, not just the first.
    """
    file = path or DECLARATION_FILE
    document = yaml.safe_load(file.read_text(encoding="utf-8"))
    if not isinstance(document, dict):
        raise DeclarationError(f"{file}: expected a mapping with version, groups, crosses, context, ranker")
    missing = [
        key
        for key in ("version", "groups", "ranker", "user_tower", "item_tower", "item_fields", "seen")
        if key not in document
    ]
    if missing:
        raise DeclarationError(f"{file}: {', '.join(missing)} missing")
    columns = _columns(document)
    crosses = tuple(
        Cross(name, spec["user"], spec["item"], float(spec["default"]))
        for name, spec in (document.get("crosses") or {}).items()
    )
    problems = [*_problems(columns, crosses), *_unknown(document, columns)]
    if problems:
        raise DeclarationError(f"{file}: {'; '.join(problems)}")
    return FeatureSet(
        version=str(document["version"]),
        columns=columns,
        crosses=crosses,
        ranker=tuple(columns[name] for name in document["ranker"]),
        user_tower=tuple(columns[name] for name in document["user_tower"]),
        item_tower=tuple(columns[name] for name in document["item_tower"]),
        item_fields=tuple(document["item_fields"]),
        seen_count=int(document["seen"]["n"]),
        seen_window_days=int(document["seen"]["window_days"]),
    )


def _columns(document: Mapping[str, Any]) -> dict[str, Column]:
    columns: dict[str, Column] = {}
    for entity, group in document["groups"].items():
        for feature, spec in group["features"].items():
            source = {key: value for key, value in spec.items() if key not in ("kind", "default")}
            name = f"{entity}_{feature}"
            columns[name] = Column(name, spec.get("kind", ""), spec.get("default"), entity, feature, source)
    for name, spec in (document.get("crosses") or {}).items():
        columns[name] = Column(name, "number", spec["default"], "cross", name, {})
    for name, spec in (document.get("context") or {}).items():
        columns[name] = Column(name, spec["kind"], spec.get("default"), "context", name, {})
    return columns


def _problems(columns: Mapping[str, Column], crosses: Sequence[Cross]) -> list[str]:
    problems = [
        f"{c.name}: kind {c.kind!r} is none of {', '.join(KINDS)}" for c in columns.values() if c.kind not in KINDS
    ]
    for column in columns.values():
        made_by = column.source.get("from")
        if column.entity in ("user", "item") and made_by not in SOURCES:
            problems.append(f"{column.name}: from {made_by!r} is none of {', '.join(SOURCES)}")
        if made_by == "ratio":
            operands = [f"{column.entity}_{column.source[key]}" for key in ("of", "by")]
            problems += [f"{column.name}: {name} is not declared" for name in operands if name not in columns]
    for cross in crosses:
        user, item = columns.get(f"user_{cross.user}"), columns.get(f"item_{cross.item}")
        if user is None or user.kind != "shares" or item is None or item.kind != "category":
            problems.append(f"{cross.name}: needs a user feature of kind shares and an item feature of kind category")
    return problems


def _unknown(document: Mapping[str, Any], columns: Mapping[str, Column]) -> list[str]:
    names = [*document["ranker"], *document["user_tower"], *document["item_tower"]]
    names += [name for name in document["item_fields"] if name not in ("item_id", "title")]
    return [f"{name} is used but not declared" for name in names if name not in columns]
