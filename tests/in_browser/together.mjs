// A group of e-mails on an open page: another approver takes one, the page says so, the rest is signed once; then a
// sign-in by what the browser offers where an address is typed. One JSON argument in, one JSON line out.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const { browser: executablePath, origin, link, other, drafts, shots } = JSON.parse(process.argv[2]);
const args = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];
const profile = mkdtempSync(join(tmpdir(), 'crm-together-'));
const context = await chromium.launchPersistentContext(profile, { executablePath, headless: true, args, viewport: { width: 390, height: 844 } });
const page = context.pages()[0] ?? (await context.newPage());
const said = { problems: [], wide: [], asked: [] };
page.on('pageerror', (error) => said.problems.push(`error: ${error.message}`));
page.on('console', (message) => ['error', 'warning'].includes(message.type()) && !/ 40(1|9) /.test(message.text()) && said.problems.push(`${page.url()}: ${message.text()}`));
page.on('request', (request) => request.url().includes('/options') && said.asked.push(new URL(request.url()).pathname));

const keys = await context.newCDPSession(page);
await keys.send('WebAuthn.enable');
const { authenticatorId } = await keys.send('WebAuthn.addVirtualAuthenticator', {
  options: { protocol: 'ctap2', transport: 'internal', hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true },
});
const present = (enabled) => keys.send('WebAuthn.setAutomaticPresenceSimulation', { authenticatorId, enabled });
const shown = () => page.locator('main').innerText();
const press = (name, leads = /./) => Promise.all([page.waitForURL(leads), page.getByRole('button', { name, exact: true }).click()]);
async function shoot(name) {
  for (const scheme of shots ? ['light', 'dark'] : []) {
    await page.emulateMedia({ colorScheme: scheme });
    for (const width of [390, 1280]) {
      await page.setViewportSize({ width, height: 900 });
      await page.waitForTimeout(200); // colours change over 120 ms
      await page.screenshot({ path: `${shots}/${name}-${width}-${scheme}.png`, fullPage: true });
    }
  }
  await page.emulateMedia({ colorScheme: 'light' });
  await page.setViewportSize({ width: 390, height: 844 });
}
const overflows = () => page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);

try {
  await page.goto(link);
  await press('Sign in', /passkeys/);
  await page.getByLabel('What do you call the device?').fill('My phone');
  await press('Add a passkey', /done=added/);

  await page.goto(`${origin}/drafts/${drafts[0]}/group`);
  said.before = await shown();
  said.wide.push(await overflows());
  await shoot('group');
  await page.getByLabel('How many e-mails have you read above?').fill(String(drafts.length - 1));
  await page.getByRole('button', { name: 'Approve all with passkey' }).click();
  await page.locator('form.passkey p.wrong:not([hidden])').waitFor();
  said.miscounted = await page.locator('form.passkey p.wrong').innerText();

  const ada = await context.browser()?.newContext() ?? null;
  const hers = ada && (await ada.newPage());
  await hers.goto(other);
  await Promise.all([hers.waitForURL(/draft_/), hers.getByRole('button', { name: 'Sign in', exact: true }).click()]);
  await hers.locator('summary:has-text("Reject")').click();
  await hers.locator('textarea').fill('Not this one.');
  await Promise.all([hers.waitForURL(/draft_/), hers.getByRole('button', { name: 'Reject', exact: true }).click()]);
  await page.locator(`[data-draft="${drafts[1]}"] .chip.moved`).waitFor({ timeout: 25000 });
  said.chip = await page.locator(`[data-draft="${drafts[1]}"] .chip.moved`).innerText();
  said.banner = await page.locator('#moved').innerText();
  said.wide.push(await overflows());
  await shoot('group-moved');

  await page.getByLabel('How many e-mails have you read above?').fill(String(drafts.length));
  await page.getByRole('button', { name: 'Approve all with passkey' }).click();
  await page.getByRole('heading', { name: 'What became of them' }).waitFor();
  said.after = await shown();
  said.wide.push(await overflows());
  await shoot('group-done');

  // Offered and not taken: the page waits, and its button still works. Offered and taken: signed in without a press.
  await present(false);
  await press('Sign out');
  said.asked.length = 0;
  await page.goto(`${origin}/history`);
  await page.waitForTimeout(500);
  said.waits = await page.getByRole('heading', { level: 1 }).innerText();
  said.offered = [...said.asked];
  await shoot('offered');
  await present(true);
  await page.goto(`${origin}/history`);
  await page.getByRole('heading', { name: 'Decided' }).waitFor({ timeout: 25000 });
  said.back = page.url();
} catch (problem) {
  said.fell = `${problem.message} at ${page.url()}: ${await shown().catch(() => '')}`;
} finally {
  console.log(JSON.stringify(said));
  await context.close();
  rmSync(profile, { recursive: true, force: true });
}
