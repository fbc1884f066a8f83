/**
 * Distributions of any cells over each other: the reader picks metric, form and cells.
 *
 * Quantiles and bins come ready made (charts/distributions.ts); here they become lines. Failed requests have no value, so a line ends
 * at the share that was seen, and the text says how many lie beyond.
 */

/** @typedef {import('../charts/distributions.ts').DistributionData} DistributionData */
/** @typedef {import('../charts/distributions.ts').DistributionCell} DistributionCell */
/** @typedef {DistributionData['metrics'][number]} DistributionMetric */

const FORMS = /** @type {const} */ ({ cdf: 'share within (CDF)', tail: 'tail: share beyond', histogram: 'histogram' });

/** @param {number} value */
const shareOf = (value) => `${(100 * value).toLocaleString('en-US', { maximumSignificantDigits: 4 })} %`;

/**
 * The points of one line.
 * @param {DistributionCell} cell @param {DistributionMetric} metric @param {string} form @param {readonly number[]} shares
 * @returns {Row[]}
 */
function lineOf(cell, metric, form, shares) {
  const line = cell.lines[metric.key];
  if (line === undefined) return [];
  const place = cell.panel === '' ? cell.name : `${cell.panel}, ${cell.name}`;
  if (form === 'histogram') {
    const bins = line.bins.map((share, i) => ({ x: metric.edges[i] ?? 0, to: metric.edges[i + 1] ?? 0, y: share }));
    const first = bins.findIndex(({ y }) => y > 0);
    const last = bins.findLastIndex(({ y }) => y > 0);
    // Steps come down to the floor on either side.
    const inside = bins.slice(Math.max(0, first - 1), last + 1);
    const rows = inside.map(({ x, to, y }) => ({
      x,
      to,
      y,
      tip: `${place}: ${shareOf(y)} of ${metric.of}s from ${numberText(x)} to ${numberText(to)} ${metric.unit}`,
    }));
    return [...rows, { x: metric.edges[last + 1] ?? 0, y: 0 }];
  }
  return line.quantiles.flatMap((x, i) => {
    const share = shares[i] ?? 0;
    if (x === null || (i > 0 && line.quantiles[i + 1] === x)) return [];
    const y = form === 'tail' ? 1 - share : share;
    if (form === 'tail' && y <= 0) return [];
    return [{ x, y, tip: `${place}: ${shareOf(share)} of ${metric.of}s within ${numberText(x)} ${metric.unit}` }];
  });
}

/** @param {PageData} page */
function wakeDistributions(page) {
  const section = document.getElementById('overlay');
  if (section === null || page.distributions === null) return;
  const data = page.distributions;
  const part = /** @param {string} name @returns {HTMLElement} */ (name) =>
    /** @type {HTMLElement} */ (section.querySelector(`.${name}`));
  const place = part('plot');
  /** @type {{ rows: Row[], columns: Record<string, string>, name: string }} */
  let shown = { rows: [], columns: {}, name: 'distribution' };

  const metric = selectOf({
    label: 'Metric',
    name: 'd.metric',
    choices: data.metrics.map(({ key, title }) => ({ value: key, text: title })),
    change: () => draw(),
  });
  const form = selectOf({
    label: 'Drawn as',
    name: 'd.form',
    choices: Object.entries(FORMS).map(([value, text]) => ({ value, text })),
    change: () => draw(),
  });
  const scale = selectOf({
    label: 'Axis',
    name: 'd.scale',
    choices: ['as the values ask', 'linear', 'log'].map((text, i) => ({ value: i === 0 ? '' : text, text })),
    change: () => draw(),
  });
  part('controls').append(metric.wrapper, form.wrapper, scale.wrapper);

  // Cells in panels, as the page has them; the choice is a list of their keys.
  const busiest = data.cells.filter(({ panel }) => panel === data.cells.at(-1)?.panel).at(-1);
  const standard = data.cells
    .filter(({ panel, load, color }) => load === busiest?.load && (panel === busiest?.panel || color === 0))
    .map(({ key }) => key);
  /** @type {Set<string>} */
  let picked = new Set();
  const readPicked = () => {
    const text = choiceOf('d.cells');
    const known = text?.split(',').filter((key) => data.cells.some((cell) => cell.key === key));
    picked = new Set(known ?? standard.slice(0, data.most));
  };
  /** @type {Map<string, HTMLInputElement>} */
  const boxes = new Map();
  /** @param {Iterable<string>} keys */
  const pick = (keys) => {
    picked = new Set([...keys].slice(0, data.most));
    const text = [...picked].join(',');
    choose('d.cells', text === standard.slice(0, data.most).join(',') ? null : text);
    draw();
  };

  for (const panel of new Set(data.cells.map((cell) => cell.panel))) {
    const list = document.createElement('div');
    if (panel !== '') {
      const title = document.createElement('p');
      title.textContent = panel;
      list.append(title);
    }
    for (const cell of data.cells.filter((one) => one.panel === panel)) {
      const label = document.createElement('label');
      const box = document.createElement('input');
      box.type = 'checkbox';
      box.addEventListener('change', () => {
        if (box.checked) picked.add(cell.key);
        else picked.delete(cell.key);
        pick(data.cells.filter(({ key }) => picked.has(key)).map(({ key }) => key));
      });
      boxes.set(cell.key, box);
      label.append(box, ` ${cell.name}`);
      list.append(label);
    }
    part('boxes').append(list);
  }
  /** @param {string} text @param {() => DistributionCell[]} cells */
  const quick = (text, cells) => {
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = text;
    button.addEventListener('click', () => pick(cells().map(({ key }) => key)));
    part('quick').append(button);
  };
  for (const load of new Set(data.cells.map((cell) => cell.load))) {
    quick(`all at ${load}`, () => data.cells.filter((cell) => cell.load === load));
  }
  for (const adapters of new Set(data.cells.map((cell) => cell.adapters))) {
    quick(`${adapters} at every load`, () => data.cells.filter((cell) => cell.adapters === adapters));
  }

  const draw = () => {
    const what = data.metrics.find(({ key }) => key === metric.select.value);
    if (what === undefined) return;
    for (const [key, box] of boxes) {
      box.checked = picked.has(key);
      box.disabled = !box.checked && picked.size >= data.most;
    }
    const cells = data.cells.filter(({ key }) => picked.has(key));
    // A colour is an adapter count where each line has another, else the line's place.
    const byCount = new Set(cells.map(({ color, isB }) => `${color}${isB}`)).size === cells.length;
    const seriesOf = /** @param {DistributionCell} cell @param {number} i */ (cell, i) =>
      `${(byCount ? cell.color : i + 1) % 13}${cell.isB ? 'b' : ''}`;
    /** @type {Row[]} */
    const rows = cells.flatMap((cell, i) =>
      lineOf(cell, what, form.select.value, data.shares).map((row) => ({
        ...row,
        series: seriesOf(cell, i),
        name: cell.name,
      })),
    );
    const xs = rows.map(({ x }) => Number(x)).filter((x) => x > 0);
    const wide = Math.max(...xs) / Math.min(...xs) > data.logFrom;
    const asked =
      scale.select.value === ''
        ? form.select.value === 'histogram'
          ? what.scale
          : wide
            ? 'log'
            : 'linear'
        : scale.select.value;
    const drawnScale = asked === 'log' && rows.every(({ x }) => Number(x) > 0) ? 'log' : 'linear';
    const lost = cells
      .map((cell) => ({ cell, line: cell.lines[what.key] }))
      .filter(({ line }) => (line?.censored ?? 0) > 0);
    const full = picked.size >= data.most ? `${data.most} lines are the most that are drawn. ` : '';
    const failed = lost
      .map(
        ({ cell, line }) =>
          `${line?.censored} of ${(line?.seen ?? 0) + (line?.censored ?? 0)} ${what.of}s of “${cell.name}” failed and lie beyond the right edge`,
      )
      .join('; ');
    shown = {
      rows: rows.filter(({ tip }) => tip !== undefined),
      columns: {
        name: 'cell',
        x: form.select.value === 'histogram' ? `from (${what.unit})` : `${what.title} (${what.unit})`,
        to: `to (${what.unit})`,
        y: FORMS[/** @type {keyof typeof FORMS} */ (form.select.value)],
      },
      name: `${form.select.value}-${what.key}`.replaceAll('_', '-'),
    };
    part('title').textContent = what.title;
    part('held').textContent =
      `${form.select.value === 'tail' ? 'share beyond' : form.select.value === 'cdf' ? `share of ${what.of}s within` : `share of ${what.of}s`}`;
    part('axis').textContent = what.unit;
    const note = part('missing');
    note.textContent =
      rows.length === 0 ? 'No cell is picked that has it.' : `${full}${failed}${failed === '' ? '' : '.'}`;
    note.hidden = note.textContent === '';
    part('legend').replaceChildren(
      ...cells.flatMap((cell, i) =>
        cell.lines[what.key] === undefined
          ? []
          : [legendEntry(page, seriesOf(cell, i), cell.panel === '' ? cell.name : `${cell.panel}, ${cell.name}`)],
      ),
    );
    place.setAttribute(
      'aria-label',
      `${FORMS[/** @type {keyof typeof FORMS} */ (form.select.value)]} of ${what.title} for ${cells.map(({ name }) => name).join('; ')}. The table below has the percentiles.`,
    );
    fillTable(
      part('table'),
      `${what.title}, ${what.unit}`,
      ['cell', 'counted', 'failed', 'mean', 'p50', 'p90', 'p95', 'p99', 'p99.9'],
      cells.flatMap((cell) => {
        const line = cell.lines[what.key];
        return line === undefined ? [] : [[cell.name, String(line.seen), String(line.censored), ...line.words]];
      }),
    );
    if (rows.length === 0) drop(place);
    else
      drawIn(place, page.templates[page.live[`distribution ${form.select.value} ${drawnScale}`] ?? 0], rows).catch(
        complain,
      );
  };

  offerCsv(/** @type {HTMLElement} */ (section.querySelector('figure')), () => shown);
  readPicked();
  whenSeen([section], () => draw());
  whenChosen(() => {
    for (const { known } of [metric, form, scale]) known();
    readPicked();
    draw();
  });
}
