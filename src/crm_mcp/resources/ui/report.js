// A report: chart, table and totals as run_report answers them. Then the same for the period before.

const MONTH = /^\d{4}-\d{2}$/;
const TWELVE = 12;

VIEWS.report = {
  tool: 'show_report',
  title: 'Report',
  render(now) {
    const { record, meta, context } = now;
    const rows = asList(record.rows).filter(isObject);
    const total = Number.isInteger(meta.rows) ? meta.rows : rows.length;
    const columns = asList(record.columns).filter(isObject);
    const notes = asList(record.notes);
    return [
      header({ kind: 'Report', title: visible(record.title), facts: [span(record, context), record.description && visible(record.description)] }),
      hiddenBanner([record, meta]),
      tiles(...columns.flatMap((column) => totalsOf(record, column).map(([sum, name]) => tile(name, sum, { hint: null })))),
      drawnOf(record, columns, rows, context),
      CLOSER,
      part('Rows', rows.length === 0 ? el('p', { class: 'soft' }, 'There is nothing to show for these days.') : rowTable(now, columns, rows), total > rows.length && el('p', { class: 'hint' }, `The first ${rows.length} of ${grouped(total)} rows.`)),
      notes.length > 0 && el('details', {}, el('summary', {}, 'How it is reckoned'), el('ul', {}, notes.map((note) => el('li', {}, visible(note))))),
      el('p', { class: 'hint' }, 'As of ', time(record.asOf, context), record.currency && `, base currency ${short(record.currency, 3)}`, '.'),
      leftOut(meta),
    ];
  },
  asks: ['run_report'],
  async analyse({ record, context }, ask) {
    if (!record.period) throw new Refused('It shows how things stand now: there is no period before to compare with.');
    const { from, to, ...own } = isObject(record.parameters) ? record.parameters : {};
    const today = asText(record.asOf).slice(0, 10);
    const [current, before] = from ? [{ from, to }, earlier(from, asText(to) || today, today)] : [lastYear(today, 0), lastYear(today, 1)];
    const run = (days) => ask('run_report', { report: record.name, parameters: { ...own, ...days } });
    const [mine, theirs] = await Promise.all([from ? { body: { report: record } } : run(current), run(before)]);
    if (!isObject(mine.body?.report) || !isObject(theirs.body?.report)) throw new Refused(mine.problem ?? theirs.problem ?? '');
    const [a, b] = [mine.body.report, theirs.body.report];
    const columns = asList(record.columns).filter((column) => Object.hasOwn(record.totals ?? {}, column.name));
    const rows = columns.flatMap((column) => compared(column, a, b));
    if (!rows.length) throw new Refused('It has no totals to compare with those of the period before.');
    return [
      el('p', { class: 'soft' }, between(current.from, asText(current.to) || today, context), ' against ', between(before.from, before.to, context)),
      table('Against the period before', [{ name: 'Figure' }, { name: 'Then', number: true }, { name: 'Now', number: true }, { name: 'Difference', number: true }], rows),
      findings(movers(record, a, b)),
    ];
  },
};

const between = (from, to, context) => [visible(day(from, context)), ' to ', visible(day(to, context))];

/** Say of which days it is. */
function span(record, context) {
  const { from, to } = isObject(record.parameters) ? record.parameters : {};
  if (!record.period) return 'as things stand';
  if (!from && !to) return 'all time';
  return `${from ? day(from, context) : 'the first'} to ${to ? day(to, context) : 'the last'}`;
}

const named = (column) => words(column.name);

/** Return a value as text, an amount with its currency where `withCurrency` says so. */
function said(column, value, currency, context, withCurrency = true) {
  if (value === null || value === undefined) return '';
  switch (column.type) {
    case 'money':
    case 'amount':
      return withCurrency ? `${short(currency, 3)} ${grouped(value)}` : grouped(value);
    case 'percent':
      return `${grouped(value)} %`;
    case 'date':
      return day(value, context);
    case 'integer':
      return column.unit ? `${grouped(value)} ${asText(column.unit)}` : grouped(value);
    default:
      return MONTH.test(value) ? monthName(value, context) : asText(value);
  }
}

/** Return the totals of a column with their names: of an amount one a currency. */
function totalsOf(record, column) {
  const total = isObject(record.totals) ? record.totals[column.name] : undefined;
  if (isObject(total)) return Object.entries(total).map(([currency, sum]) => [said(column, sum, currency), named(column)]);
  return total === undefined || total === null || total === 0 ? [] : [[said(column, total, record.currency), named(column)]];
}

function drawnOf(record, columns, rows, context) {
  const { kind, x, y } = isObject(record.chart) ? record.chart : {};
  const [across, up] = [columns.find((one) => one.name === x), columns.find((one) => one.name === y)];
  if (!across || !up || rows.length === 0) return null;
  const isInTime = rows.every((row) => MONTH.test(asText(row[x])) || across.type === 'date');
  const form = kind === 'line' ? 'line' : kind === 'pie' ? 'ring' : isInTime ? 'columns' : 'bars';
  const filled = rows.filter((row) => row[y] !== null && row[y] !== undefined);
  const most = form === 'bars' ? 12 : form === 'ring' ? 8 : 120;
  const shown = form === 'bars' || form === 'ring' ? filled.slice(0, most) : filled.slice(-most);
  if (!shown.length || !shown.some((row) => reach(row[y]) !== 0)) return null;
  const isAlone = new Set(shown.map((row) => row[x])).size === shown.length;
  const apart = columns.filter((column) => column.type === 'text' && column !== across);
  const points = shown.map((row) => ({
    name: [said(across, row[x], record.currency, context), ...(isAlone ? [] : apart.map((column) => asText(row[column.name])))].filter(Boolean).join(', '),
    label: MONTH.test(asText(row[x])) ? monthName(asText(row[x]), context, { month: 'short', year: '2-digit' }) : undefined,
    said: said(up, row[y], up.type === 'amount' ? asText(row.currency) || record.currency : record.currency, context),
    value: reach(row[y]),
  }));
  const cut = filled.length > shown.length ? `, ${form === 'bars' || form === 'ring' ? 'the first' : 'the last'} ${shown.length} of ${grouped(filled.length)}` : '';
  const unit = up.type === 'money' ? record.currency : up.type === 'percent' ? 'per cent' : asText(up.unit);
  return chart({ kind: form, title: `${named(up)} by ${named(across).toLowerCase()}`, unit: `${short(unit, 12)}${cut}`, points, context });
}

function rowTable(now, columns, rows) {
  const { record, context } = now;
  const empty = columns.filter((column) => column.type === 'integer' && rows.length > 1 && rows.every((row) => row[column.name] === 0));
  const shown = columns.filter((column) => !empty.includes(column) && (column.name !== 'currency' || !columns.some((one) => one.type === 'amount')));
  const hasIds = rows.some((row) => asList(row.ids).length > 0);
  const numeric = (column) => ['integer', 'money', 'amount', 'percent'].includes(column.type);
  const heads = shown.map((column) => ({ name: column.type === 'money' ? `${named(column)}, ${short(record.currency, 3)}` : named(column), number: numeric(column), meaning: short(column.meaning, 200) }));
  const cell = (column, row) => {
    const value = row[column.name];
    if (ID.test(asText(value))) return ref(value);
    return said(column, value, asText(row.currency) || record.currency, context, column.type === 'amount');
  };
  const made = (row) => [...shown.map((column) => cell(column, row)), ...(hasIds ? [behind(row)] : [])];
  const totals = shown.some((column) => typeof record.totals?.[column.name] === 'string' || typeof record.totals?.[column.name] === 'number')
    ? [[...shown.map((column, at) => { const total = record.totals?.[column.name]; return total !== undefined && !isObject(total) ? said(column, total, record.currency, context, false) : at === 0 ? 'Total' : ''; }), ...(hasIds ? [''] : [])]]
    : null;
  const nothing = empty.length > 0 && el('p', { class: 'hint' }, `0 in every row: ${empty.map((column) => short(named(column))).join(', ')}.`);
  return [...folded(now, 'Rows', [...heads, ...(hasIds ? [{ name: 'Behind it', wide: true }] : [])], rows.map(made), totals), nothing];
}

function behind(row) {
  const known = asList(row.ids).filter((id) => ID.test(asText(id))).slice(0, 3);
  const more = (Number.isInteger(row.idCount) ? row.idCount : known.length) - known.length;
  return el('span', { class: 'ids' }, known.map((id) => ref(id)), more > 0 && el('span', { class: 'hint' }, `and ${grouped(more)} more`));
}

// The period before, in whole days; where the period is of whole months, so is the one before.

const DAY_LONG = 86_400_000;
const at = (text) => Date.parse(`${text}T00:00:00Z`);
const on = (when) => new Date(when).toISOString().slice(0, 10);
const monthFirst = (text, back) => {
  const when = new Date(at(text));
  return on(Date.UTC(when.getUTCFullYear(), when.getUTCMonth() - back, 1));
};

/** Return the days of the period before; of one that has not ended yet, as many of them as have passed of it. */
function earlier(from, to, today) {
  const isWhole = from.endsWith('-01') && on(at(to) + DAY_LONG).endsWith('-01');
  const months = isWhole ? (Number(to.slice(0, 4)) - Number(from.slice(0, 4))) * 12 + Number(to.slice(5, 7)) - Number(from.slice(5, 7)) + 1 : 0;
  const first = isWhole ? monthFirst(from, months) : on(at(from) - (at(to) - at(from)) - DAY_LONG);
  const last = on(at(from) - DAY_LONG);
  const passed = to > today && today >= from ? on(at(first) + at(today) - at(from)) : last;
  return { from: first, to: passed < last ? passed : last };
}

const lastYear = (today, back) => ({ from: monthFirst(today, TWELVE * (back + 1)), to: on(at(monthFirst(today, TWELVE * back)) - DAY_LONG) });

function compared(column, now, before) {
  const [a, b] = [now.totals?.[column.name], before.totals?.[column.name]];
  const row = (x, y, currency) => {
    const change = difference(x, y);
    const by = change && (signed(change.by, column.type === 'integer' ? '' : short(currency, 3)));
    return [named(column), said(column, y, currency), said(column, x, currency), change ? el('span', { class: 'change' }, visible(by), change.percent && el('b', { class: change.sign > 0 ? 'up' : change.sign < 0 ? 'down' : '' }, ` ${change.percent}`)) : ''];
  };
  if (isObject(a) || isObject(b)) {
    const currencies = [...new Set([...Object.keys(a ?? {}), ...Object.keys(b ?? {})])].sort();
    return currencies.map((currency) => row(a?.[currency] ?? '0', b?.[currency] ?? '0', currency));
  }
  return a === undefined || b === undefined || (reach(a) === 0 && reach(b) === 0) ? [] : [row(a, b, now.currency)];
}

/** Return what rose and fell most, row against row, where rows are of things and not of months. */
function movers(record, now, before) {
  const { x, y } = isObject(record.chart) ? record.chart : {};
  const up = asList(record.columns).find((column) => column.name === y);
  const across = asList(record.columns).find((column) => column.name === x);
  if (!up || !across || !['money', 'integer'].includes(up.type) || across.type === 'date') return [];
  const of = (report) => new Map(asList(report.rows).map((row) => [asText(row[x]), row[y]]));
  const [a, b] = [of(now), of(before)];
  if ([...a.keys()].some((key) => MONTH.test(key))) return [];
  const changes = [...a].filter(([key]) => b.has(key)).map(([key, value]) => [key, difference(value, b.get(key))]).filter(([, change]) => change && change.sign !== 0);
  changes.sort(([, one], [, other]) => reach(other.by) - reach(one.by));
  const tell = ([key, change], word, tone) => ({ tone, text: [el('b', {}, visible(key)), ` ${word} most: `, visible(signed(change.by, up.type === 'money' ? short(record.currency, 3) : '')), change.percent && ` (${change.percent})`, '.'] });
  const [first, last] = [changes[0], changes.at(-1)];
  return [first && first[1].sign > 0 && tell(first, 'rose', ''), last && last[1].sign < 0 && tell(last, 'fell', '')];
}
