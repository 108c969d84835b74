"""Keys: the operator's, kept in a file, and role sessions', which need no file at all.

A session's token says who it is and until when, under a MAC of the account's own secret; its secret key is derived
from the token. So sessions outlive a restart without being stored, and a forged token is worth nothing.
"""

from __future__ import annotations

import base64
import configparser
import hashlib
import hmac
import json
import os
import secrets
import string
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from local_account.account import ACCOUNT_ID, REGION, Credentials
from local_account.wire import AwsError, Principal

PROFILE = "understudy"
OPERATOR_ARN = f"arn:aws:iam::{ACCOUNT_ID}:user/operator"
_KEY_ALPHABET = string.ascii_uppercase + "234567"


@dataclass(frozen=True, slots=True)
class Session:
    role_arn: str
    name: str
    expires_at: float  # epoch seconds; 0 for one of the account's own, which is renewed by nobody

    @property
    def principal(self) -> Principal:
        role = self.role_arn.rsplit("/", 1)[-1]
        return Principal(f"arn:aws:sts::{ACCOUNT_ID}:assumed-role/{role}/{self.name}", self.role_arn)


class Identities:
    """Every access key of one account; the operator's pair lies in `<state>/credentials`, mode 0600."""

    def __init__(self, state_dir: Path) -> None:
        self._file = state_dir / "credentials"
        if not self._file.exists():
            _write_private(self._file, _new_operator())
        profile = configparser.ConfigParser(interpolation=None)
        profile.read(self._file)
        self.operator = Credentials(
            profile[PROFILE]["aws_access_key_id"], profile[PROFILE]["aws_secret_access_key"], session_token=""
        )
        self._secret = hashlib.sha256(f"sessions:{self.operator.secret_access_key}".encode()).digest()
        self._open = lru_cache(maxsize=4096)(self._open_token)

    def write_config(self, endpoint_url: str) -> None:
        text = f"[profile {PROFILE}]\nregion = {REGION}\nendpoint_url = {endpoint_url}\noutput = json\n"
        _write_private(self._file.with_name("config"), text)

    def mint(self, role_arn: str, session_name: str, lifetime_s: float | None = None) -> Credentials:
        """Fresh credentials of a role session; without a lifetime they do not expire."""
        key_id = "ASIA" + _random(16)
        expires_at = time.time() + lifetime_s if lifetime_s else 0
        claims = json.dumps([key_id, role_arn, session_name, expires_at]).encode()
        token = base64.urlsafe_b64encode(self._mac(claims) + claims).decode()
        return Credentials(key_id, self._session_secret(token), token)

    def secret_of(self, access_key_id: str, token: str | None) -> str | None:
        """The secret that this key must have signed with; None when the account does not know the key."""
        if not token:
            return self.operator.secret_access_key if access_key_id == self.operator.access_key_id else None
        opened = self._open(token)
        return opened[2] if opened and opened[0] == access_key_id else None

    def principal_of(self, token: str | None) -> Principal:
        """Who a key belongs to whose signature was checked.

        Raises
        ------
        AwsError
            `ExpiredTokenException` for a session past its end.
        """
        opened = self._open(token) if token else None
        if opened is None:
            return Principal(OPERATOR_ARN)
        session = opened[1]
        if session.expires_at and time.time() > session.expires_at:
            raise AwsError("ExpiredTokenException", "The security token included in the request is expired", 403)
        return session.principal

    def _open_token(self, token: str) -> tuple[str, Session, str] | None:
        try:
            raw = base64.urlsafe_b64decode(token)
        except ValueError:
            return None
        mac, claims = raw[:32], raw[32:]
        if not hmac.compare_digest(mac, self._mac(claims)):
            return None
        key_id, role_arn, name, expires_at = json.loads(claims)
        return key_id, Session(role_arn, name, expires_at), self._session_secret(token)

    def _mac(self, claims: bytes) -> bytes:
        return hmac.new(self._secret, claims, hashlib.sha256).digest()

    def _session_secret(self, token: str) -> str:
        return base64.b64encode(self._mac(b"secret:" + token.encode())[:30]).decode()


def _new_operator() -> str:
    secret = base64.b64encode(secrets.token_bytes(30)).decode()
    return f"[{PROFILE}]\naws_access_key_id = AKIA{_random(16)}\naws_secret_access_key = {secret}\n"


def _random(length: int) -> str:
    return "".join(secrets.choice(_KEY_ALPHABET) for _ in range(length))


def _write_private(file: Path, text: str) -> None:
    """Whole or not at all, and readable by its owner only from the first byte."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_suffix(".draft")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
        stream.write(text)
    draft.replace(file)
