"""List* calls: the filters, orders and pages that all of SageMaker's lists share."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from local_account.sagemaker.errors import invalid

DEFAULT_PAGE = 10
Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Listing:
    """How one kind of thing is listed."""

    answer: str  # "TrainingJobSummaries"
    summary: tuple[str, ...]  # members of one row
    name: str  # the member that NameContains looks at
    status: str = ""  # the member that StatusEquals looks at
    sorts: tuple[tuple[str, str], ...] = ()  # further words of SortBy, and the member each means


def list_page(docs: Iterable[Document], params: Mapping[str, Any], listing: Listing) -> dict[str, Any]:
    """One page, newest first unless SortOrder says otherwise.

    A page token holds the last row's sort key, so rows that come or go between two pages neither repeat nor hide others.
    """
    ascending = params.get("SortOrder", "Descending") == "Ascending"
    order = _sort_member(params.get("SortBy", "CreationTime"), listing)
    keyed = sorted(
        (((doc.get(order, 0), doc[listing.name]), doc) for doc in docs if _wanted(doc, params, listing)),
        key=lambda pair: pair[0],
        reverse=not ascending,
    )
    if token := params.get("NextToken"):
        last = _decode(token)
        keyed = [pair for pair in keyed if (pair[0] > last if ascending else pair[0] < last)]
    size = int(params.get("MaxResults", DEFAULT_PAGE))
    page, rest = keyed[:size], keyed[size:]
    answer: dict[str, Any] = {listing.answer: [{m: doc[m] for m in listing.summary if m in doc} for _, doc in page]}
    if rest:
        answer["NextToken"] = base64.urlsafe_b64encode(json.dumps(page[-1][0]).encode()).decode()
    return answer


def _sort_member(sort_by: str, listing: Listing) -> str:
    if sort_by == "Name":
        return listing.name
    if sort_by in dict(listing.sorts):
        return dict(listing.sorts)[sort_by]
    return listing.status if sort_by == "Status" else "CreationTime"


def _wanted(doc: Document, params: Mapping[str, Any], listing: Listing) -> bool:
    if params.get("NameContains", "").lower() not in doc[listing.name].lower():
        return False
    if "StatusEquals" in params and doc.get(listing.status) != params["StatusEquals"]:
        return False
    for member in ("CreationTime", "LastModifiedTime"):
        at = doc.get(member, 0)
        if at <= params.get(f"{member}After", float("-inf")) or at >= params.get(f"{member}Before", float("inf")):
            return False
    return True


def _decode(token: str) -> tuple[Any, str]:
    try:
        value, name = json.loads(base64.urlsafe_b64decode(token))
    except (binascii.Error, ValueError, TypeError):
        raise invalid("Invalid pagination token.") from None
    return value, name
