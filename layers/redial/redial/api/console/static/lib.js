// The API, the page's address, live data, settings of the viewer, and text for times, numbers and durations.
import { html, render, createContext, useCallback, useContext, useEffect, useMemo, useRef, useState } from './vendor.js';

export { html, render, createContext, useCallback, useContext, useEffect, useMemo, useRef, useState };

// ---- the key: kept until the tab is closed ----

const KEY = 'redial.key';
export const savedKey = () => sessionStorage.getItem(KEY);
export const saveKey = (key) => sessionStorage.setItem(KEY, key);
export const forgetKey = () => sessionStorage.removeItem(KEY);

// ---- the API ----

/** An answer that is not a success. `status` 0: no answer. `errors`: [{field, message}]. */
export class ApiError extends Error {
  constructor(status, message, errors = []) {
    super(message);
    this.status = status;
    this.errors = errors;
  }
}

let onUnauthorized = () => {};
export const whenUnauthorized = (action) => { onUnauthorized = action; };

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true }); // keeps the byte-order mark of a file
let skew = 0;
const LAG = 5000;
/** The API's time, in milliseconds. The local stack's clock can be ahead of the browser's, and a browser's can be wrong. */
export const now = () => Date.now() + skew;

/** One request. `body` is sent as JSON, `form` (FormData) as it is; `query` leaves out what is empty.
 * Returns parsed JSON, or text for other media types; `whole`: {value, headers}. Raises ApiError. */
export async function api(method, path, { body, form, query, headers, signal, whole, key = savedKey() } = {}) {
  const asked = new URLSearchParams(Object.entries(query || {}).filter(([, value]) => value !== undefined && value !== null && value !== ''));
  const sent = { Authorization: `Bearer ${key}`, ...headers };
  if (body !== undefined) sent['Content-Type'] = 'application/json';
  const limit = AbortSignal.timeout(35000);
  let answer, text;
  try {
    answer = await fetch(path + (asked.size ? `?${asked}` : ''), {
      method, headers: sent, body: form || (body === undefined ? undefined : JSON.stringify(body)), credentials: 'omit', cache: 'no-store',
      signal: signal ? AbortSignal.any([signal, limit]) : limit,
    });
    text = utf8.decode(await answer.arrayBuffer());
  } catch (failure) {
    if (signal && signal.aborted) throw failure;
    throw new ApiError(0, failure.name === 'TimeoutError' ? 'The API did not answer within 35 seconds.' : 'The API cannot be reached. Check the connection.');
  }
  const ahead = Date.parse(answer.headers.get('date')) - Date.now();
  if (!Number.isNaN(ahead)) skew = Math.abs(ahead) > LAG ? ahead : 0;
  const json = (answer.headers.get('content-type') || '').includes('json');
  const value = json && text ? JSON.parse(text) : text;
  if (answer.ok) return whole ? { value, headers: answer.headers } : value;
  if (answer.status === 401) onUnauthorized();
  throw new ApiError(answer.status, (value && value.message) || `The API answered ${answer.status}.`, (value && value.errors) || []);
}

/** One part of a listing: {value, next, total}. `next`: where the next part begins (a cursor), null at the end. */
export async function part(path, { query, signal } = {}) {
  const { value, headers } = await api('GET', path, { query, signal, whole: true });
  const [, next] = (headers.get('link') || '').match(/[?&]cursor=([^&>]+)/) || [];
  const total = headers.get('x-total-count');
  return { value, next: next ? decodeURIComponent(next) : null, total: total === null ? null : Number(total) };
}

/** Every page of a listing whose pages have `page_size` rows; at most `most` rows. */
export async function pages(path, { query, size = 100, most = 1000, rows = (answer) => answer } = {}) {
  const all = [];
  for (let page = 1; all.length < most; page++) {
    const found = rows(await api('GET', path, { query: { ...query, page_number: page, page_size: size } }));
    all.push(...found);
    if (found.length < size) break;
  }
  return all;
}

const HIDDEN_FOR = 1000;

/** Live data: `load(signal)` now and every `every` milliseconds while the page is visible, less often after failures.
 * Loads anew when one of `inputs` changes. `load` null: nothing is loaded.
 * Returns {data, error, loading, refresh}; after a failure `data` stays what it was. */
export function useLive(load, inputs = [], every = 4000) {
  const [state, setState] = useState({ data: undefined, error: null, loading: true });
  const again = useRef(() => {});
  useEffect(() => {
    if (!load) { setState({ data: undefined, error: null, loading: false }); return undefined; }
    const stop = new AbortController();
    let timer = 0, failures = 0, running = false, asked = false;
    setState({ data: undefined, error: null, loading: true });
    const run = async () => {
      clearTimeout(timer);
      if (running) { asked = true; return; } // what it answers may be of before
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

// ---- the page's address: #/screen/part?name=value ----

export function readRoute() {
  const [path, query = ''] = location.hash.replace(/^#\/?/, '').split('?');
  const [screen = '', ...parts] = path.split('/').map(decodeURIComponent);
  return { screen: screen || 'now', parts, query: Object.fromEntries(new URLSearchParams(query)) };
}

export const link = (...parts) => `#/${parts.map(encodeURIComponent).join('/')}`;
export const go = (...parts) => { location.hash = link(...parts); };

/** Changes the query of the address without a new entry in the history. */
export function setQuery(changes) {
  const route = readRoute();
  const query = new URLSearchParams(Object.entries({ ...route.query, ...changes }).filter(([, value]) => value));
  history.replaceState(null, '', link(route.screen, ...route.parts) + (query.size ? `?${query}` : ''));
  dispatchEvent(new HashChangeEvent('hashchange'));
}

// ---- the viewer's settings, and what all screens share ----

/** {user, agents, agent, setAgent, zone, notify, reload}. `zone`: "recipient", "viewer" or "utc". */
export const Shared = createContext(null);
export const useShared = () => useContext(Shared);

/** May the key do what needs `scope`? */
export const allows = (user, scope) => !scope || !user || !user.key || user.key.scopes.includes(scope);

export function useSetting(name, initial) {
  const [value, setValue] = useState(() => localStorage.getItem(`redial.${name}`) || initial);
  return [value, (next) => { localStorage.setItem(`redial.${name}`, next); setValue(next); }];
}

// ---- text ----

export const HERE = Intl.DateTimeFormat().resolvedOptions().timeZone;
const formats = new Map();
function format(zone, options) {
  const name = zone + JSON.stringify(options);
  if (!formats.has(name)) formats.set(name, new Intl.DateTimeFormat('en-GB', { timeZone: zone, ...options }));
  return formats.get(name);
}
const DAY = { weekday: 'short', day: 'numeric', month: 'short' };
const CLOCK = { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' };

/** "Sun 29 Nov 14:05" in `zone`; only the time of day where that is today. */
export function timeText(at, zone = HERE, { seconds = false, day } = {}) {
  const when = new Date(at);
  const clock = format(zone, seconds ? { ...CLOCK, second: '2-digit' } : CLOCK).format(when);
  const date = format(zone, DAY);
  const shown = day ?? date.format(when) !== date.format(new Date(now()));
  return shown ? `${date.format(when).replace(',', '')} ${clock}` : clock;
}

export const zoneName = (zone) => (zone === 'UTC' ? 'UTC' : zone.split('/').pop().replaceAll('_', ' '));

const whole = new Intl.NumberFormat('en');
export const count = (number) => (number === null || number === undefined ? '–' : whole.format(number));
export const plural = (number, one, many = `${one}s`) => `${count(number)} ${number === 1 ? one : many}`;
export const percent = (share, digits = 1) => (share === null || share === undefined ? '–' : `${(100 * share).toFixed(digits)} %`);

/** "3 h 20 min", "45 s"; from seconds. */
export function duration(seconds) {
  const all = Math.max(0, Math.round(seconds));
  if (all < 60) return `${all} s`;
  const minutes = Math.round(all / 60);
  if (minutes < 60) return all < 600 && all % 60 ? `${Math.floor(all / 60)} min ${all % 60} s` : `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  return `${Math.round(hours / 24)} days`;
}

/** "in 12 min", "3 min ago". */
export function fromNow(at) {
  const seconds = (new Date(at) - now()) / 1000;
  if (Math.abs(seconds) < 5) return 'now';
  return seconds > 0 ? `in ${duration(seconds)}` : `${duration(-seconds)} ago`;
}

/** Words of the wire as people write them: "no-answer" → "No answer". */
export const words = (name) => (name ? name[0].toUpperCase() + name.slice(1).replaceAll(/[-_]/g, ' ') : '–');
