// The tree: opening branches, the drawer on narrow screens, keys.
const side = document.getElementById("side");
const tree = document.getElementById("tree");

function toggle(button, open = button.getAttribute("aria-expanded") !== "true") {
  button.setAttribute("aria-expanded", String(open));
  const branch = document.getElementById(button.getAttribute("aria-controls"));
  if (!branch) return;
  branch.hidden = !open;
  if (open) branch.dispatchEvent(new CustomEvent("kw:open"));
}

tree?.addEventListener("click", (event) => {
  const button = event.target.closest(".twist");
  if (button) toggle(button);
});

// Arrow keys walk the links that can be seen; right opens a branch, left closes it.
tree?.addEventListener("keydown", (event) => {
  const link = event.target.closest("a, .twist");
  if (!link) return;
  const seen = [...tree.querySelectorAll("a")].filter((item) => item.offsetParent);
  const own = link.matches("a") ? link : link.parentElement.querySelector("a");
  const at = seen.indexOf(own);
  const twist = own?.parentElement.querySelector(".twist");
  if (event.key === "ArrowDown") seen[at + 1]?.focus();
  else if (event.key === "ArrowUp") seen[at - 1]?.focus();
  else if (event.key === "ArrowRight" && twist) toggle(twist, true);
  else if (event.key === "ArrowLeft" && twist) toggle(twist, false);
  else return;
  event.preventDefault();
});

tree?.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest" });

// "/" goes to the search, as in many tools
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, textarea, select, [contenteditable]")) return;
  const search = document.getElementById("search");
  if (!search || !search.offsetParent) return;
  event.preventDefault();
  search.focus();
});

// From the search down into what was found; Enter opens the first of it.
const field = document.getElementById("search");
field?.form.addEventListener("submit", (event) => { event.preventDefault(); tree.querySelector(".leaf a")?.click(); });
field?.addEventListener("keydown", (event) => {
  if (event.key !== "ArrowDown") return;
  event.preventDefault();
  tree.querySelector(field.value ? ".leaf a" : "a")?.focus();
});

// The drawer of narrow screens
const opener = document.getElementById("opener");
let veil = null;
function drawer(open) {
  side.classList.toggle("open", open);
  opener.setAttribute("aria-expanded", String(open));
  if (open) {
    veil = document.createElement("div");
    veil.className = "veil";
    veil.addEventListener("click", () => drawer(false));
    document.body.append(veil);
    side.querySelector("a, input")?.focus();
  } else {
    veil?.remove();
    veil = null;
    opener.focus();
  }
}
opener?.addEventListener("click", () => drawer(!side.classList.contains("open")));
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && side?.classList.contains("open")) drawer(false);
});
