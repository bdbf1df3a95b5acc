'use strict';
// Draws the charts of the page as they come into view, the others when there is time, and gives each its downloads.
(() => {
  const figures = [...document.querySelectorAll('figure.chart')];

  const specOf = (figure) => JSON.parse(figure.querySelector('script').textContent);
  const options = (colours, renderer) => ({
    mode: 'vega-lite', renderer, actions: false, ast: true, logLevel: vega.Error, config: hebbTheme(colours), tooltip: { disableDefaultStyle: false },
  });

  async function draw(figure) {
    if (figure.dataset.state) return;
    figure.dataset.state = 'drawing';
    const plot = figure.querySelector('.plot');
    try {
      await vegaEmbed(plot, specOf(figure), options(hebbScreen, 'svg'));
      plot.style.minHeight = '';
      figure.dataset.state = 'drawn';
    } catch (error) {
      plot.textContent = `This chart could not be drawn (${error.message}); its numbers are in the table.`;
      figure.dataset.state = 'failed';
    }
  }

  function save(content, type, name) {
    const link = document.createElement('a');
    link.href = URL.createObjectURL(new Blob([content], { type }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }

  // The chart on white paper, whatever the theme of the page.
  async function onPaper(figure, use) {
    const { view } = await vegaEmbed(document.createElement('div'), specOf(figure), options(hebbPaper, 'svg'));
    try {
      return await use(view);
    } finally {
      view.finalize();
    }
  }

  const downloads = {
    svg: async (figure) =>
      save(await onPaper(figure, (view) => view.toSVG()), 'image/svg+xml', `${figure.id}.svg`),
    png: async (figure) => {
      const canvas = await onPaper(figure, (view) => view.toCanvas(3));
      canvas.toBlob((picture) => save(picture, 'image/png', `${figure.id}.png`), 'image/png');
    },
    tsv: (figure) => {
      const { data, usermeta } = specOf(figure);
      const cell = (value) => (value === null || value === undefined ? 'n/a' : String(value).replace(/[\t\r\n]/g, ' '));
      const lines = [usermeta.columns, ...data.values.map((row) => usermeta.columns.map((column) => row[column]))];
      save(lines.map((line) => line.map(cell).join('\t')).join('\n') + '\n', 'text/tab-separated-values', `${figure.id}.tsv`);
    },
  };

  for (const figure of figures) {
    const bar = figure.querySelector('.downloads');
    for (const button of bar.querySelectorAll('button')) {
      button.addEventListener('click', () => downloads[button.dataset.form](figure));
    }
    bar.hidden = false;
  }

  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting) draw(entry.target);
  }, { rootMargin: '400px' });
  figures.forEach((figure) => seen.observe(figure));

  // One chart at a time, so that the page stays responsive; a printed page has them all.
  const whenIdle = window.requestIdleCallback ?? ((task) => setTimeout(task, 50));
  const waiting = [...figures];
  const next = () => {
    const figure = waiting.shift();
    if (figure) draw(figure).then(() => whenIdle(next));
  };
  whenIdle(next);
})();
