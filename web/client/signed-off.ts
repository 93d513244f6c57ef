// Nothing of a clinic's pages stays on the screen of somebody who is signed off: by the answer to a list's own poll,
// or by another tab that signed out. The page is asked for again, and the server puts signing in, in its place.
const LEFT = "bedside-signed-out";

interface Answered {
  ctx: { response: { status: number } };
}

/** A poll takes no error's page into the list; one that says "not signed in" is the page's own news. */
function handleAnswer(event: Event): void {
  const { status } = (event as CustomEvent<Answered>).detail.ctx.response;
  if (status < 400) return;
  event.preventDefault();
  if (status === 401) location.reload();
}

/** The other tabs are told by the page that comes after signing out, when the session has ended. */
function watchTabs(clinic: string): void {
  const tabs = new BroadcastChannel(`bedside ${clinic}`);
  tabs.addEventListener("message", () => location.reload());
  for (const form of document.querySelectorAll('form[action$="/sign-out"]:not([action*="/people/"])'))
    form.addEventListener("submit", () => sessionStorage.setItem(LEFT, "yes"));
  if (sessionStorage.getItem(LEFT) === null) return;
  sessionStorage.removeItem(LEFT);
  tabs.postMessage("signed out");
}

document.addEventListener("htmx:before:response", handleAnswer);
const clinic = /^\/c\/[^/]+\//.exec(location.pathname)?.[0];
if (clinic && "BroadcastChannel" in globalThis) {
  try {
    watchTabs(clinic);
  } catch {
    // Without storage the other tabs hear it from their polls.
  }
}
