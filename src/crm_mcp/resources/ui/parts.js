// Pieces that the pages are made of.

const VIEWS = {};
/** Where among its parts a page has the closer look. */
const CLOSER = Symbol('closer');
const FIRST = 12;
const ID = /^[a-z]{2,5}_[1-9]\d{0,17}$/;
const OPENED = { cust: ['customer', 'show_customer'], ord: ['order', 'show_order'] };
const chip = (text, tone = '') => el('span', { class: `chip ${tone}` }, text);
/** Return facts in a row; each may be of several nodes. */
const inRow = (facts, about = {}) => {
  const some = facts.filter(Boolean);
  return some.length > 0 && el('p', about, some.map((fact) => el('span', {}, fact)));
};
const present = (list) => list.flat(9).filter((one) => one !== null && one !== undefined && one !== false && one !== '');

function header({ kind, id, title, facts = [], chips = [] }) {
  return el(
    'header',
    {},
    el('p', { class: 'eyebrow' }, kind, id && [' · ', visible(id)], ' ', present(chips)),
    el('h1', { id: 'title', tabindex: '-1' }, title),
    inRow(facts, { class: 'soft between' }),
  );
}

/** Return a figure with its name; nothing where there is none. */
function tile(name, value, { hint = null, tone = '' } = {}) {
  if (value === null || value === undefined || value === '' || value === false) return null;
  return el('div', { class: `tile ${tone}` }, el('dt', {}, name), el('dd', {}, el('strong', {}, typeof value === 'string' ? visible(value) : value), hint && el('span', { class: 'hint' }, hint)));
}

function tiles(...list) {
  const some = present(list);
  return some.length > 0 && el('dl', { class: 'tiles', 'data-count': some.length }, some);
}

function part(heading, ...content) {
  const some = present(content);
  return some.length > 0 && el('section', {}, el('h2', {}, heading), some);
}

const beside = (...parts) => present(parts).length > 0 && el('div', { class: 'beside' }, present(parts));

/** Return a table; a column is {name, number}, a cell a node, a list of nodes, or text. */
function table(caption, columns, rows, totals = null) {
  if (!rows.length) return null;
  const kind = (at) => (columns[at].number ? 'number' : columns[at].wide ? 'broad' : '');
  const cell = (value, at) => el('td', { role: 'cell', class: kind(at), 'data-label': columns[at].name }, el('span', {}, typeof value === 'string' ? visible(value) : value));
  return el(
    'div',
    { class: 'held', tabindex: '0', role: 'group', 'aria-label': caption },
    el(
      'table',
      { role: 'table' },
      el('caption', { class: 'sr' }, caption),
      el('thead', { role: 'rowgroup' }, el('tr', { role: 'row' }, columns.map((column, at) => el('th', { role: 'columnheader', scope: 'col', class: kind(at), title: column.meaning }, visible(column.name))))),
      el('tbody', { role: 'rowgroup' }, rows.map((row) => el('tr', { role: 'row' }, row.map(cell)))),
      totals && el('tfoot', { role: 'rowgroup' }, totals.map((row) => el('tr', { role: 'row', class: row.slice(1, -1).every((value) => value === '') ? 'sum' : '' }, row.map(cell)))),
    ),
  );
}

/** Return a table of its first rows, and a button for the rest. */
function folded(now, caption, columns, rows, totals = null) {
  const most = now.all || rows.length <= FIRST + 3 ? rows.length : FIRST;
  return [table(caption, columns, rows.slice(0, most), totals), rows.length > most && el('button', { id: 'all', type: 'button', onclick: () => ((now.all = true), show()) }, `Show all ${grouped(rows.length)}`)];
}

/** Return a name that leads on: to the record's page where there is one, else to a question in the chat. */
function ref(id, text = id) {
  const known = asText(id);
  const how = ID.test(known) ? wayTo(known) : null;
  if (!how) return visible(text || known);
  return el('button', { type: 'button', class: 'ref', title: how === 'page' ? `Open ${known}` : `Ask about ${known} in the chat`, onclick: () => lead(known, how) }, visible(text || known));
}

/** Return a record's name with what it is, where it may be seen. */
const about = (record) => isObject(record) && ref(record.id, asText(record.name) || record.id);

/** Return a list whose entries have a head and what is said under it. */
function entries(list, made) {
  return list.length > 0 && el('ul', { class: 'entries' }, list.map((one) => {
    const { head, under = [], body = null, tail = null } = made(one);
    return el('li', {}, el('div', { class: 'head' }, el('span', {}, head), tail && el('span', { class: 'tail' }, tail)), inRow(under, { class: 'hint between' }), body);
  }));
}

const PRIORITIES = { urgent: 'danger', high: 'warn' };
const STATUSES = { confirmed: '', shipped: 'warn', completed: 'good', cancelled: 'danger', open: 'warn', overdue: 'danger', paid: 'good' };
const status = (text) => chip(visible(words(text)), STATUSES[asText(text)] ?? '');
const priority = (text) => text && text !== 'normal' && chip(visible(words(text)), PRIORITIES[asText(text)] ?? '');

function leftOut(meta) {
  const cut = isObject(meta.leftOut) ? Object.entries(meta.leftOut).filter(([, count]) => Number.isInteger(count)) : [];
  return cut.length > 0 && el('p', { class: 'hint' }, `Not all of it is shown here: ${cut.map(([what, count]) => `${grouped(count)} of ${short(what, 30)}`).join(', ')}.`);
}

/** Return what stands out, one finding a line: {tone, text} with text in nodes. */
function findings(list) {
  const some = present(list);
  return some.length > 0 && el('ul', { class: 'findings' }, some.map(({ tone = '', text }) => el('li', { class: tone }, present([text]))));
}

/** Return what is seen while the answer is on its way; it has the form of what comes. */
function skeleton(title) {
  return [el('h1', { id: 'title', class: 'sr', tabindex: '-1' }, title), el('div', { class: 'bones', 'aria-hidden': 'true' }, ['eyebrow', 'head', 'line', 'boxes', 'block', 'line', 'line'].map((kind) => el('div', { class: `bone ${kind}` }, kind === 'boxes' && [el('i'), el('i'), el('i'), el('i')])))];
}
