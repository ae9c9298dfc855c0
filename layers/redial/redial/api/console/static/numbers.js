// Numbers: what is known about one and what would happen if it were called now; and the numbers that agents call from.
import { api, go, html, link, now, plural, timeText, useLive, useShared, useState, zoneName } from './lib.js';
import { Action, Ago, AgentPicker, Card, Empty, Facts, Field, Form, Live, Meter, Page, Phone, Status, Table, Tabs, Time } from './ui.js';
import { both, covers, Gates, PAGE, Pager, Warnings } from './rulefields.js';

const TABS = [{ id: 'number', text: 'A number', href: '#/numbers' }, { id: 'callers', text: 'Caller ids', href: '#/numbers/callers' }];

const Ask = () => html`<${Form} keep submit="Show" act=${(values) => go('numbers', values.number.trim())}>
  <${Field} label="Number" name="number" type="tel" required autocomplete="off" placeholder="+1 202 555 0143" /></${Form}>`;

function Callers() {
  const { agents } = useShared();
  const [page, setPage] = useState(1);
  const live = useLive((signal) => api('GET', '/phone-numbers/all', { signal, query: { page_number: page, page_size: PAGE } }), [page], 15000);
  return html`<${Page} title="Numbers"><${Tabs} of=${TABS} current="callers" label="Numbers" />
    <${Card} title="Caller ids" note="The numbers that your agents call from.">
      <${Live} of=${live}>${(rows) => html`<${Table} label="Caller ids" rows=${rows} rowKey=${(row) => row.id} empty="No agent has a caller id of its own." columns=${[
    { name: 'Number', of: (row) => html`<${Phone} number=${row.phone_number} />` },
    { name: 'Agent', of: (row) => { const agent = agents.find((one) => one.agent_id === row.agent_id); return html`<a href=${link('agents', row.agent_id)}>${agent ? agent.agent_name : row.agent_id}</a>`; } },
    { name: 'Carrier', of: (row) => row.telephony_provider }]} /><${Pager} page=${page} rows=${rows.length} onPage=${setPage} />`}</${Live}></${Card}></${Page}>`;
}

const MOST_CLOCKS = 3;
/** What time it is there: in each zone, or from the first to the last of many. */
function clocks(zones) {
  const shown = zones.length > MOST_CLOCKS ? [zones[0], zones.at(-1)] : zones;
  const text = shown.map((zone) => `${timeText(now(), zone)} ${zoneName(zone)}`).join(zones.length > MOST_CLOCKS ? ' to ' : ', ');
  return zones.length > MOST_CLOCKS ? `${text}; ${zones.length} zones` : text;
}

/** Zones from west to east, by their clocks now. */
const sorted = (zones) => [...zones].sort((one, other) => offset(one) - offset(other));
function offset(zone) {
  const [, sign, hours, minutes = 0] = new Intl.DateTimeFormat('en', { timeZone: zone, timeZoneName: 'longOffset' }).formatToParts(now()).find((part) => part.type === 'timeZoneName').value.match(/([+-])(\d+):?(\d+)?/) || [null, '+', 0, 0];
  return (sign === '-' ? -1 : 1) * (Number(hours) * 60 + Number(minutes));
}

function Verdict({ found, zones }) {
  const { is_dialled: isDialled, gates, earliest_at: earliest, warnings } = found.now;
  const last = gates.at(-1);
  const said = last.text.slice(1, -1);
  const [status, label] = isDialled ? ['allow', 'It would be dialled now'] : last.decision === 'end' ? ['blocked', 'It would not be called'] : ['defer', 'It would wait'];
  return html`<p class="verdict"><${Status} status=${status} label=${label} /> ${!isDialled && last.text} ${!isDialled && earliest && html`<strong>Until ${both(earliest, zones[0])}.</strong>`}</p>
    <${Warnings} of=${warnings.filter((one) => isDialled || !one.includes(said))} />`;
}

function Known({ found, number, refresh, agent }) {
  const { agents } = useShared();
  const nameOf = (id) => (agents.find((one) => one.agent_id === id) || { agent_name: id }).agent_name;
  const zones = sorted(found.time_zones);
  const zone = zones.length === 1 ? zones[0] : undefined;
  const remove = (kind, rule, title, text, yes) => html`<${Action} small danger scope="operate" onDone=${refresh} done="Done." confirm=${{ title, text, yes }}
    act=${() => api('DELETE', `/${kind}`, { query: { phone_number: number, agent_id: rule.agent_id, purpose: rule.purpose } })}>${yes}</${Action}>`;
  const erased = ({ state, erased: gone, kept }) => `${state === 'erasing' ? 'Not all yet, press again. ' : ''}Erased: ${plural(gone.executions, 'call')}, ${plural(gone.consents, 'consent')}, rows in ${plural(gone.files, 'batch', 'batches')}. Kept: ${plural(kept.suppressions, 'suppression')} as hashes.`;
  const limits = found.limits.map((one, index) => html`<div key=${index}><p><strong>${one.attempts} of ${one.allowed}</strong> <span class="muted">in ${one.limit.split('/')[1].replace('d', ' days').replace('h', ' h')}, by the ${one.owner}</span></p>
    <${Meter} label=${`Limit ${one.limit}`} total=${one.allowed} parts=${[{ label: 'Used', value: Math.min(one.attempts, one.allowed), tone: one.opens_at ? 'bad' : 'live' }]} />
    ${one.opens_at && html`<p class="hint">The next is allowed <${Time} at=${one.opens_at} zone=${zone} />, <${Ago} at=${one.opens_at} />.</p>`}</div>`);
  return html`<div class="plan turned"><div>
    <${Card} title="A call now" note=${agent ? html`By the rules of ${agent.agent_name}, its policy and the account.` : 'By what depends on the number alone: there is no agent yet.'}
      actions=${html`<${AgentPicker} /><a class="button" href=${`#/plan?number=${encodeURIComponent(number)}`}>Plan a call</a>`}>
      <${Verdict} found=${found} zones=${zones} /><${Gates} of=${found.now.gates} />
      ${!found.now.is_dialled && html`<p class="hint">Later gates were not asked.</p>`}</${Card}>
    <${Card} title="Suppressions">${found.suppressions.map((one) => html`<div key=${one.id} class="line"><p><strong>${covers(one, nameOf)}</strong>${one.reason && `: ${one.reason}`} <span class="muted">${one.source && `by ${one.source}, `}<${Time} at=${one.created_at} />${one.expires_at && html`, until <${Time} at=${one.expires_at} day />`}</span></p>
        ${remove('suppressions', one, 'Remove this suppression?', `${number} may be called again (${covers(one, nameOf).toLowerCase()}).`, 'Remove')}</div>`)}
      ${!found.suppressions.length && html`<p class="muted">It is not suppressed.</p>`}
      <${Form} scope="operate" submit="Suppress" onDone=${refresh} done=${(answer) => `Suppressed.${answer.canceled_executions.length ? ` ${plural(answer.canceled_executions.length, 'call')} ended.` : ''}`}
        act=${(values) => api('POST', '/suppressions', { body: { phone_number: number, reason: values.reason || undefined, source: 'console', agent_id: values.agent_id || undefined } })}>
        <div class="row"><${Field} label="Reason" name="reason" maxlength="200" placeholder="opted out" /><${Field} label="Calls of" name="agent_id" options=${[['', 'every agent'], ...agents.map((one) => [one.agent_id, one.agent_name])]} /></div></${Form}></${Card}>
    <${Card} title="Consents">${found.consents.map((one) => html`<div key=${one.id} class="line"><p><strong>${covers(one, nameOf)}</strong>${one.proof && `: ${one.proof}`} <span class="muted">given <${Time} at=${one.given_at} day />${one.expires_at && html`, until <${Time} at=${one.expires_at} day />`}</span></p>
        ${remove('consents', one, 'Withdraw this consent?', `Calls to ${number} that need it end at once.`, 'Withdraw')}</div>`)}
      ${!found.consents.length && html`<p class="muted">None is stored. <a href="#/rules/consents">Store one</a></p>`}</${Card}>
    <${Card} title="Erase this person" note="Every call to the number with its data, rows in batches’ files, and its consents. Suppressions stay, as hashes.">
      <div><${Action} danger scope="admin" onDone=${refresh} done=${erased} act=${() => api('DELETE', `/contacts/${encodeURIComponent(number)}`)}
        confirm=${{ title: `Erase ${number}?`, text: 'Calls that wait are stopped. This cannot be undone.', yes: 'Erase' }}>Erase</${Action}></div></${Card}>
  </div><div class="narrow">
    <${Card} title="Where and when"><${Facts} of=${[
    ['Countries', found.countries.join(', ') || 'none'], ['Time there', clocks(zones)],
    ['Last attempt', found.last_attempt_at ? html`<${Time} at=${found.last_attempt_at} zone=${zone} /> <${Ago} at=${found.last_attempt_at} />` : 'None in 31 days'], ['Last conversation', found.last_conversation_at && html`<${Time} at=${found.last_conversation_at} zone=${zone} /> <${Ago} at=${found.last_conversation_at} />`],
    ['Live call', found.live_execution_id && html`<a href=${link('executions', found.live_execution_id)}><${Status} status="in-progress" label="Show it" /></a>`]]} /></${Card}>
    <${Card} title="Contact limits">${found.limits.length ? limits : html`<p class="muted">No limits apply.</p>`}</${Card}>
  </div></div>`;
}

function OneNumber({ number }) {
  const { agent } = useShared();
  const live = useLive((signal) => api('GET', `/numbers/${encodeURIComponent(number)}`, { signal, query: { agent_id: agent && agent.agent_id } }), [number, agent && agent.agent_id], 5000);
  return html`<${Page} title=${number} back=${{ href: '#/numbers', text: 'Numbers' }} actions=${html`<a class="button" href=${`#/executions?number=${encodeURIComponent(number)}`}>Its calls</a>`}>
    <${Live} of=${live} lines=${10}>${(found) => html`<${Known} found=${found} number=${number} refresh=${live.refresh} agent=${agent} />`}</${Live}></${Page}>`;
}

export default function Numbers({ route }) {
  const [number] = route.parts;
  if (number === 'callers') return html`<${Callers} />`;
  if (number) return html`<${OneNumber} key=${number} number=${number} />`;
  return html`<${Page} title="Numbers"><${Tabs} of=${TABS} current="number" label="Numbers" />
    <div class="plan"><${Card} title="Look up a number"><${Ask} /></${Card}><${Card}><${Empty} title="What would happen to a number now?">Where it is and what time it is there, whether it may be called, how often it was called, and what each rule says.</${Empty}></${Card}></div></${Page}>`;
}
