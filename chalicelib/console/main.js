import { Api } from "./api.js";
import { readingLocale, translator } from "./messages.js";
import { UsagePage } from "./page.js";
import { takeSession } from "./session.js";
import { Shell } from "./shell.js";

const text = translator(navigator.languages);
const shell = new Shell(text);
let page = null;

function open(session) {
  page?.stop();
  page = new UsagePage({ api: new Api(session), shell, text, locale: readingLocale(navigator.languages) });
  page.start();
}

const session = takeSession(window);
if (session) {
  open(session);
} else {
  shell.showSignedOut({ expired: false });
}

// A new token, pasted over the open page, changes only the fragment: the browser does not reload.
addEventListener("hashchange", () => {
  const renewed = takeSession(window);
  if (renewed) {
    open(renewed);
  }
});
