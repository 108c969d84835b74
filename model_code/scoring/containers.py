"""Both models of a release in one process, each by the code in its own archive, asked as their endpoints are."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from understudy.domain.recommendation import RankerAnswer, TowerAnswer
from understudy.errors import StepFailed

if TYPE_CHECKING:
    from understudy.contracts.traffic import Slot


class Container:
    """One model folder: SageMaker's four functions of its `code/inference.py`."""

    def __init__(self, folder: Path) -> None:
        self.name = folder.name
        spec = importlib.util.spec_from_file_location(f"{folder.name}_inference", folder / "code" / "inference.py")
        if spec is None or spec.loader is None:
            raise ImportError(f"{folder} holds no code/inference.py")
        sys.path.insert(0, str(folder / "code"))  # its packages; pack_release saw to it that they hide nobody else's
        self._module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = self._module
        spec.loader.exec_module(self._module)
        self._model = self._module.model_fn(str(folder))

    def answer(self, body: bytes, content_type: str) -> dict[str, Any]:
        """What the endpoint would answer; its refusal (400 there) is the container's own ValueError."""
        data = self._module.input_fn(body, content_type)
        answer = self._module.output_fn(self._module.predict_fn(data, self._model), "application/json")
        document: dict[str, Any] = json.loads(answer[0] if isinstance(answer, tuple) else answer)
        return document


class ReleaseModels:
    """`Models` of `domain.recommendation`, without a wire: what a container refuses costs one step, as it does live."""

    def __init__(self, folder: Path) -> None:
        self._tower, self._ranker = Container(folder / "two_tower"), Container(folder / "ranker")

    def user_vector(self, user: Mapping[str, Any], slot: Slot, request_id: str, timeout_s: float) -> TowerAnswer:
        try:
            answer = self._tower.answer(json.dumps({"users": [user]}).encode(), "application/json")
        except ValueError as error:
            raise StepFailed("user_tower", str(error)) from None
        return TowerAnswer(str(answer["tower_id"]), answer["vectors"][0])

    def scores(self, rows: str, slot: Slot, request_id: str, timeout_s: float) -> RankerAnswer:
        try:
            answer = self._ranker.answer(rows.encode(), "text/csv")
        except ValueError as error:
            raise StepFailed("ranker", str(error)) from None
        return RankerAnswer(str(answer["ranker_id"]), answer["scores"])
