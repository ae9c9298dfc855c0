"""Phone numbers masked in texts and in JSON."""

from typing import Any

import pytest

from redial.domain.masking import masked, masked_json, masked_text


def test_logs_keep_enough_to_tell_numbers_apart() -> None:
    assert masked("+14155550123") == "+1415*****23"
    assert masked_text("no call from +14155550123 to +442079460123.") == "no call from +1415*****23 to +4420******23."


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("+14155550123", "+14*******23"),
        ("to +1 (415) 555-0123 or +442079460123", "to +1 ************23 or +44********23"),
        ("2026-01-26T10:00:00.000+05:30", None),
        ("3fa85f64-5717-4562-b3fc-2c963f66afa6", None),
        ("12345678901234567890123456789012", None),
        ("4155550123", None),
        ("+123456", None),
    ],
)
def test_a_number_with_its_country_code_is_masked_in_any_text(text: str, shown: str | None) -> None:
    assert masked_json({"a": [text]}) == {"a": [shown or text]}


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("4155550123", "415*****23"),
        ("(415) 555-0123", "(415********23"),
        (4155550123, "415*****23"),
        ([{"x": "00 44 20 7946 0123"}], [{"x": "00 *************23"}]),
        ("order 123456", "order 123456"),
        (123456, 123456),
        (1.5, 1.5),
        (True, True),
        (None, None),
        ("12345678901234567890", "123***************90"),
    ],
)
def test_any_number_is_masked_in_what_customers_store_about_people(value: Any, shown: Any) -> None:
    found = masked_json({"context_details": {"recipient_data": {"phone": value}}, "total": 4155550123})
    assert found == {"context_details": {"recipient_data": {"phone": shown}}, "total": 4155550123}
