"""What people are told about a rollout, in a line and a few facts."""

from __future__ import annotations

from dataclasses import dataclass

from understudy.contracts.rollout import NotifyEvent

MAX_SUBJECT = 100  # SNS
MAX_FACT = 400
_WORDS = {
    "started": "{release} starts to rehearse",
    "stage": "{release} is on stage {stage}",
    "verdict": "{release}: {action}",
    "ended": "{release}: {outcome}",
    "stuck": "{release}: {outcome}",
    "alarm": "{alarm}: {reason}",
}


@dataclass(frozen=True, slots=True)
class Notice:
    subject: str
    body: str


def notice(event: NotifyEvent) -> Notice:
    """A notification as text; facts as lines, each cut to a bounded length.

    Examples
    --------
    >>> event = NotifyEvent(kind="stage", release_id="r-2", rollout_id="r-2", facts={"stage": "share 1000 bp"})
    >>> notice(event).subject
    'Understudy: r-2 is on stage share 1000 bp'
    """
    facts = {key: _plain(value) for key, value in event.facts.items()}
    words = _WORDS[event.kind].format_map(_Known({"release": event.release_id, **facts}))
    lines = [f"{key}: {value}" for key, value in facts.items()]
    subject = f"Understudy: {words}".replace("\n", " ")
    return Notice(subject[:MAX_SUBJECT], "\n".join([f"Rollout {event.rollout_id}: {words}", *lines]))


class _Known(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return f"({key} not said)"


def _plain(value: object) -> str:
    text = " ".join(str(value).split())
    return "".join(letter for letter in text if letter.isprintable())[:MAX_FACT]
