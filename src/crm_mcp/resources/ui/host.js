// The wire to the host: JSON-RPC 2.0 over postMessage, with the parent window and nobody else.

const SPOKEN = ['2026-01-26', '2025-11-21'];
const PATIENCE = 60_000;

const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);

class Refused extends Error {}

/** Shake hands with the host. `hears` maps notifications to functions; `answers` maps requests to their results. */
async function connect(host, about, hears, answers) {
  const waiting = new Map();
  let last = 0;
  let origin = null;
  let isOpen = false;

  // An opaque origin ("null") cannot be addressed. What leaves then still goes to the parent window alone.
  const send = (message) => host.postMessage({ jsonrpc: '2.0', ...message }, origin && origin !== 'null' ? origin : '*');

  const request = (method, params, patience = PATIENCE) =>
    new Promise((resolve, reject) => {
      const id = ++last;
      const timer = setTimeout(() => {
        waiting.delete(id);
        reject(new Refused('There was no answer.'));
      }, patience);
      waiting.set(id, { resolve, reject, timer });
      send({ id, method, params });
    });

  const settle = (said, from) => {
    const asked = waiting.get(said.id);
    if (!asked) return;
    waiting.delete(said.id);
    clearTimeout(asked.timer);
    origin ??= from;
    if (isObject(said.error)) asked.reject(new Refused(String(said.error.message ?? 'It was refused.')));
    else if (isObject(said.result)) asked.resolve(said.result);
    else asked.reject(new Refused('The answer could not be read.'));
  };

  const answer = (said) => {
    const found = Object.hasOwn(answers, said.method) ? answers[said.method] : null;
    if (found) send({ id: said.id, result: found(said.params) });
    else send({ id: said.id, error: { code: -32601, message: 'Method not found' } });
  };

  window.addEventListener('message', (event) => {
    if (event.source !== host || (origin !== null && event.origin !== origin)) return;
    const said = event.data;
    if (!isObject(said) || said.jsonrpc !== '2.0') return;
    if (typeof said.method !== 'string') settle(said, event.origin);
    else if (said.id !== undefined && said.id !== null) answer(said);
    else if (isOpen && Object.hasOwn(hears, said.method)) hears[said.method](isObject(said.params) ? said.params : {});
  });

  const met = await request('ui/initialize', {
    appInfo: about,
    appCapabilities: { availableDisplayModes: ['inline'] },
    protocolVersion: SPOKEN[0],
  });
  if (!SPOKEN.includes(met.protocolVersion)) throw new Refused('This program and this card speak no common version.');
  isOpen = true;
  send({ method: 'ui/notifications/initialized', params: {} });
  return {
    request,
    tell: (method, params) => send({ method, params }),
    context: isObject(met.hostContext) ? met.hostContext : {},
    can: isObject(met.hostCapabilities) ? met.hostCapabilities : {},
  };
}
