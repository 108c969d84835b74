"""Faults of a release's models, ordered at the local account (`local_account/sagemaker/faults.py`); AWS has no such switch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cli.site import Problem, Site

ROUTE = "/_local/faults"
PARTS = ("ranker", "two-tower")
SLOW_MS, ERROR_SHARE, ERROR_STATUS = 80.0, 0.05, 500
MODEL_KINDS = ("slow", "errors", "nan_scores", "kill")


@dataclass(frozen=True, slots=True)
class ModelFault:
    """What to order: `share` of the calls to one part of a release, in [0, 1]; None takes the kind's own."""

    kind: str
    part: str = "ranker"
    share: float | None = None
    delay_ms: float = SLOW_MS

    def order(self) -> dict[str, Any]:
        """The body of the account's route."""
        share = 1.0 if self.share is None else self.share
        if self.kind == "slow":
            return {"share": share, "delay_ms": self.delay_ms}
        if self.kind == "errors":
            return {"share": ERROR_SHARE if self.share is None else self.share, "status": ERROR_STATUS}
        if self.kind == "nan_scores":
            return {"share": share, "not_a_number": True}
        return {"kill": True}


def order_fault(site: Site, release_id: str, fault: ModelFault) -> None:
    _call(site, "PUT", {**_names(site, release_id, fault.part), **fault.order()})


def cure_faults(site: Site, release_id: str) -> None:
    """Every fault of a release's models ends; those of a release that stands in no slot ended with its slot."""
    for part in PARTS:
        _call(site, "DELETE", _names(site, release_id, part))


def _names(site: Site, release_id: str, part: str) -> dict[str, str]:
    endpoint = f"{site.stack}-{part}"
    return {"endpoint": endpoint, "model": f"{endpoint}-{release_id}"}


def _call(site: Site, method: str, body: dict[str, Any]) -> None:
    url = str(site.client("sagemaker").meta.endpoint_url).rstrip("/")
    if ".amazonaws.com" in url:
        raise Problem(
            "faults of models are played by the local account only; on AWS poison the index, or deploy a bad model"
        )
    status, answer = site.signed("sagemaker", method, url + ROUTE, body)
    if status != 200:
        raise Problem(f"{method} {ROUTE} answered {status}: {(answer or {}).get('message') or answer}")
