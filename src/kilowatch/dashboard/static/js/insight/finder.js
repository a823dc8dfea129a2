// A choice takes effect when it is made; the button is there for those without a script.
export function submitting() {
  for (const input of document.querySelectorAll("select[data-submit]")) {
    input.addEventListener("change", () => input.form.requestSubmit());
    input.form.querySelector("[data-fallback]")?.setAttribute("hidden", "");
  }
}
