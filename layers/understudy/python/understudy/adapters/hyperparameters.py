"""What searches found, in Parameter Store: one JSON document a model, `<path>/<model>`."""

from __future__ import annotations

from typing import Any, cast

from aws_lambda_powertools import Logger
from pydantic import ValidationError

from understudy.contracts.tuning import BothModels, Model, TunedParameters
from understudy.domain.tuning import Stored

logger = Logger()


def read_stored(ssm: Any, path: str) -> dict[Model, Stored]:
    """Every model's, also where there is none. One that cannot be read counts as none, and the log says so: a night goes on."""
    found: dict[Model, Stored] = {model: Stored() for model in BothModels}
    answer = ssm.get_parameters(Names=[f"{path}/{model}" for model in BothModels])
    for row in answer["Parameters"]:
        model = cast("Model", row["Name"].rsplit("/", 1)[1])
        try:
            tuned = TunedParameters.model_validate_json(row["Value"])
        except ValidationError as error:
            logger.error("tuned parameters cannot be read", parameter=row["Name"], why=str(error))
            tuned = None
        found[model] = Stored(int(row["Version"]), tuned)
    return found


def store(ssm: Any, path: str, tuned: TunedParameters) -> int:
    """Write a model's document; its new version."""
    name = f"{path}/{tuned.model}"
    answer = ssm.put_parameter(Name=name, Value=tuned.model_dump_json(), Type="String", Overwrite=True)
    return int(answer["Version"])
