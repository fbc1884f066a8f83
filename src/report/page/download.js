/** Saving what the page holds: a chart's data as CSV, the raw result as JSON. Nothing leaves the page but by the reader's own click. */

/** @param {Blob} blob @param {string} name */
function saveAs(blob, name) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/**
 * One field as RFC 4180 has it. Text that a spreadsheet would take for a formula gets an apostrophe: names come from servers.
 * @param {unknown} value
 */
function csvField(value) {
  if (value === null || value === undefined) return '';
  if (typeof value === 'number') return String(value);
  const text = /^[=+\-@\t\r]/.test(String(value)) ? `'${value}` : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** @param {readonly Row[]} rows @param {Record<string, string>} columns fields with their titles */
function csvOf(rows, columns) {
  const fields = Object.keys(columns).filter((field) => rows.some((row) => row[field] !== undefined));
  const lines = [fields.map((field) => columns[field]), ...rows.map((row) => fields.map((field) => row[field]))];
  return `${lines.map((line) => line.map(csvField).join(',')).join('\r\n')}\r\n`;
}

/**
 * Puts a button that saves what a chart shows into its caption.
 * @param {Element} figure @param {() => { rows: readonly Row[], columns: Record<string, string>, name: string }} shown
 */
function offerCsv(figure, shown) {
  const button = document.createElement('button');
  button.type = 'button';
  button.className = 'csv';
  button.textContent = 'CSV';
  const title = figure.querySelector('figcaption b')?.textContent ?? '';
  button.setAttribute('aria-label', `Save the data of ${title} as CSV`);
  button.addEventListener('click', () => {
    const { rows, columns, name } = shown();
    saveAs(new Blob([csvOf(rows, columns)], { type: 'text/csv;charset=utf-8' }), `${name}.csv`);
  });
  figure.querySelector('figcaption')?.append(button);
}

/** Text that html/packed.ts packed: gzip in base64. @param {string} id of its block @returns {Promise<string>} */
async function unpacked(id) {
  const text = atob(document.getElementById(id)?.textContent?.trim() ?? '');
  const bytes = Uint8Array.from(text, (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'));
  return new Response(stream).text();
}
