// The parts that screens are made of. Each is a Preact component for `html`.
import { allows, fromNow, HERE, html, timeText, useEffect, useRef, useShared, useState, words, zoneName } from './lib.js';

// ---- text of one kind ----

/** A time in the zone that the viewer chose; its tooltip has all. `zone`: the called person's, where known. */
export function Time({ at, zone, seconds, relative, day }) {
  const { zone: choice } = useShared();
  if (!at) return html`<span class="muted">–</span>`;
  const shown = choice === 'utc' ? 'UTC' : choice === 'recipient' && zone ? zone : HERE;
  const zones = [...new Set([zone, HERE, 'UTC'].filter(Boolean))];
  const all = zones.map((one) => `${timeText(at, one, { seconds: true, day: true })} ${zoneName(one)}`).join('\n');
  const text = timeText(at, shown, { seconds, day });
  const named = choice !== 'viewer' && html`<span class="zone"> ${zoneName(shown)}</span>`;
  return html`<time datetime=${at} title=${all}>${text}${named}${relative && html`<span class="muted">, ${fromNow(at)}</span>`}</time>`;
}

export const Phone = ({ number }) => (number ? html`<span class="phone">${number}</span>` : html`<span class="muted">–</span>`);

const TONES = {
  completed: 'good', answered: 'good', sent: 'good', ok: 'good', closed: 'good', accepted: 'good', allow: 'good',
  'in-progress': 'live', ringing: 'live', initiated: 'live', running: 'live', claimed: 'live', resuming: 'live',
  queued: 'wait', scheduled: 'wait', rescheduled: 'wait', 'no-answer': 'wait', busy: 'wait', paused: 'wait', defer: 'wait', warning: 'wait', voicemail: 'wait', created: 'wait', processed: 'wait', noticed: 'wait',
  failed: 'bad', error: 'bad', 'balance-low': 'bad', blocked: 'bad', declined: 'bad', open: 'bad', end: 'bad', undelivered: 'bad', rejected: 'bad',
};
const MARKS = { good: '✓', live: '●', wait: '◷', bad: '✕', still: '–' };

/** A status as a word with a mark: never by colour alone. */
export function Status({ status, label }) {
  const tone = TONES[status] || 'still';
  return html`<span class="status ${tone}"><span class="mark" aria-hidden="true">${MARKS[tone]}</span>${label || words(status)}</span>`;
}

export const Ago = ({ at }) => html`<span class="muted">${fromNow(at)}</span>`;

// ---- states of a screen ----

export const Loading = ({ lines = 4 }) => html`<div class="loading" role="status" aria-label="Loading">
  ${Array.from({ length: lines }, (_, index) => html`<i key=${index}></i>`)}</div>`;

export const Empty = ({ title, children }) => html`<div class="empty"><p class="empty-title">${title}</p>${children && html`<div class="muted">${children}</div>`}</div>`;

/** What went wrong, with the fields at fault. */
export function Failure({ error, retry }) {
  if (!error) return null;
  return html`<div class="failure" role="alert">
    <p><strong>${error.status === 404 ? 'Not found. ' : ''}</strong>${error.message}</p>
    ${error.errors && error.errors.length > 1 && html`<ul>${error.errors.map((one) => html`<li key=${one.field}><code>${one.field}</code> ${one.message}</li>`)}</ul>`}
    ${retry && html`<button type="button" class="small" onClick=${retry}>Try again</button>`}
  </div>`;
}

/** A live value: loading, failed, or shown by `children(data)`. A failure after success keeps the data on the screen. */
export function Live({ of, children, lines }) {
  const { data, error, loading, refresh } = of;
  if (data === undefined) return loading ? html`<${Loading} lines=${lines} />` : html`<${Failure} error=${error} retry=${refresh} />`;
  return html`${error && html`<${Failure} error=${error} retry=${refresh} />`}${children(data)}`;
}

// ---- page and card ----

/** A screen: its heading takes the focus when the screen opens. */
export function Page({ title, back, actions, children }) {
  const heading = useRef();
  useEffect(() => { document.title = `${title} · Redial`; heading.current.focus({ preventScroll: true }); scrollTo(0, 0); }, [title]);
  return html`<div class="page">
    <header class="page-head">
      <div>${back && html`<a class="back" href=${back.href}>← ${back.text}</a>`}<h1 tabindex="-1" ref=${heading}>${title}</h1></div>
      ${actions && html`<div class="actions">${actions}</div>`}
    </header>
    ${children}
  </div>`;
}

export function Card({ title, note, actions, children, wide }) {
  return html`<section class="card ${wide ? 'wide' : ''}">
    ${(title || actions) && html`<header><div>${title && html`<h2>${title}</h2>`}${note && html`<p class="muted">${note}</p>`}</div>${actions && html`<div class="actions">${actions}</div>`}</header>`}
    ${children}
  </section>`;
}

/** Figures side by side: [{label, value, note}]. */
export const Figures = ({ of }) => html`<dl class="figures">${of.map((one) => html`<div key=${one.label}><dt>${one.label}</dt><dd>${one.value}</dd>${one.note && html`<dd class="muted">${one.note}</dd>`}</div>`)}</dl>`;

/** Name and value pairs: [[name, value]]; empty values are left out. */
export const Facts = ({ of }) => html`<dl class="facts">${of.filter(([, value]) => value !== null && value !== undefined && value !== '').map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;

/** A table that scrolls in its own frame. columns: [{name, of: row => content, number}]; `href` makes the first cell a link. */
export function Table({ label, columns, rows, rowKey, href, empty = 'Nothing here.' }) {
  if (!rows.length) return html`<${Empty} title=${empty} />`;
  return html`<div class="scroll" tabindex="0" role="region" aria-label=${label}><table>
    <thead><tr>${columns.map((one) => html`<th key=${one.name} scope="col" class=${one.number ? 'number' : ''}>${one.name}</th>`)}</tr></thead>
    <tbody>${rows.map((row, index) => html`<tr key=${rowKey ? rowKey(row) : index}>${columns.map((one, place) => html`<td key=${one.name} class=${one.number ? 'number' : ''}>
      ${place === 0 && href ? html`<a href=${href(row)}>${one.of(row)}</a>` : one.of(row)}</td>`)}</tr>`)}</tbody>
  </table></div>`;
}

/** A bar of parts with a legend: [{label, value, tone}]. */
export function Meter({ parts, total, label }) {
  const all = total || parts.reduce((sum, one) => sum + one.value, 0) || 1;
  const text = parts.map((one) => `${one.label}: ${one.value}`).join(', ');
  return html`<div class="meter" role="img" aria-label=${`${label}: ${text}`}>${parts.filter((one) => one.value).map((one) => html`<i key=${one.label} class=${one.tone} style=${{ width: `${(100 * one.value) / all}%` }} title=${`${one.label}: ${one.value}`}></i>`)}</div>`;
}

// ---- acting ----

/** A button that does `act()` and says how it ended. `confirm`: a question asked first, {title, text, yes}. `scope`: what
 * the key needs. `done`: said after success; a text, or a function of the answer. */
export function Action({ act, children, confirm, scope, done, danger, primary, small, disabled, onDone }) {
  const { user, notify } = useShared();
  const [busy, setBusy] = useState(false);
  const dialog = useRef();
  const allowed = allows(user, scope);
  const run = async () => {
    setBusy(true);
    try {
      const answer = await act();
      if (done) notify(typeof done === 'function' ? done(answer) : done);
      if (onDone) onDone(answer);
    } catch (error) {
      notify(error.message, 'bad');
    } finally {
      setBusy(false);
    }
  };
  const press = () => (confirm ? dialog.current.showModal() : run());
  return html`<button type="button" class="${danger ? 'danger' : ''} ${primary ? 'primary' : ''} ${small ? 'small' : ''}" disabled=${disabled || busy || !allowed}
      title=${allowed ? undefined : `This key lacks the scope ${scope}.`} aria-busy=${busy} onClick=${press}>${children}${busy && ' …'}</button>
    ${confirm && html`<dialog ref=${dialog} aria-label=${confirm.title} onClose=${(event) => { if (event.currentTarget.returnValue === 'yes') run(); event.currentTarget.returnValue = ''; }}>
      <form method="dialog"><h2>${confirm.title}</h2><p>${confirm.text}</p>
      <div class="actions"><button value="no">Cancel</button><button class=${danger ? 'danger' : 'primary'} value="yes">${confirm.yes}</button></div></form></dialog>`}`;
}

/** A form that sends `act(values)`; `values` are the named fields as text. Fields at fault are named beside their inputs. */
export function Form({ act, children, submit, done, scope, onDone, keep }) {
  const { user, notify } = useShared();
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState(null);
  const allowed = allows(user, scope);
  const send = async (event) => {
    event.preventDefault();
    const form = event.currentTarget;
    setBusy(true);
    setError(null);
    try {
      const answer = await act(Object.fromEntries(new FormData(form)), form);
      if (done) notify(typeof done === 'function' ? done(answer) : done);
      if (!keep) form.reset();
      if (onDone) onDone(answer);
    } catch (failure) {
      setError(failure);
    } finally {
      setBusy(false);
    }
  };
  return html`<form class="form" onSubmit=${send}>
    ${children}
    <${Failure} error=${error} />
    <div class="actions"><button class="primary" disabled=${busy || !allowed} title=${allowed ? undefined : `This key lacks the scope ${scope}.`} aria-busy=${busy}>${submit}${busy && ' …'}</button></div>
  </form>`;
}

let fields = 0;

/** A labelled input: any attribute of <input>; `options` [[value, text]] makes it a <select>, `rows` a <textarea>. */
export function Field({ label, hint, options, rows, name, ...rest }) {
  const [id] = useState(() => `field-${++fields}`);
  const about = hint ? `${id}-hint` : undefined;
  const input = options
    ? html`<select id=${id} name=${name} aria-describedby=${about} ...${rest}>${options.map(([value, text]) => html`<option key=${value} value=${value}>${text}</option>`)}</select>`
    : rows ? html`<textarea id=${id} name=${name} rows=${rows} aria-describedby=${about} ...${rest}></textarea>`
      : html`<input id=${id} name=${name} aria-describedby=${about} ...${rest} />`;
  return html`<div class="field ${rest.type === 'checkbox' ? 'check' : ''}"><label for=${id}>${label}</label>${input}${hint && html`<p id=${about} class="hint">${hint}</p>`}</div>`;
}

/** The agent that the screen is about. */
export function AgentPicker() {
  const { agents, agent, setAgent } = useShared();
  if (!agents.length) return null;
  return html`<label class="picker">Agent <select value=${agent && agent.agent_id} onChange=${(event) => setAgent(event.currentTarget.value)}>
    ${agents.map((one) => html`<option key=${one.agent_id} value=${one.agent_id}>${one.agent_name}</option>`)}</select></label>`;
}

/** Tabs as links: [{id, text, href}]. */
export const Tabs = ({ of, current, label }) => html`<nav class="tabs" aria-label=${label}>${of.map((one) => html`<a key=${one.id} href=${one.href} aria-current=${one.id === current ? 'page' : undefined}>${one.text}</a>`)}</nav>`;

/** A short text that can be copied. */
export function Copy({ text, shown = text }) {
  const { notify } = useShared();
  return html`<button type="button" class="copy" title="Copy" onClick=${async () => { await navigator.clipboard.writeText(text); notify('Copied.'); }}>${shown}</button>`;
}

/** Saves text as a file on the viewer's machine. */
export function download(name, text, type = 'text/csv') {
  const anchor = document.createElement('a');
  anchor.href = URL.createObjectURL(new Blob([text], { type }));
  anchor.download = name;
  anchor.click();
  setTimeout(() => URL.revokeObjectURL(anchor.href), 1000);
}
