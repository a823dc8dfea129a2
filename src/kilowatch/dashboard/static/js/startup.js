// The link's token stands behind "#", where no server sees it: it goes into the form, and away.
const field = document.querySelector("[data-startup] [name=token]");
const token = location.hash.slice(1);
if (field && token) {
  field.value = token;
  field.closest(".field").hidden = true;
  history.replaceState(null, "", location.pathname);
}
