// Rules of calling as text, as a picture of the week, and as fields. Values are as the API has them; null: no such rule.
import { html, plural, duration, timeText, useEffect, useRef, useState, words, zoneName, HERE } from './lib.js';
import { Field, Status } from './ui.js';

export const DAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'];
const NAMES = { mon: 'Mon', tue: 'Tue', wed: 'Wed', thu: 'Thu', fri: 'Fri', sat: 'Sat', sun: 'Sun' };
const RETRIED = [['no-answer', 'No answer'], ['busy', 'Busy'], ['failed', 'Failed'], ['error', 'Error']];

// ---- text ----

const two = (number) => String(number).padStart(2, '0');
const minuteOf = (text) => { const [hours, minutes] = text.split(':').map(Number); return hours * 60 + minutes; };

/** The windows of `calling_guardrails`; hours are windows of every day. Null: calls may start at any time. */
export function windowsOf(rule) {
  if (!rule) return null;
  if (rule.windows) return rule.windows;
  if (typeof rule.call_start_hour !== 'number') return null;
  return [{ start: `${two(rule.call_start_hour)}:00`, end: `${two(rule.call_end_hour)}:00` }];
}

function daysText(days) {
  if (!days || days.length === 7) return 'every day';
  const places = days.map((day) => DAYS.indexOf(day)).sort((one, other) => one - other);
  const isRow = places.length > 2 && places.at(-1) - places[0] === places.length - 1;
  return isRow ? `${NAMES[DAYS[places[0]]]}–${NAMES[DAYS[places.at(-1)]]}` : places.map((place) => NAMES[DAYS[place]]).join(', ');
}

/** "Mon–Fri 09:00–18:00; Sat 10:00–13:00; not on holidays of FR". */
export function hoursText(rule) {
  const windows = windowsOf(rule);
  const said = windows ? windows.map((one) => `${daysText(one.days)} ${one.start}–${one.end}`) : ['any time'];
  if (rule && rule.holidays && rule.holidays.length) said.push(`not on holidays of ${rule.holidays.join(', ')}`);
  if (rule && rule.excluded_dates && rule.excluded_dates.length) said.push(`not on ${plural(rule.excluded_dates.length, 'date')} more`);
  if (rule && rule.placement === 'spread') said.push(`spread over the first ${rule.spread_minutes || 15} min`);
  if (rule && rule.placement === 'rotate') said.push('retries at other hours');
  if (rule && rule.attempts_per_window) said.push(`at most ${rule.attempts_per_window} in a window`);
  const text = said.join('; ');
  return text[0].toUpperCase() + text.slice(1);
}

export const span = (minutes) => duration(minutes * 60);

export function limitsText(limits) {
  if (!limits) return null;
  const said = (limits.caps || []).map((one) => `${one.attempts} in ${span(one.hours * 60)}`);
  if (limits.pause_after_conversation_hours) said.push(`${span(limits.pause_after_conversation_hours * 60)} of pause after a conversation`);
  return said.length ? `${said.join('; ')}; then ${limits.at_cap === 'end' ? 'the call ends' : 'it waits'}` : null;
}

export function retryText(retry) {
  if (!retry) return null;
  if (!retry.enabled) return 'None';
  const waits = (retry.retry_intervals_minutes || [30, 60, 120]).map(span).join(', ');
  return `${plural(retry.max_retries ?? 3, 'retry', 'retries')} after ${waits}; on ${(retry.retry_on_statuses || ['no-answer', 'busy', 'failed']).join(', ')}${retry.retry_on_voicemail ? ', voicemail' : ''}`;
}

export const consentText = (required) => (required === true ? 'Of every number' : Array.isArray(required) && required.length ? `In ${required.join(', ')}` : 'Not required');

// ---- the week, as a picture ----

/** Bars for each day of the week: when calls may start, by the called person's clock. */
export function Week({ rule }) {
  const bars = DAYS.map(() => []);
  for (const one of windowsOf(rule) || [{ start: '00:00', end: '24:00' }]) {
    const start = minuteOf(one.start), end = minuteOf(one.end);
    for (const day of one.days || DAYS) {
      const place = DAYS.indexOf(day);
      if (end > start) bars[place].push([start, end]);
      else { bars[place].push([start, 1440]); if (end) bars[(place + 1) % 7].push([0, end]); }
    }
  }
  return html`<div class="week" role="img" aria-label=${`Calls may start: ${hoursText(rule)}`}>
    ${DAYS.map((day, place) => html`<span key=${day}>${NAMES[day]}</span><div class="track">${bars[place].map(([start, end], index) => html`<i key=${index} style=${{ left: `${start / 14.4}%`, width: `${(end - start) / 14.4}%` }}></i>`)}</div>`)}
    <span></span><${Hours} />
  </div>`;
}

/** The hours of a day below a track. `shift`: minutes that this clock is ahead of the track's. */
export function Hours({ shift = 0, step = 3 }) {
  const marks = [];
  for (let hour = 0; hour < 24; hour += step) {
    const at = (((hour * 60 - shift) % 1440) + 1440) % 1440;
    marks.push(html`<span key=${hour} class=${hour % (2 * step) ? 'odd' : ''} style=${{ left: `${at / 14.4}%` }}>${hour}</span>`);
  }
  return html`<div class="hours" aria-hidden="true">${marks}</div>`;
}

// ---- fields: value and onChange(value) ----

const list = (text) => text.split(/[\s,;]+/).filter(Boolean);
const number = (text) => (text === '' ? null : Number(text));

/** Fields for `calling_guardrails`. */
export function HoursFields({ value, onChange }) {
  const rule = value || {};
  const kind = rule.windows ? 'windows' : typeof rule.call_start_hour === 'number' ? 'hours' : 'any';
  const set = (changes) => onChange({ ...rule, ...changes });
  const turn = (next) => set({
    windows: next === 'windows' ? windowsOf(rule) || [{ days: DAYS.slice(0, 5), start: '09:00', end: '18:00' }] : null,
    call_start_hour: next === 'hours' ? 9 : null, call_end_hour: next === 'hours' ? 18 : null,
  });
  const change = (index, changes) => set({ windows: rule.windows.map((one, place) => (place === index ? { ...one, ...changes } : one)) });
  const hour = (name, label) => html`<${Field} label=${label} type="number" min="0" max="23" required value=${rule[name]} onInput=${(event) => set({ [name]: number(event.currentTarget.value) })} />`;
  return html`<fieldset class="rules"><legend>Calling hours</legend>
    <${Field} label="Calls may start" value=${kind} onChange=${(event) => turn(event.currentTarget.value)} options=${[['any', 'At any time'], ['hours', 'At the same hours every day'], ['windows', 'In windows by weekday']]}
      hint="By the clock of the called person." />
    ${kind === 'hours' && html`<div class="row">${hour('call_start_hour', 'From hour')}${hour('call_end_hour', 'Before hour')}</div>`}
    ${kind === 'windows' && html`${rule.windows.map((one, index) => html`<div key=${index} class="window">
      <span class="days" role="group" aria-label=${`Days of window ${index + 1}`}>${DAYS.map((day) => html`<label key=${day} class=${!one.days || one.days.includes(day) ? 'on' : ''}><input type="checkbox" checked=${!one.days || one.days.includes(day)}
        onChange=${(event) => change(index, { days: DAYS.filter((other) => (other === day ? event.currentTarget.checked : !one.days || one.days.includes(other))) })} />${NAMES[day]}</label>`)}</span>
      <input type="time" required aria-label=${`Start of window ${index + 1}`} value=${one.start} onInput=${(event) => change(index, { start: event.currentTarget.value })} /> –
      <input type="time" required aria-label=${`End of window ${index + 1}`} value=${one.end.replace('24:', '00:')} onInput=${(event) => change(index, { end: event.currentTarget.value })} />
      ${rule.windows.length > 1 && html`<button type="button" class="small" aria-label=${`Remove window ${index + 1}`} onClick=${() => set({ windows: rule.windows.filter((_, place) => place !== index) })}>Remove</button>`}
    </div>`)}<div><button type="button" class="small" onClick=${() => set({ windows: [...rule.windows, { days: ['sat'], start: '10:00', end: '13:00' }] })}>Add a window</button></div>`}
    ${kind !== 'any' && html`<${Week} rule=${rule} />`}
    <details><summary>Holidays, dates, placement</summary><div class="row">
      <${Field} label="No calls on holidays of" placeholder="US-CA, FR" defaultValue=${(rule.holidays || []).join(', ')} onChange=${(event) => set({ holidays: list(event.currentTarget.value) })} />
      <${Field} label="No calls on dates" placeholder="2026-12-24, 2026-12-31" defaultValue=${(rule.excluded_dates || []).join(', ')} onChange=${(event) => set({ excluded_dates: list(event.currentTarget.value) })} />
      <${Field} label="When they open, place" value=${rule.placement || 'start'} onChange=${(event) => set({ placement: event.currentTarget.value })} options=${[['start', 'All at once'], ['spread', 'Spread over some minutes'], ['rotate', 'Retries at another hour']]} />
      ${rule.placement === 'spread' && html`<${Field} label="Minutes to spread over" type="number" min="1" max="120" value=${rule.spread_minutes || 15} onInput=${(event) => set({ spread_minutes: number(event.currentTarget.value) })} />`}
      <${Field} label="Attempts in a window" type="number" min="1" max="4" placeholder="any" value=${rule.attempts_per_window ?? ''} onInput=${(event) => set({ attempts_per_window: number(event.currentTarget.value) })} />
    </div></details>
  </fieldset>`;
}

/** Fields for `retry_config`. `unset`: what is so if there is none. */
export function RetryFields({ value, onChange, unset }) {
  const retry = value || {};
  const kind = !value ? 'unset' : value.enabled ? 'own' : 'none';
  const set = (changes) => onChange({ ...retry, ...changes });
  const statuses = retry.retry_on_statuses || ['no-answer', 'busy', 'failed'];
  const turn = (next) => onChange(next === 'unset' ? null : next === 'none' ? { enabled: false } : { enabled: true, max_retries: 3, retry_intervals_minutes: [30, 60, 120], retry_on_statuses: statuses, retry_on_voicemail: false });
  return html`<fieldset class="rules"><legend>Retries</legend>
    <${Field} label="Call again" value=${kind} onChange=${(event) => turn(event.currentTarget.value)} options=${[['unset', unset], ['own', 'Yes, as said here'], ['none', 'Never']]} />
    ${kind === 'own' && html`<div class="row">
      <${Field} label="At most" value=${retry.max_retries ?? 3} onChange=${(event) => set({ max_retries: Number(event.currentTarget.value) })} options=${[[1, '1 retry'], [2, '2 retries'], [3, '3 retries']]} />
      <${Field} label="Minutes between" defaultValue=${(retry.retry_intervals_minutes || []).join(', ')} inputmode="numeric" onChange=${(event) => set({ retry_intervals_minutes: list(event.currentTarget.value).map(Number) })} hint="The last repeats." />
    </div>
    <div class="checks" role="group" aria-label="After an attempt that ended as">${RETRIED.map(([status, text]) => html`<${Field} key=${status} label=${text} type="checkbox" checked=${statuses.includes(status)}
      onChange=${(event) => set({ retry_on_statuses: RETRIED.map(([one]) => one).filter((one) => (one === status ? event.currentTarget.checked : statuses.includes(one))) })} />`)}
      <${Field} label="Voicemail" type="checkbox" checked=${retry.retry_on_voicemail} onChange=${(event) => set({ retry_on_voicemail: event.currentTarget.checked })} /></div>`}
  </fieldset>`;
}

/** Fields for `contact_limits`. */
export function LimitFields({ value, onChange }) {
  const limits = value || {};
  const caps = limits.caps || [];
  const set = (changes) => { const next = { caps, ...limits, ...changes }; onChange(next.caps.length || next.pause_after_conversation_hours ? next : null); };
  const change = (index, changes) => set({ caps: caps.map((one, place) => (place === index ? { ...one, ...changes } : one)) });
  return html`<fieldset class="rules"><legend>Contact limits</legend>
    <p class="hint">How often one number is called, over all calls of the account to it, retries included.</p>
    ${caps.map((one, index) => html`<div key=${index} class="window">At most
      <input type="number" min="1" max="50" required aria-label=${`Attempts of limit ${index + 1}`} value=${one.attempts} onInput=${(event) => change(index, { attempts: number(event.currentTarget.value) })} /> attempts in
      <input type="number" min="1" max="744" required aria-label=${`Hours of limit ${index + 1}`} value=${one.hours} onInput=${(event) => change(index, { hours: number(event.currentTarget.value) })} /> hours
      <button type="button" class="small" aria-label=${`Remove limit ${index + 1}`} onClick=${() => set({ caps: caps.filter((_, place) => place !== index) })}>Remove</button></div>`)}
    ${caps.length < 4 && html`<div><button type="button" class="small" onClick=${() => set({ caps: [...caps, { attempts: 3, hours: 24 }] })}>Add a limit</button></div>`}
    <div class="row">
      <${Field} label="Hours of pause after a conversation" type="number" min="1" max="744" placeholder="none" value=${limits.pause_after_conversation_hours ?? ''} onInput=${(event) => set({ pause_after_conversation_hours: number(event.currentTarget.value) })} />
      ${value && html`<${Field} label="An attempt beyond them" value=${limits.at_cap || 'defer'} onChange=${(event) => set({ at_cap: event.currentTarget.value })} options=${[['defer', 'Waits until it is allowed'], ['end', 'Ends the call']]} />`}
    </div>
  </fieldset>`;
}

/** The same rule without what is empty; null if nothing is left. */
export function tidy(rule) {
  if (!rule) return null;
  const left = Object.fromEntries(Object.entries(rule).filter(([, value]) => value !== null && value !== undefined && value !== '' && !(Array.isArray(value) && !value.length)));
  if (left.placement === 'start') delete left.placement;
  if (left.placement !== 'spread') delete left.spread_minutes;
  return Object.keys(left).length ? left : null;
}

// ---- parts of several screens ----

/** What each gate decided, in order. */
export const Gates = ({ of }) => html`<ol class="gates">${of.map((one) => html`<li key=${one.gate}><${Status} status=${one.decision} label=${words(one.gate)} /><span>${one.text}</span></li>`)}</ol>`;

export const Warnings = ({ of }) => (of.length ? html`<ul class="warnings" aria-label="Warnings">${of.map((one) => html`<li key=${one}>${one[0].toUpperCase() + one.slice(1)}</li>`)}</ul>` : null);

/** What a suppression or a consent covers, in words. */
export const covers = (rule, nameOf) => [rule.agent_id ? `Calls of ${nameOf(rule.agent_id)}` : 'Every call', rule.purpose && `for ${rule.purpose}`].filter(Boolean).join(' ');

/** A time in two zones, side by side in text. */
export const both = (at, zone) => (zone === HERE ? timeText(at, zone, { day: true }) : `${timeText(at, zone, { day: true })} ${zoneName(zone)}, ${timeText(at, HERE, { day: true })} ${zoneName(HERE)}`);

/** The value, once it has not changed for a moment. */
export function useSettled(value, milliseconds = 400) {
  const [settled, setSettled] = useState(value);
  useEffect(() => { const timer = setTimeout(() => setSettled(value), milliseconds); return () => clearTimeout(timer); }, [value]);
  return settled;
}

/** The last data that a live value had: what is shown while other data load. */
export function useLast(data) {
  const last = useRef();
  if (data !== undefined) last.current = data;
  return last.current;
}

export const PAGE = 50;

/** Leads to the pages before and after. `rows`: those of this page. */
export const Pager = ({ page, rows, onPage }) => (page === 1 && rows < PAGE ? null : html`<nav class="actions" aria-label="Pages">
  <button type="button" class="small" disabled=${page === 1} onClick=${() => onPage(page - 1)}>Newer</button><span class="muted">Page ${page}</span>
  <button type="button" class="small" disabled=${rows < PAGE} onClick=${() => onPage(page + 1)}>Older</button></nav>`);
