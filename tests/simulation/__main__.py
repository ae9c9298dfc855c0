"""`make simulate`: many seeds with progress, or one with its timeline.

make simulate SEEDS=1000 FIRST=1            seeds 1 to 1000, on all cores
make simulate SEEDS=1000 FIRST=1 LONG=1     the same seeds in long worlds: 30 hours or more of faults in each
make simulate SEED=48213 [LONG=1]           that seed, as a timeline

The exit status is 1 if a seed found a violation, or if a promise was never checked.
"""

import argparse
import multiprocessing
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from datetime import timedelta

from tests.simulation.campaign import MODEL, Result, run_long, run_seed, unchecked
from tests.simulation.fault_points import BOUNDS, HEADING, measure
from tests.simulation.faults import KINDS
from tests.simulation.invariants import PROMISES

Run = Callable[[int], Result]


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, help="one seed, with its timeline")
    parser.add_argument("--seeds", type=int, default=100, help="how many (default: %(default)s)")
    parser.add_argument("--first", type=int, default=1, help="the first seed (default: %(default)s)")
    parser.add_argument("--long", action="store_true", help="long worlds")
    parser.add_argument("--recoveries", action="store_true", help="measure the delay caused by one fault")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (default: one a core)")
    arguments = parser.parse_args(argv)
    if arguments.recoveries:
        return _recoveries()
    run = run_long if arguments.long else run_seed
    if arguments.seed is not None:
        return _one(run, arguments.seed)
    return _many(run, range(arguments.first, arguments.first + arguments.seeds), arguments.jobs)


def _recoveries() -> int:
    print(HEADING)
    broken = [one for bound in BOUNDS for one in measure(bound, report=print)]
    print("\n".join(broken))
    return 1 if broken else 0


def _one(run: Run, seed: int) -> int:
    result = run(seed)
    print("\n".join(result.lines))
    print(f"\nSeed {seed}: {result.executions} executions, {result.calls} calls, {result.requests} AWS requests,")
    print(
        f"{result.hours:.0f} simulated hours, {result.converged_after} of them to converge. Trace {result.digest[:16]}."
    )
    print("Faults:", ", ".join(f"{count} × {kind}" for kind, count in sorted(result.injected.items())))
    _print_violations(run, result)
    return 1 if result.violations else 0


def _many(run: Run, seeds: range, jobs: int) -> int:
    started = time.monotonic()
    totals: Counter[str] = Counter()
    injected: Counter[str] = Counter()
    checked: Counter[str] = Counter()
    broken: list[int] = []
    longest = timedelta()
    for done, result in enumerate(_results(run, seeds, jobs), start=1):
        injected += result.injected
        checked += result.checked
        totals.update(
            executions=result.executions, calls=result.calls, requests=result.requests, minutes=int(result.hours * 60)
        )
        longest = max(longest, result.converged_after or timedelta())
        if result.violations:
            broken.append(result.seed)
            _progress("")
            _print_violations(run, result)
        seconds = time.monotonic() - started
        left = timedelta(seconds=int(seconds / done * (len(seeds) - done)))
        _progress(f"{done} of {len(seeds)} seeds, {len(broken)} with violations, {left} left")
    _progress("")
    minutes = (time.monotonic() - started) / 60
    hours = totals["minutes"] / 60
    print(f"{len(seeds)} seeds from {seeds[0]} on: {len(broken)} with violations")
    print(f"{totals['executions']:,} executions, {totals['calls']:,} calls, {totals['requests']:,} AWS requests")
    print(f"{hours:,.0f} simulated hours in {minutes:.1f} minutes: {hours / minutes:,.0f} a minute")
    print(f"converged within {longest} of the end of all faults\n")
    print(f"{'fault':50} {'injected':>9}")
    for kind in KINDS:
        print(f"{kind:50} {injected[kind]:>9,}")
    print(f"\n{'promise':50} {'checked':>9}")
    for promise in (*PROMISES, MODEL):
        print(f"{promise:50} {checked[promise]:>9,}")
    never = unchecked(checked)
    if never:
        print(f"\nNever checked: {', '.join(never)}. Run more seeds.")
    return 1 if broken or never else 0


def _results(run: Run, seeds: range, jobs: int) -> Iterator[Result]:
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, spawn, initializer=signal.signal, initargs=(signal.SIGINT, signal.SIG_IGN)) as pool:
        waiting = iter(seeds)
        running = {pool.submit(run, seed) for _, seed in zip(range(2 * jobs), waiting, strict=False)}
        try:
            while running:
                done = next(as_completed(running))
                running.remove(done)
                running |= {pool.submit(run, seed) for seed in [next(waiting, None)] if seed is not None}
                yield done.result()
        except BaseException:
            for one in running:
                one.cancel()
            raise


def _print_violations(run: Run, result: Result) -> None:
    for violation in result.violations:
        print(f"seed {result.seed}: {violation.invariant}: {violation.what}")
    if result.violations:
        print(f"repeat it with: make simulate SEED={result.seed}{' LONG=1' if run is run_long else ''}")


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[2K{text}", end="", file=sys.stderr, flush=True)
    elif text.partition(" ")[0].endswith("00"):
        print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
