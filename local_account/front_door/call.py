"""A request as it came off the socket, before anyone knows who sent it or what it asks for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from urllib.parse import parse_qsl, unquote

_LARGEST_FORM = 1 << 20  # beyond it, a body that calls itself a form is a file that some HTTP client mislabelled


@dataclass(eq=False)
class Call:
    method: str
    raw_path: str  # as signed: still percent-encoded, without the query
    query_string: str
    headers: dict[str, str]  # names in lower case; repeated headers joined with a comma
    body: bytes

    @cached_property
    def path(self) -> str:
        return unquote(self.raw_path)

    @cached_property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(self.query_string, keep_blank_values=True)) if self.query_string else {}

    @cached_property
    def form(self) -> dict[str, str]:
        """Parameters of the query protocol, from the body or, for a GET, from the URL."""
        is_form = self.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
        if is_form and len(self.body) <= _LARGEST_FORM:
            return dict(parse_qsl(self.body.decode(errors="replace"), keep_blank_values=True)) or self.query
        return self.query

    @property
    def protocol(self) -> str:
        """`json`, `cbor`, `query` or `rest`, told from what the client sent, since a service may speak several."""
        if "x-amz-target" in self.headers:
            return "json"
        if self.headers.get("smithy-protocol") == "rpc-v2-cbor":
            return "cbor"
        return "query" if "Action" in self.form else "rest"
