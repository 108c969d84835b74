"""Every test with `engine` runs on the embedded engine and, with OPENSEARCH_URL, on a real one."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from local_account.opensearch.service import OpenSearchService
from tests.support.search_engine import Engine, serve
from tests.support.small_account import SmallAccount


@pytest.fixture(scope="module")
def embedded_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    service = OpenSearchService(SmallAccount(tmp_path_factory.mktemp("opensearch")))
    service.start()
    server = serve(service)
    yield f"http://127.0.0.1:{server.server_address[1]}/opensearch/items"
    server.shutdown()
    server.server_close()
    service.stop()


@pytest.fixture(params=["embedded", pytest.param("real", marks=pytest.mark.engine)])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    if request.param == "real" and "OPENSEARCH_URL" not in os.environ:
        pytest.skip("OPENSEARCH_URL names no engine")
    url = os.environ["OPENSEARCH_URL"] if request.param == "real" else request.getfixturevalue("embedded_url")
    made = Engine(url)
    yield made
    made.close()
