"""Presets of calling rules are regularly reviewed against their sources."""

from datetime import UTC, date, datetime, timedelta

from redial.api.presets import presets

TODAY = datetime.now(UTC).date()
HOW = (
    "compare its rules with its source, correct them in layers/redial/redial/api/presets.toml if need be, and set as_of"
    " to the day on which you did that, and review_by to a day at most a year later"
)


def test_no_preset_is_overdue_for_review() -> None:
    overdue = [
        f"{preset['name']} ({preset['url']})"
        for preset in presets().values()
        if preset["review_by"] is not None and date.fromisoformat(preset["review_by"]) < TODAY
    ]
    assert not overdue, f"the time to review {', '.join(overdue)} is over: {HOW}"


def test_every_rule_of_a_country_has_a_source_and_says_what_it_does_not_cover() -> None:
    legal = [one for one in presets().values() if one["source"] is not None]
    assert len(legal) >= 9
    for preset in legal:
        assert preset["url"] is not None and preset["url"].startswith("https://")
        assert preset["not_covered"]
        assert preset["as_of"] is not None and preset["review_by"] is not None
        as_of, review_by = date.fromisoformat(preset["as_of"]), date.fromisoformat(preset["review_by"])
        assert as_of < review_by <= as_of + timedelta(days=366)
