// A person with an authenticator: signs in, adds a passkey, decides with it, signs in with it. One JSON argument in,
// one JSON line out: what each page said, and every error and warning of the browser.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const { browser: executablePath, origin, link, drafts, shots } = JSON.parse(process.argv[2]);
const args = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];
const profile = mkdtempSync(join(tmpdir(), 'crm-passkeys-'));
const context = await chromium.launchPersistentContext(profile, { executablePath, headless: true, args, viewport: { width: 390, height: 844 } });
const page = context.pages()[0] ?? (await context.newPage());
const said = { problems: [], clicks: 0 };
page.on('pageerror', (error) => said.problems.push(`error: ${error.message}`));
page.on('console', (message) => ['error', 'warning'].includes(message.type()) && !message.text().includes('401 (Unauthorized)') && said.problems.push(`${page.url()}: ${message.text()}`));

const keys = await context.newCDPSession(page);
await keys.send('WebAuthn.enable');
const { authenticatorId } = await keys.send('WebAuthn.addVirtualAuthenticator', {
  options: { protocol: 'ctap2', transport: 'internal', hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true },
});
const verified = (isUserVerified) => keys.send('WebAuthn.setUserVerified', { authenticatorId, isUserVerified });
const shown = () => page.locator('main').innerText();
const press = async (name, leads = /./) => {
  said.clicks += 1;
  await Promise.all([page.waitForURL(leads), page.getByRole('button', { name, exact: true }).click()]);
};
async function shoot(name) {
  for (const scheme of shots ? ['light', 'dark'] : []) {
    await page.emulateMedia({ colorScheme: scheme });
    for (const width of [390, 1280]) {
      await page.setViewportSize({ width, height: 900 });
      await page.waitForTimeout(200); // colours change over 120 ms
      await page.screenshot({ path: `${shots}/${name}-${width}-${scheme}.png`, fullPage: width === 1280 });
    }
  }
  await page.emulateMedia({ colorScheme: 'light' });
  await page.setViewportSize({ width: 390, height: 844 });
}
const overflows = () => page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);

try {
  await page.goto(link);
  await press('Sign in', /passkeys/);
  said.wide = [await overflows()];
  await shoot('none-yet');

  await page.goto(`${origin}/drafts/${drafts[0]}`);
  said.unable = await shown();
  said.off = await page.getByRole('button', { name: 'Approve with passkey' }).isDisabled();
  await shoot('draft-without');

  await page.goto(`${origin}/passkeys`);
  await page.getByLabel('What do you call the device?').fill('My phone');
  await press('Add a passkey', /done=added/);
  said.added = await shown();
  said.wide.push(await overflows());
  await page.locator('summary:has-text("Revoke")').first().click();
  await shoot('added');
  await page.getByLabel('What do you call the device?').fill('Again');
  await page.getByRole('button', { name: 'Add a passkey' }).click();
  await page.locator('form[data-passkey=create] p.wrong:not([hidden])').waitFor();
  said.again = await page.locator('form[data-passkey=create] p.wrong').innerText();

  await page.goto(`${origin}/drafts/${drafts[0]}`);
  await shoot('draft');
  said.wide.push(await overflows());
  await verified(false);
  await page.getByRole('button', { name: 'Approve with passkey' }).click();
  await page.locator('p.wrong:not([hidden])').waitFor({ timeout: 330000 });
  said.unverified = await page.locator('p.wrong:not([hidden])').innerText();
  await shoot('draft-refused');
  await verified(true);
  await page.goto(`${origin}/`);
  said.clicks = 0;
  await Promise.all([page.waitForURL(/draft_/), page.locator(`a[href^="/drafts/${drafts[0]}"]`).first().click()]);
  said.clicks += 1;
  await press('Approve with passkey');
  await page.locator('#outcome').waitFor();
  said.approved = await shown();
  said.toApprove = said.clicks;

  await page.goto(`${origin}/drafts/${drafts[1]}`);
  await page.locator('summary:has-text("Reject")').click();
  await page.locator('textarea').fill('Too dear.');
  await shoot('rejecting');
  await press('Reject');
  await page.locator('#outcome').waitFor();
  said.rejected = await shown();

  await press('Sign out');
  await page.goto(`${origin}/history`);
  await shoot('sign-in');
  said.wide.push(await overflows());
  await press('Sign in with a passkey');
  await page.getByRole('heading', { name: 'Decided' }).waitFor();
  said.back = page.url();

  const plain = await context.browser()?.newContext({ javaScriptEnabled: false, storageState: await context.storageState() });
  if (plain) {
    const still = await plain.newPage();
    await still.goto(`${origin}/drafts/${drafts[2]}`);
    said.scriptless = await still.locator('main').innerText();
    said.stillOff = await still.getByRole('button', { name: 'Approve with passkey' }).isDisabled();
  }
} catch (problem) {
  said.fell = `${problem.message} at ${page.url()}: ${await shown().catch(() => '')}`;
} finally {
  console.log(JSON.stringify(said));
  await context.close();
  rmSync(profile, { recursive: true, force: true });
}
