/**
 * When does it break, for the reader's own limits? They set a percentile and limits; each load of the sweep is within them or not.
 *
 * No figure is worked out: percentiles are those of the tables, set against a number. One that is only a lower bound, since requests
 * failed, is never within.
 */

const SLO_METRICS = /** @type {const} */ ({ ttft: 'TTFT', tpot: 'TPOT', e2e: 'E2E' });
/** @typedef {keyof typeof SLO_METRICS} SloMetric */

/** @param {PageData} page */
function wakeSlo(page) {
  const section = document.getElementById('slo');
  const loads = page.explore?.dimensions.find(({ key }) => key === 'load');
  if (section === null || page.explore === null || loads === undefined) return;
  const { cells, dimensions, slo } = page.explore;
  const part = /** @param {string} name @returns {HTMLElement} */ (name) =>
    /** @type {HTMLElement} */ (section.querySelector(`.${name}`));

  const percentile = selectOf({
    label: 'Percentile',
    name: 's.stat',
    choices: ['p50', 'p90', 'p95', 'p99', 'p999'].map((value) => ({ value, text: value === 'p999' ? 'p99.9' : value })),
    initial: 'p95',
    change: () => show(),
  });
  const limits = /** @type {SloMetric[]} */ (Object.keys(SLO_METRICS)).map((metric) => {
    const standard = slo?.[metric] ?? null;
    const wrapper = document.createElement('label');
    wrapper.className = 'control';
    const title = document.createElement('span');
    title.textContent = `${SLO_METRICS[metric]} at most, ms`;
    const input = document.createElement('input');
    input.type = 'number';
    input.min = '0';
    input.step = 'any';
    input.placeholder = 'no limit';
    const name = `s.${metric}`;
    const known = () => {
      input.value = choiceOf(name) ?? (standard === null ? '' : String(standard));
    };
    known();
    input.addEventListener('input', () => {
      choose(name, input.value === (standard === null ? '' : String(standard)) ? null : input.value);
      show();
    });
    wrapper.append(title, input);
    return { metric, input, wrapper, known };
  });
  part('controls').append(percentile.wrapper, ...limits.map(({ wrapper }) => wrapper));

  /** What of a cell is beyond a limit; null where nothing says. @param {ExploreCell} cell */
  const beyond = (cell) => {
    const stat = percentile.select.value;
    const set = limits.filter(({ input }) => input.value !== '' && Number.isFinite(Number(input.value)));
    const points = set.map(({ metric, input }) => ({
      metric,
      limit: Number(input.value),
      point: cell.points[`${metric} ${stat}`],
    }));
    if (points.length === 0 || points.some(({ point }) => point === undefined)) return null;
    return points
      .filter(({ limit, point }) => Number(point?.y) > limit || point?.bounded !== undefined)
      .map(({ metric }) => SLO_METRICS[metric]);
  };

  const lineOf = /** @param {ExploreCell} cell */ (cell) =>
    [
      ...(cell.isB ? ['B'] : []),
      ...dimensions.flatMap(({ key, values }) => {
        const value = cell.at[key];
        return key === 'load' || value === null ? [] : [values.find((one) => one.value === value)?.text ?? value];
      }),
    ].join(', ') || 'all cells';

  const show = () => {
    const lines = [...new Set(cells.map(lineOf))];
    const rows = lines.map((line) => {
      const own = cells.filter((cell) => lineOf(cell) === line);
      const verdicts = loads.values.map(({ value }) => {
        const cell = own.find(({ at }) => at.load === value);
        return cell === undefined ? undefined : beyond(cell);
      });
      // A load within the limits above one that is not would be luck.
      const first = verdicts.findIndex((one) => one !== undefined && one !== null && one.length > 0);
      const within = verdicts.slice(0, first === -1 ? undefined : first).findLastIndex((one) => one?.length === 0);
      const highest = loads.values[within]?.text ?? (verdicts.some((one) => one) ? 'none measured' : '–');
      const open = first === -1 && within === loads.values.length - 1 ? `${highest}, or more` : highest;
      return [
        line,
        open,
        ...verdicts.map((one) =>
          one === undefined || one === null ? '–' : one.length === 0 ? 'within' : one.join(', '),
        ),
      ];
    });
    fillTable(
      part('table'),
      'Loads within the limits',
      ['cells', 'highest load within', ...loads.values.map(({ text }) => text)],
      rows,
    );
    for (const cell of part('table').querySelectorAll('tbody td')) {
      if (cell.textContent === 'within') cell.className = 'within';
      else if (cell !== cell.parentElement?.children[1] && cell.textContent !== '–') cell.className = 'beyond';
    }
  };
  show();
  whenChosen(() => {
    for (const { known } of [percentile, ...limits]) known();
    show();
  });
}
