// Forms with `data-quiet` are sent without leaving the page: what they change comes by the feed, or
// by the regions that they name in `data-refreshes`.

import { refresh } from "/console/static/live.js";
import { toast } from "/console/static/toasts.js";

const csrf = () => document.querySelector("meta[name=csrf]")?.content ?? "";

/** Send a form's data to its address; whether it was taken. */
export async function send(form, submitter) {
  const data = new FormData(form, submitter);
  const isUpload = form.enctype === "multipart/form-data";
  let answer;
  try {
    answer = await fetch(submitter?.hasAttribute("formaction") ? submitter.formAction : form.action, {
      method: "POST",
      headers: { "x-csrf": csrf(), "x-part": "form" },
      body: isUpload ? data : new URLSearchParams(data),
    });
  } catch {
    toast("Not sent: the server does not answer.", { isBad: true });
    return false;
  }
  if (answer.status === 401) {
    location.reload();
    return false;
  }
  if (!answer.ok) {
    const problem = await answer.json().catch(() => ({}));
    toast(problem.detail ?? `The server answered ${answer.status}.`, { isBad: true });
    return false;
  }
  toast(decodeURIComponent(answer.headers.get("x-says") ?? ""));
  return true;
}

/** The form on the page: its region may have been fetched again while it was being sent. */
function inPlace(form) {
  const action = CSS.escape(form.getAttribute("action"));
  return form.isConnected ? form : (document.querySelector(`form[data-quiet][action="${action}"]`) ?? form);
}

/** Empty a form that was sent, unless somebody wrote on meanwhile. */
function empty(form, sent) {
  if ([...new FormData(form)].every(([name, value]) => sent.get(name) === value)) form.reset();
}

async function takeQuietly(form, submitter) {
  const sent = new FormData(form);
  const buttons = form.querySelectorAll("button");
  buttons.forEach((one) => (one.disabled = true));
  const isTaken = await send(form, submitter);
  buttons.forEach((one) => (one.disabled = false));
  if (isTaken) {
    const shown = inPlace(form);
    if (shown.hasAttribute("data-resets")) empty(shown, sent);
    shown.closest("dialog")?.close();
    shown.dispatchEvent(new CustomEvent("taken", { bubbles: true }));
  }
  // Also what was refused: somebody else may have been faster.
  (form.dataset.refreshes ?? "").split(" ").filter(Boolean).forEach((id) => refresh(document.getElementById(id)));
}

async function turnTheme(form, button) {
  document.documentElement.dataset.theme = button.value;
  form.querySelector(`button:not([value=${button.value}])`).focus();
  await send(form, button);
}

export function takeForms() {
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.hasAttribute("data-theme-switch")) {
      event.preventDefault();
      turnTheme(form, event.submitter);
    } else if (form.hasAttribute("data-quiet")) {
      event.preventDefault();
      takeQuietly(form, event.submitter);
    }
  });
}
