"""rollout start: bring a release on stage by hand, where its approval did not, or again."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import count
from typing import Annotated, Any

import typer

from cli.options import STACK, STATE, Stack, State, console
from cli.rollout_runs import execution, moment, outcome, release_of, running
from cli.run_view import FINAL
from cli.site import Problem, Site, connect
from cli.stage import read_traffic
from understudy.adapters.aws import DynamoReleases
from understudy.adapters.registry import approvals, decide, packages_of
from understudy.contracts.release import ReleaseRecord, Status
from understudy.domain.rollout import WAITING
from understudy.errors import ReleaseMoved

APPROVED = ["Approved", "Approved"]
WATCH = "understudy rollout status --watch"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A release that somebody wants on stage, and what stands in its way."""

    record: ReleaseRecord
    registry: list[str]  # approval of both packages
    traffic: dict[str, Any] | None
    champion: ReleaseRecord | None
    has_index: bool


def start(
    release_id: Annotated[str, typer.Argument(metavar="RELEASE", help="Its id, as understudy releases lists it.")],
    again: Annotated[
        bool,
        typer.Option(
            "--again", help="Once more after an earlier rollout of it has ended, or although a newer one serves."
        ),
    ] = False,
    stack: Stack = STACK,
    state: State = STATE,
) -> None:
    """Bring an approved release on stage, through every stage. Its approval does that by itself; this is for when it did not.

    The rollout has the release's name; with --again RELEASE-2, RELEASE-3 and so on. While another rollout has the stage it waits.
    """
    site = connect(stack, state)
    store = DynamoReleases(site.client("dynamodb"), site.outputs["ReleasesTable"])
    record = store.get(release_id)
    if record is None:
        raise Problem(f"there is no release {release_id}; understudy releases lists them")
    others = running(site)
    if mine := [run["name"] for run in others if release_of(run) == release_id]:
        console.print(f"rollout [bold]{mine[0]}[/] of it runs already: {WATCH}")
        return
    traffic = read_traffic(site)
    champion = store.get(traffic["champion"]["release"]) if traffic else None
    registry = approvals(site.client("sagemaker"), record)
    wanted = Candidate(record, registry, traffic, champion, has_index(site, record.index))
    if reason := why_not(wanted, again=again):
        raise Problem(f"{release_id} cannot be rolled out: {reason}")
    name = _free_name(site, release_id, again)
    if record.status != WAITING:
        move(site, record, WAITING)
    for package in packages_of(record):
        decide(site.client("sagemaker"), package, "Approved", f"rollout {name} was started by hand")
    begin(site, name, release_id, by_hand=again)
    waits = f"; it waits for {', '.join(run['name'] for run in others)}" if others else ""
    console.print(f"rollout [bold]{name}[/] runs{waits}: {WATCH}")


def begin(site: Site, name: str, release_id: str, *, by_hand: bool) -> None:
    """Start the machine. The same name and input again, by a second operator or after a lost reply, is the same execution."""
    asked = {"release_id": release_id, **({"by_hand": True} if by_hand else {})}
    states = site.client("stepfunctions")
    try:
        states.start_execution(stateMachineArn=site.outputs["RollOutMachineArn"], name=name, input=json.dumps(asked))
    except states.exceptions.ExecutionAlreadyExists:
        raise Problem(f"rollout {name} was started by somebody else meanwhile: {WATCH}") from None


def move(site: Site, record: ReleaseRecord, status: Status, reason: str = "") -> None:
    """Write a release's status, unless somebody else changed it since it was read."""
    store = DynamoReleases(site.client("dynamodb"), site.outputs["ReleasesTable"])
    try:
        store.move_status(record, status, record.fence, reason=reason)
    except ReleaseMoved as moved:
        raise Problem(f"{moved}; somebody was first: understudy releases {record.release_id}") from None


def why_not(wanted: Candidate, *, again: bool) -> str | None:
    """What was wrong, and what to do; None for a release that may begin."""
    record, traffic = wanted.record, wanted.traffic
    standing = {part: (traffic or {}).get(part) or {} for part in ("champion", "candidate", "previous")}
    if standing["champion"].get("release") == record.release_id:
        return "it serves already; understudy rollback takes it down while the release before is kept"
    if standing["candidate"].get("release") == record.release_id:
        return "it stands on stage, and a rollback of it is on its way: understudy rollout status"
    if standing["previous"].get("release") == record.release_id:
        return "it is kept as the way back; understudy rollback --reason … brings it back at once"
    return _by_status(wanted) or _older(wanted, again=again)


def _by_status(wanted: Candidate) -> str | None:
    record = wanted.record
    if record.status == "registered":
        return "the night that makes it has not finished; understudy night goes on with one that was cut short"
    if record.status == "pending":
        return f"nobody has approved it yet; understudy releases approve {record.release_id} does, and starts it"
    if record.status == "rejected":
        return f"it was rejected ({rejection(record)}), which is final; understudy night makes a new release"
    if record.status == WAITING and wanted.registry != APPROVED:
        said = " and ".join(wanted.registry) or "gone"
        return f"its packages in the registry are {said}; understudy releases approve {record.release_id} approves both"
    if not wanted.has_index:
        return f"its index {record.index} was deleted when it left the stage; understudy night makes a new release"
    return None


def _older(wanted: Candidate, *, again: bool) -> str | None:
    record, champion = wanted.record, wanted.champion
    if again:
        return None
    if record.status == "retired":
        because = f" ({record.status_reason})" if record.status_reason else ""
        return f"it was retired{because}; if you want it on stage all the same, say --again"
    if champion is not None and champion.created_at > record.created_at:
        return f"{champion.release_id}, which serves, is newer; if you want it on stage all the same, say --again"
    return None


def rejection(record: ReleaseRecord) -> str:
    """Why a release was rejected, as its record knows it."""
    if record.gate.get("passed") is False:
        return "by the gate: " + "; ".join(record.gate.get("reasons", []))
    return record.status_reason or "after it passed the gate"


def has_index(site: Site, index: str) -> bool:
    status, _ = site.signed("es", "GET", f"{site.outputs['ItemIndexUrl'].rstrip('/')}/{index}/_count")
    if status not in (200, 404):
        raise Problem(f"whether index {index} exists was answered HTTP {status}; expected 200 or 404: try again")
    return status == 200


def _free_name(site: Site, release_id: str, again: bool) -> str:
    """The first name that no rollout of the release has used."""
    for number in count(1):
        name = release_id if number == 1 else f"{release_id}-{number}"
        used = execution(site, name)
        if used is None or used["status"] not in FINAL:
            return name
        if not again:
            ended = f"rollout {name} ended {moment(used['stopDate'])}: {outcome(used)}"
            raise Problem(f"{release_id} had its rollout ({ended}); --again starts another")
    raise AssertionError("count never ends")
