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
  (event.submitter || form.querySelector("button")).setAttribute("aria-busy", "true");
}

function again() {
  for (const form of document.querySelectorAll("form[data-sent]")) {
    delete form.dataset.sent;
    for (const button of form.querySelectorAll("[aria-busy]")) button.removeAttribute("aria-busy");
  }
}

function opened(event) {
  if (event.target.matches("details.reject") && event.target.open) event.target.querySelector("textarea, input:not([type='hidden'])")?.focus();
}

function say(text) {
  const live = document.getElementById("live");
  if (live) live.textContent = text;
}

// Filters: empty fields stay out of the address.
function filtered(event) {
  if (!event.target.matches("form[data-filter]")) return;
  for (const field of event.target.elements) field.disabled = field.name !== "" && field.value === "";
}

// The queue: replaced by what it is now, with the focus where it was.
function drafts() {
  return new Set([...document.querySelectorAll("#queue-list [data-draft]")].map((row) => row.dataset.draft));
}

async function refreshQueue() {
  const answer = await fetch(location.href, { headers: { accept: "text/html" } });
  if (!answer.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  const before = drafts();
  const focused = document.activeElement && document.activeElement.id;
  for (const id of ["queue-head", "queue-list", "filters"]) {
    const now = document.getElementById(id);
    const next = fresh.getElementById(id);
    if (id === "filters" && now && (now.querySelector("details").open || now.contains(document.activeElement))) continue;
    if (now && next && !now.isEqualNode(next)) now.replaceWith(document.adoptNode(next));
  }
  if (!document.getElementById("filters") && fresh.getElementById("filters")) {
    document.getElementById("queue-list").before(document.adoptNode(fresh.getElementById("filters")));
  }
  document.title = fresh.title;
  tick();
  const after = drafts();
  if (focused && document.activeElement === document.body) {
    const again = document.getElementById(focused) || document.querySelector("#queue-list a") || document.getElementById("main");
    again.focus({ preventScroll: true });
  }
  const came = [...after].filter((draft) => !before.has(draft)).length;
  const went = [...before].filter((draft) => !after.has(draft)).length;
  for (const draft of after) {
    if (!before.has(draft)) document.querySelector(`#queue-list [data-draft="${draft}"]`).classList.add("new");
  }
  const parts = [];
  if (came) parts.push(`${came} new`);
  if (went) parts.push(`${went} gone`);
  if (parts.length) say(`The list has changed: ${parts.join(", ")}.`);
}

// An open draft or its form: told when it is not what waits any more.
const MEANWHILE = {
  approved: "approved", rejected: "rejected", discarded: "withdrawn", expired: "expired",
  stale: "found to have changed", superseded: "replaced by a newer draft", failed: "given up after crashes",
};

async function movedSince(place) {
  const answer = await fetch(`/drafts/${place.dataset.draft}/standing`);
  if (!answer.ok) return null;
  const now = await answer.json();
  if (now.state === "pending" && String(now.version) === place.dataset.version) return null;
  const how = now.state === "pending" ? "edited" : MEANWHILE[now.state] || now.state;
  const by = now.by && now.state !== "pending" ? ` by ${now.by}` : "";
  return { key: `${now.state}${now.version}`, said: `${how} meanwhile${by}` };
}

// A group: each e-mail that moved is marked; the others can still be approved.
async function lookAtGroup(letters) {
  for (const letter of letters) {
    const now = await movedSince(letter);
    if (!now || letter.dataset.moved === now.key) continue;
    letter.dataset.moved = now.key;
    let chip = letter.querySelector("h2 .chip.moved");
    if (!chip) {
      chip = document.createElement("span");
      chip.className = "chip warn moved";
      letter.querySelector("h2").append(" ", chip);
    }
    chip.textContent = now.said;
  }
  const banner = document.getElementById("moved");
  const all = [...document.querySelectorAll("section.letter[data-draft]")];
  const moved = all.filter((letter) => letter.dataset.moved);
  if (!banner || !moved.length || banner.dataset.moved === moved.map((letter) => letter.dataset.moved).join()) return;
  banner.dataset.moved = moved.map((letter) => letter.dataset.moved).join();
  const link = document.createElement("a");
  link.href = location.href;
  link.textContent = "See them as they are now";
  const strong = document.createElement("strong");
  strong.textContent = `${moved.map((letter) => letter.dataset.draft).join(", ")} ${moved.length > 1 ? "have" : "has"} changed meanwhile.`;
  const rest = moved.length < all.length ? " Only those without a mark can still be approved together. " : " ";
  banner.replaceChildren(strong, rest, link);
  banner.hidden = false;
  if (moved.length === all.length) for (const button of document.querySelectorAll("#together button")) button.disabled = true;
}

async function lookAgain(place) {
  const draft = place.dataset.draft;
  const now = await movedSince(place);
  if (!now) return;
  const said = `This was ${now.said}.`;
  if (place.matches("form")) {
    say(`${said} What you typed is kept.`);
    let note = document.getElementById("meanwhile");
    if (!note) {
      note = document.createElement("div");
      note.id = "meanwhile";
      note.className = "banner warn";
      place.before(note);
    }
    note.textContent = `${said} What you typed is kept here.`;
    return;
  }
  const banner = document.getElementById("moved");
  if (!banner || place.dataset.moved === now.key) return;
  place.dataset.moved = now.key;
  const link = document.createElement("a");
  link.href = `/drafts/${draft}`;
  link.textContent = "See it as it is now";
  const strong = document.createElement("strong");
  strong.textContent = said;
  banner.replaceChildren(strong, " ", link);
  banner.hidden = false;
  for (const button of document.querySelectorAll(".decide button, .decide textarea")) button.disabled = true;
  for (const more of document.querySelectorAll(".decide a.button, .decide details")) more.remove();
}

function listen() {
  const list = document.querySelector('[data-live="queue"]');
  const place = document.querySelector('[data-live="draft"][data-state="pending"], form.editing[data-draft]');
  const letters = [...document.querySelectorAll("section.letter[data-draft]")];
  if (!(list || place || letters.length) || !window.EventSource) return;
  let source = null;
  let busy = false;
  let more = false;
  let due = new Set();
  async function look() {
    if (list) return refreshQueue();
    if (place) return lookAgain(place);
    const now = letters.filter((letter) => due.has(letter));
    due = new Set();
    return lookAtGroup(now);
  }
  async function heard(event) {
    const named = (one) => event.data === "all" || event.data.split(" ").includes(one.dataset.draft);
    if (!list && !(place ? [place] : letters).some(named)) return;
    for (const letter of letters.filter(named)) due.add(letter);
    if (busy) {
      more = true;
      return;
    }
    busy = true;
    try {
      do {
        more = false;
        await look();
      } while (more);
    } catch {
      // the next event tries again
    } finally {
      busy = false;
    }
  }
  function follow() {
    if (document.hidden) {
      if (source) source.close();
      source = null;
    } else if (!source) {
      source = new EventSource("/news");
      source.addEventListener("drafts", heard);
    }
  }
  follow();
  document.addEventListener("visibilitychange", follow);
  window.addEventListener("pagehide", () => source && source.close());
  window.addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    source = null;
    follow();
  });
}

// Rows of a form: one more without a round trip, one less at once.
function rows(event) {
  const more = event.target.closest("button.more");
  if (!more) return;
  const group = more.closest("[data-rows]");
  const all = group.querySelectorAll("[data-row]");
  if (!all.length) return;
  event.preventDefault();
  const last = all[all.length - 1];
  const row = last.cloneNode(true);
  const name = group.dataset.rows;
  const number = all.length;
  const moved = (text) => text.replace(new RegExp(`^((?:a\\.)?${name}\\.)\\d+`), `$1${number}`);
  for (const part of row.querySelectorAll("[id], [name], [for]")) {
    for (const attribute of ["id", "name", "for"]) {
      if (part.hasAttribute(attribute)) part.setAttribute(attribute, moved(part.getAttribute(attribute)));
    }
  }
  for (const field of row.querySelectorAll("input, select, textarea")) {
    if (field.type === "checkbox") field.checked = false;
    else field.value = "";
    field.removeAttribute("aria-invalid");
    field.removeAttribute("aria-describedby");
  }
  for (const note of row.querySelectorAll(".hint.named, .hint.hides, .wrong")) note.remove();
  for (const said of row.querySelectorAll(".sr")) said.textContent = said.textContent.replace(/\d+/, number + 1);
  last.after(row);
  row.querySelector("input, select, textarea").focus();
}

tick();
setInterval(tick, 20000);
listen();
document.addEventListener("submit", once);
document.addEventListener("submit", filtered);
document.addEventListener("click", rows);
document.addEventListener("toggle", opened, true);
window.addEventListener("pageshow", again);
