// "Where does this number come from": a small button beside a figure, and one dialog for the page.
// Pages of the server use the macro of why.html; modules call whyButton(). See docs/develop/README.md.
import { behind } from "./behind.js";
import { t } from "./words.js";

let box = null;

function element(tag, className, text = "") {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.textContent = text;
  return node;
}

function dialog() {
  if (box) return box;
  box = element("dialog", "why-box");
  box.setAttribute("aria-labelledby", "why-title");
  const title = element("h2", "");
  title.id = "why-title";
  const body = element("div", "why-body");
  const form = element("form", "");
  form.method = "dialog";
  form.append(element("button", "button", t("why.close")));
  box.append(title, body, form);
  // A click beside the box closes it, as Escape does; the focus returns to the button by itself.
  box.addEventListener("click", (event) => { if (event.target === box) box.close(); });
  document.body.append(box);
  return box;
}

/** What stands beside a label: a text, or lines of {name, text, title}. */
function told(value) {
  if (!Array.isArray(value)) return element("dd", "", value);
  const node = element("dd", "");
  const lines = element("ul", "why-parts");
  for (const { name, text, title } of value) {
    const line = element("li", "");
    const figure = element("span", "num", text);
    figure.title = title ?? "";
    line.append(element("span", "", name), figure);
    lines.append(line);
  }
  node.append(lines);
  return node;
}

/** Open the dialog: rows are [label, text or lines], links are {href, text}. */
function open(title, { rows, links }) {
  const host = dialog();
  host.querySelector("h2").textContent = t("why.title", { name: title });
  const inside = host.querySelector(".why-body");
  const list = element("dl", "");
  for (const [label, text] of rows.filter(([, value]) => value?.length)) list.append(element("dt", "", label), told(text));
  const where = element("p", "why-links");
  for (const { href, text } of links) {
    const link = element("a", "", text);
    link.href = href;
    where.append(link);
  }
  inside.replaceChildren(list, where);
  host.showModal();
}

/** The button beside a figure of which the facts of dashboard/behind.py are known. */
export function whyButton(title, facts) {
  const node = element("button", "why");
  node.type = "button";
  node.setAttribute("aria-haspopup", "dialog");
  node.setAttribute("aria-label", t("why.button", { name: title }));
  node.title = t("why.button", { name: title });
  node.textContent = "?";
  node.addEventListener("click", (event) => { event.stopPropagation(); open(title, behind(facts)); });
  return node;
}

/** Put the button of a figure behind its label, so that it never begins a line by itself. */
export function tied(node, button) {
  const label = element("span", "");
  label.append(...node.childNodes);
  node.classList.add("tied");
  node.append(label, button);
}

document.addEventListener("click", (event) => {
  const asked = event.target.closest?.("[data-why]");
  if (asked) open(asked.dataset.why, behind(JSON.parse(asked.dataset.facts)));
});
