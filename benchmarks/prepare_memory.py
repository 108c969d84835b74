"""Peak memory of prepare_data's DuckDB part at 50 million events: `python -m benchmarks.prepare_memory [--events N]`.

A log with few very busy users and items is written day by day to build/prepare_memory/ (kept for the next run of the same
size), then prepared by a fresh process; its resident set is the figure. No peer: pandas would need the log in memory.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "build" / "prepare_memory"
EVENTS = 50_000_000
GOAL_GIB = 2.0
DAYS = 30
END = datetime(2026, 3, 1, tzinfo=UTC)
CLICK_SHARE, SKIP_SHARE = 0.09, 0.05


def generate(events: int, folder: Path) -> None:
    """A log of about `events` events: users and items by a power law, every number a hash of the row's own."""
    import duckdb

    shutil.rmtree(folder, ignore_errors=True)
    (folder / "events").mkdir(parents=True)
    database = duckdb.connect()
    database.execute("SET TimeZone = 'UTC'; SET threads = 2; SET memory_limit = '4GiB'")
    users, items = max(100, events // 250), max(100, events // 1000)
    shown = round(events / (1 + CLICK_SHARE + SKIP_SHARE) / DAYS)
    start_us = round((END - timedelta(days=DAYS)).timestamp() * 1e6)
    database.execute("CREATE MACRO chance(i, salt) AS (hash(i * 1000003 + salt) >> 11) / 9007199254740992.0")
    for day in range(DAYS):
        first = day * shown
        database.execute(
            f"""COPY (
            WITH shown AS (
                SELECT i, {start_us} + {day} * 86400000000 + CAST((i - {first}) * 86000000000.0 / {shown} AS BIGINT) AS at_us,
                    'u' || CAST(floor({users} * pow(chance(i // 10, 1), 2)) AS BIGINT) AS user_id,
                    'i' || CAST(floor({items} * pow(chance(i, 2), 2)) AS BIGINT) AS item_id,
                    CAST(i % 10 + 1 AS INTEGER) AS position, 'r' || (i // 10) AS request_id, chance(i, 3) AS luck
                FROM range({first}, {first + shown}) AS numbers(i)),
            happened AS (
                SELECT 'e' || i AS event_id, at_us, 'impression' AS event_type, * EXCLUDE (i, at_us) FROM shown
                UNION ALL SELECT 'c' || i, at_us + 5000000, 'click', * EXCLUDE (i, at_us) FROM shown WHERE luck < {CLICK_SHARE}
                UNION ALL SELECT 's' || i, at_us + 3000000, 'skip', * EXCLUDE (i, at_us) FROM shown WHERE luck > {1 - SKIP_SHARE})
            SELECT event_id, make_timestamptz(at_us) AS event_time,
                make_timestamptz(at_us + CAST(CASE WHEN luck * 100 % 1 < 0.01 THEN 40 ELSE 1 END * 3000000000 * luck AS BIGINT)) AS known_at,
                event_type, user_id, item_id, position, request_id, 0.001 AS propensity, CAST(NULL AS DOUBLE) AS value
            FROM happened) TO '{folder}/events/{day:02}.parquet' (FORMAT parquet, COMPRESSION zstd)"""
        )
    born = f"make_timestamptz({start_us} - CAST(chance(i, 5) * 2592000000000 AS BIGINT))"
    database.execute(
        f"""COPY (SELECT 'u' || i AS user_id, CAST(16 + i % 60 AS INTEGER) AS age, 'city ' || i % 50 AS city, 's' || i % 4 AS segment,
            {born} AS signup_time, {born} AS known_at FROM range({users}) AS numbers(i)) TO '{folder}/users.parquet';
        COPY (SELECT 'i' || i AS item_id, 'Title ' || i AS title, 't' || i % 40 AS topic, 'a' || i % {items // 20 + 1} AS author_id,
            {born} AS created_at, {born} AS known_at FROM range({items}) AS numbers(i)) TO '{folder}/items.parquet'"""
    )
    (folder / "complete").touch()


def work(folder: Path) -> None:
    """Prepare the log; the last line printed is what it took."""
    sys.path.insert(0, str(ROOT / "model_code"))
    from features.declaration import load
    from features.prepare import prepare
    from features.sources import Window

    began = time.monotonic()
    declared = load()
    window = Window.ending(END, DAYS, 1, 1, declared.longest_window_days())
    output, scratch = folder / "output", folder / "scratch"
    for place in (output, scratch):
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
    files = {"events": sorted((folder / "events").glob("*.parquet"))}
    files |= {name: [folder / f"{name}.parquet"] for name in ("users", "items")}
    done = prepare(files, declared, window, output, scratch)
    peak_gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    for place in (output, scratch):
        shutil.rmtree(place)
    print(json.dumps({"peak_gib": peak_gib, "seconds": time.monotonic() - began, "counts": done.counts}))  # noqa: T201


def measure(events: int = EVENTS) -> dict[str, Any]:
    """{value: peak GiB, unit, peer, ratio, goal, holds} and what else was seen."""
    folder = FOLDER / str(events)
    if not (folder / "complete").exists():
        generate(events, folder)
    answer = subprocess.run(
        [sys.executable, "-m", "benchmarks.prepare_memory", "--worker", str(folder)],
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    seen = json.loads(answer.stdout.splitlines()[-1])
    print(f"{events:,} events: peak {seen['peak_gib']:.2f} GiB in {seen['seconds']:.0f} s; {seen['counts']}")  # noqa: T201
    return {
        "value": round(seen["peak_gib"], 3),
        "unit": "GiB peak",
        "peer": None,
        "ratio": None,
        "goal": f"<= {GOAL_GIB:g} at {EVENTS:,} events",
        "holds": seen["peak_gib"] <= GOAL_GIB and events >= EVENTS,
        "events": events,
        "seconds": round(seen["seconds"], 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=EVENTS)
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        work(arguments.worker)
    else:
        print(json.dumps(measure(arguments.events)))  # noqa: T201


if __name__ == "__main__":
    main()
