"""AWS SAM's own transform: read a template without loops from standard input, and write plain CloudFormation as JSON.

Run by infrastructure/dist.py with the Python of .venv-sam, in which SAM is installed.
"""

import json
import logging
import sys

from samtranslator.translator.transform import transform


class _ManagedPolicies:
    """The template names no managed policy of AWS's, so none is looked up in an account."""

    def load(self) -> dict[str, str]:
        return {}


if __name__ == "__main__":
    logging.disable(logging.WARNING)  # of feature toggles that only SAM's own service has
    json.dump(transform(json.load(sys.stdin), {}, _ManagedPolicies()), sys.stdout)
