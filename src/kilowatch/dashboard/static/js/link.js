// A link from a mail: its token stands behind the # and so was sent to nobody. It goes into the
// form, and out of the address, where a passer-by could read it.
const field = document.querySelector("input[name=token]");
const token = location.hash.slice(1);

if (field && token) {
  field.value = token;
  history.replaceState(null, "", location.pathname);
  const row = field.closest(".field");
  if (row) row.hidden = true;
  const form = field.form;
  if (form.hasAttribute("data-at-once")) form.requestSubmit();
  else form.querySelector("input:not([type=hidden]):not([name=token])")?.focus();
}
