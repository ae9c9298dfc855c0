// The account at this moment: is all well, lines in use, what becomes due, what holds calls back.
import { HERE, api, count, html, link, plural, timeText, useLive, useShared, words } from './lib.js';
import { Action, Card, Empty, Figures, Live, Meter, Page, Status, Time } from './ui.js';

/** GET /now, and the attention items if there are any. */
async function load(signal) {
  const now = await api('GET', '/now', { signal });
  const items = now.attention ? (await api('GET', '/attention', { signal })).data : [];
  return { ...now, items };
}

const atLeast = (number, complete) => `${complete ? '' : 'at least '}${count(number)}`;
const sum = (numbers) => numbers.reduce((total, one) => total + one, 0);

/** What is not as it should be, the worst first: {text, href, mild}. Empty: all is well. `mild`: no call is held back. */
function faults({ items, carriers, undelivered }) {
  const held = items.filter((one) => one.state === 'open' || one.state === 'noticed').length;
  const mended = items.length - held;
  return [
    ...carriers.filter((one) => one.state === 'paused').map((one) => ({ text: `No calls go out by ${words(one.name)}` })),
    held && { text: `${plural(held, 'fault holds', 'faults hold')} calls back` },
    ...carriers.filter((one) => one.state === 'resuming').map((one) => ({ text: `${words(one.name)} is resuming`, mild: true })),
    mended && { text: `${plural(mended, 'fault is', 'faults are')} mended, calls resume`, mild: true },
    undelivered && { text: `${undelivered < 1000 ? '' : 'at least '}${plural(undelivered, 'call or batch has', 'calls or batches have')} undelivered webhooks`, href: link('webhooks'), mild: true },
  ].filter(Boolean);
}

function Verdict({ data, stale }) {
  const { lines, due } = data;
  const wrong = faults(data);
  const [tone, sign, title] = stale ? ['wait', '?', 'Not up to date'] : !wrong.length ? ['good', '✓', 'All is well']
    : wrong.every((one) => one.mild) ? ['wait', '!', 'Calls go out; something needs a look'] : ['bad', '!', 'Needs attention'];
  return html`<section class="overall ${tone}" aria-label="Overall" role="status">
    <span class="sign" aria-hidden="true">${sign}</span>
    <div><h2>${title}</h2>
      <p>${stale ? html`The API does not answer. What you see is of ${timeText(data.at)}.`
    : wrong.length ? wrong.map(({ text, href }, index) => html`<span key=${text}>${index > 0 && ' · '}${href ? html`<a href=${href}>${text}</a>` : text}</span>`)
      : 'Nothing holds calls back, and every webhook was delivered.'}</p></div>
    <${Figures} of=${[
    { label: 'Live calls', value: count(lines.current), note: `of ${atLeast(lines.max, lines.complete)} lines` },
    { label: 'Due within an hour', value: atLeast(sum(due.calls), due.complete), note: 'retries and scheduled calls' },
  ]} />
  </section>`;
}

// ---- faults ----

const AFFECTED = { account: () => 'All calls', caller_id: (value) => `Calls from ${value}`, country: (value) => `Calls to ${value}` };

function Fault({ item, agents, refresh }) {
  const agent = agents.find((one) => one.agent_id === item.value);
  const whom = AFFECTED[item.scope] ? AFFECTED[item.scope](item.value) : `Calls of ${agent ? agent.agent_name : 'an agent'}`;
  const by = item.scope === 'agent' ? `its ${item.provider} does not answer` : `by ${words(item.provider)}`;
  return html`<li class="fault">
    <div>
      <p><${Status} status=${item.state} label=${item.state === 'open' ? 'Held' : words(item.state)} /> <strong>${whom}</strong> <span class="muted">${by}</span></p>
      ${item.reason && html`<p>${words(item.reason)}${item.code && html` <span class="muted">(${item.code})</span>`}.</p>`}
      <p class="muted">${item.what_to_do.replace('POST /attention/{id}/resolve tries', 'the button tries')}</p>
      <p class="muted">Since <${Time} at=${item.opened_at} relative /></p>
    </div>
    <${Action} scope="operate" primary act=${() => api('POST', `/attention/${item.id}/resolve`)} done=${(after) => (after.state === 'resolved' || after.state === 'resuming' ? 'Waiting calls go on.' : 'It is not mended yet: the calls still wait.')} onDone=${refresh}>Try again now</${Action}>
  </li>`;
}

// ---- due calls ----

const TOP = 20, TALL = 120;

/** Calls that become due, a bar for each step of the next hour. */
function Due({ due, at }) {
  const { zone } = useShared();
  const { calls, step_minutes: step } = due;
  const time = (place) => timeText(new Date(at).getTime() + place * step * 60000, zone === 'utc' ? 'UTC' : HERE, { day: false });
  const most = Math.max(...calls, 1);
  const wide = 100 / calls.length;
  const text = calls.map((number, place) => `${time(place)}: ${number}`).join(', ');
  return html`<svg class="due" height=${TOP + TALL + 22} role="img" aria-label=${`Calls due by ${step} minutes. ${text}`}>
    <line x1="0" x2="100%" y1=${TOP + TALL} y2=${TOP + TALL} />
    ${calls.map((number, place) => html`<g key=${place}>
      <rect x=${`${(place + 0.14) * wide}%`} width=${`${0.72 * wide}%`} y=${TOP + TALL * (1 - number / most)} height=${TALL * (number / most)} rx="2" />
      ${number > 0 && html`<text class="value" x=${`${(place + 0.5) * wide}%`} y=${TOP + TALL * (1 - number / most) - 5} text-anchor="middle">${count(number)}</text>`}
      ${place % 4 === 0 && html`<text x=${`${place * wide}%`} y=${TOP + TALL + 17}>${time(place)}</text>`}
    </g>`)}
    <text x="100%" y=${TOP + TALL + 17} text-anchor="end">${time(calls.length)}</text>
  </svg>`;
}

// ---- lines ----

/** Lines in use, as a meter. */
function Lines({ name, href, current, max, strong }) {
  const full = max > 0 && current >= max;
  return html`<li class="usage ${strong ? 'strong' : ''}">
    <span>${href ? html`<a href=${href}>${name}</a>` : name}</span>
    <span class="muted">${count(current)} of ${count(max)}${full && ', full'}</span>
    <${Meter} label=${name} total=${Math.max(max, current, 1)} parts=${[{ label: 'lines in use', value: current, tone: full ? 'wait' : 'live' }, { label: 'free', value: Math.max(0, max - current), tone: 'free' }]} />
  </li>`;
}

const LISTED = 8;
const CARRIER = { ok: 'Works', paused: 'Paused', resuming: 'Resuming' };

export default function Now() {
  const { user, agents } = useShared();
  const live = useLive(load, [], 5000);
  return html`<${Page} title="Now">
    <${Live} of=${live} lines=${8}>${(data) => {
    const { lines, due, carriers, items } = data;
    const busy = [...lines.agents].sort((a, b) => b.current - a.current || a.agent_name.localeCompare(b.agent_name));
    return html`
      <${Verdict} data=${data} stale=${live.error} />
      ${items.length > 0 && html`<${Card} title="What holds calls back" wide note="These calls wait, and lose no attempt by it."><ul class="plain">${items.map((item) => html`<${Fault} key=${item.id} item=${item} agents=${agents} refresh=${live.refresh} />`)}</ul></${Card}>`}
      <div class="grid">
        <${Card} title="Due within the next hour" note=${due.complete ? 'Retries and scheduled calls by five minutes' : 'There may be more: not all are read'}>
          ${sum(due.calls) ? html`<${Due} due=${due} at=${data.at} />` : html`<${Empty} title="No call waits for a time within the next hour." />`}
        </${Card}>
        <${Card} title="Lines in use">
          ${lines.agents.length ? html`<ul class="plain">
            ${busy.length > 1 && html`<${Lines} name="All agents" current=${lines.current} max=${lines.max} strong />`}
            ${busy.slice(0, LISTED).map((one) => html`<${Lines} key=${one.agent_id} name=${one.agent_name} href=${link('agents', one.agent_id)} current=${one.current} max=${one.max} />`)}
          </ul>${busy.length > LISTED && html`<p><a href=${link('agents')}>${plural(busy.length - LISTED, 'other agent')}</a></p>`}`
    : html`<${Empty} title="No agent yet"><a href=${link('agents')}>Make an agent</a> to call with.</${Empty}>`}
        </${Card}>
        <${Card} title="Carriers and webhooks"><ul class="plain">
          ${carriers.map((one) => html`<li key=${one.name} class="pair">
            <div><strong>${words(one.name)}</strong>${one.reason && html`<p class="muted">${words(one.reason)}</p>`}${one.state !== 'ok' && one.since && html`<p class="muted">Since <${Time} at=${one.since} relative /></p>`}</div>
            <${Status} status=${one.state} label=${CARRIER[one.state]} /></li>`)}
          <li class="pair"><div><strong>Webhooks</strong><p>${data.undelivered ? html`<a href=${link('webhooks')}>See the undelivered ones</a>` : html`<span class="muted">Every event was delivered</span>`}</p></div>
            <${Status} status=${data.undelivered ? 'undelivered' : 'ok'} label=${data.undelivered ? `${atLeast(data.undelivered, data.undelivered < 1000)} undelivered` : 'Delivered'} /></li>
        </ul></${Card}>
      </div>
      <p class="muted">Redial ${data.version} · ${user.name} · as of <${Time} at=${data.at} seconds /></p>`;
  }}</${Live}>
  </${Page}>`;
}
