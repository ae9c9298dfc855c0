"""The protocol as small models. docs/protocol.md explains them, tests/protocol/notation.py their notation.

A line is a step: its name ? its condition → its changes; or a promise ? the condition that violates it.
`fresh` stands for a version: true while the stored version is the one read. Each write makes all other reads stale.
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
# timer: ahead, due or missed; lost: the previous attempt was given up without a report; token: the claiming invocation
# heard: the call of the given-up attempt was answered, and that was reported before the next attempt was claimed
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
        and (RANK[level] > RANK[phase] or not «a report only moves forward»))
    let SENT = level in REPORTS.get(calls[n], ())
    let LATE = (SENT and n < attempt and lost and phase == waiting)
    let LEAVE = at[i], sees[i], fresh[i] = idle, 0, False
    let CLAIM = WRITE; phase, attempt, timer, token = claimed, sees[i], due, i
    let MINE = (phase == claimed and attempt == sees[i])
    let OWN = (MINE and (token == i or not «a claim has its own id») and «a rejected claim is looked up by its id»)
    let READY = at[i] == read and «claim, then ask the carrier»
    let BUSY = any(one not in (idle, read) for one in at)
    let ASKS = [one for one in (0, 1) if at[one] in ASKED and was.at[one] not in ASKED]

    its due time passes ? phase == waiting and timer == ahead → timer = due
    fault: its invocation is lost ? phase == waiting and timer == due → timer = missed
    sweeper: invokes dial again ? phase == waiting and timer == missed and «the sweeper invokes dial again»
        → timer = due
    deliver writes ? phase == claimed → WRITE

    dial <i + 1>: reads
        ? at[i] == idle and phase == waiting and (timer == due or timer == ahead and not «dial checks the due time»)
        → at[i], sees[i], fresh[i] = read, attempt, True
    dial <i + 1>: claims ? READY and (fresh[i] or not «claim over the version read») → CLAIM; at[i] = claimed
    dial <i + 1>: fault: claims, answer lost
        ? READY and (fresh[i] or not «claim over the version read») → CLAIM; at[i] = unsure
    dial <i + 1>: is too late, ends the attempt ? READY and fresh[i] → WRITE; LEAVE; phase, lost = ended, False
    dial <i + 1>: its claim is rejected ? READY and not fresh[i] and «claim over the version read» → at[i] = unsure
    dial <i + 1>: finds its own claim ? at[i] == unsure and OWN → at[i] = claimed
    dial <i + 1>: exits ? at[i] == unsure and not OWN → LEAVE
    dial <i + 1>: asks the carrier: <answer> ? at[i] == claimed or at[i] == read and not «claim, then ask the carrier»
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
    promise a reached person is not called again ? phase == claimed != was.phase and heard
    promise no dial after an answered stop ? was.stop == answered and ASKS
    promise no dial of an attempt that ended ? any(sees[one] != attempt for one in ASKS)
    promise a status only moves forward ? attempt == was.attempt and RANK.get(phase, 9) < RANK.get(was.phase, -1)
    promise an attempt agrees with its call ? RANK.get(phase, 0) > RANK.get(calls[attempt], 0)
    promise a claimed attempt is dialled unless dial is killed ? phase == claimed and not killed and not BUSY
    good phase in (ended, stopped)
    live every execution ends
""", {"RANK": RANK, "NEXT": NEXT, "REPORTS": REPORTS, "ASKED": ASKED}, i="(0, 1)", n="(0, 1)",
    answer='("accepted, rings", "refused", "not placed", "unknown, rings", "unknown, placed later", "unknown")',
    level="(ringing, answered, failed, completed)")  # fmt: skip


# one line, calls A (invoked twice), B (in the queue), C (new); one pause, hold, stop, kill or late report
# a job is an invocation at a step; own: no other invocation has acquired the line for this call since; to: next call
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
    let FREE = (not holders or not «a line is acquired only if one is free»)
    let MINE = ((job.own or phases[job.who] in (over, reopened) or not «only the last acquirer releases the line») and
        (job.who in holders or not «only a holder hands over»))
    let GIVES = (job.to >= 0 and job.to not in holders and MINE)
    let BACK = add(mark(jobs, who, fresh=False), Job(read, who))
    let ME = ABC[job.who]

    fault: <ME> is killed before it <job.at>s ? quiet → jobs = REST; quiet = False; killed = True
    <ABC[who]>: its call ends ? phases[who] in (live, reopened)
        → phases[who] = over; jobs = add(mark(jobs, who, fresh=False), Job(leave, who))
    A: nothing was placed, it keeps its line ? phases[who] == live and quiet and who == 0
        → phases[who] = waiting; jobs = BACK; quiet = False
    A: was given up, and its late report arrives
        ? phases[who] == over and quiet and who == 0 and {*jobs} <= {Job(leave, who)}
        → phases[who] = reopened; jobs = add(jobs, Job(again, who)); quiet = False
    client: stops B ? phases[who] == waiting and quiet and who == 1
        → phases[who] = over; jobs = mark(jobs, who, fresh=False); quiet = False; queue -= {who}
    <ABC[who]>: is resumed ? phases[who] == paused → phases[who] = waiting; jobs = BACK
    sweeper: dials <ABC[who]> ? not jobs and phases[who] == waiting and «the sweeper checks lines and queue»
        → jobs = (Job(read, who),)
    sweeper: releases the line of <ABC[who]>
        ? not jobs and phases[who] == over and who in holders and «the sweeper checks lines and queue»
        → jobs = (Job(leave, who),)

    <ME>: leaves the queue, is read ? job.at == start → queue -= {job.who}; jobs = READ
    <ME>: reads ? job.at == read → jobs = READ
    <ME>: acquires the line ? job.at == acquire and (job.who in holders or FREE)
        → holders |= {job.who}; jobs = add(mark(REST, job.who, own=False), job, at=gate, own=True)
    <ME>: joins the queue
        ? job.at == acquire and not (job.who in holders or FREE) and «join the queue, then check»
        → queue |= {job.who}; jobs = add(REST, job, at=check)
    <ME>: checks queue and line
        ? job.at == acquire and not (job.who in holders or FREE) and not «join the queue, then check»
        → jobs = add(REST, job, at=join)
    <ME>: joins the queue ? job.at == join → queue |= {job.who}; jobs = REST
    <ME>: claims, rings ? job.at == gate and job.fresh
        → phases[job.who] = live; jobs = mark(REST, job.who, fresh=False)
    A: is paused ? job.at == gate and job.fresh and job.who == 0 and quiet
        → phases[0] = paused; jobs = add(mark(REST, 0, fresh=False), job, at=leave); quiet = False
    <ME>: its write is rejected
        ? job.at == gate and not job.fresh and «a line is released only after a versioned write»
        → jobs = add(REST, job, at=read)
    <ME>: writes nothing ? job.at == gate and not job.fresh and not «a line is released only after a versioned write»
        → jobs = add(REST, job, at=leave)
    <ME>: acquires a line again ? job.at == again and FREE → holders |= {job.who}; jobs = mark(REST, job.who, own=False)
    <ME>: finds no line free ? job.at == again and not FREE → jobs = REST
    <ME>: reads the queue ? job.at == leave
        → jobs = add(REST, job, at=give, to=min(queue - {job.who}, default=-1))
    <ME>: hands over to <ABC[job.to]> ? job.at == give and GIVES
        → holders = holders - {job.who if «a hand-over is one write» else None} | {job.to};
        jobs = add(mark(REST, job.to, own=False), Job(start, job.to))
    <ME>: releases the line ? job.at == give and not GIVES → holders = holders - {job.who} if MINE else holders;
        jobs = add(REST, job, at=check) if «release a line, then check» else REST
    <ME>: acquires it for <ABC[FIRST]> ? job.at == check and queue and FREE
        → holders |= {FIRST}; jobs = add(mark(REST, FIRST, own=False), Job(start, FIRST))
    <ME>: checks queue and line ? job.at == check and not (queue and FREE) → jobs = REST

    promise a live call holds a line ? any(phases[who] == live and who not in holders for who in (0, 1, 2))
    promise a line has one holder ? len(holders) > 1
    promise no call waits while a line is free ? queue and not (holders or jobs or killed)
    good {*phases} == {over} and not holders
    live every call gets its turn
""", {"ABC": "ABC", "AFTER": AFTER, "Job": Job, "add": add, "drop": drop, "mark": mark},
    who="(0, 1, 2)", job="sorted(set(jobs))")  # fmt: skip

# dial and a stop of the call's agent or batch
STOP = model("stop", """
    start dial = 0; stop = 0; marked = False; holds = False; stopped = False
    dial: acquires its line ? dial == (0 if «acquire a line, then read the mark» else 1) → dial += 1; holds = True
    dial: reads the mark ? dial == (1 if «acquire a line, then read the mark» else 0) and not marked → dial += 1
    dial: reads the mark, exits ? dial == (1 if «acquire a line, then read the mark» else 0) and marked
        → dial = 9; holds = False
    dial: claims ? dial == 2 and not stopped → dial = 3
    dial: its claim is rejected, exits ? dial == 2 and stopped → dial = 9; holds = False
    stop: marks ? stop == (0 if «mark, then read the holders» else 1) → stop += 1; marked = True
    stop: reads the holders ? stop == (1 if «mark, then read the holders» else 0) → stop += 1; stopped = holds
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
    let SAVE = at[i] = sends if pending(item) else idle; item = item._replace(lease=i if pending(item) else -1);
        read[i] = item if pending(item) else None
    event 2 happens ? item.last == 1 → item = item._replace(last=2)
    client: replays ? item.undelivered → item = item._replace(
        replaying=item.replaying | item.undelivered, undelivered=frozenset(), listed=False)
    deliver <i + 1>: takes the lease ? at[i] == idle and pending(item) and (item.lease < 0
        or at[item.lease] == idle or not «one lease at a time, longer than deliver runs»)
        → item = item._replace(lease=i); at[i], read[i] = sends, item
    deliver <i + 1>: event <FRONT> is accepted ? at[i] == sends → taken |= {FRONT}; at[i] = accepted
    deliver <i + 1>: event <FRONT> is rejected permanently ? at[i] == sends → at[i] = refused
    deliver <i + 1>: event <FRONT> is not accepted ? at[i] == sends → at[i] = again
    deliver <i + 1>: saves ? at[i] == accepted → BASE; item = SETTLED; SAVE
    deliver <i + 1>: saves ? at[i] == refused → BASE; item = SETTLED._replace(undelivered=item.undelivered | {FRONT},
        listed=item.listed or «list and give up in one write»); SAVE
    deliver <i + 1>: saves ? at[i] == again → BASE; item = item._replace(lease=-1); at[i], read[i] = idle, None
    fault: deliver <i + 1> is killed ? at[i] != idle and not killed → at[i], read[i], killed = idle, None, True
    promise no event is forgotten ? item.last < was.item.last
    promise events are delivered in order ? 2 in taken and 2 not in was.taken and item.settled < 1 and 1 not in taken
    promise one invocation at a time delivers ? idle not in at
    promise what is given up is listed ? bool(item.undelivered) != item.listed
    good not pending(item)
    live every event ends
""", {"Events": Events, "pending": pending}, i="(0, 1)")  # fmt: skip

# contacts A and B wait until 1 and 2; `time`: when the set is read next; two workers (a pop or an audit), one kill
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
    <AB[who]>: is stored as delayed ? contacts[who] == entered → contacts[who] = stored
    <AB[who]>: is dialled, its entry is removed ? contacts[who] == chosen
        → contacts[who] = dialled; rows -= {who}; taken -= {who}
    fault: dial of <AB[who]> is killed ? contacts[who] == chosen and not killed → contacts[who] = stored; killed = True
    <AB[who]>: may be popped again ? contacts[who] == stored and who in taken → taken -= {who}
    worker <i + 1>: reads the time ? at[i] == idle and time <= now → TO(pops); seen[i] = time
    worker <i + 1>: audits ? at[i] == idle and «the audit lowers the time» → TO(lowers)
    worker <i + 1>: pops <AB[READY[0]]> ? at[i] == pops and READY
        → first = READY[0]; TO(idle); contacts[first] = chosen; taken |= {first};
        rows = rows if «a popped entry stays until its dial» else rows - {first}
    worker <i + 1>: finds none due ? at[i] == pops and not READY → at[i], following[i] = moves, EARLIEST
    worker <i + 1>: moves the time ? at[i] == moves and time == seen[i]
        → time = following[i]; TO(lowers if «move the time, then read again» else idle)
    worker <i + 1>: finds the time changed ? at[i] == moves and time != seen[i] → TO(lowers)
    worker <i + 1>: lowers the time ? at[i] == lowers → TO(idle); time = min(time, EARLIEST)
    fault: worker <i + 1> is killed ? at[i] != idle and not killed → TO(idle); killed = True
    promise the time is not later than the first entry ? time > EARLIEST + 1
        and not (killed or {*at} != {idle} or {half, entered, chosen} & {*contacts})
    good {*contacts} == {dialled}
    live no contact is forgotten
""", {"AB": "AB"}, who="(0, 1)", i="(0, 1)")  # fmt: skip
MODELS = (DIAL, LINE, STOP, DELIVERY, DELAYED)
