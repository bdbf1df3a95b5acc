'use strict';
// What Vega expects of a browser, for an engine that has none; and the way from a specification to SVG.
globalThis.self = globalThis;
globalThis.console = { log() {}, info() {}, debug() {}, warn() {}, error() {} };
globalThis.setTimeout = (task) => { Promise.resolve().then(task); return 0; };
globalThis.clearTimeout = () => {};
globalThis.setInterval = () => 0;
globalThis.clearInterval = () => {};
globalThis.structuredClone = (value) => {
  if (Array.isArray(value)) return value.map(structuredClone);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, structuredClone(part)]));
};

globalThis.hebbDraw = (spec) => {
  globalThis.hebbSvg = undefined;
  globalThis.hebbError = undefined;
  // Names inside a picture do not hang on what was drawn before.
  vega.resetSVGDefIds();
  const failed = (error) => { globalThis.hebbError = String(error); };
  try {
    const compiled = vegaLite.compile(JSON.parse(spec), { config: hebbTheme(hebbPaper), logger: vega.logger(vega.Error) });
    const view = new vega.View(vega.parse(compiled.spec), { renderer: 'none', logLevel: vega.Error });
    view.toSVG().then((svg) => { globalThis.hebbSvg = svg; }, failed);
  } catch (error) {
    failed(error);
  }
};
