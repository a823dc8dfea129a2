// The bell on every page: how many alerts wait for somebody; and their list, where it is shown.
import { listen } from "./live.js";
import { t } from "./words.js";

const bell = document.querySelector("[data-bell]");

listen("alerts", ({ waiting }) => {
  if (!bell) return;
  const count = bell.querySelector("[data-bell-count]");
  bell.dataset.bell = waiting;
  count.hidden = waiting === 0;
  count.textContent = waiting < 100 ? String(waiting) : "99+";
  bell.querySelector("[data-bell-text]").textContent =
    waiting ? t("bell.some", { n: waiting }) : t("bell.none");
  document.getElementById("alerts")?.dispatchEvent(new CustomEvent("kw:refresh"));
});
