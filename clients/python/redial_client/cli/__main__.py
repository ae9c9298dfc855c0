"""`python -m redial_client.cli`."""

import sys

from redial_client.cli import main

sys.exit(main())
