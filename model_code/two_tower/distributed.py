"""One batch over many processes: what `torchrun` starts behaves as one process with the whole batch.

Every rank draws the same batch, takes every world-th part of it, gathers the others' item vectors (with their
gradient), and adds up the gradients. Sums, not means: the loss is a sum over the global batch on every rank.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import nn


@dataclass(frozen=True, slots=True)
class Group:
    """This process's place among the ranks; a group of one needs no network."""

    rank: int = 0
    world: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def leads(self) -> bool:
        return self.rank == 0

    def share(self, batch: int) -> slice:
        """The rows of a global batch that are this rank's; `batch` is a multiple of `world`."""
        size = batch // self.world
        return slice(self.rank * size, (self.rank + 1) * size)


def join(environ: Mapping[str, str] = os.environ) -> Group:
    """Join the ranks that torchrun announced (RANK, WORLD_SIZE, LOCAL_RANK); NCCL with a GPU each, else gloo."""
    world = int(environ.get("WORLD_SIZE", "1"))
    cuda = torch.cuda.is_available()
    device = torch.device("cuda", int(environ.get("LOCAL_RANK", "0"))) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(device)
    if world == 1:
        return Group(device=device)
    dist.init_process_group("nccl" if cuda else "gloo", timeout=timedelta(minutes=30))
    return Group(dist.get_rank(), world, device)


def leave(group: Group) -> None:
    if group.world > 1:
        dist.destroy_process_group()


class _Gather(torch.autograd.Function):
    """Rows of all ranks, in rank order; backwards, every rank's share of the summed gradient."""

    @staticmethod
    def forward(ctx: Any, rows: torch.Tensor, group: Group) -> torch.Tensor:
        ctx.group, ctx.size = group, len(rows)
        parts = [torch.empty_like(rows) for _ in range(group.world)]
        dist.all_gather(parts, rows.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        total = gradients[0].contiguous()
        dist.all_reduce(total)
        start = ctx.group.rank * ctx.size
        return total[start : start + ctx.size], None


def gather_rows(rows: torch.Tensor, group: Group) -> torch.Tensor:
    """Concatenate equally many rows of every rank, keeping the gradient."""
    return _Gather.apply(rows, group) if group.world > 1 else rows


def add_up_gradients(parameters: Iterable[nn.Parameter], group: Group) -> None:
    """Replace every gradient by its sum over the ranks; sparse ones travel as rows, not as whole tables."""
    if group.world == 1:
        return
    for parameter in parameters:
        gradient = parameter.grad
        if gradient is None:
            continue
        if not gradient.is_sparse:
            dist.all_reduce(gradient)
            continue
        # As many look-ups on every rank, so uncoalesced rows have equal shapes.
        rows, values = gradient._indices().contiguous(), gradient._values().contiguous()
        all_rows = [torch.empty_like(rows) for _ in range(group.world)]
        all_values = [torch.empty_like(values) for _ in range(group.world)]
        dist.all_gather(all_rows, rows)
        dist.all_gather(all_values, values)
        parameter.grad = torch.sparse_coo_tensor(torch.cat(all_rows, 1), torch.cat(all_values), gradient.shape)


def sum_over_ranks(value: float, group: Group) -> float:
    if group.world == 1:
        return value
    total = torch.tensor(value, dtype=torch.float64 if group.device.type == "cpu" else torch.float32).to(group.device)
    dist.all_reduce(total)
    return float(total)


def follow_leader(model: nn.Module, group: Group) -> None:
    """Every rank takes rank 0's weights."""
    if group.world > 1:
        for tensor in model.state_dict().values():
            dist.broadcast(tensor, src=0)


def as_leader_says(flag: bool, group: Group) -> bool:
    """Rank 0's answer, on every rank: a decision that float noise could split would leave some waiting for ever."""
    return sum_over_ranks(float(flag and group.leads), group) > 0


def on_every_rank(flag: bool, group: Group) -> bool:
    return sum_over_ranks(float(flag), group) == group.world
