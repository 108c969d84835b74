"""Share of the lost NDCG that the loop regains by itself after a shift of taste: monitors, alarm, one retraining, rollout.

The demo's fourth act on a local account of its own: the first night's release serves simulated people, what was popular is no more,
a week goes by, and nobody tells the system. NDCG@10 is of the lists that were shown, gains being the people's true likings, the
ideal the best of all live items; before the change, after it, and of the release that the alarm led to. About five minutes.
"""

from __future__ import annotations

import os
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest import mock

from cli.account_commands import start_and_deploy
from cli.demo_acts import Drama, add_a_day, first_night, full_house, prepare_data
from cli.demo_drift import lose_and_regain
from cli.site import connect
from local_account import lifecycle

GOAL = 0.9
RPS, BEFORE_S = 15.0, 30.0


def measure() -> dict[str, Any]:
    """One shift, healed or not; `Problem` is raised where the loop stands still."""
    with tempfile.TemporaryDirectory() as scratch, mock.patch.dict(os.environ):
        state = Path(scratch) / "account"
        start_and_deploy("understudy", state)
        try:
            return _heal(Drama(connect("understudy", state), RPS, time.monotonic()), Path(scratch))
        finally:
            lifecycle.down(state)


def _heal(drama: Drama, scratch: Path) -> dict[str, Any]:
    prepare_data(drama)
    first_night(drama)
    for _ in range(2):  # as in the demo, where two acts come first: the world's days reach up to today
        add_a_day(drama)
    with drama.users(scratch / "traffic.jsonl"):
        drama.serves_since = datetime.now(UTC), time.monotonic()
        with full_house(drama):
            time.sleep(BEFORE_S)
        share = lose_and_regain(drama)
    errors = drama.tally.client_errors if drama.tally else None
    return {
        "value": round(share, 3),
        "unit": "share",
        "peer": None,
        "ratio": None,
        "goal": GOAL,
        "holds": share >= GOAL and errors == 0,
        "client_errors": errors,
        "seconds": round(time.monotonic() - drama.began),
        "moments": [(round(at), what) for at, what in drama.happened],
    }
