// What every page does: theme, menus, the tree, live freshness, copy buttons.
import "./why.js";
import { listen, start } from "./live.js";
import { refresh, take } from "./freshness.js";
import { fullWithUnit, money, withUnit } from "./numbers.js";
import { t } from "./words.js";
import "./bell.js";
import "./copy.js";
import { partsAtOnce } from "./paper.js";
import "./parts.js";
import "./sure.js";
import "./tree.js";

// Theme
for (const input of document.querySelectorAll('input[name="theme"]')) {
  input.checked = input.value === document.documentElement.dataset.themeChoice;
  input.addEventListener("change", () => window.kilowatchTheme(input.value));
}

// Menus close on a click elsewhere and on Escape
const menus = () => document.querySelectorAll("details.menu[open]");
document.addEventListener("click", (event) => {
  for (const menu of menus()) if (!menu.contains(event.target)) menu.open = false;
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of menus()) { menu.open = false; menu.querySelector("summary")?.focus(); }
});

// Numbers that the server sent bare get the reader's own separators
export function localise(root = document) {
  for (const node of root.querySelectorAll("data[data-unit]")) {
    if (node.value === "") continue;
    node.textContent = withUnit(Number(node.value), node.dataset.unit, node.dataset.like && Number(node.dataset.like));
    if (!node.title) node.title = fullWithUnit(Number(node.value), node.dataset.unit);
  }
  for (const node of root.querySelectorAll("data[data-currency]")) {
    if (node.value !== "") node.textContent = money(Number(node.value), node.dataset.currency);
  }
}
localise();
document.addEventListener("htmx:afterSwap", (event) => { localise(event.target); refresh(event.target); });
addEventListener("beforeprint", () => partsAtOnce((part) => { localise(part); refresh(part); }));
document.addEventListener("htmx:responseError", (event) => {
  if (event.detail.xhr.status === 401) location.assign("/login");
});

listen("values", (message) => take(message.values));
document.title = document.title || t("product");
addEventListener("load", start, { once: true });
