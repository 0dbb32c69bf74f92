// Elements and texts. Whatever comes from elsewhere becomes a text node, and what would hide in it is shown.

const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cn}\p{Co}\p{Cs}\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\uffa0\ufe00-\ufe0f\u{e0100}-\u{e01ef}]/u;
const PICTURE = /[\p{So}\u{1f3fb}-\u{1f3ff}]/u;
// An amount stays on one line with its currency.
const PRICE = /\b([A-Z]{3}) (?=\d)/g;
const SHOWN_RUN = 4;

function el(name, about = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(about)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith('on')) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value === true ? '' : String(value));
  }
  made.append(...children.flat(9).filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

/** Return somebody else's text: isolated, its invisible and direction-changing characters as boxed names. */
function visible(text) {
  const shown = el('bdi');
  const chars = [...String(text)];
  let plain = '';
  let run = [];
  const flush = () => {
    if (plain) shown.append(plain.replace(PRICE, '$1\u00a0'));
    for (const char of run.slice(0, SHOWN_RUN)) shown.append(boxed(char));
    if (run.length > SHOWN_RUN) shown.append(el('span', { class: 'unseen' }, `and ${run.length - SHOWN_RUN} more hidden`));
    plain = '';
    run = [];
  };
  chars.forEach((char, at) => {
    if (isUnseen(chars, at)) {
      if (plain) flush();
      run.push(char);
    } else {
      if (run.length) flush();
      plain += char;
    }
  });
  flush();
  return shown;
}

function isUnseen(chars, at) {
  const char = chars[at];
  if (char === '\n' || char === '\t') return false;
  if (char === '\u200d') return !(isPicture(chars, at - 1) && isPicture(chars, at + 1));
  if (char === '\ufe0f') return !isPicture(chars, at - 1);
  return UNSEEN.test(char);
}

function isPicture(chars, at) {
  const char = chars[at];
  if (char === undefined) return false;
  return char === '\ufe0f' ? at > 0 && PICTURE.test(chars[at - 1]) : PICTURE.test(char);
}

function boxed(char) {
  const code = char.codePointAt(0).toString(16).toUpperCase().padStart(4, '0');
  return el('span', { class: 'unseen', title: 'a hidden character' }, `U+${code}`);
}

/** Say whether anything in a structure would not be seen. */
function hides(value) {
  if (typeof value === 'string') {
    const chars = [...value];
    return chars.some((_, at) => isUnseen(chars, at));
  }
  return typeof value === 'object' && value !== null && Object.values(value).some(hides);
}

const asText = (value) => (typeof value === 'string' ? value : typeof value === 'number' ? String(value) : '');
const asList = (value) => (Array.isArray(value) ? value : []);
const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/** Return a time both ways: how far, and when exactly, in the host's language and zone. */
function timeOf(iso, context) {
  const when = new Date(asText(iso));
  if (Number.isNaN(when.getTime())) return null;
  const [locale, timeZone] = [asText(context.locale) || undefined, asText(context.timeZone) || undefined];
  const minutes = Math.round((when - Date.now()) / 60_000);
  const [count, unit] =
    Math.abs(minutes) < 90 ? [minutes, 'minute'] : Math.abs(minutes) < 2160 ? [Math.round(minutes / 60), 'hour'] : [Math.round(minutes / 1440), 'day'];
  const exact = { weekday: 'short', day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' };
  const say = (locale, timeZone) => ({
    far: new Intl.RelativeTimeFormat(locale, { numeric: 'auto' }).format(count, unit),
    exact: new Intl.DateTimeFormat(locale, { ...exact, timeZone, timeZoneName: 'short' }).format(when),
  });
  try {
    return say(locale ?? 'en', timeZone);
  } catch {
    return say('en', undefined);
  }
}

function time(iso, context) {
  const said = timeOf(iso, context);
  return said && el('time', { datetime: asText(iso), title: said.exact }, said.far);
}
