// Agents: list, make, change; a test call; stop an agent's calls; delete it.
import { api, go, html, link, plural, useLive, useShared, useState } from './lib.js';
import { Action, Card, Copy, Empty, Facts, Field, Form, Live, Loading, Page, Table, Time } from './ui.js';
import { HoursFields, hoursText, LimitFields, tidy } from './rulefields.js';

const lines = (config) => config.max_concurrent_calls || 10;

function List() {
  const { agents } = useShared();
  const live = useLive((signal) => api('GET', '/v2/agent/all', { signal }), [], 10000);
  return html`<${Page} title="Agents" actions=${html`<a class="button primary" href="#/agents/new">New agent</a>`}><${Card}>
    <${Live} of=${{ ...live, data: live.data || (agents.length ? agents : undefined) }}>${(rows) => (rows.length ? html`<${Table} label="Agents" rows=${rows} rowKey=${(row) => row.agent_id} href=${(row) => link('agents', row.agent_id)} columns=${[
    { name: 'Agent', of: (row) => row.agent_name }, { name: 'Lines', number: true, of: (row) => lines(row.agent_config) },
    { name: 'Calls from', of: (row) => { const own = row.agent_config.from_phone_numbers || []; return own.length ? html`<span class="phone">${own[0]}</span>${own.length > 1 && html`<span class="muted"> and ${own.length - 1} more</span>`}` : html`<span class="muted">the account’s</span>`; } },
    { name: 'Calling hours', of: (row) => (row.agent_config.calling_guardrails ? hoursText(row.agent_config.calling_guardrails) : html`<span class="muted">${row.agent_config.policy ? 'the policy’s' : 'any time'}</span>`) },
    { name: 'Policy', of: (row) => (row.agent_config.policy ? html`<a href=${link('rules', 'policy', row.agent_config.policy.split('@')[0])}>${row.agent_config.policy}</a>` : '–') },
    { name: 'Webhook', of: (row) => (row.agent_config.webhook_url ? html`<span class="mono break">${row.agent_config.webhook_url}</span>` : '–') }]} />`
    : html`<${Empty} title="There is no agent yet.">An agent says how calls are placed and answered, and where their events go. <a href="#/agents/new">Make one</a></${Empty}>`)}</${Live}></${Card}></${Page}>`;
}

const NUMBERS = ['max_concurrent_calls', 'ring_timeout_seconds', 'max_call_seconds', 'expires_after_minutes'];
const TEXTS = ['agent_name', 'webhook_url', 'time_zone', 'purpose', 'policy'];

/** `agent`: the one that is changed; without it one is made. */
function AgentForm({ agent, onDone }) {
  const before = agent ? agent.agent_config : {};
  const policies = useLive((signal) => api('GET', '/policies', { signal }), [], 0);
  const [kind, setKind] = useState(before.stream_url ? 'stream_url' : before.answer_url ? 'answer_url' : '');
  const [hours, setHours] = useState(before.calling_guardrails || null);
  const [limits, setLimits] = useState(before.contact_limits || null);
  const save = (values) => {
    const config = { ...Object.fromEntries([...TEXTS.map((name) => [name, values[name].trim() || null]), ...NUMBERS.map((name) => [name, Number(values[name]) || null])]),
      from_phone_numbers: values.from_phone_numbers.split(/[\n,;]+/).map((one) => one.trim()).filter(Boolean),
      answer_url: kind === 'answer_url' ? values.url : null, stream_url: kind === 'stream_url' ? values.url : null,
      voicemail_detection: values.voicemail_detection === 'on', calling_guardrails: tidy(hours), contact_limits: tidy(limits) };
    const isSame = (name) => JSON.stringify(config[name]) === JSON.stringify(before[name] || (Array.isArray(config[name]) ? [] : config[name] === false ? false : null));
    if (agent) return api('PATCH', `/v2/agent/${agent.agent_id}`, { body: { agent_config: Object.fromEntries(Object.entries(config).filter(([name]) => !isSame(name))) } });
    return api('POST', '/v2/agent', { body: { agent_config: Object.fromEntries(Object.entries(config).filter(([, value]) => value !== null)) } });
  };
  const field = (name, label, rest) => html`<${Field} label=${label} name=${name} defaultValue=${before[name] ?? ''} ...${rest} />`;
  const labels = [...new Set([before.policy, ...(policies.data || []).map((one) => one.policy)].filter(Boolean))];
  if (policies.loading) return html`<${Loading} />`;
  return html`<${Form} keep scope="admin" submit=${agent ? 'Save' : 'Make the agent'} act=${save} onDone=${onDone} done=${agent ? 'Saved.' : 'The agent is made.'}>
    <div class="row">${field('agent_name', 'Name', { required: true, maxlength: 256, autocomplete: 'off' })}${field('max_concurrent_calls', 'Lines: live calls at most', { type: 'number', min: 1, placeholder: '10' })}</div>
    <${Field} label="Caller ids" name="from_phone_numbers" rows="2" defaultValue=${(before.from_phone_numbers || []).join('\n')} placeholder="+1 202 555 0100" hint="One on each line. Empty: the account’s." />
    <div class="row"><${Field} label="An answered call" value=${kind} onChange=${(event) => setKind(event.currentTarget.value)} options=${[['', 'As the account says'], ['answer_url', 'Fetches its instructions'], ['stream_url', 'Streams its audio']]} />
      ${kind && html`<${Field} key=${kind} label=${kind === 'answer_url' ? 'Answer URL' : 'Stream URL'} name="url" required defaultValue=${before[kind] || ''} placeholder=${kind === 'answer_url' ? 'https://voice.example.com/{agent_id}' : 'wss://voice.example.com/{execution_id}'} />`}</div>
    ${field('webhook_url', 'Webhook', { type: 'url', placeholder: 'https://hooks.example.com/redial', hint: 'Where events are sent.' })}
    ${field('policy', 'Policy', { options: [['', 'The account’s'], ...labels.map((one) => [one, one])], value: undefined })}
    <${HoursFields} value=${hours} onChange=${setHours} />
    <details><summary>Ringing, voicemail, limits, purpose</summary>
      <div class="row">${field('ring_timeout_seconds', 'Ring for seconds', { type: 'number', min: 5, placeholder: '30' })}${field('max_call_seconds', 'Conversation, seconds at most', { type: 'number', min: 1, placeholder: '3600' })}${field('expires_after_minutes', 'Calls end after minutes', { type: 'number', min: 1, placeholder: 'never' })}</div>
      <div class="row">${field('time_zone', 'Time zone of contacts', { placeholder: 'by the number' })}${field('purpose', 'Purpose', { placeholder: 'none' })}</div>
      <${Field} label="Detect answering machines" name="voicemail_detection" type="checkbox" defaultChecked=${before.voicemail_detection} />
      <${LimitFields} value=${limits} onChange=${setLimits} /></details>
  </${Form}>`;
}

function TestCall({ agent }) {
  const [number, setNumber] = useState('');
  return html`<${Card} title="Test call" note="One call by this agent, without retries."><div class="form">
    <${Field} label="Number" type="tel" value=${number} autocomplete="off" placeholder="+1 202 555 0143" onInput=${(event) => setNumber(event.currentTarget.value)} />
    <div class="actions"><${Action} primary scope="call" disabled=${!number.trim()} done="The call is made." onDone=${(answer) => go('executions', answer.execution_id)}
      act=${() => api('POST', '/call', { body: { agent_id: agent.agent_id, recipient_phone_number: number.trim(), retry_config: { enabled: false } } })}
      confirm=${{ title: `Call ${number.trim()}?`, text: `${agent.agent_name} calls it now, if its rules allow it.`, yes: 'Call' }}>Call</${Action}>
      <a class="button" href=${`#/plan?number=${encodeURIComponent(number)}`}>Plan it</a></div></div></${Card}>`;
}

function Agent({ id }) {
  const { reload, setAgent } = useShared();
  const live = useLive((signal) => api('GET', `/v2/agent/${id}`, { signal }), [id], 0);
  return html`<${Page} title=${live.data ? live.data.agent_name : 'Agent'} back=${{ href: '#/agents', text: 'Agents' }}
    actions=${live.data && html`<${Action} danger scope="operate" act=${() => api('POST', `/v2/agent/${id}/stop`)} done=${(answer) => `Stopped: ${plural(answer.stopped_executions.length, 'call')}, ${plural(answer.stopped_batches.length, 'batch', 'batches')}.`}
        confirm=${{ title: 'Stop its calls?', text: 'All waiting calls of this agent and its batches end. Live calls go on to their end; later requests run.', yes: 'Stop them' }}>Stop its calls</${Action}>
      <${Action} danger scope="admin" act=${() => api('DELETE', `/v2/agent/${id}`)} done="The agent is deleted." onDone=${() => { reload(); go('agents'); }}
        confirm=${{ title: `Delete ${live.data.agent_name}?`, text: 'Its waiting calls end. Its calls and batches can be listed for 30 days more. This cannot be undone.', yes: 'Delete' }}>Delete</${Action}>`}>
    <${Live} of=${live} lines=${10}>${(agent) => html`<div class="plan turned"><${Card} title="Configuration"><${AgentForm} key=${agent.updated_at} agent=${agent} onDone=${() => { live.refresh(); reload(); }} /></${Card}>
      <div class="narrow"><${TestCall} agent=${agent} /><${Card} title="For the API"><${Facts} of=${[['Agent id', html`<${Copy} text=${agent.agent_id} />`], ['Made', html`<${Time} at=${agent.created_at} day />`], ['Changed', html`<${Time} at=${agent.updated_at} day />`]]} />
        <p><a href="#/now" onClick=${() => setAgent(agent.agent_id)}>Now</a> · <a href="#/batches" onClick=${() => setAgent(agent.agent_id)}>Its batches</a> · <a href="#/executions" onClick=${() => setAgent(agent.agent_id)}>Its calls</a></p></${Card}></div></div>`}</${Live}></${Page}>`;
}

function New() {
  const { reload, setAgent } = useShared();
  return html`<${Page} title="New agent" back=${{ href: '#/agents', text: 'Agents' }}><${Card}><${AgentForm} onDone=${(made) => { setAgent(made.agent_id); reload(); go('agents', made.agent_id); }} /></${Card}></${Page}>`;
}

export default function Agents({ route }) {
  const [id] = route.parts;
  if (id === 'new') return html`<${New} />`;
  return id ? html`<${Agent} key=${id} id=${id} />` : html`<${List} />`;
}
