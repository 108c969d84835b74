"""`make bench [ONLY=name]`: measure what was promised, print a table, write build/bench.json.

A benchmark is a module of this folder with `measure() -> {value, unit, peer, ratio, goal, holds}`; what else it returns is kept in the
file. Ratios are taken within one run, because machines are noisy. A benchmark whose data is absent says so and holds nothing.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import traceback
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

PROMISED = (
    "recall_ml1m",
    "ranker_frappe",
    "night_overhead",
    "recommend_latency",
    "import_time",
    "indexing",
    "prepare_memory",
    "drift_detection",
    "monitor_time",
    "judge_power",
    "rollback_time",
    "rollout_errors",
    "score_all",
    "alarm_storm",
    "recovery",
)
OURS = ("front_door", "invoke_endpoint", "machine_steps")  # costs of the local account, watched for ourselves
FILE = Path("build/bench.json")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("only", nargs="*", choices=[*PROMISED, *OURS, []], help="names; none: all that were promised")
    names = parser.parse_args().only or list(PROMISED)
    console, results = Console(), _read()
    failed = False
    for name in names:
        console.rule(name)
        try:
            results[name] = importlib.import_module(f"benchmarks.{name}").measure()
        except SystemExit as problem:
            console.print(f"{name}: {problem}")
            failed = True
        except Exception:  # noqa: BLE001 - the others are measured all the same
            traceback.print_exc()
            failed = True
        FILE.parent.mkdir(exist_ok=True)
        FILE.write_text(json.dumps(results, indent=1, default=str) + "\n")
    console.print(_table({name: results[name] for name in names if name in results}))
    return 1 if failed else 0


def _read() -> dict[str, Any]:
    return json.loads(FILE.read_text()) if FILE.exists() else {}


def _table(results: dict[str, Any]) -> Table:
    table = Table(title=f"Benchmarks ({FILE})")
    for column in ("name", "value", "unit", "peer", "ratio", "goal", "holds"):
        table.add_column(column)
    for name, result in results.items():
        holds = {True: "[green]yes[/]", False: "[red]no[/]", None: "not measured"}[result["holds"]]
        table.add_row(name, *(_text(result[column]) for column in ("value", "unit", "peer", "ratio", "goal")), holds)
    return table


def _text(value: Any) -> str:
    return "-" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    sys.exit(main())
