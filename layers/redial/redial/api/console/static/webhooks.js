// Webhooks: events that were not accepted, with their answer and a replay; a test event; how to verify a signature.
import { api, count, html, link, plural, useLive, useShared, useState } from './lib.js';
import { Action, Card, Empty, Facts, Field, Form, Live, Page, Status, Table, Time } from './ui.js';

const VERIFY = {
  Python: 'from standardwebhooks import Webhook  # pip install standardwebhooks\n\nevent = Webhook(secret).verify(body, headers)  # raises if it is not genuine: answer 400',
  'Node.js': "import { Webhook } from 'standardwebhooks'; // npm install standardwebhooks\n\nconst event = new Webhook(secret).verify(body, headers); // throws if it is not genuine: answer 400",
  Go: 'wh, _ := standardwebhooks.NewWebhook(secret) // github.com/standard-webhooks/standard-webhooks/libraries/go\n\nerr := wh.Verify(body, headers) // not nil if it is not genuine: answer 400',
};

const path = (subject) => (subject.execution_id ? `/executions/${subject.execution_id}` : `/batches/${subject.batch_id}`);
const replay = (subject) => api('POST', `${path(subject)}/webhooks/replay`);
const sent = (number) => `${plural(number, 'event')} sent again.`;

function Answer({ event }) {
  if (event.http_status) return html`<${Status} status="rejected" label=${`HTTP ${event.http_status}`} />${event.error !== `HTTP ${event.http_status}` && ` ${event.error || ''}`}`;
  return event.error || html`<span class="muted">not in the log any more</span>`;
}

function Undelivered() {
  const { agents } = useShared();
  const live = useLive((signal) => api('GET', '/webhooks/undelivered', { signal }), [], 4000);
  const nameOf = (id) => (agents.find((one) => one.agent_id === id) || { agent_name: id }).agent_name;
  const all = async (subjects) => { let number = 0; for (const one of subjects) number += (await replay(one)).replayed.length; return number; };
  return html`<${Live} of=${live}>${({ data, has_more: hasMore }) => {
    const rows = data.flatMap((subject) => subject.events.map((event, index) => ({ subject, event, isFirst: index === 0 })));
    const given = rows.filter((row) => !row.event.next_try_at).length;
    return html`<${Card} title="Undelivered events" note=${rows.length ? `${count(given)} given up, ${count(rows.length - given)} waiting for the next try${hasMore ? '; more are listed once these are sent' : ''}.` : 'Events that no 2xx has answered yet.'}
      actions=${rows.length > 0 && html`<${Action} scope="operate" act=${() => all(data)} done=${sent} onDone=${live.refresh} confirm=${{ title: 'Send all of these now?', text: `${plural(rows.length, 'event')} of ${plural(data.length, 'call or batch', 'calls and batches')}.`, yes: 'Send' }}>Replay all</${Action}>`}>
      ${rows.length ? html`<${Table} label="Undelivered events" rows=${rows} rowKey=${(row) => path(row.subject) + row.event.sequence} columns=${[
    { name: 'Of', of: ({ subject }) => (subject.execution_id ? html`<a href=${link('executions', subject.execution_id)}>Call ${subject.execution_id.slice(0, 8)}</a>` : html`<a href=${link('batches', subject.batch_id)}>Batch ${subject.batch_id.slice(0, 8)}</a>`) },
    { name: 'Agent', of: ({ subject }) => html`<a href=${link('agents', subject.agent_id)}>${nameOf(subject.agent_id)}</a>` },
    { name: 'Event', of: ({ event }) => html`<${Status} status=${event.status} /> <span class="muted">#${event.sequence}</span>` },
    { name: 'Answer', of: ({ event }) => html`<${Answer} event=${event} />` },
    { name: 'Last try', of: ({ event }) => html`<${Time} at=${event.last_tried_at} />${event.tries ? html`<span class="muted">, ${plural(event.tries, 'try', 'tries')}</span>` : ''}` },
    { name: 'Next try', of: ({ event }) => (event.next_try_at ? html`<${Time} at=${event.next_try_at} relative />` : html`<${Status} status="undelivered" label="Given up" />`) },
    { name: 'Actions', of: ({ subject, isFirst }) => isFirst && html`<${Action} small scope="operate" act=${() => replay(subject)} done=${(answer) => sent(answer.replayed.length)} onDone=${live.refresh}>Replay</${Action}>` },
  ]} />` : html`<${Empty} title="Everything is delivered." />`}</${Card}>`;
  }}</${Live}>`;
}

function Test() {
  const { agents } = useShared();
  const [to, setTo] = useState(agents.length ? agents[0].agent_id : '');
  const [result, setResult] = useState(null);
  const target = agents.find((one) => one.agent_id === to);
  return html`<${Card} title="Send a test event" note="One signed event of the type webhook.test. It is sent once, and nothing is stored.">
    <${Form} keep scope="operate" submit="Send" act=${(values) => { setResult(null); return api('POST', '/webhooks/test', { body: to ? { agent_id: to } : { url: values.url } }); }} onDone=${setResult}>
      <${Field} label="To" value=${to} onChange=${(event) => setTo(event.currentTarget.value)} options=${[...agents.map((one) => [one.agent_id, `The webhook of ${one.agent_name}`]), ['', 'Another URL']]} hint=${target && (target.agent_config.webhook_url || 'This agent has none.')} />
      ${!to && html`<${Field} label="URL" name="url" type="url" required placeholder="https://hooks.example.com/redial" />`}
    </${Form}>
    ${result && html`<div role="status"><${Facts} of=${[['Result', html`<${Status} status=${result.accepted ? 'accepted' : 'rejected'} /> ${result.error}`], ['Answer', result.status_code], ['Took', `${count(Math.round(result.milliseconds))} ms`], ['Sent to', result.url], ['webhook-id', html`<code>${result.webhook_id}</code>`]]} /></div>`}
  </${Card}>`;
}

function Verify() {
  const [language, choose] = useState('Python');
  return html`<${Card} title="Verify a signature" note="Events have Standard Webhooks signatures. The secret, whsec_…, was shown when the account was made; verify the body’s bytes as they came.">
    <div class="actions" role="group" aria-label="Language">${Object.keys(VERIFY).map((name) => html`<button key=${name} type="button" class="small ${name === language ? 'primary' : ''}" aria-pressed=${name === language} onClick=${() => choose(name)}>${name}</button>`)}</div>
    <pre tabindex="0">${VERIFY[language]}</pre>
    <p class="hint">Delivery is at least once: <code>webhook-id</code> is the same on every try, and <code>sequence</code> counts the events of a call.</p></${Card}>`;
}

function AccountWebhook() {
  const { user, reload } = useShared();
  return html`<${Card} title="Events of the account" note="Attention items that open or are resolved. Agents and batches have their own URLs.">
    <${Form} keep scope="admin" submit="Save" done="Saved." onDone=${reload} act=${(values) => api('PATCH', '/user/me', { body: { webhook_url: values.webhook_url || null } })}>
      <${Field} label="URL" name="webhook_url" type="url" defaultValue=${user.webhook_url || ''} placeholder="none" /></${Form}></${Card}>`;
}

export default () => html`<${Page} title="Webhooks"><${Undelivered} /><div class="grid"><${Test} /><${AccountWebhook} /></div><${Verify} /></${Page}>`;
