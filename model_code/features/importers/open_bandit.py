"""Open Bandit Dataset (ZOZO) as canonical events: logged impressions with position, propensity and click.

The log hides users: those with the same four features are one user here (`user_id` is a hash of them); `segment` and `city` are
the first two features. An item's topic and author are its second and third feature. Every row is its own request, and a
click happens at its impression's moment. Users and items are taken as known from midnight of their first impression.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from features.importers.reading import ImportFailed, column_names, read_text
from features.importers.run import Import, Report, Target, first_days, importing

NEEDED = ("timestamp", "item_id", "position", "click", "propensity_score", *(f"user_feature_{i}" for i in range(4)))
USER = "'u-' || left(md5(concat_ws('|', user_feature_0, user_feature_1, user_feature_2, user_feature_3)), 12)"


def import_open_bandit(folder: Path, target: Target) -> Report:
    """Import every campaign below a folder: each `<policy>/<campaign>/<campaign>.csv` with its `item_context.csv`.

    Item ids are `<campaign>-<n>`, so that campaigns do not share items by accident.

    Raises
    ------
    ImportFailed
        If there is no campaign, or its log lacks a column.
    """
    contexts = sorted(folder.rglob("item_context.csv"))
    if not contexts:
        raise ImportFailed(
            f"{folder} holds no item_context.csv; expected obd/<policy>/<campaign>/ with <campaign>.csv beside it"
        )
    logs = {context: context.with_name(f"{context.parent.name}.csv") for context in contexts}
    with importing(target) as one:
        for log in logs.values():
            _log(one, log)
        one.close_stagers()
        _users(one, list(logs.values()))
        _items(one, contexts)
        one.close_stagers()
        return one.finish(target)


def _log(one: Import, file: Path) -> None:
    found = column_names(file)
    missing = [name for name in NEEDED if name not in found]
    if missing:
        raise ImportFailed(f"{file} has no column {', '.join(missing)}; it has {', '.join(found[:12])} …")
    policy, campaign = file.parent.parent.name, file.parent.name
    request = f"'{policy}-{campaign}-' || __row"
    shared = {
        "event_time": "timestamp", "known_at": "timestamp", "user_id": USER, "item_id": f"'{campaign}-' || item_id",
        "position": "position", "request_id": request, "propensity": "propensity_score",
    }  # fmt: skip
    shown = one.stager("events", shared | {"event_id": f"{request} || '-i'", "event_type": "'impression'"})
    clicked = one.stager("events", shared | {"event_id": f"{request} || '-c'", "event_type": "'click'"})
    for chunk in read_text(file, columns=None):
        one.take(shown, chunk, file)
        chunk.broken.clear()  # told once, by the impressions
        one.take(clicked, chunk, file, "click = '1'")


def _users(one: Import, logs: list[Path]) -> None:
    first_days(one.database, one.files("events"), "user_id")
    one.database.execute("CREATE OR REPLACE TEMP TABLE named (id VARCHAR PRIMARY KEY)")
    day = f"(SELECT day FROM first_days WHERE id = {USER})"
    columns = {
        "user_id": USER,
        "segment": "left(user_feature_0, 8)",
        "city": "left(user_feature_1, 8)",
        "known_at": day,
    }
    stager = one.stager("users", columns | {"signup_time": day})
    once = f"""__row IN (SELECT min(__row) FROM chunk GROUP BY {USER}) AND {USER} IN (SELECT id FROM first_days)
        AND {USER} NOT IN (SELECT id FROM named)"""
    for file in logs:
        for chunk in read_text(file):
            chunk.broken.clear()
            one.take(stager, chunk, file, once)
            one.database.register("seen_now", pa.table(chunk.columns))
            one.database.execute(f"INSERT OR IGNORE INTO named SELECT DISTINCT {USER} FROM seen_now")
            one.database.unregister("seen_now")


def _items(one: Import, contexts: list[Path]) -> None:
    first_days(one.database, one.files("events"), "item_id")
    seen: set[str] = set()
    for file in contexts:
        campaign = file.parent.name
        if campaign in seen:
            continue
        seen.add(campaign)
        id_ = f"'{campaign}-' || item_id"
        day = f"coalesce((SELECT day FROM first_days WHERE id = {id_}), (SELECT min(day) FROM first_days))"
        columns = {
            "item_id": id_, "title": f"'{campaign} item ' || item_id", "topic": "left(item_feature_1, 8)",
            "author_id": "left(item_feature_2, 8)", "known_at": day,
        }  # fmt: skip
        stager = one.stager("items", columns)
        for chunk in read_text(file):
            one.take(stager, chunk, file)
