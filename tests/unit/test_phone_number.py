"""Reading of phone numbers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redial.domain.phone_number import NOT_CALLED, NumberKind, is_e164, looks_like_a_number, normalized, read_number

NEARLY = st.text("+0123456789 -()\n٣３xe", max_size=18)
"""Texts of characters found in numbers, with digits of other scripts and line ends."""


def is_plain_e164(text: str) -> bool:
    """ITU-T E.164, section 6, character by character."""
    digits = [character for character in text[1:] if "0" <= character <= "9"]
    return text[:1] == "+" and len(digits) == len(text) - 1 and 7 <= len(digits) <= 15 and digits[0] != "0"


@given(st.text(max_size=20) | NEARLY | st.from_regex(r"\+[0-9]{5,17}\n?|\+[1-9][0-9٣３]{6,14}", fullmatch=True))
def test_a_number_is_a_plus_and_7_to_15_digits_the_first_not_0(text: str) -> None:
    assert is_e164(text) == is_plain_e164(text)


@given(st.text(max_size=20) | NEARLY | st.from_regex(r"(tel:)?(\+|00)[0-9 ().٣３-]{7,17}", fullmatch=True))
def test_a_text_is_read_as_e164_or_refused_with_a_reason(text: str) -> None:
    try:
        number = normalized(text)
    except ValueError as error:
        reason = str(error)
    else:
        reason = ""
        assert is_plain_e164(number)
        assert normalized(number) == number
    assert not reason or reason.startswith("is ")


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("+14155650701", "+14155650701"),
        ("+1 (415) 565-0701", "+14155650701"),
        ("+1.415.565.0701", "+14155650701"),
        ("+1·415·565·0701", "+14155650701"),
        ("0014155650701", "+14155650701"),
        ("00 1 415 565 0701", "+14155650701"),
        ("(001) 415 565 0701", "+14155650701"),
        ("tel:+1-415-565-0701", "+14155650701"),
        ("TEL: +14155650701", "+14155650701"),
        ("'+14155650701", "+14155650701"),
        ("＋１（４１５）５６５－０７０１", "+14155650701"),
        ("+１．４１５．５６５．０７０１", "+14155650701"),
        ("+١٤١٥٥٦٥٠٧٠١", "+14155650701"),
        ("۰۰۱۴۱۵۵۶۵۰۷۰۱", "+14155650701"),
        ("+१४१५५६५०७०१", "+14155650701"),
        ("\u200e+1\u200b4155650701\u202c", "+14155650701"),
    ],
)
def test_a_number_is_read_as_people_write_it(written: str, number: str) -> None:
    assert normalized(written) == number


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("+44 (0)7400 111222", "+447400111222"),
        ("+44 ( 0 ) 7400 111222", "+447400111222"),
        ("(+44)[0]7400 111222", "+447400111222"),
        ("0044 (0)7400 111222", "+447400111222"),
        ("+٤٤ (٠)٧٤٠٠ ١١١٢٢٢", "+447400111222"),
        ("+44 (07400) 111222", "+447400111222"),
        ("+44 07400 111222", "+447400111222"),
        ("+49 (0)30 123456", "+4930123456"),
        ("+33 (0)6 12 34 56 78", "+33612345678"),
        ("+61 (0)412 345 678", "+61412345678"),
        ("+7 (8)916 123 45 67", "+79161234567"),  # other trunk prefixes
        ("+36 (06) 1 234 5678", "+3612345678"),
        ("+1 (0)415 565 0701", "+14155650701"),  # countries without a trunk prefix 0
        ("+34 (0)91 123 45 67", "+34911234567"),
    ],
)
def test_a_trunk_prefix_is_removed(written: str, number: str) -> None:
    assert normalized(written) == number


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("+39 06 1234567", "+39061234567"),
        ("+39 (0)6 1234567", "+39061234567"),
        ("+39 (06) 1234567", "+39061234567"),
        ("+39 347 1234567", "+393471234567"),
        ("+378 (0)549 886123", "+3780549886123"),
        ("+225 07 12 34 56 78", "+2250712345678"),
    ],
)
def test_a_zero_that_belongs_to_the_number_stays(written: str, number: str) -> None:
    assert normalized(written) == number


def test_a_zero_in_brackets_is_removed_after_the_country_code_only() -> None:
    assert normalized("+1 415 565 (0)701") == "+14155650701"
    assert normalized("+49 30 (0) 123456") == "+49300123456"


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("", "is empty"),
        ("'", "is empty"),
        (" ( ) ", "is empty"),
        ("14155650701", "must begin with + and the country code"),
        ("07400 111222", "must begin with + and the country code"),
        ("call me", "must begin with + and the country code"),
        ("+1.41557E+10", "a spreadsheet has rounded it"),
        ("1,41557E+10", "a spreadsheet has rounded it"),
        ("14155650701.0", "a program wrote it as a decimal number"),
        ("+14155650701.00", "a program wrote it as a decimal number"),
        ("+1 415 565 0701 x3", "has an extension"),
        ("+1 415 565 0701 ext. 3", "has an extension"),
        ("tel:+14155650701;ext=3", "has an extension"),
        ("+1-800-FLOWERS", "has the character “F”"),
        ("+49 30/123456", "has the character “/”"),
        ("+1415\n5650701", "has the character U+000A"),
        ("++14155650701", "more than one plus sign"),
        ("+14155650701 +14155650702", "more than one plus sign"),
        ("+04155650701", "the first not 0"),
        ("+00 44 7400 111222", "the first not 0"),
        ("+", "7 to 15 digits"),
        ("+٣", "7 to 15 digits"),
        ("+4915", "7 to 15 digits"),
        ("+1234567890123456", "7 to 15 digits"),
        ("+49" + "1" * 200, "7 to 15 digits"),
        ("+1" + "x" * 200_000, "7 to 15 digits"),
        (" " * 100_000 + "+1" + "(0" * 100_000, "7 to 15 digits"),
        ("+999123456789", "no country has this code"),
        ("+34 (0)91 1", "leave out the (0)"),
        ("+44 (0)7400 11", "leave out the (0)"),
    ],
)
def test_another_text_is_refused_with_a_reason_that_fits(written: str, reason: str) -> None:
    with pytest.raises(ValueError, match=r"^is ") as refused:
        read_number(written)
    assert reason in str(refused.value)


@pytest.mark.parametrize("number", ["+44999", "+44 112", "+1911", "+49 110", "+49 (0)112", "+61 000", "+333631"])
def test_a_short_number_of_its_country_is_refused(number: str) -> None:
    with pytest.raises(ValueError, match=r"^is an emergency or service number"):
        read_number(number)


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        ("+44116123", NumberKind.SERVICE),  # short numbers with enough digits for E.164
        ("+4911833", NumberKind.SERVICE),
        ("+49116117", NumberKind.SERVICE),
        ("+19005551234", NumberKind.PREMIUM),
        ("+448712345678", NumberKind.PREMIUM),
        ("+33892123456", NumberKind.PREMIUM),
        ("+448451234567", NumberKind.PREMIUM),  # shared cost
        ("+491802123456", NumberKind.PREMIUM),
        ("+979123456789", NumberKind.PREMIUM),  # of no country
        ("+14155650701", NumberKind.ORDINARY),
        ("+18005550123", NumberKind.ORDINARY),
        ("+911123456789", NumberKind.ORDINARY),  # Delhi: begins with 112
        ("+15005550006", NumberKind.ORDINARY),  # no known number: the carrier decides
    ],
)
def test_a_number_has_a_kind(number: str, kind: NumberKind) -> None:
    assert read_number(number) == (number, kind)
    assert (kind in NOT_CALLED) == (kind is not NumberKind.ORDINARY)


def test_a_header_cell_may_look_like_a_number() -> None:
    assert looks_like_a_number("'+1 (202) 555-0101") and looks_like_a_number("2025550101")
    assert not looks_like_a_number("name") and not looks_like_a_number("2024") and not looks_like_a_number("")
