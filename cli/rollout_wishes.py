"""rollout pause, resume, promote: an operator's wish, which the judge reads at its next look."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from cli.options import STACK, STATE, Stack, State, console
from cli.rollout_runs import Rollout, chosen, not_blank, operator, rollbacks_of
from cli.run_view import FINAL
from cli.site import Problem, Site, connect
from cli.stage import read_traffic
from understudy.adapters.aws_items import from_item, to_item

By = Annotated[
    str | None,
    typer.Option("--by", help="Who asks, as people will read it; default: your user name.", callback=not_blank),
]
HEARD = "the judge hears it at its next look"


def register(app: typer.Typer) -> None:
    app.command()(pause)
    app.command()(resume)
    app.command()(promote)


def pause(by: By = None, rollout: Rollout = None, stack: Stack = STACK, state: State = STATE) -> None:
    """Hold the share where it is, until somebody resumes or promotes. A guardrail that fails still takes the release down.

    Outcomes count on meanwhile. A rollout lasts two days at most, its pauses included; then it is rolled back.
    """
    site = connect(stack, state)
    name, wish = _heeding(site, rollout)
    if wish.get("ask") == "pause":
        console.print(f"rollout [bold]{name}[/] is paused already, by {wish['by']} at {wish['at']}")
        return
    put_wish(site, name, "pause", by)
    console.print(f"rollout [bold]{name}[/] is to hold its share; {HEARD}. understudy rollout resume ends that")


def resume(by: By = None, rollout: Rollout = None, stack: Stack = STACK, state: State = STATE) -> None:
    """End a pause: the stage goes on by its clock, on all that was counted since it began."""
    site = connect(stack, state)
    name, wish = _heeding(site, rollout)
    if wish.get("ask") != "pause":
        console.print(f"rollout [bold]{name}[/] is not paused")
        return
    put_wish(site, name, "resume", by)
    console.print(f"rollout [bold]{name}[/] is to go on; {HEARD}")


def promote(by: By = None, rollout: Rollout = None, stack: Stack = STACK, state: State = STATE) -> None:
    """Go on to the next stage without waiting for the end of this one, unless the verdict is fail. Ends a pause.

    It is for the stage that is on now; the next one bakes as ever. In the watch after a promotion it ends the watch.
    """
    site = connect(stack, state)
    name, wish = _heeding(site, rollout)
    traffic = read_traffic(site)
    if traffic is None or traffic["rollout_id"] != name or not (traffic["candidate"] or traffic["previous"]):
        raise Problem(f"rollout {name} is at no stage yet: nobody meets its release; understudy rollout status")
    seen = read_state(site, f"rollout#{name}")
    if seen.get("version") == traffic["version"] and seen["action"] in ("next", "roll_back"):
        raise Problem(f"this stage of rollout {name} is over already ({seen['reason']}); understudy rollout status")
    put_wish(site, name, "promote", by, traffic["version"])
    ended = f", and {wish['by']}'s pause ends" if wish.get("ask") == "pause" else ""
    follows = "the release before leaves the stage" if traffic["previous"] else "the next stage begins"
    console.print(f"rollout [bold]{name}[/]: {follows}{ended}; {HEARD}")


def _heeding(site: Site, rollout_id: str | None) -> tuple[str, dict[str, Any]]:
    """The rollout that is meant, which still listens, and the wish that lies there.

    Raises
    ------
    Problem
        It has ended, or it is being taken down.
    """
    name = str(chosen(site, rollout_id)["name"])
    back = [run for run in rollbacks_of(site, name) if run["status"] not in FINAL]
    if back:
        raise Problem(f"rollout {name} is being taken down by {back[0]['name']}; understudy rollout status {name}")
    return name, read_state(site, f"wish#{name}")


def read_state(site: Site, key: str) -> dict[str, Any]:
    answer = site.client("dynamodb").get_item(
        TableName=site.outputs["StateTable"], Key={"id": {"S": key}}, ConsistentRead=True
    )
    return from_item(answer["Item"]) if "Item" in answer else {}


def put_wish(site: Site, rollout_id: str, ask: str, by: str | None, version: int | None = None) -> None:
    """The last wish of a rollout stands; `version` is the traffic version of the stage that it is for."""
    wish = {"ask": ask, "by": by or operator(), "at": datetime.now(UTC).isoformat(timespec="seconds")}
    item = to_item({"id": f"wish#{rollout_id}", **wish, **({} if version is None else {"version": version})})
    site.client("dynamodb").put_item(TableName=site.outputs["StateTable"], Item=item)
