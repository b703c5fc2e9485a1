// Short messages at the edge of the page, which go by themselves.

const STAY_MS = 6_000;

const fade = (shown) => setTimeout(() => shown.remove(), STAY_MS);

/** Show `text`; `isBad` for what went wrong. */
export function toast(text, { isBad = false } = {}) {
  if (!text) return;
  const shown = document.createElement("p");
  shown.className = isBad ? "toast toast-bad" : "toast";
  shown.textContent = text;
  document.getElementById("toasts").append(shown);
  fade(shown);
}

/** Let those go that came with the page. */
export function fadeToasts() {
  document.querySelectorAll("#toasts > *").forEach(fade);
}
