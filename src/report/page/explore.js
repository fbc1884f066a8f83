/**
 * Any figure against any axis: the reader picks, the fragment remembers, and only what was measured is drawn.
 *
 * Every dimension that was swept is on the x axis, one line a value, or held at one value, so that no point stands for two cells.
 * Points come ready made (charts/explore.ts); here they only get their place.
 */

/** @typedef {import('../charts/explore.ts').ExploreData} ExploreData */
/** @typedef {import('../charts/explore.ts').ExploreDimension} ExploreDimension */
/** @typedef {import('../charts/explore.ts').ExploreCell} ExploreCell */

/** Where the largest is many times the smallest, a linear axis would press most points onto the floor. @param {readonly Row[]} rows @param {number} logFrom */
function yScaleOf(rows, logFrom) {
  const values = rows.flatMap(({ y, low, high }) => [y, low, high]).filter((value) => typeof value === 'number');
  const smallest = Math.min(...values);
  return smallest > 0 && Math.max(...values) / smallest > logFrom ? 'log' : 'linear';
}

/** @param {PageData} page */
function wakeExplore(page) {
  const section = document.getElementById('explore');
  if (section === null || page.explore === null) return;
  const data = page.explore;
  const part = /** @param {string} name @returns {HTMLElement} */ (name) =>
    /** @type {HTMLElement} */ (section.querySelector(`.${name}`));
  const place = part('plot');
  /** @type {{ rows: Row[], columns: Record<string, string>, name: string }} */
  let shown = { rows: [], columns: {}, name: 'explore' };

  const dimension = /** @param {string} key */ (key) => data.dimensions.find((one) => one.key === key);
  const figure = selectOf({
    label: 'Figure',
    name: 'x.figure',
    choices: data.figures.map(({ key, title, group }) => ({ value: key, text: title, group })),
    initial: data.figures.find(({ key }) => key === 'ttft p99')?.key ?? data.figures[0]?.key ?? '',
    change: () => draw(),
  });
  const axis = selectOf({
    label: 'Against',
    name: 'x.axis',
    choices: [
      ...data.dimensions.map(({ key, title }) => ({ value: key, text: title })),
      ...data.measured.map(({ key, title }) => ({ value: key, text: title })),
    ],
    change: () => draw(),
  });
  const lines = selectOf({
    label: 'A line for each',
    name: 'x.lines',
    choices: [
      ...data.dimensions.map(({ key, title }) => ({ value: key, text: title })),
      { value: '', text: 'nothing' },
    ],
    initial: ['rank', 'adapters'].find((key) => dimension(key) !== undefined) ?? data.dimensions[1]?.key ?? '',
    change: () => draw(),
  });
  const held = data.dimensions.map(({ key, title, values }) => ({
    key,
    control: selectOf({
      label: title,
      name: `x.${key}`,
      choices: values.map(({ value, text }) => ({ value, text })),
      initial: values.at(-1)?.value ?? '',
      change: () => draw(),
    }),
  }));
  part('controls').append(figure.wrapper, axis.wrapper, lines.wrapper, ...held.map(({ control }) => control.wrapper));

  /** The dimension that x runs along. */
  const along = () => data.measured.find(({ key }) => key === axis.select.value)?.along ?? axis.select.value;

  /** @param {ExploreCell} cell */
  const isShown = (cell) =>
    held.every(({ key, control }) => {
      if (key === along() || key === lines.select.value) return true;
      const value = cell.at[key];
      // Lines for what only adapters have stand beside one of the base model.
      if (key === 'adapters' && value === '0' && dimension(lines.select.value)?.adapterOnly === true) return true;
      return value === control.select.value || (value === null && dimension(key)?.adapterOnly === true);
    });

  /** @param {ExploreCell} cell @returns {Row[]} */
  const rowsOf = (cell) => {
    const point = cell.points[figure.select.value];
    const [xs, by] = [dimension(along()), dimension(lines.select.value)];
    const step = xs?.values.find(({ value }) => value === cell.at[xs.key]);
    const measured = xs?.key === axis.select.value ? null : cell.points[axis.select.value]?.y;
    if (point === undefined || step === undefined || measured === undefined) return [];
    const line = by?.values.find(({ value }) => value === cell.at[by.key]);
    const order = xs?.values.indexOf(step) ?? 0;
    const x = measured ?? (xs !== undefined && xs.scale === 'ordinal' ? (step.number ?? step.text) : step.number);
    // The base model has no rank: where a line is one, it is a line of its own.
    const color = by === undefined ? 1 : (line?.color ?? 0);
    const name = by === undefined ? '' : (line?.text ?? 'base');
    return [
      {
        ...point,
        tip: `${cell.place}: ${data.figures.find(({ key }) => key === figure.select.value)?.title} ${point.words}`,
        x,
        order,
        series: `${color % 13}${cell.isB ? 'b' : ''}`,
        name: cell.isB ? `B: ${name}` : name,
        cell: cell.name,
      },
    ];
  };

  const draw = () => {
    const [info, xs] = [data.figures.find(({ key }) => key === figure.select.value), dimension(along())];
    for (const { key, control } of held) control.wrapper.hidden = key === along() || key === lines.select.value;
    const rows = data.cells.filter(isShown).flatMap(rowsOf);
    rows.sort((a, b) => Number(a.order) - Number(b.order));
    const measured = data.measured.find(({ key }) => key === axis.select.value);
    const xTitle = measured?.title ?? xs?.title ?? '';
    const yTitle = `${info?.title ?? ''}${info?.unit === '× base' ? '' : ` (${info?.unit})`}`;
    const xScale = measured !== undefined || xs === undefined ? 'linear' : xs.scale;
    const yScale = info?.unit === '× base' ? 'ratio' : yScaleOf(rows, data.logFrom);
    shown = {
      rows,
      columns: {
        cell: 'cell',
        name: dimension(lines.select.value)?.title ?? 'line',
        x: xTitle,
        y: yTitle,
        low: 'low',
        high: 'high',
        bounded: 'lower bound',
      },
      name: `explore-${figure.select.value}`.replaceAll(/[^a-z0-9]+/g, '-'),
    };
    const fixed = held
      .filter(({ control }) => !control.wrapper.hidden)
      .map(({ control }) => control.select.selectedOptions[0]?.textContent ?? '');
    tell(rows, { xTitle, yTitle, fixed });
    if (rows.length === 0) {
      drop(place);
      return;
    }
    drawIn(place, page.templates[page.live[`explore ${xScale} ${yScale}`] ?? 0], rows).catch(complain);
  };

  /** @param {readonly Row[]} rows @param {{ xTitle: string, yTitle: string, fixed: readonly string[] }} words */
  const tell = (rows, { xTitle, yTitle, fixed }) => {
    const title = part('title');
    title.textContent = yTitle;
    part('axis').textContent = xTitle;
    part('missing').hidden = rows.length > 0;
    part('held').textContent = fixed.length === 0 ? '' : `with ${fixed.join(', ')}`;
    place.setAttribute(
      'aria-label',
      `${yTitle} against ${xTitle}${fixed.length === 0 ? '' : `, with ${fixed.join(', ')}`}. The table below has the numbers.`,
    );
    const names = new Map(rows.map(({ series, name }) => [String(series), String(name)]));
    part('legend').replaceChildren(
      ...[...names].filter(([, name]) => name !== '').map(([series, name]) => legendEntry(page, series, name)),
    );
    fillTable(
      part('table'),
      yTitle,
      ['cell', 'line', xTitle, 'figure'],
      rows.map((row) => [String(row.cell), String(row.name), numberText(row.x), String(row.words)]),
    );
  };

  offerCsv(/** @type {HTMLElement} */ (section.querySelector('figure')), () => shown);
  whenSeen([section], () => draw());
  whenChosen(() => {
    for (const { known } of [figure, axis, lines, ...held.map(({ control }) => control)]) known();
    draw();
  });
}

/** @param {unknown} value */
const numberText = (value) =>
  typeof value === 'number' ? value.toLocaleString('en-US', { maximumSignificantDigits: 4 }) : String(value);
