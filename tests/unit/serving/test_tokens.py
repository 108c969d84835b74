"""recommendation_id: only ours, only whole, only for its user, only in its time."""

from __future__ import annotations

import base64
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.domain.tokens import Shown, TokenRefused, item_mark, new_request_id, request_time_ms, sign, verify
from understudy.domain.traffic import user_hash

KEY = b"a key of the account"
REQUEST_ID = new_request_id(1_772_337_600_000, bytes(10))
SHOWN = Shown(
    request_id=REQUEST_ID,
    user_hash=user_hash("u-1"),
    release_id="r-1",
    assigned_release_id="r-2",
    arm="candidate",
    bucket=17,
    traffic_version=7,
    issued_s=1_772_337_600,
    expires_s=1_772_337_600 + 600,
    marks=tuple(item_mark(REQUEST_ID, item) for item in ("i-1", "i-2", "i-3")),
    explored=(2,),
    propensity=0.98,
    propensity_explored=0.001,
)
TOKEN = sign(SHOWN, KEY)


def refusal(token: str, *, key: bytes = KEY, user_id: str = "u-1", now_s: float = SHOWN.issued_s) -> str:
    with pytest.raises(TokenRefused) as refused:
        verify(token, key, user_id=user_id, now_s=now_s)
    return refused.value.reason


def test_a_token_says_again_what_was_shown() -> None:
    assert verify(TOKEN, KEY, user_id="u-1", now_s=SHOWN.issued_s) == SHOWN
    assert [SHOWN.position(item) for item in ("i-1", "i-3", "i-4")] == [1, 3, None]
    assert [SHOWN.propensity_at(place) for place in (1, 2)] == [0.98, 0.001]


@pytest.mark.parametrize(
    ("after_s", "is_good"),
    [pytest.param(599, True, id="in its last second"), pytest.param(600, False, id="expired")],
)
def test_a_token_is_good_until_it_expires(after_s: int, is_good: bool) -> None:
    now_s = SHOWN.issued_s + after_s
    if is_good:
        assert verify(TOKEN, KEY, user_id="u-1", now_s=now_s) == SHOWN
    else:
        assert refusal(TOKEN, now_s=now_s) == "expired"


def test_another_users_token_and_another_keys_token_are_refused() -> None:
    assert refusal(TOKEN, user_id="u-2") == "other_user"
    assert refusal(TOKEN, key=b"another key") == "forged"


def test_ten_thousand_altered_tokens_are_all_refused() -> None:
    rng = random.Random(0)
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.="
    for _ in range(10_000):
        at = rng.randrange(len(TOKEN))
        letter = rng.choice([each for each in alphabet if each != TOKEN[at]])
        altered = rng.choice(
            [TOKEN[:at] + letter + TOKEN[at + 1 :], TOKEN[:at] + letter + TOKEN[at:], TOKEN[:at] + TOKEN[at + 1 :]]
        )
        if altered != TOKEN:
            assert refusal(altered) in ("forged", "malformed")


def test_a_payload_of_ones_own_does_not_pass_with_anothers_signature() -> None:
    payload, _, mac = TOKEN.partition(".")
    raw = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)).replace(b'"r-2"', b'"r-9"')
    assert refusal(f"{base64.urlsafe_b64encode(raw).rstrip(b'=').decode()}.{mac}") == "forged"


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=100))
def test_any_text_is_refused_and_never_a_crash(text: str) -> None:
    assert refusal(text) in ("forged", "malformed")


def test_a_token_names_neither_user_nor_items() -> None:
    token = sign(SHOWN, KEY)
    payload = base64.urlsafe_b64decode(token.partition(".")[0] + "==")
    assert b"u-1" not in payload
    assert b"i-1" not in payload


@given(st.integers(0, 2**48 - 1), st.binary(min_size=10, max_size=10), st.integers(0, 2**48 - 1))
def test_request_ids_are_short_tell_their_time_and_sort_by_it(ms: int, chance: bytes, other_ms: int) -> None:
    request_id = new_request_id(ms, chance)
    assert len(request_id) == 26
    assert request_time_ms(request_id) == ms
    if ms != other_ms:
        assert (request_id < new_request_id(other_ms, chance)) == (ms < other_ms)
