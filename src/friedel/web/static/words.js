// Numbers and times as people read them.
const WHOLE = new Intl.NumberFormat("en-GB");
const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });

export const at = (name) => document.getElementById(name);
export const count = (value) => WHOLE.format(value);
export const clock = (seconds) => CLOCK.format(new Date(1000 * seconds));
export const percent = (share) => `${(100 * share).toFixed(share > 0 && share < 0.0995 ? 1 : 0)} %`;

export function duration(seconds) {
  if (seconds < 1e-3) return seconds > 0 ? "< 1 ms" : "–";
  if (seconds < 1) return `${(1000 * seconds).toFixed(seconds < 0.01 ? 1 : 0)} ms`;
  return seconds < 100 ? `${seconds.toFixed(1)} s` : `${Math.round(seconds / 60)} min`;
}
