// Passkeys: asks the page what to sign, lets the browser ask its person, and sends the form with the answer.
"use strict";

const able = window.isSecureContext && typeof window.PublicKeyCredential === "function";
const FORMS = "form[data-passkey]";
const SAID = {
  NotAllowedError: "That was cancelled, or took too long. Try again.",
  InvalidStateError: "This device has a passkey for you already.",
  SecurityError: "This browser keeps no passkeys for this address.",
  NotSupportedError: "This device cannot keep such a passkey.",
};
let offered = null;

function bytes(text) {
  return Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
}

function text(buffer) {
  if (!buffer) return undefined;
  const said = btoa(Array.from(new Uint8Array(buffer), (b) => String.fromCharCode(b)).join(""));
  return said.replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

function known(list) {
  return (list || []).map((one) => ({ ...one, id: bytes(one.id) }));
}

function read(options) {
  const read = { ...options, challenge: bytes(options.challenge) };
  if (options.user) read.user = { ...options.user, id: bytes(options.user.id) };
  if (options.excludeCredentials) read.excludeCredentials = known(options.excludeCredentials);
  if (options.allowCredentials) read.allowCredentials = known(options.allowCredentials);
  return read;
}

function written(made) {
  const said = made.response;
  const response = { clientDataJSON: text(said.clientDataJSON) };
  if (said.attestationObject) {
    response.attestationObject = text(said.attestationObject);
    response.transports = said.getTransports ? said.getTransports() : [];
  } else {
    response.authenticatorData = text(said.authenticatorData);
    response.signature = text(said.signature);
    response.userHandle = text(said.userHandle);
  }
  return JSON.stringify({ id: made.id, rawId: text(made.rawId), type: made.type, response });
}

function say(form, problem) {
  const said = form.querySelector("p.wrong[hidden], p.wrong[data-said]") || form.appendChild(document.createElement("p"));
  said.className = "wrong";
  said.setAttribute("role", "alert");
  said.dataset.said = "yes";
  said.hidden = !problem;
  said.textContent = problem || "";
}

function button(form) {
  return form.querySelector("button.button");
}

async function asked(form) {
  const fields = new URLSearchParams(new FormData(form));
  fields.delete("credential");
  const answer = await fetch(form.dataset.options, { method: "POST", body: fields, credentials: "same-origin" });
  const is_json = (answer.headers.get("content-type") || "").startsWith("application/json");
  if (answer.ok && is_json) return read(await answer.json());
  if (answer.status === 401) throw new Error("You are signed out. Sign in, and open this page again.");
  throw new Error(is_json ? (await answer.json()).problem : "The page did not answer. Open it again.");
}

async function sign(form) {
  const pressed = button(form);
  pressed.disabled = true;
  pressed.setAttribute("aria-busy", "true");
  say(form, "");
  if (offered) offered.abort();
  try {
    const publicKey = await asked(form);
    const made = await navigator.credentials[form.dataset.passkey]({ publicKey });
    form.elements.credential.value = written(made);
    HTMLFormElement.prototype.submit.call(form);
  } catch (problem) {
    say(form, problem.name === "Error" ? problem.message : SAID[problem.name] || "That did not work. Try again.");
    pressed.disabled = false;
    pressed.removeAttribute("aria-busy");
  }
}

function submitted(event) {
  const form = event.target;
  if (!form.matches(FORMS)) return;
  const wanted = form.dataset.if ? form.elements[form.dataset.if].checked : true;
  if (!wanted) return;
  event.preventDefault();
  sign(form);
}

// Where a person types their address, the browser offers the passkeys it has, if it can.
async function offer(form) {
  const field = document.querySelector("input[autocomplete~='webauthn']");
  const can = PublicKeyCredential.isConditionalMediationAvailable;
  if (!field || !can || !(await can.call(PublicKeyCredential))) return;
  offered = new AbortController();
  try {
    const publicKey = await asked(form);
    const made = await navigator.credentials.get({ publicKey, mediation: "conditional", signal: offered.signal });
    form.elements.credential.value = written(made);
    HTMLFormElement.prototype.submit.call(form);
  } catch {
    // not taken: the button stays
  }
}

function ready() {
  for (const form of document.querySelectorAll(FORMS)) {
    const pressed = button(form);
    pressed.removeAttribute("aria-busy");
    form.elements.credential.value = "";
    if (able) pressed.disabled = "off" in pressed.dataset;
    else if (!form.dataset.if) say(form, "This browser cannot use passkeys at this address.");
  }
}

ready();
document.addEventListener("submit", submitted);
window.addEventListener("pageshow", ready);
for (const form of able ? document.querySelectorAll(`${FORMS}[data-offer]`) : []) offer(form);
