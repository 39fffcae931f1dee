/* <time data-local="…"> is written by the server in its own zone and rewritten here in the reader's. */
const language = document.documentElement.lang || undefined;
const FORMATS = {
  time: { hour: "numeric", minute: "2-digit" },
  date: { day: "numeric", month: "long", year: "numeric" },
  "date-time": { day: "numeric", month: "short", year: "numeric", hour: "numeric", minute: "2-digit" },
  "weekday-time": { weekday: "long", hour: "numeric", minute: "2-digit" },
};
const STEPS = [
  ["minute", 60],
  ["hour", 3600],
  ["day", 86400],
];

function relative(date, now = Date.now()) {
  const seconds = (date - now) / 1000;
  if (Math.abs(seconds) > 6 * 86400) return new Intl.DateTimeFormat(language, FORMATS.date).format(date);
  const [unit, size] = STEPS.findLast(([, length]) => Math.abs(seconds) >= length) ?? STEPS[0];
  return new Intl.RelativeTimeFormat(language, { numeric: "auto" }).format(Math.round(seconds / size), unit);
}

export function formatTime(date, style) {
  if (style === "relative") return relative(date);
  return new Intl.DateTimeFormat(language, FORMATS[style] ?? FORMATS["date-time"]).format(date);
}

export function showLocalTimes(root) {
  const within = root.querySelectorAll ? root : document;
  for (const element of within.querySelectorAll("time[data-local]")) {
    const date = new Date(element.dateTime);
    if (Number.isNaN(date.valueOf())) continue;
    element.textContent = formatTime(date, element.dataset.local);
    element.title = formatTime(date, "date-time");
  }
}
