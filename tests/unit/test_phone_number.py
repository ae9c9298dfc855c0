"""Validation of phone numbers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redial.domain.errors import InvalidInput
from redial.domain.phone_number import check_e164, is_e164

NEARLY = st.text("+0123456789 -()\n٣３xe", max_size=18)
"""Texts of characters found in numbers, with digits of other scripts and line ends."""


def is_plain_e164(text: str) -> bool:
    """ITU-T E.164, section 6, character by character."""
    digits = [character for character in text[1:] if "0" <= character <= "9"]
    return text[:1] == "+" and len(digits) == len(text) - 1 and 7 <= len(digits) <= 15 and digits[0] != "0"


@given(st.text(max_size=20) | NEARLY | st.from_regex(r"\+[0-9]{5,17}\n?|\+[1-9][0-9٣３]{6,14}", fullmatch=True))
def test_a_number_is_a_plus_and_7_to_15_digits_the_first_not_0(text: str) -> None:
    assert is_e164(text) == is_plain_e164(text)


@given(st.text(max_size=20) | st.from_regex(r"\+[1-9][0-9]{6,14}", fullmatch=True))
def test_any_other_text_is_refused_with_its_field(text: str) -> None:
    if is_plain_e164(text):
        assert check_e164("recipient_phone_number", text) == text
        return
    with pytest.raises(InvalidInput, match=r"recipient_phone_number: must be E\.164") as refused:
        check_e164("recipient_phone_number", text)
    assert [error.field for error in refused.value.errors] == ["recipient_phone_number"]
