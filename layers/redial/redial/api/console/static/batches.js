// Batches: an agent's, one of them (preflight and start, progress, contacts, files), and a new one from a file.
import {
  HERE, api, count, go, html, link, now, part, percent, plural, setQuery, timeText, useEffect, useLive, useRef, useShared, useState, words, zoneName,
} from './lib.js';
import {
  Action, AgentPicker, Card, Copy, Empty, Facts, Failure, Field, Figures, Form, Live, Loading, Meter, Page, Phone, Status, Table, Time, download,
} from './ui.js';
import { RetryFields, retryText, Warnings } from './rulefields.js';

const MOST_BYTES = 4 * 1024 * 1024;
const DIRECT_ROWS = 10000;
const PAGE = 25;
/** A batch starts two minutes ahead at the earliest; the rest is for clocks that differ. */
const SOONEST = 130000;

const nameOf = (batch) => batch.file_name || `Batch ${batch.batch_id.slice(0, 8)}`;
const isOver = (batch) => ['completed', 'stopped', 'failed'].includes(batch.status);
const isReady = (batch) => ['processed', 'scheduled'].includes(batch.status);

// ---- contacts by status ----

const WAITING = ['queued', 'scheduled', 'rescheduled'], LIVE = ['initiated', 'ringing', 'in-progress', 'call-disconnected'];
const ended = (status) => !WAITING.includes(status) && !LIVE.includes(status);
const total = (counts, of) => Object.entries(counts).reduce((sum, [status, number]) => sum + (of(status) ? number : 0), 0);

/** How the contacts stand, the parts of the bar: those that ended, are live, wait for a time, and wait for their turn. */
function standing({ execution_status: counts, valid_contacts: valid }) {
  const answered = counts.completed || 0;
  const live = total(counts, (status) => LIVE.includes(status));
  const done = total(counts, ended);
  const later = (counts.scheduled || 0) + (counts.rescheduled || 0);
  return {
    valid, done, live, later, turn: Math.max(0, valid - done - live - later),
    parts: [
      { label: 'Answered by a person or a voicemail', value: answered, tone: 'good' },
      { label: 'Ended without an answer', value: done - answered, tone: 'bad' },
      { label: 'Live', value: live, tone: 'live' },
      { label: 'Waiting for a retry or their hours', value: later, tone: 'wait' },
      { label: 'Waiting for their turn', value: Math.max(0, valid - done - live - later), tone: 'free' },
    ],
  };
}

const MARKS = { good: '✓', bad: '✕', live: '●', wait: '◷', free: '○' };

const Legend = ({ parts }) => html`<ul class="standing">${parts.filter((one) => one.value).map((one) => html`<li key=${one.label}><i class=${one.tone} aria-hidden="true">${MARKS[one.tone]}</i> <strong>${count(one.value)}</strong> ${one.label.toLowerCase()}</li>`)}</ul>`;

/** The milliseconds that retries take from the retry numbered `from` (0: the first) on. */
function retryTime({ enabled, max_retries: most, retry_intervals_minutes: gaps }, from) {
  let minutes = 0;
  for (let retry = from; enabled && retry < most; retry++) minutes += gaps[Math.min(retry, gaps.length - 1)] + CALL_MINUTES;
  return 60000 * minutes;
}
const CALL_MINUTES = 2;

/** When a running batch will be done, foreseen: {first, last} in milliseconds; null: not known yet. `first`: when every
 * contact was called once, at the pace so far; null: that is so. `last`: when the last contact used all its retries.
 * `waiting`: all contacts that wait for a time, where they are few. */
function foreseen(batch, waiting) {
  const { valid, turn } = standing(batch);
  const elapsed = now() - new Date(batch.scheduled_at || batch.created_at).getTime();
  const begun = valid - turn;
  if (batch.status !== 'running' || batch.paused || begun <= 0 || elapsed <= 0) return null;
  const config = batch.retry_config || {};
  if (turn) { const first = now() + (turn * elapsed) / begun; return { first, last: first + retryTime(config, 0) }; }
  const ends = (waiting || []).filter((one) => one.next_attempt).map((one) => new Date(one.next_attempt.at).getTime() + retryTime(config, one.retry_count));
  return { first: null, last: Math.max(now(), ...(waiting ? ends : [now() + retryTime(config, 0)])) + 60000 * CALL_MINUTES };
}

/** All contacts that wait for a time, once every contact was called and they fit one answer. */
function useWaiting(batch) {
  const { turn, later } = standing(batch);
  const few = batch.status === 'running' && !turn && later && later <= FEW;
  const status = batch.execution_status.rescheduled ? 'rescheduled' : 'scheduled';
  return useLive(few ? (signal) => api('GET', `/v2/agent/${batch.agent_id}/executions`, { query: { batch_id: batch.batch_id, status, page_size: FEW, page_number: 1 }, signal }) : null, [few, status], 15000).data;
}
const FEW = 50;

function Expected({ batch }) {
  const waiting = useWaiting(batch);
  const found = foreseen(batch, waiting && waiting.data);
  if (batch.status !== 'running') return null;
  if (batch.paused) return html`<p>No call starts until it is resumed.</p>`;
  if (!found) return html`<p class="muted">When it will be done shows once the first calls are made.</p>`;
  const at = (time) => html`<strong><${Time} at=${new Date(time).toISOString()} relative /></strong>`;
  return html`<p>${found.first === null ? 'Every contact was called.' : html`Every contact will have been called by about ${at(found.first)}.`} Done by about ${at(found.last)},
    <span class="muted"> at the pace so far, if the last contacts use all their retries. Calling hours can make it later.</span></p>`;
}

// ---- the list ----

function List() {
  const { agent, agents } = useShared();
  const [cursor, setCursor] = useState('');
  const id = agent && agent.agent_id;
  useEffect(() => setCursor(''), [id]);
  const live = useLive(id && ((signal) => part(`/batches/${id}/all`, { query: { page_size: PAGE, cursor }, signal })), [id, cursor], 5000);
  const actions = html`<${AgentPicker} />${agents.length > 0 && html`<a class="button primary" href=${link('batches', 'new')}>New batch</a>`}`;
  return html`<${Page} title="Batches" actions=${actions}>
    ${!agents.length ? html`<${Card}><${Empty} title="No agent yet"><a href=${link('agents')}>Make an agent</a>: it makes a batch's calls.</${Empty}></${Card}>` : html`<${Card} wide>
      <${Live} of=${live}>${({ value, next, total: all }) => (!value.length && !cursor
    ? html`<${Empty} title=${`${agent.agent_name} has no batches`}>A batch is a file of contacts. <a href=${link('batches', 'new')}>Upload one</a>: nothing is called before you start it.</${Empty}>`
    : html`<${Table} label="Batches" rows=${value} rowKey=${(one) => one.batch_id} href=${(one) => link('batches', one.batch_id)} columns=${[
      { name: 'File', of: nameOf },
      { name: 'Status', of: (one) => html`<${StatusOf} batch=${one} />` },
      { name: 'Contacts', number: true, of: (one) => count(one.valid_contacts) },
      { name: 'Progress', of: (one) => { const { parts, done, valid } = standing(one); return valid ? html`<div class="progress"><${Meter} label="Contacts" parts=${parts} total=${valid} /><span class="muted">${percent(done / valid, 0)} done</span></div>` : html`<span class="muted">–</span>`; } },
      { name: 'Created', of: (one) => html`<${Time} at=${one.created_at} />` },
    ]} /><${Pager} cursor=${cursor} next=${next} total=${all} what="batch" many="batches" onCursor=${setCursor} />`)}</${Live}>
    </${Card}>`}
  </${Page}>`;
}

const StatusOf = ({ batch }) => html`<${Status} status=${batch.paused && !isOver(batch) ? 'paused' : batch.status} label=${batch.status === 'created' ? 'Reading the file' : batch.status === 'processed' ? 'Ready to start' : undefined} />`;

/** Where in a listing the viewer is; goes on and back to its beginning. */
function Pager({ cursor, next, total: all, what, many, onCursor }) {
  if (!cursor && !next) return null;
  return html`<div class="pair"><span class="muted">${all === null ? '' : plural(all, what, many)}</span><div class="actions">
    ${cursor && html`<button type="button" class="small" onClick=${() => onCursor('')}>To the beginning</button>`}
    ${next && html`<button type="button" class="small" onClick=${() => onCursor(next)}>Next ${PAGE}</button>`}</div></div>`;
}

// ---- a new batch ----

const checkSize = ({ currentTarget: input }) => input.setCustomValidity(input.files[0]?.size > MOST_BYTES ? 'This file is too large for an upload here: use POST /batches/uploads.' : '');

function New() {
  const { agent } = useShared();
  const [retry, setRetry] = useState(null);
  const request = useRef('');
  const policies = useLive((signal) => api('GET', '/policies', { signal }), [], 0);
  const send = async (values, element) => {
    const form = new FormData();
    form.set('agent_id', agent.agent_id);
    form.set('file', element.elements.file.files[0]);
    for (const name of ['policy', 'calls_per_second']) if (values[name]) form.set(name, values[name]);
    if (values.expires_hours) form.set('expires_after_minutes', Math.round(60 * values.expires_hours));
    for (const one of values.from_phone_numbers.split(/[\s,;]+/).filter(Boolean)) form.append('from_phone_numbers', one);
    if (retry) form.set('retry_config', JSON.stringify(retry));
    request.current = request.current || crypto.randomUUID();
    return api('POST', '/batches', { form, headers: { 'Idempotency-Key': request.current } });
  };
  return html`<${Page} title="New batch" back=${{ href: link('batches'), text: 'Batches' }} actions=${html`<${AgentPicker} />`}>
    <${Card} note="The file is read first. You see whom it would call and when it would be done, before anything starts.">
      ${!agent ? html`<${Empty} title="No agent yet"><a href=${link('agents')}>Make an agent</a> first.</${Empty}>` : html`<div class="column" onInput=${() => { request.current = ''; }}>
      <${Form} scope="call" submit="Upload and check" keep act=${send} onDone=${(made) => go('batches', made.batch_id)}>
        <${Field} label="File" name="file" type="file" accept=".csv,.tsv,.txt,text/csv" required onChange=${checkSize}
          hint=${html`A CSV with a header line and a column <code>contact_number</code>; a column <code>time_zone</code> is optional. At most 4 MiB.`} />
        <${Field} label="Policy" name="policy" options=${[['', 'None, or the agent’s'], ...(policies.data || []).map((one) => [one.name, one.name])]} />
        <${RetryFields} value=${retry} onChange=${setRetry} unset="As the policy says, else never" />
        <details><summary>More</summary><div class="form">
          <div class="row">
            <${Field} label="Calls a second, at most" name="calls_per_second" type="number" min="0.1" max="100" step="0.1" />
            <${Field} label="Expires, hours after its start" name="expires_hours" type="number" min="0.1" step="any" />
            <${Field} label="Caller ids" name="from_phone_numbers" placeholder="the agent’s" />
          </div></div></details>
      </${Form}></div>`}
    </${Card}>
  </${Page}>`;
}

// ---- preflight, and the start ----

const zoneNames = (zones) => (zones.length > 3 ? `${zones.slice(0, 2).map(zoneName).join(', ')} or ${zones.length - 2} others` : zones.map(zoneName).join(' or '));

function Preflight({ batch, refresh }) {
  const [start, setStart] = useState('');
  const [bypass, setBypass] = useState(false);
  const chosen = start ? new Date(start) : null;
  const scheduled = chosen ? chosen.toISOString() : undefined;
  const found = useLive((signal) => api('POST', `/batches/${batch.batch_id}/preflight`, { body: { scheduled_at: scheduled, ...(bypass && { bypass_call_guardrails: true }) }, signal }), [batch.status, batch.scheduled_at, scheduled, bypass], 0);
  const schedule = () => {
    const form = new FormData();
    form.set('scheduled_at', scheduled || new Date(now() + SOONEST).toISOString());
    if (bypass) form.set('bypass_call_guardrails', 'true');
    return api('POST', `/batches/${batch.batch_id}/schedule`, { form });
  };
  const toCall = found.data && found.data.to_be_called;
  return html`<${Card} title="Before it starts" note="Nothing was dialled yet." wide>
    <${Live} of=${found} lines=${6}>${(data) => (data.state === 'reading' ? html`<${Loading} />` : html`<${Checked} data=${data} />`)}</${Live}>
    <div class="row start">
      <${Field} label="Start at" type="datetime-local" name="start" value=${start} onChange=${(event) => setStart(event.currentTarget.value)} hint=${`In your zone (${zoneName(HERE)}). Empty: in two minutes.`} />
      <${Field} label="Call outside the calling hours too" type="checkbox" name="bypass" checked=${bypass} onChange=${(event) => setBypass(event.currentTarget.checked)} />
      <div class="actions"><${Action} scope="call" primary disabled=${!toCall} act=${schedule} onDone=${refresh} done="Scheduled." confirm=${{
    title: chosen ? `Start it ${timeText(scheduled, HERE, { day: true })}?` : 'Start it in two minutes?',
    text: `It calls ${plural(toCall || 0, 'contact')}, each up to ${plural((found.data && found.data.attempts_per_contact) || 1, 'time')}.`,
    yes: chosen ? 'Schedule' : 'Start',
  }}>${chosen ? 'Schedule' : batch.status === 'scheduled' ? 'Start in two minutes instead' : 'Start'}</${Action}></div>
    </div>
  </${Card}>`;
}

function Checked({ data }) {
  const { rejected, finish } = data;
  const out = [['Duplicates', rejected.duplicates, 'of an earlier row'], ['Suppressed', data.suppressed, 'want no calls'], ['Without consent', data.without_consent, 'need one first'],
    ['Never within hours', data.never_placeable + rejected.never_placeable, 'their calling hours never open'], ['Unusable', rejected.others, 'see the rejected rows']];
  const left = rejected.duplicates + rejected.never_placeable + rejected.others;
  const most = Math.max(...data.by_time_zone.map((one) => one.contacts), 1);
  return html`
    <${Warnings} of=${data.warnings} />
    <${Figures} of=${[
    { label: 'Will be called', value: count(data.to_be_called), note: `of ${plural(data.contacts, 'contact')}` },
    { label: 'Will not be called', value: count(data.contacts - data.to_be_called + left), note: `of ${plural(data.contacts + left, 'row')}` },
    { label: 'Calls at most', value: count(data.worst_case_calls), note: `${plural(data.attempts_per_contact, 'attempt')} a contact` },
  ]} />
    ${finish.earliest || finish.latest ? html`<p>Done between <strong><${Time} at=${finish.earliest} day /></strong> and ${finish.latest ? html`<strong><${Time} at=${finish.latest} day /></strong>` : 'more than 400 days later'}, if it starts <${Time} at=${finish.starts_at} day />.</p>` : null}
    <div class="halves">
      <div><h3>Contacts by time zone</h3><ul class="plain bars">${data.by_time_zone.slice(0, 8).map((one) => html`<li key=${one.time_zones.join()}><span title=${one.time_zones.join(', ')}>${zoneNames(one.time_zones)}</span><i style=${{ width: `${(100 * one.contacts) / most}%` }}></i><b>${count(one.contacts)}</b></li>`)}</ul>
        ${data.by_time_zone.length > 8 && html`<p class="muted">and ${plural(data.by_time_zone.length - 8, 'more zone')}</p>`}</div>
      <div><h3>Not called</h3><${Facts} of=${out.map(([name, number, why]) => [name, html`${count(number)} <span class="muted">${why}</span>`])} />
        ${data.shared_contacts.length > 0 && html`<p>${data.shared_contacts.map((one) => html`<a key=${one.batch_id} href=${link('batches', one.batch_id)}>${plural(one.contacts, 'contact')} in a running batch</a> `)}</p>`}</div>
    </div>
    <details><summary>What this assumes</summary><ul>${finish.assumptions.map((one) => html`<li key=${one}>${words(one)}.</li>`)}</ul></details>`;
}

// ---- progress ----

/** Imported, called, reached: a bar each. Called and reached are of the statistics. */
function Funnel({ batch, stats }) {
  const last = stats && stats.reach[stats.reach.length - 1];
  const steps = [['Imported', batch.total_contacts], ['Accepted', batch.valid_contacts], ['Called', stats && stats.contacts], ['Reached', last ? last.reached : stats && 0]];
  return html`<ol class="plain funnel">${steps.map(([name, number], place) => html`<li key=${name}><span>${name}</span><span class="tube"><i style=${{ width: `${number ? (100 * number) / (batch.total_contacts || 1) : 0}%` }}></i></span>
    <b>${count(number)}</b><span class="muted">${place > 0 && number !== null && number !== undefined && steps[place - 1][1] ? percent(number / steps[place - 1][1], 0) : ''}</span></li>`)}</ol>`;
}

function Progress({ batch, stats }) {
  const { parts, done, valid } = standing(batch);
  return html`<${Card} title=${batch.status === 'created' ? 'Reading the file' : 'Progress'}>
    ${batch.status === 'created' ? html`<p>${plural(batch.total_contacts, 'row')} so far.</p>` : valid ? html`
      <p class="big"><strong>${percent(done / valid, 0)}</strong> <span class="muted">${count(done)} of ${plural(valid, 'contact')} done</span></p>
      <${Meter} label="Contacts" parts=${parts} total=${valid} /><${Legend} parts=${parts} />
      <${Expected} batch=${batch} />` : html`<${Empty} title="No row of the file became a contact" />`}
    ${batch.valid_contacts > 0 && !isReady(batch) && html`<h3>From the file to the person</h3><${Funnel} batch=${batch} stats=${stats} />
      <p class="muted">Reached: a person answered. Called and reached are counted every few minutes. <a href=${`${link('learn')}?agent=${batch.agent_id}&batch=${batch.batch_id}`}>Which retry paid?</a></p>`}
  </${Card}>`;
}

const day = (time) => new Date(time).toISOString().slice(0, 10);
const DAYS = 86400000;

function About({ batch }) {
  const { agents } = useShared();
  const agent = agents.find((one) => one.agent_id === batch.agent_id);
  return html`<${Card} title="About">
    <${Facts} of=${[
    ['Agent', agent ? html`<a href=${link('agents', agent.agent_id)}>${agent.agent_name}</a>` : 'Deleted'],
    ['Created', html`<${Time} at=${batch.created_at} />`],
    [isOver(batch) || batch.status === 'running' ? 'Started' : 'Starts', batch.scheduled_at && html`<${Time} at=${batch.scheduled_at} />`],
    ['Reason', batch.reason && words(batch.reason)],
    ['Retries', retryText(batch.retry_config)],
    ['Policy', batch.policy],
    ['Caller ids', batch.from_phone_numbers.join(', ')],
    ['Calls a second', batch.calls_per_second],
    ['Expires', batch.expires_at && html`<${Time} at=${batch.expires_at} />`],
    ['Rejected rows', batch.rejected_contacts > 0 && count(batch.rejected_contacts)],
    ['Shares contacts', batch.shared_contacts.length > 0 && batch.shared_contacts.map((one) => html`<a key=${one.batch_id} href=${link('batches', one.batch_id)}>${count(one.contacts)} with another batch</a> `)],
    ['Id', html`<${Copy} text=${batch.batch_id} />`],
  ].filter(([, value]) => value)} />
  </${Card}>`;
}

// ---- contacts ----

/** A name for the contact: the first text of its row. */
const who = (one) => Object.entries(one.context_details.recipient_data || {}).filter(([name, value]) => name !== 'time_zone' && value).map(([, value]) => value)[0];
const dialled = (one) => one.attempts.filter((attempt) => attempt.dialed_at).length;
const zoneOf = (one) => (one.context_details.recipient_data || {}).time_zone;

function Contacts({ batch, status, actions }) {
  const [cursor, setCursor] = useState('');
  useEffect(() => setCursor(''), [status]);
  const live = useLive((signal) => (status
    ? part(`/v2/agent/${batch.agent_id}/executions`, { query: { batch_id: batch.batch_id, status, page_size: PAGE, cursor }, signal })
    : part(`/batches/${batch.batch_id}/executions`, { query: { page_size: PAGE, cursor }, signal })), [status, cursor, isOver(batch)], isOver(batch) ? 0 : 5000);
  const choices = [['', 'All', batch.valid_contacts], ...Object.entries(batch.execution_status).filter(([name, number]) => number || name === status).map(([name, number]) => [name, words(name), number])];
  return html`<${Card} title="Contacts" wide actions=${actions}>
    <div class="filters" role="group" aria-label="Contacts by outcome">${choices.map(([name, text, number]) => html`<button key=${name} type="button" class="small" aria-pressed=${name === status} onClick=${() => setQuery({ status: name })}>${text} <b>${count(number)}</b></button>`)}</div>
    <${Live} of=${live}>${({ value, next, total: all }) => html`<${Table} label="Contacts" rows=${value.data || value} rowKey=${(one) => one.id} href=${(one) => link('executions', one.id)} empty="No contact has this status now." columns=${[
    { name: 'Number', of: (one) => html`<${Phone} number=${one.user_number} />` },
    { name: 'Contact', of: (one) => who(one) || html`<span class="muted">–</span>` },
    { name: 'Status', of: (one) => html`<${Status} status=${one.status} />` },
    { name: 'Last outcome', of: (one) => (one.outcome ? words(one.outcome) : html`<span class="muted">–</span>`) },
    { name: 'Attempts', number: true, of: (one) => count(dialled(one)) },
    { name: 'Next call, or last change', of: (one) => (one.next_attempt ? html`<${Time} at=${one.next_attempt.at} zone=${zoneOf(one)} relative />` : html`<${Time} at=${dialled(one) ? one.updated_at : null} zone=${zoneOf(one)} />`) },
    { name: 'Ended because', of: (one) => (one.ended_because && words(one.ended_because) !== words(one.outcome) ? words(one.ended_because) : html`<span class="muted">–</span>`) },
  ]} /><${Pager} cursor=${cursor} next=${next} total=${all} what="contact" onCursor=${setCursor} />`}</${Live}>
  </${Card}>`;
}

// ---- one batch ----

/** A file of the batch as a download; one that is too large for that as a command. */
function FileButton({ batch, name, rows, children }) {
  const path = `/batches/${batch.batch_id}/${name}.csv`;
  if (rows > DIRECT_ROWS) return html`<${Copy} text=${`curl -L -H "Authorization: Bearer $REDIAL_KEY" -o ${name}.csv ${location.origin}${path}`} shown=${`${children}: copy the command`} />`;
  const fetchFile = async () => {
    const text = await api('GET', path);
    if (typeof text !== 'string') throw new Error('The file is too large for a download here: use the API.');
    download(`${nameOf(batch).replace(/\.[a-z]+$/, '')}-${name}.csv`, text);
  };
  return html`<${Action} small act=${fetchFile}>${children}</${Action}>`;
}

function One({ id, query }) {
  const live = useLive((signal) => api('GET', `/batches/${encodeURIComponent(id)}`, { signal }), [id], 3000);
  const batch = live.data;
  const started = batch && !isReady(batch) && batch.status !== 'created';
  const today = now();
  const stats = useLive(started ? (signal) => api('GET', '/stats/retries', { query: { batch_id: id, from: day(batch.created_at), to: day(Math.min(today, new Date(batch.created_at).getTime() + 365 * DAYS)) }, signal }) : null, [id, started, started && batch.status], 20000);
  return html`<${Page} title=${batch ? nameOf(batch) : 'Batch'} back=${{ href: link('batches'), text: 'Batches' }} actions=${batch && html`<${Buttons} batch=${batch} refresh=${live.refresh} />`}>
    <${Live} of=${live} lines=${8}>${() => html`
      <p class="state"><${StatusOf} batch=${batch} />${batch.status === 'scheduled' && batch.scheduled_at && html` starts <${Time} at=${batch.scheduled_at} relative />`}${batch.reason && isOver(batch) && html` <span>${words(batch.reason)}</span>`}</p>
      ${isReady(batch) && html`<${Preflight} batch=${batch} refresh=${live.refresh} />`}
      <div class="halves">${!isReady(batch) && html`<${Progress} batch=${batch} stats=${stats.data} />`}<${About} batch=${batch} /></div>
      ${stats.error && html`<${Failure} error=${stats.error} />`}
      ${batch.valid_contacts > 0 && html`<${Contacts} batch=${batch} status=${query.status || ''} actions=${batch.status !== 'created' && html`
        ${started && html`<${FileButton} batch=${batch} name="results" rows=${batch.valid_contacts}>Download results</${FileButton}>`}
        ${batch.rejected_contacts > 0 && html`<${FileButton} batch=${batch} name="rejected" rows=${batch.rejected_contacts}>Rejected rows (${count(batch.rejected_contacts)})</${FileButton}>`}`} />`}
      ${!batch.valid_contacts && batch.rejected_contacts > 0 && batch.status !== 'created' && html`<${Card} title="Rejected rows"><div class="actions"><${FileButton} batch=${batch} name="rejected" rows=${batch.rejected_contacts}>Rejected rows (${count(batch.rejected_contacts)})</${FileButton}></div></${Card}>`}`}</${Live}>
  </${Page}>`;
}

function Buttons({ batch, refresh }) {
  const path = `/batches/${batch.batch_id}`;
  const { notify } = useShared();
  const name = nameOf(batch);
  const runs = ['scheduled', 'queued', 'running'].includes(batch.status);
  return html`
    ${runs && (batch.paused
    ? html`<${Action} key="resume" scope="operate" primary act=${() => api('POST', `${path}/resume`)} done="Resumed." onDone=${refresh}>Resume</${Action}>`
    : html`<${Action} key="pause" scope="operate" act=${() => api('POST', `${path}/pause`)} done="Paused: no call starts until you resume it." onDone=${refresh}>Pause</${Action}>`)}
    ${runs && html`<${Action} key="stop" scope="operate" danger act=${() => api('POST', `${path}/stop`)} done="Stopped." onDone=${refresh} confirm=${{
    title: `Stop ${name}?`, text: 'No further call of it starts, and it cannot be started again. Live calls finish.', yes: 'Stop it' }}>Stop</${Action}>`}
    <${Action} key="delete" scope="admin" danger act=${() => api('DELETE', path)} onDone=${() => { notify('Deleted.'); go('batches'); }} confirm=${{
    title: `Delete ${name}?`, text: 'Its contacts, results and files are removed for good. Waiting calls are not made.', yes: 'Delete it' }}>Delete</${Action}>`;
}

export default function Batches({ route }) {
  const [id] = route.parts;
  if (!id) return html`<${List} />`;
  if (id === 'new') return html`<${New} />`;
  return html`<${One} key=${id} id=${id} query=${route.query} />`;
}
