"""The protocol as small models. docs/protocol.md explains them, tests/protocol/notation.py how they are written.

A line is a step: its name ? when it is possible → what it changes; or a promise ? when a step has broken it.
`fresh` stands for a version: what was read is still what is stored. A write makes all other readings stale.
"""

from collections import namedtuple
from typing import Any

from tests.protocol.notation import model

RANK = {"claimed": 0, "unknown": 0, "initiated": 1, "ringing": 2, "answered": 3, "failed": 4, "completed": 4}
NEXT = {"ringing": ("answered", "failed"), "answered": ("failed", "completed")}
REPORTS = {"ringing": ("ringing",), "answered": ("ringing", "answered"), "failed": ("ringing", "answered", "failed")}
REPORTS["completed"] = ("ringing", "answered", "completed")
ASKED = ("accepted", "refused", "not placed", "unknown")

# one execution, attempts 0 and 1, two invocations of dial at a time, a stop, the carrier, the sweeper
# timer: ahead, due or missed; lost: the attempt before was given up unheard; token: the invocation that claimed
# heard: the attempt given up has reached its person, and that was reported before the next one was claimed
DIAL = model("dial", """
    start phase = waiting; attempt = 0; timer = due; lost = False; token = -1; stop = none; heard = False;
        at = (idle, idle); sees = (0, 0); fresh = (False, False); calls = (none, none); rings = (0, 0); killed = False
    let WRITE = fresh = [False, False]; stop = stale if stop == read else stop
    let ITEM = phase, attempt, timer, lost, token
    let ENDED = ((ended, 1, due, False, -1) if attempt else (waiting, 1, ahead, False, -1))
    let END = WRITE; ITEM = ENDED
    let HEAR(level) = WRITE; ITEM = ENDED if level == failed else (ended if level == completed else level, attempt,
        timer, lost, token)
    let NEWS(n, level) = (phase in RANK and level in RANK
        and (n == attempt or not «a report counts for its own attempt»)
        and (RANK[level] > RANK[phase] or not «a report moves forward only»))
    let SENT = level in REPORTS.get(calls[n], ())
    let LATE = (SENT and n < attempt and lost and phase == waiting)
    let LEAVE = at[i], sees[i], fresh[i] = idle, 0, False
    let CLAIM = WRITE; phase, attempt, timer, token = claimed, sees[i], due, i
    let MINE = (phase == claimed and attempt == sees[i])
    let OWN = (MINE and (token == i or not «a claim has its own token») and «a refused claim is looked up by its token»)
    let READY = at[i] == read and «claim, then ask the carrier»
    let BUSY = any(one not in (idle, read) for one in at)
    let ASKS = [one for one in (0, 1) if at[one] in ASKED and was.at[one] not in ASKED]

    its time comes ? phase == waiting and timer == ahead → timer = due
    fault: its invocation is lost ? phase == waiting and timer == due → timer = missed
    sweeper: invokes dial again ? phase == waiting and timer == missed and «the sweeper invokes dial again»
        → timer = due
    deliver writes ? phase == claimed → WRITE

    dial <i + 1>: reads
        ? at[i] == idle and phase == waiting and (timer == due or timer == ahead and not «dial asks for the time»)
        → at[i], sees[i], fresh[i] = read, attempt, True
    dial <i + 1>: claims ? READY and (fresh[i] or not «claim over the version read») → CLAIM; at[i] = claimed
    dial <i + 1>: fault: claims, answer lost
        ? READY and (fresh[i] or not «claim over the version read») → CLAIM; at[i] = unsure
    dial <i + 1>: is too late, ends it ? READY and fresh[i] → WRITE; LEAVE; phase, lost = ended, False
    dial <i + 1>: its claim is refused ? READY and not fresh[i] and «claim over the version read» → at[i] = unsure
    dial <i + 1>: finds its own claim ? at[i] == unsure and OWN → at[i] = claimed
    dial <i + 1>: leaves ? at[i] == unsure and not OWN → LEAVE
    dial <i + 1>: asks: <answer> ? at[i] == claimed or at[i] == read and not «claim, then ask the carrier»
        → at[i], fresh[i] = answer.split(",")[0], False; rings[sees[i]] += "rings" in answer;
        calls[sees[i]] = ringing if "rings" in answer else later if "later" in answer else calls[sees[i]]
    dial <i + 1>: records accepted
        ? at[i] == accepted and NEWS(sees[i], initiated) → HEAR(initiated); LEAVE
    dial <i + 1>: records refused ? at[i] == "refused" and MINE → END; LEAVE
    dial <i + 1>: records not placed ? at[i] == "not placed" and MINE → WRITE; LEAVE; phase = waiting
    dial <i + 1>: records unknown ? at[i] == unknown and MINE
        → WRITE; LEAVE; phase = unknown if «an unknown answer is a result» else waiting
    dial <i + 1>: has nothing to record
        ? at[i] in ASKED and not (NEWS(sees[i], initiated) if at[i] == accepted else MINE) → LEAVE
    fault: dial <i + 1> is killed ? at[i] != idle and not killed → LEAVE; killed = True

    client: stop reads ? stop == none and phase == waiting → stop = read
    client: stop writes, is answered ? stop == read or stop == stale and not «stop over the version read»
        → WRITE; phase, lost, stop = stopped, False, answered
    client: stop reads again ? stop == stale and «stop over the version read» → stop = none

    carrier: places call <n + 1> late ? calls[n] == later → calls[n] = ringing; rings[n] += 1
    carrier: call <n + 1> is <level> ? level in NEXT.get(calls[n], ()) → calls[n] = level
    report: call <n + 1> is <level> ? SENT and NEWS(n, level) → HEAR(level)
    report: call <n + 1> is <level> ? LATE and «a lost attempt is reopened by its report»
        → ITEM = unknown, n, due, False, -1; HEAR(level)
    report: call <n + 1> is <level> ? LATE and not «a lost attempt is reopened by its report»
        → heard = heard or level in (answered, completed)
    sweeper: finds the call ? «the sweeper asks about a call» and level == calls[attempt] and NEWS(attempt, level)
        → HEAR(level)
    sweeper: gives the attempt up ? «the sweeper asks about a call» and phase in RANK and calls[attempt] not in RANK
        and not (BUSY and «the deadline outlasts dial») → END; lost = phase == waiting

    promise at most one call per attempt ? max(rings) > 1
    promise no dial before its time ? phase == claimed != was.phase and was.timer == ahead
    promise who was reached is not rung again ? phase == claimed != was.phase and heard
    promise no dial after an answered stop ? was.stop == answered and ASKS
    promise no dial of an attempt that ended ? any(sees[one] != attempt for one in ASKS)
    promise a status moves forward only ? attempt == was.attempt and RANK.get(phase, 9) < RANK.get(was.phase, -1)
    promise an attempt says what its call says ? RANK.get(phase, 0) > RANK.get(calls[attempt], 0)
    promise what is claimed is dialled unless dial is killed ? phase == claimed and not killed and not BUSY
    good phase in (ended, stopped)
    live every execution ends
""", {"RANK": RANK, "NEXT": NEXT, "REPORTS": REPORTS, "ASKED": ASKED}, i="(0, 1)", n="(0, 1)",
    answer='("accepted, rings", "refused", "not placed", "unknown, rings", "unknown, placed later", "unknown")',
    level="(ringing, answered, failed, completed)")  # fmt: skip


# one line, calls A (invoked twice), B (in the queue), C (comes later); one pause, hold, stop, kill or late report
# a job is an invocation at a step; own: since it took the line, no other has taken it for this call; to: who is next
Job = namedtuple("Job", "at who fresh own to", defaults=(True, True, -1))
AFTER = {"waiting": "acquire", "over": "leave"}


def add(jobs: Any, job: Any, **change: Any) -> Any:
    return tuple(sorted((*jobs, job._replace(**change))))


def drop(jobs: Any, job: Any) -> Any:
    return (*jobs[: jobs.index(job)], *jobs[jobs.index(job) + 1 :])


def mark(jobs: Any, who: int, **change: Any) -> Any:
    return tuple(sorted(job._replace(**change) if job.who == who else job for job in jobs))


LINE = model("line", """
    start phases = (waiting, waiting, waiting); holders = frozenset({0}); queue = frozenset({1}); quiet = True;
        killed = False; jobs = (Job(acquire, 0), Job(acquire, 0), Job(acquire, 2))
    let REST = drop(jobs, job)
    let READ = add(REST, job, at=AFTER[phases[job.who]], fresh=True) if phases[job.who] in AFTER else REST
    let FIRST = min(queue, default=-1)
    let FREE = (not holders or not «a line is taken if one is free»)
    let MINE = ((job.own or phases[job.who] in (over, reopened) or not «only who took the line last gives it away») and
        (job.who in holders or not «only a holder hands over»))
    let GIVES = (job.to >= 0 and job.to not in holders and MINE)
    let BACK = add(mark(jobs, who, fresh=False), Job(read, who))
    let ME = ABC[job.who]

    fault: <ME> is killed before it <job.at>s ? quiet → jobs = REST; quiet = False; killed = True
    <ABC[who]>: its call ends ? phases[who] in (live, reopened)
        → phases[who] = over; jobs = add(mark(jobs, who, fresh=False), Job(leave, who))
    A: nothing was placed, it keeps its line ? phases[who] == live and quiet and who == 0
        → phases[who] = waiting; jobs = BACK; quiet = False
    A: was given up, and its call is heard of
        ? phases[who] == over and quiet and who == 0 and {*jobs} <= {Job(leave, who)}
        → phases[who] = reopened; jobs = add(jobs, Job(again, who)); quiet = False
    client: stops B ? phases[who] == waiting and quiet and who == 1
        → phases[who] = over; jobs = mark(jobs, who, fresh=False); quiet = False; queue -= {who}
    <ABC[who]>: is resumed ? phases[who] == paused → phases[who] = waiting; jobs = BACK
    sweeper: dials <ABC[who]> ? not jobs and phases[who] == waiting and «the sweeper looks at lines and queue»
        → jobs = (Job(read, who),)
    sweeper: frees the line of <ABC[who]>
        ? not jobs and phases[who] == over and who in holders and «the sweeper looks at lines and queue»
        → jobs = (Job(leave, who),)

    <ME>: leaves the queue, is read ? job.at == start → queue -= {job.who}; jobs = READ
    <ME>: reads ? job.at == read → jobs = READ
    <ME>: takes the line ? job.at == acquire and (job.who in holders or FREE)
        → holders |= {job.who}; jobs = add(mark(REST, job.who, own=False), job, at=gate, own=True)
    <ME>: joins the queue
        ? job.at == acquire and not (job.who in holders or FREE) and «join the queue, then look»
        → queue |= {job.who}; jobs = add(REST, job, at=look)
    <ME>: looks ? job.at == acquire and not (job.who in holders or FREE) and not «join the queue, then look»
        → jobs = add(REST, job, at=join)
    <ME>: joins the queue ? job.at == join → queue |= {job.who}; jobs = REST
    <ME>: claims, rings ? job.at == gate and job.fresh
        → phases[job.who] = live; jobs = mark(REST, job.who, fresh=False)
    A: is paused ? job.at == gate and job.fresh and job.who == 0 and quiet
        → phases[0] = paused; jobs = add(mark(REST, 0, fresh=False), job, at=leave); quiet = False
    <ME>: its write is refused
        ? job.at == gate and not job.fresh and «a line is given away after a versioned write»
        → jobs = add(REST, job, at=read)
    <ME>: writes nothing ? job.at == gate and not job.fresh and not «a line is given away after a versioned write»
        → jobs = add(REST, job, at=leave)
    <ME>: takes a line again ? job.at == again and FREE → holders |= {job.who}; jobs = mark(REST, job.who, own=False)
    <ME>: finds no line free ? job.at == again and not FREE → jobs = REST
    <ME>: looks who is next ? job.at == leave
        → jobs = add(REST, job, at=give, to=min(queue - {job.who}, default=-1))
    <ME>: hands over to <ABC[job.to]> ? job.at == give and GIVES
        → holders = holders - {job.who if «a hand-over is one write» else None} | {job.to};
        jobs = add(mark(REST, job.to, own=False), Job(start, job.to))
    <ME>: frees the line ? job.at == give and not GIVES → holders = holders - {job.who} if MINE else holders;
        jobs = add(REST, job, at=look) if «free a line, then look» else REST
    <ME>: takes it for <ABC[FIRST]> ? job.at == look and queue and FREE
        → holders |= {FIRST}; jobs = add(mark(REST, FIRST, own=False), Job(start, FIRST))
    <ME>: looks ? job.at == look and not (queue and FREE) → jobs = REST

    promise a live call holds a line ? any(phases[who] == live and who not in holders for who in (0, 1, 2))
    promise a line has one holder ? len(holders) > 1
    promise nobody waits beside a free line ? queue and not (holders or jobs or killed)
    good {*phases} == {over} and not holders
    live every call gets its turn
""", {"ABC": "ABC", "AFTER": AFTER, "Job": Job, "add": add, "drop": drop, "mark": mark},
    who="(0, 1, 2)", job="sorted(set(jobs))")  # fmt: skip

# dial and a stop of the call's agent or batch
STOP = model("stop", """
    start dial = 0; stop = 0; marked = False; holds = False; stopped = False
    dial: takes its line ? dial == (0 if «take a line, then read the mark» else 1) → dial += 1; holds = True
    dial: reads the mark ? dial == (1 if «take a line, then read the mark» else 0) and not marked → dial += 1
    dial: reads the mark, leaves ? dial == (1 if «take a line, then read the mark» else 0) and marked
        → dial = 9; holds = False
    dial: claims ? dial == 2 and not stopped → dial = 3
    dial: its claim is refused, leaves ? dial == 2 and stopped → dial = 9; holds = False
    stop: marks ? stop == (0 if «mark, then look at holders» else 1) → stop += 1; marked = True
    stop: looks at holders ? stop == (1 if «mark, then look at holders» else 0) → stop += 1; stopped = holds
    stop: answers ? stop == 2 → stop = 3
    promise no dial after an answered stop ? was.dial == 2 and dial == 3 and was.stop == 3
    good stop == 3
    live a stop is answered
""", {})  # fmt: skip

# two events, two invocations of deliver, replays, the account's list of given-up events
Events = namedtuple("Events", "last settled replaying undelivered listed lease")


def pending(item: Any) -> list[int]:
    return [*sorted(item.replaying), *range(item.settled + 1, item.last + 1)]


DELIVERY = model("delivery", """
    start item = Events(1, 0, frozenset(), frozenset(), False, -1); taken = frozenset(); killed = False;
        at = (idle, idle); read = (None, None)
    let FRONT = pending(read[i])[0 if «the oldest event goes first» else -1]
    let SETTLED = item._replace(settled=max(item.settled, FRONT), replaying=item.replaying - {FRONT})
    let BASE = item = item if «save over the version read» else read[i]
    let SAVE = at[i] = tells if pending(item) else idle; item = item._replace(lease=i if pending(item) else -1);
        read[i] = item if pending(item) else None
    event 2 happens ? item.last == 1 → item = item._replace(last=2)
    client: replays ? item.undelivered → item = item._replace(
        replaying=item.replaying | item.undelivered, undelivered=frozenset(), listed=False)
    deliver <i + 1>: takes the lease ? at[i] == idle and pending(item) and (item.lease < 0
        or at[item.lease] == idle or not «one lease at a time, longer than deliver runs»)
        → item = item._replace(lease=i); at[i], read[i] = tells, item
    deliver <i + 1>: event <FRONT> is taken ? at[i] == tells → taken |= {FRONT}; at[i] = told
    deliver <i + 1>: event <FRONT> is refused for good ? at[i] == tells → at[i] = refused
    deliver <i + 1>: event <FRONT> is not taken ? at[i] == tells → at[i] = again
    deliver <i + 1>: saves ? at[i] == told → BASE; item = SETTLED; SAVE
    deliver <i + 1>: saves ? at[i] == refused → BASE; item = SETTLED._replace(undelivered=item.undelivered | {FRONT},
        listed=item.listed or «list and give up in one write»); SAVE
    deliver <i + 1>: saves ? at[i] == again → BASE; item = item._replace(lease=-1); at[i], read[i] = idle, None
    fault: deliver <i + 1> is killed ? at[i] != idle and not killed → at[i], read[i], killed = idle, None, True
    promise no event is forgotten ? item.last < was.item.last
    promise events are told in order ? 2 in taken and 2 not in was.taken and item.settled < 1 and 1 not in taken
    promise one invocation at a time tells ? idle not in at
    promise what is given up is listed ? bool(item.undelivered) != item.listed
    good not pending(item)
    live every event ends
""", {"Events": Events, "pending": pending}, i="(0, 1)")  # fmt: skip

# contacts A and B wait until 1 and 2; `time`: from then on a look is worth it; two looks, one kill
DELAYED = model("delayed set", """
    start now = 0; contacts = (outside, outside); rows = frozenset(); taken = frozenset(); time = 9; killed = False;
        at = (idle, idle); seen = (9, 9); following = (9, 9)
    let PUTS = contacts[who] == (outside if «put the entry, then lower the time» else half)
    let LOWERS = contacts[who] == (half if «put the entry, then lower the time» else outside)
    let ON = half if contacts[who] == outside else entered
    let READY = [one for one in sorted(rows - taken) if one < now and contacts[one] == stored]
    let EARLIEST = min((one + 1 for one in rows), default=9)
    let TO(step) = at[i], seen[i], following[i] = step, 9, 9
    time passes ? now < 2 → now += 1
    <AB[who]>: puts its entry ? PUTS → contacts[who] = ON; rows |= {who}
    <AB[who]>: lowers the time ? LOWERS → contacts[who] = ON; time = min(time, who + 1)
    <AB[who]>: is stored as waiting in the set ? contacts[who] == entered → contacts[who] = stored
    <AB[who]>: is dialled, leaves ? contacts[who] == chosen → contacts[who] = dialled; rows -= {who}; taken -= {who}
    fault: dial of <AB[who]> is killed ? contacts[who] == chosen and not killed → contacts[who] = stored; killed = True
    <AB[who]>: may be taken again ? contacts[who] == stored and who in taken → taken -= {who}
    look <i + 1>: reads the time ? at[i] == idle and time <= now → TO(looks); seen[i] = time
    look <i + 1>: checks ? at[i] == idle and «the check lowers the time» → TO(lowers)
    look <i + 1>: takes <AB[READY[0]]> ? at[i] == looks and READY
        → first = READY[0]; TO(idle); contacts[first] = chosen; taken |= {first};
        rows = rows if «a taken entry stays until its dial» else rows - {first}
    look <i + 1>: finds nobody ready ? at[i] == looks and not READY → at[i], following[i] = moves, EARLIEST
    look <i + 1>: moves the time ? at[i] == moves and time == seen[i]
        → time = following[i]; TO(lowers if «move the time, then look again» else idle)
    look <i + 1>: finds the time changed ? at[i] == moves and time != seen[i] → TO(lowers)
    look <i + 1>: lowers the time ? at[i] == lowers → TO(idle); time = min(time, EARLIEST)
    fault: look <i + 1> is killed ? at[i] != idle and not killed → TO(idle); killed = True
    promise the time is not later than the first entry ? time > EARLIEST + 1
        and not (killed or {*at} != {idle} or {half, entered, chosen} & {*contacts})
    good {*contacts} == {dialled}
    live nobody is forgotten
""", {"AB": "AB"}, who="(0, 1)", i="(0, 1)")  # fmt: skip
MODELS = (DIAL, LINE, STOP, DELIVERY, DELAYED)
