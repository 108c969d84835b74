"""The report's plots, each with its description and the figures behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from matplotlib.axes import Axes
from matplotlib.dates import date2num
from matplotlib.ticker import MaxNLocator

from cli.report_answers import in_alarm
from cli.report_figures import (
    BAD,
    GOOD,
    INK,
    OPEN,
    PAPER,
    Drawn,
    Palette,
    Table,
    drawn,
    legend_above,
    panels,
    several,
    time_axis,
)
from cli.report_history import Spell
from cli.report_live import Clicks, MonitorReport
from cli.report_story import Rollout, Story

LANE = 0.42  # inches
SMALLEST = 0.004  # of the time axis: what was shorter is drawn this long
ENDS = {"SUCCEEDED": GOOD, "RUNNING": INK}
ACTIONS = {
    "roll_back": (BAD, "v"),
    "retrain": (GOOD, "^"),
    "page": (OPEN, "s"),
    "wait": (INK, "o"),
    "ignore": (INK, "."),
}


def moment(at: datetime | None) -> str:
    return "–" if at is None else f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def arc(story: Story, spells: Sequence[Spell], palette: Palette) -> Drawn:
    """Everything on one time axis: who served whom, nights, rollouts, alarms, decisions."""
    since, until = story.began(), story.until
    alarms = in_alarm(story.transitions, until)
    names = sorted({name for name, _, _ in alarms})
    lanes = ["nights", "rollouts", *names, *(["decisions"] if story.reactions else [])]
    figure, (above, below) = panels([2.6, 0.7 + LANE * len(lanes)])
    _areas(above, spells, palette)
    bars = [("nights", one.started, one.ended, one.status) for one in story.nights]
    bars += [("rollouts", one.started, one.ended, one.status) for one in story.rollouts]
    bars += [(name, start, end, "ALARM") for name, start, end in alarms]
    for lane, start, end, status in bars:
        width = max((end or until) - start, SMALLEST * (until - since)) / timedelta(days=1)
        colour = ENDS.get(status, BAD)
        below.barh(lanes.index(lane), width, 0.6, left=date2num(start), color=colour, edgecolor=PAPER, lw=0.8)
    for one in story.reactions:
        colour, mark = ACTIONS[one.action]
        below.plot([date2num(one.decided_at)], [lanes.index("decisions")], mark, color=colour, ms=6)
    below.set_yticks(range(len(lanes)), [name.removeprefix(f"{story.stack}-") for name in lanes])
    below.set_ylim(len(lanes) - 0.5, -0.5)
    below.grid(visible=False, axis="y")
    time_axis(below, since, until)
    happened = (("night", story.nights), ("rollout", story.rollouts), ("alarm", alarms), ("decision", story.reactions))
    counted = ", ".join(several(len(found), what) for what, found in happened)
    return drawn(
        figure,
        "Who served, and what happened",
        "Above, the share of users that met each release. Below, when nights and rollouts ran (green: succeeded, red: failed or "
        f"taken down), when alarms rang, and what was decided. {counted}.",
        _spell_table(spells),
    )


def _areas(axes: Axes, spells: Sequence[Spell], palette: Palette) -> None:
    releases = list(dict.fromkeys(name for spell in spells for name in spell.shares))
    at = [date2num(spell.since) for spell in spells] + [date2num(spell.until) for spell in spells[-1:]]
    floor = [0.0] * len(at)
    for name in releases:
        shares = [spell.shares.get(name, 0) / 100 for spell in (*spells, *spells[-1:])]
        top = [low + share for low, share in zip(floor, shares, strict=True)]
        axes.fill_between(at, floor, top, step="post", color=palette.colour(name), lw=0, label=name)
        floor = top
    axes.set(ylim=(0, 100), ylabel="% of users")
    axes.grid(visible=False)
    if releases:
        legend_above(axes)


def _spell_table(spells: Sequence[Spell]) -> Table:
    rows = [
        [
            moment(one.since),
            moment(one.until),
            ", ".join(f"{name} {bp / 100:g} %" for name, bp in one.shares.items() if bp),
        ]
        for one in spells
    ]
    return Table(("from (UTC)", "until", "who served"), rows)


def offline(story: Story, palette: Palette) -> Drawn:
    """Held-out quality of each night's release beside the champion's of that night, with the interval of the difference."""
    made = [night for night in story.nights if night.release in story.evaluations]
    figure, axes = panels([2.4, 2.4])
    rows = []
    for place, night in enumerate(made):
        document = story.evaluations[str(night.release)]
        verdict = GOOD if document["gate"]["passed"] else BAD
        cells = [str(night.release), "passed" if document["gate"]["passed"] else "rejected"]
        for panel, (stage, name) in zip(axes, (("ranking", "ndcg_at_10"), ("recall", "recall_at_10")), strict=True):
            value = document["candidate"][stage].get(name)
            other = (document["champion"] or {}).get(stage, {}).get(name)
            _against(panel, place, value, other, document["intervals"].get(f"{stage}.{name}"), verdict)
            cells += [_figure(value), _figure(other)]
        rows.append(cells)
    for panel, title in zip(axes, ("NDCG@10 in a list", "recall@10"), strict=True):
        panel.set_ylabel(title)
        panel.set_xlim(-0.6, len(made) - 0.4)
    axes[1].set_xticks(range(len(made)), [str(night.release)[2:] for night in made], rotation=20, ha="right")
    titles = ("release", "gate", "NDCG@10", "champion's", "recall@10", "champion's")
    return drawn(
        figure,
        "Held-out quality of each night's release",
        "A dot is the release on the held-out day, green where the gate let it pass and red where it did not; the bar is its 95 % "
        "interval, and the ring the champion of that night on the same day.",
        Table(titles, rows, frozenset({2, 3, 4, 5})),
    )


def _against(axes: Axes, place: int, value: Any, other: Any, interval: Mapping[str, Any] | None, colour: str) -> None:
    if value is None:
        return
    if interval is not None and interval.get("low") is not None:
        base = other if other is not None else 0.0  # intervals are of the difference where there is a champion
        axes.plot([place, place], [base + interval["low"], base + interval["high"]], color=colour, lw=2)
    axes.plot([place], [value], "o", color=colour, ms=7)
    if other is not None:
        axes.plot([place + 0.12], [other], "o", color=INK, mfc="none", ms=7)


def verdicts(rollouts: Sequence[Rollout]) -> Drawn:
    """Relative difference of clicks with its interval, of each judged stage."""
    lines = [(one, verdict) for one in rollouts for verdict in one.verdicts]
    figure, (axes,) = panels([1.0 + 0.36 * len(lines)], timed=False)
    rows, labels = [], []
    for place, (one, verdict) in enumerate(lines):
        stage = "watch" if verdict["kind"] == "watch" else f"{verdict['kind']} {verdict['share_bp'] / 100:g} %"
        labels.append(f"{one.release[2:]}  {stage}")
        colour = {"pass": GOOD, "fail": BAD}.get(verdict["verdict"], OPEN)
        known = (verdict["evidence"].get("metrics", {}).get("clicks") or {}).get("relative_difference")
        said = "–"
        if known:
            low, high, middle = (100 * min(known[name], 2) for name in ("low", "high", "estimate"))
            axes.plot([low, high], [place, place], color=colour, lw=2.2)
            axes.plot([middle], [place], "s", color=colour, ms=6)
            said = f"{known['estimate']:+.1%} ({known['low']:+.1%} to {min(known['high'], 9.99):+.1%})"
        else:
            axes.text(0, place, "  not compared", va="center", color=colour)
        rows.append(
            [one.release, stage, verdict["verdict"], said, verdict["action"].replace("_", " "), verdict["reason"]]
        )
    axes.axvline(0, color=INK, lw=0.9)
    axes.set_yticks(range(len(lines)), labels)
    axes.set_ylim(len(lines) - 0.5, -0.5)
    axes.set_xlabel("clicks per impression, % against the champion at the same time")
    axes.grid(visible=False, axis="y")
    return drawn(
        figure,
        "Verdicts of every stage",
        "A line is a stage's final verdict: the square is the relative difference of clicks per impression between candidate and "
        "champion, the bar the interval that holds at every look. Green passed, red failed, ochre inconclusive.",
        Table(("release", "stage", "verdict", "clicks (interval)", "then", "why"), rows),
    )


def clicks(found: Sequence[Clicks], since: datetime, until: datetime, palette: Palette) -> Drawn:
    """Clicks per impression of each release over time, from live traffic."""
    figure, (axes,) = panels([2.9])
    for release in dict.fromkeys(one.release for one in found):
        mine = [one for one in found if one.release == release and one.impressions]
        rates = [100 * one.clicks / one.impressions for one in mine]
        axes.plot([date2num(one.at) for one in mine], rates, **palette.line(release))
    axes.set_ylabel("clicks per impression, %")
    axes.set_ylim(bottom=0)
    legend_above(axes)
    time_axis(axes, since, until)
    rows = [
        [
            moment(one.at),
            one.release,
            f"{one.impressions:,.0f}",
            f"{one.clicks:,.0f}",
            _rate(one.clicks, one.impressions),
        ]
        for one in found
    ]
    return drawn(
        figure,
        "Live clicks per impression",
        "What users did with each release, by the time at which it was counted. Releases that served at the same time met other "
        "users but the same hour; the verdicts compare them fairly.",
        Table(("from (UTC)", "release", "impressions", "clicks", "rate"), rows, frozenset({2, 3, 4})),
    )


def live_ndcg(found: Sequence[MonitorReport], since: datetime, until: datetime, palette: Palette) -> Drawn:
    """NDCG@10 of live lists by release, as the ranking-quality monitor measured it."""
    figure, (axes,) = panels([2.6])
    for release in dict.fromkeys(one.release for one in found):
        mine = [one for one in found if one.release == release]
        at = [date2num(one.start + (one.end - one.start) / 2) for one in mine]
        axes.plot(at, [one.ndcg for one in mine], **palette.line(release))  # type: ignore[arg-type]
    axes.set_ylabel("NDCG@10 of live lists")
    legend_above(axes)
    time_axis(axes, since, until)
    rows = [[moment(one.start), moment(one.end), one.release, _figure(one.ndcg)] for one in found]
    return drawn(
        figure,
        "Live NDCG@10",
        "Order of the lists that users saw, by what they clicked; a point is one window of the monitor.",
        Table(("from (UTC)", "until", "release", "NDCG@10"), rows, frozenset({3})),
    )


def drift(story: Story, kinds: Sequence[str]) -> Drawn:
    """Drift and schema violations by kind over time, with the time its alarm rang behind."""
    since, until = story.began(), story.until
    figure, axes = panels([1.25] * len(kinds))
    rang = in_alarm(story.transitions, until)
    for panel, kind in zip(axes, kinds, strict=True):
        mine = [one for one in story.monitors if one.kind == kind]
        at = [date2num(one.end) for one in mine]
        panel.plot(at, [one.drift for one in mine], color=BAD, marker="o", ms=4, lw=1.4, label="drift")
        panel.plot(at, [one.schema for one in mine], color=OPEN, marker="s", ms=4, lw=1.4, ls=":", label="schema")
        for name, start, end in rang:
            if name in (f"{story.stack}-drift-{kind}", f"{story.stack}-schema-{kind}"):
                width = max(end - start, timedelta(seconds=1))
                panel.axvspan(date2num(start), date2num(start + width), color=BAD, alpha=0.18, lw=0)
        panel.set_ylim(bottom=-0.2, top=max([1.0, *(max(one.drift, one.schema) for one in mine)]) * 1.2)
        panel.set_title(kind, loc="left", fontsize=9)
        panel.yaxis.set_major_locator(MaxNLocator(nbins=3, integer=True))
    axes[0].legend(frameon=False, loc="lower right", bbox_to_anchor=(1, 1), ncols=2, borderaxespad=0.2, labelcolor=INK)
    time_axis(axes[-1], since, until)
    rows = [[moment(o.start), moment(o.end), o.kind, o.release, str(o.drift), str(o.schema)] for o in story.monitors]
    return drawn(
        figure,
        "Violations by kind of monitor",
        "A point is one window: how many constraints of the release's baseline it broke. Shaded while the kind's alarm rang.",
        Table(("from (UTC)", "until", "kind", "release", "drift", "schema"), rows, frozenset({4, 5})),
    )


def _rate(part: float, whole: float) -> str:
    return f"{part / whole:.2%}" if whole else "–"


def _figure(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, int | float) else "–"
