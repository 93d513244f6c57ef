// The one Trusted Types policy of a page: markup becomes elements only while an htmx request is in flight.
// Imported first by every entry (the first one of a page makes it); our own code builds elements and never asks for it.
interface PolicyFactory {
  defaultPolicy: unknown;
  createPolicy(name: string, rules: { createHTML(markup: string): string }): unknown;
}

let inFlight = 0;

function passHtml(markup: string): string {
  if (inFlight > 0) return markup;
  throw new TypeError("markup outside a page update");
}

const factory = (globalThis as unknown as { trustedTypes?: PolicyFactory }).trustedTypes;
if (factory && !factory.defaultPolicy) factory.createPolicy("default", { createHTML: passHtml });

document.addEventListener("htmx:before:request", () => {
  inFlight += 1;
});
document.addEventListener("htmx:finally:request", () => {
  inFlight = Math.max(0, inFlight - 1);
});
