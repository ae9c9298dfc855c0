// Numbers: what is known about a number and whether it could be called now; and the numbers that agents call from.

const NUMBER_TABS = [['number', 'A number', '#/numbers'], ['callers', 'Caller ids', '#/numbers/callers']];

const CALLER_COLUMNS = [
  { name: 'Number', of: (row) => html`<${Phone} number=${row.phone_number} />` },
  { name: 'Agent', of: (row) => html`<${AgentLink} id=${row.agent_id} />` },
  { name: 'Carrier', of: (row) => row.telephony_provider },
];

function Callers() {
  const live = usePages('/phone-numbers/all', { every: 15000 });
  return html`<${Page} title="Numbers" tabs=${NUMBER_TABS} tab="callers"><${Card} title="Caller ids" note="The numbers that your agents call from.">
    <${PagedTable} of=${live} label="Caller ids" empty="No agent has its own caller ids." columns=${CALLER_COLUMNS} /></${Card}></${Page}>`;
}

const MOST_CLOCKS = 3;

/** The local time in each zone, or from the first to the last of many. */
function clocksText(zones) {
  const isLong = zones.length > MOST_CLOCKS;
  const text = (isLong ? [zones[0], zones.at(-1)] : zones).map((zone) => `${timeText(now(), zone)} ${zoneName(zone)}`);
  return isLong ? `${text.join(' to ')}; ${zones.length} zones` : text.join(', ');
}

function Verdict({ state: { is_dialled: isDialled, gates, earliest_at: earliest, warnings }, zone }) {
  const last = gates.at(-1);
  const said = last.text.slice(1, -1);
  const [status, label] = isDialled ? ['allow', 'It would be dialled now']
    : last.decision === 'end' ? ['blocked', 'It would not be called'] : ['defer', 'It would wait'];
  return html`<p class="verdict"><${Status} status=${status} label=${label} /> ${!isDialled && last.text}${' '}
    ${!isDialled && earliest && html`<strong>Until ${inBothZones(earliest, zone)}.</strong>`}</p>
    <${Warnings} of=${warnings.filter((one) => isDialled || !one.includes(said))} />`;
}

/** A suppression or consent, with the button that removes it. `about`: its kind; see NUMBER_RULES. */
function NumberRule({ of: rule, about, number, refresh, children }) {
  const { agentName } = useShared();
  const reason = rule.reason || rule.proof;
  return html`<div class="line"><p><strong>${covers(rule, agentName)}</strong>${reason && `: ${reason}`}${' '}
      <span class="muted">${children}${rule.expires_at && html`, until <${Time} at=${rule.expires_at} day />`}</span></p>
    <${RemoveRule} rule=${rule} about=${about} number=${number} refresh=${refresh} /></div>`;
}

function Suppressions({ found, number, refresh }) {
  const { agentOptions } = useShared();
  const suppress = ({ reason, agent_id: agent }) => api('POST', '/suppressions', {
    body: { phone_number: number, reason: reason || undefined, source: 'console', agent_id: agent || undefined },
  });
  return html`<${Card} title="Suppressions">
    ${found.map((one) => html`<${NumberRule} key=${one.id} of=${one} about=${NUMBER_RULES.suppressions} number=${number} refresh=${refresh}>
      ${one.source && `by ${one.source}, `}<${Time} at=${one.created_at} /></${NumberRule}>`)}
    ${!found.length && html`<p class="muted">It is not suppressed.</p>`}
    <${Form} scope="operate" submit="Suppress" onDone=${refresh} act=${suppress} done=${(answer) => `Suppressed.${endedText(answer.canceled_executions)}`}>
      <div class="row"><${Field} label="Reason" name="reason" maxlength="200" placeholder="opted out" />
        <${Field} label="Calls of" name="agent_id" options=${[['', 'every agent'], ...agentOptions]} /></div></${Form}></${Card}>`;
}

const Consents = ({ found, number, refresh }) => html`<${Card} title="Consents">
  ${found.map((one) => html`<${NumberRule} key=${one.id} of=${one} about=${NUMBER_RULES.consents} number=${number} refresh=${refresh}>
    given <${Time} at=${one.given_at} day /></${NumberRule}>`)}
  ${!found.length && html`<p class="muted">None is stored. <a href="#/rules/consents">Store one</a></p>`}</${Card}>`;

function Erase({ number, refresh }) {
  const erased = ({ state, erased: gone, kept }) => [
    state === 'erasing' && 'Not everything was erased yet: press again.',
    `Erased: ${plural(gone.executions, 'call')}, ${plural(gone.consents, 'consent')}, rows in ${plural(gone.files, 'batch', 'batches')}.`,
    `Kept: ${plural(kept.suppressions, 'suppression')} as hashes.`,
  ].filter(Boolean).join(' ');
  return html`<${Card} title="Erase this person"
      note="Erases every call to the number with its data, its rows in batches’ files, and its consents. Suppressions are kept as hashes.">
    <div><${Action} danger scope="admin" onDone=${refresh} done=${erased} act=${() => api('DELETE', `/contacts/${encodeURIComponent(number)}`)}
      confirm=${{ title: `Erase ${number}?`, text: 'Waiting calls are stopped. This cannot be undone.', yes: 'Erase' }}>Erase</${Action}></div></${Card}>`;
}

function Limit({ of: { limit, attempts, allowed, owner, opens_at: opens }, zone }) {
  const period = limit.split('/')[1].replace('d', ' days').replace('h', ' h');
  return html`<div><p><strong>${attempts} of ${allowed}</strong> <span class="muted">in ${period}, by the ${owner}</span></p>
    <${Meter} label=${`Limit ${limit}`} total=${allowed} parts=${[{ label: 'Used', value: Math.min(attempts, allowed), tone: opens ? 'bad' : 'live' }]} />
    ${opens && html`<p class="hint">The next attempt is allowed <${Time} at=${opens} zone=${zone} />, <${Ago} at=${opens} />.</p>`}</div>`;
}

function Known({ found, number, refresh, agent }) {
  const zones = fromWest(found.time_zones, now());
  const zone = zones.length === 1 ? zones[0] : undefined;
  const rest = { number, refresh };
  const ago = (at) => at && html`<${Time} at=${at} zone=${zone} /> <${Ago} at=${at} />`;
  return html`<div class="plan turned"><div>
    <${Card} title="A call now" note=${agent ? `By the rules of ${agent.agent_name}, its policy and the account.` : 'Only rules that depend on the number alone: there is no agent yet.'}
      actions=${html`<${AgentPicker} /><a class="button" href=${withQuery('#/plan', { number })}>Plan a call</a>`}>
      <${Verdict} state=${found.now} zone=${zones[0]} /><${Gates} of=${found.now.gates} />
      ${!found.now.is_dialled && html`<p class="hint">Later gates were not asked.</p>`}</${Card}>
    <${Suppressions} found=${found.suppressions} ...${rest} />
    <${Consents} found=${found.consents} ...${rest} />
    <${Erase} ...${rest} />
  </div><div class="narrow">
    <${Card} title="Where and when"><${Facts} of=${[
    ['Countries', found.countries.join(', ') || 'none'],
    ['Time there', clocksText(zones)],
    ['Last attempt', ago(found.last_attempt_at) || 'None in 31 days'],
    ['Last conversation', ago(found.last_conversation_at)],
    ['Live call', found.live_execution_id && html`
      <a href=${link('executions', found.live_execution_id)}><${Status} status="in-progress" label="Show it" /></a>`],
  ]} /></${Card}>
    <${Card} title="Contact limits">${found.limits.map((one, place) => html`<${Limit} key=${place} of=${one} zone=${zone} />`)}
      ${!found.limits.length && html`<p class="muted">No limits apply.</p>`}</${Card}>
  </div></div>`;
}

function OneNumber({ number }) {
  const { agent } = useShared();
  const live = useGet(`/numbers/${encodeURIComponent(number)}`, { query: { agent_id: agent?.agent_id }, every: 5000 });
  return html`<${Page} title=${number} back=${{ href: '#/numbers', text: 'Numbers' }} 
      actions=${html`<a class="button" href=${withQuery('#/executions', { number })}>Its calls</a>`}>
    <${Live} of=${live} lines=${10}>${(found) => html`<${Known} found=${found} number=${number} refresh=${live.refresh} agent=${agent} />`}</${Live}></${Page}>`;
}

function Numbers({ route: { parts: [number] } }) {
  if (number === 'callers') return html`<${Callers} />`;
  if (number) return html`<${OneNumber} key=${number} number=${number} />`;
  return html`<${Page} title="Numbers" tabs=${NUMBER_TABS} tab="number"><div class="plan">
    <${Card} title="Look up a number"><${Form} keep submit="Show" act=${(values) => go('numbers', values.number.trim())}>
      <${NumberToCall} name="number" required /></${Form}></${Card}>
    <${Card}><${Empty} title="Could a number be called now?">See where it is and what time it is there, whether it may be called,
      how often it was called, and what each rule decides.</${Empty}></${Card}></div></${Page}>`;
}
