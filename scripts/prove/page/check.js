'use strict';
const fs = require('fs');
const path = require('path');

const settings = JSON.parse(fs.readFileSync(0, 'utf8'));
const { chromium } = require(path.join(settings.modules, 'playwright-core'));
const axe = fs.readFileSync(path.join(settings.modules, 'axe-core', 'axe.min.js'), 'utf8');

const sizes = { phone: { width: 360, height: 740 }, desk: { width: 1280, height: 800 } };
let failures = 0;

function report(name, problems) {
  console.log((problems.length ? 'FAIL  ' : 'PASS  ') + name);
  for (const problem of problems) {
    failures++;
    console.log('      ' + problem);
  }
}

// Opens the page as a client and returns what it must not do.
async function open(browser, options, client, problems) {
  const context = await browser.newContext({
    viewport: sizes[options.size], colorScheme: options.scheme, javaScriptEnabled: options.scripts,
    reducedMotion: 'reduce', hasTouch: options.size === 'phone', isMobile: options.size === 'phone',
    extraHTTPHeaders: { 'X-Simulated-Client-Address': client.address },
    permissions: ['clipboard-read', 'clipboard-write'],
  });
  const page = await context.newPage();
  if (options.stripped) {
    await page.route(settings.base + '/', async (route) => {
      const response = await route.fetch();
      await route.fulfill({ response, body: (await response.text()).replace(/<script>[^]*<\/script>/, '') });
    });
  }
  page.on('console', (m) => m.type() === 'log' || problems.push('console: ' + m.text()));
  page.on('pageerror', (e) => problems.push('error: ' + e.message));
  page.on('request', (r) => r.url().startsWith(settings.base + '/') || r.url().startsWith('data:') || problems.push('request to ' + r.url()));
  page.on('response', (r) => r.ok() || problems.push(r.status() + ' for ' + r.url()));
  page.on('requestfailed', (r) => problems.push('failed: ' + r.url()));
  await page.goto(settings.base + '/', { waitUntil: 'load' });
  if (options.scripts && !options.stripped) {
    await page.waitForSelector('#you dl', { timeout: 5000 });
  }
  return { context, page };
}

async function checkPage(page, options, client, problems) {
  const { width } = sizes[options.size];
  const wide = await page.evaluate(() => document.documentElement.scrollWidth);
  if (wide > width) {
    problems.push(`the page is ${wide} pixels wide, the window ${width}`);
  }
  const you = await page.textContent('#you');
  if (!options.scripts) {
    if (!await page.isVisible('#you a[href="/where"]')) {
      problems.push('no link to /where without JavaScript');
    }
    return;
  }
  const mirror = client.mirror || (client.place.startsWith('GCP') ? 'upstream' : 'default');
  const source = client.mirror ? 'the mirror in ' + client.mirror : 'the ' + mirror;
  for (const want of [client.place, source]) {
    if (!you.includes(want)) {
      problems.push(`no "${want}" in "${you}"`);
    }
  }
  const mark = await page.$('#mark');
  const marked = mark && await mark.getAttribute('data-mirror');
  if (marked !== mirror) {
    problems.push(`the mark on the map is of "${marked}", want "${mirror}"`);
  }
  if ((await page.$('.route') !== null) !== (client.mirror !== '')) {
    problems.push('a line on the map without a mirror, or a mirror without a line');
  }
}

async function checkAccessibility(page, problems) {
  await page.evaluate(axe);
  const result = await page.evaluate(() => axe.run({ resultTypes: ['violations'] }));
  for (const v of result.violations) {
    problems.push(`axe: ${v.id}: ${v.help}: ${v.nodes.map((n) => n.target.join(' ')).slice(0, 3).join('; ')}`);
  }
}

async function checkLinks(page, problems) {
  const links = await page.$$eval('a[href]', (all) => all.map((a) => a.getAttribute('href')));
  for (const link of new Set(links)) {
    if (link.startsWith('#')) {
      if (link !== '#main') { // which only the keyboard reaches
        await page.click(`a[href="${link}"]`).catch((e) => problems.push(`link ${link}: ${e.message.split('\n')[0]}`));
      }
      if (!await page.$(link)) {
        problems.push(`link ${link} leads nowhere`);
      }
    } else if (link.startsWith('/')) {
      const response = await page.request.get(settings.base + link);
      if (!response.ok()) {
        problems.push(`link ${link}: status ${response.status()}`);
      }
    }
  }
  const privacy = await page.request.get(settings.base + '/privacy', { maxRedirects: 0 });
  if (privacy.headers().location !== '/#privacy') {
    problems.push('/privacy leads to ' + privacy.headers().location);
  }
}

async function checkKeyboard(page, problems) {
  await page.evaluate(() => { window.scrollTo(0, 0); document.activeElement.blur(); });
  await page.goto(settings.base + '/');
  await page.waitForSelector('.way button');
  await page.keyboard.press('Tab');
  const first = await page.evaluate(() => document.activeElement.getAttribute('href'));
  if (first !== '#main') {
    problems.push(`the first element that Tab reaches is ${first}, want the link to the content`);
  }
  await page.focus('.way button');
  await page.keyboard.press('Enter');
  await page.waitForFunction(() => document.querySelector('.way button').textContent === 'Copied', null, { timeout: 3000 }).catch(() => problems.push('the button does not copy'));
  const copied = await page.evaluate(() => navigator.clipboard.readText());
  if (!/^docker pull \S+\/IMAGE:TAG$/.test(copied)) {
    problems.push(`copied "${copied}"`);
  }
}

async function main() {
  const browser = await chromium.launch({ executablePath: settings.browser, args: settings.root ? ['--no-sandbox'] : [] });
  try {
    const combinations = [];
    for (const size of ['phone', 'desk']) {
      for (const scheme of ['light', 'dark']) {
        for (const scripts of [true, false]) {
          combinations.push({ size, scheme, scripts });
        }
      }
    }
    for (const [i, options] of combinations.entries()) {
      const client = settings.clients[i % 2];
      const problems = [];
      const { context, page } = await open(browser, options, client, problems);
      await checkPage(page, options, client, problems);
      if (options.scripts) {
        await checkAccessibility(page, problems);
      } else {
        // axe-core needs JavaScript, so it gets the page without its script.
        const stripped = await open(browser, { ...options, scripts: true, stripped: true }, client, problems);
        await checkAccessibility(stripped.page, problems);
        await stripped.context.close();
      }
      if (settings.screenshots && options.scripts && (options.size === 'desk') === (options.scheme === 'light')) {
        const file = path.join(settings.screenshots, `page-${options.size}.png`);
        // The top of the page, or the map, which is of use on a wide screen only.
        await page.evaluate((id) => (document.getElementById(id) || document.body).scrollIntoView(), options.size === 'desk' ? 'map' : '');
        await page.screenshot({ path: file });
        console.log('wrote ' + file);
      }
      await context.close();
      report(`${options.size}, ${options.scheme}, ${options.scripts ? 'JavaScript' : 'no JavaScript'}, ${client.place}`, problems);
    }
    const options = { size: 'desk', scheme: 'light', scripts: true };
    for (const client of settings.clients) {
      const problems = [];
      const { context, page } = await open(browser, options, client, problems);
      await checkPage(page, options, client, problems);
      if (client === settings.clients[0]) {
        await checkLinks(page, problems);
        await checkKeyboard(page, problems);
      }
      await context.close();
      report('from ' + client.place, problems);
    }
  } finally {
    await browser.close();
  }
  console.log(failures ? `${failures} problems` : 'no problems');
  process.exitCode = failures ? 1 : 0;
}

main().catch((e) => {
  console.error(e.message);
  process.exitCode = 1;
});
