"""A release that rehearses on a deployed stack: its functions, its rights, its queue; users meet the champion only."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cli.site import Site
from cli.stage import read_traffic
from support.deployed import deployed
from support.small_releases import approve_release, put_release
from understudy.adapters.aws_outcomes import DynamoOutcomes
from understudy.domain.shadow import shadow_sums

pytestmark = pytest.mark.timeout(180)
USERS = 12
# The rehearsal outlasts the test: what ends it, and what follows, is a rollout's affair.
PARAMETERS = {"ShadowSeconds": "600", "ShadowBp": "10000", "BakeSeconds": "4", "LookSeconds": "1", "DrainSeconds": "3"}


def eventually(look: Callable[[], Any], seconds: float = 60.0) -> Any:
    ends = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < ends, "it did not happen in time"
        time.sleep(0.2)
    return found


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder: Path = tmp_path_factory.mktemp("shadow")
    with deployed(folder, **PARAMETERS) as site:
        yield site


@pytest.fixture(scope="module")
def version(site: Site) -> int:
    """The version of traffic at which r-2 rehearses behind r-1."""
    put_release(site, "r-1", age_s=400)
    approve_release(site, "r-1")
    eventually(lambda: read_traffic(site))
    put_release(site, "r-2", age_s=300)
    approve_release(site, "r-2")
    traffic = eventually(lambda: (found := read_traffic(site)) and found["candidate"] and found)
    assert (traffic["share_bp"], traffic["shadow_bp"]) == (0, 10_000)
    time.sleep(2.1)  # recommend knows of it by then
    return int(traffic["version"])


@pytest.fixture(scope="module")
def answered(site: Site, version: int) -> list[tuple[int, str]]:
    answers = []
    for number in range(USERS):
        body = {"user_id": f"u{number}", "k": 5}
        status, said = site.signed("execute-api", "POST", f"{site.outputs['ApiUrl']}/recommend", body)
        answers.append((status, said.get("release_id", "")))
    return answers


def outcomes(site: Site, name: str, version: int) -> Any:
    reader, now = DynamoOutcomes(site.client("dynamodb"), site.outputs["OutcomesTable"]), datetime.now(UTC)
    return reader.outcomes_since([name], [version], now - timedelta(hours=1), now)[name]


def test_the_candidate_answers_copies_and_users_meet_the_champion(
    site: Site, version: int, answered: list[tuple[int, str]]
) -> None:
    assert answered == [(200, "r-1")] * USERS
    sums = eventually(lambda: (found := shadow_sums(outcomes(site, "shadow#r-2", version))).requests == USERS and found)
    assert sums.compared > 0  # on a crowded machine a first try may be late, and is an error then
    assert sums.mean_overlap is not None
    assert sums.mean_overlap > 0.5  # both releases know the same items


def test_what_the_champion_served_is_counted_under_the_version_that_assigned_it(
    site: Site, version: int, answered: list[tuple[int, str]]
) -> None:
    def served() -> int:
        return int(sum(counts.get("requests", 0) for counts in outcomes(site, "r-1", version).values()))

    eventually(lambda: served() == USERS)
    assert outcomes(site, "r-2", version) == {}


def test_a_stack_tells_its_parameters_with_the_templates_defaults(site: Site) -> None:
    assert (site.parameters["ShadowBp"], site.parameters["RolloutStages"]) == ("10000", "1000,5000,10000")
