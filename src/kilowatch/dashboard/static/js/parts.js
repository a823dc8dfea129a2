// Parts of a page that are fetched after it: one that did not come says so in its place, with a way on.
import { t } from "./words.js";

/** A sentence and a button: what could not be had, and asking again. */
export function failure(again) {
  const box = document.createElement("div");
  box.className = "notice bad part-failed";
  box.setAttribute("role", "alert");
  const words = document.createElement("p");
  words.textContent = `${t("failed.part")} ${t("failed.next")}`;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "button";
  button.textContent = t("failed.retry");
  button.addEventListener("click", again);
  box.append(words, button);
  return box;
}

function failed({ detail: { elt, target, xhr } }) {
  if (xhr?.status === 401 || !elt.matches("[hx-trigger*=load], [hx-trigger*=intersect]")) return;
  const place = target ?? elt;
  place.removeAttribute("aria-busy");
  const again = () => {
    place.textContent = t("loading");
    window.htmx.ajax("GET", elt.getAttribute("hx-get"), { source: elt, target: place, swap: elt.getAttribute("hx-swap") ?? "innerHTML" });
  };
  place.replaceChildren(failure(again));
}
for (const kind of ["htmx:responseError", "htmx:sendError", "htmx:timeout"]) document.addEventListener(kind, failed);
