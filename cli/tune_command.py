"""tune: search for better hyperparameters now, watch it, and see what was found, compared and adopted."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.table import Table

from cli.night_commands import watch_run
from cli.options import STACK, STATE, Stack, State, console
from cli.run_names import run_name
from cli.site import Problem, Site, connect

SHOWN = 5  # trials of a search in its table


class Models(StrEnum):
    RANKER = "ranker"
    TWO_TOWER = "two-tower"
    ALL = "all"

    def names(self) -> list[str]:
        return ["two_tower", "ranker"] if self is Models.ALL else [self.value.replace("-", "_")]


class Strategy(StrEnum):
    BAYESIAN = "bayesian"
    RANDOM = "random"
    GRID = "grid"


def register(app: typer.Typer) -> None:
    app.command()(tune)


def tune(
    models: Annotated[Models, typer.Argument(help="Which model's parameters.")] = Models.ALL,
    stack: Stack = STACK,
    state: State = STATE,
    jobs: Annotated[
        int | None, typer.Option(min=2, max=500, help="Trials of each model at most; default: the deployment's.")
    ] = None,
    parallel: Annotated[int | None, typer.Option(min=1, max=100, help="Trials at a time.")] = None,
    strategy: Annotated[Strategy | None, typer.Option(help="How the next trial is chosen.")] = None,
    reason: Annotated[str, typer.Option(help="Why; kept with the execution.")] = "by hand",
    show: Annotated[bool, typer.Option("--show", help="Only say what earlier searches found and nights use.")] = False,
    forget: Annotated[
        bool, typer.Option("--forget", help="Drop what earlier searches found; the next night does without.")
    ] = False,
    watch: Annotated[bool, typer.Option(help="Follow it to its end.")] = True,
) -> None:
    """Search for better hyperparameters; the next night uses what beats today's on the holdout."""
    site = connect(stack, state)
    if forget:
        dropped = forget_tuned(site, models.names())
        console.print(f"dropped: {', '.join(dropped)}" if dropped else "nothing was tuned")
        return
    if show:
        console.print(stored_table(read_tuned(site, models.names())))
        return
    arn = start_search(site, models.names(), reason=reason, jobs=jobs, parallel=parallel, strategy=strategy)
    if not watch:
        console.print(f"search {arn.rsplit(':', 1)[1]} runs: understudy status")
        return
    output = watch_run(site, arn)
    if not output["models"]:
        console.print(f"nothing to search: {output['nothing']}")
    for result in output["models"]:
        console.print(result_table(site, result))


def start_search(site: Site, models: list[str], **request: Any) -> str:
    """ARN of the new execution. Options that were not given are the deployment's."""
    asked = {"models": models, **{name: value for name, value in request.items() if value is not None}}
    if "strategy" in asked:
        asked["strategy"] = asked["strategy"].capitalize()
    name = run_name("tune")
    answer = site.client("stepfunctions").start_execution(
        stateMachineArn=site.outputs["TuneMachineArn"], name=name, input=json.dumps(asked)
    )
    return str(answer["executionArn"])


def read_tuned(site: Site, models: list[str]) -> list[dict[str, Any]]:
    """What searches have left in Parameter Store for these models."""
    answer = site.client("ssm").get_parameters(Names=[_name(site, model) for model in models])
    return [json.loads(row["Value"]) for row in answer["Parameters"]]


def forget_tuned(site: Site, models: list[str]) -> list[str]:
    """Delete what searches have left; the models there was something of."""
    answer = site.client("ssm").delete_parameters(Names=[_name(site, model) for model in models])
    return [name.rsplit("/", 1)[1] for name in answer["DeletedParameters"]]


def stored_table(rows: list[dict[str, Any]]) -> Table:
    table = Table(title="what nights use of searches" if rows else "nothing tuned", title_justify="left")
    for column in ("model", "parameters", "metric", "before", "with them", "since"):
        table.add_column(column)
    for row in rows:
        figures = (f"{row['today']:.4f}", f"{row['tuned']:.4f}")
        table.add_row(row["model"], _told(row["parameters"]), row["metric"], *figures, row["adopted_at"][:16])
    return table


def result_table(site: Site, result: dict[str, Any]) -> Table:
    """One model's search: its best trials by the validation split, and what the holdout says of the best."""
    if result.get("failed"):
        raise Problem(f"{result['model']}: {result['reason']}")
    word = "[green]adopted[/]" if result["adopted"] else "not adopted"
    table = Table(title=f"{result['model']}: {word}, {result['reason']}", title_justify="left", expand=True)
    table.add_column("trial", no_wrap=True)
    table.add_column("validation", justify="right", no_wrap=True)
    table.add_column("parameters", ratio=1)
    search = result["training_job"].rsplit("-", 2)[0]
    for trial in best_trials(site, search):
        value = trial["FinalHyperParameterTuningJobObjectiveMetric"]["Value"]
        mark = "" if trial["TrainingJobStatus"] == "Completed" else " [dim]stopped early[/]"
        table.add_row(_number(trial), f"{value:.4f}{mark}", _told(trial["TunedHyperParameters"]))
    if result["interval"] and result["today"] is not None:
        low, high = result["interval"]
        shown = f"{result['today']:.4f} → {result['tuned']:.4f}"
        table.add_row("holdout", "", f"{result['metric']} {shown}, difference within [{low:+.4f}, {high:+.4f}]")
    return table


def best_trials(site: Site, search: str) -> list[dict[str, Any]]:
    """The best trials of a tuning job, best first."""
    answer = site.client("sagemaker").list_training_jobs_for_hyper_parameter_tuning_job(
        HyperParameterTuningJobName=search,
        SortBy="FinalObjectiveMetricValue",
        SortOrder="Descending",
        MaxResults=SHOWN,
    )
    return list(answer["TrainingJobSummaries"])


def _number(trial: dict[str, Any]) -> str:
    return str(int(trial["TrainingJobName"].rsplit("-", 2)[1]))


def _told(parameters: dict[str, Any]) -> str:
    return ", ".join(f"{name} {float(value):.4g}" for name, value in sorted(parameters.items()))


def _name(site: Site, model: str) -> str:
    return f"/understudy/{site.stack}/hyperparameters/{model}"
