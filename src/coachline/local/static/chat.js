import { render } from "/demo/static/markdown.js";
import { keepStream } from "/demo/static/stream.js";

const LONGEST_TEXT = 8_000;
const MOST_KEPT = 200;
const PATIENCE_MS = 12_000;
// Longer than an answer takes: one that has not come by now may wait for a person.
const LONG_WAIT_MS = 90_000;
const NEAR_END_PX = 120;
const STORE = "coachline-demo";

const at = (id) => document.getElementById(id);
const [form, field, sendButton, list, scroller] = ["form", "text", "send", "messages", "scroll"].map(at);

// Session and transcript live in this tab only. `entries` are, oldest first:
// mine {who, id, text, eventId, state: sending|sent|failed, isAnswered, problem} and
// Robin's {who: "coach", id, text, citations}.
let chat = load();
let draft = null;
let listening = null;
const notices = { connection: "", field: "" };
let timers = [];

function token() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function load() {
  try {
    const kept = JSON.parse(sessionStorage.getItem(STORE));
    if (kept?.session && Array.isArray(kept.entries)) {
      // A message that was on its way when the page was left may or may not have arrived.
      for (const entry of kept.entries) if (entry.state === "sending") entry.state = "failed";
      return kept;
    }
  } catch {
    // Unreadable: begin anew.
  }
  return { session: token(), entries: [] };
}

function keep() {
  chat.entries = chat.entries.slice(-MOST_KEPT);
  try {
    sessionStorage.setItem(STORE, JSON.stringify(chat));
  } catch {
    // Full or forbidden: the chat works, it only does not survive a reload.
  }
}

const waiting = () =>
  chat.entries.filter((entry) => entry.who === "mine" && entry.state !== "failed" && !entry.isAnswered);

// What is shown ---------------------------------------------------------------------------------

function make(name, className, ...children) {
  const made = document.createElement(name);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

function button(label, onClick) {
  const made = make("button", "", label);
  made.type = "button";
  made.addEventListener("click", onClick);
  return made;
}

function showMine(entry) {
  const shown = make("li", "message mine", make("div", "bubble", entry.text));
  if (entry.state === "failed") {
    shown.classList.add("failed");
    const meta = make("p", "meta", entry.problem ?? "Not sent.");
    if (!entry.isHopeless) meta.append(button("Try again", () => submit(entry)));
    shown.append(meta);
  } else if (entry.eventId) {
    const command = `coachline why ${entry.eventId}`;
    const copy = button("Copy", () => copyText(command, copy));
    copy.setAttribute("aria-label", `Copy the command that explains this message`);
    shown.append(make("p", "meta", make("code", "", command), copy));
  }
  return shown;
}

function showCoach(entry) {
  const shown = make("li", "message coach", make("div", "bubble", render(entry.text)));
  if (entry.citations?.length) {
    const sources = entry.citations.map((one) =>
      make(
        "li",
        "",
        make("b", "", `[${one.number}]`),
        make("span", "", one.title),
        make("small", "", one.source),
      ),
    );
    const shelf = make("ul", "sources", ...sources);
    shelf.setAttribute("aria-label", "Sources");
    shown.append(shelf);
  }
  return shown;
}

function show(entry) {
  const shown = entry.who === "mine" ? showMine(entry) : showCoach(entry);
  shown.dataset.id = entry.id;
  const old = list.querySelector(`[data-id="${CSS.escape(entry.id)}"]`);
  if (old) old.replaceWith(shown);
  else list.append(shown);
}

function showDraft(found) {
  draft ??= list.appendChild(make("li", "message coach writing", make("div", "bubble")));
  // A second bubble would jump ahead of a message that was written meanwhile.
  list.append(draft);
  draft.firstElementChild.replaceChildren(render(found.text));
  endWait();
}

function endDraft() {
  draft?.remove();
  draft = null;
}

/** Dots while an answer is being written; words once nobody here knows that it still is. */
function beginWait() {
  const showLong = () => {
    endDraft();
    at("dots").hidden = at("patience").hidden = true;
    at("long-wait").hidden = false;
  };
  timers = [
    setTimeout(() => change(() => (at("patience").hidden = false)), PATIENCE_MS),
    setTimeout(() => change(showLong), LONG_WAIT_MS),
  ];
}

function endWait() {
  timers.splice(0).forEach(clearTimeout);
  at("dots").hidden = false;
  at("patience").hidden = at("long-wait").hidden = true;
}

async function copyText(text, from) {
  try {
    await navigator.clipboard.writeText(text);
    from.textContent = "Copied";
  } catch {
    // Without a secure context there is no clipboard: select it, so that Ctrl-C works.
    getSelection().selectAllChildren(from.previousElementSibling);
    from.textContent = "Press Ctrl-C";
  }
  setTimeout(() => (from.textContent = "Copy"), 2_000);
}

function update() {
  const length = [...field.value].length;
  const isTooLong = length > LONGEST_TEXT;
  notices.field = isTooLong
    ? `Your message is too long: ${length.toLocaleString("en")} of ${LONGEST_TEXT.toLocaleString("en")} characters.`
    : "";
  sendButton.disabled = isTooLong || !field.value.trim();
  const notice = notices.field || notices.connection;
  if (at("notice").textContent !== notice) at("notice").textContent = notice;
  at("notice").hidden = !notice;

  const isBusy = waiting().length > 0;
  at("typing").hidden = !isBusy || draft !== null;
  at("welcome").hidden = chat.entries.length > 0;
  at("new-chat").hidden = chat.entries.length === 0;
  if (!isBusy) endWait();
  else if (!timers.length) beginWait();
}

/** Change what is shown; stay at the end of the conversation if that is where the reader is. */
function change(work, { toEnd = false } = {}) {
  const isAtEnd = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < NEAR_END_PX;
  work();
  update();
  if (toEnd || isAtEnd) scroller.scrollTop = scroller.scrollHeight;
}

// What is said ----------------------------------------------------------------------------------

async function submit(entry) {
  entry.state = "sending";
  change(() => show(entry), { toEnd: true });
  const problem = await post(entry);
  entry.state = problem ? "failed" : "sent";
  entry.problem = problem;
  keep();
  change(() => show(entry));
  if (!problem) listen();
}

/** Send it; return what went wrong, in plain words, or nothing. */
async function post(entry) {
  let response;
  try {
    response = await fetch("/demo/messages", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ session: chat.session, text: entry.text, id: entry.id }),
    });
  } catch {
    return "Not sent: the server does not answer. Is `coachline up` still running?";
  }
  const answer = await response.json().catch(() => ({}));
  if (response.ok) {
    entry.eventId = answer.event_id ?? entry.eventId;
    return undefined;
  }
  entry.isHopeless = [400, 413, 422].includes(response.status);
  return `Not sent: ${answer.detail ?? `the server answered ${response.status}.`}`;
}

async function listen() {
  if (listening) return;
  listening = new AbortController();
  await keepStream(`/demo/stream?session=${chat.session}`, {
    signal: listening.signal,
    onEvent: (name, data) => change(() => take(name, data)),
    onState: (isThere) => {
      notices.connection = isThere ? "" : "No connection to the server. Trying again…";
      change(() => {});
    },
  });
}

function take(name, data) {
  if (name === "draft") {
    if (waiting().length) showDraft(data);
    return;
  }
  // After a reconnect the server shows its last replies again.
  if (chat.entries.some((entry) => entry.who === "coach" && entry.id === data.id)) return;
  endDraft();
  if (data.part === data.parts) {
    for (const entry of chat.entries) if (data.in_reply_to.includes(entry.id)) entry.isAnswered = true;
  }
  const entry = { who: "coach", id: data.id, text: data.text, citations: data.citations };
  chat.entries.push(entry);
  show(entry);
  at("spoken").textContent = `Robin: ${data.text}`;
  keep();
}

function say(text) {
  const entry = { who: "mine", id: token(), text, state: "sending" };
  chat.entries.push(entry);
  keep();
  // What is said now is waited for anew, whatever became of the message before.
  endWait();
  submit(entry);
}

function trySend() {
  const text = field.value.trim();
  if (!text || [...text].length > LONGEST_TEXT) return;
  field.value = "";
  fit();
  say(text);
}

function fit() {
  if (CSS.supports("field-sizing", "content")) return;
  field.style.height = "auto";
  field.style.height = `${Math.min(field.scrollHeight, 160)}px`;
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  trySend();
});
field.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  trySend();
});
field.addEventListener("input", () => change(fit));
at("welcome").addEventListener("click", (event) => {
  const chosen = event.target.closest("button");
  if (!chosen) return;
  say(chosen.textContent);
  field.focus();
});
at("new-chat").addEventListener("click", () => {
  chat = { session: token(), entries: [] };
  listening?.abort();
  listening = null;
  notices.connection = "";
  endDraft();
  keep();
  list.replaceChildren();
  update();
  field.focus();
});

change(() => chat.entries.forEach(show), { toEnd: true });
if (chat.entries.some((entry) => entry.eventId)) listen();
