// Calls: an agent's executions, found by number, id and day; and one execution, with a lane for each attempt.

const EXECUTION_ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** The status, in more detail once the execution is over: `answered` or `voicemail` instead of `completed`. */
const stateOf = (one) => (FINAL.includes(one.status) && one.outcome ? one.outcome : one.status);

// ---- the list ----

/** The start of a day ("2026-11-29") in the viewer's zone or in UTC, in milliseconds. `days`: days to add. */
function startOfDay(text, isUtc, days = 0) {
  if (!text) return undefined;
  const [year, month, date] = text.split('-').map(Number);
  return isUtc ? Date.UTC(year, month - 1, date + days) : new Date(year, month - 1, date + days).getTime();
}

function CallFilters({ query, agent }) {
  const set = (changes) => setQuery({ ...FIRST_PAGE, ...changes });
  const input = (name) => ({ value: query[name] || '', onValue: (value) => set({ [name]: value }) });
  const find = (event) => {
    event.preventDefault();
    const wanted = new FormData(event.currentTarget).get('find').trim();
    if (EXECUTION_ID.test(wanted)) go('executions', wanted.toLowerCase());
    else set({ number: wanted });
  };
  return html`<form class="finder" role="search" aria-label="Calls" onSubmit=${find}>
    <div class="find"><${Field} key=${query.number} label="Number or execution id" name="find" type="search" defaultValue=${query.number}
      placeholder="+12025550123" />
      <button>Find</button></div>
    <${Field} label="Status" ...${input('status')} options=${[['', 'Any'], ...STATUSES.map((one) => [one, words(one)])]} />
    <${BatchField} agentId=${agent?.agent_id} none="Any" ...${input('batch')} />
    <${Field} label="From" type="date" ...${input('from')} />
    <${Field} label="To" type="date" ...${input('to')} />
  </form>`;
}

const CALL_COLUMNS = [
  { name: 'Number', of: (one) => (one.user_number ? html`<${Phone} number=${one.user_number} />` : 'Erased') },
  { name: 'Status', of: (one) => html`<${Status} status=${stateOf(one)} />` },
  { name: 'Attempts', number: true, of: dialled },
  { name: 'Created', of: timeOf('created_at') },
  { name: 'Next attempt', of: (one) => html`<${Time} at=${one.next_attempt?.at} relative />` },
  { name: 'Changed', of: timeOf('updated_at') },
];

function CallList({ query }) {
  const { agent, zone } = useShared();
  const from = startOfDay(query.from, zone === 'utc'), to = startOfDay(query.to, zone === 'utc', 1);
  const found = useGet(agent && `/v2/agent/${agent.agent_id}/executions`, {
    load: part,
    query: {
      page_size: CURSOR_PAGE, cursor: query.cursor, page_number: query.cursor && query.page, status: query.status, batch_id: query.batch,
      user_number: query.number, from: from && new Date(from).toISOString(), to: to && new Date(to - 1).toISOString(),
    },
  });
  const isFiltered = ['status', 'batch', 'number', 'from', 'to'].some((name) => query[name]);
  return html`<${Page} title="Calls" actions=${html`<${AgentPicker} />`}>
    <${Card}><${CallFilters} query=${query} agent=${agent} /></${Card}>
    ${!agent ? html`<${NoAgent} />` : html`<${Card}><${Live} of=${found} lines=${8}>${(shown) => html`
      ${shown.value.data.length ? html`<${Table} label="Calls" columns=${CALL_COLUMNS} rows=${shown.value.data} href=${(one) => link('executions', one.id)} />`
    : html`<${Empty} title=${isFiltered ? 'No call matches.' : 'No call yet.'}>
        ${isFiltered ? html`<a href="#/executions">Show all calls</a>` : 'Create one with POST /call, or start a batch.'}</${Empty}>`}
      <${CursorPager} query=${query} of=${shown} one="call" />`}</${Live}></${Card}>`}
  </${Page}>`;
}

// ---- one execution: the drawing ----

/** The latest try of an event's webhook, from the log. */
function delivery({ created_at: at, data: { outcome, tries, http_status: status, error } }) {
  const [state, then] = { accepted: ['accepted', ''], failed: ['warning', ', will be retried'] }[outcome] || ['undelivered', ', given up'];
  return { at: ms(at), state, text: (status || error || 'no answer') + (tries > 1 ? ` after ${tries} tries` : '') + then };
}

const closingGate = (gates) => gates?.find((one) => one.decision !== 'allow');

/** A log entry as a short text. `clock`: formats a time. */
function logText({ type, data }, clock) {
  const closing = closingGate(data.gates);
  const why = [...new Set([data.reason, data.ended_because].filter(Boolean).map(sentence))].join('. ');
  const because = why && `: ${why}`;
  if (type === 'claimed') return `Dialled${data.from_number ? ` from ${data.from_number}` : ''}`;
  if (type === 'detected') return { true: 'A machine answered', false: 'A person answered' }[data.voicemail] || 'Machine detection could not tell who answered';
  if (type === 'deferred' || closing?.decision === 'defer') {
    const until = data.until ? ` until ${clock(data.until)}` : '';
    const times = data.times > 1 ? ` (${data.times} times)` : '';
    return `${closing ? `Held by ${words(closing.gate).toLowerCase()}` : 'Waits'}${until}${times}: ${why}`;
  }
  if (type === 'scheduled' && data.until) return `Scheduled for ${clock(data.until)}`;
  if (type === 'queued') return `Queued${data.reason ? because : ''}`;
  return words(type) + because + (data.code ? ` (${data.code})` : '');
}

/** An execution as lanes, one for each attempt: {number, status, from, dialed, ringing, answered, ended, next, events}.
 * Times are milliseconds. An event is {at, type, attempt, text, gates, verdict, webhook}. */
function lanesOf(execution, log, clock) {
  const webhooks = new Map(log.filter((one) => one.type === 'webhook').map((one) => [one.data.sequence, one]));
  let sequence = 0;
  const events = log.filter((one) => one.type !== 'webhook').map((one) => {
    const tried = STATUSES.includes(one.type) ? webhooks.get(++sequence) : undefined;
    const { gates, attempt } = one.data;
    const verdict = gates && (closingGate(gates)?.decision || (one.type === 'deferred' ? 'defer' : 'allow'));
    return { at: ms(one.created_at), type: one.type, attempt, text: logText(one, clock), gates, verdict, webhook: tried && delivery(tried) };
  });
  const { next_attempt: next } = execution;
  let before = ms(execution.created_at);
  return execution.attempts.map((one) => {
    const own = events.filter((event) => event.attempt === one.attempt);
    const ringing = own.find((event) => event.type === 'ringing');
    const lane = {
      number: one.attempt, status: one.status, outcome: one.outcome, caller: one.from_number, from: before, events: own,
      dialed: ms(one.dialed_at), ringing: ringing ? ringing.at : null, answered: ms(one.answered_at), ended: ms(one.ended_at),
      next: next?.attempt === one.attempt ? ms(next.at) : null,
    };
    before = lane.ended || lane.dialed || before;
    return lane;
  });
}

/** The parts of an attempt as [{kind, from, to}]: waiting, connecting, ringing, talking or voicemail. */
function partsOf(lane, at) {
  const end = lane.ended || at;
  if (!lane.dialed) return [{ kind: 'waiting', from: lane.from, to: lane.ended || Math.max(at, lane.from) }];
  const rung = lane.answered || end;
  return [
    { kind: 'waiting', from: lane.from, to: lane.dialed },
    { kind: 'connecting', from: lane.dialed, to: lane.ringing || rung },
    ...(lane.ringing ? [{ kind: 'ringing', from: lane.ringing, to: rung }] : []),
    ...(lane.answered ? [{ kind: lane.outcome === 'voicemail' ? 'voicemail' : 'talking', from: lane.answered, to: end }] : []),
  ];
}

const secondsOf = (one) => (one.to - one.from) / 1000;
const PART_TEXTS = { waiting: 'waited', connecting: 'connected in', ringing: 'rang', talking: 'talked', voicemail: 'voicemail spoke' };
const partsText = (parts) => parts.filter((one) => secondsOf(one) >= 0.5).map((one) => `${PART_TEXTS[one.kind]} ${duration(secondsOf(one))}`).join(', ');

// The wait before an attempt takes hours, a call takes seconds. A lane therefore has two scales with a break: on the left
// the wait until the dial, on the right the seconds since the dial, with the same scale for all attempts.
const WAIT_END = 30;
const CALL_START = 33;
const CALL_END = 96;
const AFTER_CALL = 98.5;
const LONGEST_TALK = 180;

/** The seconds shown on the right of the lanes: all calls until they are answered, and conversations up to LONGEST_TALK. */
function scaleOf(lanes, at) {
  const dialed = lanes.filter((one) => one.dialed);
  const longest = Math.max(10, ...dialed.map((one) => ((one.ended || at) - one.dialed) / 1000));
  const unanswered = Math.max(0, ...dialed.map((one) => ((one.answered || one.ended || at) - one.dialed) / 1000));
  const length = 1.04 * Math.min(longest, Math.max(LONGEST_TALK, unanswered + 30));
  return { length, step: [5, 10, 15, 30, 60, 120, 300].find((one) => length / one <= 6) || 600 };
}

/** The position of a time in a lane, in percent of its width. */
function placeIn(lane, scale, until) {
  return (at) => {
    if (!lane.dialed) return CALL_END * Math.min(1, Math.max(0, (at - lane.from) / (until - lane.from || 1)));
    if (at < lane.dialed) return WAIT_END * Math.max(0, (at - lane.from) / (lane.dialed - lane.from || 1));
    const share = (at - lane.dialed) / 1000 / scale.length;
    return share > 1 ? AFTER_CALL : CALL_START + (CALL_END - CALL_START) * share;
  };
}

const GATE_SHAPES = { allow: 'M0-2V22', defer: 'M0 4V22M-4-4H4L0 3Z', end: 'M0 4V22M-4-4L4 4M4-4L-4 4' };
const DOTS_APART = 1.2;

/** The position of each dot: its own, or just after the previous dot. */
function apart(events, place) {
  let before = -DOTS_APART;
  const sorted = [...events].sort((one, other) => one.webhook.at - other.webhook.at);
  return new Map(sorted.map((event) => [event, before = Math.min(99.4, Math.max(place(event), before + DOTS_APART))]));
}

/** A group of shapes at a position in the lane, in percent. */
const At = ({ x, y, kind = '', children }) => html`<svg x=${`${x}%`} y=${y} class="over ${kind}">${children}</svg>`;

function Lane({ lane, scale, at, clock }) {
  const until = Math.max(lane.next || 0, lane.ended || at, lane.from + 1000);
  const x = placeIn(lane, scale, until);
  const parts = partsOf(lane, at);
  const isDialed = lane.dialed !== null;
  const waitEnd = isDialed ? WAIT_END : x(parts[0].to);
  const dots = apart(lane.events.filter((event) => event.webhook), (event) => x(event.webhook.at));
  const marks = [];
  for (let second = 0; isDialed && second < scale.length; second += scale.step) marks.push(second);
  const isCut = isDialed && (lane.ended || at) - lane.dialed > scale.length * 1000;
  return html`<svg class="lane" height="74" role="img" aria-label=${`Attempt ${lane.number}: ${partsText(parts)}. ${plural(lane.events.length, 'event')}, listed below.`}>
    ${isDialed && secondsOf(parts[0]) < 1 && html`<text x="0" y="25">at once</text>`}
    ${parts.filter((one) => secondsOf(one) >= 1 || one.kind !== 'waiting' || !isDialed).map(({ kind, from, to }) => {
    const left = kind === 'waiting' ? 0 : Math.min(x(from), CALL_END);
    const right = kind === 'waiting' ? waitEnd : Math.min(x(to), CALL_END);
    return html`<svg key=${kind} x=${`${left}%`} width=${`${Math.max(right - left, 0.25)}%`} y="10" height="22"><rect class=${kind} width="100%" height="22" />
      ${right - left > 9 && html`<text class="inside" x="6" y="15">${words(kind)} ${duration((to - from) / 1000)}</text>`}</svg>`;
  })}
    ${isDialed ? html`<${At} x=${(WAIT_END + CALL_START) / 2} y="21"><path class="gap" d="M-5 14L1-14M1 14L7-14" /></${At}>`
    : lane.next && html`<rect class="ahead" x=${`${waitEnd}%`} width=${`${CALL_END - waitEnd}%`} y="10" height="22" />
      <${At} x=${waitEnd} y="10"><path class="now" d="M0-4V26" /></${At}>`}
    ${isCut && html`<${At} x=${CALL_END} y="21"><path class="gap" d="M-5 14L1-14" /></${At}>`}
    ${lane.events.map((event, place) => event.gates && html`<${At} key=${place} x=${x(event.at)} y="10" kind=${`gate ${event.verdict}`}>
      <path d=${GATE_SHAPES[event.verdict]} /><title>${event.text}</title></${At}>`)}
    ${lane.events.map((event, place) => event.webhook && html`<${At} key=${place} x=${dots.get(event)} y="46" kind=${`dot ${event.webhook.state}`}>
      ${event.webhook.state === 'undelivered' ? html`<path d="M-4-4L4 4M4-4L-4 4" />` : html`<circle r="4" />`}
      <title>Webhook of ${event.type}: ${event.webhook.text}</title></${At}>`)}
    <text x="0" y="69">${clock(lane.from)}</text>
    ${marks.map((second, place) => html`<text key=${second} class=${place % 2 ? 'minor' : ''} x=${`${CALL_START + ((CALL_END - CALL_START) * second) / scale.length}%`}
      y="69" text-anchor=${place ? 'middle' : 'start'}>${place ? `+${duration(second)}` : clock(lane.dialed)}</text>`)}
    ${!isDialed && html`<text x=${`${CALL_END}%`} y="69" text-anchor="end">${clock(until)}</text>`}
  </svg>`;
}

/** A fold whose content, `children()`, is drawn only once it is opened. */
function Fold({ title, open: initially = false, children }) {
  const [open, setOpen] = useState(initially);
  return html`<details class="fold" open=${open} onToggle=${(event) => setOpen(event.currentTarget.open)}><summary>${title}</summary>
    ${open && children()}</details>`;
}

const gatesTitle = (gates) => (closingGate(gates) ? `${plural(gates.length, 'gate')} asked` : `All ${gates.length} gates allowed it`);

const Events = ({ of, zone, label }) => html`<${Scroll} label=${label}><table class="events">
  <thead><tr><th scope="col">Time</th><th scope="col">What happened</th><th scope="col">Webhook</th></tr></thead>
  <tbody>${of.map((one, place) => html`<tr key=${place}>
    <td><${Time} at=${new Date(one.at).toISOString()} zone=${zone} seconds /></td>
    <td>${one.text}${one.gates && html`<${Fold} title=${gatesTitle(one.gates)}>${() => html`<${Gates} of=${one.gates} />`}</${Fold}>`}</td>
    <td>${one.webhook && html`<${Status} status=${one.webhook.state} label=${one.webhook.text} />`}</td></tr>`)}</tbody>
</table></${Scroll}>`;

const Mark = ({ kind, d, children }) => html`<span class="sample"><svg width="14" height="20" viewBox="-7 -5 14 26" class=${kind} aria-hidden="true">
  ${d ? html`<path d=${d} />` : html`<circle r="4" cy="8" />`}</svg>${children}</span>`;

const VERDICTS = { allow: 'all gates allowed it', defer: 'a gate made it wait', end: 'a gate ended it' };
const SENT = { accepted: 'accepted', warning: 'failed, will be retried', undelivered: 'given up' };

/** The legend of the shapes that are drawn in the lanes. */
function Signs({ kinds, events }) {
  return html`<p class="signs muted">
    ${Object.keys(PART_TEXTS).map((kind) => kinds.has(kind) && html`<span key=${kind} class="sample">
      <svg width="26" height="14" aria-hidden="true"><rect class=${kind} width="26" height="14" /></svg>${kind}</span>`)}
    ${Object.entries(VERDICTS).map(([verdict, text]) => events.some((one) => one.verdict === verdict) && html`
      <${Mark} key=${verdict} kind=${`gate ${verdict}`} d=${GATE_SHAPES[verdict]}>${text}</${Mark}>`)}
    ${Object.entries(SENT).map(([state, text]) => events.some((one) => one.webhook?.state === state) && html`
      <${Mark} key=${state} kind=${`dot ${state}`} d=${state === 'undelivered' && 'M-4 4L4 12M4 4L-4 12'}>webhook ${text}</${Mark}>`)}</p>`;
}

const Patterns = () => html`<svg class="patterns" width="0" height="0" aria-hidden="true"><defs>
  <pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
    <rect width="6" height="6" class="hatch-ground" /><path d="M0 0V6" class="hatch-line" /></pattern>
  <pattern id="rings" width="8" height="8" patternUnits="userSpaceOnUse">
    <rect width="8" height="8" class="ring-ground" /><circle cx="4" cy="4" r="1.5" class="ring-dot" /></pattern>
  <pattern id="machine" width="5" height="5" patternUnits="userSpaceOnUse">
    <rect width="5" height="5" class="ring-ground" /><path d="M0 0V5" class="machine-line" /></pattern>
</defs></svg>`;

const FOLDED = 30;

/** The lanes of an execution, each with a list of its events. `zone`: the called person's, if known. */
function Lanes({ execution, log, zone, at = now() }) {
  const { zone: choice } = useShared();
  const shown = choice === 'utc' ? 'UTC' : (choice === 'recipient' && zone) || HERE;
  const clock = (time) => timeText(time, shown);
  const lanes = lanesOf(execution, log, clock);
  const scale = scaleOf(lanes, at);
  const kinds = new Set(lanes.flatMap((one) => partsOf(one, at).map((piece) => piece.kind)));
  return html`<${Patterns} /><${Signs} kinds=${kinds} events=${lanes.flatMap((one) => one.events)} />
    <ol class="lanes">${lanes.map((lane, place) => {
    const isOpen = place === lanes.length - 1 && lane.events.length <= FOLDED;
    return html`<li key=${lane.number}>
      <h3>Attempt ${lane.number} <${Status} status=${lane.outcome || lane.status} />
        <span class="muted">${partsText(partsOf(lane, at))}${lane.caller && ` · from ${lane.caller}`}</span></h3>
      <${Lane} lane=${lane} scale=${scale} at=${at} clock=${clock} />
      ${lane.events.length > 0 && html`<${Fold} title=${`${plural(lane.events.length, 'event')} of attempt ${lane.number}`} open=${isOpen}>${() => html`
        <${Events} of=${lane.events} zone=${zone} label=${`Events of attempt ${lane.number}`} />`}</${Fold}>`}
    </li>`;
  })}</ol>`;
}

// ---- one execution: the page ----

function Countdown({ at }) {
  const [, tick] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => tick((beat) => beat + 1), 1000);
    return () => clearInterval(timer);
  }, []);
  const left = (ms(at) - now()) / 1000;
  const text = left < 600 ? `${Math.floor(left / 60)}:${two(Math.floor(left % 60))} min` : duration(left);
  return html`<span class="countdown">${left > 0 ? `in ${text}` : 'due now'}</span>`;
}

function CallActions({ execution, refresh }) {
  const { id, status, user_number: number } = execution;
  const hasEnded = FINAL.includes(status);
  return html`
    ${!hasEnded && html`<${Action} scope="operate" disabled=${!['initiated', 'ringing', ...WAITING].includes(status)}
      act=${() => api('POST', `/call/${id}/stop`)} done="Stopped." onDone=${refresh}
      confirm=${{ title: 'Stop this call?', text: 'No further attempt is made. A ringing call is canceled.', yes: 'Stop it' }}>Stop</${Action}>`}
    ${number && html`<${Action} scope="operate" act=${() => api('POST', `/executions/${id}/suppress`, { body: {} })}
      done=${`${number} is no longer called.`} onDone=${refresh}
      confirm=${{ title: `Stop calling ${number}?`, text: 'The number is suppressed for all calls of the account. Waiting calls to it end.', yes: 'Suppress it' }}>Suppress number</${Action}>`}
    ${hasEnded && html`<${Action} danger scope="admin" act=${() => api('DELETE', `/executions/${id}`)} done="Erased." onDone=${() => go('executions')}
      confirm=${{ title: 'Erase this call?', text: 'The call, its user data and its undelivered webhooks are permanently removed.', yes: 'Erase it' }}>Erase</${Action}>`}`;
}

function CallFacts({ execution, zone }) {
  const { telephony_data: telephony } = execution;
  const at = (time) => time && html`<${Time} at=${time} zone=${zone} day />`;
  return html`<${Card} title="Facts"><${Facts} of=${[
    ['Execution', html`<${Copy} text=${execution.id} />`],
    ['Agent', html`<${AgentLink} id=${execution.agent_id} />`],
    ['Batch', execution.batch_id && html`<a href=${link('batches', execution.batch_id)}>${execution.batch_id}</a>`],
    ['Created', at(execution.created_at)],
    ['Changed', at(execution.updated_at)],
    ['Time zone', zone],
    ['Retries', retryText(execution.retry_config)],
    ['Policy', execution.policy],
    ['Purpose', execution.purpose],
    ['Expires', at(execution.expires_at)],
    ['Carrier', execution.provider],
    ['Carrier’s call', telephony.provider_call_id && html`<${Copy} text=${telephony.provider_call_id} />`],
    ['Hung up by', telephony.hangup_by !== 'Unknown' && telephony.hangup_by],
    ['Talked', execution.conversation_duration > 0 && duration(execution.conversation_duration)],
  ]} /></${Card}>`;
}

const planColumns = (zone) => [
  { name: 'Attempt', of: (one) => one.attempt },
  { name: 'Earliest', of: (one) => html`<${Time} at=${one.earliest_at} zone=${zone} day />` },
  { name: 'Moved by', of: (one) => one.moved_by.map((gate) => words(gate.gate)).join(', ') },
];

function CallPage({ execution, explanation, log, zone, refresh, error }) {
  const { next_attempt: next } = execution;
  const { waits_for: waits, plan } = explanation;
  const data = Object.entries(recipientData(execution));
  const unsent = log.filter((one) => one.type === 'webhook' && one.data.outcome !== 'accepted').length;
  const replayed = (answer) => (answer.replayed.length ? `${plural(answer.replayed.length, 'webhook')} sent again.` : 'There are no undelivered webhooks.');
  return html`
    <${Card}><div class="standing"><${Status} status=${stateOf(execution)} /><p class="sentence">${explanation.summary}</p></div>
      ${next && html`<p>Attempt ${next.attempt} <strong><${Countdown} at=${next.at} /></strong>, at <${Time} at=${next.at} zone=${zone} /></p>`}
      ${waits?.gate && html`<p class="muted">${waits.to_change}</p>`}
      ${error && html`<p class="muted">Not up to date: ${error.message}</p>`}
    </${Card}>
    <${Card} title="Attempts" actions=${unsent > 0 && html`<span class="muted">${plural(unsent, 'webhook')} not accepted</span>
      <${Action} small scope="operate" act=${() => api('POST', `/executions/${execution.id}/webhooks/replay`, { body: {} })} done=${replayed}
        onDone=${refresh}>Replay webhooks</${Action}>`}>
      <${Lanes} execution=${execution} log=${log} zone=${zone} />
    </${Card}>
    <div class="grid">
      <${CallFacts} execution=${execution} zone=${zone} />
      ${plan?.attempts.length > 0 && html`<${Card} title="If it keeps failing" note=${`It then ends: ${plan.ends_because}`}>
        <${Table} label="Plan" rows=${plan.attempts} columns=${planColumns(zone)} /></${Card}>`}
      ${data.length > 0 && html`<${Card} title="User data"><${Facts} of=${data.map(([name, value]) => [name, valueText(value)])} /></${Card}>`}
    </div>
    <${Card}><${Fold} title=${`Raw log, ${plural(log.length, 'entry', 'entries')}`}>${() => html`
      <pre class="raw" tabindex="0">${log.map((one) => JSON.stringify(one)).join('\n')}</pre>`}</${Fold}></${Card}>`;
}

function OneCall({ id }) {
  const load = async (signal) => {
    const [execution, explanation, log] = await Promise.all(['', '/explain', '/log'].map((end) => get(`/executions/${id}${end}`, { signal })));
    return { execution, explanation, log: log.data };
  };
  const found = useLive(load, [id], 3000);
  const { execution } = found.data || {};
  const number = execution?.user_number;
  // Some keys only see masked numbers.
  const isWhole = /^\+\d+$/.test(number);
  const zone = useGet(isWhole && `/numbers/${encodeURIComponent(number)}`, { every: 0 }).data?.time_zones[0];
  return html`<${Page} title=${number || (execution ? 'Erased call' : 'Call')} back=${{ href: '#/executions', text: 'Calls' }}
      actions=${execution && html`<${CallActions} execution=${execution} refresh=${found.refresh} />`}>
    ${execution ? html`<${CallPage} ...${found.data} zone=${zone} refresh=${found.refresh} error=${found.error} />`
    : html`<${Card}><${Live} of=${found} lines=${10} /></${Card}>`}
  </${Page}>`;
}

const Calls = ({ route: { parts: [id], query } }) => (id ? html`<${OneCall} key=${id} id=${id} />` : html`<${CallList} query=${query} />`);
