// What the card and the pages do alike with their host: wear its colours, read its answers, tell it their height.

/** Take on the host's theme and its colours, fonts and borders; nothing in them may load anything. */
function wear(context) {
  const root = document.documentElement;
  if (context.theme === 'light' || context.theme === 'dark') root.dataset.theme = context.theme;
  const given = isObject(context.styles) && isObject(context.styles.variables) ? context.styles.variables : {};
  for (const [name, value] of Object.entries(given))
    if (/^--(color|font|border|shadow)-[a-z0-9-]+$/.test(name) && typeof value === 'string' && !/url\(/i.test(value)) root.style.setProperty(name, value);
}

function bodyOf(result) {
  if (isObject(result.structuredContent)) return result.structuredContent;
  return null;
}

const textOf = (result) => asList(result.content).map((part) => (isObject(part) ? asText(part.text) : '')).filter(Boolean).join('\n');

const failed = (result, body) => result.isError === true || body === null || Boolean(body.error);

/** Return what an error says, in its own words. */
function problemOf(result, body) {
  const context = isObject(body?.context) ? body.context : {};
  return asText(context.hint) || textOf(result).slice(0, 600) || 'No reason was given.';
}

function reportHeight(host) {
  let height = 0;
  new ResizeObserver(() => {
    const next = Math.ceil(document.documentElement.getBoundingClientRect().height);
    if (next !== height) host.tell('ui/notifications/size-changed', { height: (height = next) });
  }).observe(document.documentElement);
}

/** Return a warning where any of these texts holds something that would not be seen. */
function hiddenBanner(values) {
  if (!hides(values)) return null;
  return el('div', { class: 'banner danger' }, el('strong', {}, 'Hidden characters'), el('p', {}, 'Some of these texts hold characters that do not show or that reorder others. They are boxed and left out of the text.'));
}
