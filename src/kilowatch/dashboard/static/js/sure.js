// A question before what can't be taken back: button[data-confirm] asks it in one dialog for the page.
// Escape, a click beside it and the first button leave everything as it is; the focus returns by itself.
import { t } from "./words.js";

let box = null;
let asked = null;

function button(className, text, value) {
  const node = document.createElement("button");
  node.className = className;
  node.textContent = text;
  node.value = value;
  return node;
}

function dialog() {
  if (box) return box;
  box = document.createElement("dialog");
  box.className = "why-box sure-box";
  box.setAttribute("aria-labelledby", "sure-question");
  const question = document.createElement("h2");
  question.id = "sure-question";
  const form = document.createElement("form");
  form.method = "dialog";
  form.className = "row";
  form.append(button("button", t("sure.keep"), "no"), button("button bad", "", "yes"));
  box.append(question, form);
  box.addEventListener("click", (event) => { if (event.target === box) box.close("no"); });
  box.addEventListener("close", () => {
    const pressed = asked;
    asked = null;
    // Not through a click: what is pressed here has been asked, and brings its name and value along.
    if (box.returnValue === "yes") pressed?.form.requestSubmit(pressed);
  });
  document.body.append(box);
  return box;
}

/** What a button says to who sees it; its longer name for a screen reader is left out. */
const said = (node) => [...node.childNodes].filter((one) => one.nodeType === Node.TEXT_NODE).map((one) => one.textContent).join("").trim();

document.addEventListener("click", (event) => {
  const pressed = event.target.closest?.("button[data-confirm]");
  if (!pressed?.form) return;
  event.preventDefault();
  asked = pressed;
  const host = dialog();
  host.returnValue = "no"; // Escape leaves it so
  host.querySelector("h2").textContent = pressed.dataset.confirm;
  host.querySelector("[value=yes]").textContent = said(pressed);
  host.showModal();
});
