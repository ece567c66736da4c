// Moments, as long ago as they are now; and how long what runs has been running.
const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto", style: "narrow" });
const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60]];

function words(element) {
  const at = Date.parse(element.dateTime);
  if (Number.isNaN(at)) return null;
  const seconds = (at - Date.now()) / 1000;
  if ("since" in element.dataset) {
    const whole = Math.max(Math.round(-seconds), 0);
    return whole < 60 ? `${whole}s` : `${Math.floor(whole / 60)}m${whole % 60}s`;
  }
  for (const [unit, size] of UNITS) if (Math.abs(seconds) >= size) return relative.format(Math.trunc(seconds / size), unit);
  return Math.abs(seconds) < 10 ? "now" : `${Math.round(Math.abs(seconds) / 10) * 10}s${seconds < 0 ? " ago" : ""}`;
}

export function tell(root = document) {
  for (const element of root.querySelectorAll("time[datetime]")) {
    const text = words(element);
    if (text !== null && element.textContent !== text) element.textContent = text;
  }
}

tell();
setInterval(() => tell(), 10_000);
setInterval(() => { for (const element of document.querySelectorAll("time[data-since]")) element.textContent = words(element) ?? ""; }, 1000);
document.addEventListener("htmx:afterSwap", () => tell());
