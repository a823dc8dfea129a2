// The month: days with data are marked, the period shown is filled, nothing before the data began.
import { dateText } from "../sitetime.js";
import { t } from "../words.js";

const DAY = 86_400_000;
const iso = (date) => date.toISOString().slice(0, 10);
const utc = (text) => new Date(`${text}T00:00:00Z`);

export class Calendar {
  constructor(host, { source, choose }) {
    this.host = host;
    this.source = source;
    this.choose = choose;
    this.known = new Map(); // month -> Set of days
    this.month = null;
    host.querySelector("[data-month='-1']").addEventListener("click", () => this.turn(-1));
    host.querySelector("[data-month='1']").addEventListener("click", () => this.turn(1));
    this.grid = host.querySelector("tbody");
    this.grid.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (button && !button.disabled) this.choose(button.value);
    });
    this.grid.addEventListener("keydown", (event) => this.key(event));
    const names = host.querySelectorAll("thead th");
    names.forEach((node, i) => {
      const day = iso(new Date(Date.UTC(2024, 0, 1 + i))); // a Monday
      node.textContent = dateText(day, { weekday: "narrow" });
      node.abbr = dateText(day, { weekday: "long" });
    });
  }

  /** Show the month of `first`, with the period marked. */
  show({ first, last, today, begin, fresh = false }) {
    Object.assign(this, { first, last, today, begin });
    if (fresh) this.known.delete(today.slice(0, 7));
    const inside = this.month && first.slice(0, 7) <= this.month && this.month <= last.slice(0, 7);
    if (!inside) this.month = last > today && first <= today ? today.slice(0, 7) : first.slice(0, 7);
    this.draw();
    this.load();
  }

  turn(step) {
    const start = utc(`${this.month}-01`);
    start.setUTCMonth(start.getUTCMonth() + step);
    this.month = iso(start).slice(0, 7);
    this.draw();
    this.load();
  }

  async load() {
    const month = this.month;
    if (this.known.has(month)) return;
    const answer = await fetch(`${this.source}month=${month}`);
    if (!answer.ok) return;
    const { days } = await answer.json();
    this.known.set(month, new Set(days));
    if (month === this.month) this.draw();
  }

  draw() {
    const start = utc(`${this.month}-01`);
    this.host.querySelector("[data-title]").textContent = dateText(`${this.month}-01`, { month: "long", year: "numeric" });
    const [back, forth] = this.host.querySelectorAll("[data-month]");
    back.disabled = Boolean(this.begin) && this.month <= this.begin.slice(0, 7);
    forth.disabled = this.month >= this.today.slice(0, 7);
    const marked = this.known.get(this.month) ?? new Set();
    const focused = this.grid.contains(document.activeElement) ? document.activeElement.value : null;
    const lead = (start.getUTCDay() + 6) % 7;
    const rows = [];
    for (let week = 0; week < 6; week += 1) {
      const line = document.createElement("tr");
      for (let day = 0; day < 7; day += 1) {
        const date = new Date(start.getTime() + (week * 7 + day - lead) * DAY);
        const cell = document.createElement("td");
        if (date.getUTCMonth() === start.getUTCMonth()) cell.append(this.button(iso(date), marked));
        line.append(cell);
      }
      rows.push(line); // always six, so that nothing below moves from month to month
    }
    this.grid.replaceChildren(...rows);
    const stop = this.grid.querySelector(`[value="${focused}"]`) ?? this.grid.querySelector(".chosen:not(:disabled)")
      ?? this.grid.querySelector("button:not(:disabled)");
    if (stop) stop.tabIndex = 0;
    if (focused) stop?.focus();
  }

  button(day, marked) {
    const node = document.createElement("button");
    node.type = "button";
    node.value = day;
    node.textContent = String(Number(day.slice(8)));
    node.tabIndex = -1;
    node.disabled = day > this.today;
    const has = marked.has(day);
    const chosen = day >= this.first && day <= this.last;
    const single = this.first === this.last;
    node.classList.toggle("has", has);
    node.classList.toggle("chosen", chosen);
    node.classList.toggle("range", chosen && !single);
    node.classList.toggle("today", day === this.today);
    node.setAttribute("aria-pressed", String(chosen));
    const words = dateText(day, { weekday: "long", day: "numeric", month: "long", year: "numeric" });
    node.setAttribute("aria-label", `${words}, ${t(has ? "calendar.has" : "calendar.none")}`);
    return node;
  }

  key(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -7, ArrowDown: 7 }[event.key];
    const button = event.target.closest("button");
    if (!step || !button) return;
    event.preventDefault();
    const target = iso(new Date(utc(button.value).getTime() + step * DAY));
    if (target > this.today) return;
    if (target.slice(0, 7) !== this.month) this.turn(target < button.value ? -1 : 1);
    const next = this.grid.querySelector(`[value="${target}"]`);
    if (!next || next.disabled) return;
    for (const other of this.grid.querySelectorAll("button")) other.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  }
}
