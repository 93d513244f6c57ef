// A dialog that never locks the page: Emergency and Stop recording must stay in reach whatever else is open.
// Escape closes it, focus goes in when it opens and back when it closes.
import { button, h } from "./dom";
import { t } from "./words";

export class Dialog {
  readonly root: HTMLDialogElement;
  readonly body = h("div", { class: "dialog__body" });
  private readonly heading: HTMLHeadingElement;
  private opener: Element | null = null;

  constructor(id: string, title: string, kind: "centre" | "question" | "alarm" = "centre", closable = true) {
    this.heading = h("h2", { class: "dialog__title", id: `${id}-title`, tabindex: -1 }, title);
    this.root = h(
      "dialog",
      { class: `dialog dialog--${kind}`, id, "aria-labelledby": `${id}-title` },
      h(
        "div",
        { class: "dialog__head" },
        this.heading,
        closable &&
          button(t("Close"), { class: "plain-button dialog__close", on: { click: () => this.close() } }, "plain"),
      ),
      this.body,
    );
    this.root.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && closable) {
        event.stopPropagation();
        this.close();
      }
    });
  }

  get isOpen(): boolean {
    return this.root.open;
  }

  open(): void {
    if (this.root.open) return;
    this.opener = document.activeElement;
    this.root.show();
    this.heading.focus();
  }

  close(): void {
    if (!this.root.open) return;
    const had = this.root.contains(document.activeElement);
    this.root.close();
    if (!had || !(this.opener instanceof HTMLElement) || !this.opener.isConnected) return;
    this.opener.focus();
    // The browser has given it the focus already, without scrolling to it.
    this.opener.scrollIntoView({ block: "nearest" });
  }
}
