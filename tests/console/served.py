"""The console as a browser receives it, without a browser."""

import gzip
import re

from tests.support.local_stack import Answer, request


def served(url: str) -> dict[str, Answer]:
    """All that a browser loads for the console of the stack at `url`, as sent: the page under "", and the files that it
    names under their paths. Bodies are compressed."""
    compressed = {"Accept-Encoding": "gzip"}
    page = request("GET", f"{url}/console", headers=compressed)
    names = re.findall(r'(?:src|href)="(/console/[^"]+)"', gzip.decompress(page.body).decode())
    return {"": page, **{name: request("GET", url + name, headers=compressed) for name in names}}
