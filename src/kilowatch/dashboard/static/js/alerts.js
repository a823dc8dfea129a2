// Forms of rules and channels: fields that mean nothing for a choice are put away.
const form = document.querySelector("[data-choice-form]");
const choice = form?.querySelector(`[name="${form.dataset.choiceForm}"]`);

const watched = form?.querySelector("[name=watched]");

function show() {
  const point = form.querySelector("[data-watched]");
  if (point) { delete point.dataset.off; point.hidden = watched.value !== "point"; }
  for (const part of form.querySelectorAll("[data-for]")) {
    delete part.dataset.off; // the server's guess, for the first paint
    part.hidden = !part.dataset.for.split(" ").includes(choice.value);
  }
}

if (form && choice) {
  choice.addEventListener("change", show);
  watched?.addEventListener("change", show);
  show();
  form.querySelector("[aria-invalid=true]")?.focus();
}
