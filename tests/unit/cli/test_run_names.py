"""Names of runs: what AWS accepts, in the order of time, and unlike the one before."""

from __future__ import annotations

import re

import pytest

from cli.run_names import run_name

RUN_ID = re.compile(r"^[A-Za-z0-9-]{1,44}$")


@pytest.mark.parametrize("kind", ["night", "tune", "score", "hand"])
def test_a_run_s_name_passes_every_door_it_goes_through(kind: str) -> None:
    assert RUN_ID.match(run_name(kind))
    assert run_name(kind).startswith(f"{kind}-")


def test_two_runs_of_one_second_are_two() -> None:
    """A night that failed at once is started again within its second."""
    assert run_name("night") != run_name("night")
