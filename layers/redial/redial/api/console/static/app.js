// The frame: sign-in, navigation, the viewer's settings, messages.

const SCREENS = [
  ['now', 'Now', Now, 'M12 7v5l3 2M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18'],
  ['batches', 'Batches', Batches, 'M4 6h16M4 12h16M4 18h10'],
  ['executions', 'Calls', Calls, 'M6 3h3l2 5-2.5 1.5a11 11 0 0 0 6 6L16 13l5 2v3a3 3 0 0 1-3 3A15 15 0 0 1 3 6a3 3 0 0 1 3-3'],
  ['learn', 'Learn', Learn, 'M4 20V10M10 20V4M16 20v-7M21 20H3'],
  ['plan', 'Plan', Plan, 'M4 12h4l3-7 3 14 3-7h3'],
  ['rules', 'Rules', Rules, 'M12 3l8 3v6c0 5-3.5 8-8 9-4.5-1-8-4-8-9V6z'],
  ['webhooks', 'Webhooks', Webhooks, 'M5 12h10M11 8l4 4-4 4M19 5v14'],
  ['numbers', 'Numbers', Numbers, 'M9 4L7 20M17 4l-2 16M4 9h16M4 15h16'],
  ['agents', 'Agents', Agents, 'M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8M4 21a8 8 0 0 1 16 0'],
  ['keys', 'Keys', KeysScreen, 'M15 7a4 4 0 1 0 0 .01M12 10l-8 8v3h4v-3h3v-3'],
];

const KEY_HINT = html`It stays in this tab and is forgotten when you close it. With <code>make run</code> it is <code>local-dev-key</code>.`;

function SignIn({ message, onKey }) {
  const check = async (values) => {
    const key = values.key.trim();
    await get('/user/me', { key });
    return key;
  };
  return html`<main class="sign-in"><div class="card">
    <${Brand} />
    <h1>Sign in</h1>
    ${message && html`<p class="failure" role="alert">${message}</p>`}
    <${Shared.Provider} value=${{}}><${Form} keep submit="Sign in" act=${check} onDone=${onKey}>
      <${Field} label="API key" name="key" type="password" required autofocus autocomplete="off" spellcheck="false" placeholder="rdl_…" hint=${KEY_HINT} />
    </${Form}></${Shared.Provider}>
  </div></main>`;
}

const Brand = () => html`<span class="brand"><svg viewBox="0 0 32 32" aria-hidden="true"><rect width="32" height="32" rx="8" />
  <path d="M22.5 11.5A8 8 0 1 0 24 16M23.6 6.5v5.6H18" /></svg>Redial</span>`;

const ZONES = [['recipient', 'Theirs'], ['viewer', 'Yours'], ['utc', 'UTC']];
const THEMES = [['auto', 'Auto'], ['light', 'Light'], ['dark', 'Dark']];

function Frame({ user, agents, reload, signOut }) {
  const [route, setRoute] = useState(readRoute);
  const [zone, setZone] = useSetting('zone', 'recipient');
  const [theme, setTheme] = useSetting('theme', 'auto');
  const [chosen, setAgent] = useSetting('agent', '');
  const [messages, setMessages] = useState([]);
  const menu = useRef();
  useEffect(() => {
    // On wide screens, the menu is always open.
    const wide = matchMedia('(min-width: 60rem)');
    const fit = () => { menu.current.open = wide.matches; };
    const changed = () => {
      setRoute(readRoute());
      fit();
    };
    wide.addEventListener('change', fit);
    addEventListener('hashchange', changed);
    changed();
    return () => {
      wide.removeEventListener('change', fit);
      removeEventListener('hashchange', changed);
    };
  }, []);
  useEffect(() => { document.documentElement.dataset.theme = theme; }, [theme]);
  const [, , Screen] = SCREENS.find(([name]) => name === route.screen) || [];
  const notify = useCallback((text, tone = 'good') => {
    const id = Math.random();
    setMessages((all) => [...all.slice(-3), { id, text, tone }]);
    setTimeout(() => setMessages((all) => all.filter((one) => one.id !== id)), tone === 'bad' ? 12000 : 5000);
  }, []);
  const shared = useMemo(() => {
    const agentOptions = agents.map((one) => [one.agent_id, one.agent_name]);
    const agentName = (id) => agents.find((one) => one.agent_id === id)?.agent_name || id;
    const agent = agents.find((one) => one.agent_id === chosen) || agents[0] || null;
    return { user, agents, agentOptions, agentName, agent, setAgent, zone, notify, reload };
  }, [user, agents, chosen, zone, notify, reload]);
  const skip = (event) => {
    event.preventDefault();
    document.querySelector('h1').focus();
  };
  return html`<${Shared.Provider} value=${shared}>
    <a class="skip" href="#content" onClick=${skip}>Skip to the content</a>
    <aside class="side">
      <details ref=${menu}><summary><${Brand} /></summary>
      <nav aria-label="Screens">${SCREENS.map(([name, text, , path]) => html`<a key=${name}
        href=${link(name)} aria-current=${name === route.screen ? 'page' : undefined}>
        <svg viewBox="0 0 24 24" aria-hidden="true"><path d=${path} /></svg>${text}</a>`)}</nav>
      <div class="settings">
        <${Choice} label="Times" of=${ZONES} value=${zone} onValue=${setZone} />
        <${Choice} label="Colours" of=${THEMES} value=${theme} onValue=${setTheme} />
        <p class="who"><strong>${user.name}</strong>${user.key && html`<span class="muted">${user.key.name}</span>`}
          <span class="muted">Your zone: ${zoneName(HERE)}</span></p>
        <p><a href="/docs">API documentation</a></p>
        <button type="button" class="small" onClick=${() => signOut()}>Sign out</button>
      </div></details>
    </aside>
    <main id="content">
      ${Screen ? html`<${Screen} key=${route.screen} route=${route} />`
    : html`<${Page} title="Screen not found"><p><a href="#/now">Go to Now</a></p></${Page}>`}
    </main>
    <div class="messages" role="status" aria-live="polite">${messages.map((one) => html`<p key=${one.id} class=${one.tone}>${one.text}</p>`)}</div>
  </${Shared.Provider}>`;
}

/** The account's agents; empty for a key that may not list them. */
const loadAgents = () => pages('/v2/agent/all').catch((failure) => {
  if (failure.status === 403) return [];
  throw failure;
});

function App() {
  const [key, setKey] = useState(savedKey);
  const [message, setMessage] = useState('');
  const [account, setAccount] = useState(null);
  const [error, setError] = useState(null);
  const signIn = (value) => {
    saveKey(value);
    setMessage('');
    setKey(value);
  };
  const signOut = useCallback((why = '') => {
    forgetKey();
    setKey(null);
    setAccount(null);
    setMessage(why);
  }, []);
  const load = useCallback(async () => {
    setError(null);
    try {
      const [user, agents] = await Promise.all([get('/user/me'), loadAgents()]);
      setAccount({ user, agents });
    } catch (failure) {
      setError(failure);
    }
  }, []);
  useEffect(() => { whenUnauthorized(() => savedKey() && signOut('This key no longer works. Sign in with another one.')); }, []);
  useEffect(() => { if (key) load(); }, [key]);
  if (!key) return html`<${SignIn} message=${message} onKey=${signIn} />`;
  if (account) return html`<${Frame} ...${account} reload=${load} signOut=${signOut} />`;
  return html`<main class="sign-in">${error ? html`<div class="card"><${Failure} error=${error} retry=${load} />
    <button class="small" onClick=${() => signOut()}>Sign out</button></div>` : html`<${Loading} />`}</main>`;
}

render(html`<${App} />`, document.getElementById('app'));

// For measuring how fast a call is drawn.
export { html, render, Lanes, Shared };
