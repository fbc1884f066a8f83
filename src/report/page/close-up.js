/** One run up close: the reader picks a cell and a run, and every chart of the section shows that one. */

/** @typedef {import('../charts/close-up.ts').CloseUpRun} CloseUpRun */

/** @param {PageData} page */
function wakeCloseUp(page) {
  const section = document.getElementById('close-up');
  if (section === null || page.closeUp === null) return;
  const { cells, shown, charts } = page.closeUp;
  const controls = /** @type {HTMLElement} */ (section.querySelector('.controls'));
  const all = /** @param {string} selector @returns {HTMLElement[]} */ (selector) =>
    /** @type {HTMLElement[]} */ ([...section.querySelectorAll(selector)]);
  const one = /** @param {string} selector @returns {HTMLElement} */ (selector) =>
    /** @type {HTMLElement} */ (section.querySelector(selector));

  const cell = selectOf({
    label: 'Cell',
    name: 'c.cell',
    choices: cells.map(({ key, name }) => ({ value: key, text: name })),
    initial: shown.cell,
    change: () => {
      choose('c.run', null);
      offerRuns();
      draw();
    },
  });
  const runs = document.createElement('div');
  controls.append(cell.wrapper, runs);
  /** @type {ReturnType<typeof selectOf> | null} */
  let run = null;

  const picked = () => cells.find(({ key }) => key === cell.select.value) ?? cells[0];
  const standardRun = () => (picked()?.key === shown.cell ? shown.run : 0);
  const offerRuns = () => {
    run = selectOf({
      label: 'Run',
      name: 'c.run',
      choices: (picked()?.runs ?? []).map(({ name }, i) => ({ value: String(i + 1), text: name })),
      initial: String(standardRun() + 1),
      change: () => draw(),
    });
    runs.replaceChildren(run.wrapper);
  };

  const draw = () => {
    const chosen = picked()?.runs[Number(run?.select.value ?? 1) - 1];
    if (chosen === undefined) return;
    one('#close-up-place').textContent = `${picked()?.name}, ${chosen.name}.`;
    for (const { key, title, columns } of charts) {
      const rows = chosen.rows[key] ?? [];
      const figure = one(`[data-figure="${key}"]`);
      const place = one(`[data-close="${key}"]`);
      figure.hidden = rows.length === 0;
      place.setAttribute('aria-label', chosen.labels[key] ?? '');
      for (const entry of /** @type {NodeListOf<HTMLElement>} */ (figure.querySelectorAll('.legend li'))) {
        entry.hidden = !rows.some(
          ({ series, part }) => series === entry.dataset.series || part === entry.dataset.series,
        );
      }
      showNumbers(one(`[data-numbers="${key}"]`), title, rows, columns);
      if (rows.length === 0) drop(place);
      else drawIn(place, page.templates[page.live[`close-up ${key}`] ?? 0], rows).catch(complain);
    }
    for (const group of all('.group'))
      group.hidden = [...group.querySelectorAll('figure')].every(({ hidden }) => hidden);
  };

  for (const { key, columns } of charts) {
    offerCsv(one(`[data-figure="${key}"]`), () => ({
      rows: picked()?.runs[Number(run?.select.value ?? 1) - 1]?.rows[key] ?? [],
      columns,
      name: `${picked()?.key}-run-${run?.select.value ?? 1}-${key}`,
    }));
  }
  offerRuns();
  whenSeen([section], () => draw());
  whenChosen(() => {
    cell.known();
    offerRuns();
    draw();
  });
}

/** @param {Element} place @param {string} title @param {readonly Row[]} rows @param {Record<string, string>} columns */
function showNumbers(place, title, rows, columns) {
  const fields = Object.keys(columns).filter((field) => rows.some((row) => row[field] !== undefined));
  const scroll = document.createElement('div');
  scroll.className = 'scroll';
  scroll.tabIndex = 0;
  scroll.setAttribute('role', 'region');
  scroll.setAttribute('aria-label', title);
  if (rows.length > 0) {
    fillTable(
      scroll,
      title,
      fields.map((field) => columns[field] ?? field),
      rows.map((row) => fields.map((field) => (row[field] === undefined ? '–' : numberText(row[field])))),
    );
  }
  place.replaceChildren(...(rows.length === 0 ? [] : [scroll]));
}
