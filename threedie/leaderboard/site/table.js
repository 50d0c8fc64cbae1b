"use strict";
// The page is whole without this: it sorts, filters and chooses rows, and keeps that in the address.
const table = document.getElementById("entries"), spoken = document.getElementById("spoken");
const rows = table ? [...table.tBodies[0].rows] : [], heads = table ? [...table.tHead.rows[0].cells] : [];
const state = new URLSearchParams(location.search), MOST = 4;
const ranked = rows.map((row) => [row.cells[0].textContent, ...(row.dataset.r ?? "").split(",")]);
const plain = rows.map((row) => row.textContent.toLowerCase());
const names = heads.map((head) => head.textContent.trim());
const [METHOD, SEEDS, LEVEL, TRACK] = ["Method", "Seeds", "Level", "Track"].map((name) => names.indexOf(name));
const levelOf = rows.map((row) => row.cells[LEVEL].firstChild.textContent.trim().slice(2));
const measuredBy = (column) => "better" in heads[column].dataset;
const LEVELS = ["reported", "recomputed", "re-probed", "re-run", "fresh-render", "retrained"];
let basis = heads.findIndex((head) => head.hasAttribute("aria-sort")); // the column that ranks are by
const shift = () => table.tHead.rows[0].cells.length - heads.length; // 1, with a column of boxes

function keep(name, value) {
  if (value) state.set(name, value); else state.delete(name);
  const query = state.toString().replaceAll("%2C", ",");
  try {
    history.replaceState(null, "", (query ? "?" + query : location.pathname) + location.hash);
  } catch { /* an old browser on file:// keeps no address */ }
}
function value(row, i, column, offset) {
  const text = row.cells[column + offset].textContent.trim();
  if (column === 0) return parseInt(text) || null;
  if (column === LEVEL) return LEVELS.indexOf(levelOf[i]);
  if (column === METHOD || column === TRACK) return text.toLowerCase();
  const number = parseFloat(text.replace("−", "-"));
  return Number.isNaN(number) ? null : number;
}
function sort(column, falling) {
  const head = heads[column], offset = shift();
  for (const other of heads) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", falling ? "descending" : "ascending");
  const keyed = rows.map((row, i) => {
    const key = value(row, i, column, offset);
    return { row, key, last: row.classList.contains("retracted") ? 3 : row.classList.contains("failed") ? 2 : key === null ? 1 : 0 };
  });
  const turn = falling ? -1 : 1;
  keyed.sort((a, b) => a.last - b.last || (a.key === null ? 0 : turn *
    (typeof a.key === "string" ? a.key.localeCompare(b.key) : a.key - b.key)));
  const rank = head.dataset.rank, measured = measuredBy(column);
  if (measured) rows.forEach((row, i) => {
    const cell = row.cells[offset], now = ranked[i][rank];
    if (/[a-z]/.test(ranked[i][0])) return; // "not ranked" by anything
    cell.textContent = now && now !== "—" ? now.replace("-", "–") : "—";
    if (cell.textContent === "—") cell.setAttribute("aria-label", "no rank"); else cell.removeAttribute("aria-label");
  });
  table.tBodies[0].append(...keyed.map((one) => one.row));
  if (measured) basis = rank ? column : null;
  return told(column, falling);
}
function told(column, falling) {
  const by = basis === null ? (measuredBy(column) ? "there are no ranks by it" : "no ranks are shown")
    : "ranks are by " + (basis === column ? "it" : names[basis]);
  return "sorted by " + names[column] + (falling ? ", descending; " : ", ascending; ") + by;
}
let said = table ? told(basis, true) : "";
function press(column, falling) {
  said = sort(column, falling);
  const name = names[column].toLowerCase().replace(/[^a-z0-9²°@]+/g, "-");
  keep("sort", (falling ? "-" : "") + name);
  tell();
}
function tell() {
  const count = rows.filter((row) => !row.hidden).length;
  spoken.textContent = count + " of " + rows.length + (rows.length === 1 ? " entry" : " entries") + (said ? ", " + said : "") + ".";
}
heads.forEach((head, column) => {
  const button = document.createElement("button");
  button.type = "button";
  button.append(...head.childNodes);
  button.addEventListener("click", () => {
    const now = head.getAttribute("aria-sort");
    press(column, now ? now === "ascending" : head.dataset.better === "high" || column === SEEDS || column === LEVEL);
  });
  head.append(button);
});

const form = document.getElementById("filter");
function filter() {
  const { q, family, track, level: least } = form.elements, words = q.value.trim().toLowerCase();
  const order = [...least.options].map((option) => option.value);
  rows.forEach((row, i) => {
    const offset = shift();
    row.hidden = !(plain[i].includes(words) && (!family.value || row.dataset.f === family.value[0]) &&
      (!track.value || row.cells[TRACK + offset].textContent === track.value) &&
      (!least.value || order.indexOf(levelOf[i]) >= order.indexOf(least.value)));
  });
  tell();
}
if (form) {
  form.hidden = false;
  for (const field of form.elements) if (field.name) {
    field.value = state.get(field.name) ?? "";
    if (field.value === "" && state.get(field.name)) keep(field.name, "");
    field.addEventListener("input", () => { keep(field.name, field.value); filter(); });
  }
  form.addEventListener("submit", (event) => event.preventDefault());
}

const bar = document.getElementById("chosen"), boxes = new Map();
function choose() {
  const chosen = [...boxes].filter(([, box]) => box.checked);
  for (const [, box] of boxes) box.disabled = chosen.length >= MOST && !box.checked;
  bar.hidden = chosen.length === 0;
  const link = bar.querySelector("a"), ids = chosen.map(([id]) => id).join(",");
  if (chosen.length > 1) link.href = link.dataset.to + "?e=" + ids; else link.removeAttribute("href");
  bar.querySelector("span").textContent = chosen.length === 1 ? "1 chosen; choose one more" : chosen.length + " chosen" + (chosen.length === MOST ? ", the most" : "");
  keep("e", ids);
}
if (bar && rows.length > 1) {
  const head = document.createElement("th"), wanted = (state.get("e") ?? "").split(",");
  head.scope = "col";
  head.className = "boxes";
  head.textContent = "Compare";
  table.tHead.rows[0].prepend(head);
  for (const row of rows) {
    const box = document.createElement("input"), cell = document.createElement("td");
    const link = row.querySelector("th a"), id = link.getAttribute("href").match(/([^/]+)\.html$/)[1];
    box.type = "checkbox";
    box.setAttribute("aria-label", "Compare " + [...row.querySelectorAll("th > :not(.state)")].map((part) => part.textContent).join(", "));
    box.checked = wanted.includes(id);
    box.addEventListener("change", choose);
    boxes.set(id, box);
    cell.append(box);
    row.prepend(cell);
  }
  for (const row of table.tBodies[1]?.rows ?? []) {
    if (row.cells.length === 1) row.cells[0].colSpan += 1; else row.prepend(document.createElement("td"));
  }
  [...boxes.values()].filter((box) => box.checked).slice(MOST).forEach((box) => { box.checked = false; });
  const link = bar.querySelector("a");
  link.dataset.to = link.getAttribute("href");
  bar.querySelector("button").addEventListener("click", () => {
    for (const box of boxes.values()) box.checked = false;
    choose();
    table.parentElement.focus();
  });
  choose();
}
if (table) {
  const asked = state.get("sort") ?? "", column = heads.findIndex((_, i) =>
    names[i].toLowerCase().replace(/[^a-z0-9²°@]+/g, "-") === asked.replace(/^-/, ""));
  if (asked && column >= 0) said = sort(column, asked.startsWith("-"));
  if (form) filter(); else tell();
}
