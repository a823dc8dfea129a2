// The week of opening hours: drag to paint, arrow keys to move, Shift with them to paint on.
// Without this script each box is an ordinary checkbox, and the form is the same.
const paint = document.querySelector("[data-paint]");
const form = paint?.closest("form");
const table = paint?.querySelector(".week");
const boxes = [...(paint?.querySelectorAll("input[name=open]") ?? [])];
const at = new Map(boxes.map((box) => [Number(box.value), box]));
const STEPS = { ArrowUp: -1, ArrowDown: 1, ArrowLeft: -24, ArrowRight: 24 };

// One stop for the Tab key: the box that was used last.
function settle(box) {
  for (const other of boxes) other.tabIndex = other === box ? 0 : -1;
}

function paintsNow() {
  form.querySelector("[name=hours_are][value=painted]").checked = true;
}

function keys(event) {
  const step = STEPS[event.key];
  if (step === undefined) return;
  const from = Number(event.target.value);
  const to = from + step;
  const sameDay = Math.floor(from / 24) === Math.floor(to / 24);
  const next = Math.abs(step) === 1 && !sameDay ? undefined : at.get(to);
  event.preventDefault();
  if (!next) return;
  if (event.shiftKey) {
    next.checked = event.target.checked;
    paintsNow();
  }
  settle(next);
  next.focus();
}

function under(event) {
  const cell = document.elementFromPoint(event.clientX, event.clientY)?.closest(".week td");
  return cell?.querySelector("input") ?? null;
}

let dragging = null; // what is painted: true for open

function begin(event) {
  const box = under(event);
  if (!box || event.button !== 0 || event.pointerType === "touch") return; // a finger scrolls, and taps
  event.preventDefault();
  dragging = !box.checked;
  box.checked = dragging;
  settle(box);
  box.focus();
  paintsNow();
}

function go(event) {
  if (dragging === null) return;
  const box = under(event);
  if (box) box.checked = dragging;
}

function fill(how) {
  for (const box of boxes) {
    const day = Math.floor(Number(box.value) / 24);
    const hour = Number(box.value) % 24;
    box.checked = how === "all" || (how === "8-18" && day < 5 && hour >= 8 && hour < 18);
  }
  paintsNow();
}

if (table && boxes.length) {
  table.classList.add("live");
  paint.querySelector("[data-paint-tools]").hidden = false;
  settle(boxes.find((box) => box.checked) ?? boxes[0]);
  table.addEventListener("keydown", keys);
  table.addEventListener("pointerdown", begin);
  table.addEventListener("click", (event) => {
    // The pointer has painted already; a click of its own would take that back.
    if (event.target.closest(".week td") && event.detail > 0 && event.pointerType !== "touch") event.preventDefault();
  });
  table.addEventListener("change", paintsNow);
  window.addEventListener("pointermove", go);
  window.addEventListener("pointerup", () => { dragging = null; });
  for (const button of paint.querySelectorAll("[data-fill]")) {
    button.addEventListener("click", () => fill(button.dataset.fill));
  }
}
