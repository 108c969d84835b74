"""releases: what was made, what it measured, what it came from; and a person's word about one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from typer.core import TyperGroup

from cli import release_approval
from cli.options import STACK, STATE, Stack, State, console
from cli.site import connect
from cli.stage import read_release, read_releases, read_traffic
from understudy.domain.cost import JobRun, cost_usd


class Releases(TyperGroup):
    """`understudy releases` and `understudy releases RELEASE` are short for `releases show …`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not any(arg in self.commands or arg == "--help" for arg in args):
            args = ["show", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=Releases,
    help="Releases, and a person's word about one that waits for it.\n\n"
    "Without a command: [bold]understudy releases[/] lists every release, newest first, [bold]understudy releases RELEASE[/] shows one.",
)
app.command()(release_approval.approve)
app.command()(release_approval.reject)


def register(main: typer.Typer) -> None:
    main.add_typer(app, name="releases")


@app.command()
def show(
    release_id: Annotated[
        str | None, typer.Argument(metavar="[RELEASE]", help="Show one release whole, with its lineage.")
    ] = None,
    card: Annotated[
        Path | None, typer.Option("--card", help="Write that release's model card (HTML) to this file.")
    ] = None,
    cost: Annotated[bool, typer.Option("--cost", help="Show what each job of that release cost.")] = False,
    stack: Stack = STACK,
    state: State = STATE,
) -> None:
    """List every release, newest first, or show one."""
    site = connect(stack, state)
    if release_id is not None:
        release = read_release(site, release_id)
        if card is not None:
            bucket, _, key = release["model_card_s3"].removeprefix("s3://").partition("/")
            site.client("s3").download_file(bucket, key, str(card))
            console.print(f"model card of {release_id}: {card}")
        elif cost:
            console.print(costs_table(release))
        else:
            console.print_json(json.dumps(release))
        return
    found = read_releases(site)
    if not found:
        console.print("no release yet: understudy night")
        return
    traffic = read_traffic(site)
    serving = traffic["champion"]["release"] if traffic else None
    console.print(releases_table(found, serving))


def costs_table(release: dict[str, Any]) -> Table:
    """The jobs that a release was made by, and what each cost."""
    table = Table(title=f"Cost of {release['release_id']}")
    for title in ("job", "on", "billed", "cost"):
        table.add_column(title, justify="right" if title in ("billed", "cost") else "left")
    for job in release["lineage"].get("jobs", []):
        run = JobRun(job["arn"], job["instance_type"], int(job["instances"]), float(job["billable_s"]))
        machines = f"{run.instance_count} × {run.instance_type}"
        table.add_row(job["arn"].rpartition("/")[2], machines, f"{run.billable_s:.0f} s", _dollars(cost_usd([run])))
    table.add_row("[bold]all of them[/]", "", "", _dollars(release["lineage"].get("cost_usd")))
    return table


def _dollars(usd: float | None) -> str:
    return "price not known" if usd is None else f"${usd:.4f}"


def releases_table(found: list[dict[str, Any]], serving: str | None) -> Table:
    table = Table(title="Releases")
    for title in ("release", "status", "made"):
        table.add_column(title, no_wrap=True)
    for title in ("recall@10", "NDCG@10", "AUC", "cost"):
        table.add_column(title, justify="right")
    for release in found:
        recall, ranking = release["metrics"].get("recall", {}), release["metrics"].get("ranking", {})
        cost = release["lineage"].get("cost_usd")
        table.add_row(
            release["release_id"],
            "[green]on stage[/]" if release["release_id"] == serving else release["status"],
            release["created_at"][:16].replace("T", " "),
            _figure(recall.get("recall_at_10")),
            _figure(recall.get("ndcg_at_10")),
            _figure(ranking.get("auc")),
            "-" if cost is None else f"${cost:.4f}",
        )
        for reason in _reasons(release):
            table.add_row("", f"[dim]{reason}[/]")
    return table


def _reasons(release: dict[str, Any]) -> list[str]:
    """Why it was refused: by the gate, or later by the judge or a person, when the gate's figures are no reasons."""
    if release["gate"].get("passed") is False:
        return list(release["gate"].get("reasons", []))
    return [release["status_reason"][:200]] if release.get("status_reason") else []


def _figure(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, int | float) else "-"
