"use strict";
// The page is whole without this: it only sorts and filters the rows of tables.
const spoken = document.getElementById("spoken");
function value(row, column) {
  return row.children[column].dataset.key ?? row.children[column].textContent.trim();
}
function compare(a, b) {
  if (a === "" || b === "") return (a === "") - (b === "");
  const numbers = [Number(a), Number(b)];
  return numbers.some(Number.isNaN) ? a.localeCompare(b) : numbers[0] - numbers[1];
}
function sort(table, head, column) {
  const falling = head.getAttribute("aria-sort") !== "descending" && column > 0
    || column === 0 && head.getAttribute("aria-sort") === "ascending";
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", falling ? "descending" : "ascending");
  const body = table.tBodies[0], rows = [...body.rows];
  rows.sort((a, b) => {
    const [x, y] = [value(a, column), value(b, column)];
    const empty = x === "" || y === "";
    return compare(x, y) * (falling && !empty ? -1 : 1);
  });
  body.append(...rows);
  spoken.textContent = "sorted by " + head.textContent.trim() + (falling ? ", descending" : ", ascending");
}
for (const table of document.querySelectorAll("table.sortable")) {
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    button.addEventListener("click", () => sort(table, head, column));
    head.append(button);
  });
}
for (const label of document.querySelectorAll("label.filter")) {
  const field = label.querySelector("input"), section = label.closest("section");
  label.hidden = false;
  field.addEventListener("input", () => {
    const wanted = field.value.trim().toLowerCase();
    let shown = 0;
    for (const row of section.querySelectorAll("table.sortable.named > tbody:first-of-type > tr")) {
      row.hidden = !row.cells[0].textContent.toLowerCase().includes(wanted);
      shown += row.hidden ? 0 : 1;
    }
    spoken.textContent = shown + (shown === 1 ? " row shown" : " rows shown");
  });
}
addEventListener("beforeprint", () => {
  for (const fold of document.querySelectorAll("details:not(.raw)")) fold.open = true;
});
