"""News of jobs: a task that waits for one looks again as soon as something changed, not at its next poll.

AWS does the same with a rule of its own, `StepFunctionsGetEventsForSageMaker...Rule`.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from local_account.step_functions.frames import Cancellation

SOURCES = ("aws.sagemaker", "aws.states")


class News:
    """A number that grows with every event of the services whose jobs tasks wait for."""

    def __init__(self) -> None:
        self.number = 0
        self._changed = threading.Condition()

    def hear(self, event: Mapping[str, Any]) -> None:
        """An event of the default bus."""
        if event.get("source") in SOURCES:
            with self._changed:
                self.number += 1
                self._changed.notify_all()

    def wait(self, since: int, seconds: float, cancellation: Cancellation) -> None:
        """Until there is news since `since`, at most so long; raises Interrupted if the branch ends meanwhile."""
        with self._changed:
            self._changed.wait_for(lambda: self.number != since, seconds)
        cancellation.check()
