// The keyboard. Plain letters do nothing while somebody types, or while a dialog is open.
//
// A list with `data-rows` is walked with j and k: its rows are the elements with `data-row`, each
// with a link that Enter follows. `data-key="x"` on a link, button or field presses or focuses it.

const GO = { i: "/console/inbox" };
const GO_MS = 1_200;
let isGoing = 0;

const isTyping = (target) => target.closest("input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]");

function walk(step) {
  const rows = [...document.querySelectorAll("[data-rows] [data-row]")].filter((row) => row.offsetParent);
  if (!rows.length) return false;
  const at = rows.findIndex((row) => row.contains(document.activeElement));
  const next = rows[at < 0 ? (step > 0 ? 0 : rows.length - 1) : Math.min(Math.max(at + step, 0), rows.length - 1)];
  const link = next.matches("a, button") ? next : next.querySelector("a, button");
  link.focus();
  link.scrollIntoView({ block: "nearest" });
  return true;
}

function press(key) {
  const found = document.querySelector(`[data-key="${CSS.escape(key)}"]`);
  if (!found || found.offsetParent === null) return false;
  if (found.matches("input, textarea, select")) {
    found.focus();
    found.select?.();
  } else found.click();
  return true;
}

function go(key) {
  isGoing = 0;
  if (!GO[key]) return false;
  location.assign(GO[key]);
  return true;
}

function take(event) {
  const { key } = event;
  if (isGoing && Date.now() - isGoing < GO_MS) return go(key);
  if (key === "g") {
    isGoing = Date.now();
    return true;
  }
  if (key === "j" || key === "k") return walk(key === "j" ? 1 : -1);
  if (key === "?") {
    document.getElementById("help")?.showModal();
    return true;
  }
  return press(key);
}

export function listenForKeys() {
  document.addEventListener("keydown", (event) => {
    if (event.isComposing || event.altKey || document.querySelector("dialog[open]")) return;
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.target.form?.requestSubmit();
      return;
    }
    if (event.ctrlKey || event.metaKey) return;
    if (isTyping(event.target)) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    if (take(event)) event.preventDefault();
  });
}
