"""recommendation_id: a signed token that says what was shown to whom, so that feedback needs no look-up.

`base64url(payload).base64url(HMAC-SHA256(key, payload))`. The payload names the user by hash only and each shown item by four
bytes of a hash, in order: enough to know an item's position and its propensity, nothing a reader could learn from.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal

from understudy.domain.traffic import user_hash

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
Refusal = Literal["malformed", "forged", "other_user", "expired"]


class TokenRefused(Exception):
    """A token that is not ours, not this user's, or no longer good. `reason` is counted; a client learns no more than that."""

    def __init__(self, reason: Refusal) -> None:
        super().__init__(reason)
        self.reason: Refusal = reason


@dataclass(frozen=True, slots=True)
class Shown:
    """What the token knows of one answer. `explored` are the places drawn at random; each has `propensity_explored`."""

    request_id: str
    user_hash: str
    release_id: str
    assigned_release_id: str
    arm: str
    bucket: int
    traffic_version: int
    issued_s: int
    expires_s: int
    marks: tuple[str, ...]
    explored: tuple[int, ...] = ()
    propensity: float = 1.0
    propensity_explored: float = 1.0

    def position(self, item_id: str) -> int | None:
        """1 for the first place; None if the item was not shown."""
        mark = item_mark(self.request_id, item_id)
        return self.marks.index(mark) + 1 if mark in self.marks else None

    def propensity_at(self, position: int) -> float:
        return self.propensity_explored if position in self.explored else self.propensity


def item_mark(request_id: str, item_id: str) -> str:
    """Eight hex digits that differ between requests, so that tokens do not reveal who saw the same items."""
    return sha256(f"{request_id}:{item_id}".encode()).hexdigest()[:8]


def new_request_id(epoch_ms: int, randomness: bytes) -> str:
    """A ULID: 26 characters, ordered by time; 48 bits of milliseconds and 80 of chance.

    References
    ----------
    ULID specification, https://github.com/ulid/spec

    Examples
    --------
    >>> new_request_id(1_700_000_000_000, bytes(10))
    '01HF7YAT000000000000000000'
    """
    if not 0 <= epoch_ms < 1 << 48 or len(randomness) != 10:
        raise ValueError("a request id takes 48 bits of milliseconds and 10 bytes of chance")
    number = epoch_ms << 80 | int.from_bytes(randomness)
    return "".join(CROCKFORD[number >> shift & 31] for shift in range(125, -1, -5))


def request_time_ms(request_id: str) -> int:
    """When a request id was made; ValueError if it is none."""
    if len(request_id) != 26:
        raise ValueError("a request id has 26 characters")
    number = 0
    for letter in request_id:
        number = number << 5 | CROCKFORD.index(letter)
    if number >> 128:
        raise ValueError("a request id has 128 bits")
    return number >> 80


def sign(shown: Shown, key: bytes) -> str:
    fields: Sequence[object] = (
        2,
        shown.request_id,
        shown.user_hash,
        shown.release_id,
        shown.assigned_release_id,
        shown.arm,
        shown.bucket,
        shown.traffic_version,
        shown.issued_s,
        shown.expires_s,
        "".join(shown.marks),
        list(shown.explored),
        shown.propensity,
        shown.propensity_explored,
    )
    payload = json.dumps(fields, separators=(",", ":")).encode()
    return f"{_encode(payload)}.{_encode(_mac(payload, key))}"


def verify(token: str, key: bytes, *, user_id: str, now_s: float) -> Shown:
    """Check signature (in constant time), user and expiry, in this order: nothing of an unsigned payload is read.

    Raises
    ------
    TokenRefused
        With the reason.
    """
    payload_text, dot, mac_text = token.partition(".")
    try:
        payload, mac = _decode(payload_text), _decode(mac_text)
    except (binascii.Error, ValueError):
        raise TokenRefused("malformed") from None
    if not dot:
        raise TokenRefused("malformed")
    if not hmac.compare_digest(mac, _mac(payload, key)):
        raise TokenRefused("forged")
    shown = _read(payload)
    if not hmac.compare_digest(shown.user_hash, user_hash(user_id)):
        raise TokenRefused("other_user")
    if now_s >= shown.expires_s:
        raise TokenRefused("expired")
    return shown


def _read(payload: bytes) -> Shown:
    version, *rest = json.loads(payload)
    if version != 2:
        raise TokenRefused("malformed")
    request_id, user, release, assigned, arm, bucket, traffic, issued, expires, marks, explored, *chances = rest
    each = tuple(marks[at : at + 8] for at in range(0, len(marks), 8))
    return Shown(
        request_id, user, release, assigned, arm, bucket, traffic, issued, expires, each, tuple(explored), *chances
    )


def _mac(payload: bytes, key: bytes) -> bytes:
    return hmac.digest(key, b"understudy.recommendation.1:" + payload, "sha256")


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    """Strict base64url: a second spelling of the same bytes is refused, so a token has exactly one form."""
    raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if _encode(raw) != text:
        raise ValueError("not the canonical form")
    return raw
