"""doctor: what would be an orphan, where it lies, and what to do about it. It reads; it changes nothing."""

from __future__ import annotations

from collections.abc import Iterator

import typer
from rich.table import Table

from cli.doctor_finding import Finding, Patient, patient_of
from cli.doctor_hosting import endpoints, indices
from cli.doctor_runs import jobs, leases, releases, stage
from cli.options import STACK, STATE, Stack, State, console
from cli.site import Site, connect

CHECKS = (stage, leases, releases, endpoints, indices, jobs)


def register(app: typer.Typer) -> None:
    app.command()(doctor)


def doctor(stack: Stack = STACK, state: State = STATE) -> None:
    """List what nobody would miss or clean up: configurations, models, variants, indices, leases, notes, jobs, releases."""
    site = connect(stack, state)
    patient = patient_of(site)
    found = list(examine(site, patient))
    if patient.on_the_way:
        console.print(f"{', '.join(patient.on_the_way)} runs: what it uses meanwhile is not counted")
    if not found:
        console.print("[green]nothing is left over[/]")
        return
    table = Table(title=f"{len(found)} found")
    for title in ("what", "which", "what to do"):
        table.add_column(title, overflow="fold")
    for one in found:
        table.add_row(one.what, one.which, one.do)
    console.print(table)
    raise typer.Exit(1)


def examine(site: Site, patient: Patient | None = None) -> Iterator[Finding]:
    """Every finding, in the order of how much it matters."""
    patient = patient or patient_of(site)
    for check in CHECKS:
        yield from check(patient)
