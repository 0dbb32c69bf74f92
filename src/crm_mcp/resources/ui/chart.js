// Charts as inline SVG: d3 reckons scales and shapes, this draws. Each is read out by arrow keys and pointer, and a
// table beside it says the same.

const SVG = 'http://www.w3.org/2000/svg';
let charts = 0;

function draw(name, about = {}, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(about)) if (value !== undefined && value !== null && value !== false) made.setAttribute(key, String(value));
  made.append(...children.flat(9).filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

const label = (text, x, y, about = {}) => draw('text', { x, y, ...about }, text);

/** Return the text that fits a width, at about so many pixels a character. */
const fitting = (text, width, wide = 6.6) => short(text, Math.max(3, Math.floor(width / wide)));

/**
 * Return a figure: `points` are {name, said, value, tone}, `said` as a person reads it. `kind` is columns, line, bars,
 * ring or share. It is drawn anew for each width.
 */
function chart({ kind, title, points, context, unit = '' }) {
  const id = `chart-${++charts}`;
  const readout = el('span', { class: 'readout', 'aria-live': 'polite' });
  const plot = el('div', { class: `plot ${kind}` });
  const legend = ['ring', 'share'].includes(kind) && el('ul', { class: 'legend' }, points.map((point, at) => el('li', { 'data-at': at }, draw('svg', { viewBox: '0 0 10 10', 'aria-hidden': 'true' }, draw('rect', { width: 10, height: 10, rx: 3, class: toneOf(point, at) })), el('span', {}, visible(point.name)), el('b', {}, visible(point.said)))));
  const figure = el('figure', { class: 'chart', 'data-kind': kind, 'aria-labelledby': `${id}-name` }, el('figcaption', {}, el('span', { id: `${id}-name` }, visible(title), unit && el('span', { class: 'soft' }, ` ${unit}`)), readout), plot, legend);
  const highest = points.reduce((one, other) => (other.value > one.value ? other : one));
  const idle = points.length > 3 && ['columns', 'line'].includes(kind) ? ['highest ', visible(highest.name), ': ', el('b', {}, visible(highest.said))] : [];
  let at = -1;

  const point = (next) => {
    at = next;
    for (const mark of figure.querySelectorAll('[data-at]')) mark.classList.toggle('on', Number(mark.dataset.at) === at);
    plot.classList.toggle('picked', at >= 0);
    readout.replaceChildren(...(at < 0 ? idle : [visible(points[at].name), ': ', el('b', {}, visible(points[at].said))]));
  };

  const redraw = () => {
    const width = Math.floor(plot.clientWidth);
    if (width < 40) return;
    const focused = plot.contains(document.activeElement);
    const say = points.slice(0, 40).map((one) => `${short(one.name)}: ${short(one.said)}`).join('; ');
    const { height, marks } = DRAWN[kind].draw(points, width, context);
    const svg = draw('svg', { width, height, viewBox: `0 0 ${width} ${height}`, role: 'group', tabindex: 0, 'aria-roledescription': 'chart', 'aria-labelledby': `${id}-title`, 'aria-describedby': `${id}-desc` }, draw('title', { id: `${id}-title` }, `${short(title, 120)}. Arrow keys read it out.`), draw('desc', { id: `${id}-desc` }, say), marks);
    svg.addEventListener('keydown', onKey);
    svg.addEventListener('blur', () => point(-1));
    svg.addEventListener('pointermove', (event) => point(Number(event.target.closest('[data-at]')?.dataset.at ?? -1)));
    svg.addEventListener('pointerleave', () => point(-1));
    plot.replaceChildren(svg);
    if (focused) svg.focus();
    point(at);
  };

  const onKey = (event) => {
    const last = points.length - 1;
    const next = { ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at < 0 ? last : at - 1, ArrowUp: at < 0 ? last : at - 1, Home: 0, End: last, Escape: -1 }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    point(next < 0 && event.key !== 'Escape' ? last : next > last ? 0 : next);
  };

  let drawn = 0;
  new ResizeObserver(() => {
    if (Math.floor(plot.clientWidth) !== drawn) redraw();
    drawn = Math.floor(plot.clientWidth);
  }).observe(plot);
  return figure;
}

const toneOf = (point, at) => `tone-${point.tone ?? (at % 8) + 1}`;

/** Return a scale of amounts from zero, its ticks, and room for their labels. */
function heights(points, height, context) {
  const values = points.map((one) => one.value);
  const scale = d3.scaleLinear([Math.min(0, ...values), Math.max(0, ...values) || 1], [height, 0]).nice(4);
  const ticks = scale.ticks(4).filter((number) => values.some((value) => !Number.isInteger(value)) || Number.isInteger(number));
  const said = ticks.map((number) => tick(number, context));
  return { scale, ticks, said, room: Math.max(...said.map((text) => text.length), 1) * 6.8 + 10 };
}

function rules({ scale, ticks, said, room }, width) {
  return ticks.map((number, at) => [
    draw('line', { x1: room, x2: width, y1: scale(number), y2: scale(number), class: number === 0 ? 'axis' : 'rule' }),
    label(said[at], room - 8, scale(number), { class: 'tick', 'text-anchor': 'end', dy: '.32em' }),
  ]);
}

/** Return labels below, as many as there is room for, the last among them. */
function names(points, place, height, width, context) {
  const said = points.map((one) => fitting(one.label ?? one.name, 110));
  const wide = Math.max(...said.map((text) => text.length)) * 6.4 + 12;
  const every = Math.max(1, Math.ceil((wide * points.length) / Math.max(1, width)));
  return points.map((one, at) => ((points.length - 1 - at) % every === 0 ? label(said[at], place(at), height + 18, { class: 'tick', 'text-anchor': 'middle' }) : null));
}

const TOP = 10;
const DEEP = 168;

const DRAWN = {
  columns: {
    draw(points, width, context) {
      const axis = heights(points, DEEP, context);
      const across = d3.scaleBand(points.map((_, at) => at), [axis.room, width]).paddingInner(0.28).paddingOuter(0.14);
      const wide = Math.min(across.bandwidth(), 44);
      const zero = axis.scale(0);
      const middle = (at) => across(at) + across.bandwidth() / 2;
      const marks = points.map((one, at) => {
        const [top, end] = [Math.min(axis.scale(one.value), zero), Math.max(axis.scale(one.value), zero)];
        return draw('g', { 'data-at': at }, draw('rect', { x: across(at) - (across.step() - across.bandwidth()) / 2, y: 0, width: across.step(), height: DEEP, class: 'catch' }), one.value !== 0 && draw('rect', { x: middle(at) - wide / 2, y: top, width: wide, height: Math.max(1.5, end - top), rx: Math.min(4, wide / 4), class: `mark tone-${one.tone ?? 1}` }));
      });
      return { height: TOP + DEEP + 26, marks: draw('g', { transform: `translate(0 ${TOP})` }, rules(axis, width), marks, names(points, middle, DEEP, width - axis.room, context)) };
    },
  },
  line: {
    draw(points, width, context) {
      const axis = heights(points, DEEP, context);
      const across = d3.scalePoint(points.map((_, at) => at), [axis.room + 14, width - 24]);
      const path = (shape) => shape.x((_, at) => across(at)).curve(d3.curveMonotoneX);
      const step = points.length > 1 ? across.step() : width;
      const marks = points.map((one, at) => draw('g', { 'data-at': at }, draw('rect', { x: across(at) - step / 2, y: -TOP, width: step, height: DEEP + TOP, class: 'catch' }), draw('line', { x1: across(at), x2: across(at), y1: 0, y2: DEEP, class: 'guide' }), draw('circle', { cx: across(at), cy: axis.scale(one.value), r: points.length > 40 ? 2 : 3.5, class: 'dot tone-1' })));
      return {
        height: TOP + DEEP + 26,
        marks: draw('g', { transform: `translate(0 ${TOP})` }, rules(axis, width), draw('path', { d: path(d3.area()).y0(axis.scale(0)).y1((one) => axis.scale(one.value))(points), class: 'under' }), draw('path', { d: path(d3.line()).y((one) => axis.scale(one.value))(points), class: 'over' }), marks, names(points, across, DEEP, width - axis.room, context)),
      };
    },
  },
  bars: {
    draw(points, width) {
      const values = points.map((one) => one.value);
      const narrow = width < 460;
      const row = narrow ? 42 : 34;
      const named = narrow ? 0 : Math.min(width * 0.34, Math.max(...points.map((one) => [...short(one.name, 34)].length)) * 6.9 + 16);
      const told = narrow ? 0 : Math.min(width * 0.42, Math.max(...points.map((one) => [...short(one.said, 40)].length)) * 7 + 14);
      const scale = d3.scaleLinear([Math.min(0, ...values), Math.max(0, ...values) || 1], [named, Math.max(named + 20, width - told)]);
      const marks = points.map((one, at) => {
        const [from, to] = [Math.min(scale(0), scale(one.value)), Math.max(scale(0), scale(one.value))];
        const y = at * row + (narrow ? 19 : 6);
        const high = narrow ? 14 : 22;
        return draw(
          'g',
          { 'data-at': at },
          draw('rect', { x: 0, y: at * row, width, height: row, class: 'catch' }),
          narrow ? label(fitting(one.name, width - [...short(one.said, 40)].length * 6.6 - 10), 0, y - 6, { class: 'name' }) : label(fitting(one.name, named - 10), named - 12, y + high / 2, { class: 'name', 'text-anchor': 'end', dy: '.34em' }),
          draw('rect', { x: from, y, width: Math.max(2, to - from), height: high, rx: 4, class: `mark tone-${one.tone ?? 1}` }),
          narrow ? label(short(one.said, 40), width, y - 6, { class: 'told', 'text-anchor': 'end' }) : label(fitting(one.said, told, 6.4), to + 8, y + high / 2, { class: 'told', dy: '.34em' }),
        );
      });
      return { height: points.length * row + 4, marks };
    },
  },
  ring: {
    draw(points, width) {
      const size = Math.min(width, 190);
      const cut = d3.arc().innerRadius(size * 0.31).outerRadius(size * 0.48).cornerRadius(3).padAngle(0.015);
      const slices = d3.pie().sort(null).value((one) => Math.max(0, one.value))(points);
      return { height: size, marks: draw('g', { transform: `translate(${width / 2} ${size / 2})` }, slices.map((slice, at) => draw('path', { d: cut(slice), class: `mark ${toneOf(points[at], at)}`, 'data-at': at }))) };
    },
  },
  share: {
    draw(points, width) {
      const whole = points.reduce((sum, one) => sum + Math.max(0, one.value), 0) || 1;
      const scale = d3.scaleLinear([0, whole], [0, width]);
      let from = 0;
      const marks = points.map((one, at) => {
        const x = scale(from);
        from += Math.max(0, one.value);
        const wide = scale(from) - x;
        return wide > 0 && draw('rect', { x: x + (x > 0 ? 1 : 0), y: 0, width: Math.max(1, wide - (x > 0 ? 1 : 0)), height: 22, class: `mark ${toneOf(one, at)}`, 'data-at': at });
      });
      return { height: 22, marks };
    },
  },
};
