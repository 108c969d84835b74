"""How long a search for counterexamples is: short in `make test`, long in `make soak` (UNDERSTUDY_SOAK=1)."""

from __future__ import annotations

import os

SOAKING = os.environ.get("UNDERSTUDY_SOAK") == "1"


def examples(usual: int, soaking: int) -> int:
    return soaking if SOAKING else usual
