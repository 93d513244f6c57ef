// Words that were typed in this browser and never came to the note, shown where the note can't be written any more:
// it was signed meanwhile, in another window or by somebody else. Leaves adding them to the page's own form.
import { button, h } from "./dom";
import { apart, Kept } from "./kept";
import { t } from "./words";

export class Left {
  readonly root = h("div", { id: "note-left", role: "status" });
  private readonly kept: Kept[];

  constructor(participation: string, key: string) {
    this.kept = ["bedside-draft", "bedside-summary"].map((what) => new Kept(`${what}:${participation}`, key));
  }

  /** What stands in the note already is forgotten; the rest is shown. */
  async show(): Promise<void> {
    const signed = squeezed([...document.querySelectorAll("#note article")].map((one) => one.textContent).join(" "));
    const lost: string[] = [];
    for (const kept of this.kept) {
      const found = await kept.load();
      kept.take(found);
      const missing = found.filter((one) => !signed.includes(squeezed(one.text)));
      if (missing.length === 0) kept.forget();
      lost.push(...missing.map((one) => one.text));
    }
    const text = apart(lost).join("\n\n");
    if (text) this.root.replaceChildren(this.sheet(text));
  }

  private sheet(text: string): HTMLElement {
    const field = document.querySelector<HTMLTextAreaElement>('form[action$="/note/addenda"] textarea[name=text]');
    const add = (into: HTMLTextAreaElement) => {
      into.closest("details")?.setAttribute("open", "");
      into.value = apart([into.value, text]).join("\n\n");
      into.focus();
    };
    const forget = () => {
      for (const kept of this.kept) kept.forget();
      this.root.replaceChildren();
    };
    return h(
      "section",
      { class: "note__conflict nhsuk-u-margin-bottom-5", "aria-labelledby": "note-left-title" },
      h("h3", { class: "nhsuk-heading-s", id: "note-left-title" }, t("These words of yours are not in the note")),
      h(
        "p",
        { class: "nhsuk-body" },
        t("You typed them in this browser, and the note was signed without them. Nobody else sees them."),
      ),
      h("div", { class: "note__both", dir: "auto", tabindex: 0 }, text),
      h(
        "div",
        { class: "bs-actions" },
        field ? button(t("Put them into an addendum"), { id: "note-left-add", on: { click: () => add(field) } }) : "",
        button(t("Throw them away"), { id: "note-left-forget", on: { click: forget } }, "secondary"),
      ),
    );
  }
}

/** Line ends and spaces differ between a page and what was typed. */
function squeezed(text: string): string {
  return text.replace(/\s+/g, "");
}
