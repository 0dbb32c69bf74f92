// A pipeline: its stages as a chart, the records in it. Then how it does.

const KINDS = { won: 'good', lost: 'rest' };
const rate = (share) => (typeof share === 'number' ? `${(share * 100).toFixed(1).replace(/\.0$/, '')} %` : null);
const inDays = (number) => (typeof number === 'number' ? counted(number, 'day') : null);

VIEWS.pipeline = {
  tool: 'show_pipeline',
  named: (id) => ({ pipeline: id }),
  title: 'Pipeline',
  render(now) {
    const { record, meta, context } = now;
    const stages = asList(record.stages).filter(isObject);
    const rows = asList(record.records).filter(isObject);
    const total = Number.isInteger(meta.total) ? meta.total : rows.length;
    return [
      header({
        kind: 'Pipeline',
        id: record.id,
        title: visible(record.name),
        chips: [record.kind && chip(visible(words(record.kind))), record.isDefault && chip('Default'), record.automation === false && chip('No automation', 'warn')],
        facts: [record.description && visible(record.description)],
      }),
      hiddenBanner([record, meta]),
      tiles(
        tile('On their way', grouped(total)),
        ...sums(stages.filter((stage) => !stage.kind)).map((sum) => tile('Worth', money(sum))),
        tile('Won', stages.some((stage) => stage.kind === 'won') && grouped(stages.filter((stage) => stage.kind === 'won').reduce((sum, stage) => sum + stage.count, 0)), { tone: 'good' }),
        tile('Lost', stages.some((stage) => stage.kind === 'lost') && grouped(stages.filter((stage) => stage.kind === 'lost').reduce((sum, stage) => sum + stage.count, 0))),
      ),
      stages.length > 0 &&
        chart({
          kind: 'bars',
          title: 'Records by stage',
          context,
          points: stages.map((stage) => ({ name: asText(stage.name), said: [grouped(stage.count), ...asList(stage.value).map(money)].filter(Boolean).join(' · '), value: stage.count, tone: KINDS[stage.kind] ?? 2 })),
        }),
      CLOSER,
      part(
        'In it now',
        rows.length === 0 && el('p', { class: 'soft' }, 'Nothing is on its way in it.'),
        folded(
          now,
          'In it now',
          [{ name: 'Record' }, { name: 'Stage' }, { name: 'In stage', number: true }, { name: 'Worth', number: true }, { name: 'Score', number: true }, { name: 'Follow up' }, { name: 'Owner' }],
          rows.map((one) => [
            [about(one.record) || visible(one.id), asList(one.risks).length > 0 && el('span', { class: 'short' }, ' ', visible(asList(one.risks).map((risk) => asText(risk)).join(', ')))],
            visible(one.stage),
            inDays(one.daysInStage) ?? '',
            money(one.value),
            grouped(one.score),
            dated(one.followUpOn, context),
            visible(one.owner ?? ''),
          ]),
        ),
        total > rows.length && el('p', { class: 'hint' }, `The ${rows.length} that are longest in their stage, of ${grouped(total)}.`),
      ),
      leftOut(meta),
    ];
  },
  asks: ['analyze_pipeline'],
  async analyse({ record, context }, ask) {
    const { body, problem } = await ask('analyze_pipeline', { pipeline: record.id });
    if (!isObject(body?.analysis)) throw new Refused(problem ?? '');
    const { metrics = {}, period = {}, stages, insights, suggestions } = body.analysis;
    const cycle = isObject(metrics.salesCycle) ? metrics.salesCycle : {};
    const timed = asList(stages).filter((stage) => typeof stage.time?.medianDays === 'number');
    return [
      el('p', { class: 'soft' }, `Of ${counted(metrics.totalRecords ?? 0, 'record')} that began from `, dated(period.from, context), ' to ', dated(period.to, context)),
      tiles(
        tile('Won of those that began', rate(metrics.conversionRate), { hint: Number.isInteger(metrics.stillOpen) && `${grouped(metrics.stillOpen)} still open` }),
        tile('Won of those decided', rate(metrics.winRateOfDecided), { hint: Number.isInteger(metrics.decided) && `of ${grouped(metrics.decided)}` }),
        tile('Won', money(metrics.wonValue), { tone: 'good' }),
        tile('Usual cycle', inDays(cycle.medianDays), { hint: typeof cycle.p90Days === 'number' && `nine of ten in ${counted(cycle.p90Days, 'day')}` }),
        tile('Brings a day', money(metrics.velocity?.perDay)),
      ),
      timed.length > 1 &&
        chart({
          kind: 'bars',
          title: 'Days in each stage',
          unit: 'median',
          context,
          points: timed.map((stage) => ({ name: asText(stage.stage), said: `${inDays(stage.time.medianDays)}${stage.maxDays === null || stage.maxDays === undefined ? '' : `, at most ${stage.maxDays} meant`}`, value: stage.time.medianDays, tone: stage.stage === metrics.bottleneckStage ? 'warn' : 2 })),
        }),
      findings([
        ...asList(insights).map((one) => ({ tone: { bottleneck: 'danger', drop_off: 'warn', quickest: 'good' }[one.kind] ?? '', text: visible(one.text) })),
        ...asList(suggestions).map((one) => ({ tone: 'lead', text: [el('b', {}, visible(words(one.action))), one.stage && [' in ', visible(one.stage)], one.because && [': ', visible(one.because)], '. ', isObject(one.expectedImpact) && visible(one.expectedImpact.text)] })),
      ]) || el('p', { class: 'soft' }, 'Too little has moved in it to say what holds it up.'),
    ];
  },
};

/** Add amounts of stages exactly, a currency at a time. */
function sums(stages) {
  const by = new Map();
  for (const sum of stages.flatMap((stage) => asList(stage.value)).filter(isMoney)) by.set(sum.currency, [...(by.get(sum.currency) ?? []), sum.amount]);
  return [...by].map(([currency, amounts]) => {
    const { places, numbers } = alike(...amounts);
    return { currency, amount: decimal(numbers.reduce((one, other) => one + other, 0n), places) };
  });
}
