// Says things to screen readers, and shows short notices that go away when dismissed.
// What deserves saying is its callers' business.
import { button, h } from "./dom";
import { t } from "./words";

export class Announcer {
  readonly notices = h("ul", { class: "notices", id: "notices" });
  private readonly polite = h("div", { class: "nhsuk-u-visually-hidden", role: "status", "aria-live": "polite" });
  private readonly urgent = h("div", {
    class: "nhsuk-u-visually-hidden",
    role: "alert",
    "aria-live": "assertive",
    id: "urgent",
  });

  constructor(page: Element) {
    page.append(this.polite, this.urgent);
  }

  say(text: string, urgent = false): void {
    const region = urgent ? this.urgent : this.polite;
    // The same sentence twice is said twice.
    region.replaceChildren();
    setTimeout(() => region.replaceChildren(text), 50);
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

  dismiss(kind: string): void {
    this.notices.querySelector(`[data-kind="${kind}"]`)?.remove();
  }
}
