// The building blocks of screens. Each is a Preact component for `html`.

// ---- kinds of text ----

const None = () => html`<span class="muted">–</span>`;

/** A time in the zone that the viewer chose; its tooltip has all zones. `zone`: the called person's, if known. */
function Time({ at, zone, seconds, relative, day }) {
  const { zone: choice } = useShared();
  if (!at) return html`<${None} />`;
  const shown = choice === 'utc' ? 'UTC' : (choice === 'recipient' && zone) || HERE;
  const all = [...new Set([zone, HERE, 'UTC'].filter(Boolean))]
    .map((one) => `${timeText(at, one, { seconds: true, day: true })} ${zoneName(one)}`).join('\n');
  return html`<time datetime=${at} title=${all}>${timeText(at, shown, { seconds, day })}
    ${choice !== 'viewer' && html`<span class="zone"> ${zoneName(shown)}</span>`}
    ${relative && html`<span class="muted">, ${fromNow(at)}</span>`}</time>`;
}

const Ago = ({ at }) => html`<span class="muted">${fromNow(at)}</span>`;

const Phone = ({ number }) => (number ? html`<span class="phone">${number}</span>` : html`<${None} />`);

const TONES = {
  good: 'completed answered sent ok closed accepted allow',
  live: 'in-progress ringing initiated running claimed resuming',
  wait: 'queued scheduled rescheduled no-answer busy paused defer warning voicemail created processed noticed',
  bad: 'failed error balance-low blocked declined open end undelivered rejected',
};
const MARKS = { good: '✓', live: '●', wait: '◷', bad: '✕', still: '–', free: '○' };

/** A status as a word with a mark, never only as a colour. */
function Status({ status, label }) {
  const tone = Object.keys(TONES).find((one) => TONES[one].split(' ').includes(status)) || 'still';
  return html`<span class="status ${tone}"><span class="mark" aria-hidden="true">${MARKS[tone]}</span>${label || words(status)}</span>`;
}

/** The content of a column that shows a row's time with that name. */
const timeOf = (name, options) => (row) => html`<${Time} at=${row[name]} ...${options} />`;

/** The agent's name as a link; its id if it was deleted. */
function AgentLink({ id }) {
  const { agents, agentName } = useShared();
  return agents.some((one) => one.agent_id === id) ? html`<a href=${link('agents', id)}>${agentName(id)}</a>` : id;
}

// ---- states of a screen ----

const Loading = ({ lines = 4 }) => html`<div class="loading" role="status" aria-label="Loading">
  ${Array.from({ length: lines }, (_, index) => html`<i key=${index}></i>`)}</div>`;

const Empty = ({ title, children }) => html`<div class="empty">
  <p class="empty-title">${title}</p>${children && html`<div class="muted">${children}</div>`}</div>`;

const NoAgent = () => html`<${Card}><${Empty} title="There is no agent yet.">
  An agent defines how calls are placed and answered, and where events go. <a href="#/agents/new">Create one</a></${Empty}></${Card}>`;

/** An error, with the invalid fields. */
function Failure({ error, retry }) {
  if (!error) return null;
  return html`<div class="failure" role="alert">
    <p><strong>${error.status === 404 ? 'Not found. ' : ''}</strong>${error.message}</p>
    ${error.errors?.length > 1 && html`<ul>${error.errors.map((one) => html`<li key=${one.field}><code>${one.field}</code> ${one.message}</li>`)}</ul>`}
    ${retry && html`<button type="button" class="small" onClick=${retry}>Try again</button>`}
  </div>`;
}

/** A live value: loading, failed, or shown by `children(data)`. A failure after a success keeps the data visible. */
function Live({ of: { data, error, loading, refresh }, children, lines }) {
  if (data === undefined && loading) return html`<${Loading} lines=${lines} />`;
  return html`<${Failure} error=${error} retry=${refresh} />${data !== undefined && children(data)}`;
}

// ---- page and card ----

/** A screen. Its heading gets the focus when the screen opens. `tabs`: [[id, text, address]]; `tab`: the open one. */
function Page({ title, back, actions, tabs, tab, children }) {
  const heading = useRef();
  useEffect(() => {
    document.title = `${title} · Redial`;
    heading.current.focus({ preventScroll: true });
    scrollTo(0, 0);
  }, [title]);
  return html`<div class="page">
    <header class="page-head">
      <div>${back && html`<a class="back" href=${back.href}>← ${back.text}</a>`}<h1 tabindex="-1" ref=${heading}>${title}</h1></div>
      ${actions && html`<div class="actions">${actions}</div>`}
    </header>
    ${tabs && html`<nav class="tabs" aria-label=${title}>${tabs.map(([id, text, address]) => html`
      <a key=${id} href=${address} aria-current=${id === tab ? 'page' : undefined}>${text}</a>`)}</nav>`}
    ${children}
  </div>`;
}

const Card = ({ title, note, actions, children, wide }) => html`<section class="card ${wide ? 'wide' : ''}">
  ${(title || note || actions) && html`<header>
    <div>${title && html`<h2>${title}</h2>`}${note && html`<p class="muted">${note}</p>`}</div>
    ${actions && html`<div class="actions">${actions}</div>`}
  </header>`}
  ${children}
</section>`;

/** Figures side by side: [{label, value, note}]. */
const Figures = ({ of }) => html`<dl class="figures">${of.map(({ label, value, note }) => html`<div key=${label}>
  <dt>${label}</dt><dd>${value}</dd>${note && html`<dd class="muted">${note}</dd>`}</div>`)}</dl>`;

/** Name and value pairs: [[name, value]]; empty values are left out. */
const Facts = ({ of }) => html`<dl class="facts">${of.filter(([, value]) => value !== false && !isEmpty(value)).map(([name, value]) => html`
  <div key=${name}><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;

/** A frame in which wide content scrolls. */
const Scroll = ({ label, children }) => html`<div class="scroll" tabindex="0" role="region" aria-label=${label}>${children}</div>`;

/** A table. columns: [{name, of: row => content, number}]; `href` makes the first cell a link. Without it, rows need an
 * `id` if their order can change. */
function Table({ label, columns, rows, href, empty = 'Nothing here.' }) {
  if (!rows.length) return html`<${Empty} title=${empty} />`;
  const cell = (row, { of }, place) => {
    const content = of(row);
    if (isEmpty(content)) return html`<${None} />`;
    return place === 0 && href ? html`<a href=${href(row)}>${content}</a>` : content;
  };
  return html`<${Scroll} label=${label}><table>
    <thead><tr>${columns.map((one) => html`<th key=${one.name} scope="col" class=${one.number ? 'number' : ''}>${one.name}</th>`)}</tr></thead>
    <tbody>${rows.map((row) => html`<tr key=${href ? href(row) : row.id}>
      ${columns.map((one, place) => html`<td key=${one.name} class=${one.number ? 'number' : ''}>${cell(row, one, place)}</td>`)}</tr>`)}</tbody>
  </table></${Scroll}>`;
}

/** A bar of parts: [{label, value, tone}]. */
function Meter({ parts, total, label }) {
  const texts = parts.map((one) => `${one.label}: ${one.value}`);
  return html`<div class="meter" role="img" aria-label=${`${label}: ${texts.join(', ')}`}>${parts.map(({ label: name, value, tone }, place) => value > 0 && html`
    <i key=${name} class=${tone} style=${{ width: `${(100 * value) / total}%` }} title=${texts[place]}></i>`)}</div>`;
}

/** The gates' decisions, in order. */
const Gates = ({ of }) => html`<ol class="gates">${of.map((one) => html`<li key=${one.gate}>
  <${Status} status=${one.decision} label=${words(one.gate)} /><span>${one.text}</span></li>`)}</ol>`;

const Warnings = ({ of }) => of.length > 0 && html`<ul class="warnings" aria-label="Warnings">
  ${of.map((one) => html`<li key=${one}>${sentence(one)}</li>`)}</ul>`;

/** A button that copies a short text. */
function Copy({ text, shown = text }) {
  const { notify } = useShared();
  const copy = async () => { await navigator.clipboard.writeText(text); notify('Copied.'); };
  return html`<button type="button" class="copy" title="Copy" onClick=${copy}>${shown}</button>`;
}

/** Save text as a file on the viewer's machine. */
function download(name, text) {
  const anchor = document.createElement('a');
  anchor.href = URL.createObjectURL(new Blob([text], { type: 'text/csv' }));
  anchor.download = name;
  anchor.click();
  setTimeout(() => URL.revokeObjectURL(anchor.href), 1000);
}

// ---- the pages of a listing ----

const PAGE = 50;

/** The rows of a listing with numbered pages, live: {...live, page, setPage}. A new `query` starts at the first page. */
function usePages(path, { query, every }) {
  const asked = JSON.stringify(query);
  const [place, setPlace] = useState({});
  const page = place.asked === asked ? place.page : 1;
  const live = useGet(path, { query: { ...query, page_number: page, page_size: PAGE }, every });
  return { ...live, page, setPage: (next) => setPlace({ asked, page: next }) };
}

/** A page of a listing as a table, with buttons for the previous and next page. `of`: see `usePages`. */
const PagedTable = ({ of, empty, ...table }) => html`<${Live} of=${of}>${(rows) => html`
  <${Table} rows=${rows} empty=${of.page === 1 ? empty : 'There are no more.'} ...${table} />
  ${(of.page > 1 || rows.length >= PAGE) && html`<nav class="actions" aria-label="Pages">
    <button type="button" class="small" disabled=${of.page === 1} onClick=${() => of.setPage(of.page - 1)}>Newer</button>
    <span class="muted">Page ${of.page}</span>
    <button type="button" class="small" disabled=${rows.length < PAGE} onClick=${() => of.setPage(of.page + 1)}>Older</button></nav>`}`}</${Live}>`;

/** The query of the first page of a listing with cursors. */
const FIRST_PAGE = { cursor: '', page: '' };
const CURSOR_PAGE = 25;

/** Links to the first and the next page of a listing with cursors; the address has the cursor. `of`: the shown part. */
function CursorPager({ query, of: { next, total }, one, many }) {
  const page = Number(query.page || 1);
  const to = (changes) => withQuery(location.hash.split('?')[0], { ...query, ...changes });
  return html`<nav class="paging" aria-label="Pages">
    <span class="muted">${total !== null && plural(total, one, many)}${(next || page > 1) && `, page ${page}`}</span>
    ${page > 1 && html`<a href=${to(FIRST_PAGE)}>First page</a>`}
    ${next && html`<a href=${to({ cursor: next, page: page + 1 })}>Next page</a>`}
  </nav>`;
}

// ---- actions ----

/** The common part of buttons and forms: the button's attributes, and `run`, which runs `act` and shows the result.
 * `scope`: the scope that the key needs. `done`: the message after success; a text, or a function of the response. */
function useAct({ act, scope, done, onDone, disabled }, onFailure) {
  const { user, notify } = useShared();
  const [busy, setBusy] = useState(false);
  const allowed = allows(user, scope);
  const run = async (...values) => {
    setBusy(true);
    try {
      const answer = await act(...values);
      if (done) notify(typeof done === 'function' ? done(answer) : done);
      if (onDone) onDone(answer);
    } catch (error) {
      onFailure(error, notify);
    } finally {
      setBusy(false);
    }
  };
  return {
    busy, run, button: { disabled: disabled || busy || !allowed, title: allowed ? undefined : `This key lacks the scope ${scope}.`, 'aria-busy': busy },
  };
}

/** A button that runs `act()`; see `useAct`. `confirm`: a question asked first, {title, text, yes}. */
function Action({ children, confirm, danger, primary, small, ...rest }) {
  const { busy, run, button } = useAct(rest, (error, notify) => notify(error.message, 'bad'));
  const dialog = useRef();
  const closed = ({ currentTarget: asked }) => {
    if (asked.returnValue === 'yes') run();
    asked.returnValue = '';
  };
  return html`<button type="button" class="${danger ? 'danger' : primary ? 'primary' : ''} ${small ? 'small' : ''}" ...${button}
      onClick=${() => (confirm ? dialog.current.showModal() : run())}>${children}${busy && ' …'}</button>
    ${confirm && html`<dialog ref=${dialog} aria-label=${confirm.title} onClose=${closed}><form method="dialog">
      <h2>${confirm.title}</h2><p>${confirm.text}</p>
      <div class="actions"><button value="no">Cancel</button><button class=${danger ? 'danger' : 'primary'} value="yes">${confirm.yes}</button></div>
    </form></dialog>`}`;
}

/** A form that runs `act(values, form)`; see `useAct`. `values` are the named fields as text. `keep`: fields keep their
 * values. */
function Form({ act, children, submit, keep, ...rest }) {
  const [error, setError] = useState(null);
  const send = async (form) => {
    const answer = await act(Object.fromEntries(new FormData(form)), form);
    if (!keep) form.reset();
    return answer;
  };
  const { busy, run, button } = useAct({ ...rest, act: send }, setError);
  const submitted = (event) => {
    event.preventDefault();
    setError(null);
    run(event.currentTarget);
  };
  return html`<form class="form" onSubmit=${submitted}>
    ${children}
    <${Failure} error=${error} />
    <div class="actions"><button class="primary" ...${button}>${submit}${busy && ' …'}</button></div>
  </form>`;
}

// ---- fields ----

let fields = 0;

/** A labelled input with any attribute of <input>; `options` [[value, text]] makes it a <select>, `rows` a <textarea>.
 * `onValue` gets the typed or chosen value; for a checkbox, whether it is checked. */
function Field({ label, hint, options, onValue, ...rest }) {
  const [id] = useState(() => `field-${++fields}`);
  const about = hint ? `${id}-hint` : undefined;
  const given = { id, 'aria-describedby': about, ...rest };
  if (onValue) given.onInput = ({ currentTarget: input }) => onValue(rest.type === 'checkbox' ? input.checked : input.value);
  return html`<div class="field ${rest.type === 'checkbox' ? 'check' : ''}"><label for=${id}>${label}</label>
    ${options ? html`<select ...${given}>${options.map(([value, text]) => html`<option key=${value} value=${value}>${text}</option>`)}</select>`
    : rest.rows ? html`<textarea ...${given}></textarea>` : html`<input ...${given} />`}
    ${hint && html`<p id=${about} class="hint">${hint}</p>`}</div>`;
}

const NumberToCall = (rest) => html`<${Field} label="Number" type="tel" autocomplete="off" placeholder="+1 202 555 0143" ...${rest} />`;

/** A choice of a few values, as radio buttons side by side: [[value, text]]. */
const Choice = ({ label, of, value, onValue }) => html`<fieldset class="choice"><legend>${label}</legend>${of.map(([one, text]) => html`
  <label key=${one} class=${one === value ? 'on' : ''}>
    <input type="radio" name=${label} value=${one} checked=${one === value} onChange=${() => onValue(one)} />${text}</label>`)}</fieldset>`;

/** Selects the agent that the screen is about. */
function AgentPicker() {
  const { agents, agentOptions, agent, setAgent } = useShared();
  const choose = (event) => {
    setAgent(event.currentTarget.value);
    setQuery(FIRST_PAGE);
  };
  return agents.length > 0 && html`<label class="picker">Agent <select value=${agent.agent_id} onChange=${choose}>
    ${agentOptions.map(([id, name]) => html`<option key=${id} value=${id}>${name}</option>`)}</select></label>`;
}

/** Selects one of the agent's batches, or all. */
function BatchField({ agentId, value = '', none, ...rest }) {
  const batches = useLive(agentId && (() => pages(`/batches/${agentId}/all`, { size: 50, most: 200 })), [agentId], 0);
  const known = new Map((batches.data || []).map((one) => [one.batch_id, one.file_name || one.batch_id]));
  if (value && !known.has(value)) known.set(value, value);
  return html`<${Field} label="Batch" value=${value} options=${[['', none], ...known]} ...${rest} />`;
}

/** Selects a policy, in its newest or the current version, or none. */
function PolicyField({ value, none, ...rest }) {
  const policies = useGet('/policies', { every: 0 });
  const names = new Set([value, ...(policies.data || []).map((one) => one.policy)].filter(Boolean));
  return html`<${Field} label="Policy" value=${value} options=${[['', none], ...[...names].map((one) => [one, one])]} ...${rest} />
    <${Failure} error=${policies.error} retry=${policies.refresh} />`;
}
