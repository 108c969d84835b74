"""Processing job: one monitor over one window of a release's traffic.

In   --capture, --served, --ground-truth, --users: folders of logs; --baseline: the release's
Out  --output: statistics.json, constraint_violations.json, metrics.json, report.html, manifest.json; metrics to CloudWatch
A violation is an answer, not a failure. Nothing to look at is a failure: neither health nor drift.
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path
from typing import Any

import boto3

from features.job import JobFailed, job_parser, progress, run
from features.manifest import write_manifest
from monitors.baseline_files import Baseline, read_baseline, write_json
from monitors.emit import metric_data, put_metrics
from monitors.facets import read_users
from monitors.findings import Findings
from monitors.formats import METRICS, NAMESPACE, NO_DATA, REPORT, STATISTICS, VIOLATIONS, Kind, exit_message
from monitors.join import MAX_REQUESTS, Joined, Source, join_window
from monitors.judging import View, judge_window
from monitors.report import render_report
from monitors.window import Window, moment

STAGE = "monitor"


def parser() -> argparse.ArgumentParser:
    made = job_parser((__doc__ or "").splitlines()[0])
    made.add_argument("--kind", type=Kind, choices=list(Kind), required=True)
    made.add_argument("--endpoint", required=True, help="the ranker's")
    made.add_argument("--schedule", required=True, help="name that the metrics carry")
    made.add_argument("--window-start", type=moment, required=True, help="requests from here on")
    made.add_argument("--window-end", type=moment, required=True, help="and before here")
    for name in ("capture", "served", "baseline", "output"):
        made.add_argument(f"--{name}", type=Path, required=True)
    made.add_argument("--ground-truth", type=Path, help="feedback events or ground-truth lines")
    made.add_argument(
        "--users", type=Path, help="users/ of a prepared folder: facets from it rather than from captures"
    )
    made.add_argument("--namespace", default=NAMESPACE)
    made.add_argument(
        "--resolution", type=int, choices=(1, 60), default=60, help="storage resolution of the metrics, in seconds"
    )
    made.add_argument(
        "--labels", choices=("fresh", "complete"), default="fresh", help="whether more labels are to come"
    )
    made.add_argument("--max-requests", type=int, default=MAX_REQUESTS)
    return made


def main(arguments: argparse.Namespace) -> str:
    """Read, judge, write, emit."""
    baseline, window = read_baseline(arguments.baseline), Window(arguments.window_start, arguments.window_end)
    source = Source(arguments.capture, arguments.served, arguments.ground_truth, arguments.max_requests)
    joined = join_window(source, window, baseline.facts.release_id, baseline.facts.columns)
    for note in joined.notes:
        progress(note)
    if arguments.kind is Kind.MODEL_QUALITY and not len(joined.shown.labelled()):
        raise JobFailed(f"{NO_DATA}: no label of these requests has come back yet")
    findings = judge_window(arguments.kind, _view(arguments, joined), baseline)
    write_outputs(arguments, findings, joined, baseline, window)
    return exit_message(len(findings.violations))


def _view(arguments: argparse.Namespace, joined: Joined) -> View:
    users = None if arguments.users is None else read_users(arguments.users, joined.user_ids)
    return View(joined.shown, arguments.labels == "complete", users)


def write_outputs(
    arguments: argparse.Namespace, findings: Findings, joined: Joined, baseline: Baseline, window: Window
) -> None:
    """Files first, metrics then, the manifest last: a manifest says that all was done."""
    output, release_id = arguments.output, baseline.facts.release_id
    output.mkdir(parents=True, exist_ok=True)
    write_json(output / STATISTICS, plain(findings.statistics))
    write_json(output / VIOLATIONS, findings.document())
    data = metric_data(findings.all_metrics(), arguments.endpoint, arguments.schedule, arguments.resolution)
    write_json(output / METRICS, {"namespace": arguments.namespace, "metric_data": data})
    page = render_report(
        findings,
        window,
        endpoint=arguments.endpoint,
        schedule=arguments.schedule,
        release_id=release_id,
        notes=joined.notes,
    )
    (output / REPORT).write_text(page, encoding="utf-8")
    put_metrics(boto3.client("cloudwatch"), arguments.namespace, data)
    facts = {"kind": arguments.kind.value, "violations": len(findings.violations), "release_id": release_id}
    bounds = {"start": window.start.isoformat(), "end": window.end.isoformat()}
    write_manifest(output, STAGE, facts | {"window": bounds, "notes": [*findings.notes, *joined.notes]})


def plain(value: Any) -> Any:
    """JSON has no NaN: a figure that is not defined is "NaN", as Model Monitor writes it."""
    if isinstance(value, dict):
        return {name: plain(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    return "NaN" if isinstance(value, float) and not math.isfinite(value) else value


if __name__ == "__main__":
    sys.exit(run(parser(), main))
