// Learn: which retries pay. The statistics of `GET /stats/retries` as charts, and its advice in words.
import { api, count, html, now, pages, percent, plural, setQuery, useLive, useShared, words } from './lib.js';
import { Card, Empty, Field, Figures, Live, Page } from './ui.js';
import { Chart, ENOUGH, HeatMap, rateColumns, Rates, Reach } from './charts.js';

const DAY = 86400000;
const day = (at) => new Date(at).toISOString().slice(0, 10);
const PERIODS = [['7', 'Last 7 days'], ['30', 'Last 30 days'], ['90', 'Last 90 days'], ['366', 'Last 366 days'], ['dates', 'From … to …']];

/** "within 15 min", "30 to 60 min", "2 to 4 h", "3 days or more". */
export function gapText({ from_minutes: from, to_minutes: to }) {
  const divisor = [1440, 60, 1].find((one) => (from || to) % one === 0 && (to || from) % one === 0);
  const unit = { 1440: 'days', 60: 'h', 1: 'min' }[divisor];
  if (from === null) return `within ${to / divisor} ${unit}`;
  return to === null ? `${from / divisor} ${unit} or more` : `${from / divisor} to ${to / divisor} ${unit}`;
}

const COUNTRIES = new Intl.DisplayNames('en', { type: 'region', fallback: 'code' });
const country = (code) => (/^[A-Z]{2}$/.test(code) ? COUNTRIES.of(code) : code);
const place = (number) => (number === 1 ? 'First dial' : `Retry ${number - 1}`);
const WEEKDAYS = { mon: 'Mon', tue: 'Tue', wed: 'Wed', thu: 'Thu', fri: 'Fri', sat: 'Sat', sun: 'Sun' };
const hourText = (value) => `${WEEKDAYS[value.slice(0, 3)]} ${value.slice(4)}:00`;

/** "$0.0245": three digits, since prices of a call are small. */
const money = (amount, currency) => (amount === null ? '–' : new Intl.NumberFormat('en', { style: 'currency', currency, maximumSignificantDigits: 3 }).format(amount));

/** Rows of a chart, from a list of the statistics; those without attempts are left out. */
const rowsOf = (list, label) => list.filter((one) => one.attempts).map((one) => ({ ...one, label: label(one), n: one.attempts }));
const mostFirst = (rows) => [...rows].sort((one, other) => other.n - one.n);

function Filters({ query }) {
  const { agents } = useShared();
  const batches = useLive(query.agent ? () => pages(`/batches/${query.agent}/all`, { size: 50, most: 200 }) : null, [query.agent], 0);
  const set = (name) => (event) => setQuery({ [name]: event.currentTarget.value, ...(name === 'agent' && { batch: '' }) });
  const period = query.days || (query.from || query.to ? 'dates' : '30');
  const choose = (event) => {
    const days = event.currentTarget.value;
    setQuery(days === 'dates' ? { days, from: day(now() - 29 * DAY), to: day(now()) } : { days, from: '', to: '' });
  };
  return html`<div class="row">
    <${Field} label="Agent" value=${query.agent || ''} onChange=${set('agent')} options=${[['', 'All agents'], ...agents.map((one) => [one.agent_id, one.agent_name])]} />
    <${Field} label="Batch" value=${query.batch || ''} onChange=${set('batch')} disabled=${!query.agent}
      options=${[['', query.agent ? 'All calls' : 'Choose an agent first'], ...(batches.data || []).map((one) => [one.batch_id, one.file_name || one.batch_id])]} />
    <${Field} label="Period" value=${period} onChange=${choose} options=${PERIODS} />
    ${period === 'dates' && html`<${Field} label="From (UTC)" type="date" value=${query.from} onChange=${set('from')} /><${Field} label="To (UTC)" type="date" value=${query.to} onChange=${set('to')} />`}
  </div>`;
}

const outcomeNames = ['answered', 'voicemail', 'no-answer', 'busy', 'declined', 'blocked', 'failed', 'error', 'canceled'];

/** How attempts ended: their share of all, as bars. */
function Outcomes({ rows }) {
  const most = Math.max(...rows.map((row) => row.rate));
  return html`<ul class="rates">${rows.map((row) => html`<li key=${row.value} class="rate"><span class="rate-label">${row.label}</span>
    <svg height="20" aria-hidden="true"><rect class=${row.value === 'answered' ? 'added' : 'before'} x="0" y="3" height="14" width=${`${(100 * row.rate) / most}%`} /></svg>
    <span class="rate-value"><b>${percent(row.rate)}</b> <span class="muted">${count(row.n)}</span></span></li>`)}</ul>`;
}

function Statistics({ found }) {
  if (!found.attempts) {
    return html`<${Card}><${Empty} title="Not enough yet: no attempt has ended in this period.">Attempts are counted a few minutes after their end, for the day of their contact's first dial.</${Empty}></${Card}>`;
  }
  const reach = found.reach.map((one) => ({ ...one, label: place(one.attempt), n: one.contacts, answers: one.reached }));
  const outcomes = outcomeNames.filter((name) => found.outcomes[name]).map((name) => ({ value: name, label: words(name), n: found.outcomes[name], rate: found.outcomes[name] / found.attempts }));
  const by = {
    attempt: rowsOf(found.by_attempt, (one) => place(Number(one.value))),
    gap: rowsOf(found.by_gap, gapText),
    hour: rowsOf(found.by_local_hour, (one) => hourText(one.value)),
    before: mostFirst(rowsOf(found.by_outcome_before, (one) => `After ${words(one.value).toLowerCase()}`)),
    caller: mostFirst(rowsOf(found.by_caller_id, (one) => one.value)),
    country: mostFirst(rowsOf(found.by_country, (one) => country(one.value))),
  };
  const last = reach.at(-1);
  const figures = [
    { label: 'Contacts', value: count(found.contacts), note: `${count(found.attempts)} attempts` },
    { label: 'Reached', value: percent(last.rate), note: `${count(last.reached)} people` },
    { label: 'Calls per answer', value: found.calls_per_answer === null ? '–' : found.calls_per_answer.toFixed(2) },
    ...found.cost.carrier.map((one) => ({
      label: `Carrier, ${one.currency}`, value: money(one.per_answer ?? one.amount, one.currency),
      note: one.per_answer === null ? `for ${plural(one.attempts, 'attempt')} with a known price` : 'per answer',
    })),
    { label: 'AWS, estimated', value: money(found.cost.redial.per_answer, found.cost.redial.currency), note: 'per answer' },
  ];
  return html`
    <${Card} title="What the numbers say"><ul class="advice">${found.advice.map((one) => html`<li key=${one}>${one}</li>`)}</ul></${Card}>
    <${Card}><${Figures} of=${figures} /></${Card}>
    <p class="muted">A dot is the share of attempts that a person answered; its line is the 95 % interval. Two whose lines overlap may be the same.
      A hollow dot has fewer than ${ENOUGH} attempts.</p>
    <div class="grid charts">
      <${Chart} title="Contacts reached by each attempt" note="Cumulative; + percentage points by each retry" rows=${reach} columns=${[{ name: 'Attempt', of: (row) => row.label },
    { name: 'Contacts', number: true, of: (row) => count(row.n) }, { name: 'Reached', number: true, of: (row) => count(row.answers) }, ...rateColumns('').slice(3)]}><${Reach} rows=${reach} /></${Chart}>
      <${Chart} title="How attempts ended" note=${`${count(found.attempts)} attempts`} rows=${outcomes} columns=${[{ name: 'Outcome', of: (row) => row.label },
    { name: 'Attempts', number: true, of: (row) => count(row.n) }, { name: 'Share', number: true, of: (row) => percent(row.rate) }]}><${Outcomes} rows=${outcomes} /></${Chart}>
      <${Chart} title="Answered, by attempt" rows=${by.attempt} columns=${rateColumns('Attempt')}><${Rates} rows=${by.attempt} /></${Chart}>
      <${Chart} title="Answered, by gap" note="Time since the end of the attempt before" rows=${by.gap} columns=${rateColumns('Gap')}><${Rates} rows=${by.gap} /></${Chart}>
      <${Chart} title="Answered, by local hour" note="By the called person's clock" wide=${true} rows=${by.hour} columns=${rateColumns('Day and hour')}><${HeatMap} rows=${by.hour} label="Answered, by local hour" /></${Chart}>
      <${Chart} title="Answered, by outcome before" rows=${by.before} columns=${rateColumns('Outcome before')}><${Rates} rows=${by.before} /></${Chart}>
      <${Chart} title="Answered, by caller id" rows=${by.caller} columns=${rateColumns('Caller id')}><${Rates} rows=${by.caller} /></${Chart}>
      <${Chart} title="Answered, by country" rows=${by.country} columns=${rateColumns('Country')}><${Rates} rows=${by.country} /></${Chart}>
    </div>`;
}

export default function Learn({ route: { query } }) {
  const from = query.from || (query.days && query.days !== 'dates' ? day(now() - (query.days - 1) * DAY) : '');
  const asked = { agent_id: query.agent, batch_id: query.batch, from, to: query.to };
  const found = useLive((signal) => api('GET', '/stats/retries', { query: asked, signal }), Object.values(asked), 15000);
  return html`<${Page} title="Learn">
    <${Card}><${Filters} query=${query} /></${Card}>
    <${Live} of=${found} lines=${8}>${(data) => html`<${Statistics} found=${data} />`}</${Live}>
  </${Page}>`;
}
