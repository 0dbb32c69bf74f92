// A page: what it knows, what it asks the server through the host, and its stages loading, data_ready, analysis_ready.

const WHOLE = 'crm/view';
const SILENT = 90_000;
const ASKED = { seconds: 40 };

const root = document.getElementById('view');
const saying = document.getElementById('said');
const trail = [];
const shared = { context: {}, asks: null };
let host = null;
let now = begun(root.dataset.view);

/** Return a page of which nothing is known yet. */
function begun(kind) {
  return { kind, stage: 'loading', record: null, meta: {}, display: {}, analysis: null, problem: null, all: false, get context() { return shared.context; } };
}

// What the host says.

function onContext(context) {
  shared.context = { ...shared.context, ...context };
  wear(context);
}

function onInput() {
  say(`${VIEWS[now.kind].title}: waiting for the answer…`);
}

function onResult(result) {
  if (trail.length) trail.splice(0);
  now = begun(root.dataset.view);
  take(result);
}

/** Take in the answer to this page's tool, show it, and look further. */
function take(result) {
  const body = bodyOf(result);
  const told = isObject(result._meta) && isObject(result._meta[WHOLE]) ? result._meta[WHOLE] : {};
  if (Array.isArray(told.asks)) shared.asks = new Set(told.asks.map(asText));
  const record = isObject(told.record) ? told.record : body?.[now.kind];
  if (failed(result, body) || !isObject(record)) {
    now.problem = failed(result, body) ? problemOf(result, body) : 'The answer could not be read.';
    enter('data_ready');
    return;
  }
  Object.assign(now, { record, meta: isObject(body._meta) ? { ...body._meta, ...(told.record ? { leftOut: undefined } : {}) } : {}, display: isObject(body._display) ? body._display : {} });
  enter('data_ready');
  look();
}

// What is asked of the server, through the host: tools that read, each by its name.

const TOOLS = new Set(['show_customer', 'show_order', 'get_orders', 'get_pipelines', 'suggest_next_action', 'get_invoices', 'get_issues', 'get_customer', 'analyze_pipeline', 'run_report']);
const may = (name) => TOOLS.has(name) && isObject(host?.can.serverTools) && (shared.asks === null || shared.asks.has(name));

/** Call a tool that reads; what goes wrong is returned as a problem. */
async function ask(name, args) {
  if (!may(name)) return { problem: '' };
  try {
    const result = await host.request('tools/call', { name, arguments: args }, ASKED.seconds * 1000);
    const body = bodyOf(result);
    return failed(result, body) ? { problem: problemOf(result, body) } : { result, body };
  } catch (problem) {
    return { problem: problem.message };
  }
}

/** Look further once the facts are there; whatever keeps it from that is said in a sentence. */
async function look() {
  const page = now;
  const view = VIEWS[page.kind];
  page.analysis = { is: 'asked' };
  show();
  try {
    if (!view.asks.some(may)) throw new Refused(isObject(host?.can.serverTools) ? 'There is nothing more that you may see of it here.' : 'This program does not let the page look further.');
    const parts = present(await view.analyse(page, ask));
    page.analysis = { is: 'told', parts };
    page.stage = 'analysis_ready';
  } catch (problem) {
    if (!(problem instanceof Refused)) console.info('analysis', problem);
    page.analysis = { is: 'missing', why: problem instanceof Refused ? problem.message : '' };
  }
  if (page !== now) return;
  show();
  say(page.stage === 'analysis_ready' ? 'The closer look is there.' : 'There is no closer look.');
}

/** Return how a record may be opened from here: as a page, by asking in the chat, or not at all. */
function wayTo(id) {
  const opened = OPENED[id.split('_')[0]];
  if (opened && may(opened[1]) && id !== now.record?.id) return 'page';
  return isObject(host?.can.message) && id !== now.record?.id ? 'chat' : null;
}

/** Follow a name: a page takes this one's place, and back leads here; what is asked in the chat is an id and no text. */
async function lead(id, how) {
  if (how === 'chat') {
    const text = `Tell me about ${id}.`;
    try {
      const sent = await host.request('ui/message', { role: 'user', content: [{ type: 'text', text }] }, 20_000);
      say(sent.isError === true ? 'It was not asked.' : `Asked in the chat: ${text}`);
    } catch {
      say('It was not asked.');
    }
    return;
  }
  const [kind, tool] = OPENED[id.split('_')[0]];
  trail.push(now);
  const page = (now = begun(kind));
  enter('loading');
  const { result, problem } = await ask(tool, VIEWS[kind].named(id));
  if (page !== now) return;
  if (result) take(result);
  else {
    now.problem = problem || 'It cannot be opened here.';
    enter('data_ready');
  }
  document.getElementById('title')?.focus();
}

function back() {
  now = trail.pop();
  show();
  document.getElementById('title')?.focus();
}

// What is on the screen.

function say(text) {
  saying.textContent = text;
}

function enter(stage) {
  now.stage = stage;
  show();
  if (stage === 'data_ready') say(now.problem ?? `${VIEWS[now.kind].title} shown.`);
}

/** Draw everything anew, keeping the focus where it was. */
function show() {
  const focused = document.activeElement?.id;
  root.dataset.stage = now.stage;
  root.dataset.shown = now.kind;
  root.setAttribute('aria-busy', String(now.stage === 'loading'));
  root.replaceChildren(...present([trail.length > 0 && el('button', { id: 'back', type: 'button', class: 'quiet back', onclick: back }, `← ${shownName(trail.at(-1))}`), content()]));
  if (focused && focused !== document.activeElement?.id) document.getElementById(focused)?.focus();
}

const shownName = (page) => short(asText(page.record?.number) || asText(page.record?.name) || VIEWS[page.kind].title, 40);

function content() {
  const view = VIEWS[now.kind];
  if (now.problem !== null) return el('div', { class: 'plain danger' }, el('h1', { id: 'title', tabindex: '-1' }, `${view.title} cannot be shown`), el('p', {}, visible(now.problem)));
  if (now.stage === 'loading') return skeleton(`${view.title}: waiting for the answer…`);
  return view.render(now).map((part) => (part === CLOSER ? closer() : part));
}

function closer() {
  const { is, parts, why } = now.analysis ?? {};
  if (!is) return null;
  const said = { asked: () => el('p', { class: 'thinking' }, el('i', { 'aria-hidden': 'true' }), 'Looking closer…'), told: () => parts, missing: () => el('p', { class: 'soft' }, visible(why || 'A closer look is not to be had here.')) }[is]();
  return el('section', { id: 'closer', class: `closer ${is}`, 'aria-busy': String(is === 'asked'), 'data-analysis': is }, el('h2', {}, 'A closer look'), said);
}

async function start() {
  show();
  if (window.parent === window) throw new Refused('This page is shown by a program that speaks MCP.');
  host = await connect(
    window.parent,
    { name: `crm-${root.dataset.view}`, version: '1' },
    {
      'ui/notifications/tool-input': onInput,
      'ui/notifications/tool-result': onResult,
      'ui/notifications/tool-cancelled': () => ((now.problem = 'It was cancelled before there was an answer.'), enter('data_ready')),
      'ui/notifications/host-context-changed': (context) => (onContext(context), show()),
    },
    { ping: () => ({}), 'ui/resource-teardown': () => ({}) },
  );
  onContext(host.context);
  reportHeight(host);
  setTimeout(() => {
    if (now.stage !== 'loading' || trail.length) return;
    root.replaceChildren(el('p', { class: 'soft' }, 'There is no answer yet. It is shown here once it comes.'));
    root.setAttribute('aria-busy', 'false');
  }, SILENT);
}

start().catch((problem) => {
  now.problem = problem.message;
  enter('data_ready');
});
