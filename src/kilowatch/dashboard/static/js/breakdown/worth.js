// Energy, money or CO2: which price or factor the figures rest on, or where to set one.
import { share } from "../numbers.js";
import { t } from "../words.js";

/** Say under the switch what the figures rest on; a link where nothing is known. */
export function tell(host, answer) {
  const { worth } = answer;
  const co2 = worth.shown === "co2";
  host.replaceChildren();
  if (worth.shown === "energy") return;
  const said = [];
  if (!worth.available) said.push(t("worth.choose"));
  else if (!worth.basis.length && worth.share === 0) said.push(t(co2 ? "worth.no_factor" : "worth.no_price"));
  else if (worth.basis.length) {
    said.push(t(co2 ? "worth.rests_on_co2" : "worth.rests_on", { basis: worth.basis.map((one) => one.text).join("; ") }));
    if (worth.share < 0.9995) said.push(t(co2 ? "worth.partly_co2" : "worth.partly", { share: share(worth.share) }));
  }
  host.textContent = `${said.join(" ")} `;
  if (worth.available && worth.share !== null && worth.share < 0.9995) {
    if (host.dataset.href) {
      const link = document.createElement("a");
      link.href = host.dataset.href;
      link.textContent = t("worth.set");
      host.append(link);
    } else host.append(t("worth.ask"));
  }
}
