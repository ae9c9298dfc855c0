// Charts of rates with their 95 % intervals, drawn with SVG. Horizontal positions are percentages of the width, so a chart
// fits any screen and its text keeps its size. Each can also be read as a table.

/** Below this many attempts, a rate is drawn hollow: it is not precise enough to compare. */
const ENOUGH = 100;

const across = (share) => `${(100 * share).toFixed(2)}%`;

/** The end of an axis that includes `most`, and its marks. */
function axis(most) {
  const end = [0.02, 0.04, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1].find((one) => one >= most) || 1;
  return { end, marks: [0, 0.5, 1].map((one) => one * end) };
}

const intervalText = (interval) => (interval ? `${percent(interval[0])} to ${percent(interval[1])}` : '–');

/** The columns of a chart's table. `name`: the kind of the rows. */
const rateColumns = (name) => [
  { name, of: (row) => row.label },
  { name: 'Attempts', number: true, of: (row) => count(row.n) },
  { name: 'Answers', number: true, of: (row) => count(row.answers) },
  { name: 'Rate', number: true, of: (row) => percent(row.rate) },
  { name: '95 % interval', number: true, of: (row) => intervalText(row.interval) },
];

/** A card with a chart, or with the same data as a table. Without rows, it says that there is nothing yet. */
function Chart({ title, note, rows, columns, wide, children }) {
  const [table, setTable] = useState(false);
  const other = rows.length > 0 && html`<button type="button" class="small" aria-pressed=${table} onClick=${() => setTable(!table)}>
    Table<span class="unseen"> of ${title}</span></button>`;
  return html`<${Card} title=${title} note=${note} wide=${wide} actions=${other}>
    ${rows.length && !table ? children : html`<${Table} label=${title} columns=${columns} rows=${rows} empty="Nothing to show yet." />`}
  </${Card}>`;
}

const MOST_RATES = 12;

/** The rates of the first rows, as dots in their intervals: [{label, n, answers, rate, interval}]. */
function Rates({ rows: all }) {
  const rows = all.slice(0, MOST_RATES);
  const { end, marks } = axis(Math.max(...rows.map((row) => row.interval[1])));
  const x = (share) => across(Math.min(share / end, 1));
  return html`<div class="rates">
    <div class="rate" aria-hidden="true"><span></span><svg height="16">${marks.map((mark, place) => html`
      <text key=${mark} x=${x(mark)} y="12" text-anchor=${['start', 'middle', 'end'][place]}>${percent(mark, 0)}</text>`)}</svg><span></span></div>
    <ul>${rows.map((row) => html`<li key=${row.label} class="rate ${row.n < ENOUGH ? 'few' : ''}">
      <span class="rate-label">${row.label}</span>
      <svg height="26" aria-hidden="true">
        ${marks.map((mark) => html`<line key=${mark} class="gridline" x1=${x(mark)} x2=${x(mark)} y1="0" y2="26" />`)}
        <line class="interval" x1=${x(row.interval[0])} x2=${x(row.interval[1])} y1="13" y2="13" />
        ${row.interval.map((bound, place) => html`<line key=${place} class="cap" x1=${x(bound)} x2=${x(bound)} y1="8" y2="18" />`)}
        <circle cx=${x(row.rate)} cy="13" r="5" />
      </svg>
      <span class="rate-value"><b>${percent(row.rate)}</b> <span class="muted">of ${count(row.n)}</span>
        <span class="unseen">, 95 % interval ${intervalText(row.interval)}${row.n < ENOUGH && ', too few to compare'}</span></span>
    </li>`)}</ul>
    ${all.length > MOST_RATES && html`<p class="muted">Only the ${MOST_RATES} with the most attempts; the table has all ${count(all.length)}.</p>`}
  </div>`;
}

const REACH_TOP = 24;
const REACH_HEIGHT = 170;

/** The cumulative reach by attempt, as columns: the part that each attempt added is solid, the part before it pale. */
function Reach({ rows }) {
  const y = (share) => REACH_TOP + REACH_HEIGHT * (1 - share);
  const width = 1 / rows.length;
  const text = rows.map((row) => `${row.label}: ${percent(row.rate)} reached, 95 % interval ${intervalText(row.interval)}`).join('; ');
  return html`<svg class="reach" height=${REACH_TOP + REACH_HEIGHT + 46} role="img" aria-label=${text}>
    ${[0, 0.25, 0.5, 0.75, 1].map((mark) => html`<g key=${mark}>
      <line class="gridline" x1="0" x2="100%" y1=${y(mark)} y2=${y(mark)} /><text x="0" y=${y(mark) - 4}>${percent(mark, 0)}</text></g>`)}
    ${rows.map((row, place) => {
    const before = place ? rows[place - 1].rate : 0;
    const middle = across((place + 0.55) * width), left = across((place + 0.35) * width);
    return html`<g key=${row.label}>
      <rect class="before" x=${left} width=${across(0.4 * width)} y=${y(before)} height=${REACH_HEIGHT * before} />
      <rect class="added" x=${left} width=${across(0.4 * width)} y=${y(row.rate)} height=${REACH_HEIGHT * (row.rate - before)} />
      <line class="bound" x1=${middle} x2=${middle} y1=${y(row.interval[1])} y2=${y(row.interval[0])} />
      <text class="strong" x=${middle} y=${y(row.interval[1]) - 6} text-anchor="middle">${percent(row.rate)}</text>
      <text x=${middle} y=${REACH_TOP + REACH_HEIGHT + 18} text-anchor="middle">${row.label}</text>
      ${place > 0 && html`<text class="strong" x=${middle} y=${REACH_TOP + REACH_HEIGHT + 36}
        text-anchor="middle">+${(100 * (row.rate - before)).toFixed(1)}</text>`}
    </g>`;
  })}
  </svg>`;
}

const LEVELS = 5;
/** Below this many attempts, a cell of the heat map has no shade. */
const FEW = 20;

/** Rates by weekday and hour, as text on shades of one colour: rows with `value` "mon 09". */
function HeatMap({ rows, label }) {
  const cells = new Map(rows.map((row) => [row.value, row]));
  const hours = rows.map((row) => Number(row.value.slice(4)));
  const from = Math.min(...hours);
  const shown = Array.from({ length: Math.max(...hours) - from + 1 }, (_, place) => two(from + place));
  const known = rows.filter((row) => row.n >= FEW).map((row) => row.rate);
  const low = Math.min(...known), high = Math.max(...known);
  const level = (rate) => (high > low ? Math.min(LEVELS - 1, Math.floor((LEVELS * (rate - low)) / (high - low))) : 2);
  return html`<${Scroll} label=${label}><table class="heat">
    <thead><tr><td></td>${shown.map((hour) => html`<th key=${hour} scope="col">${hour}</th>`)}</tr></thead>
    <tbody>${DAYS.map((day) => html`<tr key=${day}><th scope="row">${WEEKDAYS[day]}</th>${shown.map((hour) => {
    const cell = cells.get(`${day} ${hour}`);
    if (!cell) return html`<td key=${hour} class="none"></td>`;
    const few = cell.n < FEW;
    return html`<td key=${hour} class=${few ? 'few' : `level-${level(cell.rate)}`}
      title=${`${cell.label}: ${percent(cell.rate)} of ${count(cell.n)}, 95 % interval ${intervalText(cell.interval)}`}>
      ${few ? html`<span class="unseen">too few: </span>` : html`<b>${Math.round(100 * cell.rate)}</b>`}<small>${count(cell.n)}</small></td>`;
  })}</tr>`)}</tbody>
  </table></${Scroll}>
  <p class="muted">Large: percent answered; darker is more${known.length > 0 && ` (${percent(low, 0)} to ${percent(high, 0)})`}.
    Small: attempts. Striped: fewer than ${FEW}.</p>`;
}
