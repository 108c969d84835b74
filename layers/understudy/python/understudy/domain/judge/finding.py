"""What one metric finds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Finding:
    """`shown`: the fault is shown and its size beyond what is tolerated. `sentence` says it for people."""

    metric: str
    shown: bool
    sentence: str
    numbers: dict[str, Any] = field(default_factory=dict)
