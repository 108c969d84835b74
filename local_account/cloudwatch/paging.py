"""Pages of an answer: `MaxRecords` and a `NextToken` that is the place to go on from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from local_account.wire import AwsError


def page(entries: Sequence[Any], given: Mapping[str, Any], most: int) -> tuple[Sequence[Any], dict[str, str]]:
    """One page, and the token of the next where there is one.

    Raises
    ------
    AwsError
        `InvalidNextToken` for a token that was not given out.
    """
    token = given.get("NextToken") or "0"
    if not token.isdecimal():
        raise AwsError("InvalidNextToken", "The next token specified is invalid.")
    start = int(token)
    end = start + min(int(given.get("MaxRecords") or most), most)
    return entries[start:end], ({"NextToken": str(end)} if end < len(entries) else {})
