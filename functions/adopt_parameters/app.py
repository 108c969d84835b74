"""A search is over and compared: its best parameters are tonight's if they are shown better on the holdout.

In   {search, best, release_id, prepared_uri, decided_at}   events/adopt_parameters/*.json
Out  Adoption: adopted or not, and why
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger

from understudy.adapters.aws import client
from understudy.adapters.hyperparameters import read_stored, store
from understudy.adapters.work import read_json
from understudy.contracts.tuning import AdoptEvent, Comparison
from understudy.domain.tuning import adopted_parameters, decide_adoption
from understudy.settings import AdoptParametersSettings

logger = Logger()


@dataclass(frozen=True, slots=True)
class World:
    settings: AdoptParametersSettings
    s3: Any
    ssm: Any


@cache
def world() -> World:
    return World(AdoptParametersSettings.from_env(), client("s3"), client("ssm"))


@logger.inject_lambda_context
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    w, asked = world(), AdoptEvent.model_validate(event)
    path, model = w.settings.hyperparameters_path, asked.search.model
    comparison = Comparison.model_validate(read_json(w.s3, f"{asked.search.comparison_uri}/comparison.json"))
    stored = read_stored(w.ssm, path)[model]
    adoption = decide_adoption(asked, comparison, stored)
    if adoption.adopted and stored.version == asked.search.since:
        store(w.ssm, path, adopted_parameters(asked, adoption, asked.decided_at))
    logger.info("search decided", model=model, adopted=adoption.adopted, reason=adoption.reason)
    return adoption.model_dump(mode="json")
