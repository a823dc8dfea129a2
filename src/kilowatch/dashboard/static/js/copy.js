// Copy buttons: data-copy names the element whose text is copied.
import { t } from "./words.js";

async function put(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Plain http, or no permission: select it, so that one key press copies it.
    return false;
  }
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const target = document.getElementById(button.dataset.copy);
  if (!target) return;
  const done = await put(target.textContent.trim());
  if (!done) getSelection().selectAllChildren(target);
  const label = button.querySelector("[data-label]") ?? button;
  label.dataset.before ??= label.textContent;
  label.textContent = t(done ? "copy.done" : "copy.selected");
  setTimeout(() => { label.textContent = label.dataset.before; }, 2000);
});
