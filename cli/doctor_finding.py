"""What the doctor's checks look at, read once, and what they find."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cli.site import Site
from understudy.adapters.aws import DynamoLeases, DynamoReleases, DynamoTraffic
from understudy.contracts.release import ReleaseRecord
from understudy.contracts.traffic import Standing, Traffic
from understudy.domain.lease import Lease

FIX_STAGE = "understudy rollback --reason … takes down what is on stage and cleans up behind it"


@dataclass(frozen=True, slots=True)
class Finding:
    """`what` is wrong, with `which`, and what to `do`."""

    what: str
    which: str
    do: str


@dataclass(frozen=True, slots=True)
class Patient:
    """A stack at one moment."""

    site: Site
    traffic: Traffic | None
    records: dict[str, ReleaseRecord]
    leases: list[Lease]
    running: dict[str, list[str]]  # names of running executions by machine: nightly, roll_out, roll_back

    @property
    def on_the_way(self) -> list[str]:
        """Rollouts and rollbacks that run: endpoints and stage are theirs meanwhile."""
        return [*self.running["roll_out"], *self.running["roll_back"]]

    @property
    def standings(self) -> list[Standing]:
        """Releases that traffic names."""
        named = [] if self.traffic is None else [self.traffic.champion, self.traffic.candidate, self.traffic.previous]
        return [one for one in named if one is not None]

    def endpoint_names(self) -> tuple[str, str]:
        return f"{self.site.stack}-two-tower", f"{self.site.stack}-ranker"


def patient_of(site: Site) -> Patient:
    """Executions are read first: what begins while the rest is read is not taken for an orphan, only what ends meanwhile."""
    outputs, dynamodb = site.outputs, site.client("dynamodb")
    machines = {
        "nightly": outputs["NightlyMachineArn"],
        "roll_out": outputs["RollOutMachineArn"],
        "roll_back": outputs["RollBackMachineArn"],
    }
    states = site.client("stepfunctions")
    running = {name: _running(states, arn) for name, arn in machines.items()}
    store, table = DynamoLeases(dynamodb, outputs["LeaseTable"]), outputs["ReleasesTable"]
    held = [store.holder(name) for name in ("night", "stage")]
    return Patient(
        site,
        DynamoTraffic(dynamodb, outputs["TrafficTable"]).current(),
        {record.release_id: record for record in DynamoReleases(dynamodb, table).list()},
        [lease for lease in held if lease is not None],
        running,
    )


def _running(states: Any, machine: str) -> list[str]:
    pages = states.get_paginator("list_executions").paginate(stateMachineArn=machine, statusFilter="RUNNING")
    return [row["name"] for page in pages for row in page["executions"]]
