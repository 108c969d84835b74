"""Monitoring one hour of 100,000 captured requests: `python -m benchmarks.monitor_time [--requests N]`.

The hour's logs are written once to build/monitor_time/ (captures of 200 candidates, served lists of 10, feedback with an impression a
place); then `monitors/run.py` runs as a job does, once a kind, in processes of its own, two at a time as on two cores. All served lists,
all feedback and the metadata of all captures are read; rows are those of a fixed sample of 5,000 requests (`--max-requests`), 50,000
shown rows. Value: seconds until the last of the five kinds is done.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.drift_release import log_day, release
from benchmarks.drift_world import COLUMNS, PLACES, Life
from monitors.baseline_files import Baseline, write_baseline
from monitors.formats import Kind
from ranker.calibration import Calibration
from ranker.scorer import load_scorer

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "build" / "monitor_time"
REQUESTS, CANDIDATES, GOAL_S = 100_000, 200, 60.0
START = datetime(2027, 3, 1, 12, tzinfo=UTC)
FILES = 60  # captures land every minute


def make(requests: int, folder: Path) -> None:
    """Logs of an hour, from rows of a simulated day that are used again and again under new ids."""
    shutil.rmtree(folder, ignore_errors=True)
    life = Life(3, 40)
    days = [log_day(life, day) for day in range(30)]
    made = release(life, days, 30)
    _write_baseline(made.baseline, folder)
    bodies = _bodies(life, made.index_I)
    spread_s = 3600 / requests
    for minute in range(FILES):
        numbers = range(minute * requests // FILES, (minute + 1) * requests // FILES)
        parts: dict[str, list[str]] = {"capture": [], "served": [], "feedback": []}
        for number in numbers:
            for name, lines in _lines(
                number, START + timedelta(seconds=number * spread_s), *bodies[number % len(bodies)]
            ).items():
                parts[name] += lines
        for name, lines in parts.items():
            file = folder / name / "ranker" / "blue" / START.strftime("%Y/%m/%d/%H") / f"{minute:02}.jsonl"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("".join(line + "\n" for line in lines))
    (folder / "complete").touch()


def _bodies(life: Life, index_I: np.ndarray) -> list[tuple[str, list[float], int]]:
    """(CSV of 200 candidates, scores, user) of a day's requests."""
    user_R, at_us_R = life.requests(30)
    rng, found = np.random.default_rng(0), []
    for user, at_us in zip(user_R[:500], at_us_R[:500], strict=True):
        items = rng.choice(index_I, CANDIDATES)
        raw = life.raw(np.full(CANDIDATES, user), items, np.full(CANDIDATES, at_us), 30, life.things)
        cells = zip(*(raw[name] for name, _ in COLUMNS), strict=True)
        rows = "".join(",".join("" if one != one else str(one) for one in row) + "\n" for row in cells)
        found.append((rows, rng.random(CANDIDATES).round(6).tolist(), int(user)))
    return found


def _lines(number: int, at: datetime, rows: str, scores: list[float], user: int) -> dict[str, list[str]]:
    request_id, top = f"01KQ{number:022d}", np.argsort(scores)[::-1][:PLACES].tolist()
    sides = (
        ("Input", "text/csv", rows, "CSV"),
        ("Output", "application/json", json.dumps({"ranker_id": "k", "scores": scores}), "JSON"),
    )
    data = {
        f"endpoint{name}": {"observedContentType": kind, "mode": name.upper(), "data": text, "encoding": code}
        for name, kind, text, code in sides
    }
    about = {"eventId": f"e{number}", "inferenceTime": at.strftime("%Y-%m-%dT%H:%M:%SZ"), "inferenceId": request_id}
    items = [f"i{place}" for place in top]
    served = {
        "request_id": request_id,
        "event_time": at.isoformat(),
        "user_id": f"u{user + number % 40 * 2000}",
        "release_id": "day-30",
        "items": items,
        "positions": list(range(1, PLACES + 1)),
        "scores": [scores[place] for place in top],
        "latencies_ms": {"features": 2.1, "user_tower": 5.2, "index": 6.1, "ranker": 8.3},
    }
    events = [
        {
            "event_id": f"{request_id}:{kind}{place}",
            "event_type": kind,
            "item_id": item,
            "request_id": request_id,
            "event_time": at.isoformat(),
        }
        for place, item in enumerate(items)
        for kind in (("impression", "click") if (number + place) % 11 == 0 else ("impression",))
    ]
    return {
        "capture": [json.dumps({"captureData": data, "eventMetadata": about, "eventVersion": "0"})],
        "served": [json.dumps(served)],
        "feedback": [json.dumps(event) for event in events],
    }


def _write_baseline(baseline: Baseline, folder: Path) -> None:
    """A baseline folder whose model is the simulated release's, packaged by hand: booster, encoding, calibration."""
    model = folder / "model"
    model.mkdir(parents=True)
    explainer, scorer = baseline.explainer, baseline.scorer
    (model / "encoding.json").write_text(json.dumps(scorer.encoder.to_document()))
    (model / "model.txt").write_text(explainer.trees_text())
    assert isinstance(scorer.calibration, Calibration)
    manifest = {
        "kind": "ranker",
        "format": 1,
        "ranker_id": scorer.ranker_id,
        "served_form": "booster",
        "files": {"encoding": "encoding.json", "model": "model.txt", "trees": "model.txt"},
        "sha256": {},
        "calibration": scorer.calibration.to_document(),
    }
    (model / "manifest.json").write_text(json.dumps(manifest))
    load_scorer(model)
    (folder / "baseline").mkdir()
    write_baseline(baseline, model, folder / "baseline")


def monitor(kind: Kind, folder: Path) -> float:
    """One job; seconds it took. The metrics go nowhere."""
    output = folder / "output" / kind
    shutil.rmtree(output, ignore_errors=True)
    logs = [part for name in ("capture", "served") for part in (f"--{name}", str(folder / name))]
    if kind in (Kind.MODEL_QUALITY, Kind.BIAS, Kind.RANKING_QUALITY):
        logs += ["--ground-truth", str(folder / "feedback")]
    window = ["--window-start", START.isoformat(), "--window-end", (START + timedelta(hours=1)).isoformat()]
    folders = [
        "--baseline",
        str(folder / "baseline"),
        "--output",
        str(output),
        "--message-file",
        str(folder / "output" / f"{kind}.txt"),
    ]
    names = ["--kind", kind.value, "--endpoint", "ranker", "--schedule", f"bench-{kind}"]
    begun = time.perf_counter()
    program = (
        "import sys, boto3; boto3.client = lambda *_: type('Nowhere', (), {'put_metric_data': lambda *_a, **_k: None})()\n"
        "from features.job import run; from monitors.run import main, parser; sys.exit(run(parser(), main))"
    )
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT / "model_code"),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    command = [sys.executable, "-c", program, *names, *window, *logs, *folders]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{kind}: {done.stderr}")
    return time.perf_counter() - begun


def measure(requests: int = REQUESTS) -> dict[str, Any]:
    """Seconds for all five kinds, two at a time; and of each alone within that."""
    folder = FOLDER / str(requests)
    if not (folder / "complete").exists():
        make(requests, folder)
    begun = time.perf_counter()
    with ThreadPoolExecutor(2) as two:
        seconds = dict(zip(Kind, two.map(lambda kind: monitor(kind, folder), Kind), strict=True))
    whole = time.perf_counter() - begun
    for kind, taken in seconds.items():
        print(f"{kind:<16}{taken:6.1f} s")  # noqa: T201
    size = sum(file.stat().st_size for file in (folder / "capture").rglob("*.jsonl"))
    print(f"{requests:,} requests, {size / 1e9:.2f} GB of captures: {whole:.1f} s in all")  # noqa: T201
    return {
        "value": round(whole, 1),
        "unit": "s",
        "peer": None,
        "ratio": None,
        "goal": f"<= {GOAL_S:g} at {REQUESTS:,} requests",
        "holds": whole <= GOAL_S and requests >= REQUESTS,
        "requests": requests,
        "seconds": {kind.value: round(taken, 1) for kind, taken in seconds.items()},
    }


if __name__ == "__main__":
    reader = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    reader.add_argument("--requests", type=int, default=REQUESTS)
    print(json.dumps(measure(reader.parse_args().requests)))  # noqa: T201
