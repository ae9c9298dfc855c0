// Rules: policies with their versions and presets, suppressions, consents, and rules for the whole account.

const RULE_TABS = Object.entries({ policies: 'Policies', presets: 'Presets', suppressions: 'Suppressions', consents: 'Consents', account: 'Whole account' })
  .map(([id, text]) => [id, text, link('rules', id)]);
// Maximum rows of a request.
const MOST_AT_ONCE = 1000;

const RulesPage = ({ tab, children }) => html`<${Page} title="Rules" tabs=${RULE_TABS} tab=${tab}>${children}</${Page}>`;

/** The rules of a policy or a preset, with its week. */
const PolicyRules = ({ of }) => html`${windowsOf(of.calling_guardrails) && html`<${Week} rule=${of.calling_guardrails} />`}<${Facts} of=${[
  ['Calling hours', hoursText(of.calling_guardrails)],
  ['Retries', retryText(of.retry_config)],
  ['Contact limits', limitsText(of.contact_limits)],
  ['Ends after', of.expires_after_minutes && span(of.expires_after_minutes)],
  ['Consent', of.consent_required && consentText(of.consent_required)],
  ['Purpose', of.purpose],
]} />`;

// ---- policies ----

const POLICY_COLUMNS = [
  { name: 'Policy', of: (row) => row.policy },
  { name: 'Calling hours', of: (row) => hoursText(row.calling_guardrails) },
  { name: 'Retries', of: (row) => retryText(row.retry_config) },
  { name: 'Contact limits', of: (row) => limitsText(row.contact_limits) },
  { name: 'Changed', of: timeOf('created_at') },
];

function Policies() {
  const live = useGet('/policies', { every: 10000 });
  return html`<${RulesPage} tab="policies"><${Card} title="Policies" actions=${html`<a class="button" href="#/rules/new">New policy</a>`}
      note="Named sets of rules for calls, batches and agents. A change creates a new version; existing calls keep theirs.">
    <${Live} of=${live}>${(rows) => (rows.length
    ? html`<${Table} label="Policies" rows=${rows} href=${(row) => link('rules', 'policy', row.name)} columns=${POLICY_COLUMNS} />`
    : html`<${Empty} title="There is no policy yet.">Start from <a href="#/rules/presets">a preset</a>, or from scratch.</${Empty}>`)}</${Live}>
  </${Card}></${RulesPage}>`;
}

const policyPath = (name) => `/policies/${encodeURIComponent(name)}`;

function VersionPicker({ version, newest }) {
  const versions = Array.from({ length: newest }, (_, index) => newest - index);
  return html`<label class="picker">Version <select value=${version} onChange=${(event) => setQuery({ version: event.currentTarget.value })}>
    ${versions.map((one) => html`<option key=${one} value=${one}>${one}${one === newest && ', latest'}</option>`)}</select></label>`;
}

const Holidays = ({ of, until }) => of.length > 0 && html`<details><summary>${plural(of.length, 'holiday')} without calls, known until ${until}</summary>
  <ul>${of.map(({ date, name, region }) => html`<li key=${date + region}>${date} ${name} <span class="muted">${region}</span></li>`)}</ul></details>`;

function Policy({ name, query }) {
  const latest = useGet(policyPath(name), { every: 15000 });
  const asked = Number(query.version) || null;
  const older = useGet(asked && policyPath(name), { query: { version: asked }, every: 0 });
  const newest = latest.data?.version;
  const plan = withQuery('#/plan', { policy: asked ? `${name}@${asked}` : name });
  return html`<${Page} title=${name} back=${{ href: '#/rules', text: 'Policies' }} actions=${html`
      <a class="button" href=${plan}>Plan a call with it</a> <a class="button" href=${link('rules', 'edit', name)}>Change</a>`}>
    <${Live} of=${asked && asked !== newest ? older : latest}>${({ policy, version, created_at: made, preset, preset_as_of: asOf, ...rules }) => html`
      <${Card} title=${policy} actions=${newest > 1 && html`<${VersionPicker} version=${version} newest=${newest} />`}
        note=${html`Created <${Time} at=${made} day />${preset && `, from the preset ${preset}${asOf ? ` as of ${asOf}` : ''}`}`}>
        <${PolicyRules} of=${rules} />
        <${Holidays} of=${rules.holidays} until=${rules.holidays_until} />
      </${Card}>`}</${Live}></${Page}>`;
}

const POLICY_RULES = ['calling_guardrails', 'contact_limits', 'expires_after_minutes', 'consent_required', 'purpose', 'retry_config'];

/** Fields of a policy. `before`: the version to change, or the preset's rules. */
function PolicyForm({ name, before, preset, version }) {
  const [rules, setRules] = useState(() => Object.fromEntries(POLICY_RULES.map((key) => [key, before[key] || null])));
  const input = (key) => ({ value: rules[key], onValue: (value) => setRules((all) => ({ ...all, [key]: value })) });
  const consent = rules.consent_required;
  const setConsent = input('consent_required').onValue;
  const save = (values) => {
    const sent = { ...rules, calling_guardrails: tidy(rules.calling_guardrails), contact_limits: tidy(rules.contact_limits) };
    const body = Object.fromEntries(Object.entries(sent).filter(([, value]) => value));
    // A preset fills in missing rules: if one was removed here, the policy is no longer from the preset.
    if (preset && POLICY_RULES.every((key) => sent[key] || !before[key])) body.preset = preset;
    return api('PUT', policyPath(name || values.name), { body, headers: version ? { 'If-Match': `"${version}"` } : { 'If-None-Match': '*' } });
  };
  return html`<${Card}><${Form} act=${save} scope="admin" submit="Save" keep done=${(made) => `Saved ${made.policy}.`}
    onDone=${(made) => go('rules', 'policy', made.name)}>
    ${!name && html`<${Field} label="Name" name="name" required maxlength="40" pattern="[a-z0-9_\\-]+" defaultValue=${preset || ''}
      hint="Lower-case letters, digits, _ and -." />`}
    <${HoursFields} ...${input('calling_guardrails')} />
    <${LimitFields} ...${input('contact_limits')} />
    <${RetryFields} ...${input('retry_config')} unset="As in the call or batch" />
    <fieldset class="rules"><legend>Expiry, consent, purpose</legend><div class="row">
      <${NumberField} label="Calls end after minutes" min="1" max="525600" placeholder="never" ...${input('expires_after_minutes')} />
      <${Field} label="Consent" value=${consent === true ? 'all' : consent ? 'some' : 'none'}
        onValue=${(kind) => setConsent({ none: null, all: true, some: [] }[kind])}
        options=${[['none', 'Not required'], ['all', 'Of every number'], ['some', 'In some countries']]} />
      ${Array.isArray(consent) && html`<${ListField} label="Countries" required placeholder="FR, DE" value=${consent}
        onValue=${(countries) => setConsent(countries.map((one) => one.toUpperCase()))} />`}
      <${Field} label="Purpose" placeholder="none" ...${input('purpose')} />
    </div></fieldset>
  </${Form}></${Card}>`;
}

function EditPolicy({ name }) {
  const live = useGet(policyPath(name), { every: 0 });
  return html`<${Page} title=${`Change ${name}`} back=${{ href: link('rules', 'policy', name), text: name }}>
    <p class="muted">Saving creates the next version. Existing calls and batches keep theirs; an agent keeps its version until you change it.</p>
    <${Live} of=${live}>${(policy) => html`
      <${PolicyForm} key=${policy.policy} name=${name} before=${policy} preset=${policy.preset} version=${policy.version} />`}</${Live}></${Page}>`;
}

function NewPolicy({ query: { preset = '' } }) {
  const live = useGet('/policies/presets', { every: 0 });
  return html`<${Page} title="New policy" back=${{ href: '#/rules', text: 'Policies' }}><${Live} of=${live}>${(presets) => {
    const found = presets.find((one) => one.name === preset);
    return html`<div class="row"><${Field} label="Start from" value=${preset} onValue=${(name) => setQuery({ preset: name })}
        options=${[['', 'Nothing'], ...presets.map((one) => [one.name, one.title])]} /></div>
      ${found && html`<${Source} of=${found} />`}
      <${PolicyForm} key=${preset} before=${found ? found.rules : {}} preset=${found?.name} />`;
  }}</${Live}></${Page}>`;
}

const Source = ({ of }) => of.source && html`<${Facts} of=${[
  ['Source', of.url?.startsWith('https://') ? html`<a href=${of.url} target="_blank" rel="noreferrer">${of.source}</a>` : of.source],
  ['Compared on', of.as_of],
  ['Next review', of.review_by],
  ['Not covered', of.not_covered],
]} />`;

function Presets() {
  const live = useGet('/policies/presets', { every: 0 });
  return html`<${RulesPage} tab="presets"><p class="muted">Rules to start from. They apply only in policies that copy them, and are not legal advice.</p>
    <${Live} of=${live}>${(presets) => html`<div class="grid presets">${presets.map((one) => html`<${Card} key=${one.name} title=${one.title}
        actions=${html`<a class="button" href=${withQuery('#/rules/new', { preset: one.name })} aria-label=${`Create a policy from ${one.name}`}>Use</a>`}>
      <${PolicyRules} of=${one.rules} /><${Source} of=${one} /></${Card}>`)}</div>`}</${Live}></${RulesPage}>`;
}

// ---- suppressions and consents ----

/** The rows of a pasted text, as CSV files of at most MOST_AT_ONCE rows. The text is a CSV with a header that names
 * phone_number or contact_number, or else has one number per line. */
function csvFiles(text) {
  const lines = text.split(/\r?\n/).map((line) => line.trim()).filter(Boolean);
  const hasHeader = /phone_number|contact_number/i.test(lines[0]);
  const header = hasHeader ? lines.shift() : 'phone_number';
  const rows = hasHeader ? lines : lines.map((line) => `"${line.replaceAll('"', '')}"`);
  const files = [];
  while (rows.length) files.push([header, ...rows.splice(0, MOST_AT_ONCE)].join('\n'));
  return files;
}

const NUMBER_RULES = {
  suppressions: {
    path: '/suppressions', title: 'Suppressions', add: 'Suppress numbers', one: 'suppression', verb: 'Suppress', remove: 'Remove',
    note: 'Numbers that are not called. Waiting and ringing calls to them end at once.',
    removed: (number) => `${number} may be called again.`,
    columns: [{ name: 'Reason', of: (row) => row.reason }],
  },
  consents: {
    path: '/consents', title: 'Consents', add: 'Store consents', one: 'consent', verb: 'Store', remove: 'Withdraw',
    note: 'Numbers that may be called if an agent or a policy requires a consent.',
    removed: (number) => `Calls to ${number} that need it end at once.`,
    columns: [{ name: 'Given', of: timeOf('given_at', { day: true }) }, { name: 'Proof', of: (row) => row.proof }],
  },
};

/** The button that removes a suppression or consent of a number, after a confirmation. */
function RemoveRule({ rule, about, number, refresh }) {
  const { agentName } = useShared();
  const query = { phone_number: number, agent_id: rule.agent_id, purpose: rule.purpose };
  const question = { title: `${about.remove} this ${about.one}?`, text: `${covers(rule, agentName)}: ${about.removed(number)}`, yes: about.remove };
  return html`<${Action} small danger scope="operate" act=${() => api('DELETE', about.path, { query })} confirm=${question} onDone=${refresh}
    done=${(answer) => `The ${about.one} was removed.${endedText(answer.canceled_executions)}`}>${about.remove}</${Action}>`;
}

/** Stores a suppression or consent for each number of a pasted text. */
function AddRules({ about, refresh }) {
  const { agentOptions } = useShared();
  const isSuppression = about === NUMBER_RULES.suppressions;
  const add = async ({ numbers, ...values }) => {
    const files = csvFiles(numbers);
    if (!files.length) throw new Error('Give at least one number.');
    const fields = Object.entries({ ...values, given_at: instantOf(values.given_at), expires_at: instantOf(values.expires_at) });
    const stored = [], ended = [];
    for (const file of files) {
      const form = new FormData();
      for (const [name, value] of fields) if (value) form.append(name, value);
      form.append('file', new File([file], 'numbers.csv', { type: 'text/csv' }));
      const answer = await api('POST', about.path, { form });
      stored.push(...(answer.suppressions || answer.consents));
      ended.push(...(answer.canceled_executions || []));
    }
    return `${plural(stored.length, about.one)} stored.${endedText(ended)}`;
  };
  return html`<${Card} title=${about.add}><${Form} act=${add} scope="operate" submit=${about.verb} done=${(text) => text} onDone=${refresh}>
    <${Field} label="Numbers" name="numbers" rows="4" required spellcheck="false" placeholder="+1 202 555 0143"
      hint="One per line, or a CSV whose first line names the columns." />
    ${isSuppression ? html`<${Field} label="Reason" name="reason" maxlength="200" placeholder="opted out" />`
    : html`<${Field} label="Given at" name="given_at" type="datetime-local" required hint="Your time." />
      <${Field} label="Proof" name="proof" maxlength="200" placeholder="form 4711" hint="Where it can be found." />`}
    <details><summary>Scope, source, expiry</summary>
      ${isSuppression && html`<${Field} label="Calls of" name="agent_id" options=${[['', 'every agent'], ...agentOptions]} />`}
      <${Field} label="Purpose" name="purpose" placeholder="any" />
      <${Field} label="Source" name="source" maxlength="200" placeholder="web form" />
      <${Field} label="Until" name="expires_at" type="datetime-local" hint="Your time. Empty: forever." />
    </details></${Form}></${Card}>`;
}

function NumberRules({ kind }) {
  const { agentName } = useShared();
  const about = NUMBER_RULES[kind];
  const [number, setNumber] = useState('');
  const asked = useSettled(number.trim());
  const live = usePages(about.path, { query: { phone_number: asked }, every: 8000 });
  const columns = [
    { name: 'Number', of: (row) => (row.last_four ? html`<span class="phone">…${row.last_four}</span>` : html`<span class="muted">erased</span>`) },
    { name: 'Covers', of: (row) => covers(row, agentName) },
    ...about.columns,
    { name: 'Source', of: (row) => row.source },
    { name: 'Until', of: timeOf('expires_at', { day: true }) },
    { name: 'Added', of: timeOf('created_at') },
  ];
  if (asked) columns.push({ name: 'Actions', of: (row) => html`<${RemoveRule} rule=${row} about=${about} number=${asked} refresh=${live.refresh} />` });
  return html`<${RulesPage} tab=${kind}><div class="plan">
    <${AddRules} about=${about} refresh=${live.refresh} />
    <${Card} title=${about.title} note=${about.note}>
      <${Field} label="Find a number" type="search" value=${number} placeholder="+1 202 555 0143" onValue=${setNumber}
        hint=${`Only the last digits of numbers are stored. Type a whole number to see and ${about.remove.toLowerCase()} its ${about.one}s.`} />
      <${PagedTable} of=${live} label=${about.title} columns=${columns} empty=${`There is no ${about.one}${asked ? ' for this number' : ''}.`} /></${Card}>
  </div></${RulesPage}>`;
}

// ---- the whole account ----

function AccountForm({ account }) {
  const { reload } = useShared();
  const [limits, setLimits] = useState(account.contact_limits);
  const [policy, setPolicy] = useState(account.defaults.policy || '');
  const save = () => api('PATCH', '/user/me', { body: { contact_limits: tidy(limits), policy: policy || null } });
  return html`<${Card} title="For the whole account" note="These apply to every call, in addition to the rules of its agent and policy.">
    <${Form} keep scope="admin" submit="Save" act=${save} done="Saved. It applies to every call within ten seconds." onDone=${reload}>
      <${LimitFields} value=${limits} onValue=${setLimits} />
      <fieldset class="rules"><legend>Default policy</legend>
        <${PolicyField} value=${policy} onValue=${setPolicy} none="None" hint="For calls whose request, batch and agent name none." /></fieldset>
    </${Form}></${Card}>`;
}

function AccountRules() {
  const live = useGet('/user/me', { every: 0 });
  return html`<${RulesPage} tab="account"><${Live} of=${live}>${(account) => html`<${AccountForm} account=${account} />`}</${Live}></${RulesPage}>`;
}

function Rules({ route: { parts: [tab, name], query } }) {
  if (tab === 'policy') return html`<${Policy} key=${name} name=${name} query=${query} />`;
  if (tab === 'edit') return html`<${EditPolicy} key=${name} name=${name} />`;
  if (tab === 'new') return html`<${NewPolicy} query=${query} />`;
  if (tab === 'presets') return html`<${Presets} />`;
  if (tab === 'account') return html`<${AccountRules} />`;
  return NUMBER_RULES[tab] ? html`<${NumberRules} key=${tab} kind=${tab} />` : html`<${Policies} />`;
}
