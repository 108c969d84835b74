from __future__ import annotations

import pytest
import torch

from features.job import JobFailed
from two_tower.checkpoint import Progressed, load_checkpoint, save_checkpoint

DONE = Progressed(epoch=2, best_epoch=1, best={"recall_at_50": 0.5}, losses=[3.0, 2.0], start={"recall_at_50": 0.1})


def test_what_was_kept_comes_back_and_only_the_last_epoch_stays(tmp_path) -> None:
    save_checkpoint(tmp_path, "run", Progressed(epoch=1), {"w": torch.zeros(2)})
    save_checkpoint(tmp_path, "run", DONE, {"w": torch.ones(2)})
    found = load_checkpoint(tmp_path, "run")
    assert found is not None
    assert found[0] == DONE
    assert found[1]["w"].tolist() == [1, 1]
    assert len(list(tmp_path.glob("*.safetensors"))) == 1


def test_a_checkpoint_of_other_data_or_parameters_is_not_resumed(tmp_path) -> None:
    save_checkpoint(tmp_path, "another run", DONE, {"w": torch.ones(2)})
    assert load_checkpoint(tmp_path, "run") is None
    assert load_checkpoint(tmp_path / "empty", "run") is None


def test_a_truncated_checkpoint_fails_with_its_name(tmp_path) -> None:
    save_checkpoint(tmp_path, "run", DONE, {"w": torch.ones(2)})
    (tmp_path / "epoch-0002.safetensors").write_bytes(b"torn")
    with pytest.raises(JobFailed, match=r"epoch-0002\.safetensors cannot be read"):
        load_checkpoint(tmp_path, "run")
