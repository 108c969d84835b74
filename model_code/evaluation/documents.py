"""Figures as JSON has them."""

from __future__ import annotations

import math
from typing import Any


def nulled(value: Any) -> Any:
    """The same document; a figure that is not defined is null, as JSON has no NaN.

    Examples
    --------
    >>> nulled({"auc": float("nan"), "of": [0.5]})
    {'auc': None, 'of': [0.5]}
    """
    if isinstance(value, dict):
        return {name: nulled(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [nulled(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
