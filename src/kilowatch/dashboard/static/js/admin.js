// Administration. The form of a data point puts away what means nothing for its kind.
const form = document.querySelector("[data-point-form]");
const kind = form?.querySelector("[name=kind]");
const utility = form?.querySelector("[name=utility]");
const behaviour = form?.querySelector("[name=behaviour]");

function show() {
  const electrical = kind.value === "electrical";
  const unit = form.querySelector("[data-field=unit]");
  if (unit) unit.hidden = electrical;
  for (const option of behaviour?.options ?? []) {
    const unfit = electrical && (option.value === "rate" || option.value === "gauge");
    option.disabled = unfit;
    if (unfit && option.selected) behaviour.value = "";
  }
  const register = form.querySelector("[data-field=register_max]");
  if (register) register.hidden = ["amount", "rate", "gauge"].includes(behaviour.value);
}

if (form) {
  kind.addEventListener("change", () => {
    if (kind.value === "single" && utility.value === "electricity") utility.value = "gas";
    if (kind.value === "electrical") utility.value = "electricity";
    show();
  });
  behaviour.addEventListener("change", show);
  show();
}

// Where a form is wrong, the cursor stands; on a narrow screen the section we are in is in view.
document.querySelector("main [aria-invalid=true]")?.focus();
document.querySelector(".sections [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
