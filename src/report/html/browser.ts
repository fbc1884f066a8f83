/**
 * What runs in the reader's browser: charts come alive when scrolled to, legends highlight a series, figures can be
 * saved. The page reads without it.
 *
 * It is text because it is shipped inside the report: no imports, no network, `textContent` only. vega fills the drawing's
 * place when it comes into view, at the width that is really there; tooltips are one element that follows the pointer.
 */
export const BROWSER_SCRIPT = `
(() => {
  'use strict';
  const json = (id) => JSON.parse(document.getElementById(id).textContent);
  const charts = json('charts');
  const views = new Map();

  const tip = document.createElement('div');
  tip.className = 'tip';
  tip.hidden = true;
  document.body.append(tip);
  const showTip = (_handler, event, _item, value) => {
    if (value == null || value === '') {
      tip.hidden = true;
      return;
    }
    tip.textContent = String(value);
    tip.hidden = false;
    const room = document.documentElement.clientWidth - tip.offsetWidth - 8;
    tip.style.left = Math.max(8, Math.min(event.clientX + 14, room)) + 'px';
    const below = event.clientY + 18;
    const fits = below + tip.offsetHeight < window.innerHeight;
    tip.style.top = (fits ? below : event.clientY - tip.offsetHeight - 12) + 'px';
  };
  const hideTip = () => { tip.hidden = true; };
  window.addEventListener('scroll', hideTip, { passive: true });

  const widthOf = (place) => Math.max(220, Math.floor(place.clientWidth));

  const draw = async (place) => {
    if (views.has(place)) return;
    views.set(place, null);
    const chart = charts.drawings[Number(place.dataset.chart)];
    const stage = document.createElement('div');
    const view = new vega.View(vega.parse(charts.templates[chart.template], undefined, { ast: true }), {
      container: stage,
      renderer: 'svg',
      hover: true,
      expr: vega.expressionInterpreter,
      tooltip: showTip,
      logger: vega.logger(vega.Error),
    });
    view.data('rows', chart.rows.map((row) => ({ ...row }))).width(widthOf(place));
    await view.runAsync();
    place.replaceChildren(stage);
    place.addEventListener('pointerleave', hideTip);
    views.set(place, view);
  };

  const places = [...document.querySelectorAll('[data-chart]')];
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      seen.unobserve(entry.target);
      draw(entry.target).catch((error) => console.error(error));
    }
  }, { rootMargin: '200px' });
  for (const place of places) seen.observe(place);

  let resizing = 0;
  window.addEventListener('resize', () => {
    clearTimeout(resizing);
    resizing = setTimeout(() => {
      for (const [place, view] of views) if (view) view.width(widthOf(place)).runAsync();
    }, 120);
  });

  for (const legend of document.querySelectorAll('.legend')) {
    const keys = [...legend.querySelectorAll('[data-series]')];
    const inside = [...legend.closest('.group').querySelectorAll('[data-chart]')];
    if (keys.length < 2) continue;
    const focus = async (chosen) => {
      for (const key of keys) key.setAttribute('aria-pressed', String(key.dataset.series === chosen));
      for (const place of inside) {
        await draw(place);
        const view = views.get(place);
        if (view) await view.signal('focus', chosen).runAsync();
      }
    };
    for (const key of keys) {
      key.tabIndex = 0;
      key.setAttribute('role', 'button');
      key.setAttribute('aria-pressed', 'false');
      key.title = 'Highlight ' + key.dataset.series;
      const toggle = () => {
        const chosen = key.getAttribute('aria-pressed') === 'true' ? null : key.dataset.series;
        focus(chosen).catch((error) => console.error(error));
      };
      key.addEventListener('click', toggle);
      key.addEventListener('keydown', (event) => {
        if (event.key !== 'Enter' && event.key !== ' ') return;
        event.preventDefault();
        toggle();
      });
    }
  }

  const save = document.getElementById('save');
  save.hidden = false;
  save.addEventListener('click', () => {
    const text = JSON.stringify(json('result'), null, 2) + '\\n';
    const link = document.createElement('a');
    link.href = URL.createObjectURL(new Blob([text], { type: 'application/json' }));
    link.download = 'result.json';
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  });
})();
`;
