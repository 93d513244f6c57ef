// Says things to screen readers, and shows short notices that go away when dismissed.
// What deserves saying is its callers' business.
import { button, h } from "./dom";
import { t } from "./words";

/** Long enough for a screen reader to have read a sentence. */
const SAID_MS = 10_000;

export class Announcer {
  readonly notices = h("ul", { class: "notices", id: "notices" });
  private readonly polite = h("div", { class: "nhsuk-u-visually-hidden", role: "status", "aria-live": "polite" });
  private readonly urgent = h("div", {
    class: "nhsuk-u-visually-hidden",
    role: "alert",
    "aria-live": "assertive",
    id: "urgent",
  });

  private said: ReturnType<typeof setTimeout> | undefined;

  constructor(page: Element) {
    page.append(this.polite, this.urgent);
  }

  /** What was said before is taken back: read later, by somebody who browses the page, it would no longer be true. */
  say(text: string, urgent = false): void {
    const region = urgent ? this.urgent : this.polite;
    for (const each of [this.polite, this.urgent]) each.replaceChildren();
    // The same sentence twice is said twice.
    setTimeout(() => region.replaceChildren(text), 50);
    clearTimeout(this.said);
    this.said = setTimeout(() => region.replaceChildren(), SAID_MS);
  }

  /** One notice of a kind at a time; `act` adds a button beside the words. */
  notice(kind: string, text: string, act?: { label: string; run(): void }): void {
    this.dismiss(kind);
    const close = () => this.dismiss(kind);
    const run = () => {
      close();
      act?.run();
    };
    const acting = act && button(act.label, { on: { click: run } }, "secondary");
    this.notices.append(
      h(
        "li",
        { class: "notice", "data-kind": kind },
        h("p", {}, text),
        acting,
        button(t("Close"), { on: { click: close } }, "plain"),
      ),
    );
    this.say(text);
  }

  /** What a notice says, for whoever shows it where it is looked for. */
  words(kind: string): string {
    return this.notices.querySelector(`[data-kind="${kind}"] p`)?.textContent ?? "";
  }

  dismiss(kind: string): void {
    this.notices.querySelector(`[data-kind="${kind}"]`)?.remove();
  }
}
