"""The kinds of faults, and how often they occur: each rate is drawn from the seed, each injection is counted.

The kinds are taken from the services' documentation and their incidents. A seed has only some kinds, so that rare
combinations are not hidden by frequent ones (https://www.cs.utah.edu/~regehr/papers/swarm12.pdf).
"""

from collections import Counter
from collections.abc import Mapping
from random import Random

KINDS: dict[str, float] = {
    # AWS, each request
    "aws request lost": 0.02,  # before it took effect
    "aws answer lost": 0.02,  # after it took effect
    "aws throttled": 0.02,
    "aws error 500": 0.01,
    "aws slow": 0.08,
    "index stale": 0.2,  # each query of an index
    # Lambda, each request of a function, then each asynchronous invocation
    "function killed": 0.006,
    "function stalled": 0.002,  # a request that takes longer than the function may run
    "invoked twice": 0.08,
    "invoked late": 0.08,
    "invoked hours late": 0.01,
    "invocation lost": 0.03,
    "clock skew": 1.0,  # of every invocation, drawn from its id
    # EventBridge Scheduler, each schedule
    "schedule up to 60 s late": 0.7,
    "schedule hours late": 0.03,
    "schedule twice": 0.1,
    "schedule never": 0.06,
    "two sweepers": 0.3,  # each run
    # the carrier, each request
    "carrier not reached": 0.05,
    "carrier timeout before placing": 0.05,
    "carrier timeout after placing": 0.07,
    "carrier 429": 0.06,
    "carrier 5xx before placing": 0.04,
    "carrier 5xx after placing": 0.04,
    "carrier slow": 0.15,
    "carrier cannot be asked": 0.3,
    # its callbacks, each
    "callback missing": 0.12,
    "callback twice": 0.15,
    "callback late": 0.15,  # and therefore out of order
    "callback forged": 0.1,
    # a customer's endpoint: for a time, then each request
    "endpoint down": 0.4,
    "endpoint 500": 0.06,
    "endpoint 410": 0.02,
    "endpoint 429": 0.03,
    "endpoint hangs": 0.03,
    "endpoint slow": 0.08,
    "endpoint took it without an answer": 0.05,
    # an API client, each request
    "client lost the answer": 0.1,
    # DynamoDB, each read that may lag
    "read stale": 0.3,
    # requests for many items
    "batch get partial": 0.2,
    "batch statements partial": 0.3,
    "batch statements partial, though they took effect": 0.2,
    # later and earlier than the services promise
    "invoked a day late": 0.008,
    "schedule early": 0.1,
    "callback hours late": 0.04,
    "carrier places late": 0.04,
    "carrier does not find a call": 0.2,
    # during the run: at times drawn from the seed, or for each invocation
    "credentials rotated": 1.0,
    "environment replaced": 0.02,
    "stored by a newer version": 0.2,
    # for a time drawn from the seed, each request to place a call within its scope
    "fault of the account": 1.0,
    # an agent's scrub or pre-dial hook: for a time, then each question
    "question endpoint down": 0.5,
    "question not answered": 0.06,
    "question 500": 0.06,
    "question answered with nonsense": 0.06,
    "question slow": 0.15,
}
"""Every kind of fault, and the highest rate at which it is injected."""

LARGEST_SKEW_SECONDS = 1.0
"""The largest error of a function's clock, either way. Lambda's clocks follow Amazon Time Sync and are far closer."""


CALM = {"aws slow": 0.2, "carrier slow": 0.3, "endpoint slow": 0.3, "schedule up to 60 s late": 1.0}
"""Rates of a good day: no failures, only latency. The promises for good days must hold."""


class Faults:
    """The faults of one run. `active` is false during set-up and after the faults have ended."""

    def __init__(self, seed: int, rates: Mapping[str, float] | None = None) -> None:
        """`rates`: only these kinds; None: the seed chooses kinds and rates."""
        choice = Random(f"{seed} which faults")
        self.active = False
        self.injected: Counter[str] = Counter()
        self.rates: dict[str, float] = {}
        for kind, most in KINDS.items():
            drawn = most * (0.2 + 0.8 * choice.random()) if choice.random() < 0.6 else 0.0
            self.rates[kind] = drawn if rates is None else rates.get(kind, 0.0)
        self.calm = bool(rates) and rates is not None and rates.keys() <= CALM.keys()
        self._chance = Random(f"{seed} faults")

    def strikes(self, kind: str) -> bool:
        """Whether this fault is injected now; an injection is counted."""
        rate = self.rates[kind]
        if not self.active or not rate or self._chance.random() >= rate:
            return False
        self.injected[kind] += 1
        return True

    def skew_seconds(self, request_id: str) -> float:
        """That invocation's clock error."""
        if not self.active or not self.rates["clock skew"]:
            return 0.0
        self.injected["clock skew"] += 1
        return LARGEST_SKEW_SECONDS * (2 * Random(f"skew {request_id}").random() - 1)

    def is_newer(self, request_id: str) -> bool:
        """Whether that invocation runs a newer version of the code."""
        rate = self.rates["stored by a newer version"]
        if not self.active or not rate or Random(f"newer {request_id}").random() >= rate:
            return False
        self.injected["stored by a newer version"] += 1
        return True

    def between(self, low: float, high: float) -> float:
        """A random number in this range, usually of seconds."""
        return low + (high - low) * self._chance.random()

    def one_in(self, count: int) -> bool:
        """True with a probability of 1 in `count`."""
        return self._chance.random() * count < 1
