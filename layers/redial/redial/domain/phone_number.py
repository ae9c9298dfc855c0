"""Phone numbers in E.164 form: `+` and 7 to 15 digits, the first not 0. Only the carrier knows whether one exists."""

import re

from redial.domain.errors import InvalidInput

_E164 = re.compile(r"\+[1-9][0-9]{6,14}")


def is_e164(number: str) -> bool:
    """Whether `number` has the form of an E.164 number (ITU-T E.164, section 6)."""
    return _E164.fullmatch(number) is not None


def check_e164(field: str, number: str) -> str:
    """Return `number`. Raises `InvalidInput` for `field` if it is not E.164."""
    if not is_e164(number):
        raise InvalidInput.of(field, "must be E.164: + and 7 to 15 digits, the first not 0, such as +14155550123")
    return number


def time_zones(number: str) -> tuple[str, ...]:
    """IANA zones the number may be in, by its prefix (libphonenumber's data); UTC alone for an unknown prefix.

    A prefix may span many zones: 15 for a Russian mobile number, 42 for a US toll-free number.
    """
    import phonenumbers  # takes 22 ms; needed only for calling hours
    from phonenumbers.timezone import UNKNOWN_TIMEZONE, time_zones_for_number

    try:
        zones = time_zones_for_number(phonenumbers.parse(number))
    except phonenumbers.NumberParseException:
        return ("UTC",)
    return tuple(zone for zone in zones if zone != UNKNOWN_TIMEZONE) or ("UTC",)
