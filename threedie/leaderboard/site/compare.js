"use strict";
const data = JSON.parse(document.getElementById("data").textContent), MOST = 4;
const form = document.getElementById("choose"), place = document.getElementById("compared");
const whole = document.getElementById("whole"), spoken = document.getElementById("spoken");
const ids = Object.keys(data.entries), choices = [...form.querySelectorAll("select")];

function element(tag, text, attributes = {}) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}
function label(id) {
  const { name, variant } = data.entries[id];
  return variant ? name + ", " + variant : name;
}
function shown(value, digits) {
  if (value === null || value === undefined) return "—";
  return (Math.abs(value) >= 1e4 ? value.toExponential(2) : value.toFixed(digits)).replace("-", "−");
}
function heading(chosen) {
  const row = element("tr");
  row.append(element("th", "Metric", { scope: "col" }));
  for (const id of chosen) {
    const head = element("th", undefined, { scope: "col" }), link = element("a", undefined, { href: "entry/" + id + ".html" });
    const entry = data.entries[id];
    link.append(element("bdi", entry.name));
    head.append(link);
    if (entry.variant) { const small = element("small"); small.append(element("bdi", entry.variant)); head.append(small); }
    head.append(element("small", [entry.level, entry.track, entry.seeds + (entry.seeds === 1 ? " seed" : " seeds"), entry.state].filter(Boolean).join(" · ")));
    row.append(head);
  }
  return row;
}
function line(metric, index, chosen) {
  const row = element("tr"), head = element("th", metric.title, { scope: "row" });
  if (metric.part !== "all") head.append(element("small", "part " + metric.part));
  row.append(head);
  const values = chosen.map((id) => data.entries[id].value[index]);
  const texts = values.map((value) => shown(value, metric.digits)), there = values.filter((value) => value !== null);
  const best = shown(there.length > 1 ? Math[metric.higher ? "max" : "min"](...there) : null, metric.digits);
  chosen.forEach((id, i) => {
    const entry = data.entries[id], cell = element("td");
    if (texts[i] === "—") { cell.textContent = "—"; cell.setAttribute("aria-label", "no value"); }
    else {
      cell.append(texts[i] === best ? element("b", texts[i]) : texts[i]);
      if (entry.low[index] !== null) cell.append(element("small", shown(entry.low[index], metric.digits) + (entry.low[index] < 0 ? " to " : "–") + shown(entry.high[index], metric.digits)));
      const p = i > 0 && data.tests?.[metric.key]?.[[chosen[0], id].sort().join(" ")];
      if (typeof p === "number") cell.append(element("small", (p < 0.05 ? "≠" : "≈") + " first, p " + (p < 0.001 ? "< 0.001" : "= " + p.toPrecision(2))));
    }
    row.append(cell);
  });
  return row;
}
function draw(chosen) {
  whole.hidden = chosen.length > 1;
  place.replaceChildren();
  if (chosen.length < 2) {
    spoken.textContent = "Choose two entries or more. Below are all " + ids.length + ".";
    return;
  }
  const table = element("table"), caption = element("caption"), span = element("span", undefined, { id: "compared-caption" });
  span.textContent = "Mean over seeds and 95 % interval; bold is the better one." +
    (data.tests ? " p is of the paired test against the first entry, these two alone, not corrected." : "");
  caption.append(span);
  const head = element("thead"), body = element("tbody");
  head.append(heading(chosen));
  data.metrics.forEach((metric, index) => {
    if (chosen.some((id) => data.entries[id].value[index] !== null)) body.append(line(metric, index, chosen));
  });
  table.append(caption, head, body);
  const region = element("div", undefined, { class: "scroll", role: "region", tabindex: "0", "aria-labelledby": "compared-caption" });
  region.append(table);
  place.append(region);
  spoken.textContent = "Comparing " + chosen.map(label).join(" with ") + ".";
}
function chosen() {
  return [...new Set(choices.map((select) => select.value).filter(Boolean))];
}
for (const select of choices) {
  for (const id of ids) select.append(element("option", label(id), { value: id }));
  select.addEventListener("change", () => {
    const query = chosen().join(",");
    try { history.replaceState(null, "", query ? "?e=" + query : location.pathname); } catch { /* no address */ }
    draw(chosen());
  });
}
const asked = (new URLSearchParams(location.search).get("e") ?? "").split(",");
[...new Set(asked)].filter((id) => Object.hasOwn(data.entries, id)).slice(0, MOST).forEach((id, i) => { choices[i].value = id; });
form.hidden = false;
form.addEventListener("submit", (event) => event.preventDefault());
draw(chosen());
