// The host's page: a chat that shows one card in a sandboxed iframe, through the host side of MCP Apps.
import { AppBridge, PostMessageTransport } from '@modelcontextprotocol/ext-apps/app-bridge';

const heard = { links: [], context: [], calls: [], messages: [], heights: [], version: null };
let bridge = null;
let frame = null;

window.heard = heard;

window.showCard = async ({ html, input, result, context, capabilities, opensLinks, refuses, answers, holds }) => {
  frame?.remove();
  Object.assign(heard, { links: [], context: [], calls: [], messages: [], heights: [] });
  frame = document.createElement('iframe');
  // The strictest sandbox a host could choose: an origin of its own, no forms, no pop-ups.
  frame.setAttribute('sandbox', 'allow-scripts');
  frame.title = 'Card';
  document.getElementById('chat').append(frame);

  bridge = new AppBridge(null, { name: 'chat', version: '1' }, capabilities, { hostContext: context });
  bridge.oncalltool = async (params) => {
    heard.calls.push(params);
    if (refuses.includes(params.name)) throw new Error('The person did not allow it.');
    if (answers[params.name] === 'never') return new Promise(() => {});
    if (answers[params.name]) return answers[params.name];
    return window.callTool(params);
  };
  bridge.onopenlink = async ({ url }) => {
    heard.links.push(url);
    return opensLinks ? {} : { isError: true };
  };
  bridge.onmessage = async ({ content }) => {
    heard.messages.push(...content.map((part) => part.text));
    return {};
  };
  bridge.onupdatemodelcontext = async ({ content }) => {
    heard.context.push(...content.map((part) => part.text));
    return {};
  };
  bridge.onsizechange = ({ height }) => {
    heard.heights.push(height);
    frame.style.height = `${height}px`;
  };
  const initialized = new Promise((resolve) => (bridge.oninitialized = resolve));
  await bridge.connect(new PostMessageTransport(frame.contentWindow, frame.contentWindow));
  frame.srcdoc = html;
  await initialized;
  await bridge.sendToolInput({ arguments: input });
  if (!holds) await bridge.sendToolResult(result);
};

window.sendResult = (result) => bridge.sendToolResult(result);
window.sendCancelled = () => bridge.sendToolCancelled({});

window.sendContext = (context) => bridge.setHostContext(context);
window.teardown = () => bridge.teardownResource({});
window.sayTo = (message) => frame.contentWindow.postMessage(message, '*');
