// Export: what is chosen stands in the address, and the preview follows it.
const form = document.getElementById("export");
const chosen = document.getElementById("chosen");
let waiting = 0;

function asked() {
  const query = new URLSearchParams(new FormData(form));
  query.delete("q");
  if (query.get("period") !== "custom") { query.delete("from"); query.delete("until"); }
  return query.toString();
}

function follow() {
  const grain = form.elements.grain.value;
  const custom = form.elements.period.value === "custom";
  document.getElementById("custom").hidden = !custom;
  for (const label of form.querySelectorAll("[data-fine]")) {
    label.hidden = !["source", "interval", "15m", "30m"].includes(grain);
  }
  document.getElementById("none-chosen").hidden = chosen.children.length > 0;
  if (custom && !(form.elements.from.value && form.elements.until.value)) return;
  const query = asked();
  history.replaceState(null, "", `/export?${query}`);
  const preview = document.getElementById("preview");
  preview.setAttribute("hx-get", `/export/preview?${query}`);  // what asking again asks for
  window.htmx.ajax("GET", `/export/preview?${query}`, { source: preview, target: preview, swap: "innerHTML" });
}

form.addEventListener("change", (event) => {
  const input = event.target;
  if (input.name === "q") return;
  if (input.name === "place") {
    const item = input.closest("li");
    if (input.checked) chosen.append(item);
    else item.remove();
  }
  clearTimeout(waiting);
  waiting = setTimeout(follow, 250);
});

document.body.addEventListener("htmx:afterSettle", (event) => {
  if (event.target.id === "preview") event.target.setAttribute("aria-busy", "false");
});

// The list of parameters comes along with the preview. What was ticked since that was asked for stays ticked.
const ticks = () => [...form.querySelectorAll("#parameters input")];
let ticked = new Map();
document.body.addEventListener("htmx:oobBeforeSwap", (event) => {
  if (event.target.id === "parameters") ticked = new Map(ticks().map((one) => [one.value, one.checked]));
});
document.body.addEventListener("htmx:oobAfterSwap", (event) => {
  if (event.target.id !== "parameters") return;
  for (const one of ticks()) one.checked = ticked.get(one.value) ?? one.checked;
});
