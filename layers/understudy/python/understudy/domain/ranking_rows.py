"""The ranker's request: CSV of raw declared features in the manifest's order, one row a candidate (DESIGN §6)."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # named only: the daily lists are made by this code in a container that has no pydantic
    from understudy.contracts.release import ReleaseRecord

Cell = float | int | str | None


def ranking_csv(
    record: ReleaseRecord, user: Mapping[str, Any], items: Sequence[Mapping[str, Any]], now: datetime
) -> str:
    """Rows for every item, no header. A missing number is an empty cell, a missing category an empty string.

    Parameters
    ----------
    record : ReleaseRecord
        Declares columns (name, kind, default) and crosses.
    user : mapping
        Online features without the `user_` prefix; empty for a cold user.
    items : sequence of mappings
        `_source` of the index, flat names.
    now : datetime
        UTC; gives hour 0-23 and weekday 0 (Monday) - 6. `position` is 1 when serving, for all rows.
    """
    request: dict[str, Any] = {"hour": now.hour, "weekday": now.weekday(), "position": 1}
    crosses = {cross.name: cross for cross in record.crosses}
    columns: list[Sequence[Cell]] = []
    for name, _kind, default in record.ranker_columns:
        if (cross := crosses.get(name)) is not None:
            shares, field = user.get(cross.user) or {}, f"item_{cross.item}"
            columns.append([shares.get(item.get(field), cross.default) for item in items])
        elif name.startswith("item_"):
            columns.append([default if (value := item.get(name)) is None else value for item in items])
        else:
            value = request[name] if name in request else user.get(name.removeprefix("user_"))
            columns.append([_written(default if value is None else value)] * len(items))
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(zip(*columns, strict=True))
    return out.getvalue()


def _written(value: Cell) -> Cell:
    """A number as the CSV has it, once for all rows; texts are left for the writer to quote."""
    return repr(value) if isinstance(value, float) else value
