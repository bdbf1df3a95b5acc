'use strict';
// Asks how far the study is and writes it down; shows the report, and again when it was laid out anew.
(() => {
  const part = (selector) => document.querySelector(selector);
  const EVERY_MS = 700;
  let shown = null;

  const element = (name, text, options = {}) => Object.assign(document.createElement(name), { textContent: text, ...options });
  const counted = (n, one) => `${n.toLocaleString('en')} ${one}${n === 1 ? '' : 's'}`;

  function duration(seconds) {
    if (seconds < 10) return `${seconds.toFixed(1)} s`;
    if (seconds < 100) return `${Math.round(seconds)} s`;
    const minutes = Math.round(seconds / 60);
    return minutes < 100 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  }

  function sentence(state) {
    const { live } = state;
    switch (state.state) {
      case 'running': {
        const left = live.left_s === null ? '' : `, about ${duration(live.left_s)} left`;
        return `Run ${live.run} goes on: ${live.ended} of ${counted(live.to_run, 'task')} in ${duration(live.elapsed_s)}${left}.`;
      }
      case 'killed': return `The last run was killed after ${live.ended} of ${counted(live.to_run, 'task')}; the next one goes on from there.`;
      case 'wrong': return `The study cannot be read as it stands: ${state.message}`;
      default: {
        const { cached } = state.counts;
        const runs = state.counts.to_run + state.counts.to_follow;
        if (runs === 0) return `Nothing has to run: ${counted(cached, 'result')} in the cache.`;
        return `Nothing runs. ${counted(runs, 'task')} would, ${counted(cached, 'result')} in the cache.`;
      }
    }
  }

  const COLUMNS = {
    running: [['kind', 'kind'], ['tasks', 'total'], ['cached', 'cached'], ['to run', 'to_run'], ['done', 'done'], ['running', 'running'], ['failed', 'failed']],
    idle: [['kind', 'kind'], ['tasks', 'total'], ['cached', 'cached'], ['failed', 'failed']],
  };

  function table(kinds, columns) {
    const all = part('.live table');
    all.hidden = kinds.length === 0;
    const head = document.createElement('tr');
    columns.forEach(([title], place) => head.append(element('th', title, { scope: 'col', className: place ? 'number' : '' })));
    all.tHead.replaceChildren(head);
    all.tBodies[0].replaceChildren(...kinds.map((kind) => {
      const row = document.createElement('tr');
      columns.forEach(([, field], place) => {
        const value = field === 'done' ? kind.computed + kind.unchanged : kind[field];
        row.append(element(place ? 'td' : 'th', value, place ? { className: 'number' } : { scope: 'row' }));
      });
      return row;
    }));
  }

  function list(place, title, entries) {
    place.hidden = entries.length === 0;
    const listed = document.createElement('ul');
    listed.append(...entries);
    place.replaceChildren(element('h3', title), listed);
  }

  function running({ task, seconds, estimated_s: estimated, done, of }) {
    const entry = document.createElement('li');
    const about = estimated === null ? '' : ` of about ${duration(estimated)}`;
    const steps = of === null ? '' : `, ${done.toLocaleString('en')} of ${of.toLocaleString('en')}`;
    entry.append(element('code', task), ` ${duration(seconds)}${about}${steps}`);
    return entry;
  }

  function failed({ task, message }) {
    const entry = document.createElement('li');
    entry.append(element('code', task), `: ${message}`);
    return entry;
  }

  // A line that has not changed is not said again by a screen reader.
  function say(text) {
    if (part('.state').textContent !== text) part('.state').textContent = text;
  }

  function write(state) {
    const { live } = state;
    say(sentence(state));
    const whole = part('.live progress');
    whole.hidden = state.state !== 'running' || live.to_run === 0;
    if (!whole.hidden) whole.value = live.ended / live.to_run;
    table((state.state === 'running' ? live.kinds : state.kinds) ?? [], state.state === 'running' ? COLUMNS.running : COLUMNS.idle);
    list(part('.live .running'), 'Running', state.state === 'running' ? live.running.map(running) : []);
    list(part('.live .failed'), 'Failed', (state.state === 'running' ? live.failed : state.failed ?? []).map(failed));
    document.querySelector('.live').dataset.state = state.state;
    if (state.page === null || shown === state.page.stamp) return;
    shown = state.page.stamp;
    const frame = part('iframe');
    frame.hidden = false;
    frame.src = state.page.path;
    part('.shown .none').hidden = true;
    part('.shown .open').hidden = false;
    part('.shown a').href = state.page.path;
  }

  async function ask() {
    try {
      const answer = await fetch('state.json', { cache: 'no-store' });
      if (!answer.ok) throw new Error(await answer.text());
      write(await answer.json());
    } catch (error) {
      say(`No answer: ${error.message}. \`hebb view\` may have ended.`);
      part('.live').dataset.state = 'gone';
    }
    setTimeout(ask, EVERY_MS);
  }
  ask();
})();
