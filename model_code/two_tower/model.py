"""The two towers: an id's own vector plus what its features say; their dot product is the score.

Shape letters: B rows, L list length, F features, D factors, H hidden units.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from two_tower.encoding import TowerColumn, Vocabulary

DIMENSION = 64  # what the index is built for
HIDDEN = 64
Inputs = Mapping[str, torch.Tensor]


class Tower(nn.Module):
    """vector = id row + Σ feature rows + a small network over the feature rows.

    An id that was never met takes row 0, the common start of strangers, so its vector is what its features say. A list
    of ids counts as (1/√n) Σ of its n known rows. The network starts at zero: the tower starts as a sum.

    Parameters
    ----------
    key : str
        Name of the id input, ``user_id`` or ``item_id``.
    id_rows : int
        Rows of the id table, the unknown row included.
    columns : sequence of (TowerColumn, rows of its table)
    """

    def __init__(self, key: str, id_rows: int, columns: list[tuple[TowerColumn, int]]) -> None:
        super().__init__()
        self.key = key
        self.columns = [column for column, _ in columns]
        self.ids = nn.Embedding(id_rows, DIMENSION, sparse=True)
        self.tables = nn.ModuleDict(
            {column.name: nn.Embedding(rows, DIMENSION, sparse=column.kind == "ids") for column, rows in columns}
        )
        self.hidden = nn.Linear(len(columns) * DIMENSION, HIDDEN)
        self.out = nn.Linear(HIDDEN, DIMENSION)

    def table(self, name: str) -> torch.Tensor:
        """A feature's rows, shape (values + 1, D)."""
        return self.tables.get_parameter(f"{name}.weight")

    def reset(self, scale: float) -> None:
        """Small random id and feature rows, nothing for unknown values, and a network that says nothing yet."""
        for rows in (self.ids.weight, *(self.table(column.name) for column in self.columns)):
            nn.init.normal_(rows, std=scale)
            with torch.no_grad():
                rows[0] = 0
        self.hidden.reset_parameters()
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def features(self, inputs: Inputs) -> torch.Tensor:
        """What the features alone say; shape (B, D)."""
        parts = [self._part(column, inputs[column.name]) for column in self.columns]
        joined = torch.cat(parts, dim=1)
        return torch.stack(parts).sum(0) + self.out(torch.relu(self.hidden(joined)))

    def forward(self, inputs: Inputs) -> torch.Tensor:
        """Vectors of shape (B, D)."""
        return self.ids(inputs[self.key]) + self.features(inputs)

    def _part(self, column: TowerColumn, rows: torch.Tensor) -> torch.Tensor:
        vectors = self.tables[column.name](rows)
        if column.kind != "ids":
            return vectors
        known = (rows > 0).unsqueeze(-1).to(vectors.dtype)
        return (vectors * known).sum(1) / known.sum(1).clamp(min=1).sqrt()


class TwoTower(nn.Module):
    """User tower and item tower of one vocabulary."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        super().__init__()
        items = vocabulary.items
        self.user = Tower("user_id", vocabulary.users.rows, [(c, c.table_rows(items)) for c in vocabulary.user_columns])
        self.item = Tower("item_id", items.rows, [(c, c.table_rows(items)) for c in vocabulary.item_columns])


def as_tensors(encoded: Mapping[str, Any], device: torch.device | None = None) -> dict[str, torch.Tensor]:
    """Encoded arrays as tensors on the device."""
    return {name: torch.as_tensor(rows, device=device) for name, rows in encoded.items()}
