/** What happens when the page is open: its data is unpacked, charts, legends and buttons come alive, and sections that need a script appear. */

/** @param {PageData} data */
function wakeCharts(data) {
  const places = /** @type {HTMLElement[]} */ ([...document.querySelectorAll('[data-chart]')]);
  /** @param {HTMLElement} place */
  const drawingOf = (place) =>
    /** @type {import('./page-data.ts').PageDrawing} */ (data.drawings[Number(place.dataset.chart)]);
  /** @param {HTMLElement} place */
  const drawn = async (place) => {
    const { template, rows } = drawingOf(place);
    return views.get(place) ?? drawIn(place, data.templates[template], rows);
  };
  whenSeen(places, (place) => {
    drawn(place).catch(complain);
  });
  for (const place of places) {
    const figure = place.closest('figure');
    if (figure !== null) offerCsv(figure, () => drawingOf(place));
  }
  for (const legend of document.querySelectorAll('.group > .legend')) {
    wakeLegend(/** @type {HTMLElement} */ (legend), drawn);
  }
}

function wakeTheme() {
  const button = /** @type {HTMLButtonElement} */ (document.getElementById('theme'));
  const isDark = () => {
    const chosen = choiceOf('theme');
    return chosen === null ? matchMedia('(prefers-color-scheme: dark)').matches : chosen === 'dark';
  };
  const show = () => {
    const chosen = choiceOf('theme');
    if (chosen === 'dark' || chosen === 'light') document.documentElement.dataset.theme = chosen;
    else delete document.documentElement.dataset.theme;
    button.textContent = isDark() ? 'Light' : 'Dark';
    button.setAttribute('aria-label', isDark() ? 'Show the page on light ground' : 'Show the page on dark ground');
  };
  button.addEventListener('click', () => {
    choose('theme', isDark() ? 'light' : 'dark');
    show();
  });
  whenChosen(show);
  show();
}

function wakeSave() {
  document.getElementById('save')?.addEventListener('click', () => {
    unpacked('result')
      .then((text) =>
        saveAs(
          new Blob([`${JSON.stringify(JSON.parse(text), null, 2)}\n`], { type: 'application/json' }),
          'result.json',
        ),
      )
      .catch(complain);
  });
}

/** What was folded away is read on paper too. */
function wakePrint() {
  /** @type {HTMLDetailsElement[]} */
  let opened = [];
  addEventListener('beforeprint', () => {
    opened = [
      .../** @type {NodeListOf<HTMLDetailsElement>} */ (document.querySelectorAll('details.print:not([open])')),
    ];
    for (const fold of opened) fold.open = true;
  });
  addEventListener('afterprint', () => {
    for (const fold of opened) fold.open = false;
  });
}

/** A link into what is folded away unfolds it; a link within the page leaves in the address what was chosen. */
function wakeFolds() {
  /** @param {string} hash */
  const goTo = (hash) => {
    const target = hash.includes('=') ? null : document.getElementById(decodeURIComponent(hash.slice(1)));
    for (let fold = target?.closest('details'); fold; fold = fold.parentElement?.closest('details')) fold.open = true;
    target?.scrollIntoView();
  };
  addEventListener('hashchange', () => goTo(location.hash));
  if (location.hash !== '') goTo(location.hash);
  document.addEventListener('click', (event) => {
    const link = /** @type {Element} */ (event.target).closest('a[href^="#"]');
    if (link === null || !hasChoices()) return;
    event.preventDefault();
    goTo(link.getAttribute('href') ?? '');
  });
}

async function start() {
  wakeTheme();
  wakeSave();
  wakePrint();
  wakeFolds();
  wakeNav();
  /** @type {PageData} */
  const data = JSON.parse(await unpacked('data'));
  wakeCharts(data);
  wakeExplore(data);
  wakeSlo(data);
  wakeDistributions(data);
  wakeCloseUp(data);
  for (const hidden of document.querySelectorAll('.scripted')) hidden.removeAttribute('hidden');
  document.documentElement.dataset.ready = 'yes';
}

start().catch(complain);
