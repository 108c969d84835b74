"""When alarms are evaluated: every minute, those with periods below one every ten seconds, on the account's clock."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from local_account.clock import Clock
from local_account.cloudwatch.alarms import Alarms
from local_account.cloudwatch.datapoints import Metric, percent_of
from local_account.cloudwatch.evaluation import evaluate, horizon_s
from local_account.cloudwatch.metric_store import MetricStore

_log = logging.getLogger(__name__)

_STEP_S = 10
_SETTLE_S = 2.5  # what endpoints and functions count is stored within two seconds
_LONGEST_JUMP_S = 86_400  # a clock moved further is followed over its last day


class Evaluator:
    """Evaluates at every instant, also at each of those that a moved clock has passed; none while the account was down."""

    def __init__(self, clock: Clock, alarms: Alarms, store: MetricStore, each_minute: Callable[[], None]) -> None:
        self._clock, self._alarms, self._store, self._each_minute = clock, alarms, store, each_minute
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="alarms", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(5)

    def look(self, instant: float) -> None:
        """Evaluate what is due at an instant, a multiple of ten seconds."""
        due = [(alarm, state) for alarm, state in self._alarms.all() if instant % alarm.step_s == 0]
        if not due:
            return
        wanted: dict[Metric, bool] = {}
        for alarm, _ in self._alarms.all():  # all, so that the store need not look anew for some of them each minute
            for query in alarm.queries:
                if query.metric is not None:
                    percentile = percent_of(query.statistic) is not None
                    wanted[query.metric] = percentile or wanted.get(query.metric, False)
        since = instant - max(horizon_s(alarm) for alarm, _ in self._alarms.all())
        found = self._store.read(wanted, since)
        for alarm, state in due:
            datapoints = {query.id: found[query.metric] for query in alarm.queries if query.metric in found}
            outcome = evaluate(datapoints, alarm, instant, state)
            self._alarms.change(alarm.name, outcome.state, outcome.reason, outcome.reason_data, instant + _SETTLE_S)

    def _run(self) -> None:
        instant = self._clock.epoch() // _STEP_S * _STEP_S
        while True:
            instant = max(instant + _STEP_S, (self._clock.epoch() - _LONGEST_JUMP_S) // _STEP_S * _STEP_S)
            if not self._clock.sleep_until(instant + _SETTLE_S, self._stopping):
                return
            try:
                if instant % 60 == 0:
                    self._each_minute()
                self.look(instant)
            except Exception:  # noqa: BLE001 - one minute that failed must not end all alarms
                _log.exception("the alarms were not evaluated at %s", instant)
