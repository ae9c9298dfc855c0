// Webhooks: undelivered events, with their response and a replay; a test event; how to verify a signature.

const VERIFY = {
  Python: `from standardwebhooks import Webhook  # pip install standardwebhooks

event = Webhook(secret).verify(body, headers)  # raises if it is not genuine: respond with 400`,
  'Node.js': `import { Webhook } from 'standardwebhooks'; // npm install standardwebhooks

const event = new Webhook(secret).verify(body, headers); // throws if it is not genuine: respond with 400`,
  Go: `wh, _ := standardwebhooks.NewWebhook(secret) // github.com/standard-webhooks/standard-webhooks/libraries/go

err := wh.Verify(body, headers) // not nil if it is not genuine: respond with 400`,
};

/** The subject of an event: ['executions', id] or ['batches', id]. */
const sourceOf = (subject) => (subject.execution_id ? ['executions', subject.execution_id] : ['batches', subject.batch_id]);
const replay = (subject) => api('POST', `/${sourceOf(subject).join('/')}/webhooks/replay`);
const sentText = (number) => `${plural(number, 'event')} sent again.`;

function Answer({ event: { http_status: status, error } }) {
  if (!status) return error || html`<span class="muted">no longer in the log</span>`;
  const code = `HTTP ${status}`;
  return html`<${Status} status="rejected" label=${code} />${error !== code && ` ${error || ''}`}`;
}

function Subject({ of }) {
  const [screen, id] = sourceOf(of);
  return html`<a href=${link(screen, id)}>${screen === 'batches' ? 'Batch' : 'Call'} ${id.slice(0, 8)}</a>`;
}

const Tries = ({ event: { last_tried_at: at, tries } }) => html`<${Time} at=${at} />${tries > 0 && html`<span class="muted">, ${plural(tries, 'try', 'tries')}</span>`}`;

const NextTry = ({ at }) => (at ? html`<${Time} at=${at} relative />` : html`<${Status} status="undelivered" label="Given up" />`);

const undeliveredColumns = (refresh) => [
  { name: 'Subject', of: ({ subject }) => html`<${Subject} of=${subject} />` },
  { name: 'Agent', of: ({ subject }) => html`<${AgentLink} id=${subject.agent_id} />` },
  { name: 'Event', of: ({ event }) => html`<${Status} status=${event.status} /> <span class="muted">#${event.sequence}</span>` },
  { name: 'Response', of: ({ event }) => html`<${Answer} event=${event} />` },
  { name: 'Last try', of: ({ event }) => html`<${Tries} event=${event} />` },
  { name: 'Next try', of: ({ event }) => html`<${NextTry} at=${event.next_try_at} />` },
  {
    name: 'Actions', of: ({ subject, isFirst }) => isFirst && html`<${Action} small scope="operate" act=${() => replay(subject)}
      done=${(answer) => sentText(answer.replayed.length)} onDone=${refresh}>Replay</${Action}>`,
  },
];

function Undelivered() {
  const live = useGet('/webhooks/undelivered', { every: 4000 });
  return html`<${Live} of=${live}>${({ data, has_more: hasMore }) => {
    const rows = data.flatMap((subject) => subject.events.map((event, index) => ({
      subject, event, id: sourceOf(subject) + event.sequence, isFirst: index === 0,
    })));
    const given = rows.filter((row) => !row.event.next_try_at).length;
    const note = `${count(given)} given up, ${count(rows.length - given)} waiting for the next try${hasMore ? '; more will be listed once these are sent' : ''}.`;
    const replayAll = async () => {
      let number = 0;
      for (const one of data) number += (await replay(one)).replayed.length;
      return number;
    };
    const question = { title: 'Send all of these now?', yes: 'Send', text: `${plural(rows.length, 'event')} of ${plural(data.length, 'call or batch', 'calls and batches')}.` };
    return html`<${Card} title="Undelivered events" note=${rows.length ? note : 'Events that no endpoint has accepted yet.'}
        actions=${rows.length > 0 && html`<${Action} scope="operate" act=${replayAll} done=${sentText} onDone=${live.refresh}
        confirm=${question}>Replay all</${Action}>`}>
      <${Table} label="Undelivered events" rows=${rows} empty="Every event was delivered."
        columns=${undeliveredColumns(live.refresh)} /></${Card}>`;
  }}</${Live}>`;
}

function TestEvent() {
  const { agents, agentOptions } = useShared();
  const [to, setTo] = useState(agents.length ? agents[0].agent_id : '');
  const [result, setResult] = useState(null);
  const target = agents.find((one) => one.agent_id === to);
  const send = ({ url }) => {
    setResult(null);
    return api('POST', '/webhooks/test', { body: to ? { agent_id: to } : { url } });
  };
  return html`<${Card} title="Send a test event" note="One signed event of the type webhook.test. It is sent once, and nothing is stored.">
    <${Form} keep scope="operate" submit="Send" act=${send} onDone=${setResult}>
      <${Field} label="To" value=${to} onValue=${setTo} hint=${target && (target.agent_config.webhook_url || 'This agent has no webhook.')}
        options=${[...agentOptions.map(([id, name]) => [id, `The webhook of ${name}`]), ['', 'Another URL']]} />
      ${!to && html`<${Field} label="URL" name="url" type="url" required placeholder="https://hooks.example.com/redial" />`}
    </${Form}>
    ${result && html`<div role="status"><${Facts} of=${[
    ['Result', html`<${Status} status=${result.accepted ? 'accepted' : 'rejected'} /> ${result.error}`],
    ['Response', result.status_code],
    ['Took', `${count(Math.round(result.milliseconds))} ms`],
    ['Sent to', result.url],
    ['webhook-id', html`<code>${result.webhook_id}</code>`],
  ]} /></div>`}
  </${Card}>`;
}

function Verify() {
  const [language, choose] = useState('Python');
  return html`<${Card} title="Verify a signature"
      note="Events have Standard Webhooks signatures. The secret, whsec_…, was shown when the account was created. Verify the body’s bytes as received.">
    <div class="actions" role="group" aria-label="Language">${Object.keys(VERIFY).map((name) => html`
      <button key=${name} type="button" class="small" aria-pressed=${name === language} onClick=${() => choose(name)}>${name}</button>`)}</div>
    <pre tabindex="0">${VERIFY[language]}</pre>
    <p class="hint">Delivery is at least once: <code>webhook-id</code> is the same for every try, and <code>sequence</code> counts the events of a call.</p></${Card}>`;
}

function AccountWebhook() {
  const { user, reload } = useShared();
  const save = (values) => api('PATCH', '/user/me', { body: { webhook_url: values.webhook_url || null } });
  return html`<${Card} title="Events of the account" note="Attention items that open or are resolved. Agents and batches have their own webhooks.">
    <${Form} keep scope="admin" submit="Save" done="Saved." onDone=${reload} act=${save}>
      <${Field} label="URL" name="webhook_url" type="url" defaultValue=${user.webhook_url || ''} placeholder="none" /></${Form}></${Card}>`;
}

const Webhooks = () => html`<${Page} title="Webhooks"><${Undelivered} /><div class="grid"><${TestEvent} /><${AccountWebhook} /></div><${Verify} /></${Page}>`;
