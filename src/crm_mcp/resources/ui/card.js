// The card: what it knows, what it asks the server through the host, and what is on the screen.

const DETAILS = 'crm/draft';
const DRAFT = /^draft_[1-9]\d{0,17}$/;
const FOLLOWED = 24;
const FOLLOW_SECONDS = 25;

const root = document.getElementById('card');
const said = document.getElementById('said');
const now = { draft: null, details: {}, warnings: [], url: null, tool: null, plain: null, notice: null, mode: 'shown', busy: false, context: {} };
let host = null;
let isFollowing = false;

// What the host says.

function onContext(context) {
  now.context = { ...now.context, ...context };
  wear(context);
  const tool = now.context.toolInfo?.tool;
  if (isObject(tool)) now.tool = asText(tool.title) || asText(tool.name) || null;
}

function onResult(result) {
  const body = bodyOf(result);
  now.notice = null;
  now.mode = 'shown';
  if (result.isError === true || body === null || !isObject(body.draft) || !DRAFT.test(asText(body.draft.id))) {
    Object.assign(now, { draft: null, plain: plainOf(result, body) });
    show();
    return;
  }
  now.plain = null;
  learn(result, body);
  show();
  if (now.draft.state === 'pending' || body.type !== 'approval_required') refresh({ isQuiet: true });
}

/** Return the calm form of a result that is no draft: it ran, or it did not. */
function plainOf(result, body) {
  if (result.isError === true || body?.error) return { title: 'It was not done', text: problemOf(result, body), tone: 'danger' };
  const display = isObject(body?._display) ? asText(body._display.title) : '';
  return { title: asText(body?.summary) || 'Done.', text: display, tone: 'good', warnings: asList(body?.warnings).map(asText) };
}

/** Take in what an answer says of the draft. */
function learn(result, body) {
  now.draft = { ...(now.draft?.id === body.draft.id ? now.draft : {}), ...body.draft };
  if (!now.draft.summary || body.summary?.startsWith('Nothing has changed yet.')) now.draft.summary = asText(body.draft.summary) || asText(body.summary);
  if (body.type === 'approval_required') now.draft.reason = asText(body.draft.reason);
  if (Array.isArray(body.warnings)) now.warnings = body.warnings.map(asText);
  const details = isObject(result._meta) ? result._meta[DETAILS] : null;
  if (isObject(details)) now.details = details;
  const url = asText(body._meta?.reviewUrl) || asText(asList(body.approvalActions)[0]?.url);
  if (/^https?:\/\//.test(url)) now.url = url;
}

// What is asked of the server, through the host.

/** Call a tool; an error of the tool or of the host becomes a notice, and null is returned. */
async function call(name, args) {
  try {
    const result = await host.request('tools/call', { name, arguments: args });
    const body = bodyOf(result);
    if (!failed(result, body)) return { result, body };
    return { problem: problemOf(result, body), argument: asText(body?.context?.argument) };
  } catch (problem) {
    return { problem: problem.message };
  }
}

async function refresh({ isQuiet = false, wait = 0 } = {}) {
  const { id, state } = now.draft;
  const { result, body, problem } = await call('get_draft', { draft: id, ...(wait ? { wait_seconds: wait } : {}) });
  if (now.draft?.id !== id || now.mode === 'editing') return;
  if (problem !== undefined) {
    if (!isQuiet) notice(`It could not be looked up. ${problem}`, 'danger');
    return;
  }
  const version = now.draft.version ?? 1;
  learn(result, body);
  if ((now.draft.version ?? 1) !== version) now.warnings = [];
  if (!isQuiet) notice('This is how it stands now.');
  show();
  if (state === 'pending' && now.draft.state !== 'pending') ended();
}

function ended() {
  const how = ending(now)?.querySelector('h2')?.textContent ?? now.draft.state;
  say(`${now.draft.id}: ${how}`);
  tellModel(`${now.draft.id} is ${now.draft.state} now; get_draft tells more.`);
}

/** Watch for the decision while the person is on the page that makes it. */
async function follow() {
  if (isFollowing) return;
  isFollowing = true;
  for (let turn = 0; turn < FOLLOWED && now.draft?.state === 'pending' && now.mode !== 'editing'; turn++) {
    const started = Date.now();
    await refresh({ isQuiet: true, wait: FOLLOW_SECONDS });
    // A server that answers at once is not asked without end.
    if (Date.now() - started < 1000) break;
  }
  isFollowing = false;
}

async function discard() {
  await working(async () => {
    const { body, problem } = await call('discard_draft', { draft: now.draft.id, reason: 'Withdrawn by the person in the chat.' });
    now.mode = 'shown';
    if (problem !== undefined) return notice(problem, 'danger');
    now.draft = { ...now.draft, ...body.draft };
    say(`${now.draft.id} is withdrawn.`);
    tellModel(`The person withdrew ${now.draft.id} in the card. Nothing was changed.`);
    await refresh({ isQuiet: true });
  });
  document.getElementById('title')?.focus();
}

async function save(form) {
  const changed = form.read();
  if (changed === null) return;
  if (Object.keys(changed).length === 0) return leave('Nothing was changed.');
  const reason = document.getElementById('why-edit').value.trim() || 'Edited by the person in the chat.';
  const { id, version = 1 } = now.draft;
  setBusy(true);
  const seen = await call('get_draft', { draft: id });
  const isMeanwhile = seen.problem === undefined && (seen.body.draft.state !== 'pending' || (seen.body.draft.version ?? 1) !== version);
  if (isMeanwhile) {
    setBusy(false);
    learn(seen.result, seen.body);
    return leave('It was changed meanwhile. Look at it as it is now, then edit it again.');
  }
  const { result, body, problem, argument } = await call('revise_draft', { draft: id, arguments: changed, reason });
  setBusy(false);
  if (problem !== undefined) {
    const field = argument && document.getElementById(`f-${argument.split('.').filter((part) => part !== 'arguments').join('-')}`);
    if (field) mark(field, problem);
    else formNotice(problem);
    return;
  }
  now.warnings = [];
  learn(result, body);
  tellModel(`The person edited ${id} in the card. It waits for approval as it is now; get_draft shows it.`);
  leave('Saved. It waits as you edited it.');
  await refresh({ isQuiet: true });
}

async function openPage() {
  try {
    const opened = await host.request('ui/open-link', { url: now.url }, 20_000);
    if (opened.isError === true) throw new Refused('refused');
    say('The approvals page was opened.');
    follow();
  } catch {
    notice('This program does not open links. Open the address below in your browser.', 'warn');
  }
}

/** Tell the model in one plain sentence what the person did here; no text of the draft's. */
function tellModel(text) {
  if (isObject(host.can.updateModelContext)) host.request('ui/update-model-context', { content: [{ type: 'text', text }] }).catch(() => {});
}

// What is on the screen.

function say(text) {
  said.textContent = text;
}

function notice(text, tone = '') {
  now.notice = { text, tone };
  show();
  say(text);
}

function formNotice(text) {
  const at = document.getElementById('form-notice');
  at.replaceChildren(visible(text));
  at.hidden = false;
}

function leave(text) {
  now.mode = 'shown';
  notice(text);
  document.getElementById('title').focus();
}

async function working(work) {
  setBusy(true);
  await work();
  setBusy(false);
  show();
}

function setBusy(busy) {
  now.busy = busy;
  root.setAttribute('aria-busy', String(busy));
  for (const control of root.querySelectorAll('button')) control.disabled = busy;
}

const button = (id, text, onclick, kind = '') => el('button', { id, type: 'button', class: kind, onclick, disabled: now.busy }, text);

/** Draw everything anew, keeping the focus where it was. */
function show() {
  const focused = document.activeElement?.id;
  root.setAttribute('aria-busy', String(now.busy));
  root.replaceChildren(...(now.draft ? draftParts() : plainParts()).flat().filter(Boolean));
  if (focused && focused !== document.activeElement?.id) document.getElementById(focused)?.focus();
}

function plainParts() {
  const { title, text, tone, warnings: warned = [] } = now.plain;
  return [el('div', { class: `plain ${tone}` }, el('h1', { id: 'title', tabindex: '-1' }, visible(title)), text && el('p', {}, visible(text)), warned.length > 0 && el('ul', {}, warned.map((one) => el('li', {}, visible(one)))))];
}

function draftParts() {
  const waits = now.draft.state === 'pending';
  if (now.mode === 'editing') return [heading(now), editor()];
  return [
    heading(now),
    now.notice && el('p', { class: `notice ${now.notice.tone}` }, visible(now.notice.text)),
    ending(now),
    hiddenBanner([now.draft, now.details, now.warnings]),
    waits && warnings(now.warnings),
    contents(now),
    facts(now),
    waits && (now.mode === 'discarding' ? sure() : actions()),
  ];
}

function actions() {
  return el(
    'footer',
    {},
    el('p', {}, 'Only a person can approve this, and only on the approvals page.'),
    now.url && el('p', { class: 'address' }, el('code', {}, visible(now.url))),
    el(
      'div',
      { class: 'ways' },
      now.url && button('open', 'Open the approvals page', openPage, 'primary'),
      Array.isArray(now.details.form) && button('edit', 'Edit', edit),
      now.details.mayDiscard === true && button('discard', 'Withdraw…', () => enter('discarding', 'keep')),
      button('refresh', 'Refresh', () => working(() => refresh()), 'quiet'),
    ),
  );
}

function enter(mode, focus) {
  now.mode = mode;
  now.notice = null;
  show();
  document.getElementById(focus)?.focus();
}

function sure() {
  return el(
    'footer',
    { role: 'group', 'aria-labelledby': 'sure', onkeydown: escapes },
    el('p', { id: 'sure' }, el('strong', {}, `Withdraw ${now.draft.id}?`), ' Nobody can approve it then.'),
    el('div', { class: 'ways' }, button('yes', 'Withdraw it', discard, 'danger'), button('keep', 'Keep it', () => enter('shown', 'discard'))),
  );
}

function edit() {
  enter('editing', 'title');
  root.querySelector('input, textarea, select')?.focus();
}

function editor() {
  const lines = asList(now.details.record?.grids).find((grid) => grid.label === 'Lines');
  const rowNames = asList(lines?.rows).map((row) => asText(asList(row)[0]?.text));
  const form = formOf(asList(now.details.form).filter(isObject), { rowNames });
  const onkeydown = (event) => {
    if (event.key === 'Enter' && event.target.tagName === 'INPUT' && !event.isComposing) save(form);
    escapes(event);
  };
  return el(
    'div',
    { role: 'form', 'aria-label': 'Edit the draft', onkeydown },
    form.element,
    el('div', { class: 'field' }, el('label', { for: 'why-edit' }, 'Why this change ', el('span', { class: 'soft' }, '(whoever approves reads it)')), el('input', { id: 'why-edit', type: 'text', maxlength: '500', autocomplete: 'off', dir: 'auto' })),
    el('p', { id: 'form-notice', class: 'notice danger', role: 'alert', hidden: true }),
    el('p', { class: 'soft' }, 'Saving approves nothing: it waits on, as you edited it.'),
    el('div', { class: 'ways' }, button('save', 'Save', () => save(form), 'primary'), button('cancel', 'Cancel', () => enter('shown', 'edit'))),
  );
}

function escapes(event) {
  if (event.key === 'Escape') enter('shown', now.mode === 'editing' ? 'edit' : 'discard');
}

async function start() {
  if (window.parent === window) throw new Refused('This card is shown by a program that speaks MCP.');
  host = await connect(
    window.parent,
    { name: 'crm-draft', version: '1' },
    {
      'ui/notifications/tool-input': () => {},
      'ui/notifications/tool-result': onResult,
      'ui/notifications/tool-cancelled': () => (Object.assign(now, { draft: null, plain: { title: 'It was cancelled before there was an answer.', text: '', tone: '' } }), show()),
      'ui/notifications/host-context-changed': (context) => (onContext(context), now.draft && now.mode !== 'editing' && show()),
    },
    { ping: () => ({}), 'ui/resource-teardown': () => ({}) },
  );
  onContext(host.context);
  reportHeight(host);
  document.addEventListener('visibilitychange', () => {
    if (!document.hidden && now.draft?.state === 'pending' && now.mode === 'shown') refresh({ isQuiet: true });
  });
}

start().catch((problem) => {
  now.plain = { title: 'This draft cannot be shown here', text: problem.message, tone: '' };
  show();
});
