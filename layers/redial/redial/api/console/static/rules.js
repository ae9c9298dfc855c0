// Rules: policies with their versions and presets, suppressions, consents, and what holds for the whole account.
import { api, go, html, link, plural, setQuery, useLive, useShared, useState } from './lib.js';
import { Action, Card, Empty, Facts, Field, Form, Live, Page, Table, Tabs, Time } from './ui.js';
import { consentText, covers, HoursFields, hoursText, LimitFields, limitsText, PAGE, Pager, RetryFields, retryText, span, tidy, useSettled, Week, windowsOf } from './rulefields.js';

const TABS = [['policies', 'Policies'], ['presets', 'Presets'], ['suppressions', 'Suppressions'], ['consents', 'Consents'], ['account', 'Whole account']];
const MOST_AT_ONCE = 1000; // rows of one request

const Screen = ({ current, children }) => html`<${Page} title="Rules"><${Tabs} label="Kinds of rules" current=${current} of=${TABS.map(([id, text]) => ({ id, text, href: link('rules', id) }))} />${children}</${Page}>`;

/** What a policy or a preset says, with its week. */
const Rules = ({ of }) => html`${windowsOf(of.calling_guardrails) && html`<${Week} rule=${of.calling_guardrails} />`}<${Facts} of=${[
  ['Calling hours', hoursText(of.calling_guardrails)], ['Retries', retryText(of.retry_config)], ['Contact limits', limitsText(of.contact_limits)],
  ['Ends after', of.expires_after_minutes && span(of.expires_after_minutes)], ['Consent', of.consent_required ? consentText(of.consent_required) : null], ['Purpose', of.purpose]]} />`;

// ---- policies ----

function Policies() {
  const live = useLive((signal) => api('GET', '/policies', { signal }), [], 10000);
  return html`<${Screen} current="policies"><${Card} title="Policies" note="Named sets of rules for calls, batches and agents. A change makes a new version; calls keep the version that they were made with."
      actions=${html`<a class="button" href="#/rules/new">New policy</a>`}>
    <${Live} of=${live}>${(rows) => (rows.length ? html`<${Table} label="Policies" rows=${rows} rowKey=${(row) => row.name} href=${(row) => link('rules', 'policy', row.name)} columns=${[
    { name: 'Policy', of: (row) => row.policy }, { name: 'Calling hours', of: (row) => hoursText(row.calling_guardrails) }, { name: 'Retries', of: (row) => retryText(row.retry_config) || '–' },
    { name: 'Contact limits', of: (row) => limitsText(row.contact_limits) || '–' }, { name: 'Changed', of: (row) => html`<${Time} at=${row.created_at} />` }]} />`
    : html`<${Empty} title="There is no policy yet.">Start from <a href="#/rules/presets">a preset</a>, or from nothing.</${Empty}>`)}</${Live}></${Card}></${Screen}>`;
}

function Policy({ name, route }) {
  const latest = useLive((signal) => api('GET', `/policies/${encodeURIComponent(name)}`, { signal }), [name], 15000);
  const asked = Number(route.query.version) || null;
  const older = useLive(asked && ((signal) => api('GET', `/policies/${encodeURIComponent(name)}`, { signal, query: { version: asked } })), [name, asked], 0);
  const newest = latest.data && latest.data.version;
  return html`<${Page} title=${name} back=${{ href: '#/rules', text: 'Policies' }} actions=${html`<a class="button" href=${`${link('plan')}?policy=${encodeURIComponent(asked ? `${name}@${asked}` : name)}`}>Plan a call with it</a> <a class="button" href=${link('rules', 'edit', name)}>Change</a>`}>
    <${Live} of=${asked && asked !== newest ? older : latest}>${(policy) => html`<${Card} title=${policy.policy} note=${html`Made <${Time} at=${policy.created_at} day />${policy.preset && `, from the preset ${policy.preset}${policy.preset_as_of ? ` as of ${policy.preset_as_of}` : ''}`}`}
      actions=${newest > 1 && html`<label class="picker">Version <select value=${policy.version} onChange=${(event) => setQuery({ version: event.currentTarget.value })}>${Array.from({ length: newest }, (_, index) => newest - index).map((one) => html`<option key=${one} value=${one}>${one}${one === newest ? ', latest' : ''}</option>`)}</select></label>`}>
      <${Rules} of=${policy} />
      ${policy.holidays.length > 0 && html`<details><summary>${plural(policy.holidays.length, 'holiday')} without calls, known until ${policy.holidays_until}</summary><ul>${policy.holidays.map((one) => html`<li key=${one.date + one.region}>${one.date} ${one.name} <span class="muted">${one.region}</span></li>`)}</ul></details>`}
      </${Card}>`}</${Live}></${Page}>`;
}

const KEYS = ['calling_guardrails', 'contact_limits', 'expires_after_minutes', 'consent_required', 'purpose', 'retry_config'];

/** Fields of a policy. `before`: the version that is changed, or the preset's rules. */
function PolicyForm({ name, before, preset, version }) {
  const [rules, setRules] = useState(() => Object.fromEntries(KEYS.map((key) => [key, before[key] || null])));
  const set = (changes) => setRules((all) => ({ ...all, ...changes }));
  const consent = rules.consent_required;
  const save = (values) => {
    const sent = { ...rules, calling_guardrails: tidy(rules.calling_guardrails), contact_limits: tidy(rules.contact_limits) };
    // A preset fills in what is left out: what was removed here is no longer the preset's.
    const isWhole = preset && KEYS.every((key) => sent[key] || !before[key]);
    const body = Object.fromEntries([...KEYS.filter((key) => sent[key]).map((key) => [key, sent[key]]), ...(isWhole ? [['preset', preset]] : [])]);
    return api('PUT', `/policies/${encodeURIComponent(name || values.name)}`, { body, headers: version ? { 'If-Match': `"${version}"` } : { 'If-None-Match': '*' } });
  };
  return html`<${Card}><${Form} act=${save} scope="admin" submit="Save" keep done=${(made) => `${made.policy} is saved.`} onDone=${(made) => go('rules', 'policy', made.name)}>
    ${!name && html`<${Field} label="Name" name="name" required maxlength="40" pattern="[a-z0-9_\\-]+" defaultValue=${preset || ''} hint="Small letters, digits, _ and -." />`}
    <${HoursFields} value=${rules.calling_guardrails} onChange=${(value) => set({ calling_guardrails: value })} />
    <${LimitFields} value=${rules.contact_limits} onChange=${(value) => set({ contact_limits: value })} />
    <${RetryFields} value=${rules.retry_config} onChange=${(value) => set({ retry_config: value })} unset="As the call or the batch says" />
    <fieldset class="rules"><legend>Expiry, consent, purpose</legend><div class="row">
      <${Field} label="Calls end after minutes" type="number" min="1" max="525600" placeholder="never" value=${rules.expires_after_minutes ?? ''} onInput=${(event) => set({ expires_after_minutes: Number(event.currentTarget.value) || null })} />
      <${Field} label="Consent" value=${consent === true ? 'all' : consent ? 'some' : 'none'} options=${[['none', 'Not required'], ['all', 'Of every number'], ['some', 'In some countries']]} onChange=${(event) => set({ consent_required: { none: null, all: true, some: [] }[event.currentTarget.value] })} />
      ${Array.isArray(consent) && html`<${Field} label="Countries" required placeholder="FR, DE" defaultValue=${consent.join(', ')} onChange=${(event) => set({ consent_required: event.currentTarget.value.toUpperCase().split(/[\s,]+/).filter(Boolean) })} />`}
      <${Field} label="Purpose" placeholder="none" value=${rules.purpose ?? ''} onInput=${(event) => set({ purpose: event.currentTarget.value || null })} />
    </div></fieldset>
  </${Form}></${Card}>`;
}

function Edit({ name }) {
  const live = useLive((signal) => api('GET', `/policies/${encodeURIComponent(name)}`, { signal }), [name], 0);
  return html`<${Page} title=${`Change ${name}`} back=${{ href: link('rules', 'policy', name), text: name }}>
    <p class="muted">Saving makes the next version. Calls and batches that exist keep theirs; an agent keeps its own until it is given another.</p>
    <${Live} of=${live}>${(policy) => html`<${PolicyForm} key=${policy.policy} name=${name} before=${policy} preset=${policy.preset} version=${policy.version} />`}</${Live}></${Page}>`;
}

function New({ route }) {
  const live = useLive((signal) => api('GET', '/policies/presets', { signal }), [], 0);
  const { preset } = route.query;
  return html`<${Page} title="New policy" back=${{ href: '#/rules', text: 'Policies' }}><${Live} of=${live}>${(presets) => {
    const found = presets.find((one) => one.name === preset);
    return html`<div class="row"><${Field} label="Start from" value=${preset || ''} onChange=${(event) => setQuery({ preset: event.currentTarget.value })} options=${[['', 'Nothing'], ...presets.map((one) => [one.name, one.title])]} /></div>
      ${found && html`<${Source} of=${found} />`}
      <${PolicyForm} key=${preset} before=${found ? found.rules : {}} preset=${found && found.name} />`;
  }}</${Live}></${Page}>`;
}

const Source = ({ of }) => of.source && html`<${Facts} of=${[['Source', of.url && of.url.startsWith('https://') ? html`<a href=${of.url} target="_blank" rel="noreferrer">${of.source}</a>` : of.source],
  ['Compared with it', of.as_of], ['Again by', of.review_by], ['Not covered', of.not_covered]]} />`;

function Presets() {
  const live = useLive((signal) => api('GET', '/policies/presets', { signal }), [], 0);
  return html`<${Screen} current="presets"><p class="muted">Rules to start from. They apply nowhere by themselves, and they are not legal advice.</p>
    <${Live} of=${live}>${(presets) => html`<div class="grid presets">${presets.map((one) => html`<${Card} key=${one.name} title=${one.title} actions=${html`<a class="button" href=${`#/rules/new?preset=${one.name}`} aria-label=${`Make a policy from ${one.name}`}>Use</a>`}>
      <${Rules} of=${one.rules} /><${Source} of=${one} /></${Card}>`)}</div>`}</${Live}></${Screen}>`;
}

// ---- suppressions and consents ----

/** Rows of a pasted text: a CSV with a header that names phone_number or contact_number, else a number on each line. */
function parts(text) {
  const lines = text.split(/\r?\n/).map((line) => line.trim()).filter(Boolean);
  const hasHeader = lines.length > 0 && /phone_number|contact_number/i.test(lines[0]);
  const [header, rows] = hasHeader ? [lines[0], lines.slice(1)] : ['phone_number', lines.map((line) => `"${line.replaceAll('"', '')}"`)];
  return Array.from({ length: Math.ceil(rows.length / MOST_AT_ONCE) }, (_, index) => [header, ...rows.slice(index * MOST_AT_ONCE, (index + 1) * MOST_AT_ONCE)].join('\n'));
}

const instant = (local) => (local ? new Date(local).toISOString() : undefined);

const KINDS = {
  suppressions: { title: 'Suppressions', one: 'suppression', verb: 'Suppress', remove: 'Remove', note: 'Numbers that are not called. Waiting and ringing calls to them end at once.' },
  consents: { title: 'Consents', one: 'consent', verb: 'Store', remove: 'Withdraw', note: 'Numbers that may be called, where an agent or a policy requires a consent.' },
};

function NumberRules({ kind }) {
  const { agents } = useShared();
  const about = KINDS[kind];
  const isSuppression = kind === 'suppressions';
  const [number, setNumber] = useState('');
  const [page, setPage] = useState(1);
  const asked = useSettled(number.trim());
  const live = useLive((signal) => api('GET', `/${kind}`, { signal, query: { phone_number: asked, page_number: page, page_size: PAGE } }), [kind, asked, page], 8000);
  const nameOf = (id) => (agents.find((one) => one.agent_id === id) || { agent_name: id }).agent_name;
  const add = async (values) => {
    const files = parts(values.numbers);
    if (!files.length) throw new Error('Give at least one number.');
    const fields = { ...values, numbers: '', given_at: instant(values.given_at), expires_at: instant(values.expires_at) };
    let stored = 0, ended = 0;
    for (const file of files) {
      const form = new FormData();
      for (const [name, value] of Object.entries(fields)) if (value) form.append(name, value);
      form.append('file', new File([file], 'numbers.csv', { type: 'text/csv' }));
      const answer = await api('POST', `/${kind}`, { form });
      stored += answer[kind].length;
      ended += (answer.canceled_executions || []).length;
    }
    live.refresh();
    return { stored, ended };
  };
  const columns = [
    { name: 'Number', of: (row) => (row.last_four ? html`<span class="phone">…${row.last_four}</span>` : html`<span class="muted">erased</span>`) },
    { name: 'Covers', of: (row) => covers(row, nameOf) },
    isSuppression ? { name: 'Reason', of: (row) => row.reason || '–' } : { name: 'Given', of: (row) => html`<${Time} at=${row.given_at} day />` },
    ...(isSuppression ? [] : [{ name: 'Proof', of: (row) => row.proof || '–' }]),
    { name: 'Source', of: (row) => row.source || '–' }, { name: 'Until', of: (row) => (row.expires_at ? html`<${Time} at=${row.expires_at} day />` : '–') },
    { name: 'Added', of: (row) => html`<${Time} at=${row.created_at} />` },
    ...(asked ? [{ name: 'Actions', of: (row) => html`<${Action} small danger scope="operate" act=${() => api('DELETE', `/${kind}`, { query: { phone_number: asked, agent_id: row.agent_id, purpose: row.purpose } })} onDone=${live.refresh}
      done=${(answer) => `The ${about.one} is removed.${endedText(answer.canceled_executions.length)}`} confirm=${{ title: `${about.remove} this ${about.one}?`, text: isSuppression ? `${asked} may be called again (${covers(row, nameOf).toLowerCase()}).` : `Calls to ${asked} that need it end at once.`, yes: about.remove }}>${about.remove}</${Action}>` }] : []),
  ];
  return html`<${Screen} current=${kind}><div class="plan">
    <${Card} title=${isSuppression ? 'Suppress numbers' : 'Store consents'}><${Form} act=${add} scope="operate" submit=${about.verb} done=${({ stored, ended }) => `${plural(stored, about.one)} stored.${endedText(ended)}`}>
      <${Field} label="Numbers" name="numbers" rows="4" required spellcheck="false" placeholder="+1 202 555 0143" hint="One on each line, or a CSV whose first line names the columns." />
      ${isSuppression ? html`<${Field} label="Reason" name="reason" maxlength="200" placeholder="opted out" />`
    : html`<${Field} label="Given at" name="given_at" type="datetime-local" required hint="Your time." /><${Field} label="Proof" name="proof" maxlength="200" placeholder="form 4711" hint="Where it can be found." />`}
      <details><summary>What it covers, until when</summary>
        ${isSuppression && html`<${Field} label="Calls of" name="agent_id" options=${[['', 'every agent'], ...agents.map((one) => [one.agent_id, one.agent_name])]} />`}
        <${Field} label="Purpose" name="purpose" placeholder="any" /><${Field} label="Source" name="source" maxlength="200" placeholder="web form" /><${Field} label="Until" name="expires_at" type="datetime-local" hint="Your time. Empty: for ever." />
      </details></${Form}></${Card}>
    <${Card} title=${about.title} note=${about.note}>
      <${Field} label="Find a number" type="search" value=${number} placeholder="+1 202 555 0143" onInput=${(event) => { setNumber(event.currentTarget.value); setPage(1); }} hint=${`Only the last digits of numbers are kept. Type a whole number to see and ${about.remove.toLowerCase()} its ${about.one}s.`} />
      <${Live} of=${live}>${(rows) => html`<${Table} label=${about.title} rows=${rows} rowKey=${(row) => row.id} columns=${columns} empty=${asked ? `There is no ${about.one} of this number.` : page === 1 ? `There is no ${about.one}.` : 'There are no more.'} /><${Pager} page=${page} rows=${rows.length} onPage=${setPage} />`}</${Live}></${Card}>
  </div></${Screen}>`;
}

const endedText = (number) => (number ? ` ${plural(number, 'call')} ended.` : '');
// ---- the whole account ----

function AccountForm({ account, policies }) {
  const { reload } = useShared();
  const [limits, setLimits] = useState(account.contact_limits);
  const [policy, setPolicy] = useState(account.defaults.policy || '');
  const choices = [...new Set([account.defaults.policy, ...policies.map((one) => one.policy)].filter(Boolean))];
  return html`<${Card} title="For the whole account" note="These hold for every call, beside the rules of its agent and policy."><${Form} keep scope="admin" submit="Save" done="Saved. It holds for every call within ten seconds." onDone=${reload}
      act=${() => api('PATCH', '/user/me', { body: { contact_limits: tidy(limits), policy: policy || null } })}>
    <${LimitFields} value=${limits} onChange=${setLimits} />
    <fieldset class="rules"><legend>Default policy</legend><${Field} label="Policy" value=${policy} onChange=${(event) => setPolicy(event.currentTarget.value)} options=${[['', 'None'], ...choices.map((one) => [one, one])]} hint="For calls whose request, batch and agent name none." /></fieldset>
  </${Form}></${Card}>`;
}

function Account() {
  const live = useLive(() => Promise.all([api('GET', '/user/me'), api('GET', '/policies')]), [], 0);
  return html`<${Screen} current="account"><${Live} of=${live}>${([account, policies]) => html`<${AccountForm} account=${account} policies=${policies} />`}</${Live}></${Screen}>`;
}

export default function RulesScreen({ route }) {
  const [tab = 'policies', name] = route.parts;
  if (tab === 'policy') return html`<${Policy} key=${name} name=${name} route=${route} />`;
  if (tab === 'edit') return html`<${Edit} key=${name} name=${name} />`;
  if (tab === 'new') return html`<${New} route=${route} />`;
  if (tab === 'presets') return html`<${Presets} />`;
  if (KINDS[tab]) return html`<${NumberRules} key=${tab} kind=${tab} />`;
  if (tab === 'account') return html`<${Account} />`;
  return html`<${Policies} />`;
}
