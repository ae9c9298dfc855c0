"""The protocol as small models, and a search through all their states. docs/protocol.md explains them.

A model gives for each state the actions that are possible, with the state after each. `on("…")` is a safeguard, which
the search can take away. It goes breadth first, so the first counterexample that it meets is a shortest one.
`fresh` stands for a version: what was read is still what is stored. A write makes all other readings stale.
"""

from collections import defaultdict, namedtuple
from collections.abc import Callable, Iterator
from typing import Any

On = Callable[[str], bool]
Steps = Iterator[tuple[str, Any]]
NOT_RELIED_ON = ("fault", "client")
"""Actions that begin so may happen, but no progress may depend on them."""
# broken: which promises a step breaks; good: from every state a good one must stay reachable, or `live` breaks
Model = namedtuple("Model", "name initial steps broken good live")
Found = namedtuple("Found", "states edges promise trace", defaults=(None, ()))


def search(model: Any, without: str | None = None) -> Any:
    """All states and steps; or, where a promise breaks, which one and a shortest way there."""
    came: dict[Any, tuple[str, ...]] = {model.initial: ()}
    order, edges, before = [model.initial], [], defaultdict(set)
    for state in order:
        for action, after in model.steps(state, lambda safeguard: safeguard != without):
            edges.append((state, action, after))
            for promise, breaks in model.broken(state, after).items():
                if breaks:
                    return Found(len(came), edges, promise, (*came[state], action))
            if after not in came:
                came[after] = (*came[state], action)
                order.append(after)
            if not action.startswith(NOT_RELIED_ON):
                before[after].add(state)
    back = [state for state in order if model.good(state)]
    reaching = set(back)
    for state in back:
        new = before[state] - reaching
        reaching |= new
        back += new
    doomed = next((state for state in order if state not in reaching), None)
    return Found(len(came), edges, *(() if doomed is None else (model.live, came[doomed])))


def put(values: Any, index: int, value: Any) -> Any:
    return (*values[:index], value, *values[index + 1 :])


# ---- dial: one execution, attempts 0 and 1, two invocations at a time, a stop, the carrier, the sweeper

RANK = {"claimed": 0, "unknown": 0, "initiated": 1, "ringing": 2, "answered": 3, "failed": 4, "completed": 4}
REPORTS = {"ringing": ("ringing",), "answered": ("ringing", "answered"), "failed": ("ringing", "answered", "failed")}
REPORTS["completed"] = ("ringing", "answered", "completed")
ANSWERS = ("accepted, rings", "refused", "not placed", "unknown, rings", "unknown, placed later", "unknown")
# timer: set, due, or missed; lost: the attempt before was given up unheard; token: the invocation that claimed
Item = namedtuple("Item", "attempt phase timer lost token", defaults=(0, "waiting", "due", False, -1))
Dial = namedtuple("Dial", "at attempt fresh", defaults=("idle", 0, False))
# heard: the attempt given up has reached its person, and that was reported before the next one was claimed
Dialling = namedtuple("Dialling", "item dials stop calls rings heard killed")


def write(s: Any, me: int = -1, at: str = "idle", **change: Any) -> Any:
    dials = [dial._replace(fresh=False) for dial in s.dials]
    if me >= 0:
        dials[me] = Dial(at, s.dials[me].attempt)
    stop = "stale" if s.stop == "fresh" else s.stop
    return s._replace(item=s.item._replace(**change), dials=tuple(dials), stop=stop)


def end(s: Any, lost: bool = False) -> Any:
    last = s.item.attempt == 1
    return write(s, phase="ended") if last else write(s, attempt=1, phase="waiting", timer="set", lost=lost, token=-1)


def report(s: Any, number: int, level: str, on: On) -> Any:
    item = s.item
    if number == item.attempt - 1 and item.lost and item.phase == "waiting":
        if on("a lost attempt is reopened by its report"):
            return report(write(s, **Item(number, "unknown")._asdict()), number, level, on)
        s = s._replace(heard=s.heard or level in ("answered", "completed"))
    own = number == item.attempt or not on("a report counts for its own attempt")
    forward = RANK[level] > RANK.get(item.phase, 9) or not on("a report moves forward only")
    if item.phase not in RANK or not own or not forward:
        return s
    return end(s) if level == "failed" else write(s, phase="ended" if level == "completed" else level)


def dial_steps(s: Any, on: On) -> Steps:
    item, call = s.item, s.calls[s.item.attempt]
    if item.phase == "waiting" and item.timer == "set":
        yield "its time comes", s._replace(item=item._replace(timer="due"))
    elif item.phase == "waiting" and item.timer == "due":
        yield "fault: its invocation is lost", s._replace(item=item._replace(timer="missed"))
    elif item.phase == "waiting" and on("the sweeper invokes dial again"):
        yield "sweeper: invokes dial again", s._replace(item=item._replace(timer="due"))
    if item.phase == "claimed":
        yield "deliver writes", write(s)
    for me, dial in enumerate(s.dials):
        yield from ((f"dial {me + 1}: {action}", after) for action, after in invocation(s, me, dial, on))
        if dial.at != "idle" and not s.killed:
            yield f"fault: dial {me + 1} is killed", s._replace(dials=put(s.dials, me, Dial()), killed=True)
    if s.stop == "none" and item.phase == "waiting":
        yield "client: stop reads", s._replace(stop="fresh")
    elif s.stop == "fresh" or (s.stop == "stale" and not on("stop over the version read")):
        yield "client: stop writes, is answered", write(s, phase="stopped", lost=False)._replace(stop="answered")
    elif s.stop == "stale":
        yield "client: stop reads again", s._replace(stop="none")
    for number, made in enumerate(s.calls):
        if made == "later":
            yield f"carrier: places call {number + 1} late", ring(s, number)
        for after in {"ringing": ("answered", "failed"), "answered": ("failed", "completed")}.get(made, ()):
            yield f"carrier: call {number + 1} is {after}", s._replace(calls=put(s.calls, number, after))
        for level in REPORTS.get(made, ()):  # in any order, late, repeated, or never
            yield f"report: call {number + 1} is {level}", report(s, number, level, on)
    if item.phase in RANK and on("the sweeper asks about a call"):
        dialling = any(dial.at not in ("idle", "read") for dial in s.dials) and on("the deadline outlasts dial")
        if call in RANK:
            yield "sweeper: finds the call", report(s, item.attempt, call, on)
        elif not dialling:
            yield "sweeper: gives the attempt up", end(s, lost=True)


def ring(s: Any, number: int) -> Any:
    rings = put(s.rings, number, s.rings[number] + 1)
    return s._replace(calls=put(s.calls, number, "ringing"), rings=rings)


def invocation(s: Any, me: int, dial: Any, on: On) -> Steps:
    def to(at: str, attempt: int = dial.attempt, fresh: bool = False) -> Any:
        return s._replace(dials=put(s.dials, me, Dial(at, attempt, fresh)))

    item, at, over = s.item, dial.at, to("idle", 0)
    if at == "idle":
        due = item.timer == "due" or (item.timer == "set" and not on("dial asks for the time"))
        if item.phase == "waiting" and due:
            yield "reads", to("read", item.attempt, True)
    elif at == "claimed" or (at == "read" and not on("claim, then ask the carrier")):
        for answer in ANSWERS:
            asked = to(f"asked: {answer.split(',')[0]}")
            if "later" in answer:
                asked = asked._replace(calls=put(s.calls, dial.attempt, "later"))
            yield f"asks: {answer}", ring(asked, dial.attempt) if "rings" in answer else asked
    elif at == "read" and (dial.fresh or not on("claim over the version read")):
        claim = {"attempt": dial.attempt, "phase": "claimed", "timer": "due", "token": me}
        yield "claims", write(s, me, "claimed", **claim)
        yield "fault: claims, answer lost", write(s, me, "unsure", **claim)
        if dial.fresh:
            yield "is too late, ends it", write(s, me, phase="ended", lost=False)
    elif at == "read":
        yield "its claim is refused", to("unsure")
    elif at == "unsure":
        token = item.token == me or not on("a claim has its own token")
        own = item[:2] == (dial.attempt, "claimed") and token and on("a refused claim is looked up by its token")
        yield ("finds its own claim", to("claimed")) if own else ("leaves", over)
    else:
        waits = at == "asked: not placed" or not on("an unknown answer is a result")
        if at == "asked: accepted":
            over = report(over, dial.attempt, "initiated", on)
        elif item[:2] == (dial.attempt, "claimed"):
            over = end(over) if at == "asked: refused" else write(over, phase="waiting" if waits else "unknown")
        yield at.replace("asked:", "records"), over


def dial_broken(before: Any, after: Any) -> dict[str, bool]:
    old, new = before.item, after.item
    claimed = new.phase == "claimed" != old.phase
    asks = [now for was, now in zip(before.dials, after.dials, strict=True) if now.at[:5] == "asked" != was.at[:5]]
    forward = old.attempt == new.attempt and RANK.get(new.phase, 9) < RANK.get(old.phase, -1)
    at_work = after.killed or any(dial.at not in ("idle", "read") for dial in after.dials)
    return {
        "at most one call per attempt": max(after.rings) > 1,
        "no dial before its time": claimed and old.timer == "set",
        "who was reached is not rung again": claimed and after.heard,
        "no dial after an answered stop": bool(asks) and before.stop == "answered",
        "no dial of an attempt that ended": any(one.attempt != new.attempt for one in asks),
        "a status moves forward only": forward,
        "an attempt says what its call says": RANK.get(new.phase, 0) > RANK.get(after.calls[new.attempt], 0),
        "what is claimed is dialled unless dial is killed": new.phase == "claimed" and not at_work,
    }


DIALLING = Dialling(Item(), (Dial(), Dial()), "none", ("-", "-"), (0, 0), False, False)
ENDS = ("ended", "stopped")
DIAL = Model("dial", DIALLING, dial_steps, dial_broken, lambda s: s.item.phase in ENDS, "every execution ends")

# ---- line: one line, calls A (invoked twice), B (in the queue), C (comes later); one pause, hold, stop or kill

# a job is an invocation at a step; own: since it took the line, no other has taken it for this call; to: who is next
Job = namedtuple("Job", "at who fresh own to", defaults=(True, True, -1))
Lines = namedtuple("Lines", "phases holders queue jobs quiet killed")


def change(s: Any, who: int, phase: str, *following: Any) -> Any:
    jobs = [job._replace(fresh=False) if job.who == who else job for job in s.jobs]
    return s._replace(phases=put(s.phases, who, phase), jobs=tuple(sorted((*jobs, *following))))


def hold(s: Any, give: int | None, take: int, following: Any) -> Any:
    jobs = [job._replace(own=False) if job.who == take else job for job in s.jobs]
    return s._replace(holders=s.holders - {give} | {take}, jobs=tuple(sorted((*jobs, following))))


def line_steps(s: Any, on: On) -> Steps:
    for index, job in enumerate(s.jobs):
        rest = s._replace(jobs=s.jobs[:index] + s.jobs[index + 1 :])
        yield from ((f"{'ABC'[job.who]}: {action}", after) for action, after in job_steps(rest, job, on))
        if s.quiet:
            yield f"fault: {'ABC'[job.who]} is killed before it {job.at}s", rest._replace(quiet=False, killed=True)
    for who, phase in enumerate(s.phases):
        if phase == "live":
            yield f"{'ABC'[who]}: its call ends", change(s, who, "over", Job("pass", who))
            if s.quiet and who == 0:
                held = change(s, 0, "waiting", Job("read", 0))
                yield "A: nothing was placed, it keeps its line", held._replace(quiet=False)
        elif phase == "waiting" and who == 1 and s.quiet:
            yield "client: stops B", change(s, 1, "over")._replace(quiet=False, queue=s.queue - {1})
        elif phase == "paused":
            yield f"{'ABC'[who]}: is resumed", change(s, who, "waiting", Job("read", who))
        elif not s.jobs and phase == "waiting" and on("the sweeper looks at lines and queue"):
            yield f"sweeper: dials {'ABC'[who]}", s._replace(jobs=(Job("read", who),))
        elif not s.jobs and who in s.holders and on("the sweeper looks at lines and queue"):
            yield f"sweeper: frees the line of {'ABC'[who]}", s._replace(jobs=(Job("pass", who),))


def job_steps(s: Any, job: Any, on: On) -> Steps:
    def then(at: str, s: Any = s, **more: Any) -> Any:
        return s._replace(jobs=tuple(sorted((*s.jobs, job._replace(at=at, **more)))))

    at, who, phase, holds, first = job.at, job.who, s.phases[job.who], job.who in s.holders, min(s.queue, default=-1)
    free = not s.holders or not on("a line is taken if one is free")
    if at == "start":
        s = s._replace(queue=s.queue - {who})
    if at in ("read", "start"):
        after = then("acquire", s, fresh=True) if phase == "waiting" else then("pass", s) if phase == "over" else s
        yield "reads" if at == "read" else "leaves the queue, is read", after
    elif at == "acquire" and (holds or free):
        yield "takes the line", hold(s, None, who, job._replace(at="gate", own=True))
    elif at == "acquire" and on("join the queue, then look"):
        yield "joins the queue", then("look", s._replace(queue=s.queue | {who}))
    elif at == "acquire":
        yield "looks", then("join")
    elif at == "join":
        yield "joins the queue", s._replace(queue=s.queue | {who})
    elif at == "gate" and job.fresh:
        yield "claims, rings", change(s, who, "live")
        if who == 0 and s.quiet:
            yield "is paused", change(s, who, "paused", job._replace(at="pass"))._replace(quiet=False)
    elif at == "gate" and on("a line is given away after a versioned write"):
        yield "its write is refused", then("read")
    elif at == "gate":
        yield "writes nothing", then("pass")
    elif at == "pass":
        yield "looks who is next", then("give", to=min(s.queue - {who}, default=-1))
    elif at == "give":
        own = job.own or phase == "over" or not on("only who took the line last gives it away")
        mine = own and (holds or not on("only a holder hands over"))
        if job.to >= 0 and job.to not in s.holders and mine:
            give = who if on("a hand-over is one write") else None
            yield f"hands over to {'ABC'[job.to]}", hold(s, give, job.to, Job("start", job.to))
        else:
            freed = s._replace(holders=s.holders - {who}) if mine else s
            yield "frees the line", then("look", freed) if on("free a line, then look") else freed
    elif at == "look" and first >= 0 and free:
        yield f"takes it for {'ABC'[first]}", hold(s, None, first, Job("start", first))
    elif at == "look":
        yield "looks", s


def line_broken(before: Any, after: Any) -> dict[str, bool]:
    live = {who for who, phase in enumerate(after.phases) if phase == "live"}
    idle = bool(after.queue) and not (after.holders or after.jobs or after.killed)
    return {
        "a live call holds a line": not live <= after.holders,
        "a line has one holder": len(after.holders) > 1,  # so there are never more live calls than lines
        "nobody waits beside a free line": idle,
    }


JOBS = tuple(Job("acquire", who) for who in (0, 0, 2))
LINES = Lines(("waiting",) * 3, frozenset({0}), frozenset({1}), JOBS, True, False)
LINE = Model(
    "line",
    LINES,
    line_steps,
    line_broken,
    lambda s: {*s.phases} == {"over"} and not s.holders,
    "every call gets its turn",
)

# ---- stop: dial and a stop of the call's agent or batch

Stopping = namedtuple("Stopping", "dial stop marked holds stopped", defaults=(0, 0, False, False, False))


def stop_steps(s: Any, on: On) -> Steps:
    dial, stop = ["takes its line", "reads the mark", "claims"], ["marks", "looks at holders", "answers"]
    dial = dial if on("take a line, then read the mark") else [dial[1], dial[0], dial[2]]
    stop = stop if on("mark, then look at holders") else [stop[1], stop[0], stop[2]]
    for action in stop[s.stop : s.stop + 1]:
        stopped = s.stopped or (action == "looks at holders" and s.holds)
        yield f"stop: {action}", s._replace(stop=s.stop + 1, marked=s.marked or action == "marks", stopped=stopped)
    for action in dial[s.dial : s.dial + 1]:
        leaves = (action == "reads the mark" and s.marked) or (action == "claims" and s.stopped)
        after = s._replace(dial=9 if leaves else s.dial + 1, holds=not leaves and (s.holds or "takes" in action))
        yield f"dial: {action}{', leaves' if leaves else ''}", after


def stop_broken(before: Any, after: Any) -> dict[str, bool]:
    return {"no dial after an answered stop": before.dial == 2 and after.dial == 3 and before.stop == 3}


STOP = Model("stop", Stopping(), stop_steps, stop_broken, lambda s: s.stop == 3, "a stop is answered")

# ---- delivery: two events, two invocations of deliver, replays, the account's list of given-up events

Events = namedtuple("Events", "last settled replaying undelivered listed lease")
Deliver = namedtuple("Deliver", "at read answer", defaults=("idle", None, ""))
Delivering = namedtuple("Delivering", "item delivers taken killed")


def pending(item: Any) -> list[int]:
    return [*sorted(item.replaying), *range(item.settled + 1, item.last + 1)]


def delivery_steps(s: Any, on: On) -> Steps:
    item = s.item
    if item.last == 1:
        yield "event 2 happens", s._replace(item=item._replace(last=2))
    if item.undelivered:
        again = item._replace(replaying=item.replaying | item.undelivered, undelivered=frozenset(), listed=False)
        yield "client: replays", s._replace(item=again)
    for me, one in enumerate(s.delivers):
        yield from ((f"deliver {me + 1}: {action}", after) for action, after in deliver(s, me, one, on))
        if one.at != "idle" and not s.killed:
            killed = s._replace(delivers=put(s.delivers, me, Deliver()), killed=True)
            yield f"fault: deliver {me + 1} is killed", killed


def deliver(s: Any, me: int, one: Any, on: On) -> Steps:
    def to(s: Any, at: str, read: Any = one.read, answer: str = "") -> Any:
        return s._replace(delivers=put(s.delivers, me, Deliver(at, read, answer)))

    item = s.item
    if one.at == "idle":
        held = item.lease >= 0 and s.delivers[item.lease].at != "idle"
        leased = item._replace(lease=me)
        if pending(item) and (not held or not on("one lease at a time, longer than deliver runs")):
            yield "takes the lease", to(s._replace(item=leased), "tells", leased)
        return
    front = pending(one.read)[0 if on("the oldest event goes first") else -1]
    if one.at == "tells":
        yield f"event {front} is taken", to(s._replace(taken=s.taken | {front}), "saves", one.read, "taken")
        yield f"event {front} is refused for good", to(s, "saves", one.read, "gone")
        yield f"event {front} is not taken", to(s, "saves", one.read, "again")
        return
    now, gone = item if on("save over the version read") else one.read, {front} if one.answer == "gone" else set()
    if one.answer != "again":
        listed = bool(now.undelivered | gone) if on("list and give up in one write") else now.listed
        now = now._replace(settled=max(now.settled, front), replaying=now.replaying - {front}, listed=listed)
    more = bool(pending(now)) and one.answer != "again"
    saved = now._replace(undelivered=now.undelivered | gone, lease=me if more else -1)
    yield "saves", to(s._replace(item=saved), "tells" if more else "idle", saved)


def delivery_broken(before: Any, after: Any) -> dict[str, bool]:
    item, early = after.item, 2 in after.taken and 2 not in before.taken
    return {
        "no event is forgotten": item.last < before.item.last,
        "events are told in order": early and item.settled < 1 and 1 not in after.taken,
        "one invocation at a time tells": sum(one.at != "idle" for one in after.delivers) > 1,
        "what is given up is listed": bool(item.undelivered) != item.listed,
    }


DELIVERING = Delivering(Events(1, 0, frozenset(), frozenset(), False, -1), (Deliver(), Deliver()), frozenset(), False)
DELIVERY = Model(
    "delivery", DELIVERING, delivery_steps, delivery_broken, lambda s: not pending(s.item), "every event ends"
)

# ---- delayed set: contacts A and B wait until 1 and 2; `time`: from then on a look is worth it; two looks, one kill

NEVER = 9
Delayed = namedtuple("Delayed", "now contacts rows taken time looks killed")
Look = namedtuple("Look", "at time following", defaults=("idle", NEVER, NEVER))


def delayed_steps(s: Any, on: On) -> Steps:
    if s.now < 2:
        yield "time passes", s._replace(now=s.now + 1)
    for who, at in enumerate(s.contacts):
        then = {at: s._replace(contacts=put(s.contacts, who, at)) for at in ("half", "entered", "stored", "dialled")}
        after = then["half" if at == "outside" else "entered"]
        if at in ("outside", "half") and (at == "outside") == on("put the entry, then lower the time"):
            yield f"{'AB'[who]}: puts its entry", after._replace(rows=s.rows | {who})
        elif at in ("outside", "half"):
            yield f"{'AB'[who]}: lowers the time", after._replace(time=min(s.time, who + 1))
        elif at == "entered":
            yield f"{'AB'[who]}: is stored as waiting in the set", then["stored"]
        elif at == "taken":
            left = then["dialled"]._replace(rows=s.rows - {who}, taken=s.taken - {who})
            yield f"{'AB'[who]}: is dialled, leaves", left
            if not s.killed:
                yield f"fault: dial of {'AB'[who]} is killed", then["stored"]._replace(killed=True)
        elif at == "stored" and who in s.taken:
            yield f"{'AB'[who]}: may be taken again", s._replace(taken=s.taken - {who})
    for me, look in enumerate(s.looks):
        yield from ((f"look {me + 1}: {action}", after) for action, after in look_steps(s, me, look, on))
        if look.at != "idle" and not s.killed:
            yield f"fault: look {me + 1} is killed", s._replace(looks=put(s.looks, me, Look()), killed=True)


def look_steps(s: Any, me: int, look: Any, on: On) -> Steps:
    def to(s: Any, *look: Any) -> Any:
        return s._replace(looks=put(s.looks, me, Look(*look)))

    ready = [who for who in sorted(s.rows - s.taken) if who < s.now and s.contacts[who] == "stored"]
    if look.at == "idle":
        if s.time <= s.now:
            yield "reads the time", to(s, "looks", s.time)
        if on("the check lowers the time"):
            yield "checks", to(s, "lowers")
    elif look.at == "looks" and ready:
        rows = s.rows if on("a taken entry stays until its dial") else s.rows - {ready[0]}
        taken = s._replace(contacts=put(s.contacts, ready[0], "taken"), taken=s.taken | {ready[0]}, rows=rows)
        yield f"takes {'AB'[ready[0]]}", to(taken)
    elif look.at == "looks":
        yield "finds nobody ready", to(s, "moves", look.time, min((who + 1 for who in s.rows), default=NEVER))
    elif look.at == "moves" and s.time == look.time:
        again = "lowers" if on("move the time, then look again") else "idle"
        yield "moves the time", to(s._replace(time=look.following), again)
    elif look.at == "moves":
        yield "finds the time changed", to(s)
    elif look.at == "lowers":
        yield "lowers the time", to(s._replace(time=min([s.time, *(who + 1 for who in s.rows)])))


def delayed_broken(before: Any, after: Any) -> dict[str, bool]:
    busy = after.killed or any(look.at != "idle" for look in after.looks)
    busy = busy or bool({"half", "entered", "taken"} & {*after.contacts})
    return {"the time is not later than the first entry": not busy and after.time > min(after.rows, default=NEVER) + 1}


SET, DONE = Delayed(0, ("outside",) * 2, frozenset(), frozenset(), NEVER, (Look(), Look()), False), ("dialled",) * 2
DELAYED = Model("delayed set", SET, delayed_steps, delayed_broken, lambda s: s.contacts == DONE, "nobody is forgotten")
MODELS = (DIAL, LINE, STOP, DELIVERY, DELAYED)
