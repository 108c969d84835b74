"""Which processes a job becomes, by what SageMaker tells it."""

from __future__ import annotations

import sys

import pytest

from features.job import JobFailed
from two_tower.ranks import Ranks, plan_ranks

TWO = {"SM_HOSTS": '["algo-2", "algo-1"]', "SM_CURRENT_HOST": "algo-2"}


@pytest.mark.parametrize(
    ("asked", "environ", "planned"),
    [
        pytest.param(0, {}, None, id="nothing said: this process"),
        pytest.param(0, {"SM_HOSTS": '["algo-1"]', "SM_NUM_GPUS": "1"}, None, id="one GPU: this process"),
        pytest.param(0, {"SM_NUM_GPUS": "0"}, None, id="no GPU: this process"),
        pytest.param(1, {"SM_NUM_GPUS": "8"}, None, id="the parameter wins over the GPUs"),
        pytest.param(0, {"SM_NUM_GPUS": "4"}, Ranks(4, 1, 0, "algo-1", 7777), id="a rank for each GPU"),
        pytest.param(2, {}, Ranks(2, 1, 0, "algo-1", 7777), id="as many as asked"),
        pytest.param(0, TWO, Ranks(1, 2, 1, "algo-1", 7777), id="two hosts, this is the second"),
        pytest.param(
            0,
            TWO | {"SM_NUM_GPUS": "4", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1234"},
            Ranks(4, 2, 1, "127.0.0.1", 1234),
            id="the meeting place that was given",
        ),
        pytest.param(2, TWO | {"LOCAL_RANK": "0"}, None, id="a rank starts no ranks"),
    ],
)
def test_the_ranks_of_a_job(asked: int, environ: dict[str, str], planned: Ranks | None) -> None:
    assert plan_ranks(asked, environ) == planned


def test_a_host_that_is_none_of_the_hosts_is_told() -> None:
    with pytest.raises(JobFailed, match="SM_CURRENT_HOST is 'algo-9', which is none of algo-1, algo-2"):
        plan_ranks(0, TWO | {"SM_CURRENT_HOST": "algo-9"})


def test_torchrun_is_told_the_meeting_place_of_several_hosts_only() -> None:
    python = [sys.executable, "-m", "torch.distributed.run"]
    assert Ranks(2, 1, 0, "algo-1", 7777).launcher() == [*python, "--nproc-per-node=2", "--standalone"]
    meeting = ["--nnodes=3", "--node-rank=1", "--master-addr=algo-1", "--master-port=7777"]
    assert Ranks(4, 3, 1, "algo-1", 7777).launcher() == [*python, "--nproc-per-node=4", *meeting]
