"""Shopify's webhook signature, by the rules that Shopify publishes, against HMAC-SHA256's own test vectors and openssl.

Shopify publishes code (base64 of the HMAC of the raw body, keyed with the app's client secret), and no vector.
"""

from __future__ import annotations

import base64
import json
import shutil
import subprocess

import pytest

from masterops_dagster.connectors.shopify.webhooks import InvalidSignature, signature, verify

SECRET = "hush"  # as in Shopify's example
BODY = '{"id":820982911946154508,"email":"zoë@example.com","total_price":"409.94", "tags":""}'.encode()


@pytest.mark.parametrize(
    ("key", "data", "digest"),
    [
        ("Jefe", b"what do ya want for nothing?", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
        ("\x0b" * 20, b"Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
    ],
)
def test_the_vectors_of_rfc_4231_are_met(key: str, data: bytes, digest: str) -> None:
    verify(key, data, base64.b64encode(bytes.fromhex(digest)).decode())


def test_a_body_signed_by_openssl_is_accepted() -> None:
    openssl = shutil.which("openssl")
    assert openssl is not None
    command = [openssl, "dgst", "-sha256", "-hmac", SECRET, "-binary"]
    signed = base64.b64encode(subprocess.run(command, input=BODY, capture_output=True, check=True).stdout).decode()
    verify(SECRET, BODY, signed)


@pytest.mark.parametrize(
    "changed", [BODY.replace(b"409", b"009"), BODY + b" ", json.dumps(json.loads(BODY)).encode(), b""]
)
def test_a_body_that_was_changed_or_written_anew_is_refused(changed: bytes) -> None:
    with pytest.raises(InvalidSignature, match="does not match"):
        verify(SECRET, changed, signature(SECRET, BODY))


def test_another_secret_and_a_signature_in_hex_are_refused() -> None:
    with pytest.raises(InvalidSignature):
        verify("other", BODY, signature(SECRET, BODY))
    with pytest.raises(InvalidSignature):
        verify(SECRET, BODY, base64.b64decode(signature(SECRET, BODY)).hex())
    with pytest.raises(InvalidSignature):
        verify(SECRET, BODY, "nö")


@pytest.mark.parametrize("missing", [None, ""])
def test_a_request_without_a_signature_says_so(missing: str | None) -> None:
    with pytest.raises(InvalidSignature, match="no X-Shopify-Hmac-Sha256"):
        verify(SECRET, BODY, missing)
