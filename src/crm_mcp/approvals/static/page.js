// Comfort only: every page works without this file.
"use strict";

function far(iso, now) {
  const seconds = (Date.parse(iso) - now) / 1000;
  const size = Math.abs(seconds);
  if (size < 45) return seconds <= 0 ? "just now" : "in less than a minute";
  const [unit, length] = size < 5400 ? ["minute", 60] : size < 129600 ? ["hour", 3600] : ["day", 86400];
  const count = Math.max(1, Math.round(size / length));
  const said = `${count} ${unit}${count === 1 ? "" : "s"}`;
  return seconds > 0 ? `in ${said}` : `${said} ago`;
}

function tick() {
  for (const time of document.querySelectorAll("time[data-far]")) {
    const said = far(time.dateTime, Date.now());
    if (time.textContent !== said) time.textContent = said;
  }
}

function once(event) {
  const form = event.target;
  if (!form.matches("form[data-once]")) return;
  if (form.dataset.sent) {
    event.preventDefault();
    return;
  }
  form.dataset.sent = "yes";
  form.querySelector("button").setAttribute("aria-busy", "true");
}

function again() {
  for (const form of document.querySelectorAll("form[data-sent]")) {
    delete form.dataset.sent;
    form.querySelector("button").removeAttribute("aria-busy");
  }
}

function opened(event) {
  if (event.target.matches("details.reject") && event.target.open) event.target.querySelector("textarea, input:not([type='hidden'])")?.focus();
}

tick();
setInterval(tick, 20000);
document.addEventListener("submit", once);
document.addEventListener("toggle", opened, true);
window.addEventListener("pageshow", again);
