// Numbers and times as people read them. Pure functions.

const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat("en-US", { notation: "compact", minimumFractionDigits: 1, maximumFractionDigits: 1 });
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });

/** 1,234 up to a million, 1.2M above: columns stay narrow, and small counts stay exact. */
export function count(value) {
  return Math.abs(value) < 1e6 ? whole.format(value) : short.format(value);
}

/** A rate: two digits that matter when it is small. */
export function rate(value) {
  if (value === 0) return "0";
  if (value < 10) return value.toFixed(2);
  return value < 100 ? value.toFixed(1) : count(value);
}

/** A share of 0 to 1 as a percentage; never "0 %" for something that happened. */
export function percent(share) {
  if (share === 0) return "0 %";
  if (share < 0.001) return "< 0.1 %";
  return `${(share * 100).toFixed(share < 0.1 || share > 0.99 && share < 1 ? 1 : 0)} %`;
}

/** Micro-dollars; sums under a dollar keep their digits. */
export function money(micros) {
  const dollars = micros / 1e6;
  if (dollars === 0) return "$0";
  if (dollars < 0.0001) return "< $0.0001";
  if (dollars < 1) return `$${dollars.toFixed(4)}`;
  return dollars < 10000 ? `$${dollars.toLocaleString("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 })}` : `$${short.format(dollars)}`;
}

/** Milliseconds, or seconds from one second on. */
export function duration(ms) {
  if (ms === 0) return "–";
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(ms < 10000 ? 2 : 1)} s`;
}

/** "5 minutes", from seconds. */
export function span(seconds) {
  const [value, unit] = seconds < 90 ? [seconds, "second"] : seconds < 5400 ? [seconds / 60, "minute"] : [seconds / 3600, "hour"];
  const rounded = Math.round(value);
  return `${rounded} ${unit}${rounded === 1 ? "" : "s"}`;
}

/** The local time of day, from Unix seconds. */
export function time(seconds) {
  return clock.format(new Date(seconds * 1000));
}
