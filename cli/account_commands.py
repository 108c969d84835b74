"""up, down, status, logs."""

from __future__ import annotations

import shlex
import time
import tomllib
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from cli.options import STACK, STATE, Stack, State, console
from cli.plan_command import settings_warnings, warn
from cli.site import Problem, Site, connect, use_local_account
from cli.stage import read_releases, read_traffic

LOCAL_DOMAIN = "items"


def register(app: typer.Typer) -> None:
    app.command()(up)
    app.command()(down)
    app.command()(status)
    app.command()(logs)


def start_and_deploy(stack: str, state: Path) -> str:
    """The account of a folder, running, with the checkout's template deployed; its URL. Doing it twice changes nothing."""
    from local_account import lifecycle
    from local_account.deploy.deployment import DeploymentFailed, deploy

    root = Path(__file__).resolve().parents[1]
    with console.status("starting the local account") as spinner:
        try:
            endpoint = lifecycle.up(state)
            use_local_account(state)
            site = connect(stack, state)
            parameters = {
                **local_parameters(root / "samconfig.toml"),
                "OpenSearchUrl": f"{endpoint.url}/opensearch/{LOCAL_DOMAIN}",
                "OpenSearchDomainName": LOCAL_DOMAIN,
            }
            deploy(
                site.session, root, stack, parameters, lambda line: spinner.update(f"deploying template.yaml: {line}")
            )
        except (lifecycle.AccountError, DeploymentFailed) as error:
            raise Problem(f"{error} (log: {state / 'account.log'})") from error
    return endpoint.url


def local_parameters(samconfig: Path) -> dict[str, str]:
    """What the stage `local` gives the template: the times of a rollout in seconds, so that one can be watched."""
    stages = tomllib.loads(samconfig.read_text())
    text = stages.get("local", {}).get("deploy", {}).get("parameters", {}).get("parameter_overrides", "")
    return dict(pair.split("=", 1) for pair in shlex.split(text))


def up(stack: Stack = STACK, state: State = STATE) -> None:
    """Start the local account and deploy template.yaml into it."""
    began = time.monotonic()
    url = start_and_deploy(stack, state)
    console.print(f"[green]up[/] at {url}, stack {stack}, in {time.monotonic() - began:.1f} s")
    warn(settings_warnings(connect(stack, state)))
    console.print(
        f"for any AWS client: export AWS_CONFIG_FILE={state / 'config'} AWS_SHARED_CREDENTIALS_FILE={state / 'credentials'} AWS_PROFILE=understudy",
        soft_wrap=True,
    )


def down(state: State = STATE) -> None:
    """Stop the local account; what it acknowledged is there again after `up`."""
    from local_account import lifecycle

    try:
        lifecycle.down(state)
    except lifecycle.AccountError as error:
        raise Problem(str(error)) from error
    console.print("down")


def status(stack: Stack = STACK, state: State = STATE) -> None:
    """What serves, what runs, and how far the data goes."""
    site = connect(stack, state)
    traffic = read_traffic(site)
    table = Table(show_header=False, box=None)
    table.add_row("stack", f"{site.stack}, API {site.outputs['ApiUrl']}")
    if traffic is None:
        table.add_row("on stage", "nobody yet")
    else:
        champion = traffic["champion"]
        table.add_row(
            "on stage",
            f"[bold]{champion['release']}[/] in slot {champion['slot']}, since {traffic['changed_at']} ({traffic['reason']})",
        )
    for title, output in (("night", "NightlyMachineArn"), ("rollout", "RollOutMachineArn")):
        runs = site.client("stepfunctions").list_executions(stateMachineArn=site.outputs[output], maxResults=3)[
            "executions"
        ]
        costs = _night_costs(site) if runs and title == "night" else {}
        said = [f"{run['name']} {run['status']}{costs.get(run['name'], '')}" for run in runs]
        table.add_row(f"last {title}s", ", ".join(said) or "none")
    lake = _item(site, "StateTable", {"id": {"S": "lake"}})
    table.add_row("data", f"through {lake['data_through']['S']}" if lake else "none imported: understudy data --help")
    queue = site.client("sqs").get_queue_attributes(
        QueueUrl=site.outputs["UndeliveredEventsUrl"], AttributeNames=["ApproximateNumberOfMessages"]
    )
    table.add_row(
        "undelivered", f"{queue['Attributes']['ApproximateNumberOfMessages']} events (docs/runbook.md#undelivered)"
    )
    console.print(table)
    warn(settings_warnings(site))


def _night_costs(site: Site) -> dict[str, str]:
    """What the jobs of each registered or refused release cost, by the night that made it."""
    costs = {release["run_id"]: release["lineage"].get("cost_usd") for release in read_releases(site)}
    return {night: f" (${usd:.4f})" for night, usd in costs.items() if usd is not None}


def _item(site: Site, output: str, key: dict[str, Any]) -> dict[str, Any] | None:
    return site.client("dynamodb").get_item(TableName=site.outputs[output], Key=key).get("Item")


def logs(
    name: Annotated[str, typer.Argument(help="A function (recommend) or a job (two-tower-night-...).")],
    stack: Stack = STACK,
    state: State = STATE,
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, max=10_000, help="Lines from the end.")] = 50,
) -> None:
    """The last log lines of a function or a job."""
    site = connect(stack, state)
    client = site.client("logs")
    for group, prefix in (
        (f"/understudy/{stack}/{name}", None),
        ("/aws/sagemaker/TrainingJobs", name),
        ("/aws/sagemaker/ProcessingJobs", name),
    ):
        wanted = {"logGroupName": group, **({"logStreamNamePrefix": prefix} if prefix else {})}
        try:
            events = [
                event
                for page in client.get_paginator("filter_log_events").paginate(**wanted)
                for event in page["events"]
            ]
        except client.exceptions.ResourceNotFoundException:
            continue
        if events:
            for event in events[-lines:]:
                console.print(event["message"].rstrip(), markup=False, highlight=False, soft_wrap=True)
            return
    raise Problem(f"no log lines of {name}; expected a folder of functions/ or a job that `understudy night` showed")
