// The site's local time. The server sends the site's UTC offsets, so that the browser's own
// time zone, and what the browser knows of zones, never matter.
import { locale, t } from "./words.js";

const MIN = 60_000;
const HOUR = 60 * MIN;
const DAY = 24 * HOUR;

const formats = new Map();
function format(options) {
  const key = JSON.stringify(options);
  if (!formats.has(key)) {
    formats.set(key, new Intl.DateTimeFormat(locale, { ...options, timeZone: "UTC" }));
  }
  return formats.get(key);
}
const CLOCK = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };

/** Format a local date "2026-11-09" without any time zone coming in between. */
export function dateText(iso, options) {
  return format(options).format(Date.parse(`${iso}T00:00:00Z`));
}

export class SiteTime {
  /** @param offsets [[from_ms, offset_min], ...], ascending, as the server sends them */
  constructor(offsets) {
    this.offsets = offsets.length ? offsets : [[0, 0]];
  }

  offset(ms) {
    let found = this.offsets[0][1];
    for (const [from, minutes] of this.offsets) if (ms >= from) found = minutes;
    return found;
  }

  /** The local clock as if it were UTC [ms], to be read with UTC functions. */
  local(ms) { return ms + this.offset(ms) * MIN; }

  instant(local) {
    const guess = local - this.offset(local - this.offsets[0][1] * MIN) * MIN;
    return local - this.offset(guess) * MIN;
  }

  iso(ms) { return new Date(this.local(ms)).toISOString().slice(0, 10); }

  /** "09:15", and with the offset where the clock changes within what is shown. */
  clock(ms, seconds = false) {
    const text = format(seconds ? { ...CLOCK, second: "2-digit" } : CLOCK).format(this.local(ms));
    return this.offsets.length > 1 ? `${text} ${this.zoneText(ms)}` : text;
  }

  bareClock(ms) { return format(CLOCK).format(this.local(ms)); }

  zoneText(ms) {
    const minutes = this.offset(ms);
    const sign = minutes < 0 ? "−" : "+";
    const hours = Math.floor(Math.abs(minutes) / 60);
    const rest = Math.abs(minutes) % 60;
    return `UTC${sign}${hours}${rest ? `:${String(rest).padStart(2, "0")}` : ""}`;
  }

  day(ms, year = false) {
    const options = { weekday: "short", day: "numeric", month: "short" };
    const text = format(year ? { ...options, year: "numeric" } : options).format(this.local(ms));
    return text.replace(/^(\p{L}+), /u, "$1 "); // "Mon 9 Nov", as the server writes it
  }

  /** "Nov", or "Nov 2026". */
  month(ms, year = false) { return format(year ? { month: "short", year: "numeric" } : { month: "short" }).format(this.local(ms)); }

  /** "9 Nov". */
  short(ms) { return format({ day: "numeric", month: "short" }).format(this.local(ms)); }

  stamp(ms) { return `${this.day(ms, true)}, ${this.clock(ms)}`; }

  /** When a bucket of a series begins: from a day on its clock says nothing. */
  begin(start, duration, year = true) {
    return duration > 22 * HOUR ? this.day(start, year) : `${this.day(start, year)}, ${this.clock(start)}`;
  }

  /** What a bucket is called: "09:15–09:30", "Mon 9 Nov", "November 2026". */
  bucket(start, duration) {
    if (duration > 27 * DAY) return format({ month: "long", year: "numeric" }).format(this.local(start));
    if (duration > 25 * HOUR) return `${this.day(start)} – ${this.day(start + duration - 1)}`;
    if (duration > 22 * HOUR) return this.day(start, true);
    const seconds = duration % MIN !== 0;
    return `${this.day(start)}, ${this.clock(start, seconds)} – ${this.clock(start + duration, seconds)}`;
  }

  /** Where the clock changes: [{at, text}]. */
  changes(from, to) {
    return this.offsets.slice(1).filter(([at]) => at > from && at < to).map(([at, minutes]) => {
      const forward = minutes > this.offset(at - 1);
      const skipped = format(CLOCK).format(at + this.offset(at - 1) * MIN);
      return { at, text: t(forward ? "chart.clock_forward" : "chart.clock_back", {
        hour: forward ? skipped : this.bareClock(at) }) };
    });
  }

  /**
   * Ticks for an axis of `width` pixels: [{at, text, strong}]. They stand on the local clock, so
   * the autumn's doubled hour has two ticks of one name, and the spring's missing hour none.
   */
  ticks(from, to, width) {
    const span = to - from;
    const room = Math.max(2, Math.floor(width / 64));
    if (span <= 8 * DAY) {
      const step = [1, 2, 3, 6, 12, 24].find((hours) => span / (hours * HOUR) <= room) ?? 24;
      const single = span <= 1.2 * DAY;
      const found = [];
      for (let at = from; at <= to; at += 30 * MIN) {
        const local = this.local(at);
        // Around a change of the clock each hour is named: one is there twice, or not at all.
        const near = single && step > 1 && step <= 3 && local % HOUR === 0
          && this.offsets.slice(1).some(([change]) => at >= change - HOUR && at <= change + HOUR);
        if (local % (step * HOUR) !== 0 && !near) continue;
        const midnight = local % DAY === 0;
        if (midnight && !single) found.push({ at, text: this.day(at), strong: true });
        else found.push({ at, text: this.bareClock(at), strong: midnight });
      }
      return found;
    }
    const monthly = span > 70 * DAY;
    const labels = Math.max(2, Math.floor(width / (monthly ? 64 : 50)));
    const found = [];
    const first = new Date(this.local(from));
    const step = monthly
      ? [1, 2, 3, 6, 12].find((months) => span / (months * 30 * DAY) <= labels) ?? 12
      : [1, 2, 7, 14].find((days) => span / (days * DAY) <= labels) ?? 14;
    for (let index = 0; index < 400; index += 1) {
      const local = monthly
        ? Date.UTC(first.getUTCFullYear(), first.getUTCMonth() + index * step, 1)
        : Date.UTC(first.getUTCFullYear(), first.getUTCMonth(), first.getUTCDate() + index * step);
      const at = this.instant(local);
      if (at > to) break;
      if (at < from) continue;
      const january = new Date(local).getUTCMonth() === 0;
      const options = monthly
        ? (january || span > 800 * DAY ? { month: "short", year: "numeric" } : { month: "short" })
        : { day: "numeric", month: "short" };
      found.push({ at, text: format(options).format(local), strong: false });
    }
    return found;
  }
}

/** An age in words: "12 s", "5 min", "2 h", "3 d". */
export function age(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return t("age.seconds", { n: seconds });
  if (seconds < 3600) return t("age.minutes", { n: Math.floor(seconds / 60) });
  if (seconds < 2 * 86_400) return t("age.hours", { n: Math.floor(seconds / 3600) });
  return t("age.days", { n: Math.floor(seconds / 86_400) });
}
