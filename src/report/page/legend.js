/** A legend's entries are buttons: one pressed puts its series forward in all charts of the group, and the others fade. */

/** @param {HTMLElement} legend @param {(place: HTMLElement) => Promise<import('vega').View>} drawn */
function wakeLegend(legend, drawn) {
  const keys = /** @type {HTMLElement[]} */ ([...legend.querySelectorAll('[data-series]')]);
  const places = /** @type {HTMLElement[]} */ ([...(legend.closest('.group')?.querySelectorAll('[data-chart]') ?? [])]);
  if (keys.length < 2) return;

  /** @param {string | null} series */
  const focus = async (series) => {
    for (const key of keys) key.setAttribute('aria-pressed', String(key.dataset.series === series));
    for (const place of places) {
      const view = await drawn(place);
      if ('focus' in view.getState().signals) await view.signal('focus', series).runAsync();
    }
  };
  for (const key of keys) {
    const button = document.createElement('button');
    button.type = 'button';
    button.append(...key.childNodes);
    button.dataset.series = key.dataset.series;
    button.setAttribute('aria-pressed', 'false');
    button.title = `Put ${key.dataset.series} forward`;
    button.addEventListener('click', () => {
      const pressed = button.getAttribute('aria-pressed') === 'true';
      focus(pressed ? null : (button.dataset.series ?? null)).catch(complain);
    });
    delete key.dataset.series;
    key.append(button);
  }
  keys.splice(0, keys.length, .../** @type {HTMLElement[]} */ ([...legend.querySelectorAll('button')]));
}

/**
 * An entry for a series that a chart names by number.
 * @param {PageData} page @param {string} series @param {string} name
 */
function legendEntry(page, series, name) {
  const entry = document.createElement('li');
  const mark = page.marks[series];
  if (mark !== undefined) {
    const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
    for (const [key, value] of Object.entries({
      viewBox: '0 0 12 12',
      width: '12',
      height: '12',
      'aria-hidden': 'true',
    })) {
      svg.setAttribute(key, value);
    }
    const path = document.createElementNS('http://www.w3.org/2000/svg', 'path');
    for (const [key, value] of Object.entries(mark)) path.setAttribute(key, value);
    svg.append(path);
    entry.append(svg);
  }
  entry.append(name);
  return entry;
}
