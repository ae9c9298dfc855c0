"""Longer and larger worlds: days of faults, starts days ahead, contended line shards, hundreds of queued calls.

As in short worlds, everything follows from the seed. Long worlds add batches that are older than a day when they
start, agents with several small line shards, clients that repeat a request hours later under its Idempotency-Key (also
after they deleted what it created), outages of hours, and rotated credentials.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from unittest import mock

from redial.usecases import dispatch
from tests.simulation.population import AREAS, Actions, Client, Population
from tests.simulation.world import HOUR, START, World

MOST_REQUESTS = 1_000_000
KEY_IS_KNOWN_SECONDS = 22 * HOUR
"""Requests are repeated only while their key is certainly remembered: 24 hours from the first request."""


class LongPopulation(Population):
    """All clients of one long world."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.chaos_seconds = float(int(self._between(30, 48))) * HOUR
        self.lines_per_shard = self._pick((2, 3, 5, 50))
        self.limits = (1, 2, 3, 5, 7, 9)
        self.later = (130.0, 60 * HOUR) if self._hit(0.5) else (130.0, 6 * HOUR)
        self.batch_later = (130.0, 50 * HOUR) if self._hit(0.5) else (130.0, 4 * HOUR)
        self.rows = (2, 14)
        self.intervals = (1, 2, 5, 20, 60, 240)
        world.most_requests = MOST_REQUESTS

    @contextmanager
    def setting(self) -> Iterator[None]:
        with mock.patch.object(dispatch, "LINES_PER_SHARD", self.lines_per_shard):
            yield

    def populate(self) -> None:
        world = self.world
        self._policies()
        for index in range(2 + int(self._between(0, 3))):
            self._agent(index, int(self._hit(0.3)))
        chaos = self.chaos_seconds
        bursts = [self._between(0, chaos * 0.8) for _ in range(3 + int(self._between(0, 3)))]
        for _ in range(int(self._between(15, 30))):
            alone = self._hit(0.6)
            seconds = self._between(0, chaos * 0.9) if alone else self._pick(bursts) + self._between(0, 4)
            self._later(seconds, self._call, self._pick(self.clients))
        for _ in range(1 + int(self._between(0, 4))):
            self._later(self._between(0, chaos * 0.7), self._batch, self._pick(self.clients))
        if self._hit(0.3):
            self._crowd(self._pick(self.clients), int(self._between(60, 220)), self._between(0, chaos * 0.6))
        actions: Actions = [
            (self._stop_call, 8),
            (self._stop_agent, 1.2),
            (self._stop_batch, 0.6),
            (self._pause, 2),
            (self._delete_batch, 0.8),
            (self._limit, 3),
            (self._replay, 3),
            (self._spy, 2),
            (self._look, 4),
            (self._read_lists, 1),
            (self._repeat, 8),
        ]
        self._act(actions, bursts)
        self._rules_about_numbers()
        for client in self.clients:
            if world.faults.rates["endpoint down"] and self._hit(0.5):
                self._endpoint_fails(client, 12 * HOUR)
        if not world.faults.calm and self._hit(0.5):
            begin = START + timedelta(seconds=self._between(0, chaos * 0.8))
            world.carrier_down = (begin, begin + timedelta(seconds=self._between(60, 5 * HOUR)))
        if world.faults.rates["credentials rotated"]:
            for _ in range(1 + int(self._between(0, 3))):
                self._later(self._between(0, chaos * 0.95), world.rotate_credentials)
        self._account_faults()

    def _crowd(self, client: Client, calls: int, seconds: float) -> None:
        """Many calls at once, as single calls or as one batch."""
        if self._hit(0.5):
            self._later(seconds, self._batch, client, calls)
        else:
            for number in range(calls):
                self._later(seconds + number * 0.05, self._call, client)

    def _seen_number(self) -> str:
        return self._numbered(int(self._between(1, self._numbers + 0.99)))

    @staticmethod
    def _numbered(count: int) -> str:
        return f"+1{AREAS[count % len(AREAS)]}{201 + count // 7000}{1000 + count % 7000:04d}"

    def _repeat(self, client: Client) -> None:
        """A job queue sends an old request again: the same bytes under the same key."""
        limit = self.world.now - timedelta(seconds=KEY_IS_KNOWN_SECONDS)
        known = [one for one in self.made if one.client is client and one.at > limit]
        if known:
            one = self._pick(known)
            self._ask(client, "POST", one.path, one.body, headers=dict(one.headers), made=True, tries=2)
