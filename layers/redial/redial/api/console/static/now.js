// The account's current activity: its overall state, lines in use, due calls, what holds calls back.

/** GET /now, and the attention items if there are any. */
async function loadNow(signal) {
  const state = await get('/now', { signal });
  const items = state.attention ? (await get('/attention', { signal })).data : [];
  return { ...state, items };
}

const atLeast = (number, complete) => `${complete ? '' : 'at least '}${count(number)}`;
const sum = (numbers) => numbers.reduce((total, one) => total + one, 0);

/** Current problems, the worst first: {text, href, mild}. Empty: all is well. `mild`: no call is held back. */
function faults({ items, carriers, undelivered }) {
  const held = items.filter((one) => one.state === 'open' || one.state === 'noticed').length;
  const mended = items.length - held;
  return [
    ...carriers.filter((one) => one.state === 'paused').map((one) => ({ text: `No calls go out via ${words(one.name)}` })),
    held && { text: `${plural(held, 'fault holds', 'faults hold')} calls back` },
    ...carriers.filter((one) => one.state === 'resuming').map((one) => ({ text: `${words(one.name)} is resuming`, mild: true })),
    mended && { text: `${plural(mended, 'fault is', 'faults are')} fixed, calls resume`, mild: true },
    undelivered && {
      text: `${undelivered < 1000 ? '' : 'at least '}${plural(undelivered, 'call or batch has', 'calls or batches have')} undelivered webhooks`,
      href: '#/webhooks', mild: true,
    },
  ].filter(Boolean);
}

function Overall({ data, stale }) {
  const { lines, due } = data;
  const wrong = faults(data);
  const [tone, sign, title] = stale ? ['wait', '?', 'Not up to date'] : !wrong.length ? ['good', '✓', 'All is well']
    : wrong.every((one) => one.mild) ? ['wait', '!', 'Calls go out; something needs a look'] : ['bad', '!', 'Needs attention'];
  return html`<section class="overall ${tone}" aria-label="Overall" role="status">
    <span class="sign" aria-hidden="true">${sign}</span>
    <div><h2>${title}</h2>
      <p>${stale ? html`The API does not respond. You see the state of ${timeText(data.at)}.`
    : wrong.length ? wrong.map(({ text, href }, index) => html`
      <span key=${text}>${index > 0 && ' · '}${href ? html`<a href=${href}>${text}</a>` : text}</span>`)
      : 'Nothing holds calls back, and every webhook was delivered.'}</p></div>
    <${Figures} of=${[
    { label: 'Live calls', value: count(lines.current), note: `of ${atLeast(lines.max, lines.complete)} lines` },
    { label: 'Due within an hour', value: atLeast(sum(due.calls), due.complete), note: 'retries and scheduled calls' },
  ]} />
  </section>`;
}

// ---- faults ----

const AFFECTED = { account: () => 'All calls', caller_id: (value) => `Calls from ${value}`, country: (value) => `Calls to ${value}` };

function Fault({ item, refresh }) {
  const { agents, agentName } = useShared();
  const isKnown = agents.some((one) => one.agent_id === item.value);
  const whom = AFFECTED[item.scope] ? AFFECTED[item.scope](item.value) : `Calls of ${isKnown ? agentName(item.value) : 'an agent'}`;
  const isMended = (after) => after.state === 'resolved' || after.state === 'resuming';
  const by = item.scope === 'agent' ? `its ${item.provider} does not respond` : `via ${words(item.provider)}`;
  return html`<li class="fault">
    <div>
      <p><${Status} status=${item.state} label=${item.state === 'open' ? 'Held' : words(item.state)} /> <strong>${whom}</strong> <span class="muted">${by}</span></p>
      ${item.reason && html`<p>${words(item.reason)}${item.code && html` <span class="muted">(${item.code})</span>`}.</p>`}
      <p class="muted">${item.what_to_do.replace('POST /attention/{id}/resolve retries', 'the button retries')}</p>
      <p class="muted">Since <${Time} at=${item.opened_at} relative /></p>
    </div>
    <${Action} scope="operate" primary act=${() => api('POST', `/attention/${item.id}/resolve`)} onDone=${refresh}
      done=${(after) => (isMended(after) ? 'Waiting calls continue.' : 'It is not fixed yet: the calls still wait.')}>Try again now</${Action}>
  </li>`;
}

// ---- due calls ----

const DUE_TOP = 20;
const DUE_HEIGHT = 120;

/** Calls that become due, with a bar for each step of the next hour. */
function Due({ due, at }) {
  const { zone } = useShared();
  const { calls, step_minutes: step } = due;
  const time = (place) => timeText(ms(at) + place * step * 60000, zone === 'utc' ? 'UTC' : HERE, { day: false });
  const most = Math.max(...calls, 1);
  const wide = 100 / calls.length;
  const text = calls.map((number, place) => `${time(place)}: ${number}`).join(', ');
  return html`<svg class="due" height=${DUE_TOP + DUE_HEIGHT + 22} role="img" aria-label=${`Calls due by ${step} minutes. ${text}`}>
    <line x1="0" x2="100%" y1=${DUE_TOP + DUE_HEIGHT} y2=${DUE_TOP + DUE_HEIGHT} />
    ${calls.map((number, place) => {
    const height = (DUE_HEIGHT * number) / most, y = DUE_TOP + DUE_HEIGHT - height;
    return html`<g key=${place}>
      <rect x=${`${(place + 0.14) * wide}%`} width=${`${0.72 * wide}%`} y=${y} height=${height} rx="2" />
      ${number > 0 && html`<text class="value" x=${`${(place + 0.5) * wide}%`} y=${y - 5} text-anchor="middle">${count(number)}</text>`}
      ${place % 4 === 0 && html`<text x=${`${place * wide}%`} y=${DUE_TOP + DUE_HEIGHT + 17}>${time(place)}</text>`}
    </g>`;
  })}
    <text x="100%" y=${DUE_TOP + DUE_HEIGHT + 17} text-anchor="end">${time(calls.length)}</text>
  </svg>`;
}

// ---- lines ----

/** Lines in use, as a meter. */
function Lines({ name, href, current, max, strong }) {
  const full = max > 0 && current >= max;
  return html`<li class="usage ${strong ? 'strong' : ''}">
    <span>${href ? html`<a href=${href}>${name}</a>` : name}</span>
    <span class="muted">${count(current)} of ${count(max)}${full && ', full'}</span>
    <${Meter} label=${name} total=${Math.max(max, current, 1)} parts=${[
    { label: 'lines in use', value: current, tone: full ? 'wait' : 'live' },
    { label: 'free', value: Math.max(0, max - current), tone: 'free' },
  ]} />
  </li>`;
}

const MOST_AGENTS = 8;

function LinesCard({ lines }) {
  const busy = [...lines.agents].sort((one, other) => other.current - one.current || one.agent_name.localeCompare(other.agent_name));
  return html`<${Card} title="Lines in use"><ul class="plain">
      ${busy.length > 1 && html`<${Lines} name="All agents" current=${lines.current} max=${lines.max} strong />`}
      ${busy.slice(0, MOST_AGENTS).map((one) => html`<${Lines} key=${one.agent_id} name=${one.agent_name} href=${link('agents', one.agent_id)}
        current=${one.current} max=${one.max} />`)}
    </ul>
    ${busy.length > MOST_AGENTS && html`<p><a href="#/agents">${plural(busy.length - MOST_AGENTS, 'other agent')}</a></p>`}</${Card}>`;
}

// ---- carriers and webhooks ----

const CARRIER_STATES = { ok: 'Works', paused: 'Paused', resuming: 'Resuming' };

const Carriers = ({ carriers, undelivered }) => html`<${Card} title="Carriers and webhooks"><ul class="plain">
  ${carriers.map(({ name, state, reason, since }) => html`<li key=${name} class="pair">
    <div><strong>${words(name)}</strong>${reason && html`<p class="muted">${words(reason)}</p>`}
      ${state !== 'ok' && since && html`<p class="muted">Since <${Time} at=${since} relative /></p>`}</div>
    <${Status} status=${state} label=${CARRIER_STATES[state]} /></li>`)}
  <li class="pair"><div><strong>Webhooks</strong>
      <p>${undelivered ? html`<a href="#/webhooks">See the undelivered ones</a>` : html`<span class="muted">Every event was delivered</span>`}</p></div>
    <${Status} status=${undelivered ? 'undelivered' : 'ok'} label=${undelivered ? `${atLeast(undelivered, undelivered < 1000)} undelivered` : 'Delivered'} /></li>
</ul></${Card}>`;

function Now() {
  const { user } = useShared();
  const live = useLive(loadNow, [], 5000);
  return html`<${Page} title="Now">
    <${Live} of=${live} lines=${8}>${(data) => {
    const { lines, due, items } = data;
    return html`
      <${Overall} data=${data} stale=${live.error} />
      ${items.length > 0 && html`<${Card} title="What holds calls back" wide note="These calls wait, without losing an attempt.">
        <ul class="plain">${items.map((item) => html`<${Fault} key=${item.id} item=${item} refresh=${live.refresh} />`)}</ul></${Card}>`}
      <div class="grid">
        <${Card} title="Due within the next hour" note=${due.complete ? 'Retries and scheduled calls, in steps of five minutes' : 'There may be more: not all are read'}>
          ${sum(due.calls) ? html`<${Due} due=${due} at=${data.at} />` : html`<${Empty} title="No call waits for a time within the next hour." />`}
        </${Card}>
        ${lines.agents.length ? html`<${LinesCard} lines=${lines} />` : html`<${NoAgent} />`}
        <${Carriers} carriers=${data.carriers} undelivered=${data.undelivered} />
      </div>
      <p class="muted">Redial ${data.version} · ${user.name} · as of <${Time} at=${data.at} seconds /></p>`;
  }}</${Live}>
  </${Page}>`;
}
