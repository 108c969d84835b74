"""The judge: candidate against champion at the same time, by user buckets (DESIGN §7).

`fail` needs harm shown by an e-process at its part of the false-rollback budget and larger than tolerated. `pass` needs the minimum
sample and no harm shown; to all users also that the loss of clicks is shown to be less than delta. All else is `inconclusive`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from understudy.domain.judge import metrics
from understudy.domain.judge.finding import Finding
from understudy.domain.judge.item_coverage import coverage
from understudy.domain.judge.policy import JudgePolicy
from understudy.domain.judge.shapes import StageEvidence, StageWindow, Verdict

METRICS = (metrics.errors, metrics.latency, metrics.clicks, metrics.sample_ratio, coverage)


def judge(evidence: StageEvidence, policy: JudgePolicy) -> Verdict:
    """Decide on what is known now; may be asked after every event without spending anything.

    Parameters
    ----------
    evidence : StageEvidence
        All windows of the rollout so far. A window may be empty; then nothing can pass.
    policy : JudgePolicy
        What is tolerated, and the budgets.

    Returns
    -------
    Verdict
        With every number that led to it, as JSON-ready values.

    Raises
    ------
    BadEvidence
        Counts that cannot be are refused when the evidence is made.

    References
    ----------
    Of each metric beside its code: `evalues`, `clusters`, `latency`, `clicks`, `sample_ratio`. Choices and error rates by
    simulation: docs/decisions/judge.md.
    """
    findings = [metric(evidence.windows, policy) for metric in METRICS]
    missing, together = _missing(evidence, policy), _bad_together(evidence.windows[-1], policy)
    numbers = _evidence(evidence, policy, findings, missing) | {"no_blame": bool(together)}
    shown = [finding.sentence for finding in findings if finding.shown]
    if shown:
        return Verdict("fail", tuple(shown), numbers)
    waits = missing + together
    if evidence.is_last_gate and not waits:
        waits = _not_yet_non_inferior(findings, policy)
    if waits:
        return Verdict("inconclusive", tuple(waits), numbers)
    reason = "no harm is shown" if not evidence.is_last_gate else f"a loss of clicks is less than {policy.delta:.0%}"
    return Verdict("pass", (f"the sample is large enough, the guardrails hold and {reason}",), numbers)


def _missing(evidence: StageEvidence, policy: JudgePolicy) -> list[str]:
    """What the minimum sample lacks, a sentence each."""
    window, lacks = evidence.windows[-1], []
    for name, arm in (("candidate", window.candidate), ("champion", window.champion)):
        requests, active = arm.totals["requests"], sum(1 for each in arm.buckets if each.requests)
        if requests < policy.min_requests:
            lacks.append(f"the {name} has {requests} of {policy.min_requests} requests")
        if active < policy.min_buckets:
            lacks.append(f"the {name} has requests of {active} of {policy.min_buckets} user buckets")
        seen = sum(
            (each.candidate if name == "candidate" else each.champion).totals["clicks"] for each in evidence.windows
        )
        if evidence.is_last_gate and seen < policy.min_clicks:
            lacks.append(f"the {name} has {seen} of {policy.min_clicks} clicks")
    return lacks


def _bad_together(window: StageWindow, policy: JudgePolicy) -> list[str]:
    """Both arms fail alike: no blame to the candidate, and no promotion either."""
    totals = [arm.totals for arm in (window.candidate, window.champion)]
    rates = [each["errors"] / each["requests"] for each in totals if each["requests"]]
    if not rates or max(rates) <= policy.max_error_rate:
        return []
    said = " and ".join(f"{value:.1%}" for value in rates)
    return [f"errors are {said} on candidate and champion: nothing is promoted above {policy.max_error_rate:.1%}"]


def _not_yet_non_inferior(findings: Sequence[Finding], policy: JudgePolicy) -> list[str]:
    interval = next(finding.numbers["relative_difference"] for finding in findings if finding.metric == "clicks")
    if interval is None:
        return ["nothing is known of clicks yet"]
    if interval["low"] > -policy.delta:
        return []
    return [f"a loss of clicks of {-interval['low']:.1%} is still possible; less than {policy.delta:.1%} must be shown"]


def _evidence(
    evidence: StageEvidence, policy: JudgePolicy, findings: Sequence[Finding], missing: Sequence[str]
) -> dict[str, Any]:
    return {
        "share_bp": evidence.windows[-1].share_bp,
        "is_last_gate": evidence.is_last_gate,
        "elapsed_s": evidence.elapsed_s,
        "extended": evidence.extended,
        "policy": policy.to_json(),
        "missing": list(missing),
        "windows": [_window(window) for window in evidence.windows],
        "metrics": {finding.metric: {"shown": finding.shown, **finding.numbers} for finding in findings},
    }


def _window(window: StageWindow) -> dict[str, Any]:
    return {
        "share_bp": window.share_bp,
        **{
            name: {**arm.totals, "buckets": sum(1 for each in arm.buckets if each.requests)}
            for name, arm in (("candidate", window.candidate), ("champion", window.champion))
        },
    }
