"""Candidates that fail their users in real traffic: the judge takes them down, and no client sees an error.

The faults are ordered from the account for the candidate's user tower alone. `make soak` only: what must be seen takes hundreds of
requests. In `make test` the parts stand alone: the judge on such counts (unit/judge), a failed candidate answered by the
champion (unit/serving), rows from logs (contract/serving).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from benchmarks.stage_visitors import Visitors
from cli.rollout_runs import execution
from cli.site import Site
from cli.stage import read_release, read_traffic
from support.deployed import deployed
from support.small_releases import approve_release, put_release
from support.soak import SOAKING
from support.stage_kills import at_rest, wait_until
from understudy.adapters.endpoint_plan import models_of
from understudy.contracts.release import ReleaseRecord

pytestmark = [pytest.mark.timeout(1800), pytest.mark.skipif(not SOAKING, reason="make soak")]
PARAMETERS = {"RolloutStages": "5000,10000", "BakeSeconds": "900", "LookSeconds": "2", "DrainSeconds": "3"}
RATE = 15.0
# Half as slow again as the small models' whole answer on a quiet machine, which takes about 30 ms; 60 ms are that on a busy one.
FAULTS = {"5xx at 5 %": {"share": 0.05, "status": 503}, "p95 +50 %": {"share": 1.0, "delay_ms": 60}}


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Iterator[Site]:
    with deployed(tmp_path_factory.mktemp("faults"), **PARAMETERS) as site:
        put_release(site, "f-first", age_s=1000)
        approve_release(site, "f-first")
        wait_until(lambda: read_traffic(site), "the first release on stage")
        yield site


def order(site: Site, release_id: str, fault: dict[str, Any]) -> None:
    endpoint = f"{site.stack}-two-tower"
    record = ReleaseRecord.model_validate(read_release(site, release_id))
    model = models_of(record, endpoint, f"{site.stack}-ranker")[endpoint].name
    url = site.client("sagemaker").meta.endpoint_url
    status, said = site.signed(
        "sagemaker", "PUT", f"{url}/_local/faults", {"endpoint": endpoint, "model": model, **fault}
    )
    assert status == 200, said


@pytest.mark.parametrize(("number", "fault"), list(enumerate(FAULTS)), ids=list(FAULTS))
def test_a_candidate_that_fails_its_users_is_taken_down_and_no_client_sees_it(site, number, fault):
    release_id = f"f-{number}"
    with Visitors(site, RATE) as visitors:
        put_release(site, release_id)
        approve_release(site, release_id)
        wait_until(lambda: (read_traffic(site)["candidate"] or {}).get("release") == release_id, "a candidate")
        order(site, release_id, FAULTS[fault])
        ended = wait_until(lambda: _ended(site, release_id), "the judge's verdict", patience_s=900, pause_s=1.0)
        at_rest(site)
    assert ended["error"] == "RolledBack"
    assert ("latency" if "p95" in fault else "error") in ended["cause"]
    assert read_release(site, release_id)["status"] == "rejected"
    assert {answer.status for answer in visitors.answers} == {200}


def _ended(site: Site, release_id: str) -> dict[str, Any] | None:
    found = execution(site, release_id)
    return found if found is not None and found["status"] != "RUNNING" else None
