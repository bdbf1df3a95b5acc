'use strict';
// The look of every chart. On the page colours are the page's own variables, so that charts follow its light or dark theme; in
// files they are those of white paper.

const hebbPaper = {
  paper: '#ffffff', ink: '#1d1f21', soft: '#5c6166', rule: '#d9dad6',
  first: '#0f62a6', second: '#b3471d', third: '#4a7a2a', fourth: '#7a4a9a',
  font: 'Helvetica, Arial, "DejaVu Sans", sans-serif',
};

const hebbScreen = {
  paper: 'transparent', ink: 'var(--ink)', soft: 'var(--soft)', rule: 'var(--rule)',
  first: 'var(--first)', second: 'var(--second)', third: 'var(--third)', fourth: 'var(--fourth)',
  font: 'system-ui, -apple-system, "Segoe UI", Roboto, Helvetica, Arial, "DejaVu Sans", sans-serif',
};

function hebbTheme(colours) {
  const { paper, ink, soft, rule, font } = colours;
  const label = { labelColor: ink, labelFont: font, labelFontSize: 12, labelLimit: 190 };
  const title = { titleColor: soft, titleFont: font, titleFontSize: 12, titleFontWeight: 'normal' };
  return {
    background: paper,
    padding: 4,
    font,
    // A chart has one alternative text, and its numbers as a table: marks one by one would drown it.
    aria: false,
    view: { stroke: null, continuousWidth: 420 },
    axis: { ...label, ...title, domainColor: soft, tickColor: soft, gridColor: rule, labelOverlap: true },
    legend: { ...label, ...title, titleLimit: 400, gradientLength: 220, gradientThickness: 11, symbolStrokeWidth: 2 },
    header: { ...label, ...title, labelFontWeight: 600, labelPadding: 6 },
    title: { color: ink, font, fontSize: 13, anchor: 'start' },
    text: { color: ink, font, fontSize: 11 },
    rule: { color: soft },
    range: { category: [colours.first, colours.second, colours.third, colours.fourth] },
    style: {
      absent: { color: rule },
      'absent-sign': { color: soft, fontSize: 11 },
      'frame-outer': { color: '#000000', strokeWidth: 3 },
      'frame-inner': { color: '#ffffff', strokeWidth: 1.4 },
      series: { color: colours.first, strokeWidth: 1 },
      zero: { color: soft, strokeWidth: 0.7 },
      border: { color: soft, strokeWidth: 0.8, strokeDash: [3, 3] },
      chance: { color: colours.second },
      value: { color: colours.first },
      interval: { color: colours.first, strokeWidth: 1.5 },
      node: { color: soft },
      link: { color: colours.first },
      box: { color: colours.first, opacity: 0.45 },
      whisker: { color: colours.first },
      middle: { color: ink },
    },
  };
}
