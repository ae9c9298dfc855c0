// Plan: what would happen to a call if every attempt failed; then create exactly that call.

/** Date and minute of the day of a time in a zone. */
function clockOf(at, zone) {
  // Such as "2026-11-29 14:05:00".
  const [date, clock] = new Date(at).toLocaleString('sv', { timeZone: zone }).split(' ');
  return { date, minute: minuteOf(clock) };
}

/** By how many minutes `zone` is ahead of `other` at that time. */
function minutesAhead(at, zone, other) {
  const one = clockOf(at, zone), two = clockOf(at, other);
  return (ms(one.date) - ms(two.date)) / 60000 + one.minute - two.minute;
}

/** Zones from west to east: sorted by their local times, earliest first. */
const fromWest = (zones, at) => [...zones].sort((one, other) => minutesAhead(at, one, other));

/** The attempts by the called person's days: [{date, at, shift, marks}]. `shift`: by how many minutes the viewer is ahead. */
function daysOf(attempts, zone, viewer) {
  const days = [];
  for (const one of attempts) {
    const { earliest_at: at, latest_at: latest } = one;
    const { date, minute } = clockOf(at, zone);
    if (days.at(-1)?.date !== date) days.push({ date, at, shift: minutesAhead(at, viewer, zone), marks: [] });
    const { marks } = days.at(-1);
    const before = marks.at(-1);
    const spread = latest ? Math.min((ms(latest) - ms(at)) / 60000, 1440 - minute) : 0;
    marks.push({ ...one, minute, spread, level: before && minute - before.minute < 75 ? before.level + 1 : 0 });
  }
  return days;
}

/** One row for each day with an attempt, in the called person's time; below, the same hours in the viewer's time. */
function Days({ attempts, zone, viewer }) {
  const days = daysOf(attempts, zone, viewer);
  const text = attempts.map((one) => `attempt ${one.attempt}: ${inBothZones(one.earliest_at, zone)}`).join('; ');
  return html`<div class="days-line" role="img" aria-label=${`The attempts by day. ${text}`}>
    <span class="axis">${zoneName(zone)}</span><${Hours} />
    ${days.map(({ date, at, shift, marks }, place) => html`<span key=${date}>${timeText(at, zone, { day: true }).slice(0, -6)}</span>
      <div class="track" style=${{ height: `${2.1 + 1.5 * Math.max(...marks.map((one) => one.level))}rem` }}>
        ${marks.map(({ attempt, latest_at: latest, minute, spread, level }) => html`
          <i key=${-attempt} class="spread" style=${{ left: ofDay(minute), width: ofDay(spread), top: `${0.95 + 1.5 * level}rem` }}></i>
          <b key=${attempt} class=${latest ? '' : 'unsure'} style=${{ left: ofDay(minute), top: `${0.3 + 1.5 * level}rem` }}>${attempt}</b>`)}
      </div>
      ${viewer !== zone && days[place + 1]?.shift !== shift && html`<span class="axis">${zoneName(viewer)}</span><${Hours} shift=${shift} />`}`)}
  </div>`;
}

const MovedBy = ({ of: { gate, text, until }, zone }) => html`<p><${Status} status="defer" label=${words(gate)} /> ${text}
  ${until && html`<span class="muted">, until ${timeText(until, zone, { day: true })}</span>`}</p>`;

function Attempts({ attempts, zone, viewer }) {
  const clock = (at, one) => html`${timeText(at, one, { day: true })} <span class="zone">${zoneName(one)}</span>`;
  return html`<ol class="attempts">${attempts.map(({ attempt, earliest_at: at, latest_at: latest, moved_by: movedBy }) => html`<li key=${attempt}>
    <b class=${latest ? '' : 'unsure'} aria-hidden="true">${attempt}</b>
    <div><div class="clocks"><strong>${clock(at, zone)}</strong>
      ${viewer !== zone && html`<span>${clock(at, viewer)}</span>`}
      ${!latest ? html`<span class="muted">may not be dialled at all</span>`
    : latest !== at && html`<span class="muted">or up to ${duration((ms(latest) - ms(at)) / 1000)} later</span>`}</div>
    ${movedBy.length ? movedBy.map((one, place) => html`<${MovedBy} key=${place} of=${one} zone=${zone} />`)
    : html`<p><${Status} status="allow" label="Every gate allows it" /></p>`}</div>
  </li>`)}</ol>`;
}

/** A plan. `isCurrent`: it belongs to the fields' current values. */
function Planned({ plan, body, isCurrent }) {
  const { agentName, zone: choice } = useShared();
  const [chosen, choose] = useState('');
  // Pressing the button twice creates one call.
  const key = useMemo(() => crypto.randomUUID(), [JSON.stringify(body)]);
  const { attempts } = plan;
  const number = body.recipient_phone_number;
  const first = attempts[0]?.earliest_at, last = attempts.at(-1)?.earliest_at;
  const zones = fromWest(Object.keys(attempts[0]?.local_times || {}), first);
  const theirs = zones.includes(chosen) ? chosen : zones[0];
  const viewer = choice === 'utc' ? 'UTC' : HERE;
  const question = first && {
    title: `Call ${number}?`, yes: 'Call',
    text: `${agentName(body.agent_id)} calls ${number}, first ${inBothZones(first, theirs)}, at most ${plural(plan.worst_case_calls, 'time')}.`,
  };
  const call = html`<${Action} primary scope="call" disabled=${!isCurrent || !first} done="Call created." confirm=${question}
    act=${() => api('POST', '/call', { body, headers: { 'Idempotency-Key': key } })}
    onDone=${(answer) => go('executions', answer.execution_id)}>Call now</${Action}>`;
  const warnings = html`<${Warnings} of=${plan.warnings} />`;
  if (!first) return html`<${Card} title="No call would be dialled" actions=${call}><p>${plan.ends_because}</p>${warnings}</${Card}>`;
  const viewersClock = viewer === theirs ? '' : `; ${timeText(first, viewer)} ${zoneName(viewer)}`;
  return html`<${Card} title="If every attempt fails" note=${`It ends after attempt ${attempts.at(-1).attempt}: ${plan.ends_because}.`} actions=${call}>
    <${Figures} of=${[
    { label: 'First attempt', value: timeText(first, theirs), note: zoneName(theirs) + viewersClock },
    { label: 'Calls at most', value: plan.worst_case_calls },
    { label: 'From first to last', value: attempts.length > 1 ? duration((ms(last) - ms(first)) / 1000) : '–' },
  ]} />
    ${warnings}
    ${zones.length > 1 && html`<div class="row"><${Field} label="Their zone" value=${theirs} onValue=${choose}
      options=${zones.map((one) => [one, `${zoneName(one)} ${timeText(first, one, { day: false })}`])}
      hint=${`The number may be in ${zones.length} zones.`} /></div>`}
    <${Days} attempts=${attempts} zone=${theirs} viewer=${viewer} />
    <p class="hint">Shaded: before 9:00 and after 20:00 in ${zoneName(theirs)}.</p>
    <${Attempts} attempts=${attempts} zone=${theirs} viewer=${viewer} />
    <p class="hint">${plan.assumed.text} <a href=${link('numbers', number)}>See what each gate decides about this number now</a></p>
  </${Card}>`;
}

function PlanFields({ values, set }) {
  const { agentOptions, agent, setAgent } = useShared();
  const input = (name) => ({ value: values[name], onValue: (value) => set({ [name]: value }) });
  return html`<${Card}><form class="form" onSubmit=${(event) => event.preventDefault()}>
    <${NumberToCall} ...${input('number')} />
    <${Field} label="Agent" value=${agent.agent_id} onValue=${setAgent} options=${agentOptions} />
    <${PolicyField} none="The agent’s, else the account’s" ...${input('policy')} />
    <${RetryFields} ...${input('retry')} unset="As in the policy, else never" />
    <details><summary>Time, zone, purpose</summary>
      <${Field} label="Not before" type="datetime-local" ...${input('at')} hint=${`Your time, ${zoneName(HERE)}. Empty: now.`} />
      <${Field} label="Their time zone" placeholder="by the number" ...${input('time_zone')} hint="Such as America/New_York." />
      <${Field} label="Purpose" ...${input('purpose')} />
      <${Field} label="Skip calling hours" type="checkbox" checked=${values.bypass} onValue=${(bypass) => set({ bypass })} />
    </details>
  </form></${Card}>`;
}

/** The body of a request; empty while the number is too short. */
function planBody(agent, { number, policy, retry, at, time_zone: zone, purpose, bypass }) {
  if (!agent || number.replaceAll(/\D/g, '').length < 7) return '';
  return JSON.stringify({
    agent_id: agent.agent_id,
    recipient_phone_number: number.trim(),
    policy: policy || undefined,
    retry_config: retry || undefined,
    scheduled_at: instantOf(at),
    time_zone: zone.trim() || undefined,
    purpose: purpose.trim() || undefined,
    bypass_call_guardrails: bypass || undefined,
  });
}

function Plan({ route: { query } }) {
  const { agent } = useShared();
  const [values, setValues] = useState({ number: query.number || '', policy: query.policy || '', at: '', time_zone: '', purpose: '', bypass: false, retry: null });
  const set = (changes) => setValues((before) => ({ ...before, ...changes }));
  const wanted = planBody(agent, values);
  const asked = useSettled(wanted);
  const load = async (signal) => {
    const body = JSON.parse(asked);
    return { plan: await api('POST', '/call/plan', { body, signal }), body, of: asked };
  };
  const live = useLive(asked && load, [asked], 10000);
  // Shown while another plan loads.
  const last = useRef();
  if (live.data) last.current = live.data;
  const shown = live.data || (live.error || !asked ? null : last.current);
  if (!agent) return html`<${Page} title="Plan"><${NoAgent} /></${Page}>`;
  return html`<${Page} title="Plan a call">
    <p class="muted">See what would happen to a call before you create it. The plan updates as you type; nothing is stored or dialled.</p>
    <div class="plan">
      <${PlanFields} values=${values} set=${set} />
      <div class=${shown && wanted !== shown.of ? 'old' : ''} aria-busy=${live.loading}>
        <${Failure} error=${live.error} retry=${live.refresh} />
        ${shown ? html`<${Planned} key="plan" ...${shown} isCurrent=${wanted === shown.of} />`
    : asked && live.loading ? html`<${Card}><${Loading} lines=${8} /></${Card}>`
      : !live.error && html`<${Card}><${Empty} title="Type a number">You will see when each attempt would be made, in their time and in yours,
          and which rules delay it.</${Empty}></${Card}>`}
      </div>
    </div>
  </${Page}>`;
}
