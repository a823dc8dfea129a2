// The editor of formulas: "[" looks for data points, arrow down goes to what was found, Enter puts
// it in. Without this script names are typed, and the preview on the server says what is wrong.
const text = document.querySelector("#formula");
const finder = document.querySelector("#finder");
const names = document.querySelector("#formula-names");
const preview = document.querySelector("#formula-preview");

/** The name that is being written: from its bracket to the cursor. */
function open() {
  const before = text.value.slice(0, text.selectionStart);
  const found = /\[([^[\]\n]*)$/.exec(before);
  return found ? { from: found.index, typed: found[1] } : null;
}

function tell(element) {
  element.dispatchEvent(new Event("input", { bubbles: true }));
}

function look() {
  const name = open();
  if (!name || finder.value === name.typed) return;
  finder.value = name.typed;
  tell(finder);
}

function put(insert) {
  const name = open();
  const from = name ? name.from : text.selectionStart;
  const to = text.selectionEnd;
  text.setRangeText(insert, from, to, "end");
  text.focus();
  tell(text);
}

function step(event) {
  const buttons = [...names.querySelectorAll("button")];
  const at = buttons.indexOf(document.activeElement);
  if (event.key === "Escape" && at >= 0) {
    text.focus();
    return;
  }
  const by = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
  if (!by || at < 0) return;
  event.preventDefault();
  if (at + by < 0) text.focus();
  else buttons[at + by]?.focus();
}

function into(event) {
  const first = names.querySelector("button");
  if (event.key !== "ArrowDown" || !first || (event.target === text && !open())) return;
  event.preventDefault();
  first.focus();
}

if (text) {
  text.addEventListener("input", look);
  text.addEventListener("click", look);
  text.addEventListener("keydown", into);
  finder.addEventListener("keydown", (event) => {
    if (event.key === "Enter") event.preventDefault();
    into(event);
  });
  names.addEventListener("keydown", step);
  names.addEventListener("click", (event) => {
    const insert = event.target.closest("[data-insert]")?.dataset.insert;
    if (insert) put(insert);
  });
  preview.addEventListener("htmx:afterSwap", () => {
    const go = preview.querySelector("[data-go]");
    if (go) go.hidden = false;
  });
  preview.addEventListener("click", (event) => {
    if (!event.target.closest("[data-go]")) return;
    const { at, until } = preview.querySelector("[data-at]").dataset;
    text.focus();
    text.setSelectionRange(Number(at), Number(until));
  });
}
