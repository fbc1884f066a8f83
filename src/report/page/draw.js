/**
 * Charts come alive when they are scrolled to: vega takes the static drawing's place, at the width that is really there.
 *
 * Tooltips are one element that follows the pointer; text only, since names come from servers.
 */

/** @typedef {import('./page-data.ts').PageData} PageData */
/** @typedef {import('../charts/chart.ts').Row} Row */

const tip = document.createElement('div');
tip.className = 'tip';
tip.hidden = true;
document.body.append(tip);

/** @param {unknown} _handler @param {MouseEvent} event @param {unknown} _item @param {unknown} value */
function showTip(_handler, event, _item, value) {
  tip.hidden = value === null || value === undefined || value === '';
  if (tip.hidden) return;
  tip.textContent = String(value);
  const room = document.documentElement.clientWidth - tip.offsetWidth - 8;
  tip.style.left = `${Math.max(8, Math.min(event.clientX + 14, room))}px`;
  const below = event.clientY + 18;
  const fits = below + tip.offsetHeight < innerHeight;
  tip.style.top = `${fits ? below : event.clientY - tip.offsetHeight - 12}px`;
}
const hideTip = () => {
  tip.hidden = true;
};
addEventListener('scroll', hideTip, { passive: true });

/** @param {unknown} error */
const complain = (error) => console.error(error);

/** Views by the element they are drawn in. @type {Map<Element, import('vega').View>} */
const views = new Map();
/** What is on its way for an element: a later drawing must not be overtaken. @type {Map<Element, Promise<unknown>>} */
const underway = new Map();

/** @param {Element} place */
const widthOf = (place) => Math.max(220, Math.floor(place.clientWidth));

/**
 * Draws a template with rows in a place, or puts other rows into what is drawn there.
 * @param {HTMLElement} place @param {unknown} template @param {readonly Row[]} rows
 * @returns {Promise<import('vega').View>}
 */
function drawIn(place, template, rows) {
  const drawing = (underway.get(place) ?? Promise.resolve()).then(() => redraw(place, template, rows));
  underway.set(place, drawing.catch(complain));
  return drawing;
}

/** Templates by the view that came from them. @type {WeakMap<import('vega').View, unknown>} */
const templateOf = new WeakMap();

/** @param {HTMLElement} place @param {unknown} template @param {readonly Row[]} rows */
async function redraw(place, template, rows) {
  const known = views.get(place);
  const copies = rows.map((row) => ({ ...row }));
  if (known !== undefined && templateOf.get(known) === template) {
    known.data('rows', copies).width(widthOf(place));
    await known.runAsync();
    return known;
  }
  known?.finalize();
  const stage = document.createElement('div');
  const options = /** @type {any} */ ({
    container: stage,
    renderer: 'svg',
    hover: true,
    expr: vega.expressionInterpreter,
    tooltip: showTip,
    logger: vega.logger(vega.Error),
  });
  // The policy allows no code to be made from a spec: its expressions are read as trees.
  const view = new vega.View(vega.parse(/** @type {any} */ (template), undefined, { ast: true }), options);
  view.data('rows', copies).width(widthOf(place));
  await view.runAsync();
  place.replaceChildren(stage);
  place.addEventListener('pointerleave', hideTip);
  views.set(place, view);
  templateOf.set(view, template);
  return view;
}

/** @type {ReturnType<typeof setTimeout> | undefined} */
let resizing;
addEventListener('resize', () => {
  clearTimeout(resizing);
  resizing = setTimeout(() => {
    for (const [place, view] of views) view.width(widthOf(place)).runAsync().catch(complain);
  }, 120);
});

/**
 * Calls `come` once for each element, when it is about to be seen.
 * @param {Iterable<HTMLElement>} elements @param {(element: HTMLElement) => void} come
 */
function whenSeen(elements, come) {
  const seen = new IntersectionObserver(
    (entries) => {
      for (const { isIntersecting, target } of entries) {
        if (!isIntersecting) continue;
        seen.unobserve(target);
        come(/** @type {HTMLElement} */ (target));
      }
    },
    { rootMargin: '200px' },
  );
  for (const element of elements) seen.observe(element);
}

/** Nothing is to be seen there any more. @param {HTMLElement} place */
function drop(place) {
  const dropping = (underway.get(place) ?? Promise.resolve()).then(() => {
    views.get(place)?.finalize();
    views.delete(place);
    place.replaceChildren();
  });
  underway.set(place, dropping.catch(complain));
}
