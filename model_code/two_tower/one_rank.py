"""What each rank of the training job does: read, start as the leader did, train; the leader exports."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from features.job import metric, progress
from features.manifest import read_manifest
from two_tower.data import Prepared, read_prepared
from two_tower.distributed import Group, follow_leader, join, leave
from two_tower.export import export_model
from two_tower.model import TwoTower
from two_tower.parameters import Folders, Parameters
from two_tower.recall import baselines
from two_tower.search import search_recipe
from two_tower.start import start_from_vectors, start_random, start_warm
from two_tower.teacher import Recipe, teach
from two_tower.threads import threads_for
from two_tower.training import Outcome, Trainer
from two_tower.warm import WarmIds, read_warm


def train_rank(parameters: Parameters, folders: Folders) -> str:
    """Join the other ranks, if there are any, and train; the sentence says what was kept."""
    torch.use_deterministic_algorithms(True, warn_only=True)
    group = join()
    try:
        return _train(parameters, folders, group)
    finally:
        leave(group)


def _train(parameters: Parameters, folders: Folders, group: Group) -> str:
    read_manifest(folders.prepared, "prepare_data")
    prepared = read_prepared(folders.prepared)
    vocabulary = prepared.vocabulary
    threads = threads_for(len(vocabulary.users) * len(vocabulary.items))
    torch.set_num_threads(threads)
    with threadpool_limits(threads):
        return _train_on(prepared, parameters, folders, group)


def _train_on(prepared: Prepared, parameters: Parameters, folders: Folders, group: Group) -> str:
    vocabulary = prepared.vocabulary
    if group.leads:
        progress(
            f"{len(prepared.items_R)} positives of {len(vocabulary.users)} users and {len(vocabulary.items)} items; "
            f"{len(prepared.catalogue_ids)} items in the catalogue, {len(prepared.validation.relevant)} users to validate"
        )
    warm = read_warm(folders.warm) if folders.warm else None
    model = TwoTower(vocabulary)
    if group.leads:
        _start(model, prepared, parameters, warm)
    follow_leader(model, group)
    outcome = Trainer(model, prepared, parameters, group, folders.checkpoints).train()
    if not group.leads:
        return f"rank {group.rank} done"
    metrics = _metrics(prepared, parameters, outcome, warm)
    manifest = export_model(model, vocabulary, folders.model, metrics, asdict(parameters))
    metric(**outcome.metrics)
    kept = f"epoch {outcome.epoch}" if outcome.epoch else "the start"
    return f"tower {manifest['tower_id'][:12]} of {kept}: recall@50 {outcome.metrics['recall_at_50']:.4f}"


def _start(model: TwoTower, prepared: Prepared, parameters: Parameters, warm: WarmIds | None) -> None:
    start_random(model, parameters.init_scale, parameters.seed)
    if parameters.teacher != "none":
        recipe = Recipe()
        if prepared.positives_UI.nnz <= parameters.search_pairs:
            recipe = search_recipe(prepared, recipe, parameters.stop_metric, parameters.seed, progress)
        users_UD, items_ID = teach(prepared, parameters.teacher, recipe, parameters.seed, warm, progress)
        start_from_vectors(model, prepared, users_UD, items_ID)
    elif warm is not None:
        taken = start_warm(model, prepared, warm)
        progress(f"{taken} ids start from tower {warm.tower_id[:12]}")


def _metrics(prepared: Prepared, parameters: Parameters, outcome: Outcome, warm: WarmIds | None) -> dict[str, object]:
    counts_I = np.bincount(prepared.items_R, minlength=len(prepared.catalogue_ids))
    return {
        **outcome.metrics,
        "epoch": outcome.epoch,
        "losses": outcome.losses,
        "start": outcome.start,
        "baselines": baselines(counts_I, prepared.validation, parameters.seed),
        "validation_users": len(prepared.validation.relevant),
        "warm_tower_id": warm.tower_id if warm else None,
    }
