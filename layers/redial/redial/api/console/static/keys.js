// Keys: list, make, revoke; and the audit of every change.
import { api, count, html, link, setQuery, useLive, useShared, useState, words } from './lib.js';
import { Action, Card, Copy, download, Field, Form, Live, Page, Status, Table, Tabs, Time } from './ui.js';
import { PAGE, Pager } from './rulefields.js';

const TABS = [{ id: 'keys', text: 'Keys', href: '#/keys' }, { id: 'audit', text: 'Audit', href: '#/keys/audit' }];
const SCOPES = [['read', 'Read everything'], ['call', 'Make calls and batches'], ['operate', 'Stop, pause, replay, suppress'], ['admin', 'Change agents, keys, the account; delete']];

const Screen = ({ current, children }) => html`<${Page} title="Keys and audit"><${Tabs} of=${TABS} current=${current} label="Keys and audit" />${children}</${Page}>`;

function NewKey({ onMade }) {
  const { agents, user } = useShared();
  const own = (user.key && user.key.scopes) || SCOPES.map(([scope]) => scope);
  const make = (values, form) => {
    const all = new FormData(form);
    const chosen = all.getAll('agents');
    return api('POST', '/keys', { body: { name: values.name.trim(), scopes: all.getAll('scopes'), agents: chosen.length ? chosen : undefined, numbers: values.numbers, quotas: values.calls_a_day ? { calls_a_day: Number(values.calls_a_day) } : undefined } });
  };
  return html`<${Card} title="New key" note="With at most what this key may. Rights never change: make another key, then revoke the first."><${Form} act=${make} scope="admin" submit="Make the key" done="The key is made." onDone=${onMade}>
    <${Field} label="Name" name="name" required autocomplete="off" placeholder="dashboard" />
    <fieldset class="rules"><legend>It may</legend>${SCOPES.map(([scope, text]) => html`<${Field} key=${scope} label=${html`<strong>${scope}</strong> <span class="muted">${text}</span>`} name="scopes" value=${scope} type="checkbox" defaultChecked=${scope === 'read'} disabled=${!own.includes(scope)} />`)}</fieldset>
    <${Field} label="Phone numbers" name="numbers" options=${[['full', 'Shown'], ['masked', 'Masked in every answer']]} />
    ${agents.length > 0 && html`<details><summary>Only some agents</summary><div class="checks">${agents.map((one) => html`<${Field} key=${one.agent_id} label=${one.agent_name} name="agents" value=${one.agent_id} type="checkbox" />`)}</div></details>`}
    <${Field} label="Calls a day at most" name="calls_a_day" type="number" min="1" placeholder="any number" />
  </${Form}></${Card}>`;
}

function Keys() {
  const { agents, user } = useShared();
  const [made, setMade] = useState(null);
  const live = useLive((signal) => api('GET', '/keys', { signal }), [], 10000);
  const nameOf = (id) => (agents.find((one) => one.agent_id === id) || { agent_name: id }).agent_name;
  const isOwn = (row) => user.key && row.id === user.key.id;
  return html`<${Screen} current="keys"><div class="plan"><${NewKey} onMade=${(key) => { setMade(key); live.refresh(); }} /><div>
    ${made && html`<${Card} title=${`The key ${made.name}`} note="Copy it now: it is shown only here." actions=${html`<button type="button" onClick=${() => setMade(null)}>I have it</button>`}><p><code class="break">${made.api_key}</code> <${Copy} text=${made.api_key} shown="Copy" /></p></${Card}>`}
    <${Card} title="API keys"><${Live} of=${live}>${(rows) => html`<${Table} label="API keys" rows=${[...rows].sort((one, other) => Boolean(one.revoked_at) - Boolean(other.revoked_at))} rowKey=${(row) => row.id} columns=${[
    { name: 'Name', of: (row) => html`${row.name}${isOwn(row) && html` <span class="muted">(this one)</span>`}` },
    { name: 'May', of: (row) => row.scopes.join(', ') },
    { name: 'Agents', of: (row) => (row.agents ? row.agents.map(nameOf).join(', ') : html`<span class="muted">all</span>`) },
    { name: 'Numbers', of: (row) => row.numbers },
    { name: 'Calls a day', number: true, of: (row) => (row.quotas.calls_a_day ? count(row.quotas.calls_a_day) : html`<span class="muted">any</span>`) },
    { name: 'Last used', of: (row) => (row.last_used_at ? html`<${Time} at=${row.last_used_at} />` : html`<span class="muted">never</span>`) },
    { name: 'State', of: (row) => (row.revoked_at ? html`<${Status} status="rejected" label="Revoked" />` : html`<${Action} small danger scope="admin" disabled=${isOwn(row)} act=${() => api('DELETE', `/keys/${row.id}`)} done=${`${row.name} is revoked.`} onDone=${live.refresh}
      confirm=${{ title: `Revoke ${row.name}?`, text: 'What uses it is refused from now on. This cannot be undone.', yes: 'Revoke' }}>Revoke</${Action}>`) },
  ]} />`}</${Live}></${Card}></div></div></${Screen}>`;
}

const TO = { agent: (id) => link('agents', id), batch: (id) => link('batches', id), execution: (id) => link('executions', id), policy: (id) => link('rules', 'policy', id.split('@')[0]) };
const shown = (value) => (value === null || value === undefined ? 'none' : typeof value === 'string' ? value : JSON.stringify(value));

function Resource({ row }) {
  const text = `${words(row.resource_type)} ${row.resource_id ? row.resource_id.slice(0, 24) : ''}`;
  return row.resource_id && TO[row.resource_type] ? html`<a href=${TO[row.resource_type](row.resource_id)}>${text}</a>` : text;
}

function Audit({ query }) {
  const [page, setPage] = useState(1);
  const turn = (name) => (event) => { setPage(1); setQuery({ [name]: event.currentTarget.value }); };
  const asked = { from: query.from && new Date(`${query.from}T00:00`).toISOString(), to: query.to && new Date(`${query.to}T23:59:59.999`).toISOString() };
  const live = useLive((signal) => api('GET', '/audit', { signal, query: { ...asked, page_number: page, page_size: PAGE } }), [query.from, query.to, page], 8000);
  return html`<${Screen} current="audit"><${Card} title="Audit" note="Who changed what, newest first. Calls are their own record. Records are never changed or removed."
      actions=${html`<${Action} scope="read" done="Exported." act=${async () => download('audit.csv', await api('GET', '/audit.csv', { query: asked }))}>Export as CSV</${Action}>`}>
    <div class="row"><${Field} label="From" type="date" value=${query.from || ''} onChange=${turn('from')} /><${Field} label="To" type="date" value=${query.to || ''} onChange=${turn('to')} /></div>
    <${Live} of=${live}>${(rows) => html`<${Table} label="Audit" rows=${rows} rowKey=${(row) => row.id} empty="No change was made in this time." columns=${[
    { name: 'When', of: (row) => html`<${Time} at=${row.at} />` }, { name: 'Who', of: (row) => row.by }, { name: 'What', of: (row) => words(row.operation) }, { name: 'Of', of: (row) => html`<${Resource} row=${row} />` },
    { name: 'Changes', of: (row) => html`<ul class="changes">${row.changes.map((one) => html`<li key=${one.field}><strong>${one.field}</strong> ${shown(one.before)} → ${shown(one.after)}</li>`)}${Object.entries(row.details).map(([name, value]) => html`<li key=${name}><strong>${name}</strong> ${shown(value)}</li>`)}</ul>` },
  ]} /><${Pager} page=${page} rows=${rows.length} onPage=${setPage} />`}</${Live}></${Card}></${Screen}>`;
}

export default ({ route }) => (route.parts[0] === 'audit' ? html`<${Audit} query=${route.query} />` : html`<${Keys} />`);
