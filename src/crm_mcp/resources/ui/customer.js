// A customer: figures, twelve months, orders, issues, people. Then what orders, pipeline and invoices say together.

const LATELY = 30;
const DAYS = 86_400_000;
const RISKS = { high: 'danger', medium: 'warn', low: 'good' };
const ago = (days) => (days === 0 ? 'today' : days === 1 ? 'yesterday' : `${grouped(days)} days ago`);

VIEWS.customer = {
  tool: 'show_customer',
  named: (id) => ({ customer: id }),
  title: 'Customer',
  render({ record, meta, display, context }) {
    const summary = isObject(record.summary) ? record.summary : {};
    const address = isObject(record.address) ? record.address : {};
    const months = asList(record.months).filter((one) => isObject(one) && isMoney(one.revenue));
    const credit = isObject(meta.creditUsed) ? meta.creditUsed : null;
    return [
      header({
        kind: 'Customer',
        id: record.id,
        title: visible(record.name),
        chips: [display.badge && chip(visible(words(display.badge)), display.badge === 'archived' ? '' : 'danger'), record.segment && chip(visible(words(record.segment)))],
        facts: [record.email && visible(record.email), record.phone && visible(record.phone), where(address)],
      }),
      hiddenBanner([record, meta]),
      tiles(
        tile('Revenue, all time', money(summary.revenue), { hint: Number.isInteger(summary.orders) && counted(summary.orders, 'order') }),
        tile('Last order', Number.isInteger(summary.lastOrderDaysAgo) && ago(summary.lastOrderDaysAgo)),
        tile('Last contact', Number.isInteger(meta.daysSinceLastContact) && ago(meta.daysSinceLastContact)),
        tile('Churn risk', meta.churnRisk && words(meta.churnRisk), { tone: RISKS[meta.churnRisk] ?? '' }),
        tile('Credit used', credit && `${grouped(credit.percent)} %`, { hint: credit && `${money(credit.used)} of ${money(credit.limit)}`, tone: credit?.percent > 100 ? 'danger' : '' }),
        tile('Open quotes', meta.openQuotes > 0 && grouped(meta.openQuotes)),
        tile('Open issues', meta.openIssues > 0 && grouped(meta.openIssues), { tone: 'warn' }),
      ),
      part('Next', findings(asList(meta.suggestedNextActions).map((text) => ({ tone: 'warn', text: visible(text) })))),
      months.some((one) => reach(one.revenue) !== 0) &&
        chart({
          kind: 'columns',
          title: 'Orders by month',
          unit: `gross, ${months[0].revenue.currency}`,
          context,
          points: months.map((one) => ({ name: monthName(one.month, context), label: monthName(one.month, context, { month: 'short' }), said: `${money(one.revenue)}, ${counted(one.orders, 'order')}`, value: reach(one.revenue) })),
        }),
      CLOSER,
      part(
        'Recent orders',
        table(
          'Recent orders',
          [{ name: 'Order' }, { name: 'Status' }, { name: 'Placed' }, { name: 'Total', number: true }],
          asList(record.recentOrders).map((one) => [ref(one.id, asText(one.number) || one.id), status(one.status), dated(one.placedAt, context), money(one.total)]),
        ),
      ),
      beside(
        part('Open issues', entries(asList(record.openIssues), (one) => ({ head: ref(one.id, one.title), tail: priority(one.priority), under: [visible(one.id), visible(words(one.status)), ['since ', dated(one.openedAt, context)]] }))),
        part('Open tasks', entries(asList(record.openTasks), (one) => ({ head: ref(one.id, one.title), tail: priority(one.priority), under: [one.dueOn && ['due ', dated(one.dueOn, context)], one.assignee && visible(one.assignee), about(one.about)] }))),
        part('People', entries(asList(record.contacts), (one) => ({ head: ref(one.id, one.name), tail: one.title && el('span', { class: 'soft' }, visible(one.title)), under: [one.email && visible(one.email), one.phone && visible(one.phone)] }))),
        part('Lately', entries(asList(record.activity).slice(0, 5), (one) => ({ head: visible(one.subject || words(one.kind)), tail: time(one.happenedAt, context), under: [visible(words(one.kind)), one.direction && visible(one.direction), about(one.about)] }))),
      ),
      part('Notes', notes(asList(record.notes), context)),
      leftOut(meta),
    ];
  },
  asks: ['get_orders', 'get_pipelines', 'suggest_next_action', 'get_invoices', 'get_issues'],
  async analyse({ record, context }, ask) {
    const about = { customer: record.id };
    const [orders, places, advice, owed, late] = await Promise.all([
      ask('get_orders', { ...about, limit: LATELY }),
      ask('get_pipelines', { record: record.id }),
      ask('suggest_next_action', { record: record.id }),
      ask('get_invoices', { ...about, status: 'overdue', limit: 5 }),
      ask('get_issues', { ...about, overdue: true, limit: 5 }),
    ]);
    if (![orders, places, advice, owed, late].some((one) => one.body)) throw new Refused(orders.problem ?? owed.problem ?? '');
    const list = [rhythm(asList(orders.body?.orders)), habits(asList(orders.body?.orders)), ...owing(owed.body, context), ...overdue(late.body), ...standing(asList(places.body?.pipelines)), suggested(advice.body?.suggestion)];
    return [findings(list) || el('p', { class: 'soft' }, 'Nothing stands out: no habit to compare with, nothing owed late, no issue past its time.')];
  },
};

const where = (address) => {
  const text = ['street', 'postalCode', 'city', 'region', 'country'].map((name) => asText(address[name])).filter(Boolean);
  return text.length > 0 && visible(text.join(', '));
};

function notes(list, context) {
  return list.length > 0 && el('div', { class: 'notes' }, list.map((one) => el('blockquote', {}, el('p', {}, visible(one.text)), inRow([one.writtenBy && visible(one.writtenBy), one.viaAgent && ['through an agent, ', visible(one.viaAgent)], time(one.createdAt, context)], { class: 'hint between' }))));
}

/** Say how the time since the last order compares with the usual time between two. */
function rhythm(orders) {
  const placed = orders.filter((one) => one.status !== 'cancelled').map((one) => Date.parse(one.placedAt)).filter(Number.isFinite).sort((a, b) => b - a);
  if (placed.length === 2) return { text: `Two orders, ${counted(Math.round((placed[0] - placed[1]) / DAYS), 'day')} apart; the last was ${ago(Math.floor((Date.now() - placed[0]) / DAYS))}.` };
  if (placed.length < 3) return null;
  const usual = Math.round((placed[0] - placed.at(-1)) / DAYS / (placed.length - 1));
  const since = Math.floor((Date.now() - placed[0]) / DAYS);
  if (usual < 1) return null;
  const head = `The last ${placed.length} orders came about every ${counted(usual, 'day')}; the last was ${ago(since)}`;
  if (since > usual * 1.25 + 3) return { tone: 'danger', text: `${head}: ${counted(since - usual, 'day')} later than usual.` };
  return { tone: 'good', text: `${head}, within the usual time.` };
}

function habits(orders) {
  const cancelled = orders.filter((one) => one.status === 'cancelled').length;
  const waiting = orders.filter((one) => one.status === 'confirmed').length;
  if (orders.length >= 5 && cancelled / orders.length >= 0.2) return { tone: 'warn', text: `${cancelled} of the last ${orders.length} orders were cancelled.` };
  return waiting > 0 && { text: `${counted(waiting, 'order')} of the last ${orders.length} ${waiting === 1 ? 'waits' : 'wait'} to be shipped.` };
}

function owing(body, context) {
  const rows = asList(body?.invoices);
  if (!body) return [];
  if (!rows.length) return [{ tone: 'good', text: 'No invoice is overdue.' }];
  return rows.map((one) => ({ tone: 'danger', text: [ref(one.id, asText(one.number) || one.id), ': ', visible(money(one.open)), ' open, due ', dated(one.dueOn, context), '.'] }));
}

function overdue(body) {
  return asList(body?.issues).map((one) => ({ tone: 'warn', text: [ref(one.id, one.title), ' is past the time to resolve it.'] }));
}

function standing(ways) {
  return ways.flatMap((way) => asList(way.positions).filter((one) => !one.closedAt).map((one) => ({ tone: asList(one.risks).length ? 'warn' : '', text: ['In ', ref(way.id, way.name), ', stage ', visible(one.stage), Number.isInteger(one.daysInStage) && ` for ${counted(one.daysInStage, 'day')}`, isMoney(one.value) && [', worth ', visible(money(one.value))], asList(one.risks).length > 0 && ['. Risks: ', visible(asList(one.risks).map((risk) => asText(risk) || asText(risk?.factor)).join(', '))], '.'] })));
}

function suggested(it) {
  if (!isObject(it) || !isObject(it.primaryAction)) return null;
  return { tone: 'lead', text: [el('b', {}, visible(words(it.primaryAction.action))), it.primaryAction.reason && [': ', visible(it.primaryAction.reason)]] };
}
