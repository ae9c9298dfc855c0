// Calling rules as text, as a picture of the week, and as fields. Values have the API's format; null: no such rule.

const DAYS = Object.keys(WEEKDAYS);
const RETRIED = [['no-answer', 'No answer'], ['busy', 'Busy'], ['failed', 'Failed'], ['error', 'Error']];
const USUAL_RETRIES = { max_retries: 3, retry_intervals_minutes: [30, 60, 120], retry_on_statuses: ['no-answer', 'busy', 'failed'] };
const USUAL_SPREAD_MINUTES = 15;

// ---- text ----

const minuteOf = (text) => { const [hours, minutes] = text.split(':').map(Number); return hours * 60 + minutes; };

/** The windows of `calling_guardrails`; hours become windows on every day. Null: calls may start at any time. */
function windowsOf(rule) {
  if (!rule) return null;
  if (rule.windows) return rule.windows;
  if (typeof rule.call_start_hour !== 'number') return null;
  return [{ start: `${two(rule.call_start_hour)}:00`, end: `${two(rule.call_end_hour)}:00` }];
}

function daysText(days = DAYS) {
  if (days.length === 7) return 'every day';
  const places = days.map((day) => DAYS.indexOf(day)).sort((one, other) => one - other);
  const names = places.map((place) => WEEKDAYS[DAYS[place]]);
  const isRow = places.length > 2 && places.at(-1) - places[0] === places.length - 1;
  return isRow ? `${names[0]}–${names.at(-1)}` : names.join(', ');
}

/** "Mon–Fri 09:00–18:00; Sat 10:00–13:00; not on holidays of FR". */
function hoursText(rule) {
  const windows = windowsOf(rule);
  const { holidays, excluded_dates: dates, placement, spread_minutes: spread, attempts_per_window: most } = rule || {};
  return sentence([
    ...(windows ? windows.map((one) => `${daysText(one.days || DAYS)} ${one.start}–${one.end}`) : ['any time']),
    holidays?.length && `not on holidays of ${holidays.join(', ')}`,
    dates?.length && `not on ${plural(dates.length, 'excluded date')}`,
    placement === 'spread' && `spread over the first ${spread || USUAL_SPREAD_MINUTES} min`,
    placement === 'rotate' && 'retries at other hours',
    most && `at most ${most} in a window`,
  ].filter(Boolean).join('; '));
}

const span = (minutes) => duration(minutes * 60);

function limitsText(limits) {
  if (!limits) return null;
  const said = (limits.caps || []).map((one) => `${one.attempts} in ${span(one.hours * 60)}`);
  const pause = limits.pause_after_conversation_hours;
  if (pause) said.push(`${span(pause * 60)} pause after a conversation`);
  return said.length ? `${said.join('; ')}; then ${limits.at_cap === 'end' ? 'the call ends' : 'it waits'}` : null;
}

function retryText(retry) {
  if (!retry) return null;
  if (!retry.enabled) return 'None';
  const { max_retries: most, retry_intervals_minutes: waits, retry_on_statuses: statuses, retry_on_voicemail: voicemail } = { ...USUAL_RETRIES, ...retry };
  return `${plural(most, 'retry', 'retries')} after ${waits.map(span).join(', ')}; on ${statuses.join(', ')}${voicemail ? ', voicemail' : ''}`;
}

const consentText = (required) => (required === true ? 'Of every number' : required?.length ? `In ${required.join(', ')}` : 'Not required');

/** The scope of a suppression or consent as text. */
const covers = (rule, agentName) => [rule.agent_id ? `Calls of ${agentName(rule.agent_id)}` : 'Every call', rule.purpose && `for ${rule.purpose}`]
  .filter(Boolean).join(' ');

const endedText = (executions = []) => (executions.length ? ` ${plural(executions.length, 'call')} ended.` : '');

// ---- the week, as a picture ----

/** A minute of the day, or a number of minutes, as a part of the day's width. */
const ofDay = (minute) => `${minute / 14.4}%`;

/** Bars for each day of the week: when calls may start, in the called person's local time. */
function Week({ rule }) {
  const bars = DAYS.map(() => []);
  for (const one of windowsOf(rule) || []) {
    const start = minuteOf(one.start), end = minuteOf(one.end);
    for (const day of one.days || DAYS) {
      const place = DAYS.indexOf(day);
      bars[place].push([start, end > start ? end : 1440]);
      if (end && end <= start) bars[(place + 1) % 7].push([0, end]);
    }
  }
  return html`<div class="week" role="img" aria-label=${`Calls may start: ${hoursText(rule)}`}>
    ${DAYS.map((day, place) => html`<span key=${day}>${WEEKDAYS[day]}</span>
      <div class="track">${bars[place].map(([start, end], index) => html`
        <i key=${index} style=${{ left: ofDay(start), width: ofDay(end - start) }}></i>`)}</div>`)}
    <span></span><${Hours} />
  </div>`;
}

/** The hours of a day below a track. `shift`: by how many minutes this clock is ahead of the track's. */
const Hours = ({ shift = 0 }) => html`<div class="hours" aria-hidden="true">${[0, 3, 6, 9, 12, 15, 18, 21].map((hour) => html`
  <span key=${hour} class=${hour % 2 ? 'odd' : ''} style=${{ left: ofDay((hour * 60 - shift + 2880) % 1440) }}>${hour}</span>`)}</div>`;

// ---- fields: value and onValue(value) ----

const listOf = (text) => text.split(/[\s,;]+/).filter(Boolean);
const numberOf = (text) => (text === '' ? '' : Number(text));

/** An optional number. */
const NumberField = ({ value, onValue, ...rest }) => html`<${Field} type="number" value=${value ?? ''} onValue=${(text) => onValue(numberOf(text))} ...${rest} />`;

/** A list as text. The text is not rewritten during typing. */
const ListField = ({ value, onValue, ...rest }) => html`<${Field} defaultValue=${(value || []).join(', ')} onValue=${(text) => onValue(listOf(text))} ...${rest} />`;

/** Rows of fields that can be added and removed: `row(one, change, index)` shows one. `what`: the name of a row. */
function Rows({ of, onValue, what, made, least = 0, most = Infinity, row }) {
  const change = (index) => (changes) => onValue(of.map((one, place) => (place === index ? { ...one, ...changes } : one)));
  return html`${of.map((one, index) => html`<div key=${index} class="window">${row(one, change(index), index + 1)}
      ${of.length > least && html`<button type="button" class="small" aria-label=${`Remove ${what} ${index + 1}`}
        onClick=${() => onValue(of.filter((_, place) => place !== index))}>Remove</button>`}</div>`)}
    ${of.length < most && html`<div><button type="button" class="small" onClick=${() => onValue([...of, made])}>Add a ${what}</button></div>`}`;
}

/** The weekdays of a window as switches. */
const DaySwitches = ({ days = DAYS, label, onValue }) => html`<span class="days" role="group" aria-label=${label}>${DAYS.map((day) => html`
  <label key=${day} class=${days.includes(day) ? 'on' : ''}><input type="checkbox" checked=${days.includes(day)}
    onChange=${({ currentTarget: input }) => onValue(DAYS.filter((one) => (one === day ? input.checked : days.includes(one))))} />${WEEKDAYS[day]}</label>`)}</span>`;

/** An input within a sentence, without a visible label. */
const Blank = ({ label, onValue, ...rest }) => html`<input required aria-label=${label} onInput=${(event) => onValue(event.currentTarget.value)} ...${rest} />`;

/** Fields for `calling_guardrails`. */
function HoursFields({ value, onValue }) {
  const rule = value || {};
  const kind = rule.windows ? 'windows' : (rule.call_start_hour ?? null) === null ? 'any' : 'hours';
  const set = (changes) => onValue({ ...rule, ...changes });
  const turn = (next) => set({
    windows: next === 'windows' ? windowsOf(rule) || [{ days: DAYS.slice(0, 5), start: '09:00', end: '18:00' }] : null,
    call_start_hour: next === 'hours' ? 9 : null,
    call_end_hour: next === 'hours' ? 18 : null,
  });
  const input = (name) => ({ value: rule[name], onValue: (chosen) => set({ [name]: chosen }) });
  return html`<fieldset class="rules"><legend>Calling hours</legend>
    <${Field} label="Calls may start" value=${kind} onValue=${turn} hint="In the called person’s local time."
      options=${[['any', 'At any time'], ['hours', 'At the same hours every day'], ['windows', 'In windows by weekday']]} />
    ${kind === 'hours' && html`<div class="row">
      <${NumberField} label="From hour" min="0" max="23" required ...${input('call_start_hour')} />
      <${NumberField} label="To hour" min="0" max="23" required ...${input('call_end_hour')} /></div>`}
    ${kind === 'windows' && html`<${Rows} of=${rule.windows} least=${1} what="window" made=${{ days: ['sat'], start: '10:00', end: '13:00' }}
      onValue=${(windows) => set({ windows })} row=${({ days, start, end }, change, number) => html`
        <${DaySwitches} days=${days || DAYS} label=${`Days of window ${number}`} onValue=${(chosen) => change({ days: chosen })} />
        <${Blank} type="time" label=${`Start of window ${number}`} value=${start} onValue=${(text) => change({ start: text })} /> –
        <${Blank} type="time" label=${`End of window ${number}`} value=${end.replace('24:', '00:')} onValue=${(text) => change({ end: text })} />`} />`}
    ${kind !== 'any' && html`<${Week} rule=${rule} />`}
    <details><summary>Holidays, dates, placement</summary><div class="row">
      <${ListField} label="No calls on holidays of" placeholder="US-CA, FR" ...${input('holidays')} />
      <${ListField} label="No calls on dates" placeholder="2026-12-24, 2026-12-31" ...${input('excluded_dates')} />
      <${Field} label="When they open, place calls" ...${input('placement')} value=${rule.placement || 'start'}
        options=${[['start', 'All at once'], ['spread', 'Spread over some minutes'], ['rotate', 'Retries at another hour']]} />
      ${rule.placement === 'spread' && html`<${NumberField} label="Minutes to spread over" min="1" max="120"
        placeholder=${USUAL_SPREAD_MINUTES} ...${input('spread_minutes')} />`}
      <${NumberField} label="Attempts in a window" min="1" max="4" placeholder="any" ...${input('attempts_per_window')} />
    </div></details>
  </fieldset>`;
}

/** Fields for `retry_config`. `unset`: describes the case without one. */
function RetryFields({ value, onValue, unset }) {
  const retry = { ...USUAL_RETRIES, ...value };
  const kind = !value ? 'unset' : value.enabled ? 'own' : 'none';
  const set = (changes) => onValue({ ...retry, ...changes });
  const turn = (next) => onValue({ unset: null, none: { enabled: false }, own: { ...USUAL_RETRIES, enabled: true, retry_on_voicemail: false } }[next]);
  const again = (status) => (checked) => set({
    retry_on_statuses: RETRIED.map(([one]) => one).filter((one) => (one === status ? checked : retry.retry_on_statuses.includes(one))),
  });
  return html`<fieldset class="rules"><legend>Retries</legend>
    <${Field} label="Call again" value=${kind} onValue=${turn} options=${[['unset', unset], ['own', 'Yes, as set here'], ['none', 'Never']]} />
    ${kind === 'own' && html`<div class="row">
      <${Field} label="At most" value=${retry.max_retries} onValue=${(text) => set({ max_retries: Number(text) })}
        options=${[[1, '1 retry'], [2, '2 retries'], [3, '3 retries']]} />
      <${ListField} label="Minutes between" inputmode="numeric" value=${retry.retry_intervals_minutes} hint="The last one repeats."
        onValue=${(waits) => set({ retry_intervals_minutes: waits.map(Number) })} />
    </div>
    <div class="checks" role="group" aria-label="Retry after">
      ${RETRIED.map(([status, text]) => html`<${Field} key=${status} label=${text} type="checkbox" checked=${retry.retry_on_statuses.includes(status)}
        onValue=${again(status)} />`)}
      <${Field} label="Voicemail" type="checkbox" checked=${retry.retry_on_voicemail} onValue=${(checked) => set({ retry_on_voicemail: checked })} /></div>`}
  </fieldset>`;
}

/** Fields for `contact_limits`. */
function LimitFields({ value, onValue }) {
  const limits = { caps: [], ...value };
  const set = (changes) => {
    const next = { ...limits, ...changes };
    onValue(next.caps.length || next.pause_after_conversation_hours ? next : null);
  };
  const number = (name, change, limit) => ({ type: 'number', min: 1, value: limit[name], onValue: (text) => change({ [name]: numberOf(text) }) });
  return html`<fieldset class="rules"><legend>Contact limits</legend>
    <p class="hint">How often one number may be called. All calls of the account to it count, including retries.</p>
    <${Rows} of=${limits.caps} most=${4} what="limit" made=${{ attempts: 3, hours: 24 }} onValue=${(caps) => set({ caps })}
      row=${(limit, change, place) => html`At most <${Blank} max="50" label=${`Attempts of limit ${place}`} ...${number('attempts', change, limit)} />
        attempts in <${Blank} max="744" label=${`Hours of limit ${place}`} ...${number('hours', change, limit)} /> hours`} />
    <div class="row">
      <${NumberField} label="Pause after a conversation, in hours" min="1" max="744" placeholder="none" value=${limits.pause_after_conversation_hours}
        onValue=${(hours) => set({ pause_after_conversation_hours: hours })} />
      ${value && html`<${Field} label="An attempt above the limits" value=${limits.at_cap || 'defer'} onValue=${(chosen) => set({ at_cap: chosen })}
        options=${[['defer', 'Waits until it is allowed'], ['end', 'Ends the call']]} />`}
    </div>
  </fieldset>`;
}

/** The rule without empty values; null if nothing is left. */
function tidy(rule) {
  const left = Object.fromEntries(Object.entries(rule || {}).filter(([, value]) => !isEmpty(value) && !(Array.isArray(value) && !value.length)));
  if (left.placement === 'start') delete left.placement;
  if (left.placement !== 'spread') delete left.spread_minutes;
  return Object.keys(left).length ? left : null;
}
