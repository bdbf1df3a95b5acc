// Takes a picture of a report: how the page opens, on the left; its first chart and its viewer, further down the page, on the right.
//
//     node tests/browser/picture.mjs PAGE OUT.png
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { chromium } from 'playwright-core';

const [file, out] = process.argv.slice(2);
// Narrow, so that the text can still be read where the picture is shown small.
const WIDTH = 760;
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--use-gl=angle', '--use-angle=swiftshader', '--enable-unsafe-swiftshader', '--no-first-run'],
});
const page = await browser.newPage({ viewport: { width: WIDTH, height: 900 }, colorScheme: 'light' });
await page.goto(pathToFileURL(path.resolve(file)).href);
const charts = () => [...document.querySelectorAll('figure.chart')].every(({ dataset }) => dataset.state === 'drawn');
await page.waitForFunction(charts, null, { timeout: 90_000 });
await page.locator('.viewer').scrollIntoViewIfNeeded();
await page.waitForFunction(() => document.querySelector('.viewer').dataset.state === 'ready', null, { timeout: 60_000 });
// The viewer draws a frame after it says that it is ready.
await page.waitForTimeout(1000);

// Where the chart and the viewer begin and end on the page.
const { chart, viewer } = await page.evaluate(() => {
  const top = (element) => Math.round(element.getBoundingClientRect().top + scrollY);
  const bottom = (element) => Math.round(element.getBoundingClientRect().bottom + scrollY);
  const section = document.querySelector('#prediction');
  const figure = section.querySelector('figure.chart');
  const shown = document.querySelector('#brain .viewer');
  return {
    chart: [top(section.querySelector('h2')) - 16, bottom(figure.querySelector('.plot')) + 8],
    viewer: [top(document.querySelector('#brain h2')) - 16, bottom(shown) + 8],
  };
});
await page.evaluate(() => scrollTo(0, 0));
const height = chart[1] - chart[0] + viewer[1] - viewer[0];
// Each part by itself: a picture of the whole page is more than some machines have room for.
const part = async (left, top, [from, to]) => {
  const picture = await page.screenshot({ fullPage: true, clip: { x: 0, y: from, width: WIDTH, height: to - from } });
  return `<img style="position:absolute;left:${left}px;top:${top}px" src="data:image/png;base64,${picture.toString('base64')}">`;
};
const parts = [await part(0, 0, [0, height]), await part(WIDTH, 0, chart), await part(WIDTH, chart[1] - chart[0], viewer)];
const sheet = await browser.newPage({ viewport: { width: 2 * WIDTH, height } });
await sheet.setContent(`<body style="margin:0">${parts.join('')}`
  + `<div style="position:absolute;left:${WIDTH}px;top:0;width:1px;height:${height}px;background:#ccc"></div></body>`);
await sheet.waitForFunction(() => [...document.images].every((image) => image.complete));
await sheet.screenshot({ path: out });
await browser.close();
