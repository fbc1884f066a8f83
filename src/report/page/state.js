/**
 * What the reader chose, in the URL's fragment, so that a link shows what its sender saw.
 *
 * `#d.metric=ttft&theme=dark`: names and values in, kept without a new entry in the history. A fragment without "=" is a place
 * on the page and is left to the browser.
 */

/** @type {Map<string, string>} */
const chosen = new Map();
/** @type {(() => void)[]} */
const onChosen = [];

function readFragment() {
  const text = location.hash.slice(1);
  if (!text.includes('=')) return;
  chosen.clear();
  for (const [name, value] of new URLSearchParams(text)) chosen.set(name, value);
}

/** Somebody chose something, which a fragment without choices would take out of the link. */
const hasChoices = () => chosen.size > 0;

/** @param {string} name @returns {string | null} */
const choiceOf = (name) => chosen.get(name) ?? null;

/**
 * @param {string} name
 * @param {string | null} value null takes it out of the link: it is what the page shows by itself
 */
function choose(name, value) {
  if (value === null) chosen.delete(name);
  else chosen.set(name, value);
  const text = new URLSearchParams([...chosen]).toString();
  history.replaceState(null, '', text === '' ? location.pathname + location.search : `#${text}`);
}

/** @param {() => void} again called when a link with other choices is followed on the open page */
const whenChosen = (again) => onChosen.push(again);

readFragment();
addEventListener('hashchange', () => {
  if (!location.hash.includes('=')) return;
  readFragment();
  for (const again of onChosen) again();
});
