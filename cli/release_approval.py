"""releases approve, reject: a person's word about a release, written where everybody looks: at both its packages in the registry."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.options import STACK, STATE, Stack, State, console
from cli.rollout_runs import not_blank, operator, release_of, running
from cli.rollout_start import APPROVED, WATCH, move, rejection
from cli.site import Problem, Site, connect
from cli.stage import read_traffic
from understudy.adapters.aws import DynamoReleases, DynamoTraffic
from understudy.adapters.registry import approvals, decide, packages_of
from understudy.contracts.release import ReleaseRecord
from understudy.domain.rollback import names

Release = Annotated[str, typer.Argument(metavar="RELEASE", help="Its id, as understudy releases lists it.")]
Why = Annotated[
    str | None,
    typer.Option("--reason", help="Why; the registry keeps it. Default: your user name.", callback=not_blank),
]


def approve(release_id: Release, reason: Why = None, stack: Stack = STACK, state: State = STATE) -> None:
    """Approve a release that passed the gate and waits for a person: its rollout starts by itself.

    Needed where the stack's parameter Approval is manual. Approving twice changes nothing.
    """
    site = connect(stack, state)
    record = _record(site, release_id)
    if why := _not_approvable(record):
        raise Problem(f"{release_id} cannot be approved: {why}")
    if approvals(site.client("sagemaker"), record) == APPROVED and record.status == "approved":
        console.print(f"{release_id} is approved already; {_whats_next(site, record)}")
        return
    packages = packages_of(record)
    if len(packages) != 2:
        raise Problem(f"{release_id} has {len(packages)} packages in the registry; expected its two")
    follows = _whats_next(site, record)  # before: a moment later its rollout runs, if only to be superseded
    for package in packages:
        decide(site.client("sagemaker"), package, "Approved", reason or f"approved by {operator()}")
    console.print(f"both packages of [bold]{release_id}[/] are approved; {follows}")


def reject(release_id: Release, reason: Why = None, stack: Stack = STACK, state: State = STATE) -> None:
    """Reject a release that waits, for good: its status, both packages, and within the hour its index.

    One that is on stage, or on its way, leaves by understudy rollout abort or understudy rollback.
    """
    site = connect(stack, state)
    record = _record(site, release_id)
    if record.status == "rejected":
        console.print(f"{release_id} is rejected already ({rejection(record)})")
        return
    if why := _not_rejectable(site, record):
        raise Problem(f"{release_id} cannot be rejected: {why}")
    reason = reason or f"rejected by {operator()}"
    move(site, record, "rejected", reason)  # first: an approval at the same moment finds it
    for package in packages_of(record):
        decide(site.client("sagemaker"), package, "Rejected", reason)
    console.print(f"[bold]{release_id}[/] is rejected, and both its packages; its index is deleted within the hour")


def _record(site: Site, release_id: str) -> ReleaseRecord:
    record = DynamoReleases(site.client("dynamodb"), site.outputs["ReleasesTable"]).get(release_id)
    if record is None:
        raise Problem(f"there is no release {release_id}; understudy releases lists them")
    return record


def _not_approvable(record: ReleaseRecord) -> str | None:
    if record.status == "registered":
        return "the night that makes it has not finished; understudy night goes on with one that was cut short"
    if record.status == "rejected":
        return f"it was rejected ({rejection(record)}), which is final; understudy night makes a new release"
    if record.status == "champion":
        return "it serves already"
    if record.status == "retired":
        why = f" ({record.status_reason})" if record.status_reason else ""
        return f"it had its rollout and was retired{why}; understudy rollout start {record.release_id} --again"
    return None


def _not_rejectable(site: Site, record: ReleaseRecord) -> str | None:
    if record.status == "registered":
        return "the night that makes it has not finished; expected one that is pending or approved"
    traffic = DynamoTraffic(site.client("dynamodb"), site.outputs["TrafficTable"]).current()
    if names(traffic, record.release_id):
        return "it is on stage; understudy rollback --reason … takes down what rehearses or is still watched"
    if record.status in ("champion", "retired"):
        return f"it is {record.status}, and only a release that is pending or approved can be"
    if mine := [run["name"] for run in running(site) if release_of(run) == record.release_id]:
        return f"its rollout {mine[0]} runs; understudy rollout abort --rollout {mine[0]} --reason … stops it"
    return None


def _whats_next(site: Site, record: ReleaseRecord) -> str:
    """What follows an approval, as far as it is known now."""
    there = running(site)
    if mine := [run["name"] for run in there if release_of(run) == record.release_id]:
        return f"its rollout {mine[0]} runs: {WATCH}"
    traffic = read_traffic(site)
    champion = _record(site, traffic["champion"]["release"]) if traffic else None
    if champion is not None and champion.created_at > record.created_at:
        return (
            f"but {champion.release_id}, which serves, is newer: its rollout will be superseded; "
            f"understudy rollout start {record.release_id} --again brings it on stage all the same"
        )
    if there:
        return f"its rollout starts by itself and waits for {', '.join(run['name'] for run in there)}: {WATCH}"
    if record.status == "approved":
        return f"no rollout of it runs; understudy rollout start {record.release_id} starts one"
    return f"its rollout starts by itself: {WATCH}"
