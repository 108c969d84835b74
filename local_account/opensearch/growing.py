"""A numpy array that grows at its end while others read its beginning."""

from __future__ import annotations

from typing import Any

import numpy as np


class Growing:
    """Rows [0, n) never change once written, so a view of them stays valid while more are appended."""

    def __init__(self, dtype: Any, fill: Any = 0) -> None:
        self._array = np.full(1024, fill, dtype)
        self._fill = fill
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def extend(self, values: Any) -> None:
        end = self._count + len(values)
        if end > len(self._array):
            larger = np.full(max(end, len(self._array) * 3 // 2), self._fill, self._array.dtype)
            larger[: self._count] = self._array[: self._count]
            self._array = larger
        self._array[self._count : end] = values
        self._count = end

    def pad(self, count: int) -> None:
        """Rows of nothing, up to `count`: a field that came to be known after they were written."""
        if count > self._count:
            self.extend(np.full(count - self._count, self._fill, self._array.dtype))

    def view(self, count: int) -> np.ndarray:
        return self._array[:count]
