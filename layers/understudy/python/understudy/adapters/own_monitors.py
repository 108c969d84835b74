"""Our own monitors as a `MonitorBackend`: processing jobs on template.yaml's schedules."""

from __future__ import annotations

from collections.abc import Collection
from typing import get_args

from understudy.contracts.monitor import Kind
from understudy.errors import InvalidInput

FILES = ("statistics.json", "constraints.json")


class OwnMonitors:
    """Every run reads who is on stage, so nothing is made for a release; it must bring what each kind compares with."""

    def watch(self, release_id: str, baseline_s3: str, baseline_files: Collection[str]) -> None:
        wanted = [f"{kind}/{name}" for kind in get_args(Kind) for name in FILES]
        if missing := [path for path in wanted if path not in baseline_files]:
            raise InvalidInput(
                f"the baseline of {release_id} at {baseline_s3} lacks {', '.join(missing)}",
                "statistics and constraints of every kind of monitor",
            )
