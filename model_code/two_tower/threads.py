"""How many cores this process may use: a container's share, not the machine's count."""

from __future__ import annotations

import os


def available_cores() -> int:
    """Cores this process may run on, at least 1; `OMP_NUM_THREADS` (torchrun sets it) caps it."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    cap = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, min(allowed, int(cap))) if cap.isdigit() and int(cap) else allowed


SMALL_CELLS = 8_000_000


def threads_for(cells: int) -> int:
    """Threads for matrix work on a user × item problem of so many cells.

    One where it is small: its steps are fractions of a millisecond, threads gain little, and on a machine that others use
    (the ranker trains at the same time) each step waits for the slower one. A loaded laptop made 15 s into 500 s.
    """
    return 1 if cells <= SMALL_CELLS else available_cores()
