"""Every waived check of the templates has a reason."""

import re

from tests.support.template import PATH, ROOT

A_CHECK = re.compile(r"\b(?:CKV2?_AWS_\d+|[EWI]S?\d{4})\b")


def test_every_waiver_has_its_reason_on_its_line() -> None:
    waivers = [
        line
        for path in (ROOT / ".cfnlintrc.yaml", ROOT / ".checkov.yaml", *ROOT.glob("infrastructure/*.yaml"), PATH)
        for line in path.read_text().splitlines()
        if A_CHECK.search(line)
    ]
    assert len(waivers) > 10
    assert [line for line in waivers if not re.search(r"\d\]? # \S.{20,}", line)] == []
