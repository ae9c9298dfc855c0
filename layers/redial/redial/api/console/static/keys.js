// Keys: list, create, revoke; and the audit log of every change.

const KEY_TABS = [['keys', 'Keys', '#/keys'], ['audit', 'Audit', '#/keys/audit']];
const SCOPES = [
  ['read', 'Read everything'], ['call', 'Make calls and batches'], ['operate', 'Stop, pause, replay, suppress'],
  ['admin', 'Change agents, keys, the account; delete'],
];

const KeysPage = ({ tab, children }) => html`<${Page} title="Keys and audit" tabs=${KEY_TABS} tab=${tab}>${children}</${Page}>`;

function NewKey({ onMade }) {
  const { agents, user } = useShared();
  const make = (values, form) => {
    const all = new FormData(form);
    const chosen = all.getAll('agents');
    return api('POST', '/keys', { body: {
      name: values.name.trim(),
      scopes: all.getAll('scopes'),
      agents: chosen.length ? chosen : undefined,
      numbers: values.numbers,
      quotas: { calls_a_day: Number(values.calls_a_day) || null, lines: Number(values.lines) || null },
    } });
  };
  return html`<${Card} title="New key" note="It can have at most the rights of your key. Rights never change: create another key, then revoke the first.">
    <${Form} act=${make} scope="admin" submit="Create key" done="Key created." onDone=${onMade}>
      <${Field} label="Name" name="name" required autocomplete="off" placeholder="dashboard" />
      <fieldset class="rules"><legend>It may</legend>${SCOPES.map(([scope, text]) => html`<${Field} key=${scope} name="scopes" value=${scope} type="checkbox"
        label=${html`<strong>${scope}</strong> <span class="muted">${text}</span>`} defaultChecked=${scope === 'read'}
        disabled=${!allows(user, scope)} />`)}</fieldset>
      <${Field} label="Phone numbers" name="numbers" options=${[['full', 'Shown'], ['masked', 'Masked in every response']]} />
      ${agents.length > 0 && html`<details><summary>Only some agents</summary><div class="checks">${agents.map((one) => html`
        <${Field} key=${one.agent_id} label=${one.agent_name} name="agents" value=${one.agent_id} type="checkbox" />`)}</div></details>`}
      <${Field} label="Maximum calls per day" name="calls_a_day" type="number" min="1" placeholder="any number" />
      <${Field} label="Maximum calls at once" name="lines" type="number" min="1" max="50" placeholder="as many as agents have lines" />
    </${Form}></${Card}>`;
}

/** The button that revokes a key, or a note that it is revoked. */
function Revoke({ row, isOwn, refresh }) {
  if (row.revoked_at) return html`<${Status} status="rejected" label="Revoked" />`;
  return html`<${Action} small danger scope="admin" disabled=${isOwn} act=${() => api('DELETE', `/keys/${row.id}`)}
    done=${`${row.name} was revoked.`} onDone=${refresh}
    confirm=${{ title: `Revoke ${row.name}?`, text: 'All requests with this key will be refused. This cannot be undone.', yes: 'Revoke' }}>Revoke</${Action}>`;
}

function Keys() {
  const { agentName, user } = useShared();
  const [made, setMade] = useState(null);
  const live = useGet('/keys', { every: 10000 });
  const isOwn = (row) => row.id === user.key?.id;
  const muted = (text) => html`<span class="muted">${text}</span>`;
  const most = (quota) => (quota ? count(quota) : muted('any'));
  const show = (key) => {
    setMade(key);
    live.refresh();
  };
  const columns = [
    { name: 'Name', of: (row) => html`${row.name}${isOwn(row) && html` ${muted('(this one)')}`}` },
    { name: 'May', of: (row) => row.scopes.join(', ') },
    { name: 'Agents', of: (row) => row.agents?.map(agentName).join(', ') || muted('all') },
    { name: 'Numbers', of: (row) => row.numbers },
    { name: 'Calls per day', number: true, of: (row) => most(row.quotas.calls_a_day) },
    { name: 'At once', number: true, of: (row) => most(row.quotas.lines) },
    { name: 'Last used', of: (row) => (row.last_used_at ? html`<${Time} at=${row.last_used_at} />` : muted('never')) },
    { name: 'State', of: (row) => html`<${Revoke} row=${row} isOwn=${isOwn(row)} refresh=${live.refresh} />` },
  ];
  const revokedLast = (rows) => [...rows].sort((one, other) => Boolean(one.revoked_at) - Boolean(other.revoked_at));
  return html`<${KeysPage} tab="keys"><div class="plan"><${NewKey} onMade=${show} /><div>
    ${made && html`<${Card} title=${`The key ${made.name}`} note="Copy it now: it is shown only here."
        actions=${html`<button type="button" onClick=${() => setMade(null)}>I have it</button>`}>
      <p><code class="break">${made.api_key}</code> <${Copy} text=${made.api_key} shown="Copy" /></p></${Card}>`}
    <${Card} title="API keys"><${Live} of=${live}>${(rows) => html`
      <${Table} label="API keys" rows=${revokedLast(rows)} columns=${columns} />`}</${Live}></${Card}></div></div></${KeysPage}>`;
}

const RESOURCE_SCREENS = { agent: ['agents'], batch: ['batches'], execution: ['executions'], policy: ['rules', 'policy'] };

function Resource({ of: { resource_type: type, resource_id: id } }) {
  const text = `${words(type)} ${id ? id.slice(0, 24) : ''}`;
  return id && RESOURCE_SCREENS[type] ? html`<a href=${link(...RESOURCE_SCREENS[type], id.split('@')[0])}>${text}</a>` : text;
}

function Changes({ of: { changes, details } }) {
  const text = (value) => (isEmpty(value) ? 'none' : valueText(value));
  return html`<ul class="changes">
    ${changes.map((one) => html`<li key=${one.field}><strong>${one.field}</strong> ${text(one.before)} → ${text(one.after)}</li>`)}
    ${Object.entries(details).map(([name, value]) => html`<li key=${name}><strong>${name}</strong> ${text(value)}</li>`)}</ul>`;
}

const AUDIT_COLUMNS = [
  { name: 'When', of: timeOf('at') },
  { name: 'Who', of: (row) => row.by },
  { name: 'What', of: (row) => words(row.operation) },
  { name: 'Resource', of: (row) => html`<${Resource} of=${row} />` },
  { name: 'Changes', of: (row) => html`<${Changes} of=${row} />` },
];

function Audit({ query }) {
  const input = (name) => ({ type: 'date', value: query[name] || '', onValue: (value) => setQuery({ [name]: value }) });
  const asked = { from: instantOf(query.from && `${query.from}T00:00`), to: instantOf(query.to && `${query.to}T23:59:59.999`) };
  const live = usePages('/audit', { query: asked, every: 8000 });
  const save = async () => download('audit.csv', await get('/audit.csv', { query: asked }));
  return html`<${KeysPage} tab="audit"><${Card} title="Audit"
    note="Who changed what, newest first. Calls are their own record. Records are never changed or removed."
      actions=${html`<${Action} scope="read" done="Exported." act=${save}>Export as CSV</${Action}>`}>
    <div class="row"><${Field} label="From" ...${input('from')} /><${Field} label="To" ...${input('to')} /></div>
    <${PagedTable} of=${live} label="Audit" empty="There were no changes in this period." columns=${AUDIT_COLUMNS} /></${Card}></${KeysPage}>`;
}

const KeysScreen = ({ route: { parts: [tab], query } }) => (tab === 'audit' ? html`<${Audit} query=${query} />` : html`<${Keys} />`);
