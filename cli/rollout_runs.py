"""Executions of the roll_out and roll_back machines, as the rollout commands ask for them."""

from __future__ import annotations

import getpass
import json
from datetime import datetime
from typing import Annotated, Any

import typer

from cli.run_view import FINAL
from cli.site import Problem, Site
from cli.stage import read_traffic

Rollout = Annotated[
    str | None,
    typer.Option("--rollout", help="Which, if several wait for the stage; default: the one that has it."),
]


def not_blank(text: str | None) -> str | None:
    if text is not None and not text.strip():
        raise typer.BadParameter("it is blank; expected a few words that people will read")
    return text


Reason = Annotated[
    str,
    typer.Option("--reason", help="Why, in your words; people and the model registry are told.", callback=not_blank),
]


def operator() -> str:
    """Who sits here, where nobody says who asks."""
    return getpass.getuser()


def arn_of(site: Site, name: str, machine: str = "RollOutMachineArn") -> str:
    return site.outputs[machine].replace(":stateMachine:", ":execution:") + f":{name}"


def execution(site: Site, name: str, machine: str = "RollOutMachineArn") -> dict[str, Any] | None:
    """A rollout as its machine tells it; None when that name was never used (AWS forgets 90 days after the end)."""
    states = site.client("stepfunctions")
    try:
        found: dict[str, Any] = states.describe_execution(executionArn=arn_of(site, name, machine))
    except states.exceptions.ExecutionDoesNotExist:
        return None
    return found


def running(site: Site) -> list[dict[str, Any]]:
    """Rollouts that run, described: one has the stage, the others wait for it."""
    states, machine = site.client("stepfunctions"), site.outputs["RollOutMachineArn"]
    pages = states.get_paginator("list_executions").paginate(stateMachineArn=machine, statusFilter="RUNNING")
    return [states.describe_execution(executionArn=row["executionArn"]) for page in pages for row in page["executions"]]


def recent(site: Site, limit: int) -> list[dict[str, Any]]:
    """The last rollouts, newest first, described."""
    states, machine = site.client("stepfunctions"), site.outputs["RollOutMachineArn"]
    rows = states.list_executions(stateMachineArn=machine, maxResults=limit)["executions"]
    return [states.describe_execution(executionArn=row["executionArn"]) for row in rows]


def rollbacks_of(site: Site, rollout_id: str) -> list[dict[str, Any]]:
    """Rollbacks of a rollout, newest first, described."""
    states, machine = site.client("stepfunctions"), site.outputs["RollBackMachineArn"]
    pages = states.get_paginator("list_executions").paginate(stateMachineArn=machine)
    rows = [row for page in pages for row in page["executions"] if row["name"].startswith(f"{rollout_id}-back-")]
    return [states.describe_execution(executionArn=row["executionArn"]) for row in rows]


def release_of(run: dict[str, Any]) -> str:
    return str(json.loads(run["input"])["release_id"])


def chosen(site: Site, rollout_id: str | None) -> dict[str, Any]:
    """The rollout that is meant, which runs: the named one, the only one, or the one that has the stage.

    Raises
    ------
    Problem
        It has ended, there is none of that name, or none runs.
    """
    there = running(site)
    names = ", ".join(sorted(one["name"] for one in there))
    if not there and rollout_id is None:
        raise Problem(
            "no rollout runs; understudy rollout start begins one, understudy rollback takes down what is on stage"
        )
    if rollout_id is None and len(there) > 1:
        traffic = read_traffic(site)
        rollout_id = traffic["rollout_id"] if traffic else None
    found = [one for one in there if rollout_id in (None, one["name"])]
    if len(found) == 1:
        return found[0]
    raise Problem(f"{_why_not(site, rollout_id)}; {f'expected one of {names}, by --rollout' if names else 'none runs'}")


def _why_not(site: Site, rollout_id: str | None) -> str:
    known = execution(site, rollout_id) if rollout_id else None
    if known is None:
        return f"there is no rollout {rollout_id}" if rollout_id else "none of the rollouts that run has the stage"
    return f"rollout {rollout_id} is over since {moment(known['stopDate'])}: {outcome(known)}"


def outcome(run: dict[str, Any]) -> str:
    """How a rollout ended, or that it runs."""
    if run["status"] not in FINAL:
        return "runs"
    if run["status"] == "SUCCEEDED":
        plan = json.loads(run["output"])
        return f"left alone, {plan['reason']}" if plan["action"] == "leave" else "it came to serve everybody"
    cause = str(run.get("cause") or run.get("error") or "no reason was given")
    words = {
        ("FAILED", "RolledBack"): "taken down on the judge's verdict",
        ("ABORTED", "RolledBack"): "taken down",
        ("FAILED", "StageLost"): "lost to another change",
    }
    word = words.get((run["status"], run.get("error", "")), run["status"].lower().replace("_", " "))
    return f"{word}: {cause}"


def moment(at: datetime) -> str:
    """A time as people read it, in their own zone."""
    return f"{at.astimezone():%Y-%m-%d %H:%M:%S}"
