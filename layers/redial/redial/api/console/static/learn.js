// Learn: which retries pay off. The statistics of `GET /stats/retries` as charts, with its advice.

const PERIODS = [['7', 'Last 7 days'], ['30', 'Last 30 days'], ['90', 'Last 90 days'], ['366', 'Last 366 days'], ['dates', 'From … to …']];

/** "within 15 min", "30 to 60 min", "2 to 4 h", "3 days or more". */
function gapText({ from_minutes: from, to_minutes: to }) {
  const divisor = [1440, 60, 1].find((one) => (from || to) % one === 0 && (to || from) % one === 0);
  const unit = { 1440: 'days', 60: 'h', 1: 'min' }[divisor];
  if (from === null) return `within ${to / divisor} ${unit}`;
  return to === null ? `${from / divisor} ${unit} or more` : `${from / divisor} to ${to / divisor} ${unit}`;
}

const COUNTRIES = new Intl.DisplayNames('en', { type: 'region', fallback: 'code' });
const countryName = (code) => (/^[A-Z]{2}$/.test(code) ? COUNTRIES.of(code) : code);
const attemptName = (number) => (number === 1 ? 'First dial' : `Retry ${number - 1}`);
const hourText = (value) => `${WEEKDAYS[value.slice(0, 3)]} ${value.slice(4)}:00`;

/** "$0.0245": three digits, because prices of calls are small. */
const money = (amount, currency) => (amount === null ? '–'
  : new Intl.NumberFormat('en', { style: 'currency', currency, maximumSignificantDigits: 3 }).format(amount));

/** The rows of a chart from a list of the statistics, without rows that have no attempts. */
const rowsOf = (rows, label) => rows.filter((one) => one.attempts).map((one) => ({ ...one, label: label(one), n: one.attempts }));
const mostFirst = (rows) => rows.sort((one, other) => other.n - one.n);

function LearnFilters({ query }) {
  const { agentOptions } = useShared();
  const period = query.days || (query.from || query.to ? 'dates' : '30');
  const choose = (days) => {
    const isDates = days === 'dates';
    setQuery({ days, from: isDates ? dayOf(now() - 29 * DAY_MS) : '', to: isDates ? dayOf(now()) : '' });
  };
  const date = (name) => ({ type: 'date', value: query[name], onValue: (value) => setQuery({ [name]: value }) });
  return html`<div class="row">
    <${Field} label="Agent" value=${query.agent || ''} onValue=${(agent) => setQuery({ agent, batch: '' })} options=${[['', 'All agents'], ...agentOptions]} />
    <${BatchField} agentId=${query.agent} none=${query.agent ? 'All calls' : 'Choose an agent first'} disabled=${!query.agent}
      value=${query.batch} onValue=${(batch) => setQuery({ batch })} />
    <${Field} label="Period" value=${period} onValue=${choose} options=${PERIODS} />
    ${period === 'dates' && html`<${Field} label="From (UTC)" ...${date('from')} /><${Field} label="To (UTC)" ...${date('to')} />`}
  </div>`;
}

const OUTCOMES = ['answered', 'voicemail', 'no-answer', 'busy', 'declined', 'blocked', 'failed', 'error', 'canceled'];

/** The outcomes of attempts: each one's share, as bars. */
function Outcomes({ rows }) {
  const most = Math.max(...rows.map((row) => row.rate));
  return html`<ul class="rates">${rows.map((row) => html`<li key=${row.value} class="rate"><span class="rate-label">${row.label}</span>
    <svg height="20" aria-hidden="true"><rect class=${row.value === 'answered' ? 'added' : 'before'} x="0" y="3" height="14" width=${`${(100 * row.rate) / most}%`} /></svg>
    <span class="rate-value"><b>${percent(row.rate)}</b> <span class="muted">${count(row.n)}</span></span></li>`)}</ul>`;
}

const OUTCOME_COLUMNS = [
  { name: 'Outcome', of: (row) => row.label },
  { name: 'Attempts', number: true, of: (row) => count(row.n) },
  { name: 'Share', number: true, of: (row) => percent(row.rate) },
];
const REACH_COLUMNS = [
  { name: 'Attempt', of: (row) => row.label },
  { name: 'Contacts', number: true, of: (row) => count(row.n) },
  { name: 'Reached', number: true, of: (row) => count(row.answers) },
  ...rateColumns('').slice(3),
];

/** The answer rate of each value. `by`: the kind of values, such as "gap". */
const RatesBy = ({ by, rows, note }) => html`<${Chart} title=${`Answered, by ${by}`} note=${note} rows=${rows} columns=${rateColumns(sentence(by))}>
  <${Rates} rows=${rows} /></${Chart}>`;

function Statistics({ found }) {
  if (!found.attempts) {
    return html`<${Card}><${Empty} title="No attempt has ended in this period.">
      Attempts are counted a few minutes after their end, for the day of their contact's first dial.</${Empty}></${Card}>`;
  }
  const reach = found.reach.map((one) => ({ ...one, label: attemptName(one.attempt), n: one.contacts, answers: one.reached }));
  const outcomes = OUTCOMES.filter((name) => found.outcomes[name])
    .map((name) => ({ value: name, label: words(name), n: found.outcomes[name], rate: found.outcomes[name] / found.attempts }));
  const hours = rowsOf(found.by_local_hour, (one) => hourText(one.value));
  const last = reach.at(-1);
  const { carrier, redial } = found.cost;
  const figures = [
    { label: 'Contacts', value: count(found.contacts), note: `${count(found.attempts)} attempts` },
    { label: 'Reached', value: percent(last.rate), note: `${count(last.reached)} people` },
    { label: 'Calls per answer', value: found.calls_per_answer?.toFixed(2) ?? '–' },
    ...carrier.map((one) => ({
      label: `Carrier, ${one.currency}`, value: money(one.per_answer ?? one.amount, one.currency),
      note: one.per_answer === null ? `for ${plural(one.attempts, 'attempt')} with a known price` : 'per answer',
    })),
    { label: 'AWS, estimated', value: money(redial.per_answer, redial.currency), note: 'per answer' },
  ];
  return html`
    <${Card} title="What the numbers say"><ul class="advice">${found.advice.map((one) => html`<li key=${one}>${one}</li>`)}</ul></${Card}>
    <${Card}><${Figures} of=${figures} /></${Card}>
    <p class="muted">A dot is the share of attempts that a person answered; its line is the 95 % interval. If two lines overlap, the rates may be equal.
      A hollow dot has fewer than ${ENOUGH} attempts.</p>
    <div class="grid charts">
      <${Chart} title="Contacts reached by each attempt" note="Cumulative; +: percentage points added by each retry" rows=${reach} columns=${REACH_COLUMNS}>
        <${Reach} rows=${reach} /></${Chart}>
      <${Chart} title="How attempts ended" note=${`${count(found.attempts)} attempts`} rows=${outcomes} columns=${OUTCOME_COLUMNS}>
        <${Outcomes} rows=${outcomes} /></${Chart}>
      <${RatesBy} by="attempt" rows=${rowsOf(found.by_attempt, (one) => attemptName(Number(one.value)))} />
      <${RatesBy} by="gap" note="Time since the end of the previous attempt" rows=${rowsOf(found.by_gap, gapText)} />
      <${Chart} title="Answered, by local hour" note="In the called person's local time" wide rows=${hours} columns=${rateColumns('Day and hour')}>
        <${HeatMap} rows=${hours} label="Answered, by local hour" /></${Chart}>
      <${RatesBy} by="previous outcome" rows=${mostFirst(rowsOf(found.by_outcome_before, (one) => `After ${words(one.value).toLowerCase()}`))} />
      <${RatesBy} by="caller id" rows=${mostFirst(rowsOf(found.by_caller_id, (one) => one.value))} />
      <${RatesBy} by="country" rows=${mostFirst(rowsOf(found.by_country, (one) => countryName(one.value)))} />
    </div>`;
}

function Learn({ route: { query } }) {
  const from = query.from || (query.days > 0 ? dayOf(now() - (query.days - 1) * DAY_MS) : '');
  const asked = { agent_id: query.agent, batch_id: query.batch, from, to: query.to };
  const found = useGet('/stats/retries', { query: asked, every: 15000 });
  return html`<${Page} title="Learn">
    <${Card}><${LearnFilters} query=${query} /></${Card}>
    <${Live} of=${found} lines=${8}>${(data) => html`<${Statistics} found=${data} />`}</${Live}>
  </${Page}>`;
}
