/** Controls that sections share: a labelled list to choose from, bound to a name in the fragment. */

/**
 * @typedef {object} Choice
 * @property {string} value
 * @property {string} text
 * @property {string} [group]
 */

/**
 * A labelled <select>. The first choice, or `initial`, is what the page shows by itself, and is not in the link.
 * @param {{ label: string, name: string, choices: readonly Choice[], initial?: string, change: () => void }} options
 */
function selectOf({ label, name, choices, initial = choices[0]?.value ?? '', change }) {
  const wrapper = document.createElement('label');
  wrapper.className = 'control';
  const title = document.createElement('span');
  title.textContent = label;
  const select = document.createElement('select');
  select.name = name;
  const groups = new Map();
  for (const { value, text, group } of choices) {
    const option = document.createElement('option');
    option.value = value;
    option.textContent = text;
    let parent = /** @type {HTMLElement} */ (select);
    if (group !== undefined) {
      if (!groups.has(group)) {
        const made = document.createElement('optgroup');
        made.label = group;
        groups.set(group, made);
        select.append(made);
      }
      parent = groups.get(group);
    }
    parent.append(option);
  }
  const known = () => {
    const wanted = choiceOf(name);
    select.value = choices.some(({ value }) => value === wanted) ? String(wanted) : initial;
  };
  known();
  select.addEventListener('change', () => {
    choose(name, select.value === initial ? null : select.value);
    change();
  });
  wrapper.append(title, select);
  return { wrapper, select, known };
}

/**
 * A table in place of what an element holds.
 * @param {Element} place @param {string} caption @param {readonly string[]} columns @param {readonly (readonly string[])[]} rows
 */
function fillTable(place, caption, columns, rows) {
  const table = document.createElement('table');
  const title = table.createCaption();
  title.className = 'unseen';
  title.textContent = caption;
  const head = table.createTHead().insertRow();
  for (const column of columns) {
    const cell = document.createElement('th');
    cell.scope = 'col';
    cell.textContent = column;
    head.append(cell);
  }
  const body = table.createTBody();
  for (const row of rows) {
    const line = body.insertRow();
    for (const [i, text] of row.entries()) {
      const cell = document.createElement(i === 0 ? 'th' : 'td');
      if (i === 0) cell.setAttribute('scope', 'row');
      cell.textContent = text;
      line.append(cell);
    }
  }
  place.replaceChildren(table);
}
