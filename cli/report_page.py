"""The report as one HTML page without scripts or anything to fetch: the arc first, then its parts, each with its figures in a table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import jinja2

from cli import report_plots as plots
from cli.job_costs import total
from cli.report_costs import cost_section, money
from cli.report_figures import Palette, Section, Table
from cli.report_history import Spell, spells
from cli.report_live import MONITOR_KINDS
from cli.report_plots import moment
from cli.report_story import Night, Story

TEMPLATE = "report.html.j2"
NIGHT_HINT = "understudy night starts one"


def render(story: Story) -> str:
    """The page of a story."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=jinja2.StrictUndefined
    )
    return environment.get_template(TEMPLATE).render(
        story=story,
        since=moment(story.since),
        until=moment(story.until),
        span=within(story.days),
        tiles=_tiles(story),
        sections=sections(story),
    )


def sections(story: Story) -> list[Section]:
    """The page's parts, in the order of the arc."""
    served = spells(story.history, story.since, story.until)
    named = [name for spell in served for name in spell.shares] + [one.release for one in story.clicks]
    named += [one.release for one in story.monitors] + [one.release for one in story.rollouts]
    palette = Palette(named)
    return [
        _arc(story, served, palette),
        _nights(story, palette),
        _rollouts(story),
        _live(story, palette),
        _drift(story),
        _decisions(story),
        cost_section(story),
    ]


def _tiles(story: Story) -> list[tuple[str, str]]:
    serves = story.traffic["champion"]["release"] if story.traffic else "nobody yet"
    registered = sum(night.registered for night in story.nights)
    promoted = sum(one.status == "SUCCEEDED" for one in story.rollouts)
    back = sum(bool(one.backs) for one in story.rollouts)
    retrains = sum(one.action == "retrain" for one in story.reactions)
    return [
        ("on stage", serves),
        ("nights", f"{len(story.nights)}, {registered} registered"),
        ("rollouts", f"{len(story.rollouts)}, {promoted} to everybody, {back} taken down"),
        ("alarm decisions", f"{len(story.reactions)}, {retrains} retrained"),
        ("jobs", money(total(story.jobs)) if story.jobs else "none"),
    ]


def within(days: float) -> str:
    """The time that is reported on, in words.

    Examples
    --------
    >>> within(7), within(1), within(0.25)
    ('the last 7 days', 'the last 24 hours', 'the last 6 hours')
    """
    return f"the last {days:g} days" if days > 1 else f"the last {24 * days:.3g} hours"


def _why(story: Story, part: str, nothing: str) -> str:
    """Why a section is empty: it could not be read, or there was nothing in these days."""
    return story.silent.get(part, nothing)


def _arc(story: Story, served: Sequence[Spell], palette: Palette) -> Section:
    section = Section("arc", "The arc")
    if not served and not story.nights:
        nothing = f"no night, no rollout and no traffic in {within(story.days)}; {NIGHT_HINT}"
        section.empty = _why(story, "history", nothing)
        return section
    section.plots.append(plots.arc(story, served, palette))
    if story.history.missing:
        versions = ", ".join(map(str, story.history.missing))
        section.notes.append(
            f"Not in any execution history: traffic at version {versions} (a rollback that only raised the fence, or history that AWS "
            "no longer keeps). What stood before is drawn on."
        )
    for part in ("history", "nights", "rollouts", "transitions"):
        if part in story.silent:
            section.notes.append(f"Not in the plot: {part}. {story.silent[part]}")
    return section


def _nights(story: Story, palette: Palette) -> Section:
    section = Section("nights", "Nights")
    if not story.nights:
        section.empty = _why(story, "nights", f"no night ran in {within(story.days)}; {NIGHT_HINT}")
        return section
    if any(night.release in story.evaluations for night in story.nights):
        section.plots.append(plots.offline(story, palette))
    rows = [
        [night.name, night.reason, moment(night.started), night.status.lower(), night.release or "–", _gate(night)]
        for night in story.nights
    ]
    section.tables.append(
        (
            "What each night said",
            Table(("night", "why", "started (UTC)", "end", "release", "gate, or what failed"), rows),
        )
    )
    return section


def _gate(night: Night) -> str:
    """What a person must know: why it failed or was refused; a gate that was passed is drawn above, its sentences are in the card."""
    return "passed the gate" if night.registered else "; ".join(night.said) or "–"


def _rollouts(story: Story) -> Section:
    section = Section("rollouts", "Rollouts and verdicts")
    if not story.rollouts:
        nothing = f"no release came on stage in {within(story.days)}; an approved one starts its rollout by itself"
        section.empty = _why(story, "rollouts", nothing)
        return section
    if any(one.verdicts for one in story.rollouts):
        section.plots.append(plots.verdicts(story.rollouts))
    else:
        section.notes.append("No stage was judged: a first release has nobody to be compared with.")
    rows = [
        [one.name, moment(one.started), moment(one.ended), one.status.lower(), "; ".join(one.backs) or "–"]
        for one in story.rollouts
    ]
    titles = ("rollout", "began (UTC)", "ended", "end", "taken down because")
    section.tables.append(("How each rollout ended", Table(titles, rows)))
    return section


def _live(story: Story, palette: Palette) -> Section:
    section = Section("live", "Live quality by release")
    ranked = [one for one in story.monitors if one.ndcg is not None]
    if story.clicks:
        section.plots.append(plots.clicks(story.clicks, story.began(), story.until, palette))
    else:
        section.notes.append(_why(story, "clicks", "Clicks: no feedback of users was counted in these days."))
    if ranked:
        section.plots.append(plots.live_ndcg(ranked, story.began(), story.until, palette))
    else:
        nothing = (
            "NDCG: the ranking-quality monitor reported on no window in these days; understudy monitor ranking-quality"
        )
        section.notes.append(_why(story, "monitors", nothing))
    if not section.plots:
        section.empty, section.notes = " ".join(section.notes), []
    return section


def _drift(story: Story) -> Section:
    section = Section("drift", "Drift")
    kinds = [kind for kind in MONITOR_KINDS if any(one.kind == kind for one in story.monitors)]
    if not kinds:
        nothing = "no monitor reported on a window in these days; understudy monitor runs one by hand"
        section.empty = _why(story, "monitors", nothing)
        return section
    section.plots.append(plots.drift(story, kinds))
    if quiet := [kind for kind in MONITOR_KINDS if kind not in kinds]:
        section.notes.append(f"Without a report in these days: {', '.join(quiet)}.")
    return section


def _decisions(story: Story) -> Section:
    section = Section("decisions", "Alarms and decisions")
    if not story.transitions and not story.reactions:
        nothing = f"no alarm of stack {story.stack} changed its state in {within(story.days)}"
        section.empty = _why(story, "transitions", nothing)
        return section
    decided = [
        [
            moment(one.decided_at),
            one.occasion.alarm,
            one.occasion.state,
            one.action.replace("_", " "),
            one.reason,
            one.episode_id or "–",
            one.execution or "–",
        ]
        for one in story.reactions
    ]
    titles = ("decided (UTC)", "alarm", "state", "decision", "why", "episode", "started")
    if decided:
        section.tables.append(("Decisions", Table(titles, decided)))
    else:
        section.notes.append(_why(story, "reactions", "No decision was written in these days."))
    rows = [[moment(one.at), one.alarm, f"{one.before} → {one.after}", one.reason] for one in story.transitions]
    if rows:
        section.tables.append(("Alarms", Table(("at (UTC)", "alarm", "state", "why"), rows)))
    elif "transitions" in story.silent:
        section.notes.append(story.silent["transitions"])
    return section
