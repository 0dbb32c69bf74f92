// An order: how far it has come, its lines, what is paid of it. Then whose it is.

const INVOICED = { none: ['Not invoiced', ''], partly: ['Partly invoiced', 'warn'], invoiced: ['Invoiced, not paid', 'warn'], paid: ['Paid', 'good'] };

VIEWS.order = {
  tool: 'show_order',
  named: (id) => ({ order: id }),
  title: 'Order',
  render({ record, meta, context }) {
    const invoiced = INVOICED[asText(meta.invoiceState)];
    const lines = asList(record.lines);
    return [
      header({
        kind: 'Order',
        id: record.id,
        title: ['Order ', visible(record.number ?? record.id)],
        chips: [status(record.status), meta.isLate && chip(`Late: open for ${counted(meta.daysOpen, 'day')}`, 'danger'), invoiced && record.status !== 'cancelled' && chip(...invoiced)],
        facts: [isObject(record.customer) && ['for ', about(record.customer)], record.salesperson && ['sold by ', visible(record.salesperson)], record.quote && ['from quote ', ref(record.quote)], record.issue && ['replaces goods of ', ref(record.issue)]],
      }),
      hiddenBanner([record, meta]),
      steps(record, context),
      tiles(
        tile('Total', money(record.gross), { tone: 'main' }),
        tile('Net', money(record.net)),
        tile('Tax', money(record.tax)),
        tile('Discount', record.discountPercent && `${grouped(record.discountPercent)} %`),
      ),
      record.cancelReason && part('Why it was cancelled', el('blockquote', {}, visible(record.cancelReason))),
      part('Next', findings(asList(meta.suggestedNextActions).map((text) => ({ tone: 'warn', text: visible(text) })))),
      balance(record, context),
      CLOSER,
      part('Lines', lineTable(lines, record)),
      asList(meta.shortOfStock).length > 0 && el('p', { class: 'notice warn' }, 'Short of stock: ', asList(meta.shortOfStock).map((one, at) => [at > 0 && ', ', grouped(one.missing), ' of ', ref(one.product, described(lines, one.product))]), '.'),
      part(
        'Invoices',
        table(
          'Invoices',
          [{ name: 'Invoice' }, { name: 'Issued' }, { name: 'Due' }, { name: 'Total', number: true }, { name: 'Open', number: true }],
          asList(record.invoices).map((one) => [ref(one.id, asText(one.number) || one.id), dated(one.issuedOn, context), dated(one.dueOn, context), money(one.gross), money(one.open)]),
        ),
      ),
      record.comment && part('Comment', el('blockquote', {}, visible(record.comment))),
      beside(
        part('Issues', entries(asList(record.issues), (one) => ({ head: ref(one.id, one.title), tail: priority(one.priority), under: [visible(one.id), visible(words(one.status))] }))),
        part('Lately', entries(asList(record.activity).slice(0, 6), (one) => ({ head: visible(one.subject || words(one.kind)), tail: time(one.happenedAt, context), under: [visible(words(one.kind))] }))),
        part('Deliver to', delivery(record.customer)),
      ),
      part('Notes', notes(asList(record.notes), context)),
      leftOut(meta),
    ];
  },
  asks: ['get_customer'],
  async analyse({ record }, ask) {
    const buyer = asText(record.customer?.id);
    const { body, problem } = await ask('get_customer', { customer: buyer, include: ['summary', 'recentOrders', 'openIssues'] });
    if (!isObject(body?.customer)) throw new Refused(problem ?? '');
    const { summary = {} } = body.customer;
    const meta = isObject(body._meta) ? body._meta : {};
    const issues = asList(body.customer.openIssues);
    return [
      tiles(tile('Their orders', grouped(summary.orders), { hint: money(summary.revenue) }), tile('Usual order', usual(summary)), tile('Churn risk', meta.churnRisk && words(meta.churnRisk), { tone: RISKS[meta.churnRisk] ?? '' }), tile('Credit used', isObject(meta.creditUsed) && `${grouped(meta.creditUsed.percent)} %`)),
      findings([
        size(record, summary),
        ...asList(meta.suggestedNextActions).map((text) => ({ tone: 'warn', text: visible(text) })),
        meta.hasOverdueInvoices === false && { tone: 'good', text: 'They owe nothing that is overdue.' },
        ...issues.slice(0, 3).map((one) => ({ tone: one.priority === 'urgent' ? 'danger' : '', text: ['Open issue: ', ref(one.id, one.title)] })),
      ]),
    ];
  },
};

function steps(record, context) {
  const way = [['Placed', record.placedAt], ...(record.status === 'cancelled' ? [['Cancelled', record.cancelledAt]] : [['Shipped', record.shippedAt], ['Completed', record.completedAt]])];
  return el('ol', { class: 'steps', 'aria-label': 'How far it has come' }, way.map(([name, at]) => el('li', { class: at ? (name === 'Cancelled' ? 'done ended' : 'done') : '' }, el('b', {}, name), at ? dated(at, context) : el('span', {}, 'not yet'))));
}

function balance(record, context) {
  const of = isObject(record.balance) ? record.balance : null;
  const parts = of
    ? [['Paid', of.paid, 'good'], ['Open', of.open, 'warn'], ['Not invoiced', record.status === 'cancelled' ? null : of.toInvoice, 'rest']]
    : asList(record.lines).map((line) => [line.description, line.net, undefined]);
  const points = parts.filter(([, sum]) => reach(sum) > 0).map(([name, sum, tone]) => ({ name: asText(name), said: money(sum), value: reach(sum), tone }));
  return points.length > 0 && chart({ kind: 'share', title: of ? 'What is paid' : 'What it is made of', unit: of ? '' : 'net', points, context });
}

const described = (lines, product) => asText(lines.find((line) => line.product === product)?.description) || product;

function lineTable(lines, record) {
  const reduced = lines.some((line) => reach(line.discountPercent) !== 0);
  const columns = [{ name: 'Product' }, { name: 'Quantity', number: true }, { name: 'Price', number: true }, ...(reduced ? [{ name: 'Discount', number: true }] : []), { name: 'Tax', number: true }, { name: 'Net', number: true }];
  const rows = lines.map((line) => [
    el('span', {}, ref(line.product, line.description)),
    grouped(line.quantity),
    grouped(line.unitPrice?.amount),
    ...(reduced ? [reach(line.discountPercent) ? `${grouped(line.discountPercent)} %` : ''] : []),
    `${grouped(line.taxPercent)} %`,
    grouped(line.net?.amount),
  ]);
  const blank = Array(columns.length - 2).fill('');
  const totals = [['Net', record.net], ['Tax', record.tax], ['Total', record.gross]].map(([name, sum]) => [name, ...blank, money(sum)]);
  return table('Lines', columns, rows, totals);
}

function delivery(customer) {
  if (!isObject(customer)) return null;
  const lines = [customer.name, customer.street, [customer.postalCode, customer.city].map(asText).filter(Boolean).join(' '), customer.country].map(asText).filter(Boolean);
  return lines.length > 1 && el('address', {}, lines.map((line) => el('span', {}, visible(line))));
}

/** Return the mean of a customer's orders, cut to whole units: it is a comparison, not an amount of anything. */
function usual(summary) {
  if (!isMoney(summary.revenue) || !(summary.orders > 1)) return null;
  return `${summary.revenue.currency} ${grouped(String(BigInt(summary.revenue.amount.split('.')[0]) / BigInt(summary.orders)))}`;
}

function size(record, summary) {
  if (!isMoney(summary.revenue) || !isMoney(record.gross) || summary.revenue.currency !== record.gross.currency || !(summary.orders > 2)) return null;
  const ratio = reach(record.gross) / (reach(summary.revenue) / summary.orders);
  if (ratio >= 1.5) return { text: `It is about ${ratio.toFixed(1)} times their usual order.` };
  if (ratio > 0 && ratio <= 0.6) return { text: `It is about ${Math.round(ratio * 100)} % of their usual order.` };
  return { text: 'It is about as large as their orders usually are.' };
}
