"""Callback signatures against the vectors published in the tests of Twilio's SDK, and against that SDK."""

import hashlib
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import MultiDict
from twilio.request_validator import (  # type: ignore[import-untyped]
    RequestValidator,
    get_signature_algorithm,
)

from redial.carriers.twilio.callbacks import Form, verify

# Published: twilio-python, tests/unit/test_request_validator.py
TOKEN = "12345"
URL = "https://mycompany.com/myapp.php?foo=1&bar=2"
FORM = {
    "CallSid": ["CA1234567890ABCDE"],
    "Digits": ["1234"],
    "From": ["+14158675309"],
    "To": ["+18005551212"],
    "Caller": ["+14158675309"],
}
REPEATED = {"Sid": ["CA123"], "SidAccount": ["AC123"], "Digits": ["5678", "1234"]}
JSON_BODY = b'{"property": "value", "boolean": true}'
JSON_URL = URL + "&bodySHA256=0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620"


def signed(signature: str, settings: str | None = None) -> dict[str, str]:
    headers = {"x-twilio-signature": signature}
    return headers if settings is None else headers | {"x-twilio-webhooks-signature-settings": settings}


@pytest.mark.parametrize(
    ("url", "form", "signature"),
    [
        (URL, FORM, "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
        (URL, REPEATED, "IK+Dwps556ElfBT0I3Rgjkr1wJU="),
        (URL.replace(".com", ".com:1234"), FORM, "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
        (URL.replace(".com", ".com:1234").replace("https", "http"), FORM, "Zmvh+3yNM1Phv2jhDCwEM3q5ebU="),
        (URL, FORM, "kvajT1Ptam85bY51eRf/AJRuM3w="),  # made with port 443
        (URL.replace("https", "http"), FORM, "0ZXoZLH/DfblKGATFgpif+LLRf4="),  # made with port 80
        (JSON_URL, JSON_BODY, "a9nBmqA0ju/hNViExpshrM61xv4="),
    ],
)
def test_the_published_vectors_are_accepted(url: str, form: Form | bytes, signature: str) -> None:
    assert verify(signed(signature), url, form, TOKEN)
    assert verify({"X-Twilio-Signature": signature}, url, form, TOKEN), "header names have no case"
    assert not verify(signed(signature), url, form, "54321")


@pytest.mark.parametrize(
    ("headers", "url", "form"),
    [
        ({}, URL, FORM),
        (signed(""), URL, FORM),
        (signed("RSOYDt4T1cUTdK1PDd93/VVr8B8"), URL, FORM),
        (signed("rsOYDt4T1cUTdK1PDd93/VVr8B8="), URL, FORM),
        (signed("é" * 28), URL, FORM),
        (signed("RSOYDt4T1cUTdK1PDd93/VVr8B8="), URL.replace("https", "http"), FORM),
        (signed("RSOYDt4T1cUTdK1PDd93/VVr8B8="), URL + "&x=1", FORM),
        (signed("RSOYDt4T1cUTdK1PDd93/VVr8B8="), URL.replace("mycompany", "yourcompany"), FORM),
        (signed("RSOYDt4T1cUTdK1PDd93/VVr8B8="), URL, FORM | {"Digits": ["1235"]}),
        (signed("RSOYDt4T1cUTdK1PDd93/VVr8B8="), URL, FORM | {"Extra": ["1"]}),
        (signed("RSOYDt4T1cUTdK1PDd93/VVr8B8="), URL, {}),
        (signed("RSOYDt4T1cUTdK1PDd93/VVr8B8=", "key=k,algorithm=HMAC_SHA256"), URL, FORM),
        (signed("RSOYDt4T1cUTdK1PDd93/VVr8B8=", "algorithm=HMAC_MD5"), URL, FORM),
        (signed("a9nBmqA0ju/hNViExpshrM61xv4="), JSON_URL, JSON_BODY + b" "),
        (signed("a9nBmqA0ju/hNViExpshrM61xv4="), URL, JSON_BODY),
    ],
)
def test_anything_else_is_refused(headers: Mapping[str, str], url: str, form: Form | bytes) -> None:
    assert not verify(headers, url, form, TOKEN)


def test_a_shared_key_signs_instead_of_the_token_if_the_account_has_one() -> None:
    settings = "key=webhooks_sharedkey_1,algorithm=HMAC_SHA256"
    assert get_signature_algorithm(settings) == "HMAC_SHA256"
    signature = RequestValidator("shared").compute_signature(URL, MultiDict(flat(FORM)), "HMAC_SHA256")
    assert verify(signed(signature, settings), URL, FORM, TOKEN, shared_key="shared")
    assert not verify(signed(signature, settings), URL, FORM, TOKEN)
    by_token = RequestValidator(TOKEN).compute_signature(URL, MultiDict(flat(FORM)), "HMAC_SHA256")
    assert verify(signed(by_token, settings), URL, FORM, TOKEN), "no shared key is known: the token is tried"
    legacy = "RSOYDt4T1cUTdK1PDd93/VVr8B8="
    assert verify(signed(legacy), URL, FORM, TOKEN, shared_key="shared"), "no key named: the token signs, as ever"


def flat(form: Form) -> list[tuple[str, str]]:
    return [(name, value) for name, values in form.items() for value in values]


TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=12)
FORMS = st.dictionaries(TEXT, st.lists(TEXT, min_size=1, max_size=3), max_size=5)
URLS = st.builds(
    "{}://{}{}/{}{}".format,
    st.sampled_from(["http", "https"]),
    st.sampled_from(["x.example", "id.execute-api.us-east-1.amazonaws.com", "127.0.0.1"]),
    st.sampled_from(["", ":443", ":80", ":3000"]),
    st.text(alphabet="abz019/-_.~%:@", max_size=20),
    st.sampled_from(["", "?a=1&b=%20", "?x=http://y:80/"]),
)


@given(URLS, FORMS, st.sampled_from(["HMAC_SHA1", "HMAC_SHA256"]))
def test_what_the_sdk_signs_is_accepted(url: str, form: dict[str, list[str]], algorithm: str) -> None:
    validator = RequestValidator(TOKEN)
    multi = MultiDict(flat(form))
    signature = validator.compute_signature(url, multi, algorithm)
    headers = signed(signature, f"key=k,algorithm={algorithm}")
    assert validator.validate(url, multi, signature, algorithm)
    assert verify(headers, url, form, TOKEN)


@given(URLS, FORMS, URLS, FORMS, st.text(max_size=40))
def test_the_sdk_and_redial_reject_alike(
    url: str, form: dict[str, list[str]], other_url: str, other_form: dict[str, list[str]], settings: str
) -> None:
    validator = RequestValidator(TOKEN)
    signature = validator.compute_signature(other_url, MultiDict(flat(other_form)))
    expected = validator.validate(url, MultiDict(flat(form)), signature)
    assert verify(signed(signature), url, form, TOKEN) == expected
    verify(signed(signature, settings), url, form, TOKEN)  # no header may make it raise


@given(st.binary(max_size=60))
def test_a_json_body_is_verified_by_its_hash(body: bytes) -> None:
    url = f"{URL}&bodySHA256={hashlib.sha256(body).hexdigest()}"
    signature = RequestValidator(TOKEN).compute_signature(url, {})
    assert verify(signed(signature), url, body, TOKEN)
    assert not verify(signed(signature), url, body + b"x", TOKEN)
