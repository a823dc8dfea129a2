// Comments beside the chart: marks on the time axis, a list, and a form that works by keyboard too.
import { listen } from "../live.js";
import { t } from "../words.js";

const input = (time, ms) => new Date(time.local(ms)).toISOString().slice(0, 16);

function element(tag, className, text = "") {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.textContent = text;
  return node;
}

export class Comments {
  /** @param changed called when what is to be marked has changed */
  constructor(root, { point, source, changed }) {
    this.host = root.querySelector("#comments");
    this.point = point; // of a site there is none: each comment is about one of its data points
    this.source = source;
    this.changed = changed;
    this.known = [];
    this.list = this.host.querySelector("ul");
    this.form = this.host.querySelector("form");
    this.none = this.host.querySelector("[data-none]");
    this.opener = this.host.querySelector("[data-add]");
    this.problem = this.form?.querySelector(".problem");
    this.opener?.addEventListener("click", () => this.open());
    this.form?.addEventListener("submit", (event) => { event.preventDefault(); this.send(); });
    this.form?.addEventListener("keydown", (event) => { if (event.key === "Escape") { event.preventDefault(); this.close(); } });
    this.form?.querySelector("[data-cancel]").addEventListener("click", () => this.close());
    listen("comments", () => this.load());
  }

  /** Ask for the comments of the period that is shown. */
  async load(answer = this.answer, time = this.time) {
    if (!answer) return;
    Object.assign(this, { answer, time });
    const { from_ms: from, to_ms: to } = answer.window;
    const reply = await fetch(`${this.source()}from=${from}&to=${to}`).catch(() => null);
    if (!reply?.ok || this.answer.window.from_ms !== from) return;
    const said = await reply.json();
    this.known = said.comments;
    this.points = said.points ?? [];
    this.draw();
    this.changed();
  }

  /** What is marked on the time axis. */
  marks() {
    return this.known.map((one) => ({ from: one.from, to: Math.max(one.to, one.from + 1), tone: "comment",
      title: `${one.author}: ${one.text.length > 80 ? `${one.text.slice(0, 79)}…` : one.text}`, comment: one.id }));
  }

  when(one) {
    const begin = this.time.stamp(one.from);
    return one.to > one.from ? `${begin} – ${this.time.stamp(one.to)}` : begin;
  }

  draw() {
    const focused = this.list.contains(document.activeElement) ? document.activeElement.dataset.key : null;
    this.none.hidden = this.known.length > 0;
    this.list.replaceChildren(...this.known.map((one) => {
      const item = element("li", "");
      item.dataset.comment = one.id;
      item.tabIndex = -1;
      const head = element("p", "head");
      head.append(element("strong", "", one.author), element("span", "muted", ` ${this.point ? "" : `${one.point.name}, `}${this.when(one)}`));
      if (one.changed_ms) head.append(element("span", "muted", ` ${t("comments.changed")}`));
      item.append(head, element("p", "said", one.text));
      if (one.event) {
        const link = element("a", "small", t("comments.about", { event: one.event.title }));
        link.href = one.event.href;
        item.append(link);
      }
      const actions = element("p", "actions");
      if (one.may_edit) actions.append(this.button(one, "edit", () => this.open({ comment: one })));
      if (one.may_remove) actions.append(this.button(one, "remove", (event) => this.remove(one, event.currentTarget)));
      if (actions.children.length) item.append(actions);
      return item;
    }));
    if (focused) this.list.querySelector(`[data-key="${focused}"]`)?.focus();
  }

  button(one, key, act) {
    const node = element("button", "button quiet small", t(`comments.${key}`));
    node.type = "button";
    node.dataset.key = `${key}-${one.id}`;
    node.setAttribute("aria-label", t(`comments.${key}_of`, { author: one.author, when: this.when(one) }));
    node.addEventListener("click", act);
    return node;
  }

  /** Open the form: for a time of the chart, for now, or with a comment to change. */
  open({ at = null, comment = null } = {}) {
    if (!this.form || !this.time) return;
    const { from_ms: from, to_ms: to, now_ms: now } = this.answer.window;
    const begin = comment?.from ?? at ?? Math.max(from, Math.min(now, to) - 3_600_000);
    this.editing = comment;
    this.form.elements.start.value = input(this.time, begin);
    this.form.elements.end.value = comment && comment.to > comment.from ? input(this.time, comment.to) : "";
    this.form.elements.text.value = comment?.text ?? "";
    const about = this.form.elements.event;
    const events = comment ? [] : this.events?.() ?? [];
    about.replaceChildren(new Option(t("comments.no_event"), ""), ...events.map((one) => new Option(`${one.title}, ${this.time.stamp(one.from)}`, one.id)));
    about.value = events.find((one) => at !== null && at >= one.from && at < one.to)?.id ?? "";
    about.closest(".field").hidden = !events.length;
    if (!this.point) {
      const which = this.form.querySelector("[data-point]");
      which.closest(".field").hidden = Boolean(comment);
      which.replaceChildren(...this.points.map((one) => new Option(one.name, one.id)));
    }
    this.problem.textContent = "";
    this.form.hidden = false;
    this.form.elements.text.focus();
  }

  close() {
    this.form.hidden = true;
    this.opener.focus();
  }

  async post(point, path, body) {
    const reply = await fetch(`/breakdown/${point}/comments${path}`, { method: "POST", body, headers: { accept: "application/json" } }).catch(() => null);
    if (reply?.ok) return "";
    const said = await reply?.json().catch(() => null);
    return said?.detail ? `${said.detail} ${said.remedy ?? ""}`.trim() : t("failed.title");
  }

  async send() {
    const about = this.point ?? this.editing?.point.id ?? this.form.querySelector("[data-point]").value;
    const fault = await this.post(about, this.editing ? `/${this.editing.id}` : "", new URLSearchParams(new FormData(this.form)));
    this.problem.textContent = fault;
    if (fault) { this.form.elements.text.focus(); return; }
    this.close();
    await this.load();
  }

  async remove(one, node) {
    // Asked twice by the same button: nothing opens, nothing moves.
    if (node.dataset.sure === undefined) {
      node.dataset.sure = "";
      node.textContent = t("comments.sure");
      setTimeout(() => { if (node.isConnected) { delete node.dataset.sure; node.textContent = t("comments.remove"); } }, 4000);
      return;
    }
    await this.post(one.point.id, `/${one.id}/remove`, new URLSearchParams({ csrf: this.form?.elements.csrf.value ?? this.host.dataset.csrf }));
    await this.load();
    this.opener?.focus();
  }

  /** Bring a comment of the list to sight. */
  show(id) {
    const item = this.list.querySelector(`[data-comment="${id}"]`);
    item?.focus();
    item?.scrollIntoView({ block: "nearest" });
  }
}
