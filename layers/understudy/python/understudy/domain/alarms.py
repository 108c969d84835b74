"""Alarms by their names, which say what they are of, and as CloudWatch has them now."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

from understudy.contracts.reactions import Occasion, StateValue
from understudy.contracts.traffic import Slot

MonitorSubject = Literal["drift", "schema", "silent"]
SlotSubject = Literal["errors", "latency", "health"]
Subject = Literal[MonitorSubject, SlotSubject, "dead-letters"]
Kind = Literal["data-quality", "model-quality", "bias", "explainability", "ranking-quality"]
Endpoint = Literal["two-tower", "ranker"]
SLOT_SUBJECTS = get_args(SlotSubject)


@dataclass(frozen=True, slots=True)
class AlarmName:
    """What an alarm is of; `kind` of a monitor's, `slot` and, but for health, `endpoint` of a slot's."""

    subject: Subject
    kind: Kind | None = None
    endpoint: Endpoint | None = None
    slot: Slot | None = None

    @property
    def what(self) -> str:
        """The alarm without its slot: alike on both slots."""
        return "-".join(part for part in (self.subject, self.kind, self.endpoint) if part)


def _every_name() -> dict[str, AlarmName]:
    monitors = [AlarmName(subject, kind=kind) for subject in get_args(MonitorSubject) for kind in get_args(Kind)]
    calls = [
        AlarmName(subject, endpoint=endpoint, slot=slot)
        for subject in ("errors", "latency")
        for endpoint in get_args(Endpoint)
        for slot in get_args(Slot)
    ]
    health = [AlarmName("health", slot=slot) for slot in get_args(Slot)]
    slots = {f"{name.what}-{name.slot}": name for name in [*calls, *health]}
    return {**{name.what: name for name in [*monitors, AlarmName("dead-letters")]}, **slots}


_NAMES = _every_name()


def parse_name(stack: str, text: str) -> AlarmName | None:
    """What an alarm of the stack is of; None for any other alarm.

    Examples
    --------
    >>> parse_name("shop", "shop-drift-ranking-quality")
    AlarmName(subject='drift', kind='ranking-quality', endpoint=None, slot=None)
    >>> parse_name("shop", "shop-errors-two-tower-green").slot
    'green'
    >>> parse_name("shop", "shop-dev-drift-bias") is None
    True
    """
    return _NAMES.get(text.removeprefix(f"{stack}-")) if text.startswith(f"{stack}-") else None


@dataclass(frozen=True, slots=True)
class Alarm:
    """An alarm of ours as it is now; `since` is when it came into this state, in whole seconds."""

    text: str
    name: AlarmName
    state: StateValue
    since: datetime
    reason: str = ""

    @property
    def rings(self) -> bool:
        return self.state == "ALARM"


def occasion_of(alarm: str, state: StateValue, since: datetime) -> Occasion:
    """An occasion's time is in whole seconds: the event and the description of one transition may differ in what follows."""
    return Occasion(alarm=alarm, state=state, at=since.replace(microsecond=0))


def ringing(alarms: Iterable[Alarm], subject: Subject) -> list[str]:
    """Names of the alarms about a subject that are in ALARM."""
    return sorted(alarm.text for alarm in alarms if alarm.name.subject == subject and alarm.rings)
