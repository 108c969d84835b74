"""The training loop: sampled softmax, early stop, resume; one process or many.

Shape letters: R training rows, B rows of the global batch, N uniform negatives, I items of the catalogue, D factors.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch

from features.job import JobFailed, metric, progress
from two_tower.checkpoint import Progressed, load_checkpoint, save_checkpoint
from two_tower.data import Prepared
from two_tower.distributed import Group, add_up_gradients, as_leader_says, gather_rows, on_every_rank, sum_over_ranks
from two_tower.encoding import UNKNOWN
from two_tower.losses import distinct_candidates, log_candidate_rate, sampled_softmax
from two_tower.model import TwoTower, as_tensors
from two_tower.parameters import Parameters
from two_tower.recall import recall_metrics


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run came to: validation metrics of the epoch that was kept, and of the start."""

    epoch: int
    metrics: dict[str, float]
    start: dict[str, float]
    losses: list[float]


def run_fingerprint(prepared: Prepared, parameters: Parameters) -> str:
    """Names a run by its data and parameters: only the same run resumes from a checkpoint."""
    digest = hashlib.sha256(repr(asdict(replace(parameters, checkpoint_dir="", processes_per_host=0))).encode())
    for rows in (*prepared.users.values(), prepared.items_R, prepared.weights_R, *prepared.catalogue.values()):
        digest.update(np.ascontiguousarray(rows).data)
    return digest.hexdigest()


class Trainer:
    """One run over one prepared folder.

    Parameters
    ----------
    group : Group
        This process's place; every rank must hold the same `prepared` and the same start.
    checkpoints : Path or None
        Folder of the leading rank.
    """

    def __init__(
        self, model: TwoTower, prepared: Prepared, parameters: Parameters, group: Group, checkpoints: Path | None
    ) -> None:
        self.model, self.prepared, self.parameters, self.group = model.to(group.device), prepared, parameters, group
        self.checkpoints = checkpoints
        self.run = run_fingerprint(prepared, parameters) if checkpoints else ""
        self.users = as_tensors(prepared.users)
        self.items_R = torch.from_numpy(prepared.items_R)
        self.weights_R = torch.from_numpy(prepared.weights_R)
        self.catalogue = as_tensors(prepared.catalogue, group.device)
        rows = len(self.items_R)
        self.batch = min(parameters.batch_size, rows) // group.world * group.world
        if self.batch < group.world or not self.batch:
            raise JobFailed(f"{rows} training rows cannot be shared by {group.world} processes")
        self.steps = max(1, rows // self.batch)
        share_I = torch.bincount(self.items_R, minlength=len(prepared.catalogue_ids)).double() / rows
        self.log_q_I = log_candidate_rate(share_I, self.batch, parameters.negatives).float()
        self.dense, self.sparse = self._optimisers()
        self.progressed = Progressed()
        self.best_weights: dict[str, torch.Tensor] = {}

    def _optimisers(self) -> tuple[torch.optim.Optimizer, torch.optim.Optimizer]:
        """Adam for what every row touches; its lazy form for ids, where a step costs what its rows cost."""
        of_ids = [tower.ids.weight for tower in (self.model.user, self.model.item)]
        of_ids += [
            tower.table(column.name)
            for tower in (self.model.user, self.model.item)
            for column in tower.columns
            if column.kind == "ids"
        ]
        identities = {id(parameter) for parameter in of_ids}
        others = [parameter for parameter in self.model.parameters() if id(parameter) not in identities]
        rate, decay = self.parameters.learning_rate, self.parameters.weight_decay
        return torch.optim.AdamW(others, lr=rate, weight_decay=decay), torch.optim.SparseAdam(of_ids, lr=rate)

    def train(self) -> Outcome:
        """Run until the epochs are over or validation stops improving; the model ends as it was at its best."""
        if not self._resume():
            self.progressed.start = self.progressed.best = self.validate()
            self._keep_if_best(0)
            progress(f"start: {_told(self.progressed.start)}")
        while self.progressed.epoch < self.parameters.epochs:
            if self.progressed.epoch - self.progressed.best_epoch >= self.parameters.patience:
                progress(f"no better epoch since {self.progressed.best_epoch}: stopping early")
                break
            self._epoch(self.progressed.epoch)
        self.model.load_state_dict(self.best_weights)
        done = self.progressed
        return Outcome(done.best_epoch, done.best, done.start, done.losses)

    def _epoch(self, epoch: int) -> None:
        draw = torch.Generator().manual_seed(self.parameters.seed * 1_000_003 + epoch)
        order_R = torch.randperm(len(self.items_R), generator=draw)
        total = 0.0
        for step in range(self.steps):
            self._set_rate(epoch + step / self.steps)
            loss = self._step(order_R[step * self.batch : (step + 1) * self.batch], draw)
            if not math.isfinite(loss):
                raise JobFailed(
                    f"loss is not finite at step {step + 1} of epoch {epoch + 1}, it is {loss}: the data or "
                    f"learning_rate {self.parameters.learning_rate} is at fault"
                )
            total += loss
        self.progressed.epoch = epoch + 1
        self.progressed.losses.append(total / self.steps)
        metrics = self.validate()
        stop_metric = self.parameters.stop_metric
        wanted = self.progressed.best[stop_metric] * (1 + self.parameters.least_gain)
        # Without a teacher the start is random, and no epoch has to prove itself against luck.
        first = self.parameters.teacher == "none" and epoch == 0
        better = as_leader_says(first or metrics[stop_metric] > wanted, self.group)
        if better:
            self.progressed.best = metrics
            self._keep_if_best(epoch + 1)
        if self.group.leads:
            progress(f"epoch {epoch + 1} of {self.parameters.epochs}{', the best so far' if better else ''}")
            metric(loss=total / self.steps, **metrics)
            self._checkpoint()

    def _step(self, rows_B: torch.Tensor, draw: torch.Generator) -> float:
        """One step on one global batch; the loss is its weighted mean, the same on every rank."""
        parameters, device, group = self.parameters, self.group.device, self.group
        uniform_N = torch.randint(len(self.prepared.catalogue_ids), (parameters.negatives,), generator=draw)
        candidates_C, real_C, place_B = distinct_candidates(self.items_R[rows_B], uniform_N, group.world)
        stranger_B = torch.rand(len(rows_B), generator=draw) < parameters.id_dropout
        unnamed_C = torch.rand(len(candidates_C), generator=draw) < parameters.id_dropout
        share, own = group.share(len(rows_B)), group.share(len(candidates_C))
        users = {name: value[rows_B[share]].to(device) for name, value in self.users.items()}
        users["user_id"] = users["user_id"].masked_fill(stranger_B[share].to(device), UNKNOWN)
        items = {name: value[candidates_C[own].to(device)] for name, value in self.catalogue.items()}
        items["item_id"] = items["item_id"].masked_fill(unnamed_C[own].to(device), UNKNOWN)
        weights_B = self.weights_R[rows_B] / self.weights_R[rows_B].sum().clamp(min=1e-12)
        loss = sampled_softmax(
            self.model.user(users),
            gather_rows(self.model.item(items), group),
            place_B[share].to(device),
            self.log_q_I[candidates_C].masked_fill(~real_C, math.inf).to(device),
            weights_B[share].to(device),
        )
        self.dense.zero_grad(set_to_none=True)
        self.sparse.zero_grad(set_to_none=True)
        loss.backward()
        add_up_gradients(self.model.parameters(), self.group)
        self.dense.step()
        self.sparse.step()
        return sum_over_ranks(float(loss.detach()), self.group)

    def _set_rate(self, at: float) -> None:
        rate = self.parameters.learning_rate * 0.5 * (1 + math.cos(math.pi * at / self.parameters.epochs))
        for optimiser in (self.dense, self.sparse):
            for group in optimiser.param_groups:
                group["lr"] = max(rate, 1e-8)

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Metrics of the validation split, over every known item."""
        items_ID = self.model.item(self.catalogue)
        users = as_tensors(self.prepared.validation.users, self.group.device)

        def score(chunk: slice) -> np.ndarray:
            users_BD = self.model.user({name: value[chunk] for name, value in users.items()})
            return (users_BD @ items_ID.T).cpu().numpy()

        return recall_metrics(score, self.prepared.validation)

    def _keep_if_best(self, epoch: int) -> None:
        self.progressed.best_epoch = epoch
        self.best_weights = {name: value.detach().clone() for name, value in self.model.state_dict().items()}

    def _checkpoint(self) -> None:
        if self.checkpoints is None:
            return
        tensors = {f"best.{name}": value for name, value in self.best_weights.items()}
        tensors |= {f"model.{name}": value for name, value in self.model.state_dict().items()}
        for kind, optimiser in (("dense", self.dense), ("sparse", self.sparse)):
            for number, state in optimiser.state_dict()["state"].items():
                tensors |= {f"{kind}.{number}.{name}": torch.as_tensor(value) for name, value in state.items()}
        save_checkpoint(self.checkpoints, self.run, self.progressed, tensors)
        progress(f"checkpoint of epoch {self.progressed.epoch} kept")

    def _resume(self) -> bool:
        """Take up this very run where its last epoch ended; every rank reads what the leader kept."""
        found = load_checkpoint(self.checkpoints, self.run) if self.checkpoints else None
        if not on_every_rank(found is not None, self.group) or found is None:
            return False
        self.progressed, tensors = found
        parts: dict[str, dict[str, torch.Tensor]] = {"best": {}, "model": {}, "dense": {}, "sparse": {}}
        for name, value in tensors.items():
            part, _, rest = name.partition(".")
            parts[part][rest] = value
        self.best_weights = parts["best"]
        self.model.load_state_dict(parts["model"])
        for kind, optimiser in (("dense", self.dense), ("sparse", self.sparse)):
            states: dict[int, dict[str, torch.Tensor | int]] = {}
            for name, value in parts[kind].items():
                number, _, field = name.partition(".")
                # SparseAdam counts its steps in an int, Adam in a tensor.
                states.setdefault(int(number), {})[field] = int(value) if (kind, field) == ("sparse", "step") else value
            optimiser.load_state_dict(optimiser.state_dict() | {"state": states})
        progress(f"resumed after epoch {self.progressed.epoch}")
        return True


def _told(metrics: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.4f}" for name, value in metrics.items())
