// Keys: list, make, revoke; and the audit of every change.
import { api, count, html, link, plural, useLive, useShared, useState } from './lib.js';
import { Action, Card, Copy, Field, Form, Live, Page, Status, Table, Tabs, Time } from './ui.js';

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
    ${made && html`<${Card} title=${`The key ${made.name}`} note="Copy it now: it is shown only here." actions=${html`<button type="button" onClick=${() => setMade(null)}>I have it</button>`}><p><${Copy} text=${made.api_key} /></p></${Card}>`}
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

export default function KeysScreen() {
  return html`<${Keys} />`;
}
