// Opens report pages from disk in headless Chromium, as a reader does, and fails on whatever a reader should not meet.
//
//     node tests/browser/check_pages.mjs OUT PAGE-OR-ADDRESS...
//
// Of every page: no message on the console, no request but for the page itself, every chart drawn, the viewer showing a map that
// answers to its controls, downloads that hold what they say, valid HTML, nothing serious found by axe, nothing wider than the
// screen. Screenshots at 1280 and 390 pixels, light and dark, are left in OUT for eyes.
import { readFile, mkdir, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { chromium } from 'playwright-core';
import { HtmlValidate } from 'html-validate';

const [out, ...pages] = process.argv.slice(2);
const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const MOST_BYTES = 30e6;
const faults = [];

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: [
    '--no-sandbox', '--use-gl=angle', '--use-angle=swiftshader', '--enable-unsafe-swiftshader', '--no-first-run', '--disable-quic',
    '--disable-background-networking', '--disable-component-update', '--disable-sync',
  ],
});
await mkdir(out, { recursive: true });

for (const file of pages) {
  const fail = (what) => { faults.push(`${file}: ${what}`); };
  // `hebb view` asks its own server, and nobody else.
  const isServed = file.startsWith('http://127.0.0.1:');
  const name = isServed ? 'view' : path.basename(path.dirname(file)) + '-' + path.basename(file, '.html');
  const markup = isServed ? await (await fetch(file)).text() : await readFile(file, 'utf8');
  const size = isServed ? markup.length : (await stat(file)).size;
  if (size > MOST_BYTES) fail(`${(size / 1e6).toFixed(1)} MB, more than ${MOST_BYTES / 1e6}`);
  await checkMarkup(markup, fail);
  for (const [width, scheme] of [[1280, 'light'], [390, 'dark']]) {
    const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme: scheme, acceptDownloads: true });
    const page = await context.newPage();
    page.on('console', (message) => fail(`${width} px: console ${message.type()}: ${message.text().slice(0, 200)}`));
    page.on('pageerror', (error) => fail(`${width} px: ${error.message}`));
    page.on('request', (request) => {
      const isOwn = isServed ? request.url().startsWith(file) : request.url().startsWith('file:');
      if (!isOwn && !/^(data|blob):/.test(request.url())) fail(`${width} px: asks for ${request.url().slice(0, 100)}`);
    });
    const begun = performance.now();
    await page.goto(isServed ? file : pathToFileURL(path.resolve(file)).href);
    const opened = performance.now() - begun;
    await page.evaluate(() => document.querySelectorAll('details').forEach((part) => { part.open = true; }));
    await drawn(page, fail);
    const charts = await page.locator('figure.chart').count();
    console.log(`${file}: ${(size / 1e6).toFixed(1)} MB, open in ${opened.toFixed(0)} ms, ${charts} charts in ${(performance.now() - begun).toFixed(0)} ms at ${width} px`);
    if (opened > 2000) fail(`opens in ${opened.toFixed(0)} ms`);
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    if (overflow > 1) fail(`${width} px: ${overflow} px wider than the screen`);
    if (isServed) await checkLive(page, fail);
    await checkViewer(page, fail, width);
    if (width === 1280) await checkDownloads(page, fail);
    await checkAccess(page, fail, width);
    await page.evaluate(() => scrollTo(0, 0));
    await page.screenshot({ path: path.join(out, `${name}-${width}-${scheme}.png`), clip: { x: 0, y: 0, width, height: 6000 }, fullPage: true });
    await context.close();
  }
}
await browser.close();
for (const fault of faults) console.error(fault);
console.log(faults.length === 0 ? `${pages.length} pages are sound` : `${faults.length} faults`);
process.exit(faults.length === 0 ? 0 : 1);

async function drawn(page, fail) {
  const state = () => [...document.querySelectorAll('figure.chart')].every(({ dataset }) => ['drawn', 'failed'].includes(dataset.state));
  await page.waitForFunction(state, null, { timeout: 90_000 }).catch(() => fail('charts are not drawn after 90 s'));
  const failed = await page.evaluate(() => [...document.querySelectorAll('figure.chart')]
    .filter(({ dataset }) => dataset.state !== 'drawn').map((figure) => `${figure.id}: ${figure.querySelector('.plot').textContent}`));
  failed.forEach((chart) => fail(`chart ${chart}`));
  const broken = await page.evaluate(() => [...document.querySelectorAll('figure.chart svg')]
    .filter((svg) => /NaN|undefined/.test(svg.outerHTML)).map((svg) => svg.closest('figure').id));
  broken.forEach((chart) => fail(`chart ${chart} draws what is not a number`));
}

// The pixels of the viewer's canvas, read where it is seen.
async function pixels(page) {
  await page.waitForTimeout(400);
  return page.locator('.viewer canvas').screenshot();
}

async function checkViewer(page, fail, width) {
  const viewer = page.locator('.viewer');
  if (await viewer.count() === 0) return;
  await viewer.scrollIntoViewIfNeeded();
  await page.waitForFunction(() => document.querySelector('.viewer').dataset.state, null, { timeout: 60_000 }).catch(() => {});
  const state = await viewer.getAttribute('data-state');
  if (state !== 'ready') {
    fail(`${width} px: the viewer is ${state ?? 'not ready'}: ${await viewer.locator('output').textContent()}`);
    return;
  }
  const first = await pixels(page);
  const colours = await page.evaluate(async (picture) => {
    const bitmap = await createImageBitmap(new Blob([new Uint8Array(picture)], { type: 'image/png' }));
    const canvas = new OffscreenCanvas(bitmap.width, bitmap.height).getContext('2d');
    canvas.drawImage(bitmap, 0, 0);
    const { data } = canvas.getImageData(0, 0, bitmap.width, bitmap.height);
    const counts = new Map();
    for (let at = 0; at < data.length; at += 4) {
      const colour = (data[at] << 16) | (data[at + 1] << 8) | data[at + 2];
      counts.set(colour, (counts.get(colour) ?? 0) + 1);
    }
    return { n: counts.size, background: Math.max(...counts.values()) / (data.length / 4) };
  }, [...first]);
  if (colours.n < 50 || colours.background > 0.97) fail(`${width} px: the viewer shows no map (${JSON.stringify(colours)})`);
  const moved = async (what, act) => {
    const before = await pixels(page);
    await act();
    if (before.equals(await pixels(page))) fail(`${width} px: ${what} changes nothing in the viewer`);
  };
  const place = () => viewer.locator('output').textContent();
  const start = await place();
  await viewer.locator('canvas').focus();
  await page.keyboard.press('ArrowLeft');
  await page.keyboard.press('PageUp');
  if (start === await place()) fail(`${width} px: keys do not move in the viewer: ${start}`);
  await moved('the threshold', () => viewer.locator('[name=low]').evaluate((range) => {
    range.value = range.max * 0.6;
    range.dispatchEvent(new Event('input', { bubbles: true }));
  }));
  await moved('the view', () => viewer.locator('[name=view]').selectOption('axial'));
  await moved('the outline of networks', () => viewer.locator('[name=networks]').click());
  const maps = await viewer.locator('[name=map] option').count();
  if (maps > 1) await moved('another map', () => viewer.locator('[name=map]').selectOption({ index: maps - 1 }));
  const frames = await viewer.locator('[name=frame] option').count();
  if (frames > 1) await moved('another pattern', () => viewer.locator('[name=frame]').selectOption({ index: frames - 1 }));
}

// How far the study is, and its report in a frame.
async function checkLive(page, fail) {
  const told = () => ['running', 'idle', 'killed'].includes(document.querySelector('.live').dataset.state);
  await page.waitForFunction(told, null, { timeout: 30_000 }).catch(() => fail('the page does not say how far the study is'));
  if (await page.locator('.live tbody tr').count() === 0) fail('no kind of task is listed');
  const report = page.frameLocator('iframe').locator('main section').first();
  await report.waitFor({ timeout: 30_000 }).catch(() => fail('the report is not shown'));
}

async function checkDownloads(page, fail) {
  const figure = page.locator('figure.chart').first();
  if (await figure.count() === 0) return;
  for (const [form, begins] of [['svg', '<svg'], ['png', '\x89PNG'], ['tsv', null]]) {
    const [download] = await Promise.all([
      page.waitForEvent('download', { timeout: 20_000 }),
      figure.locator(`button[data-form=${form}]`).click(),
    ]);
    const content = await readFile(await download.path(), 'latin1');
    if (!download.suggestedFilename().endsWith(`.${form}`)) fail(`a download is called ${download.suggestedFilename()}`);
    if (begins !== null && !content.startsWith(begins)) fail(`the ${form} download begins ${JSON.stringify(content.slice(0, 20))}`);
    if (form === 'svg' && content.includes('var(--')) fail('the SVG download has colours of the page');
    if (form === 'tsv') {
      const widths = new Set(content.trimEnd().split('\n').map((line) => line.split('\t').length));
      if (widths.size !== 1) fail('the TSV download is ragged');
    }
  }
}

async function checkAccess(page, fail, width) {
  await page.evaluate(axe);
  const found = await page.evaluate(() => axe.run(document, { resultTypes: ['violations'] }));
  for (const { id, impact, nodes } of found.violations.filter(({ impact }) => ['serious', 'critical'].includes(impact))) {
    fail(`${width} px: axe ${id} (${impact}) at ${nodes.slice(0, 3).map(({ target }) => target.join(' ')).join(', ')}`);
  }
}

async function checkMarkup(markup, fail) {
  const validator = new HtmlValidate({ extends: ['html-validate:standard'], rules: { 'no-inline-style': 'off' } });
  const text = markup.replace(/<script>[\s\S]*?<\/script>/g, '<script></script>');
  const { results } = await validator.validateString(text);
  for (const { ruleId, message, line } of results.flatMap(({ messages }) => messages).slice(0, 10)) {
    fail(`line ${line}: ${message} (${ruleId})`);
  }
}
