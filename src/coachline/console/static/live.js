// Regions of a page that keep up with the feed.
//
// <div id="…" data-part="/console/…/list" data-on="message.received reply.*"
//      data-of="ids"> … </div>
//
// When the feed tells of something in `data-on` (of one of the conversations or learners in
// `data-of`, if it is there), the region is fetched again from `data-part`: HTML that the server
// has made. What somebody types in a field with an id stays.

const LOST_MS = 2_500;
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 10_000;
// The server says something at least every 20 seconds; what is silent for longer is dead, though the
// browser may not know for minutes.
const SILENT_MS = 45_000;
const AGAIN_MS = 3_000;

const states = new WeakMap();
let source = null;
let position = null;
let lostTimer = 0;
let silentTimer = 0;
let openTimer = 0;

const regions = () => [...document.querySelectorAll("[data-part]")];

function concerns(region, news) {
  const isWanted = (region.dataset.on ?? "").split(" ").some((wanted) =>
    wanted.endsWith("*") ? news.type.startsWith(wanted.slice(0, -1)) : wanted === news.type,
  );
  const of = region.dataset.of?.split(" ");
  return isWanted && (!of || of.includes(news.conversation_id) || of.includes(news.learner_id));
}

/** Fetch a region again; calls that come meanwhile are joined into one more. */
export async function refresh(region) {
  const state = states.get(region) ?? { isBusy: false, isStale: false };
  states.set(region, state);
  state.isStale = true;
  if (state.isBusy) return;
  state.isBusy = true;
  while (state.isStale) {
    state.isStale = false;
    await fetchInto(region);
  }
  state.isBusy = false;
}

async function fetchInto(region) {
  let answer;
  try {
    answer = await fetch(region.dataset.part, { headers: { "x-part": "region" } });
  } catch {
    again(region);
    return;
  }
  if (answer.status === 401) location.reload();
  else if (answer.ok) replace(region, await answer.text());
  else if (answer.status >= 500) again(region);
}

/** What was told once is not told again by the stream: fetch until it is there. */
function again(region) {
  setTimeout(() => region.isConnected && refresh(region), AGAIN_MS);
}

/** Put new HTML in, without taking the reader's place or focus away. */
function replace(region, html) {
  const typed = [...region.querySelectorAll("textarea[id], input[id], select[id]")]
    .filter((one) => one.value !== one.defaultValue)
    .map((one) => [one.id, one.value, one.selectionStart, one.selectionEnd]);
  const opened = [...region.querySelectorAll("details[open][id]")].map((one) => one.id);
  const focused = region.contains(document.activeElement) ? document.activeElement : null;
  const template = document.createElement("template");
  template.innerHTML = html;
  region.replaceChildren(template.content);
  for (const [id, value, start, end] of typed) {
    const one = region.querySelector(`#${CSS.escape(id)}`);
    if (!one) continue;
    one.value = value;
    if (start !== null && start !== undefined) one.setSelectionRange(start, end);
  }
  for (const id of opened) region.querySelector(`#${CSS.escape(id)}`)?.setAttribute("open", "");
  if (focused?.id) document.getElementById(focused.id)?.focus({ preventScroll: true });
  else if (focused?.href) region.querySelector(`a[href="${CSS.escape(focused.getAttribute("href"))}"]`)?.focus({ preventScroll: true });
  region.dispatchEvent(new CustomEvent("refreshed", { bubbles: true }));
}

function showLost(isLost) {
  const banner = document.getElementById("lost");
  if (isLost) {
    // Counted from the first failure: those of later tries must not put it off.
    lostTimer ||= setTimeout(() => (banner.hidden = false), LOST_MS);
    return;
  }
  clearTimeout(lostTimer);
  lostTimer = 0;
  banner.hidden = true;
}

function lose(wait) {
  showLost(true);
  close();
  openTimer = setTimeout(() => open(Math.min(wait * 2, LONGEST_WAIT_MS)), wait);
}

function close() {
  source?.close();
  clearTimeout(openTimer);
  clearTimeout(silentTimer);
}

function listenForSilence() {
  clearTimeout(silentTimer);
  silentTimer = setTimeout(() => lose(FIRST_WAIT_MS), SILENT_MS);
}

function hear(message) {
  const news = JSON.parse(message.data);
  position = news.position;
  for (const region of regions()) if (concerns(region, news)) refresh(region);
  document.dispatchEvent(new CustomEvent("news", { detail: news }));
}

function open(wait) {
  close();
  const after = position === null ? "" : `?after=${position}`;
  source = new EventSource(`/console/live${after}`);
  source.addEventListener("open", () => {
    wait = FIRST_WAIT_MS;
    showLost(false);
  });
  for (const name of ["open", "place", "news", "still"]) source.addEventListener(name, listenForSilence);
  source.addEventListener("place", (message) => {
    position ??= JSON.parse(message.data).position;
  });
  source.addEventListener("news", hear);
  source.addEventListener("signed-out", () => location.reload());
  source.addEventListener("error", () => lose(wait));
}

/** Follow the feed as long as this page is open, if anything on it keeps up. */
export function followFeed() {
  if (!regions().length && !document.querySelector("[data-follows]")) return;
  const start = Number(document.querySelector("[data-position]")?.dataset.position);
  if (Number.isFinite(start)) position = start;
  open(FIRST_WAIT_MS);
  addEventListener("pagehide", close);
  addEventListener("offline", () => lose(LONGEST_WAIT_MS));
  addEventListener("online", () => open(FIRST_WAIT_MS));
  addEventListener("pageshow", (event) => event.persisted && open(FIRST_WAIT_MS));
}
