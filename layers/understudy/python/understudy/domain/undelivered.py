"""What a dead-letter queue holds: an event as its rule would have delivered it, or what Lambda says of one that failed."""

from __future__ import annotations

import json
from typing import Any

from understudy.contracts.reactions import AlarmStateChange


def alarm_event(body: str) -> dict[str, Any] | None:
    """The alarm's event in a message of the queue; None for any other message, poison included.

    EventBridge leaves the event itself; a function's failed invocation leaves an envelope with `requestPayload`.

    Examples
    --------
    >>> alarm_event('{"source": "aws.s3"}') is None
    True
    """
    try:
        held = json.loads(body)
        event = held.get("requestPayload", held)
        AlarmStateChange.model_validate(event)
    except (ValueError, AttributeError):
        return None
    return dict(event)
