// What a draft looks like: sentence, warnings, tables, the letter, the facts around it.

const TONES = { approved: 'good', rejected: 'danger', failed: 'danger', stale: 'warn', expired: 'warn' };

const chip = (text, tone = '') => el('span', { class: `chip ${tone}` }, text);
const section = (heading, ...content) => el('section', {}, el('h2', {}, heading), ...content);

/** Return the sentence of a draft without its opening words: "create an order of …". */
function deed(summary) {
  return asText(summary).replace(/^Nothing has changed yet\. /, '').replace(/^It would /, '').replace(/\.$/, '');
}

function heading(now) {
  const { draft, details, context } = now;
  const state = { pending: 'waiting', discarded: 'withdrawn' }[draft.state] ?? draft.state;
  const expires = draft.state === 'pending' && time(draft.expiresAt, context);
  return el(
    'header',
    {},
    el('p', { class: 'eyebrow' }, visible(details.title ?? now.tool ?? 'Draft'), ' · ', visible(draft.id), ' ', chip(visible(state), TONES[draft.state]), draft.version > 1 && chip(`version ${Number(draft.version)}`)),
    el('h1', { id: 'title', tabindex: '-1' }, title(now)),
    draft.state === 'pending' &&
      el('p', { class: 'soft' }, 'Nothing has changed yet.', expires && [' It expires ', expires, '.']),
  );
}

function title({ draft, details }) {
  if (draft.state === 'pending') return ['It would ', visible(deed(draft.summary)), '.'];
  if (details.did) return ['Done: ', visible(details.did), '.'];
  return [visible(capital(deed(draft.summary)) || draft.id), '.'];
}

/** Return how it ended; null while it waits. */
function ending({ draft, context }) {
  const by = draft.decidedBy ? [' by ', visible(draft.decidedBy)] : [];
  const said = {
    pending: null,
    approved: ['Approved', by],
    rejected: ['Rejected', by],
    discarded: ['Withdrawn'],
    expired: ['It expired before anybody decided'],
    stale: ['Not carried out: it had changed meanwhile'],
    superseded: ['Another draft took its place'],
    failed: ['It failed, and nothing was changed'],
  }[draft.state];
  if (!said) return null;
  const facts = [];
  if (draft.result) facts.push(el('p', {}, 'It became ', el('code', {}, visible(draft.result)), '.'));
  if (draft.state !== 'approved') facts.push(el('p', {}, 'Nothing was changed.'));
  if (draft.decisionReason && draft.state !== 'discarded') facts.push(el('p', { class: 'why' }, 'Reason: ', visible(draft.decisionReason)));
  const post = { sent: 'The e-mail was sent.', queued: 'The e-mail is on its way.', sending: 'The e-mail is on its way.', unsent: 'The e-mail was not sent: there is no mail server.', failed: 'The e-mail could not be sent.' }[draft.delivery];
  if (post) facts.push(el('p', {}, post, draft.deliveryProblem && [' ', visible(draft.deliveryProblem)]));
  const at = time(draft.decidedAt, context);
  return el('section', { class: `ending ${TONES[draft.state] ?? ''}` }, el('h2', {}, said, at && [' ', el('span', { class: 'soft' }, at)]), facts);
}

function warnings(texts) {
  if (!texts.length) return null;
  return el('div', { class: 'banner warn', role: 'note' }, el('strong', {}, 'Before anybody approves'), el('ul', {}, texts.map((text) => el('li', {}, visible(text)))));
}

function cell(value) {
  if (!isObject(value)) return '';
  const text = visible(asText(value.text));
  const kinds = { code: () => el('code', {}, text), written: () => el('blockquote', {}, text), none: () => el('span', { class: 'soft' }, text) };
  return [
    Object.hasOwn(kinds, value.kind) ? kinds[value.kind]() : text,
    value.hint && [' ', el('span', { class: 'hint' }, visible(value.hint))],
    value.warning && [' ', el('span', { class: 'short' }, visible(value.warning))],
  ];
}

function fields(list) {
  if (!list.length) return null;
  return el('dl', {}, list.map((field) => el('div', { class: field.cell?.kind === 'written' ? 'wide' : '' }, el('dt', {}, visible(field.label)), el('dd', {}, cell(field.cell)))));
}

function grid({ label, columns, numeric, rows, totals }) {
  const names = asList(columns);
  const kind = (at) => (asList(numeric)[at] ? 'number' : '');
  const row = (cells) => el('tr', { role: 'row' }, asList(cells).map((value, at) => el('td', { role: 'cell', class: kind(at), 'data-label': asText(names[at]) }, el('span', {}, cell(value)))));
  const total = (field) => el('tr', { role: 'row', class: 'total' }, el('th', { role: 'rowheader', scope: 'row', colspan: Math.max(1, names.length - 1) }, visible(field.label)), el('td', { role: 'cell', class: 'number' }, cell(field.cell)));
  return el(
    'div',
    { class: 'wide' },
    el(
      'table',
      { role: 'table' },
      el('caption', {}, visible(label)),
      el('thead', { role: 'rowgroup' }, el('tr', { role: 'row' }, names.map((name, at) => el('th', { role: 'columnheader', scope: 'col', class: kind(at) }, visible(name))))),
      el('tbody', { role: 'rowgroup' }, asList(rows).map(row)),
      asList(totals).length > 0 && el('tfoot', { role: 'rowgroup' }, asList(totals).map(total)),
    ),
  );
}

function letter(sheet) {
  const box = (person) => el('span', { class: 'mailbox' }, person.name && [visible(person.name), ' '], el('span', { class: person.name ? 'hint' : '' }, visible(person.address)), person.reads && el('span', { class: 'short' }, ' reads ', visible(person.reads)));
  const line = (name, people) => people.length > 0 && el('div', {}, el('dt', {}, name), el('dd', {}, people.map(box)));
  return section(
    'The e-mail',
    el('dl', { class: 'envelope' }, line('From', [sheet.sender]), line('To', asList(sheet.to)), line('Cc', asList(sheet.cc)), el('div', {}, el('dt', {}, 'Subject'), el('dd', {}, el('strong', {}, visible(sheet.subject))))),
    el('div', { class: 'letter', tabindex: '0', role: 'group', 'aria-label': 'Text of the e-mail' }, visible(sheet.body)),
    asList(sheet.files).length > 0 && el('ul', { class: 'files' }, sheet.files.map((file) => el('li', {}, visible(file)))),
  );
}

function contents({ details, draft }) {
  const heading = draft.state === 'approved' ? 'What was done' : draft.state === 'pending' ? 'What it would be' : 'What was drafted';
  const record = details.record;
  return [
    details.amount && draft.state === 'pending' && !asList(record?.grids).some((grid) => asList(grid.totals).length) && el('p', { class: 'amount' }, visible(details.amount)),
    isObject(details.letter) && letter(details.letter),
    isObject(record) && section(heading, fields(asList(record.fields)), asList(record.grids).map(grid)),
  ];
}

function facts({ details, draft }) {
  const sure = details.confidence === undefined ? NaN : Number(details.confidence);
  const held = details.held ?? draft.reason;
  const rows = [
    draft.requestedBy && ['Asked by', visible(draft.requestedBy)],
    details.author && ['Through', visible(details.author)],
    held && ['Held because', visible(held)],
    Number.isFinite(sure) && ['Its confidence', `${Math.round(sure * 100)} %`],
  ].filter(Boolean);
  return [
    details.why && section('Why', el('blockquote', {}, visible(details.why))),
    rows.length > 0 && el('dl', { class: 'facts' }, rows.map(([name, value]) => el('div', {}, el('dt', {}, name), el('dd', {}, value)))),
  ];
}
