// Buttons with `data-copies` take the text beside them along.

import { toast } from "/console/static/toasts.js";

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copies]");
  if (!button) return;
  const text = button.parentElement.querySelector("[data-copy-text]").textContent;
  try {
    await navigator.clipboard.writeText(text);
    toast("Copied.");
  } catch {
    // Without https browsers offer no clipboard: the text is selected instead.
    const range = document.createRange();
    range.selectNodeContents(button.parentElement.querySelector("[data-copy-text]"));
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    toast("Selected: copy it with your keyboard.");
  }
});
