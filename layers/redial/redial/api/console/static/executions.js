// Calls: an agent's executions, found by number, id and day; and one of them, with a lane for each of its attempts.
import { api, count, duration, go, HERE, html, link, now, pages, part, plural, setQuery, timeText, useEffect, useLive, useShared, useState, words } from './lib.js';
import { Action, AgentPicker, Card, Copy, Empty, Facts, Field, Live, Page, Phone, Status, Table, Time } from './ui.js';

const STATUSES = ['queued', 'scheduled', 'rescheduled', 'initiated', 'ringing', 'in-progress', 'call-disconnected', 'completed', 'no-answer', 'busy', 'failed', 'canceled', 'stopped', 'error', 'balance-low'];
const WAITING = STATUSES.slice(0, 3), LIVE = STATUSES.slice(3, 7), FINAL = STATUSES.slice(7);
const ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** The status, finer once the execution is over: `answered` or `voicemail` in place of `completed`. */
const stateOf = (one) => (FINAL.includes(one.status) && one.outcome ? one.outcome : one.status);

// ---- the list ----

/** The first moment of a day ("2026-11-29") in the viewer's zone or in UTC, plus so many days. */
function startOf(text, utc, days = 0) {
  if (!text) return undefined;
  const [year, month, date] = text.split('-').map(Number);
  return new Date(utc ? Date.UTC(year, month - 1, date + days) : new Date(year, month - 1, date + days)).toISOString();
}

function Filters({ query, agent }) {
  const batches = useLive(agent ? () => pages(`/batches/${agent.agent_id}/all`, { size: 50, most: 200 }) : null, [agent && agent.agent_id], 0);
  const set = (changes) => setQuery({ cursor: '', page: '', ...changes });
  const changed = (name) => (event) => set({ [name]: event.currentTarget.value });
  const find = (event) => {
    event.preventDefault();
    const wanted = new FormData(event.currentTarget).get('find').trim();
    if (ID.test(wanted)) go('executions', wanted.toLowerCase());
    else set({ number: wanted });
  };
  const known = (batches.data || []).map((one) => [one.batch_id, one.file_name || one.batch_id]);
  if (query.batch && !known.some(([id]) => id === query.batch)) known.push([query.batch, query.batch]);
  return html`<form class="finder" role="search" aria-label="Calls" onSubmit=${find}>
    <div class="find"><${Field} key=${query.number} label="Number or execution id" name="find" type="search" value=${query.number} placeholder="+12025550123" /><button>Find</button></div>
    <${Field} label="Status" value=${query.status || ''} onChange=${changed('status')} options=${[['', 'Any'], ...STATUSES.map((one) => [one, words(one)])]} />
    <${Field} label="Batch" value=${query.batch || ''} onChange=${changed('batch')} options=${[['', 'Any'], ...known]} />
    <${Field} label="From" type="date" value=${query.from || ''} onChange=${changed('from')} />
    <${Field} label="To" type="date" value=${query.to || ''} onChange=${changed('to')} />
  </form>`;
}

const address = (query) => `#/executions?${new URLSearchParams(Object.entries(query).filter(([, value]) => value))}`;

const COLUMNS = [
  { name: 'Number', of: (one) => (one.user_number ? html`<${Phone} number=${one.user_number} />` : 'Erased') },
  { name: 'Status', of: (one) => html`<${Status} status=${stateOf(one)} />` },
  { name: 'Attempts', number: true, of: (one) => one.attempts.filter((attempt) => attempt.dialed_at).length },
  { name: 'Created', of: (one) => html`<${Time} at=${one.created_at} />` },
  { name: 'Next attempt', of: (one) => html`<${Time} at=${one.next_attempt && one.next_attempt.at} relative />` },
  { name: 'Changed', of: (one) => html`<${Time} at=${one.updated_at} />` },
];

function List({ query }) {
  const { agent, zone } = useShared();
  const utc = zone === 'utc';
  const last = startOf(query.to, utc, 1);
  const asked = {
    page_size: 25, cursor: query.cursor, page_number: query.cursor && query.page, status: query.status, batch_id: query.batch, user_number: query.number,
    from: startOf(query.from, utc), to: last && new Date(new Date(last) - 1).toISOString(),
  };
  const found = useLive(agent ? (signal) => part(`/v2/agent/${agent.agent_id}/executions`, { query: asked, signal }) : null, [agent && agent.agent_id, ...Object.values(asked)]);
  const page = Number(query.page || 1);
  const filtered = ['status', 'batch', 'number', 'from', 'to'].some((name) => query[name]);
  return html`<${Page} title="Calls" actions=${html`<${AgentPicker} />`}>
    <${Card}><${Filters} query=${query} agent=${agent} /></${Card}>
    ${!agent ? html`<${Card}><${Empty} title="There is no agent yet."><a href=${link('agents')}>Make one</a></${Empty}></${Card}>` : html`<${Card}>
      <${Live} of=${found} lines=${8}>${({ value, next, total }) => html`
        ${value.data.length ? html`<${Table} label="Calls" columns=${COLUMNS} rows=${value.data} rowKey=${(one) => one.id} href=${(one) => link('executions', one.id)} />`
    : html`<${Empty} title=${filtered ? 'No call matches.' : 'No call yet.'}>${filtered ? html`<a href="#/executions">Show all calls</a>` : 'POST /call makes one; so does a batch.'}</${Empty}>`}
        <nav class="paging" aria-label="Pages">
          <span class="muted">${total !== null && plural(total, 'call')}${(next || page > 1) && `, page ${page}`}</span>
          ${page > 1 && html`<a href=${address({ ...query, cursor: '', page: '' })}>Newest</a>`}
          ${next && html`<a href=${address({ ...query, cursor: next, page: page + 1 })}>Older</a>`}
        </nav>`}</${Live}>
    </${Card}>`}
  </${Page}>`;
}

// ---- one execution: what is drawn ----

const ms = (at) => (at ? Date.parse(at) : null);

/** The latest try of an event's webhook, from the log. */
function delivery({ created_at: at, data: { outcome, tries, http_status: status, error } }) {
  const [state, then] = { accepted: ['accepted', ''], failed: ['warning', ', is tried again'] }[outcome] || ['undelivered', ', given up'];
  return { at: ms(at), state, text: (status || error || 'no answer') + (tries > 1 ? ` after ${tries} tries` : '') + then };
}

const sentence = (text) => (text ? text[0].toUpperCase() + text.slice(1) : '');

/** What an entry of the log says, in a few words; `clock`: shows a time. */
function told({ type, data }, clock) {
  const closing = (data.gates || []).find((one) => one.decision !== 'allow');
  const until = data.until ? ` until ${clock(data.until)}` : '';
  const times = data.times > 1 ? ` (${data.times} times)` : '';
  const why = [...new Set([data.reason, data.ended_because].filter(Boolean).map(sentence))].join('. ');
  if (type === 'claimed') return `Dialled${data.from_number ? ` from ${data.from_number}` : ''}`;
  if (type === 'detected') return { true: 'A machine answered', false: 'A person answered' }[data.voicemail] || 'Machine detection cannot tell who answered';
  if (type === 'deferred' || (closing && closing.decision === 'defer')) return `${closing ? `Held by ${words(closing.gate).toLowerCase()}` : 'Waits'}${until}${times}: ${why}`;
  if (type === 'scheduled' && data.until) return `Scheduled for ${clock(data.until)}`;
  if (type === 'queued') return data.reason ? `Queued: ${why}` : 'Queued';
  return words(type) + (why ? `: ${why}` : '') + (data.code ? ` (${data.code})` : '');
}

/** An execution as lanes, one for each attempt: {number, status, from, dialed, ringing, answered, ended, next, events}.
 * Times are milliseconds. An event is {at, type, attempt, text, gates, verdict, webhook}. */
export function lanesOf(execution, log, clock) {
  const webhooks = new Map(log.filter((one) => one.type === 'webhook').map((one) => [one.data.sequence, one]));
  const known = new Set(STATUSES);
  let sequence = 0;
  const events = log.filter((one) => one.type !== 'webhook').map((one) => {
    const tried = known.has(one.type) ? webhooks.get(++sequence) : undefined;
    const { gates } = one.data;
    const closing = gates && gates.find((gate) => gate.decision !== 'allow');
    return {
      at: ms(one.created_at), type: one.type, attempt: one.data.attempt, text: told(one, clock), gates, verdict: gates && (closing ? closing.decision : one.type === 'deferred' ? 'defer' : 'allow'),
      webhook: tried && delivery(tried),
    };
  });
  let before = ms(execution.created_at);
  return execution.attempts.map((one) => {
    const own = events.filter((event) => event.attempt === one.attempt);
    const ringing = own.find((event) => event.type === 'ringing');
    const lane = {
      number: one.attempt, status: one.status, outcome: one.outcome, caller: one.from_number, from: before, events: own,
      dialed: ms(one.dialed_at), ringing: ringing ? ringing.at : null, answered: ms(one.answered_at), ended: ms(one.ended_at),
      next: execution.next_attempt && execution.next_attempt.attempt === one.attempt ? ms(execution.next_attempt.at) : null,
    };
    before = lane.ended || lane.dialed || before;
    return lane;
  });
}

/** The parts of an attempt as [{kind, from, to}]: waiting, connecting, ringing, talking. */
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

const seconds = (one) => (one.to - one.from) / 1000;
const SAID = { waiting: 'waited', connecting: 'connected in', ringing: 'rang', talking: 'talked', voicemail: 'voicemail spoke' };
const shortly = (parts) => parts.filter((one) => seconds(one) >= 0.5).map((one) => `${SAID[one.kind]} ${duration(seconds(one))}`).join(', ');

// The wait before an attempt takes hours, a call takes seconds. So a lane has two scales with a break between them: the
// wait to its dial on the left, and the seconds since the dial, the same scale for all attempts, on the right.
const WAIT = 30, CALL = 33, END = 96, LATER = 98.5;
const LONGEST = 180;

/** Seconds on the right of the lanes: every call until it is answered, and conversations up to LONGEST. */
function scaleOf(lanes, at) {
  const dialed = lanes.filter((one) => one.dialed);
  const whole = Math.max(10, ...dialed.map((one) => ((one.ended || at) - one.dialed) / 1000));
  const unanswered = Math.max(0, ...dialed.map((one) => ((one.answered || one.ended || at) - one.dialed) / 1000));
  const length = 1.04 * Math.min(whole, Math.max(LONGEST, unanswered + 30));
  return { length, step: [5, 10, 15, 30, 60, 120, 300].find((one) => length / one <= 6) || 600 };
}

/** Where a time is in a lane, in percent of its width. */
function placeIn(lane, scale, until) {
  return (at) => {
    if (!lane.dialed) return END * Math.min(1, Math.max(0, (at - lane.from) / (until - lane.from || 1)));
    if (at < lane.dialed) return WAIT * Math.max(0, (at - lane.from) / (lane.dialed - lane.from || 1));
    const share = (at - lane.dialed) / 1000 / scale.length;
    return share > 1 ? LATER : CALL + (END - CALL) * share;
  };
}

const SHAPES = { allow: 'M0-2V22', defer: 'M0 4V22M-4-4H4L0 3Z', end: 'M0 4V22M-4-4L4 4M4-4L-4 4' };

const APART = 1.2;

/** Where each dot is drawn: at its place, or just after the dot before it. */
function apart(events, place) {
  let before = -APART;
  const sorted = [...events].sort((one, other) => one.webhook.at - other.webhook.at);
  return new Map(sorted.map((event) => [event, before = Math.min(99.4, Math.max(place(event), before + APART))]));
}

function Lane({ lane, scale, at, clock }) {
  const until = Math.max(lane.next || 0, lane.ended || at, lane.from + 1000);
  const x = placeIn(lane, scale, until);
  const parts = partsOf(lane, at);
  const dialed = lane.dialed !== null;
  const waitEnd = dialed ? WAIT : x(parts[0].to);
  const dots = apart(lane.events.filter((event) => event.webhook), (event) => x(event.webhook.at));
  const marks = [];
  for (let second = 0; dialed && second < scale.length; second += scale.step) marks.push(second);
  return html`<svg class="lane" height="74" role="img" aria-label=${`Attempt ${lane.number}: ${shortly(parts)}. ${plural(lane.events.length, 'event')}, listed below.`}>
    ${dialed && seconds(parts[0]) < 1 && html`<text x="0" y="25">at once</text>`}
    ${parts.filter((one) => seconds(one) >= 1 || one.kind !== 'waiting' || !dialed).map((one) => {
    const left = one.kind === 'waiting' ? 0 : Math.min(x(one.from), END), right = one.kind === 'waiting' ? waitEnd : Math.min(x(one.to), END);
    return html`<svg key=${one.kind} x=${`${left}%`} width=${`${Math.max(right - left, 0.25)}%`} y="10" height="22"><rect class=${one.kind} width="100%" height="22" />
      ${right - left > 9 && html`<text class="inside" x="6" y="15">${words(one.kind)} ${duration(seconds(one))}</text>`}</svg>`;
  })}
    ${dialed ? html`<svg x=${`${(WAIT + CALL) / 2}%`} y="21" class="over"><path class="gap" d="M-5 14L1-14M1 14L7-14" /></svg>`
    : lane.next && html`<rect class="ahead" x=${`${waitEnd}%`} width=${`${END - waitEnd}%`} y="10" height="22" /><svg x=${`${waitEnd}%`} y="10" class="over"><path class="now" d="M0-4V26" /></svg>`}
    ${dialed && (lane.ended || at) - lane.dialed > scale.length * 1000 && html`<svg x=${`${END}%`} y="21" class="over"><path class="gap" d="M-5 14L1-14" /></svg>`}
    ${lane.events.map((event, place) => event.gates && html`<svg key=${place} x=${`${x(event.at)}%`} y="10" class=${`over gate ${event.verdict}`}><path d=${SHAPES[event.verdict]} /><title>${event.text}</title></svg>`)}
    ${lane.events.map((event, place) => event.webhook && html`<svg key=${place} x=${`${dots.get(event)}%`} y="46" class=${`over dot ${event.webhook.state}`}>
      ${event.webhook.state === 'undelivered' ? html`<path d="M-4-4L4 4M4-4L-4 4" />` : html`<circle r="4" />`}
      <title>Webhook of ${event.type}: ${event.webhook.text}</title></svg>`)}
    <text x="0" y="69">${clock(lane.from)}</text>
    ${dialed ? marks.map((second, place) => html`<text key=${second} class=${place % 2 ? 'minor' : ''} x=${`${CALL + ((END - CALL) * second) / scale.length}%`} y="69" text-anchor=${place ? 'middle' : 'start'}>${place ? `+${duration(second)}` : clock(lane.dialed)}</text>`)
    : html`<text x=${`${END}%`} y="69" text-anchor="end">${clock(until)}</text>`}
  </svg>`;
}

/** What is drawn only once it is opened: `children()`. */
function Fold({ title, open: initially = false, children }) {
  const [open, setOpen] = useState(initially);
  return html`<details class="fold" open=${open} onToggle=${(event) => setOpen(event.currentTarget.open)}><summary>${title}</summary>${open && children()}</details>`;
}

function Gates({ of }) {
  const closing = of.find((one) => one.decision !== 'allow');
  return html`<${Fold} title=${closing ? `${plural(of.length, 'gate')} asked` : `All ${of.length} gates allowed it`}>${() => html`
    <ul class="gates">${of.map((one) => html`<li key=${one.gate}><${Status} status=${one.decision} label=${words(one.gate)} /> ${one.text}</li>`)}</ul>`}</${Fold}>`;
}

const Events = ({ of, zone, label }) => html`<div class="scroll" tabindex="0" role="region" aria-label=${label}><table class="events">
  <thead><tr><th scope="col">Time</th><th scope="col">What happened</th><th scope="col">Webhook</th></tr></thead>
  <tbody>${of.map((one, place) => html`<tr key=${place}><td><${Time} at=${new Date(one.at).toISOString()} zone=${zone} seconds /></td>
    <td>${one.text}${one.gates && html`<${Gates} of=${one.gates} />`}</td>
    <td>${one.webhook && html`<${Status} status=${one.webhook.state} label=${one.webhook.text} />`}</td></tr>`)}</tbody>
</table></div>`;

const Mark = ({ kind, d, children }) => html`<span class="sample"><svg width="14" height="20" viewBox="-7 -5 14 26" class=${kind} aria-hidden="true">${d ? html`<path d=${d} />` : html`<circle r="4" cy="8" />`}</svg>${children}</span>`;

const VERDICTS = { allow: 'gates let it go', defer: 'a gate made it wait', end: 'a gate ended it' };
const SENT = { accepted: 'accepted', warning: 'failed, is tried again', undelivered: 'given up' };
const FOLDED = 30;

/** The lanes of an execution, with the events of each in a list. `zone`: the called person's, where it is known. */
export function Lanes({ execution, log, zone, at = now() }) {
  const { zone: choice } = useShared();
  const shown = choice === 'utc' ? 'UTC' : choice === 'recipient' && zone ? zone : HERE;
  const clock = (time) => timeText(time, shown);
  const lanes = lanesOf(execution, log, clock);
  const scale = scaleOf(lanes, at);
  const events = lanes.flatMap((one) => one.events);
  const kinds = new Set(lanes.flatMap((one) => partsOf(one, at).map((piece) => piece.kind)));
  return html`<svg class="patterns" width="0" height="0" aria-hidden="true"><defs>
      <pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect width="6" height="6" class="hatch-ground" /><path d="M0 0V6" class="hatch-line" /></pattern>
      <pattern id="rings" width="8" height="8" patternUnits="userSpaceOnUse"><rect width="8" height="8" class="ring-ground" /><circle cx="4" cy="4" r="1.5" class="ring-dot" /></pattern>
      <pattern id="machine" width="5" height="5" patternUnits="userSpaceOnUse"><rect width="5" height="5" class="ring-ground" /><path d="M0 0V5" class="machine-line" /></pattern>
    </defs></svg>
    <p class="signs muted">${Object.keys(SAID).map((kind) => kinds.has(kind) && html`<span key=${kind} class="sample"><svg width="26" height="14" aria-hidden="true"><rect class=${kind} width="26" height="14" /></svg>${kind}</span>`)}
      ${Object.entries(VERDICTS).map(([verdict, text]) => events.some((one) => one.verdict === verdict) && html`<${Mark} key=${verdict} kind=${`gate ${verdict}`} d=${SHAPES[verdict]}>${text}</${Mark}>`)}
      ${Object.entries(SENT).map(([state, text]) => events.some((one) => one.webhook && one.webhook.state === state) && html`<${Mark} key=${state} kind=${`dot ${state}`} d=${state === 'undelivered' && 'M-4 4L4 12M4 4L-4 12'}>webhook ${text}</${Mark}>`)}</p>
    <ol class="lanes">${lanes.map((lane, place) => html`<li key=${lane.number}>
      <h3>Attempt ${lane.number} <${Status} status=${lane.outcome || lane.status} /> <span class="muted">${shortly(partsOf(lane, at))}${lane.caller && ` · from ${lane.caller}`}</span></h3>
      <${Lane} lane=${lane} scale=${scale} at=${at} clock=${clock} />
      ${lane.events.length > 0 && html`<${Fold} title=${`${plural(lane.events.length, 'event')} of attempt ${lane.number}`} open=${place === lanes.length - 1 && lane.events.length <= FOLDED}>${() => html`<${Events} of=${lane.events} zone=${zone} label=${`Events of attempt ${lane.number}`} />`}</${Fold}>`}
    </li>`)}</ol>`;
}

// ---- one execution: the page ----

/** The time zone of the called person: the first that the number may be in. */
function useZone(number) {
  const [zone, setZone] = useState(null);
  useEffect(() => {
    if (!number || !/^\+\d+$/.test(number)) return; // a key may see masked numbers only
    api('GET', `/numbers/${encodeURIComponent(number)}`).then((found) => setZone(found.time_zones[0] || null), () => setZone(null));
  }, [number]);
  return zone;
}

function Countdown({ at }) {
  const [, tick] = useState(0);
  useEffect(() => { const timer = setInterval(() => tick((beat) => beat + 1), 1000); return () => clearInterval(timer); }, []);
  const left = (ms(at) - now()) / 1000;
  return html`<span class="countdown">${left > 0 ? `in ${left < 600 ? `${Math.floor(left / 60)}:${String(Math.floor(left % 60)).padStart(2, '0')} min` : duration(left)}` : 'due now'}</span>`;
}

function One({ id }) {
  const { agents } = useShared();
  const load = async (signal) => {
    const [execution, explanation, log] = await Promise.all(['', '/explain', '/log'].map((end) => api('GET', `/executions/${id}${end}`, { signal })));
    return { execution, explanation, log: log.data };
  };
  const found = useLive(load, [id], 3000);
  const number = found.data && found.data.execution.user_number;
  const zone = useZone(number);
  const back = { href: '#/executions', text: 'Calls' };
  if (!found.data) return html`<${Page} title="Call" back=${back}><${Card}><${Live} of=${found} lines=${10} /></${Card}></${Page}>`;
  const { execution, explanation, log } = found.data;
  const over = FINAL.includes(execution.status);
  const unsent = log.filter((one) => one.type === 'webhook' && one.data.outcome !== 'accepted').length;
  const agent = agents.find((one) => one.agent_id === execution.agent_id);
  const data = Object.entries(execution.context_details.recipient_data);
  const retries = execution.retry_config;
  const post = (end) => () => api('POST', `/executions/${id}/${end}`, { body: {} });
  const actions = html`
    ${!over && html`<${Action} scope="operate" disabled=${!['initiated', 'ringing', ...WAITING].includes(execution.status)} act=${() => api('POST', `/call/${id}/stop`)} done="Stopped." onDone=${found.refresh}
      confirm=${{ title: 'Stop this call?', text: 'No further attempt is made. A call that rings is canceled.', yes: 'Stop it' }}>Stop</${Action}>`}
    ${number && html`<${Action} scope="operate" act=${post('suppress')} done=${`${number} is not called any more.`} onDone=${found.refresh}
      confirm=${{ title: `Stop calling ${number}?`, text: 'The number is suppressed for all calls of the account. Calls to it that wait end. Rules has the list of suppressed numbers.', yes: 'Suppress it' }}>Suppress number</${Action}>`}
    ${over && html`<${Action} danger scope="admin" act=${() => api('DELETE', `/executions/${id}`)} done="Erased." onDone=${() => go('executions')}
      confirm=${{ title: 'Erase this call?', text: 'The call, its user data and its undelivered webhooks are removed for good.', yes: 'Erase it' }}>Erase</${Action}>`}`;
  const waits = explanation.waits_for;
  return html`<${Page} title=${number || 'Erased call'} back=${back} actions=${actions}>
    <${Card}><div class="standing"><${Status} status=${stateOf(execution)} /><p class="sentence">${explanation.summary}</p></div>
      ${execution.next_attempt && html`<p>Attempt ${execution.next_attempt.attempt} <strong><${Countdown} at=${execution.next_attempt.at} /></strong>, at <${Time} at=${execution.next_attempt.at} zone=${zone} /></p>`}
      ${waits && waits.gate && html`<p class="muted">${waits.to_change}</p>`}
      ${found.error && html`<p class="muted">Not up to date: ${found.error.message}</p>`}
    </${Card}>
    <${Card} title="Attempts" actions=${unsent > 0 && html`<span class="muted">${plural(unsent, 'webhook')} not accepted</span>
      <${Action} small scope="operate" act=${post('webhooks/replay')} done=${(answer) => (answer.replayed.length ? `${plural(answer.replayed.length, 'webhook')} sent again.` : 'No webhook waits or was given up.')} onDone=${found.refresh}>Replay webhooks</${Action}>`}>
      <${Lanes} execution=${execution} log=${log} zone=${zone} />
    </${Card}>
    <div class="grid">
      <${Card} title="Facts"><${Facts} of=${[
    ['Execution', html`<${Copy} text=${execution.id} />`],
    ['Agent', agent ? html`<a href=${link('agents', agent.agent_id)}>${agent.agent_name}</a>` : execution.agent_id],
    ['Batch', execution.batch_id && html`<a href=${link('batches', execution.batch_id)}>${execution.batch_id}</a>`],
    ['Created', html`<${Time} at=${execution.created_at} zone=${zone} day />`],
    ['Changed', html`<${Time} at=${execution.updated_at} zone=${zone} day />`],
    ['Time zone', zone],
    ['Retries', retries && retries.enabled ? `${retries.max_retries}, after ${retries.retry_intervals_minutes.join(', ')} min, on ${retries.retry_on_statuses.map(words).join(', ').toLowerCase()}${retries.retry_on_voicemail ? ' and voicemail' : ''}` : 'Off'],
    ['Policy', execution.policy], ['Purpose', execution.purpose],
    ['Expires', execution.expires_at && html`<${Time} at=${execution.expires_at} zone=${zone} day />`],
    ['Carrier', execution.provider], ['Carrier\u2019s call', execution.telephony_data.provider_call_id && html`<${Copy} text=${execution.telephony_data.provider_call_id} />`],
    ['Hung up by', execution.telephony_data.hangup_by === 'Unknown' ? null : execution.telephony_data.hangup_by], ['Talked', execution.conversation_duration ? duration(execution.conversation_duration) : null],
  ]} /></${Card}>
      ${explanation.plan && explanation.plan.attempts.length > 0 && html`<${Card} title="If it goes on failing" note=${`Then it is over: ${explanation.plan.ends_because}`}>
        <${Table} label="Plan" rows=${explanation.plan.attempts} columns=${[{ name: 'Attempt', of: (one) => one.attempt }, { name: 'Earliest', of: (one) => html`<${Time} at=${one.earliest_at} zone=${zone} day />` },
    { name: 'Moved by', of: (one) => one.moved_by.map((gate) => words(gate.gate)).join(', ') || html`<span class="muted">–</span>` }]} /></${Card}>`}
      ${data.length > 0 && html`<${Card} title="User data"><${Facts} of=${data.map(([name, value]) => [name, typeof value === 'string' ? value : JSON.stringify(value)])} /></${Card}>`}
    </div>
    <${Card}><${Fold} title=${`Raw log, ${plural(log.length, 'entry', 'entries')}`}>${() => html`<pre class="raw" tabindex="0">${log.map((one) => JSON.stringify(one)).join('\n')}</pre>`}</${Fold}></${Card}>
  </${Page}>`;
}

export default ({ route }) => (route.parts[0] ? html`<${One} key=${route.parts[0]} id=${route.parts[0]} />` : html`<${List} query=${route.query} />`);
