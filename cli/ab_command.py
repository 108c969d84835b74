"""ab: two releases that served at the same time, compared by what their users clicked."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from cli.ab_plot import forest, label
from cli.options import STACK, STATE, Stack, State, console
from cli.site import Problem, Site, connect
from understudy.domain.ab_readout import Arm, Comparison, read_out, versions_together
from understudy.errors import InvalidInput

_SPANS = {"m": "minutes", "h": "hours", "d": "days"}


class By(StrEnum):
    """Parts of the users."""

    SEGMENT = "segment"
    CITY = "city"
    AGE = "age"
    NEW = "new"


def register(app: typer.Typer) -> None:
    app.command()(ab)


def ab(
    release_a: Annotated[str, typer.Argument(help="The one that is asked about, for example a candidate.")],
    release_b: Annotated[str, typer.Argument(help="The one it is compared with.")],
    by: Annotated[list[By] | None, typer.Option("--by", help="Compare within parts of the users; repeatable.")] = None,
    since: Annotated[
        str, typer.Option("--since", help="Requests from this time on: 90m, 6h, 14d, or an ISO time.")
    ] = "14d",
    level: Annotated[float, typer.Option("--level", help="At which each interval holds, at all times at once.")] = 0.95,
    click_window_hours: Annotated[
        int | None,
        typer.Option(
            "--click-window-hours",
            min=1,
            help="Clicks later than this after their request are late: counted, in no rate. Default: the stack's own.",
        ),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", help="Write a forest plot to this .png, .svg or .html file.")
    ] = None,
    stack: Stack = STACK,
    state: State = STATE,
) -> None:
    """Difference of clicks per impression between two releases that served at the same time, with its interval."""
    site = connect(stack, state)
    window = timedelta(hours=click_window_hours or int(site.parameters["ClickWindowHours"]))
    groups: list[str | None] = [None, *(each.value for each in dict.fromkeys(by or []))]
    found = compared(site, (release_a, release_b), moment_of(since, datetime.now(UTC)), window, groups, level)
    console.print(readout_table(found.sections, release_a, release_b, level))
    console.print(
        f"[dim]{found.requests[0]:,} and {found.requests[1]:,} requests under traffic versions {', '.join(map(str, found.versions))}; "
        f"clicks count for {window.total_seconds() / 3600:g} h; users are the units, each interval holds by itself and at every look[/]"
    )
    if plot is not None:
        forest(found.sections, f"{release_a} against {release_b}, {level:.0%} at all times", plot)
        console.print(f"plot: {plot}")


@dataclass(frozen=True, slots=True)
class Compared:
    """Differences of the whole and of each group's parts, out of so many requests of either release."""

    sections: Sequence[tuple[str, Sequence[Comparison]]]
    requests: tuple[int, int]
    versions: list[int]


def compared(
    site: Site,
    releases: tuple[str, str],
    since: datetime,
    click_window: timedelta,
    groups: Sequence[str | None],
    level: float,
) -> Compared:
    """Two releases by what their users did since then; `groups` None is everybody.

    Raises
    ------
    Problem
        They never served at the same time, or a figure cannot be.
    """
    from cli.ab_lake import served_spans, user_outcomes
    from cli.live_log import live_log

    with live_log(site, since, click_window) as log:
        spans = served_spans(log)
        try:
            versions = versions_together(spans, *releases)
            rows = user_outcomes(log, site, *releases, versions)
            sections = [(group or "", read_out(rows, *releases, by=group, level=level)) for group in groups]
        except InvalidInput as refused:
            raise Problem(f"{refused.what}; expected {refused.expected}") from None
    first, second = (sum(spans[release][version].requests for version in versions) for release in releases)
    return Compared(sections, (first, second), versions)


def readout_table(sections: Sequence[tuple[str, Sequence[Comparison]]], first: str, second: str, level: float) -> Table:
    table = Table(title=f"{first} against {second}")
    table.add_column("users")
    for title in ("how many", "impressions", "clicks (late)", "CTR", "difference", f"{level:.0%} interval"):
        table.add_column(title, justify="right", no_wrap=True)
    for group, found in sections:
        if group:
            table.add_section()
        for line in found:
            table.add_row(label(group, line), *_figures(line))
    return table


def _figures(line: Comparison) -> list[str]:
    pairs = [(line.first.users, line.second.users), (line.first.impressions, line.second.impressions)]
    cells = [f"{mine:,}\n{theirs:,}" for mine, theirs in pairs]
    cells += [f"{_clicks(line.first)}\n{_clicks(line.second)}", f"{_rate(line.first)}\n{_rate(line.second)}"]
    if line.interval is None:
        return [*cells, "-", "too few clicks"]
    found = line.interval
    color = "green" if found.low > 0 else "red" if found.high < 0 else "default"
    return [*cells, f"[{color}]{found.estimate:+.1%}[/]", f"[{color}]{found.low:+.1%} to {found.high:+.1%}[/]"]


def _clicks(arm: Arm) -> str:
    return f"{arm.clicks:,} ({arm.late_clicks:,})"


def _rate(arm: Arm) -> str:
    return "-" if arm.ctr is None else f"{arm.ctr:.2%}"


def moment_of(text: str, now: datetime) -> datetime:
    """A time from `90m`, `6h`, `14d` before now, or from ISO 8601 (UTC where it names no zone).

    Examples
    --------
    >>> moment_of("6h", datetime(2026, 3, 1, 12, tzinfo=UTC)).isoformat()
    '2026-03-01T06:00:00+00:00'
    """
    if span := re.fullmatch(r"(\d{1,4})([mhd])", text):
        return now - timedelta(**{_SPANS[span[2]]: int(span[1])})
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise Problem(f"--since {text} is no time; expected 90m, 6h, 14d, or 2026-03-01T04:00") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
