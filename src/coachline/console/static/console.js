// What every page of the console does beyond plain links and forms; without it all of them work.

import { listenForKeys } from "/console/static/keys.js";
import { takeForms } from "/console/static/forms.js";
import { openDialogs } from "/console/static/dialogs.js";
import { followFeed } from "/console/static/live.js";
import { fadeToasts } from "/console/static/toasts.js";

document.documentElement.classList.add("scripted");
listenForKeys();
takeForms();
openDialogs();
fadeToasts();
followFeed();
