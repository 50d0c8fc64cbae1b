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
const number = (text) => parseFloat(text.replace("−", "-")); // to compare by; what is shown is the text
function heading(chosen) {
  const row = element("tr");
  row.append(element("th", "Metric", { scope: "col" }));
  for (const id of chosen) {
    const head = element("th", undefined, { scope: "col" }), link = element("a", undefined, { href: "entry/" + id + ".html" });
    const entry = data.entries[id];
    link.append(element("bdi", entry.name));
    head.append(link);
    if (entry.variant) { const small = element("small"); small.append(element("bdi", entry.variant)); head.append(small); }
    if (entry.failed) head.append(element("small", "✗ " + entry.failed, { class: "bad" }));
    head.append(element("small", [entry.level, entry.track, entry.seeds + (entry.seeds === 1 ? " seed" : " seeds"), entry.state].filter(Boolean).join(" · ")));
    row.append(head);
  }
  return row;
}
function named(id) {
  const { name, variant } = data.entries[id];
  return variant ? name + " (" + variant + ")" : name;
}
function holding(index, chosen) {
  return chosen.filter((id) => data.entries[id].text[index]).length;
}
function line(metric, index, chosen) {
  const row = element("tr"), head = element("th", metric.title, { scope: "row" });
  if (metric.part !== "all") head.append(element("small", "part " + metric.part));
  row.append(head);
  const able = chosen.filter((id) => data.entries[id].best).map((id) => data.entries[id].text[index]).filter(Boolean);
  const best = holding(index, chosen) > 1 ? Math[metric.higher ? "max" : "min"](...able.map(number)) : NaN;
  chosen.forEach((id, i) => {
    const entry = data.entries[id], cell = element("td"), text = entry.text[index];
    if (!text) { cell.textContent = "—"; cell.setAttribute("aria-label", "no value"); }
    else {
      cell.append(entry.best && number(text) === best ? element("b", text) : text);
      if (entry.note[index]) cell.append(element("small", entry.note[index]));
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
  const indices = data.metrics.map((_, index) => index), names = chosen.map(named);
  const both = indices.filter((index) => holding(index, chosen) > 1), one = indices.filter((index) => holding(index, chosen) === 1);
  const barred = chosen.some((id) => !data.entries[id].best) ? ", but never of a retracted entry or one that failed" : "";
  if (both.length) place.append(table("compared-caption", "Mean over seeds and 95 % interval; bold is the better one" + barred + "." + tested(), both, chosen));
  if (one.length) {
    const more = element("details");
    more.append(element("summary", one.length + (one.length === 1 ? " metric" : " metrics") + " of one entry only"));
    more.append(table("single-caption", "Nothing to compare with: the other entries have no value.", one, chosen));
    place.append(more);
  }
  spoken.textContent = "Comparing " + names.slice(0, -1).join(", ") + " and " + names.at(-1) + ".";
}
function tested() {
  if (!data.tests) return "";
  const by = data.metrics.filter((metric) => Object.hasOwn(data.tests, metric.key));
  const words = by.map((metric) => metric.title + (metric.part === "all" ? "" : " (part " + metric.part + ")"));
  return " p is of the paired test against the first entry, these two alone, not corrected. Only ranked entries have it, and only by " +
    words.join(", ") + ": of no other metric does a verification hold the bootstrap replicates that the test needs.";
}
function table(id, says, indices, chosen) {
  const made = element("table"), caption = element("caption"), head = element("thead"), body = element("tbody");
  caption.append(element("span", says, { id }));
  head.append(heading(chosen));
  for (const index of indices) body.append(line(data.metrics[index], index, chosen));
  made.append(caption, head, body);
  const region = element("div", undefined, { class: "scroll", role: "region", tabindex: "0", "aria-labelledby": id });
  region.append(made);
  return region;
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
