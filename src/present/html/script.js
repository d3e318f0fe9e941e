// Sorting and filtering of the result tables. Without it everything is shown, in the order of the analysis.
'use strict';
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const tables = all('table.results');

  // A row's value in a column: a number where there is one, else its name. What has none comes last, either way.
  const key = (row, column) => {
    const cell = row.cells[column];
    if (cell === undefined) return null;
    if (column === 0) return cell.textContent;
    return cell.dataset.value === undefined ? null : Number(cell.dataset.value);
  };
  const compare = (column, direction) => (a, b) => {
    const [x, y] = [key(a, column), key(b, column)];
    if (x === null || y === null) return (x === null) - (y === null);
    return direction * (typeof x === 'string' ? x.localeCompare(y) : x - y);
  };

  for (const table of tables) {
    const heads = all('thead th', table);
    heads.forEach((head, column) => {
      const button = document.createElement('button');
      button.type = 'button';
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener('click', () => {
        const rising = head.getAttribute('aria-sort') !== 'ascending';
        heads.forEach((other) => other.removeAttribute('aria-sort'));
        head.setAttribute('aria-sort', rising ? 'ascending' : 'descending');
        // Controls stay below contenders: each body is sorted by itself.
        for (const body of table.tBodies) {
          const rows = all('tr[data-family]', body).sort(compare(column, rising ? 1 : -1));
          body.append(...rows);
        }
      });
    });
  }

  const filters = document.querySelector('#filters');
  if (filters === null) return;
  const status = filters.querySelector('[role=status]');
  const rows = tables.flatMap((table) => all('tr[data-family]', table));
  const apply = () => {
    const wanted = new Set(all('input[name=family]:checked', filters).map((box) => box.value));
    const significant = filters.elements.significant.checked;
    const controls = !filters.elements.controls.checked;
    for (const row of rows) {
      const control = row.dataset.family === 'control';
      const told = row.dataset.verdict === undefined || ['faster', 'slower', 'baseline'].includes(row.dataset.verdict);
      row.hidden = !((control ? controls : wanted.has(row.dataset.family)) && (told || !significant));
    }
    for (const table of tables) {
      for (const body of table.tBodies) {
        body.hidden = all('tr[data-family]', body).every((row) => row.hidden);
      }
    }
    const shown = rows.filter((row) => !row.hidden).length;
    status.textContent = shown === rows.length ? '' : `${shown} of ${rows.length} rows shown`;
  };
  filters.addEventListener('change', apply);
  filters.addEventListener('reset', () => setTimeout(apply));
  filters.addEventListener('submit', (event) => event.preventDefault());
  filters.hidden = false;
  // Some browsers keep boxes checked over a reload.
  apply();
})();
