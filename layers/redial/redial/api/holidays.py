"""Public holidays of countries and their subdivisions, as dates.

The library takes most of a second to load, so only a request that names a country loads it. Only the dates are stored,
for the year of the request and the next.
"""

import re
from collections.abc import Sequence
from datetime import date

from typing_extensions import TypedDict

REGION = re.compile("[A-Z]{2}(-[A-Z0-9]{1,3})?")
"""A country (ISO 3166-1), optionally with a subdivision (ISO 3166-2): `FR`, `US-CA`."""
MAX_REGIONS = 4


class Holiday(TypedDict):
    """A public holiday."""

    date: str
    region: str
    name: str


def holidays_of(regions: Sequence[str], today: date) -> list[Holiday]:
    """The public holidays of this year and the next, by date; names in the country's language. Raises `ValueError` for
    an unknown region, with the reason as a predicate without its subject."""
    found: list[Holiday] = []
    for region in regions:
        days = _of_region(region, (today.year, today.year + 1))
        found += [Holiday(date=day.isoformat(), region=region, name=name) for day, name in days.items()]
    return sorted(found, key=lambda one: (one["date"], one["region"]))


def known_until(today: date) -> date:
    """The last date for which `holidays_of` returns holidays."""
    return date(today.year + 1, 12, 31)


def _of_region(region: str, years: tuple[int, ...]) -> dict[date, str]:
    from holidays import country_holidays  # 0.7 seconds

    country, _, subdivision = region.partition("-")
    try:
        return dict(country_holidays(country, subdiv=subdivision or None, years=years))
    except NotImplementedError as error:
        raise ValueError(f"must be a country, or a part of one, such as FR or US-CA; {region} is not known") from error
