// Figures as people read them. Amounts are decimal text and stay it; numbers made of them are for lengths alone.

const DECIMAL = /^-?\d+(\.\d+)?$/;
const DAY = /^\d{4}-\d{2}-\d{2}$/;
const MINUS = '\u2212';

/** Return decimal text with its thousands apart; of what is no decimal the beginning. */
function grouped(value) {
  const text = asText(value);
  if (!DECIMAL.test(text)) return short(text, 24);
  const [whole, part] = text.replace('-', '').split('.');
  return `${text.startsWith('-') ? MINUS : ''}${whole.replace(/\B(?=(\d{3})+$)/g, ',')}${part ? `.${part}` : ''}`;
}

const isMoney = (value) => isObject(value) && typeof value.currency === 'string' && DECIMAL.test(asText(value.amount));
const money = (value) => (isMoney(value) ? `${value.currency} ${grouped(value.amount)}` : '');
const counted = (count, noun, many = `${noun}s`) => `${grouped(count)} ${count === 1 ? noun : many}`;

/** Return how far a figure reaches in a chart: never shown, never added to what is shown. */
function reach(value) {
  const number = Number(isObject(value) ? value.amount : value);
  return Number.isFinite(number) ? number : 0;
}

/** Return decimals as whole numbers of the same size, exactly. */
function alike(...texts) {
  const places = Math.max(...texts.map((text) => (text.split('.')[1] ?? '').length));
  const whole = (text) => {
    const [head, part = ''] = text.split('.');
    return BigInt(head.replace('-', '') + part.padEnd(places, '0')) * (text.startsWith('-') ? -1n : 1n);
  };
  return { places, numbers: texts.map(whole) };
}

function decimal(number, places) {
  const digits = String(number < 0n ? -number : number).padStart(places + 1, '0');
  const text = places ? `${digits.slice(0, -places)}.${digits.slice(-places)}` : digits;
  return number < 0n ? `-${text}` : text;
}

/** Return how two decimals differ: the difference, and in per cent of the former to one place; exact, half up. */
function difference(now, before) {
  const [a, b] = [asText(now), asText(before)];
  if (!DECIMAL.test(a) || !DECIMAL.test(b)) return null;
  const { places, numbers: [x, y] } = alike(a, b);
  const more = x - y;
  const base = y < 0n ? -y : y;
  if (base === 0n) return { by: decimal(more, places), percent: null, sign: Number(more > 0n) - Number(more < 0n) };
  const size = more < 0n ? -more : more;
  const tenths = (size * 2000n + base) / (2n * base);
  return { by: decimal(more, places), percent: `${more < 0n ? MINUS : '+'}${grouped(decimal(tenths, 1))} %`, sign: Number(more > 0n) - Number(more < 0n) };
}

/** Return a difference with its sign in front of all, a currency's too. */
const signed = (text, currency = '') => `${text.startsWith('-') ? MINUS : reach(text) === 0 ? '' : '+'}${currency && `${currency} `}${grouped(text.replace('-', ''))}`;

/** Return a form of the host's language and zone, or of English where it names none that is known. */
function inTheirForm(kind, context, form) {
  const [locale, timeZone] = [asText(context.locale) || 'en', form.timeZone ?? (asText(context.timeZone) || undefined)];
  try {
    return new Intl[kind](locale, { ...form, timeZone });
  } catch {
    return new Intl[kind]('en', { ...form, timeZone: form.timeZone });
  }
}

/** Return a day, or the day of a time in the host's zone. */
function day(value, context, form = { day: 'numeric', month: 'short', year: 'numeric' }) {
  const text = asText(value);
  const when = new Date(DAY.test(text) ? `${text}T00:00:00Z` : text);
  if (Number.isNaN(when.getTime())) return text;
  return inTheirForm('DateTimeFormat', context, DAY.test(text) ? { ...form, timeZone: 'UTC' } : form).format(when);
}

/** Return a day as an element; the year is named where it is another. */
function dated(value, context) {
  const text = asText(value);
  if (Number.isNaN(Date.parse(text))) return text && visible(text);
  const form = { day: 'numeric', month: 'short', ...(text.startsWith(String(new Date().getFullYear())) ? {} : { year: 'numeric' }) };
  return text && el('time', { datetime: text, title: day(text, context) }, visible(day(text, context, form)));
}

const monthName = (text, context, form = { month: 'short', year: 'numeric' }) => (/^\d{4}-\d{2}$/.test(text) ? day(`${text}-01`, context, form) : text);

/** Return a tick of an axis, short. */
const tick = (number, context) => inTheirForm('NumberFormat', context, { notation: 'compact', maximumFractionDigits: 1 }).format(number);

const words = (name) => capital(asText(name).replace(/_/g, ' ').replace(/([a-z])([A-Z])/g, (_, a, b) => `${a} ${b.toLowerCase()}`));

/** Return somebody else's text for a place where no box can stand: what would hide is named, what is long is cut. */
function short(text, most = 60) {
  const chars = [...asText(text).replace(/\s+/g, ' ')];
  const shown = [];
  let length = 0;
  for (const [at, char] of chars.entries()) {
    const part = isUnseen(chars, at) ? `[U+${char.codePointAt(0).toString(16).toUpperCase().padStart(4, '0')}]` : char;
    length += part === char ? 1 : part.length;
    if (length > most) return `${shown.join('')}…`;
    shown.push(part);
  }
  return shown.join('');
}
