// Plan: what a call comes to if every attempt fails, before it is made; then make just that call.
import { api, duration, go, html, link, plural, timeText, useLive, useMemo, useShared, useState, words, zoneName, HERE } from './lib.js';
import { Action, Card, Empty, Failure, Field, Figures, Loading, Page, Status } from './ui.js';
import { both, Hours, RetryFields, useLast, useSettled, Warnings } from './rulefields.js';

/** Date and minute of the day of a time in a zone. */
function clock(at, zone) {
  const parts = Object.fromEntries(new Intl.DateTimeFormat('en-CA', { timeZone: zone, year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit', hourCycle: 'h23' })
    .formatToParts(new Date(at)).map((part) => [part.type, part.value]));
  return { date: `${parts.year}-${parts.month}-${parts.day}`, minute: Number(parts.hour) * 60 + Number(parts.minute) };
}

/** How many minutes `zone` is ahead of `other` at that time. */
function ahead(at, zone, other) {
  const one = clock(at, zone), two = clock(at, other);
  return (Date.parse(one.date) - Date.parse(two.date)) / 60000 + one.minute - two.minute;
}

/** One row for each day of the called person on which an attempt comes; below, the same hours by the viewer's clock. */
function Days({ attempts, zone, viewer }) {
  const rows = [];
  for (const one of attempts) {
    const { date, minute } = clock(one.earliest_at, zone);
    let row = rows.at(-1);
    if (!row || row.date !== date) rows.push(row = { date, marks: [], shift: ahead(one.earliest_at, viewer, zone), at: one.earliest_at });
    const before = row.marks.at(-1);
    const spread = one.latest_at ? (new Date(one.latest_at) - new Date(one.earliest_at)) / 60000 : 0;
    row.marks.push({ ...one, minute, spread: Math.min(spread, 1440 - minute), level: before && minute - before.minute < 75 ? before.level + 1 : 0 });
  }
  const told = attempts.map((one) => `attempt ${one.attempt}: ${both(one.earliest_at, zone)}`).join('; ');
  return html`<div class="days-line" role="img" aria-label=${`The attempts by day. ${told}`}>
    <span class="axis">${zoneName(zone)}</span><${Hours} />
    ${rows.map((row, index) => html`<span key=${row.date}>${timeText(row.at, zone, { day: true }).replace(/ \d\d:\d\d$/, '')}</span>
      <div class="track" style=${{ height: `${2.1 + 1.5 * Math.max(...row.marks.map((one) => one.level))}rem` }}>
        ${row.marks.map((one) => html`<i key=${`s${one.attempt}`} class="spread" style=${{ left: `${one.minute / 14.4}%`, width: `${one.spread / 14.4}%`, top: `${0.95 + 1.5 * one.level}rem` }}></i>
          <b key=${one.attempt} class=${one.latest_at ? '' : 'unsure'} style=${{ left: `${one.minute / 14.4}%`, top: `${0.3 + 1.5 * one.level}rem` }}>${one.attempt}</b>`)}
      </div>
      ${viewer !== zone && (index === rows.length - 1 || rows[index + 1].shift !== row.shift) && html`<span class="axis">${zoneName(viewer)}</span><${Hours} shift=${row.shift} />`}`)}
  </div>`;
}

function Attempts({ attempts, zone, viewer }) {
  return html`<ol class="attempts">${attempts.map((one) => html`<li key=${one.attempt}>
    <b class=${one.latest_at ? '' : 'unsure'} aria-hidden="true">${one.attempt}</b>
    <div><div class="clocks"><span><strong>${timeText(one.earliest_at, zone, { day: true })}</strong> <span class="zone">${zoneName(zone)}</span></span>
      ${viewer !== zone && html`<span>${timeText(one.earliest_at, viewer, { day: true })} <span class="zone">${zoneName(viewer)}</span></span>`}
      ${one.latest_at && one.latest_at !== one.earliest_at && html`<span class="muted">or up to ${duration((new Date(one.latest_at) - new Date(one.earliest_at)) / 1000)} later</span>`}
      ${!one.latest_at && html`<span class="muted">may not be dialled at all</span>`}</div>
    ${one.moved_by.length ? one.moved_by.map((gate, index) => html`<p key=${index}><${Status} status="defer" label=${words(gate.gate)} /> ${gate.text}${gate.until && html`<span class="muted">, until ${timeText(gate.until, zone, { day: true })}</span>`}</p>`)
      : html`<p><${Status} status="allow" label="Every gate allows it" /></p>`}</div>
  </li>`)}</ol>`;
}

/** `isCurrent`: the plan is of what the fields say now. */
function Planned({ plan, body, agent, isCurrent }) {
  const { zone: choice } = useShared();
  const [chosen, choose] = useState('');
  const key = useMemo(() => crypto.randomUUID(), [JSON.stringify(body)]); // pressed twice, it is one call
  const { attempts } = plan;
  const number = body.recipient_phone_number;
  const place = html`<${Action} primary scope="call" disabled=${!isCurrent || !attempts.length} done="The call is made." act=${() => api('POST', '/call', { body, headers: { 'Idempotency-Key': key } })}
    onDone=${(answer) => go('executions', answer.execution_id)} confirm=${{ title: `Call ${number}?`, yes: 'Call', text: attempts.length ? `${agent.agent_name} calls ${number}, first ${both(attempts[0].earliest_at, Object.keys(attempts[0].local_times)[0])}, at most ${plural(plan.worst_case_calls, 'time')}.` : '' }}>Call now</${Action}>`;
  const warnings = html`<${Warnings} of=${plan.warnings} />`;
  if (!attempts.length) return html`<${Card} title="No call would be dialled" actions=${place}><p>${plan.ends_because}</p>${warnings}</${Card}>`;
  const zones = Object.keys(attempts[0].local_times).sort((one, other) => ahead(attempts[0].earliest_at, one, other));
  const theirs = zones.includes(chosen) ? chosen : zones[0];
  const viewer = choice === 'utc' ? 'UTC' : HERE;
  const first = attempts[0].earliest_at, last = attempts.at(-1).earliest_at;
  return html`<${Card} title="If every attempt fails" note=${`It ends after attempt ${attempts.at(-1).attempt}: ${plan.ends_because}.`} actions=${place}>
    <${Figures} of=${[
    { label: 'First attempt', value: timeText(first, theirs), note: `${zoneName(theirs)}${viewer === theirs ? '' : `; ${timeText(first, viewer)} ${zoneName(viewer)}`}` },
    { label: 'Calls at most', value: plan.worst_case_calls },
    { label: 'From first to last', value: attempts.length > 1 ? duration((new Date(last) - new Date(first)) / 1000) : '–' },
  ]} />
    ${warnings}
    ${zones.length > 1 && html`<div class="row"><${Field} label="Their zone" value=${theirs} onChange=${(event) => choose(event.currentTarget.value)} options=${zones.map((one) => [one, `${zoneName(one)} ${timeText(first, one, { day: false })}`])}
      hint=${`The number tells no place: it may be in ${zones.length} zones.`} /></div>`}
    <${Days} attempts=${attempts} zone=${theirs} viewer=${viewer} />
    <p class="hint">Shaded: before 9:00 and after 20:00 in ${zoneName(theirs)}.</p>
    <${Attempts} attempts=${attempts} zone=${theirs} viewer=${viewer} />
    <p class="hint">${plan.assumed.text} <a href=${link('numbers', number)}>What every gate decides about this number now</a></p>
  </${Card}>`;
}

export default function Plan({ route }) {
  const { agents, agent, setAgent } = useShared();
  const [values, setValues] = useState({ number: route.query.number || '', policy: route.query.policy || '', at: '', time_zone: '', purpose: '', bypass: false, retry: null });
  const set = (changes) => setValues((before) => ({ ...before, ...changes }));
  const input = (name) => ({ value: values[name], onInput: (event) => set({ [name]: event.currentTarget.value }) });
  const policies = useLive(() => api('GET', '/policies'), [], 0);
  const wanted = agent && values.number.replaceAll(/\D/g, '').length >= 7 ? JSON.stringify({
    agent_id: agent.agent_id, recipient_phone_number: values.number.trim(), policy: values.policy || undefined, retry_config: values.retry || undefined,
    scheduled_at: values.at ? new Date(values.at).toISOString() : undefined, time_zone: values.time_zone.trim() || undefined, purpose: values.purpose.trim() || undefined, bypass_call_guardrails: values.bypass || undefined,
  }) : '';
  const asked = useSettled(wanted);
  const live = useLive(asked && ((signal) => api('POST', '/call/plan', { body: JSON.parse(asked), signal }).then((plan) => ({ plan, body: JSON.parse(asked), of: asked }))), [asked], 10000);
  const last = useLast(live.data);
  const shown = live.data || (live.error || !asked ? null : last);
  if (!agents.length) return html`<${Page} title="Plan"><${Empty} title="There is no agent yet."><a href="#/agents/new">Make one</a></${Empty}></${Page}>`;
  const choices = (policies.data || []).map((one) => [one.policy, one.policy]);
  return html`<${Page} title="Plan a call">
    <p class="muted">What a call would come to, before it is made. The plan follows as you type; nothing is stored or dialled.</p>
    <div class="plan">
      <${Card}><form class="form" onSubmit=${(event) => event.preventDefault()}>
        <${Field} label="Number" type="tel" placeholder="+1 202 555 0143" autocomplete="off" ...${input('number')} />
        <${Field} label="Agent" value=${agent.agent_id} onChange=${(event) => setAgent(event.currentTarget.value)} options=${agents.map((one) => [one.agent_id, one.agent_name])} />
        <${Field} label="Policy" value=${values.policy} onChange=${(event) => set({ policy: event.currentTarget.value })} options=${[['', 'The agent’s, else the account’s'], ...choices]} />
        <${RetryFields} value=${values.retry} onChange=${(retry) => set({ retry })} unset="As the policy says, else never" />
        <details><summary>Time, zone, purpose</summary>
          <${Field} label="Not before" type="datetime-local" ...${input('at')} hint=${`Your time, ${zoneName(HERE)}. Empty: now.`} />
          <${Field} label="Their time zone" placeholder="by the number" ...${input('time_zone')} hint="Such as America/New_York." />
          <${Field} label="Purpose" ...${input('purpose')} />
          <${Field} label="Skip calling hours" type="checkbox" checked=${values.bypass} onChange=${(event) => set({ bypass: event.currentTarget.checked })} />
        </details>
        <${Failure} error=${policies.error} />
      </form></${Card}>
      <div class=${shown && (wanted !== shown.of) ? 'old' : ''} aria-busy=${live.loading}>
        <${Failure} error=${live.error} retry=${live.refresh} />
        ${shown ? html`<${Planned} key="plan" ...${shown} agent=${agents.find((one) => one.agent_id === shown.body.agent_id) || agent} isCurrent=${wanted === shown.of} />`
    : asked && live.loading ? html`<${Card}><${Loading} lines=${8} /></${Card}>`
      : !live.error && html`<${Card}><${Empty} title="Type a number">You will see when each attempt comes, by their clock and by yours, and which rule lets it wait.</${Empty}></${Card}>`}
      </div>
    </div>
  </${Page}>`;
}
