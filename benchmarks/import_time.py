"""How long a door's module takes to import in a fresh process: the part of a cold start that our code decides.

The value is the slowest door's best of seven processes, as timeit advises: what else the machine does only ever adds. The peer
is `import boto3` in the same run. What a function does at start-up inside Lambda (wiring, first reads) is not in it, and
neither is the interpreter's own start.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

GOAL_MS = 300
RUNS = 7
ROOT = Path(__file__).parents[1]
LAYER = ROOT / "layers" / "understudy" / "python"
HEAVY = ("torch", "lightgbm", "pandas", "numpy", "aws_xray_sdk", "sagemaker", "opensearchpy")

_PROGRAM = f"""
import sys, time
sys.path[:0] = [{str(LAYER)!r}, sys.argv[1]]
began = time.perf_counter()
__import__(sys.argv[2])
took = time.perf_counter() - began
print(took * 1000, *[name for name in {HEAVY!r} if name in sys.modules])
"""


def measure() -> dict[str, Any]:
    """Import every door, and boto3, in processes of their own, turn by turn, so that a busy moment hits all alike."""
    doors = sorted(file.parent for file in (ROOT / "functions").glob("*/app.py"))
    subjects = {door.name: (str(door), "app") for door in doors} | {"import boto3": (str(ROOT), "boto3")}
    times: dict[str, list[float]] = {name: [] for name in subjects}
    heavy: dict[str, list[str]] = {}
    for _ in range(RUNS):
        for name, (folder, module) in subjects.items():
            text, *loaded = _import(folder, module)
            times[name].append(float(text))
            heavy[name] = loaded
    best = {name: min(took) for name, took in times.items()}
    peer = best.pop("import boto3")
    for name, took_ms in sorted(best.items(), key=lambda each: -each[1]):
        print(f"{name:24} {took_ms:6.0f} ms  {' '.join(heavy[name])}")  # noqa: T201  the benchmark's table
    slowest = max(best.values())
    return {
        "value": round(slowest, 1),
        "unit": "ms",
        "peer": round(peer, 1),
        "ratio": round(slowest / peer, 2),
        "goal": GOAL_MS,
        "holds": slowest <= GOAL_MS and not any(heavy[name] for name in best),
    }


def _import(folder: str, module: str) -> list[str]:
    # Bytecode is written in the first round, as it is in a deployed package.
    done = subprocess.run([sys.executable, "-c", _PROGRAM, folder, module], capture_output=True, text=True, check=True)
    return done.stdout.split()


if __name__ == "__main__":
    print(measure())  # noqa: T201
