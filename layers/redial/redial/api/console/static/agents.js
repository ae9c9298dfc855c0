// Agents: list, create, change; a test call; stop an agent's calls; delete an agent.

const WAYS = { answer_url: ['Answer URL', 'https://voice.example.com/{agent_id}'], stream_url: ['Stream URL', 'wss://voice.example.com/{execution_id}'] };

function CallsFrom({ numbers = [] }) {
  if (!numbers.length) return html`<span class="muted">the account’s</span>`;
  return html`<${Phone} number=${numbers[0]} />${numbers.length > 1 && html`<span class="muted"> and ${numbers.length - 1} more</span>`}`;
}

function AgentHours({ of: { calling_guardrails: hours, policy } }) {
  return hours ? hoursText(hours) : html`<span class="muted">${policy ? 'the policy’s' : 'any time'}</span>`;
}

const PolicyLink = ({ policy }) => html`<a href=${link('rules', 'policy', policy.split('@')[0])}>${policy}</a>`;

const AGENT_COLUMNS = [
  { name: 'Agent', of: (row) => row.agent_name },
  { name: 'Lines', number: true, of: (row) => row.agent_config.max_concurrent_calls || 10 },
  { name: 'Calls from', of: (row) => html`<${CallsFrom} numbers=${row.agent_config.from_phone_numbers || []} />` },
  { name: 'Calling hours', of: (row) => html`<${AgentHours} of=${row.agent_config} />` },
  { name: 'Policy', of: (row) => row.agent_config.policy && html`<${PolicyLink} policy=${row.agent_config.policy} />` },
  { name: 'Webhook', of: (row) => row.agent_config.webhook_url && html`<span class="mono break">${row.agent_config.webhook_url}</span>` },
];

function AgentList() {
  const { agents } = useShared();
  const live = useGet('/v2/agent/all', { every: 10000 });
  return html`<${Page} title="Agents" actions=${html`<a class="button primary" href="#/agents/new">New agent</a>`}>
    <${Live} of=${{ ...live, data: live.data || (agents.length ? agents : undefined) }}>${(rows) => (rows.length
    ? html`<${Card}><${Table} label="Agents" rows=${rows} href=${(row) => link('agents', row.agent_id)} columns=${AGENT_COLUMNS} /></${Card}>`
    : html`<${NoAgent} />`)}</${Live}></${Page}>`;
}

const AGENT_NUMBERS = ['max_concurrent_calls', 'ring_timeout_seconds', 'max_call_seconds', 'expires_after_minutes'];
const AGENT_TEXTS = ['agent_name', 'webhook_url', 'time_zone', 'purpose'];

/** `agent`: the agent to change; without it, a new one is created. */
function AgentForm({ agent, onDone }) {
  const before = agent ? agent.agent_config : {};
  const [way, setWay] = useState(Object.keys(WAYS).findLast((name) => before[name]) || '');
  const [chosen, setChosen] = useState(before);
  const input = (name) => ({ value: chosen[name], onValue: (value) => setChosen((all) => ({ ...all, [name]: value })) });
  const save = (values) => {
    const config = {
      from_phone_numbers: values.from_phone_numbers.split(/[\n,;]+/).map((one) => one.trim()).filter(Boolean),
      answer_url: null, stream_url: null,
      voicemail_detection: values.voicemail_detection === 'on',
      policy: chosen.policy || null, calling_guardrails: tidy(chosen.calling_guardrails), contact_limits: tidy(chosen.contact_limits),
    };
    for (const name of AGENT_TEXTS) config[name] = values[name].trim() || null;
    for (const name of AGENT_NUMBERS) config[name] = Number(values[name]) || null;
    if (way) config[way] = values.url;
    if (!agent) return api('POST', '/v2/agent', { body: { agent_config: Object.fromEntries(Object.entries(config).filter(([, value]) => value !== null)) } });
    const unset = { from_phone_numbers: [], voicemail_detection: false };
    const isChanged = ([name, value]) => JSON.stringify(value) !== JSON.stringify(before[name] || (unset[name] ?? null));
    return api('PATCH', `/v2/agent/${agent.agent_id}`, { body: { agent_config: Object.fromEntries(Object.entries(config).filter(isChanged)) } });
  };
  const field = (name, label, rest) => html`<${Field} label=${label} name=${name} defaultValue=${before[name] ?? ''} ...${rest} />`;
  const number = (name, label, placeholder, min = 1) => field(name, label, { type: 'number', min, placeholder });
  return html`<${Form} keep scope="admin" submit=${agent ? 'Save' : 'Create agent'} act=${save} onDone=${onDone}
    done=${agent ? 'Saved.' : 'Agent created.'}>
    <div class="row">${field('agent_name', 'Name', { required: true, maxlength: 256, autocomplete: 'off' })}
      ${number('max_concurrent_calls', 'Lines: maximum live calls', '10')}</div>
    <${Field} label="Caller ids" name="from_phone_numbers" rows="2" defaultValue=${(before.from_phone_numbers || []).join('\n')}
      placeholder="+1 202 555 0100" hint="One per line. Empty: the account’s." />
    <div class="row"><${Field} label="An answered call" value=${way} onValue=${setWay}
        options=${[['', 'As in the account'], ['answer_url', 'Fetches its instructions'], ['stream_url', 'Streams its audio']]} />
      ${way && html`<${Field} key=${way} label=${WAYS[way][0]} name="url" required defaultValue=${before[way] || ''} placeholder=${WAYS[way][1]} />`}</div>
    ${field('webhook_url', 'Webhook', { type: 'url', placeholder: 'https://hooks.example.com/redial', hint: 'Where events are sent.' })}
    <${PolicyField} none="The account’s" ...${input('policy')} />
    <${HoursFields} ...${input('calling_guardrails')} />
    <details><summary>Ringing, voicemail, limits, purpose</summary>
      <div class="row">${number('ring_timeout_seconds', 'Ring for seconds', '30', 5)}
        ${number('max_call_seconds', 'Talk for seconds', '3600')}
        ${number('expires_after_minutes', 'Calls end after minutes', 'never')}</div>
      <div class="row">${field('time_zone', 'Time zone of contacts', { placeholder: 'by the number' })}
        ${field('purpose', 'Purpose', { placeholder: 'none' })}</div>
      <${Field} label="Detect answering machines" name="voicemail_detection" type="checkbox" defaultChecked=${before.voicemail_detection} />
      <${LimitFields} ...${input('contact_limits')} /></details>
  </${Form}>`;
}

function TestCall({ agent }) {
  const [typed, setTyped] = useState('');
  const number = typed.trim();
  const call = () => api('POST', '/call', { body: { agent_id: agent.agent_id, recipient_phone_number: number, retry_config: { enabled: false } } });
  return html`<${Card} title="Test call" note="One call by this agent, without retries."><div class="form">
    <${NumberToCall} value=${typed} onValue=${setTyped} />
    <div class="actions">
      <${Action} primary scope="call" disabled=${!number} act=${call} done="Call created." onDone=${(answer) => go('executions', answer.execution_id)}
        confirm=${{ title: `Call ${number}?`, text: `${agent.agent_name} calls it now, if its rules allow it.`, yes: 'Call' }}>Call</${Action}>
      <a class="button" href=${withQuery('#/plan', { number })}>Plan it</a></div></div></${Card}>`;
}

function AgentActions({ agent }) {
  const { reload } = useShared();
  const path = `/v2/agent/${agent.agent_id}`;
  const stopped = (answer) => `Stopped: ${plural(answer.stopped_executions.length, 'call')}, ${plural(answer.stopped_batches.length, 'batch', 'batches')}.`;
  const leave = () => {
    reload();
    go('agents');
  };
  return html`<${Action} danger scope="operate" act=${() => api('POST', `${path}/stop`)} done=${stopped} confirm=${{
    title: 'Stop its calls?', text: 'All waiting calls of this agent and its batches end. Live calls finish; later requests run normally.', yes: 'Stop them',
  }}>Stop its calls</${Action}>
    <${Action} danger scope="admin" act=${() => api('DELETE', path)} done="Agent deleted." onDone=${leave} confirm=${{
    title: `Delete ${agent.agent_name}?`, text: 'Its waiting calls end. Its calls and batches can be listed for another 30 days. This cannot be undone.', yes: 'Delete',
  }}>Delete</${Action}>`;
}

function OneAgent({ id }) {
  const { reload, setAgent } = useShared();
  const live = useGet(`/v2/agent/${id}`, { every: 0 });
  const saved = () => {
    live.refresh();
    reload();
  };
  const of = (screen, text) => html`<a href=${link(screen)} onClick=${() => setAgent(id)}>${text}</a>`;
  return html`<${Page} title=${live.data ? live.data.agent_name : 'Agent'} back=${{ href: '#/agents', text: 'Agents' }}
      actions=${live.data && html`<${AgentActions} agent=${live.data} />`}>
    <${Live} of=${live} lines=${10}>${(agent) => html`<div class="plan turned">
      <${Card} title="Configuration"><${AgentForm} key=${agent.updated_at} agent=${agent} onDone=${saved} /></${Card}>
      <div class="narrow"><${TestCall} agent=${agent} /><${Card} title="For the API"><${Facts} of=${[
    ['Agent id', html`<${Copy} text=${id} />`],
    ['Created', html`<${Time} at=${agent.created_at} day />`],
    ['Changed', html`<${Time} at=${agent.updated_at} day />`],
  ]} /><p>${of('now', 'Now')} · ${of('batches', 'Its batches')} · ${of('executions', 'Its calls')}</p></${Card}></div></div>`}</${Live}></${Page}>`;
}

function NewAgent() {
  const { reload, setAgent } = useShared();
  const made = ({ agent_id: id }) => {
    setAgent(id);
    reload();
    go('agents', id);
  };
  return html`<${Page} title="New agent" back=${{ href: '#/agents', text: 'Agents' }}><${Card}><${AgentForm} onDone=${made} /></${Card}></${Page}>`;
}

function Agents({ route: { parts: [id] } }) {
  if (id === 'new') return html`<${NewAgent} />`;
  return id ? html`<${OneAgent} key=${id} id=${id} />` : html`<${AgentList} />`;
}
