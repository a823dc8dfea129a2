// The control panel: period, granularity, parameters, phases, view. It only says what was chosen.
import { t } from "../words.js";
import { chosen, KINDS } from "./overlays.js";
import * as states from "./state.js";

export class Controls {
  constructor(root, { change }) {
    this.root = root;
    this.change = change;
    this.answer = null;
    root.addEventListener("change", (event) => this.changed(event));
    root.addEventListener("click", (event) => this.clicked(event));
    this.custom = root.querySelector("#custom");
    this.custom.addEventListener("submit", (event) => {
      event.preventDefault();
      const [from, until] = this.custom.querySelectorAll("input[type=date]");
      if (from.value && until.value) this.change({ period: "custom", date: from.value, until: until.value, grain: "" });
    });
  }

  /** Draw what the server resolved. */
  show(answer, state) {
    this.answer = answer;
    this.state = state;
    for (const input of this.root.querySelectorAll("input[name=period]")) input.checked = input.value === state.period;
    for (const input of this.root.querySelectorAll("input[name=view]")) input.checked = input.value === state.view;
    for (const input of this.root.querySelectorAll("input[name=worth]")) input.checked = input.value === (state.worth || "energy");
    for (const input of this.root.querySelectorAll("input[name=phases]")) {
      input.checked = input.value === state.phases;
    }
    const on = chosen(state.over);
    for (const input of this.root.querySelectorAll("input[name=overlay]")) input.checked = on.has(input.value);
    this.custom.hidden = state.period !== "custom";
    const [from, until] = this.custom.querySelectorAll("input[type=date]");
    if (document.activeElement !== from) from.value = answer.window.first;
    if (document.activeElement !== until) until.value = answer.window.last;
    from.max = until.max = answer.window.today;
    this.steps(answer.window);
    this.grains(answer.window);
    this.parameters(answer);
    const csv = this.root.querySelector("[data-csv]");
    const export_ = this.root.querySelector("[data-export]");
    if (export_) {
      const { first, last, grain } = answer.window;
      const fine = ["interval", "15m", "30m", "hour", "day", "month"].includes(grain) ? grain : "hour";
      export_.href = `/export?${this.places(answer)}&period=custom&from=${first}&until=${last}&grain=${fine}`;
    }
    if (csv) csv.href = `${this.root.dataset.csvSource ?? `/data/series.csv?point=${answer.point.id}&`}${states.dataQuery(state)}`;
    const utility = this.root.querySelector("#utility");
    if (utility) utility.value = state.utility || utility.options[0].value;
    const phases = this.root.querySelector("[data-phases]");
    if (phases) phases.hidden = !answer.parameters.some((item) => item.summable && item.phases > 1);
  }

  /** What is exported: the data point, the whole site, or of a meter it and what is right below. */
  places({ point, statistics }) {
    if (!("level" in this.root.dataset)) return `place=p${point.id}`;
    if (!this.root.dataset.source.includes("meter=")) return `place=s${point.id}`;
    const found = new Set(statistics.flatMap((entry) => entry.points).map((one) => one.id));
    return [...found].slice(0, 100).map((id) => `place=p${id}`).join("&");
  }

  steps({ previous, next }) {
    const [back, forth] = this.root.querySelectorAll("[data-step]");
    for (const [button, target] of [[back, previous], [forth, next]]) {
      button.disabled = !target;
      button.dataset.date = target?.first ?? "";
      button.dataset.until = target?.last ?? "";
    }
  }

  grains({ grain, grains }) {
    const select = this.root.querySelector("#grain");
    const wanted = grains.map((item) => item.word).join();
    if (select.dataset.offered !== wanted) {
      select.replaceChildren(...grains.map(({ word, text }) => new Option(text, word)));
      select.dataset.offered = wanted;
    }
    select.value = grain;
  }

  parameters(answer) {
    const host = this.root.querySelector("[data-parameters]");
    if (!host) return;
    const shown = new Set(answer.parameters_shown.map((item) => item.name));
    const wanted = answer.parameters.map((item) => item.name).join();
    if (host.dataset.offered !== wanted) {
      const groups = Map.groupBy ? Map.groupBy(answer.parameters, (item) => item.group)
        : answer.parameters.reduce((map, item) => map.set(item.group, [...(map.get(item.group) ?? []), item]), new Map());
      host.replaceChildren(...[...groups].map(([group, items]) => this.group(group, items)));
      host.dataset.offered = wanted;
    }
    for (const input of host.querySelectorAll("input")) input.checked = shown.has(input.value);
    host.closest("section").hidden = answer.parameters.length < 2;
  }

  group(group, items) {
    const set = document.createElement("fieldset");
    const legend = document.createElement("legend");
    legend.textContent = group;
    set.append(legend, ...items.map((item) => {
      const label = document.createElement("label");
      label.className = "check";
      const input = document.createElement("input");
      input.type = "checkbox";
      input.name = "parameter";
      input.value = item.name;
      const text = document.createElement("span");
      text.textContent = item.title;
      label.append(input, text);
      return label;
    }));
    if (!group) legend.remove();
    return set;
  }

  /** A day of the calendar: the period around it, or the next end of a custom one. */
  day(day) {
    if (this.state?.period !== "custom") { this.change({ date: day, until: "" }); return; }
    if (this.pending) {
      const [date, until] = [this.pending, day].sort();
      this.pending = null;
      this.change({ date, until, grain: "" });
    } else {
      this.pending = day;
      this.change({ date: day, until: day, grain: "" });
    }
  }

  changed(event) {
    const { name, value } = event.target;
    if (name === "period") {
      this.pending = null;
      const { first, last, today } = this.answer.window;
      const inside = first <= today && today <= last;
      if (value === "custom") this.change({ period: value, date: first, until: last, grain: "" });
      else this.change({ period: value, date: inside ? today : this.anchor(first, last), until: "", grain: "" });
    } else if (name === "grain") this.change({ grain: value });
    else if (name === "phases") this.change({ phases: value });
    else if (name === "utility") this.change({ utility: value });
    else if (name === "worth") this.change({ worth: value === "energy" ? "" : value });
    else if (name === "view") this.change({ view: value === "graph" ? "" : value });
    else if (name === "parameter") this.choose();
    else if (name === "overlay") this.lay();
  }

  /** From a longer period to a shorter one: its last day that can have data. */
  anchor(first, last) {
    const end = this.answer.extent?.last_day;
    if (end && end >= first && end <= last) return end;
    return first;
  }

  choose() {
    const chosen = [...this.root.querySelectorAll("input[name=parameter]:checked")].map((input) => input.value);
    if (chosen.length) this.change({ show: chosen.join(",") });
    else {
      // A graph of nothing helps nobody: the last parameter stays.
      for (const input of this.root.querySelectorAll("input[name=parameter]")) {
        input.checked = this.answer.parameters_shown.some((item) => item.name === input.value);
      }
      this.root.querySelector("[data-parameters-hint]").textContent = t("controls.one_stays");
    }
  }

  /** The overlays that are switched on; all of them need no word in the address. */
  lay() {
    const on = [...this.root.querySelectorAll("input[name=overlay]:checked")].map((input) => input.value);
    const offered = this.root.querySelectorAll("input[name=overlay]").length;
    this.change({ over: on.length === Math.min(offered, KINDS.length) ? "" : on.join(",") || "none" });
  }

  clicked(event) {
    const step = event.target.closest("[data-step]");
    if (step && !step.disabled) {
      this.change({ date: step.dataset.date, until: this.state.period === "custom" ? step.dataset.until : "" });
    }
    if (event.target.closest("[data-today]")) {
      const { today } = this.answer.window;
      this.change({ date: today, until: this.state.period === "custom" ? today : "", grain: this.state.period === "custom" ? "" : this.state.grain });
    }
  }
}
