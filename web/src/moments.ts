/** Says when something was and how long it took, in the reader's language. Pure; widget and demo share it. */

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

export function durationText(milliseconds: number, locale: string): string {
  // A run of microseconds is told as one millisecond: zero would read as if nothing had been done.
  milliseconds = Math.max(milliseconds, 1);
  const [value, unit] =
    milliseconds < 1000
      ? ([Math.round(milliseconds), "millisecond"] as const)
      : milliseconds < 100_000
        ? ([milliseconds / 1000, "second"] as const)
        : ([milliseconds / MINUTE, "minute"] as const);
  const format = new Intl.NumberFormat(locale, { style: "unit", unit, unitDisplay: "short", maximumFractionDigits: 1 });
  // A unit alone on the next line is no duration any more.
  return format.format(value).replaceAll(" ", "\u00a0");
}

export function momentText(timestamp: string, locale: string): string {
  const at = new Date(timestamp);
  if (Number.isNaN(at.getTime())) return timestamp;
  return new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "short" }).format(at);
}

/** "5 minutes ago" within a day, then the date; the full moment belongs into a title. */
export function whenText(timestamp: string, now: number, locale: string, justNow: string): string {
  const at = Date.parse(timestamp);
  if (Number.isNaN(at)) return timestamp;
  const age = now - at;
  if (age < MINUTE) return justNow;
  const relative = new Intl.RelativeTimeFormat(locale, { numeric: "auto" });
  if (age < HOUR) return relative.format(-Math.round(age / MINUTE), "minute");
  if (age < DAY) return relative.format(-Math.round(age / HOUR), "hour");
  return momentText(timestamp, locale);
}
