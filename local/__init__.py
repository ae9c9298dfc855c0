"""The whole system on one machine, never deployed: `python -m local`, and `python -m local demo`.

The functions' own handlers run here on an emulated AWS (moto, and stricter parts where moto is lenient), an
emulated carrier, a webhook inbox and a clock that can be moved. See `local.stack` for how it fits together.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
"""The repository."""

for folder in (ROOT, ROOT / "layers" / "redial"):  # where functions and, as their layer, redial are found
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
