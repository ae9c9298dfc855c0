// The API, the page's address, live data, the viewer's settings, and text for times, numbers and durations.
import { html, render, createContext, useCallback, useContext, useEffect, useMemo, useRef, useState } from './vendor.js';

// ---- the key: kept until the tab is closed ----

const KEY = 'redial.key';
const savedKey = () => sessionStorage.getItem(KEY);
const saveKey = (key) => sessionStorage.setItem(KEY, key);
const forgetKey = () => sessionStorage.removeItem(KEY);

// ---- the API ----

/** A response that is not a success. `status` 0: there was no response. `errors`: [{field, message}]. */
class ApiError extends Error {
  constructor(status, message, errors = []) {
    super(message);
    this.status = status;
    this.errors = errors;
  }
}

let onUnauthorized = () => {};
const whenUnauthorized = (action) => { onUnauthorized = action; };

// Keeps the byte-order mark of a file.
const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });
let skew = 0;
const LAG = 5000;
/** The API's time, in milliseconds. The local stack's clock can be ahead of the browser's, and a browser's can be wrong. */
const now = () => Date.now() + skew;

/** Send a request. `body` is sent as JSON, `form` (FormData) unchanged; empty values of `query` are left out.
 * Returns parsed JSON, or text for other media types; with `whole`: {value, headers}. Raises ApiError. */
async function api(method, path, { body, form, query, headers, signal, whole, key = savedKey() } = {}) {
  const asked = new URLSearchParams(Object.entries(query || {}).filter(([, value]) => !isEmpty(value)));
  const sent = { Authorization: `Bearer ${key}`, ...headers };
  if (body !== undefined) sent['Content-Type'] = 'application/json';
  const limit = AbortSignal.timeout(35000);
  let answer, text;
  try {
    answer = await fetch(path + (asked.size ? `?${asked}` : ''), {
      method,
      headers: sent,
      body: form || (body === undefined ? undefined : JSON.stringify(body)),
      credentials: 'omit',
      cache: 'no-store',
      signal: signal ? AbortSignal.any([signal, limit]) : limit,
    });
    text = utf8.decode(await answer.arrayBuffer());
  } catch (failure) {
    if (signal && signal.aborted) throw failure;
    throw new ApiError(0, failure.name === 'TimeoutError' ? 'The API did not answer within 35 seconds.'
      : 'The API cannot be reached. Check the connection.');
  }
  const ahead = Date.parse(answer.headers.get('date')) - Date.now();
  if (!Number.isNaN(ahead)) skew = Math.abs(ahead) > LAG ? ahead : 0;
  const json = (answer.headers.get('content-type') || '').includes('json');
  const value = json && text ? JSON.parse(text) : text;
  if (answer.ok) return whole ? { value, headers: answer.headers } : value;
  if (answer.status === 401) onUnauthorized();
  throw new ApiError(answer.status, value?.message || `The API answered ${answer.status}.`, value?.errors);
}

const get = (path, options) => api('GET', path, options);

/** One part of a listing: {value, next, total}. `next`: the cursor of the next part; null at the end. */
async function part(path, { query, signal } = {}) {
  const { value, headers } = await api('GET', path, { query, signal, whole: true });
  const [, next] = (headers.get('link') || '').match(/[?&]cursor=([^&>]+)/) || [];
  const total = headers.get('x-total-count');
  return { value, next: next ? decodeURIComponent(next) : null, total: total === null ? null : Number(total) };
}

/** All rows of a listing, read in pages of `size` rows; about `most` rows at most. */
async function pages(path, { size = 100, most = 1000 } = {}) {
  const all = [];
  for (let page = 1; all.length < most; page++) {
    const found = await get(path, { query: { page_number: page, page_size: size } });
    all.push(...found);
    if (found.length < size) break;
  }
  return all;
}

const HIDDEN_FOR = 1000;

/** Live data: calls `load(signal)` now and every `every` milliseconds while the page is visible, less often after
 * failures. Loads again when one of `inputs` changes. `load` null: nothing is loaded.
 * Returns {data, error, loading, refresh}; a failure keeps `data`. */
function useLive(load, inputs = [], every = 4000) {
  const [state, setState] = useState({ data: undefined, error: null, loading: true });
  const again = useRef(() => {});
  useEffect(() => {
    setState({ data: undefined, error: null, loading: Boolean(load) });
    if (!load) return undefined;
    const stop = new AbortController();
    let timer = 0, failures = 0, running = false, asked = false;
    const run = async () => {
      clearTimeout(timer);
      // The response of a running request may be outdated.
      if (running) { asked = true; return; }
      if (document.hidden) { timer = setTimeout(run, HIDDEN_FOR); return; }
      running = true;
      try {
        const data = await load(stop.signal);
        failures = 0;
        if (!stop.signal.aborted) setState({ data, error: null, loading: false });
      } catch (error) {
        if (stop.signal.aborted) return;
        failures++;
        setState((before) => ({ ...before, error, loading: false }));
      } finally {
        running = false;
      }
      if (stop.signal.aborted) return;
      if (asked) { asked = false; run(); } else if (every) timer = setTimeout(run, Math.min(every * 2 ** failures, 60000));
    };
    again.current = run;
    run();
    return () => { stop.abort(); clearTimeout(timer); };
  }, inputs);
  return { ...state, refresh: useCallback(() => again.current(), []) };
}

/** Live data from a GET. `load`: `get`, or `part` for a part of a listing. `path` empty: nothing is loaded. */
function useGet(path, { query, every, load = get } = {}) {
  return useLive(path && ((signal) => load(path, { query, signal })), [path, JSON.stringify(query), every], every);
}

/** The value, once it has not changed for a moment. */
function useSettled(value, milliseconds = 400) {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), milliseconds);
    return () => clearTimeout(timer);
  }, [value]);
  return settled;
}

// ---- the page's address: #/screen/part?name=value ----

function readRoute() {
  const [path, query = ''] = location.hash.replace(/^#\/?/, '').split('?');
  const [screen = '', ...parts] = path.split('/').map(decodeURIComponent);
  return { screen: screen || 'now', parts, query: Object.fromEntries(new URLSearchParams(query)) };
}

const link = (...parts) => `#/${parts.map(encodeURIComponent).join('/')}`;
const go = (...parts) => { location.hash = link(...parts); };
const withQuery = (address, query) => {
  const said = new URLSearchParams(Object.entries(query).filter(([, value]) => value));
  return address + (said.size ? `?${said}` : '');
};

/** Change the query of the address without a new history entry. */
function setQuery(changes) {
  const { screen, parts, query } = readRoute();
  history.replaceState(null, '', withQuery(link(screen, ...parts), { ...query, ...changes }));
  dispatchEvent(new HashChangeEvent('hashchange'));
}

// ---- the viewer's settings, and the context that all screens share ----

/** {user, agents, agentOptions, agentName, agent, setAgent, zone, notify, reload}. `agentName(id)` returns the id for a
 * deleted agent. `zone`: "recipient", "viewer" or "utc". */
const Shared = createContext(null);
const useShared = () => useContext(Shared);

/** Whether the key has `scope`. */
const allows = (user, scope) => !scope || !user?.key || user.key.scopes.includes(scope);

function useSetting(name, initial) {
  const [value, setValue] = useState(() => localStorage.getItem(`redial.${name}`) || initial);
  return [value, (next) => { localStorage.setItem(`redial.${name}`, next); setValue(next); }];
}

// ---- executions ----

const WAITING = ['queued', 'scheduled', 'rescheduled'];
const LIVE = ['initiated', 'ringing', 'in-progress', 'call-disconnected'];
const FINAL = ['completed', 'no-answer', 'busy', 'failed', 'canceled', 'stopped', 'error', 'balance-low'];
const STATUSES = [...WAITING, ...LIVE, ...FINAL];

/** The data about the called person, from the call or its row of a file. */
const recipientData = (execution) => execution.context_details.recipient_data || {};
const dialled = (execution) => execution.attempts.filter((attempt) => attempt.dialed_at).length;

// ---- text ----

const isEmpty = (value) => value === undefined || value === null || value === '';

const HERE = Intl.DateTimeFormat().resolvedOptions().timeZone;
const formats = new Map();
function format(zone, options) {
  const name = zone + JSON.stringify(options);
  if (!formats.has(name)) formats.set(name, new Intl.DateTimeFormat('en-GB', { timeZone: zone, ...options }));
  return formats.get(name);
}
const DAY = { weekday: 'short', day: 'numeric', month: 'short' };
const CLOCK = { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' };
const WEEKDAYS = { mon: 'Mon', tue: 'Tue', wed: 'Wed', thu: 'Thu', fri: 'Fri', sat: 'Sat', sun: 'Sun' };
const DAY_MS = 86400000;
const two = (number) => String(number).padStart(2, '0');

const ms = (at) => (at ? Date.parse(at) : null);

/** A typed local time in the API's format; undefined if empty. */
const instantOf = (local) => (local ? new Date(local).toISOString() : undefined);

/** The day of a time in UTC, "2026-11-29". */
const dayOf = (at) => new Date(at).toISOString().slice(0, 10);

/** "Sun 29 Nov 14:05" in `zone`; only the time of day if it is today. */
function timeText(at, zone = HERE, { seconds = false, day } = {}) {
  const when = new Date(at);
  const clock = format(zone, seconds ? { ...CLOCK, second: '2-digit' } : CLOCK).format(when);
  const date = format(zone, DAY);
  const shown = day ?? date.format(when) !== date.format(new Date(now()));
  return shown ? `${date.format(when).replace(',', '')} ${clock}` : clock;
}

const zoneName = (zone) => zone.split('/').pop().replaceAll('_', ' ');

/** A time in a zone and in the viewer's zone. */
const inBothZones = (at, zone) => [...new Set([zone, HERE])]
  .map((one) => timeText(at, one, { day: true }) + (zone === HERE ? '' : ` ${zoneName(one)}`)).join(', ');

const wholeNumber = new Intl.NumberFormat('en');
const count = (number) => (isEmpty(number) ? '–' : wholeNumber.format(number));
const plural = (number, one, many = `${one}s`) => `${count(number)} ${number === 1 ? one : many}`;
const percent = (share, digits = 1) => (isEmpty(share) ? '–' : `${(100 * share).toFixed(digits)} %`);

/** Seconds as text: "3 h 20 min", "45 s". */
function duration(seconds) {
  const all = Math.max(0, Math.round(seconds));
  if (all < 60) return `${all} s`;
  const minutes = Math.round(all / 60);
  if (minutes < 60) return all < 600 && all % 60 ? `${Math.floor(all / 60)} min ${all % 60} s` : `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  return `${Math.round(hours / 24)} days`;
}

/** "in 12 min", "3 min ago". */
function fromNow(at) {
  const seconds = (new Date(at) - now()) / 1000;
  if (Math.abs(seconds) < 5) return 'now';
  return seconds > 0 ? `in ${duration(seconds)}` : `${duration(-seconds)} ago`;
}

/** A value of any kind as text. */
const valueText = (value) => (typeof value === 'string' ? value : JSON.stringify(value));

const sentence = (text) => (text ? text[0].toUpperCase() + text.slice(1) : '');

/** A name on the wire as people write it: "no-answer" → "No answer". */
const words = (name) => (name ? sentence(name.replaceAll(/[-_]/g, ' ')) : '–');
