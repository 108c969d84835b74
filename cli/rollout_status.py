"""rollout status and history: a rollout while it runs, who serves between rollouts, and how the last ones ended."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table

from cli.options import STACK, STATE, Stack, State, console
from cli.rollout_runs import execution, moment, outcome, recent, release_of, rollbacks_of, running
from cli.rollout_view import VERDICT_COLOURS, RolloutView, difference, read_verdicts
from cli.run_view import FINAL
from cli.site import Problem, Site, connect
from cli.stage import read_releases, read_traffic

POLL_S = 1.0


def register(app: typer.Typer) -> None:
    app.command()(status)
    app.command()(history)


def status(
    rollout_id: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="A rollout; default: the one that runs, else who serves.")
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", "--live", help="Follow it to its end, as a live view.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Everything known, for programs.")] = False,
    stack: Stack = STACK,
    state: State = STATE,
) -> None:
    """Stage, time left, both arms with their interval, and the verdict so far. Between rollouts: who serves, and how the last ended."""
    if watch and as_json:
        raise Problem("--watch is for people and --json for programs; expected one of the two")
    site = connect(stack, state)
    name = rollout_id or _on_now(site)
    if rollout_id is not None and execution(site, rollout_id) is None:
        raise Problem(f"there is no rollout {rollout_id}; understudy rollout history lists them")
    if as_json:
        console.print_json(json.dumps(facts(site, name), default=str))
    elif name is None:
        console.print(between(site))
    elif watch:
        follow(RolloutView(site, name))
    else:
        view = RolloutView(site, name)
        view.refresh()
        console.print(whole(view))


def history(
    last: Annotated[int, typer.Option("--last", "-n", min=1, max=100, help="How many, newest first.")] = 10,
    stack: Stack = STACK,
    state: State = STATE,
) -> None:
    """Rollouts that were: when, for how long, through which verdicts, and how they ended."""
    site = connect(stack, state)
    runs = recent(site, last)
    if not runs:
        console.print("no rollout yet: an approved release starts one by itself; understudy night makes releases")
        return
    table = Table(title=f"The last {len(runs)} rollouts" if len(runs) > 1 else "The one rollout")
    for title in ("rollout", "began", "took", "verdicts", "end"):
        table.add_column(title, no_wrap=title != "end")
    for run in runs:
        table.add_row(run["name"], moment(run["startDate"]), _took(run), _verdict_words(site, run), outcome(run))
    console.print(table)


def follow(view: RolloutView) -> None:
    """A live view until the rollout, and a rollback of it, have ended."""
    with Live(console=console, auto_refresh=False) as live:
        while True:
            view.refresh()
            live.update(view.panel(), refresh=True)
            if view.ended and all(run["status"] in FINAL for run in rollbacks_of(view.site, view.rollout_id)):
                break
            time.sleep(POLL_S)
    console.print(_end(view))


def whole(view: RolloutView) -> RenderableType:
    """One rollout: what its panel shows, and how each of its stages was judged."""
    shown: list[RenderableType] = [view.panel()]
    if view.ended:
        shown = [f"[bold]{view.rollout_id}[/]", _end(view)]
    verdicts = verdict_table(read_verdicts(view.site, view.rollout_id))
    return Group(*shown, *([verdicts] if verdicts.row_count else []))


def between(site: Site) -> RenderableType:
    """Who serves, who waits for an approval, and the last rollout."""
    traffic, shown = read_traffic(site), list[RenderableType]()
    if traffic is None:
        shown.append("nobody is on stage yet; understudy night makes a release")
    else:
        champion = traffic["champion"]
        kept = f"; {traffic['previous']['release']} is kept as the way back" if traffic["previous"] else ""
        shown.append(
            f"[bold]{champion['release']}[/] serves in slot {champion['slot']} since {traffic['changed_at']} "
            f"({traffic['reason']}){kept}; no rollout runs"
        )
    shown += [
        f"{release['release_id']} waits for its approval since {release['created_at'][:16].replace('T', ' ')}: "
        f"understudy releases approve {release['release_id']}"
        for release in read_releases(site)
        if release["status"] == "pending"
    ]
    if runs := recent(site, 1):
        view = RolloutView(site, runs[0]["name"])
        view.refresh()
        shown += ["last rollout:", whole(view)]
    return Group(*shown)


def facts(site: Site, name: str | None) -> dict[str, Any]:
    """What `status` shows, as values; `rollout` is None between rollouts."""
    known: dict[str, Any] = {"serving": read_traffic(site), "rollout": None, "last": None}
    for key, each in (("rollout", name), ("last", next((run["name"] for run in recent(site, 1)), None))):
        if each is not None:
            view = RolloutView(site, each)
            view.refresh()
            known[key] = {**view.facts(), "verdicts": read_verdicts(site, each)}
    return known


def verdict_table(verdicts: list[dict[str, Any]]) -> Table:
    """Final verdicts of stages, in their order."""
    table = Table()
    for title in ("stage", "verdict", "clicks/impression", "then", "why"):
        table.add_column(title, no_wrap=title in ("stage", "verdict"))
    for one in verdicts:
        colour, said = VERDICT_COLOURS.get(one["verdict"], "white"), one["reason"]
        cells = (f"[{colour}]{one['verdict']}[/]", difference(one.get("evidence", {})), one["action"].replace("_", " "))
        table.add_row(f"{one['kind']} {one['share_bp'] / 100:g} %", *cells, said[:200])
    return table


def _on_now(site: Site) -> str | None:
    """Of the rollouts that run, the one that has the stage; else the one that waits longest."""
    there, traffic = running(site), read_traffic(site)
    on_stage = [run["name"] for run in there if traffic is not None and run["name"] == traffic["rollout_id"]]
    waiting = sorted(there, key=lambda run: run["startDate"])
    return on_stage[0] if on_stage else waiting[0]["name"] if waiting else None


def _end(view: RolloutView) -> str:
    run = execution(view.site, view.rollout_id)
    if run is None:
        return "its approval was not heard yet"
    release_id, backs = release_of(run), rollbacks_of(view.site, view.rollout_id)
    said = f"rollout {view.rollout_id} of {release_id}: {outcome(run)}"
    if backs:
        asked = json.loads(backs[0]["input"])
        said += f"\nrollback ({asked['cause']}) {backs[0]['status'].lower()}: {asked['reason'][:300]}"
    return said


def _took(run: dict[str, Any]) -> str:
    seconds = int(((run.get("stopDate") or datetime.now(UTC)) - run["startDate"]).total_seconds())
    hours, minutes = divmod(seconds // 60, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds % 60} s" if minutes else f"{seconds} s"


def _verdict_words(site: Site, run: dict[str, Any]) -> str:
    verdicts = read_verdicts(site, run["name"])
    words = [
        f"{one['share_bp'] / 100:g} % [{VERDICT_COLOURS.get(one['verdict'], 'white')}]{one['verdict']}[/]"
        for one in verdicts
    ]
    return "\n".join(words) or "–"
