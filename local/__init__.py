"""The whole system on one machine, never deployed: `python -m local` and `python -m local demo`.

The functions' handlers run on an emulated AWS (`local.aws`: moto, with stricter parts), an emulated carrier
(`local.carriers`), a webhook inbox (`local.web`) and a movable clock. `local.stack` puts them together.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
"""The repository."""

for folder in (ROOT, ROOT / "layers" / "redial"):  # the packages `functions` and `redial`
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
