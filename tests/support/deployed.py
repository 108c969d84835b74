"""A deployed stack in a local account of its own, reached as any client would reach it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import boto3
import pytest

from cli.run_view import FINAL, RunView
from cli.site import Site
from features.lake_files import s3_client
from local_account import lifecycle
from local_account.deploy.deployment import deploy

ROOT = Path(__file__).parents[2]
# What a busy machine does to a slot's answers rings no alarm, and rolls nothing back, unless a test asks for it.
QUIET = {"HealthErrorRate": "1", "TwoTowerLatencyMicroseconds": "60000000", "RankerLatencyMicroseconds": "60000000"}


@contextmanager
def deployed(state: Path, **given: str) -> Iterator[Site]:
    """Up, deployed with the `given` parameters, and down again at the end; the environment names the account meanwhile."""
    with pytest.MonkeyPatch.context() as patch:
        endpoint = lifecycle.up(state)
        try:
            for name, value in endpoint.environment().items():
                patch.setenv(name, value)
            patch.setattr(boto3, "DEFAULT_SESSION", None)  # an earlier test's, with another account's profile
            s3_client.cache_clear()
            session = boto3.Session()
            parameters = {
                "OpenSearchUrl": f"{endpoint.url}/opensearch/items",
                "OpenSearchDomainName": "items",
                **QUIET,
                **given,
            }
            deploy(session, ROOT, "understudy", parameters, lambda _line: None)
            yield Site(session, "understudy")
        finally:
            s3_client.cache_clear()
            lifecycle.down(state)


def run_to_its_end(site: Site, arn: str) -> RunView:
    view = RunView(site, arn)
    while view.status not in FINAL:
        time.sleep(0.3)
        view.refresh()
    return view
