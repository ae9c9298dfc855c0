"""Phone numbers: normalization to E.164, kinds of numbers that are not called, countries and time zones.

All follow libphonenumber's data. Only the carrier knows whether a number exists.
"""

import re
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from phonenumbers import PhoneNumber

EXAMPLE = "+14155550123"
"""A fictional number, for messages."""

_MAX_LENGTH = 250  # libphonenumber's own limit: a longer text is no number, and takes time to parse
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")

# Characters written within phone numbers. Soft hyphens, zero-width characters and direction marks are invisible.
_SPACES = "\x20\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
_INVISIBLE = (
    "\xad\u061c\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff"
)
_DASHES = "-\u2010\u2011\u2012\u2013\u2014\u2015\u2212\uff0d"
_BRACKETS = "()[]\uff08\uff09"
_DOTS = ".\xb7\uff0e"
_PLUS_SIGNS = "+\uff0b\ufe62"
PUNCTUATION = _SPACES + _INVISIBLE + _DASHES + _BRACKETS + _DOTS
"""Characters that separate the digits of a number and have no meaning themselves."""

_PLUS = str.maketrans(dict.fromkeys(_PLUS_SIGNS, "+") | dict.fromkeys(_INVISIBLE))
_SEPARATORS = str.maketrans("", "", PUNCTUATION)
_TEL = re.compile(r"tel:", re.IGNORECASE)
_TRUNK_ZERO = re.compile(rf"[(\[\uff08][{_SPACES}]*0[{_SPACES}]*[)\]\uff09]")
_ROUNDED = re.compile(r"\+?[0-9][.,]?[0-9]*[eE]\+?[0-9]+")
_DECIMAL = re.compile(r"[^.]*[0-9]\.0+")
_EXTENSION = re.compile(r"[0-9][^0-9]*(;|#|,|x|ext)[^0-9]*[0-9]+$", re.IGNORECASE)
_MUST_BEGIN = f"is not E.164: must begin with + and the country code, such as {EXAMPLE}"
_LENGTH = f"is not E.164: must be + and 7 to 15 digits, the first not 0, such as {EXAMPLE}"


class NumberKind(StrEnum):
    """Whether a number may be called."""

    ORDINARY = "ordinary"
    SERVICE = "service"  # an emergency number or another short number of its country; never called
    PREMIUM = "premium"  # premium-rate or shared-cost; called only if the account allows it


NOT_CALLED = {
    NumberKind.SERVICE: "is an emergency or service number of its country, which is never called",
    NumberKind.PREMIUM: "is a premium-rate or shared-cost number, which the account does not allow",
}
"""Why a number of that kind is refused."""


def is_e164(number: str) -> bool:
    """Whether `number` has the form of an E.164 number (ITU-T E.164, section 6)."""
    return _E164.fullmatch(number) is not None


def read_number(text: str) -> tuple[str, NumberKind]:
    """Normalize a number as people write it to E.164. Returns it with its kind.

    Accepts `+`, `00` and `tel:`, spaces, dashes, dots and brackets, one leading `'` (Excel's text marker), digits of
    any script, and a trunk prefix after the country code (`+44 (0)20 …`), which is removed if the country has one.
    Raises `ValueError`, whose message follows the name of the field.
    """
    number = text if is_e164(text) else _international(text)
    import phonenumbers  # takes 22 ms; most functions read no numbers
    from phonenumbers.shortnumberinfo import is_valid_short_number

    try:
        parsed = phonenumbers.parse(number)
        kind = phonenumbers.number_type(parsed)
        if (
            kind == phonenumbers.PhoneNumberType.UNKNOWN
            and parsed.italian_leading_zero
            and number.startswith(f"+{parsed.country_code}(0)")
        ):  # the country has no trunk prefix 0, and this number does not begin with 0 either
            parsed = phonenumbers.parse(number.replace("(0)", ""))
            kind = phonenumbers.number_type(parsed)
            if kind == phonenumbers.PhoneNumberType.UNKNOWN and not is_valid_short_number(parsed):
                raise ValueError("is not E.164: leave out the (0), which is dialled only within the country")
    except phonenumbers.NumberParseException as error:
        if error.error_type == phonenumbers.NumberParseException.INVALID_COUNTRY_CODE and number[1:2] != "0":
            raise ValueError(f"is not E.164: no country has this code; an example is {EXAMPLE}") from error
        raise ValueError(_LENGTH) from error
    normal = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    if kind == phonenumbers.PhoneNumberType.UNKNOWN and is_valid_short_number(parsed):
        if not is_e164(normal):
            raise ValueError(NOT_CALLED[NumberKind.SERVICE])
        return normal, NumberKind.SERVICE
    if not is_e164(normal):
        raise ValueError(_LENGTH)
    if kind in (phonenumbers.PhoneNumberType.PREMIUM_RATE, phonenumbers.PhoneNumberType.SHARED_COST):
        return normal, NumberKind.PREMIUM
    return normal, NumberKind.ORDINARY


def normalized(text: str) -> str:
    """The E.164 form of `text`, whatever its kind. Raises `ValueError` as `read_number` does."""
    return read_number(text)[0]


def looks_like_a_number(text: str) -> bool:
    """Whether `text` consists of 7 to 15 digits and separators, with or without a plus sign."""
    return len(text) <= _MAX_LENGTH and re.fullmatch(r"\+?[0-9]{7,15}", _plain(text).translate(_SEPARATORS)) is not None


def _plain(text: str) -> str:
    """`text` with ASCII digits and plus signs, without `'`, `tel:` and invisible characters."""
    plain = text.translate(_PLUS).strip().removeprefix("'").strip()
    if not plain.isascii():
        plain = "".join(str(int(one)) if one.isdecimal() else one for one in plain)
    tel = _TEL.match(plain)
    return plain[tel.end() :].strip() if tel else plain


def _international(text: str) -> str:
    """`text` as + and digits; a trunk zero in brackets keeps its brackets. Raises `ValueError`."""
    if len(text) > _MAX_LENGTH:
        raise ValueError(_LENGTH)
    plain = _plain(text)
    compact = plain.translate(_SEPARATORS)
    if not compact:
        raise ValueError("is empty")
    if _ROUNDED.fullmatch(plain):
        raise ValueError(
            "is not E.164: a spreadsheet has rounded it; format the column as text and enter the numbers again"
        )
    if _DECIMAL.fullmatch(plain):
        raise ValueError("is not E.164: a program wrote it as a decimal number; remove the decimal places")
    compact = re.sub("^00", "+", compact)
    if compact[0] != "+":
        raise ValueError(_MUST_BEGIN)
    if not re.fullmatch(r"\+[0-9]*", compact):
        raise ValueError(_unreadable(plain, compact[1:]))
    if compact[1:2] == "0":
        raise ValueError(_LENGTH)
    trunk = _TRUNK_ZERO.search(plain)
    before = "" if trunk is None else re.sub("^00", "+", plain[: trunk.start()].translate(_SEPARATORS))
    if trunk is None or len(before) < 2:  # a country code comes first
        return compact
    return f"{before}(0){plain[trunk.end() :].translate(_SEPARATORS)}"


def _unreadable(plain: str, after_plus: str) -> str:
    """Why a text that begins with a plus sign is not a number."""
    if "+" in after_plus:
        return f"is not E.164: has more than one plus sign; give one number, such as {EXAMPLE}"
    if _EXTENSION.search(plain):
        return "is not E.164: has an extension, which cannot be dialled; leave it out"
    strange = re.search("[^0-9]", after_plus)
    assert strange is not None
    one = strange.group()
    shown = f"“{one}”" if one.isprintable() else f"U+{ord(one):04X}"
    return f"is not E.164: has the character {shown}; must be + and 7 to 15 digits, such as {EXAMPLE}"


def country(number: str) -> str:
    """The country of an E.164 number: its ISO 3166 code (`GB`), or its calling code (`+800`) if no country has it."""
    import phonenumbers

    parsed = phonenumbers.parse(number)
    return _country(parsed.country_code or 0, phonenumbers.region_code_for_number(parsed))


def _country(code: int, region: str | None) -> str:
    import phonenumbers

    region = region or phonenumbers.region_code_for_country_code(code)
    return region if region.isalpha() and region != "ZZ" else f"+{code}"


def located(number: str) -> tuple[str, frozenset[str], tuple[str, ...]]:
    """`country`, `countries` and `time_zones` of an E.164 number, faster than one by one."""
    import phonenumbers

    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return "ZZ", frozenset(), _zones_of_the_world()
    code, region = parsed.country_code or 0, phonenumbers.region_code_for_number(parsed)
    return _country(code, region), _countries(code, region), _time_zones(number, parsed)


_MOBILE_AREA_CODES = frozenset({1, 52, 54, 55})
"""Country codes whose mobile numbers have area codes: North America, Mexico, Argentina, Brazil."""


def time_zones(number: str) -> tuple[str, ...]:
    """IANA zones that an E.164 number may be in, by its prefix (libphonenumber's data). A number need not be valid by
    these data, since the network has newer area codes.

    If a prefix shows no place (mobile and toll-free numbers, area codes missing in the data), these are all zones of
    the countries that share the country code, without those that have area codes of their own: for +1 the zones of the
    United States and Canada, but not of the Caribbean. A code of no country (satellites, +800): all zones of the world.
    """
    import phonenumbers

    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return _zones_of_the_world()
    return _time_zones(number, parsed)


def _time_zones(number: str, parsed: "PhoneNumber") -> tuple[str, ...]:
    import phonenumbers
    from phonenumbers.phonenumberutil import is_number_type_geographical
    from phonenumbers.timezone import time_zones_for_geographical_number

    code, kind = parsed.country_code or 0, phonenumbers.number_type(parsed)
    national = number.removeprefix(f"+{code}")
    if kind == phonenumbers.PhoneNumberType.UNKNOWN:
        tells_a_place = _zone_prefix(f"{code}{national}") not in _placeless_prefixes(code)
    elif kind == phonenumbers.PhoneNumberType.MOBILE:
        tells_a_place = code in _MOBILE_AREA_CODES - {1}
    else:
        tells_a_place = is_number_type_geographical(kind, code) and _zone_prefix(f"{code}{national}") != str(code)
    return time_zones_for_geographical_number(parsed) if tells_a_place else _zones_of_territory(code, national)


def zones_of(number: str, named: str | None) -> tuple[str, ...]:
    """IANA zones of a number: the one named for it, else its `time_zones`."""
    return (named,) if named is not None else time_zones(number)


def _zones_of_territory(code: int, national: str) -> tuple[str, ...]:
    """All zones in which a national number of a country code may be: those of the country to which its leading digits
    belong (+1 876: Jamaica), else those of the countries without leading digits of their own."""
    from phonenumbers import COUNTRY_CODE_TO_REGION_CODE

    beginnings = _beginnings(code)
    for region in COUNTRY_CODE_TO_REGION_CODE[code]:
        if region in beginnings and beginnings[region].match(national):
            return _zones_of_region(code, region)
    return _zones_of_region(code, "")


@lru_cache(maxsize=512)
def _zones_of_region(code: int, region: str) -> tuple[str, ...]:
    """All zones of the prefixes with the leading digits of the region; region "": of prefixes that belong to no
    region."""
    from phonenumbers.tzdata import TIMEZONE_DATA

    beginnings, found, alone, others = _beginnings(code), set[str](), set[str](), set[str]()
    for prefix, zones in TIMEZONE_DATA.items():
        national = prefix.removeprefix(str(code))
        if not prefix.startswith(str(code)) or not national:
            continue
        owner = next((one for one, beginning in beginnings.items() if beginning.match(national)), "")
        (found if owner == region else others).update(zones)
        if owner == region and len(zones) == 1:
            alone.update(zones)
    # A prefix that several regions share (+1 879) also has zones of the others.
    of_region = {zone for zone in found if zone in alone or zone not in others}
    return tuple(sorted(of_region)) or TIMEZONE_DATA.get(str(code)) or _zones_of_the_world()


@lru_cache(maxsize=512)
def _beginnings(code: int) -> dict[str, re.Pattern[str]]:
    """The leading digits of national numbers, for the regions of a country code that have their own."""
    from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneMetadata

    regions = COUNTRY_CODE_TO_REGION_CODE[code]
    found = ((region, PhoneMetadata.metadata_for_region(region)) for region in regions)
    return {region: re.compile(data.leading_digits) for region, data in found if data and data.leading_digits}


@lru_cache(maxsize=512)
def _placeless_prefixes(code: int) -> frozenset[str]:
    """Prefixes in the data that show no place within a country code: the code alone, and those of mobile numbers."""
    import phonenumbers

    found = {str(code), ""}
    if code not in _MOBILE_AREA_CODES:
        for region in phonenumbers.COUNTRY_CODE_TO_REGION_CODE[code]:
            example = phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)
            if example is not None:
                found.add(_zone_prefix(f"{code}{example.national_number}"))
    return frozenset(found)


def _zone_prefix(digits: str) -> str:
    """The longest prefix in the data of a number without its plus sign; "" if there is none."""
    from phonenumbers.tzdata import TIMEZONE_DATA, TIMEZONE_LONGEST_PREFIX

    lengths = range(min(TIMEZONE_LONGEST_PREFIX, len(digits)), 0, -1)
    return next((digits[:length] for length in lengths if digits[:length] in TIMEZONE_DATA), "")


@lru_cache(maxsize=1)
def _zones_of_the_world() -> tuple[str, ...]:
    from phonenumbers.tzdata import TIMEZONE_DATA

    return tuple(sorted({zone for zones in TIMEZONE_DATA.values() for zone in zones}))


def countries(number: str) -> frozenset[str]:
    """ISO 3166 codes of the countries that the number may be in: one, or all of its country code if the number is
    unknown."""
    import phonenumbers

    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return frozenset()
    return _countries(parsed.country_code or 0, phonenumbers.region_code_for_number(parsed))


@lru_cache(maxsize=4096)
def _countries(code: int, region: str | None) -> frozenset[str]:
    """The region if it is known, else all regions of the country code."""
    import phonenumbers

    return frozenset([region] if region else phonenumbers.region_codes_for_country_code(code))
