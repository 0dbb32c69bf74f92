// A chat program for the tests: an MCP client of a real `crm-mcp serve`, and a browser that shows its cards.
// It reads one JSON command a line and answers each with one line.
import { createServer } from 'node:http';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { build } from 'esbuild';
import { chromium } from 'playwright-core';

const UI = 'io.modelcontextprotocol/ui';
const MIME = 'text/html;profile=mcp-app';
const QUIET = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];
const { browser: executablePath, server, env } = JSON.parse(process.argv[2]);

const bundle = await build({ entryPoints: [join(import.meta.dirname, 'page.mjs')], bundle: true, format: 'esm', write: false, logLevel: 'error' });
const HOST = '<!doctype html><meta charset="utf-8"><title>Chat</title><style>body{margin:0;padding:16px}iframe{border:0;width:100%;height:150px;display:block}</style><main id="chat"></main><script type="module" src="/page.js"></script>';
const web = createServer((request, response) => {
  const isScript = request.url === '/page.js';
  response.writeHead(isScript || request.url === '/' ? 200 : 204, { 'content-type': isScript ? 'text/javascript' : 'text/html' });
  response.end(isScript ? bundle.outputFiles[0].text : HOST);
});
await new Promise((ready) => web.listen(0, '127.0.0.1', ready));
const origin = `http://127.0.0.1:${web.address().port}`;

const client = new Client({ name: 'chat', version: '1' }, { capabilities: { extensions: { [UI]: { mimeTypes: [MIME] } } } });
await client.connect(new StdioClientTransport({ command: server[0], args: server.slice(1), env, stderr: 'ignore' }));
const { tools } = await client.listTools();

const profile = mkdtempSync(join(tmpdir(), 'crm-chat-'));
const context = await chromium.launchPersistentContext(profile, { executablePath, headless: true, args: QUIET });
const requests = [];
const problems = [];
context.on('dialog', (dialog) => (problems.push(`dialog: ${dialog.message()}`), dialog.dismiss()));
const page = context.pages()[0] ?? (await context.newPage());
// Everything of the chat's own tab, its frames included.
page.on('request', (request) => requests.push(request.url()));
page.on('pageerror', (error) => problems.push(`error: ${error.message}`));
page.on('console', (message) => ['error', 'warning'].includes(message.type()) && problems.push(`console: ${message.text()}`));
await page.exposeFunction('callTool', (params) => client.callTool(params));

const card = () => page.frameLocator('iframe');
const lines = (names, source) => new (Object.getPrototypeOf(async () => {}).constructor)(...names, source);
const commands = {
  call: ({ name, args }) => client.callTool({ name, arguments: args }),
  tools: () => tools,
  /** Show a result (or the answer to a call made now) in the card that its tool names. */
  async show({ name, args = {}, result, theme = 'light', width = 720, height = 900, variables = {}, opensLinks = true, capabilities, refuses = [], answers = {}, holds = false, wait = 'main:not([aria-busy=true])' }) {
    const tool = tools.find((one) => one.name === name);
    const { contents } = await client.readResource({ uri: tool._meta.ui.resourceUri });
    const answer = result ?? (await client.callTool({ name, arguments: args }));
    await page.setViewportSize({ width: width + 32, height });
    await page.emulateMedia({ colorScheme: theme });
    if (!page.url().startsWith(origin)) await page.goto(origin);
    await page.evaluate((given) => window.showCard(given), {
      html: contents[0].text,
      input: args,
      result: answer,
      opensLinks,
      refuses,
      answers,
      holds,
      capabilities: capabilities ?? { serverTools: {}, openLinks: {}, updateModelContext: { text: {} }, message: { text: {} } },
      context: { theme, locale: 'en-GB', timeZone: 'Europe/Berlin', styles: { variables }, toolInfo: { tool } },
    });
    if (wait && !holds) await card().locator(wait).waitFor({ timeout: 20_000 });
    return answer;
  },
  /** Run a few lines against the page; `card` is the card's frame. */
  async run({ source, args }) {
    return (await lines(['page', 'card', 'args'], source)(page, card(), args)) ?? null;
  },
  /** Run a few lines against a tab of another browser. A tab beside the chat would put that in the background, where a card takes no clicks any more. */
  async elsewhere({ source, args }) {
    const other = await chromium.launch({ executablePath, headless: true, args: QUIET });
    try {
      return (await lines(['tab', 'args'], source)(await other.newPage(), args)) ?? null;
    } finally {
      await other.close();
    }
  },
  heard: () => page.evaluate(() => window.heard),
  network: () => ({ origin, requests, problems: problems.splice(0) }),
};

for await (const line of createInterface({ input: process.stdin })) {
  const { command, ...given } = JSON.parse(line);
  let told;
  try {
    told = { ok: await commands[command](given) };
  } catch (problem) {
    told = { problem: String(problem.stack ?? problem) };
  }
  process.stdout.write(JSON.stringify(told) + '\n');
}
await context.close();
await client.close();
web.close();
rmSync(profile, { recursive: true, force: true });
