"""traffic: the users a laptop does not have. poison: a release that is bad to order, to see that it is caught."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table

from cli.options import STACK, STATE, Stack, State, console
from cli.site import Site, connect
from cli.stage import read_traffic

if TYPE_CHECKING:  # numpy and uvloop, which --help must not wait for
    from simulator.tally import Tally

LOG = Path("build/traffic.jsonl")
ARMS = ("champion", "candidate", "previous")


def register(app: typer.Typer) -> None:
    app.command()(traffic)


def traffic(
    rps: Annotated[float, typer.Option("--rps", min=0.01, help="Visits a second; each asks once and tells once.")] = 10,
    seconds: Annotated[float, typer.Option("--seconds", min=1, help="For how long.")] = 60,
    users: Annotated[int | None, typer.Option("--users", min=2, help="How many different people; default all.")] = None,
    k: Annotated[int, typer.Option("-k", min=1, max=100, help="Places of a list.")] = 10,
    cold: Annotated[float, typer.Option(min=0, max=0.9, help="Share of visits by people nobody has heard of.")] = 0.02,
    day_seconds: Annotated[
        float | None,
        typer.Option(min=1, help="A day's ups and downs pass in so many seconds; 86400 is the clock's own day."),
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed sends the same people in the same order.")] = 1,
    log: Annotated[Path, typer.Option("--log", help="Where the clients write every answer down, one JSON line.")] = LOG,
    stack: Stack = STACK,
    state: State = STATE,
) -> None:
    """Simulated users ask, look, click by their true taste, and tell. Exit code 1 if any of them met an error."""
    from cli.tastes import tastes_of
    from simulator.traffic import Options, run

    site = connect(stack, state)
    options = Options(rps=rps, seconds=seconds, k=k, seed=seed, day_s=day_seconds, log=log)
    tastes = tastes_of(site, cold_share=cold, people=users)
    with Live(console=console, auto_refresh=False) as live:
        tally = run(site, tastes, options, progress=lambda now: live.update(view(site, now), refresh=True))
        live.update(view(site, tally), refresh=True)
    console.print(f"every answer is in {log}; {tally.cpu_ms_per_request:.1f} ms of CPU a request went into asking")
    if tally.client_errors:
        raise typer.Exit(1)


def view(site: Site, tally: Tally) -> RenderableType:
    """What the clients met so far: one line of totals, one row a release with the arm it stands in now."""
    arms = arms_of(read_traffic(site))
    errors = f"[red]{tally.client_errors} errors[/]" if tally.client_errors else "[green]0 errors[/]"
    why = "".join(f"\n  {count} × {reason}" for reason, count in (tally.errors + tally.feedback_errors).most_common(3))
    line = (
        f"{tally.seconds:.0f} s: {tally.asked} requests, {tally.posts} posts of feedback, {errors}, {tally.degraded} degraded, "
        f"p50 {_ms(tally.percentile(0.5))}, p95 {_ms(tally.percentile(0.95))}"
        + (f", {tally.held_back} held back" if tally.held_back else "")
    )
    return Group(line + why, releases_view(tally, arms))


def releases_view(tally: Tally, arms: dict[str, str]) -> Table:
    table = Table()
    for title in ("release", "arm", "answers", "users", "CTR", "95 % interval", "true NDCG"):
        table.add_column(title, justify="left" if title in ("release", "arm") else "right")
    for release_id, release in list(tally.releases.items()):
        rate = release.rate()
        shown = (f"{rate.value:.4f}", f"{rate.low:.4f} – {rate.high:.4f}") if rate.impressions else ("", "")
        worth = "" if math.isnan(release.ndcg()) else f"{release.ndcg():.3f}"
        table.add_row(release_id, arms.get(release_id, ""), str(release.answers), str(rate.users), *shown, worth)
    return table


def arms_of(now: dict[str, Any] | None) -> dict[str, str]:
    """Release -> the arm it stands in now."""
    standings = {arm: (now or {}).get(arm) for arm in ARMS}
    return {standing["release"]: arm for arm, standing in standings.items() if standing}


def _ms(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.0f} ms"
