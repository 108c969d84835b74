"""The end of the demo: what the users met, what became of each release and why, and when."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from rich.panel import Panel
from rich.table import Table

from cli.demo_acts import Drama
from cli.options import console
from cli.release_commands import releases_table
from cli.rollout_view import VERDICT_COLOURS, click_rate, difference, read_verdicts
from cli.stage import read_releases, read_traffic
from cli.traffic_commands import arms_of, releases_view


def show_summary(drama: Drama, log: Path) -> None:
    """Tables of releases, verdicts and clients, and the time line."""
    traffic = read_traffic(drama.site)
    console.rule("what happened")
    console.print(releases_table(read_releases(drama.site), traffic["champion"]["release"] if traffic else None))
    verdicts = [(name, verdict) for name in drama.rollouts for verdict in read_verdicts(drama.site, name)]
    if verdicts:
        console.print(_verdicts_table(verdicts))
    if drama.tally is not None:
        console.print(releases_view(drama.tally, arms_of(traffic)))
        console.print(_clients_line(drama, log))
    table = Table(title="Time line", show_header=False)
    for at, what in drama.happened:
        table.add_row(f"{at:.0f} s", what)
    table.add_row(f"[bold]{time.monotonic() - drama.began:.0f} s[/]", "[bold]the end[/]")
    console.print(table)
    console.print(_next_steps(drama.rollouts[-1] if drama.rollouts else "RELEASE"))


def _verdicts_table(verdicts: list[tuple[str, dict[str, Any]]]) -> Table:
    table = Table(title="Verdicts: clicks per impression of both arms, served at the same time")
    for title in ("release", "stage", "candidate", "champion", "difference so far", "errors", "verdict"):
        table.add_column(title, no_wrap=title in ("release", "stage", "difference so far"))
    for name, each in verdicts:
        window = each["evidence"]["windows"][-1] if each["evidence"].get("windows") else {}
        candidate, champion = window.get("candidate") or {}, window.get("champion") or {}
        share = f"{window['share_bp'] / 100:g} %" if window else ""
        errors = f"{candidate.get('errors', 0)} of {candidate.get('requests', 0)}"
        colour = VERDICT_COLOURS.get(each["verdict"], "white")
        stage = "watch" if each.get("kind") == "watch" else share
        table.add_row(
            name, stage, click_rate(candidate), click_rate(champion), difference(each["evidence"]), errors,
            f"[{colour}]{each['verdict']}[/]: {each['action']}",
        )  # fmt: skip
    return table


def _clients_line(drama: Drama, log: Path) -> str:
    tally = drama.tally
    assert tally is not None  # noqa: S101 - asked before
    errors = "[green]0 client errors[/]" if not tally.client_errors else f"[red]{tally.client_errors} client errors[/]"
    why = "".join(f"\n  {count} × {reason}" for reason, count in (tally.errors + tally.feedback_errors).most_common(5))
    return (
        f"{errors} in {tally.asked:,} requests and {tally.posts:,} posts of feedback; {tally.degraded} answers degraded; "
        f"p50 {tally.percentile(0.5):.0f} ms, p95 {tally.percentile(0.95):.0f} ms. Every answer: {log}{why}"
    )


def _next_steps(release_id: str) -> Panel:
    return Panel(
        "The account still runs. Look around:\n"
        "  .venv/bin/understudy status\n"
        "  .venv/bin/understudy recommend --user u000042      understudy explain --user u000042\n"
        f"  .venv/bin/understudy releases {release_id} --card build/card.html\n"
        "  .venv/bin/understudy traffic --rps 15              more users; understudy poison RELEASE --kind ... to spoil one\n"
        "  .venv/bin/understudy down                          stops it; nothing is lost",
        title="next",
    )
