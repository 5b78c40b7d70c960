"""Names are hashes of what they name (ID-001 to ID-005)."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloister import crypto
from cloister.errors import FormatError
from cloister.protocol import ids
from cloister.protocol.encoding import b64e

JWK = ids.jwk_public(bytes(47) + b"\x03")


def test_thumbprint_is_that_of_rfc_7638() -> None:
    """ID-001: lexical members without blanks, whatever order they came in."""
    text = json.dumps(JWK, sort_keys=True, separators=(",", ":"))
    assert ids.thumbprint(JWK) == crypto.sha256(text.encode())
    assert ids.thumbprint(dict(reversed(JWK.items()))) == ids.thumbprint(JWK)


def test_names_follow_their_keys() -> None:
    """ID-002, ID-003, ID-004."""
    assert ids.identity_id(JWK) == "id-" + b64e(ids.thumbprint(JWK))
    assert ids.device_id(bytes(32)) != ids.device_id(b"\x01" + bytes(31))
    assert ids.sphere_id(bytes(32)) == "sp-" + "A" * 43


@given(st.sampled_from(["id-", "dv-", "sp-"]), st.binary(min_size=32, max_size=32))
def test_raw_returns(prefix: str, value: bytes) -> None:
    """ID-005."""
    assert ids.raw(prefix + b64e(value)) == value


@given(st.text(max_size=50))
def test_raw_refuses_other_text(text: str) -> None:
    """ID-005."""
    with pytest.raises(FormatError):
        ids.raw(text)
