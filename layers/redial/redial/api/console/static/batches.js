// Batches: an agent's batches, one batch (preflight and start, progress, contacts, files), and a new batch from a file.

const MOST_BYTES = 4 * 1024 * 1024;
const DIRECT_ROWS = 10000;
/** A batch starts two minutes ahead at the earliest; the rest allows for clock skew. */
const SOONEST_MS = 130000;
const CALL_MS = 120000;

const batchName = (batch) => batch.file_name || `Batch ${batch.batch_id.slice(0, 8)}`;
const isOver = (batch) => ['completed', 'stopped', 'failed'].includes(batch.status);
const isReady = (batch) => ['processed', 'scheduled'].includes(batch.status);

// ---- contacts by status ----

/** The contacts by state, and the parts of the bar: ended, live, waiting for a time, and waiting for their turn. */
function standing({ execution_status: counts, valid_contacts: valid }) {
  const of = (statuses) => statuses.reduce((total, status) => total + (counts[status] || 0), 0);
  const ended = Object.keys(counts).filter((status) => !WAITING.includes(status) && !LIVE.includes(status));
  const done = of(ended), live = of(LIVE), later = of(['scheduled', 'rescheduled']), answered = of(['completed']);
  const turn = Math.max(0, valid - done - live - later);
  return {
    valid, done, later, turn,
    parts: [
      { label: 'Answered by a person or a voicemail', value: answered, tone: 'good' },
      { label: 'Ended without an answer', value: done - answered, tone: 'bad' },
      { label: 'Live', value: live, tone: 'live' },
      { label: 'Waiting for a retry or their hours', value: later, tone: 'wait' },
      { label: 'Waiting for their turn', value: turn, tone: 'free' },
    ],
  };
}

const Legend = ({ parts }) => html`<ul class="standing">${parts.filter((one) => one.value).map(({ label, value, tone }) => html`<li key=${label}>
  <i class=${tone} aria-hidden="true">${MARKS[tone]}</i> <strong>${count(value)}</strong> ${label.toLowerCase()}</li>`)}</ul>`;

/** The milliseconds that retries take, starting with retry `from` (0: the first). */
function retryTime({ enabled, max_retries: most, retry_intervals_minutes: gaps }, from) {
  let all = 0;
  for (let retry = from; enabled && retry < most; retry++) all += 60000 * gaps[Math.min(retry, gaps.length - 1)] + CALL_MS;
  return all;
}

/** Estimates when a running batch will be done: {first, last} in milliseconds; null: not known yet. `first`: when every
 * contact will have been called once, at the pace so far; null: all have been. `last`: when the last contact will have
 * used all its retries. `waiting`: all contacts that wait for a time, if they are few. */
function foreseen(batch, waiting) {
  const { valid, turn } = standing(batch);
  const elapsed = now() - ms(batch.scheduled_at || batch.created_at);
  const begun = valid - turn;
  if (begun <= 0 || elapsed <= 0) return null;
  const config = batch.retry_config || {};
  if (turn) {
    const first = now() + (turn * elapsed) / begun;
    return { first, last: first + retryTime(config, 0) };
  }
  const ends = waiting
    ? waiting.filter((one) => one.next_attempt).map((one) => ms(one.next_attempt.at) + retryTime(config, one.retry_count))
    : [now() + retryTime(config, 0)];
  return { first: null, last: Math.max(now(), ...ends) + CALL_MS };
}

const MOST_WAITING = 50;

/** All contacts that wait for a time, once every contact has been called and they fit one response. */
function useWaiting(batch) {
  const { turn, later } = standing(batch);
  const isAsked = batch.status === 'running' && !turn && later && later <= MOST_WAITING;
  const status = batch.execution_status.rescheduled ? 'rescheduled' : 'scheduled';
  const query = { batch_id: batch.batch_id, status, page_size: MOST_WAITING, page_number: 1 };
  return useGet(isAsked && `/v2/agent/${batch.agent_id}/executions`, { query, every: 15000 }).data?.data;
}

function Expected({ batch }) {
  const waiting = useWaiting(batch);
  if (batch.status !== 'running') return null;
  if (batch.paused) return html`<p>No call starts until the batch is resumed.</p>`;
  const found = foreseen(batch, waiting);
  if (!found) return html`<p class="muted">The estimated end appears once the first calls have been made.</p>`;
  const at = (time) => html`<strong><${Time} at=${new Date(time).toISOString()} relative /></strong>`;
  return html`<p>${found.first === null ? 'Every contact has been called.' : html`Every contact will have been called by about ${at(found.first)}.`}
    ${' '}Done by about ${at(found.last)}, <span class="muted"> at the pace so far, if the last contacts use all their retries.
    Calling hours can delay it.</span></p>`;
}

// ---- the list ----

function BatchProgress({ batch }) {
  const { parts, done, valid } = standing(batch);
  return valid ? html`<div class="progress"><${Meter} label="Contacts" parts=${parts} total=${valid} />
    <span class="muted">${percent(done / valid, 0)} done</span></div>` : html`<${None} />`;
}

function BatchStatus({ batch }) {
  const status = batch.paused && !isOver(batch) ? 'paused' : batch.status;
  return html`<${Status} status=${status} label=${{ created: 'Reading the file', processed: 'Ready to start' }[batch.status]} />`;
}

const BATCH_COLUMNS = [
  { name: 'File', of: batchName },
  { name: 'Status', of: (one) => html`<${BatchStatus} batch=${one} />` },
  { name: 'Contacts', number: true, of: (one) => count(one.valid_contacts) },
  { name: 'Progress', of: (one) => html`<${BatchProgress} batch=${one} />` },
  { name: 'Created', of: timeOf('created_at') },
];

function BatchList({ query }) {
  const { agent } = useShared();
  const asked = { page_size: CURSOR_PAGE, cursor: query.cursor };
  const live = useGet(agent && `/batches/${agent.agent_id}/all`, { query: asked, every: 5000, load: part });
  return html`<${Page} title="Batches" actions=${agent && html`<${AgentPicker} /><a class="button primary" href="#/batches/new">New batch</a>`}>
    ${!agent ? html`<${NoAgent} />` : html`<${Card} wide><${Live} of=${live}>${(found) => (!found.value.length && !query.cursor
    ? html`<${Empty} title=${`${agent.agent_name} has no batches`}>A batch is a file of contacts. <a href="#/batches/new">Upload one</a>: no
        contact is called before you start it.</${Empty}>`
    : html`<${Table} label="Batches" rows=${found.value} href=${(one) => link('batches', one.batch_id)} columns=${BATCH_COLUMNS} />
      <${CursorPager} query=${query} of=${found} one="batch" many="batches" />`)}</${Live}></${Card}>`}
  </${Page}>`;
}

// ---- a new batch ----

function NewBatch() {
  const { agent } = useShared();
  const [retry, setRetry] = useState(null);
  const request = useRef('');
  const checkSize = ({ currentTarget: input }) => input.setCustomValidity(
    input.files[0]?.size > MOST_BYTES ? 'This file is too large for an upload here: use POST /batches/uploads.' : '',
  );
  const send = (values, element) => {
    const form = new FormData();
    form.set('agent_id', agent.agent_id);
    form.set('file', element.elements.file.files[0]);
    for (const name of ['policy', 'calls_per_second']) if (values[name]) form.set(name, values[name]);
    if (values.expires_hours) form.set('expires_after_minutes', Math.round(60 * values.expires_hours));
    for (const one of listOf(values.from_phone_numbers)) form.append('from_phone_numbers', one);
    if (retry) form.set('retry_config', JSON.stringify(retry));
    request.current = request.current || crypto.randomUUID();
    return api('POST', '/batches', { form, headers: { 'Idempotency-Key': request.current } });
  };
  return html`<${Page} title="New batch" back=${{ href: '#/batches', text: 'Batches' }} actions=${html`<${AgentPicker} />`}>
    ${!agent ? html`<${NoAgent} />` : html`<${Card} note="The file is read first. Before anything starts, you see which contacts would be called and when the batch would be done.">
      <div class="column" onInput=${() => { request.current = ''; }}>
      <${Form} scope="call" submit="Upload and check" keep act=${send} onDone=${(made) => go('batches', made.batch_id)}>
        <${Field} label="File" name="file" type="file" accept=".csv,.tsv,.txt,text/csv" required onChange=${checkSize}
          hint=${html`A CSV with a header line and a column <code>contact_number</code>; a column <code>time_zone</code> is optional. At most 4 MiB.`} />
        <${PolicyField} name="policy" none="None, or the agent’s" />
        <${RetryFields} value=${retry} onValue=${setRetry} unset="As in the policy, else never" />
        <details><summary>More</summary><div class="row">
          <${Field} label="Maximum calls per second" name="calls_per_second" type="number" min="0.1" max="100" step="0.1" />
          <${Field} label="Expires, hours after its start" name="expires_hours" type="number" min="0.1" step="any" />
          <${Field} label="Caller ids" name="from_phone_numbers" placeholder="the agent’s" />
        </div></details>
      </${Form}></div></${Card}>`}
  </${Page}>`;
}

// ---- preflight, and the start ----

function Preflight({ batch, refresh }) {
  const [start, setStart] = useState('');
  const [bypass, setBypass] = useState(false);
  const scheduled = instantOf(start);
  const body = { scheduled_at: scheduled, bypass_call_guardrails: bypass || undefined };
  const load = (signal) => api('POST', `/batches/${batch.batch_id}/preflight`, { body, signal });
  const found = useLive(load, [batch.status, batch.scheduled_at, scheduled, bypass], 0);
  const { to_be_called: toCall = 0, attempts_per_contact: attempts = 1 } = found.data || {};
  const schedule = async () => {
    const form = new FormData();
    // Sets `now()` to the API's time.
    if (!scheduled) await api('GET', '/health');
    form.set('scheduled_at', scheduled || new Date(now() + SOONEST_MS).toISOString());
    if (bypass) form.set('bypass_call_guardrails', 'true');
    return api('POST', `/batches/${batch.batch_id}/schedule`, { form });
  };
  const question = {
    title: scheduled ? `Start it ${timeText(scheduled, HERE, { day: true })}?` : 'Start it in two minutes?',
    text: `It calls ${plural(toCall, 'contact')}, each up to ${plural(attempts, 'time')}.`,
    yes: scheduled ? 'Schedule' : 'Start',
  };
  return html`<${Card} title="Before it starts" note="Nothing has been dialled yet." wide>
    <${Live} of=${found} lines=${6}>${(data) => (data.state === 'reading' ? html`<${Loading} />` : html`<${Checked} data=${data} />`)}</${Live}>
    <div class="row start">
      <${Field} label="Start at" type="datetime-local" name="start" value=${start} onValue=${setStart}
        hint=${`In your zone (${zoneName(HERE)}). Empty: in two minutes.`} />
      <${Field} label="Also call outside calling hours" type="checkbox" name="bypass" checked=${bypass} onValue=${setBypass} />
      <div class="actions"><${Action} scope="call" primary disabled=${!toCall} act=${schedule} onDone=${refresh} done="Scheduled." confirm=${question}>
        ${!scheduled && batch.status === 'scheduled' ? 'Start in two minutes instead' : question.yes}</${Action}></div>
    </div>
  </${Card}>`;
}

const MOST_ZONES = 8;

/** Contacts by time zone, one bar each. A number may be in one of several zones. */
function ContactsByZone({ zones }) {
  const most = Math.max(...zones.map((one) => one.contacts));
  const names = (all) => (all.length > 3 ? `${all.slice(0, 2).map(zoneName).join(', ')} or ${all.length - 2} others` : all.map(zoneName).join(' or '));
  return html`<div><h3>Contacts by time zone</h3>
    <ul class="plain bars">${zones.slice(0, MOST_ZONES).map(({ time_zones: all, contacts }) => html`<li key=${all.join()}>
      <span title=${all.join(', ')}>${names(all)}</span><i style=${{ width: `${(100 * contacts) / most}%` }}></i><b>${count(contacts)}</b></li>`)}</ul>
    ${zones.length > MOST_ZONES && html`<p class="muted">and ${plural(zones.length - MOST_ZONES, 'more zone')}</p>`}</div>`;
}

const SharedContacts = ({ of }) => of.map((one) => html`
  <a key=${one.batch_id} href=${link('batches', one.batch_id)}>${plural(one.contacts, 'contact')} in another batch</a> `);

function Checked({ data }) {
  const { rejected, finish } = data;
  const left = rejected.duplicates + rejected.never_placeable + rejected.others;
  const notCalled = [
    ['Duplicates', rejected.duplicates, 'of an earlier row'],
    ['Suppressed', data.suppressed, 'must not be called'],
    ['Without consent', data.without_consent, 'need one first'],
    ['Never within hours', data.never_placeable + rejected.never_placeable, 'their calling hours never open'],
    ['Unusable', rejected.others, 'see the rejected rows'],
  ];
  const at = (time) => html`<${Time} at=${time} day />`;
  return html`
    <${Warnings} of=${data.warnings} />
    <${Figures} of=${[
    { label: 'Will be called', value: count(data.to_be_called), note: `of ${plural(data.contacts, 'contact')}` },
    { label: 'Will not be called', value: count(data.contacts - data.to_be_called + left), note: `of ${plural(data.contacts + left, 'row')}` },
    { label: 'Calls at most', value: count(data.worst_case_calls), note: `${plural(data.attempts_per_contact, 'attempt')} per contact` },
  ]} />
    ${(finish.earliest || finish.latest) && html`<p>Done between <strong>${at(finish.earliest)}</strong> and${' '}
      <strong>${finish.latest ? at(finish.latest) : 'more than 400 days later'}</strong>, if it starts ${at(finish.starts_at)}.</p>`}
    <div class="halves">
      <${ContactsByZone} zones=${data.by_time_zone} />
      <div><h3>Not called</h3><${Facts} of=${notCalled.map(([name, number, why]) => [name, html`${count(number)} <span class="muted">${why}</span>`])} />
        ${data.shared_contacts.length > 0 && html`<p><${SharedContacts} of=${data.shared_contacts} /></p>`}</div>
    </div>
    <details><summary>Assumptions</summary><ul>${finish.assumptions.map((one) => html`<li key=${one}>${words(one)}.</li>`)}</ul></details>`;
}

// ---- progress ----

/** Imported, accepted, called, reached: one bar each. Called and reached come from the statistics. */
function Funnel({ batch, stats }) {
  const reached = stats && (stats.reach.at(-1)?.reached ?? 0);
  const steps = [['Imported', batch.total_contacts], ['Accepted', batch.valid_contacts], ['Called', stats?.contacts], ['Reached', reached]];
  return html`<ol class="plain funnel">${steps.map(([name, number], place) => {
    const before = place > 0 && steps[place - 1][1];
    return html`<li key=${name}><span>${name}</span>
      <span class="tube"><i style=${{ width: `${(100 * (number || 0)) / (batch.total_contacts || 1)}%` }}></i></span>
      <b>${count(number)}</b><span class="muted">${before > 0 && !isEmpty(number) && percent(number / before, 0)}</span></li>`;
  })}</ol>`;
}

function Progress({ batch, stats }) {
  const { parts, done, valid } = standing(batch);
  if (batch.status === 'created') return html`<${Card} title="Reading the file"><p>${plural(batch.total_contacts, 'row')} so far.</p></${Card}>`;
  if (!valid) return html`<${Card} title="Progress"><${Empty} title="No row of the file was accepted" /></${Card}>`;
  const learn = withQuery('#/learn', { agent: batch.agent_id, batch: batch.batch_id });
  return html`<${Card} title="Progress">
    <p class="big"><strong>${percent(done / valid, 0)}</strong> <span class="muted">${count(done)} of ${plural(valid, 'contact')} done</span></p>
    <${Meter} label="Contacts" parts=${parts} total=${valid} /><${Legend} parts=${parts} />
    <${Expected} batch=${batch} />
    <h3>From the file to the person</h3><${Funnel} batch=${batch} stats=${stats} />
    <p class="muted">Reached: a person answered. Called and reached are counted every few minutes. <a href=${learn}>Which retry paid?</a></p>
  </${Card}>`;
}

const About = ({ batch }) => html`<${Card} title="About"><${Facts} of=${[
  ['Agent', html`<${AgentLink} id=${batch.agent_id} />`],
  ['Created', html`<${Time} at=${batch.created_at} />`],
  [isOver(batch) || batch.status === 'running' ? 'Started' : 'Starts', batch.scheduled_at && html`<${Time} at=${batch.scheduled_at} />`],
  ['Reason', batch.reason && words(batch.reason)],
  ['Retries', retryText(batch.retry_config)],
  ['Policy', batch.policy],
  ['Caller ids', batch.from_phone_numbers.join(', ')],
  ['Calls per second', batch.calls_per_second],
  ['Expires', batch.expires_at && html`<${Time} at=${batch.expires_at} />`],
  ['Rejected rows', batch.rejected_contacts > 0 && count(batch.rejected_contacts)],
  ['Shared', batch.shared_contacts.length > 0 && html`<${SharedContacts} of=${batch.shared_contacts} />`],
  ['Id', html`<${Copy} text=${batch.batch_id} />`],
]} /></${Card}>`;

// ---- contacts ----


/** When the contact is called next, or when it last changed. */
function NextOrLast({ of: one }) {
  const { time_zone: zone } = recipientData(one);
  if (one.next_attempt) return html`<${Time} at=${one.next_attempt.at} zone=${zone} relative />`;
  return html`<${Time} at=${dialled(one) ? one.updated_at : null} zone=${zone} />`;
}

const CONTACT_COLUMNS = [
  { name: 'Number', of: (one) => html`<${Phone} number=${one.user_number} />` },
  { name: 'Contact', of: (one) => Object.entries(recipientData(one)).find(([name, value]) => name !== 'time_zone' && value)?.[1] },
  { name: 'Status', of: (one) => html`<${Status} status=${one.status} />` },
  { name: 'Last outcome', of: (one) => one.outcome && words(one.outcome) },
  { name: 'Attempts', number: true, of: dialled },
  { name: 'Next call, or last change', of: (one) => html`<${NextOrLast} of=${one} />` },
  { name: 'Ended because', of: (one) => (one.ended_because && words(one.ended_because) !== words(one.outcome) ? words(one.ended_because) : null) },
];

function Contacts({ batch, query, actions }) {
  const { status = '' } = query;
  const asked = { page_size: CURSOR_PAGE, cursor: query.cursor };
  const every = isOver(batch) ? 0 : 5000;
  const live = useGet(status ? `/v2/agent/${batch.agent_id}/executions` : `/batches/${batch.batch_id}/executions`, {
    query: status ? { ...asked, batch_id: batch.batch_id, status } : asked, every, load: part,
  });
  const counts = Object.entries(batch.execution_status).filter(([name, number]) => number || name === status);
  const choices = [['', 'All', batch.valid_contacts], ...counts.map(([name, number]) => [name, words(name), number])];
  return html`<${Card} title="Contacts" wide actions=${actions}>
    <div class="filters" role="group" aria-label="Contacts by outcome">${choices.map(([name, text, number]) => html`
      <button key=${name} type="button" class="small" aria-pressed=${name === status}
        onClick=${() => setQuery({ ...FIRST_PAGE, status: name })}>${text} <b>${count(number)}</b></button>`)}</div>
    <${Live} of=${live}>${(found) => html`<${Table} label="Contacts" rows=${found.value.data || found.value}
      href=${(one) => link('executions', one.id)} empty="No contact has this status now." columns=${CONTACT_COLUMNS} />
      <${CursorPager} query=${query} of=${found} one="contact" />`}</${Live}>
  </${Card}>`;
}

// ---- one batch ----

/** A download button for a file of the batch; for a file that is too large, a command to copy. */
function FileButton({ batch, name, rows, text }) {
  const path = `/batches/${batch.batch_id}/${name}.csv`;
  const command = `curl -L -H "Authorization: Bearer $REDIAL_KEY" -o ${name}.csv ${location.origin}${path}`;
  if (rows > DIRECT_ROWS) return html`<${Copy} text=${command} shown=${`${text}: copy the command`} />`;
  const fetchFile = async () => {
    const file = await get(path);
    if (typeof file !== 'string') throw new Error('The file is too large for a download here: use the API.');
    download(`${batchName(batch).replace(/\.[a-z]+$/, '')}-${name}.csv`, file);
  };
  return html`<${Action} small act=${fetchFile}>${text}</${Action}>`;
}

/** The statistics of a started batch. */
function useBatchStats(batch) {
  const isStarted = batch && !isReady(batch) && batch.status !== 'created';
  const load = (signal) => {
    const to = dayOf(Math.min(now(), ms(batch.created_at) + 365 * DAY_MS));
    return api('GET', '/stats/retries', { query: { batch_id: batch.batch_id, from: dayOf(batch.created_at), to }, signal });
  };
  return useLive(isStarted && load, [isStarted && batch.status], 20000);
}

function OneBatch({ id, query }) {
  const live = useGet(`/batches/${encodeURIComponent(id)}`, { every: 3000 });
  const stats = useBatchStats(live.data);
  return html`<${Page} title=${live.data ? batchName(live.data) : 'Batch'} back=${{ href: '#/batches', text: 'Batches' }}
      actions=${live.data && html`<${BatchButtons} batch=${live.data} refresh=${live.refresh} />`}>
    <${Live} of=${live} lines=${8}>${(batch) => {
    const isRead = batch.status !== 'created';
    const rejected = isRead && batch.rejected_contacts > 0 && html`
      <${FileButton} batch=${batch} name="rejected" rows=${batch.rejected_contacts} text=${`Rejected rows (${count(batch.rejected_contacts)})`} />`;
    const results = isRead && !isReady(batch) && html`
      <${FileButton} batch=${batch} name="results" rows=${batch.valid_contacts} text="Download results" />`;
    return html`
      <p class="state"><${BatchStatus} batch=${batch} />
        ${batch.status === 'scheduled' && batch.scheduled_at && html` starts <${Time} at=${batch.scheduled_at} relative />`}
        ${batch.reason && isOver(batch) && html` <span>${words(batch.reason)}</span>`}</p>
      ${isReady(batch) && html`<${Preflight} batch=${batch} refresh=${live.refresh} />`}
      <div class="halves">${!isReady(batch) && html`<${Progress} batch=${batch} stats=${stats.data} />`}<${About} batch=${batch} /></div>
      <${Failure} error=${stats.error} />
      ${batch.valid_contacts > 0 ? html`<${Contacts} batch=${batch} query=${query} actions=${html`${results}${rejected}`} />`
    : rejected && html`<${Card} title="Rejected rows"><div class="actions">${rejected}</div></${Card}>`}`;
  }}</${Live}>
  </${Page}>`;
}

function BatchButtons({ batch, refresh }) {
  const path = `/batches/${batch.batch_id}`;
  const name = batchName(batch);
  const runs = ['scheduled', 'queued', 'running'].includes(batch.status);
  const post = (verb) => () => api('POST', `${path}/${verb}`);
  return html`
    ${runs && (batch.paused ? html`<${Action} key="resume" scope="operate" primary act=${post('resume')} done="Resumed." onDone=${refresh}>Resume</${Action}>`
    : html`<${Action} key="pause" scope="operate" act=${post('pause')} done="Paused: no call starts until you resume it." onDone=${refresh}>Pause</${Action}>`)}
    ${runs && html`<${Action} key="stop" scope="operate" danger act=${post('stop')} done="Stopped." onDone=${refresh}
      confirm=${{ title: `Stop ${name}?`, text: 'No further calls start, and it cannot be started again. Live calls finish.', yes: 'Stop it' }}>Stop</${Action}>`}
    <${Action} key="delete" scope="admin" danger act=${() => api('DELETE', path)} done="Deleted." onDone=${() => go('batches')}
      confirm=${{ title: `Delete ${name}?`, text: 'Its contacts, results and files are permanently removed. Waiting calls are not made.', yes: 'Delete it' }}>Delete</${Action}>`;
}

function Batches({ route: { parts: [id], query } }) {
  if (id === 'new') return html`<${NewBatch} />`;
  return id ? html`<${OneBatch} key=${id} id=${id} query=${query} />` : html`<${BatchList} query=${query} />`;
}
