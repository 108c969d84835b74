"""How a rollout ended, and why a release cannot be started, in words that say what to do."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from cli.rollout_runs import outcome
from cli.rollout_start import Candidate, rejection, why_not
from cli.rollout_status import verdict_table
from support.releases import release

APPROVED = ["Approved", "Approved"]


@pytest.mark.parametrize(
    ("run", "words"),
    [
        ({"status": "RUNNING"}, "runs"),
        ({"status": "SUCCEEDED", "output": json.dumps({"action": "roll_out"})}, "it came to serve everybody"),
        ({"status": "SUCCEEDED", "output": json.dumps({"action": "leave", "reason": "it serves already"})}, "left alone, it serves already"),
        ({"status": "FAILED", "error": "RolledBack", "cause": "errors 8 %"}, "taken down on the judge's verdict: errors 8 %"),
        ({"status": "ABORTED", "error": "RolledBack", "cause": "a doubt"}, "taken down: a doubt"),
        ({"status": "FAILED", "error": "StageLost", "cause": "version 9"}, "lost to another change: version 9"),
        ({"status": "TIMED_OUT"}, "timed out: no reason was given"),
    ],
)  # fmt: skip
def test_a_rollout_s_end_in_words(run, words):
    assert outcome(run) == words


def candidate(status="approved", *, registry=APPROVED, traffic=None, champion=None, has_index=True, **changes):
    return Candidate(release(status=status, **changes), registry, traffic, champion, has_index)


def standing(**parts):
    return {part: {"release": name} if name else None for part, name in parts.items()}


MINE, NEWER = release().release_id, release("r-9", created_at=release().created_at + timedelta(days=1))


@pytest.mark.parametrize(
    ("wanted", "again", "words"),
    [
        (candidate(), False, None),
        (candidate(champion=release("r-0", created_at=release().created_at - timedelta(days=1))), False, None),
        (candidate("retired", status_reason="superseded by r-9"), False, "(superseded by r-9); if you want it on stage all the same, say --again"),
        (candidate("retired", registry=["Rejected", "Rejected"]), True, None),
        (candidate("retired", has_index=False), True, "understudy night makes a new release"),
        (candidate("registered"), True, "the night that makes it has not finished"),
        (candidate("pending"), True, f"understudy releases approve {MINE}"),
        (candidate("rejected", gate={"passed": False, "reasons": ["AUC fell"]}), True, "rejected (by the gate: AUC fell), which is final"),
        (candidate("rejected", status_reason="errors 8 %"), True, "rejected (errors 8 %), which is final"),
        (candidate(registry=["Approved", "Rejected"]), False, "are Approved and Rejected"),
        (candidate(champion=NEWER), False, "r-9, which serves, is newer"),
        (candidate(champion=NEWER), True, None),
        (candidate("champion", traffic=standing(champion=MINE)), True, "it serves already"),
        (candidate(traffic=standing(champion="r-0", candidate=MINE)), True, "it stands on stage"),
        (candidate("retired", traffic=standing(champion="r-9", previous=MINE)), True, "understudy rollback --reason"),
    ],
)  # fmt: skip
def test_what_stands_in_a_release_s_way_is_said_with_what_to_do(wanted, again, words):
    found = why_not(wanted, again=again)
    assert found is None if words is None else words in (found or "")


def test_a_rejection_without_a_reason_says_when_it_was():
    assert rejection(release(status="rejected")) == "after it passed the gate"


def test_verdicts_are_rows_in_the_order_of_the_stages():
    verdict = {
        "kind": "share",
        "share_bp": 1000,
        "verdict": "pass",
        "action": "next",
        "reason": "no harm",
        "evidence": {},
    }
    assert verdict_table([verdict, {**verdict, "share_bp": 5000}]).row_count == 2
