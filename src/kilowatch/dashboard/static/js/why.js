// "Where does this number come from": a small button beside a figure, and one dialog for the page.
// Pages of the server use the macro in why.html; modules call button(). See docs/develop/README.md.
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

/** Open the dialog: rows are [label, text], links are {href, text}. */
export function open(title, { rows = [], links = [], body = null }) {
  const host = dialog();
  host.querySelector("h2").textContent = t("why.title", { name: title });
  const inside = host.querySelector(".why-body");
  if (body) inside.replaceChildren(body);
  else {
    const list = element("dl", "");
    for (const [label, text] of rows.filter(([, value]) => value)) list.append(element("dt", "", label), element("dd", "", text));
    const where = element("p", "why-links");
    for (const { href, text } of links) {
      const link = element("a", "", text);
      link.href = href;
      where.append(link);
    }
    inside.replaceChildren(list, where);
  }
  host.showModal();
}

/** The button beside a figure; `build` says what stands behind it when it is asked. */
export function button(title, build) {
  const node = element("button", "why");
  node.type = "button";
  node.setAttribute("aria-haspopup", "dialog");
  node.setAttribute("aria-label", t("why.button", { name: title }));
  node.title = t("why.button", { name: title });
  node.textContent = "?";
  node.addEventListener("click", (event) => { event.stopPropagation(); open(title, build()); });
  return node;
}

document.addEventListener("click", (event) => {
  const asked = event.target.closest?.("[data-why]");
  const told = asked?.nextElementSibling;
  if (told instanceof HTMLTemplateElement) open(asked.dataset.why, { body: told.content.cloneNode(true) });
});
