// Ending a visit: the doctor's one tap with ten seconds to undo, and anybody's way out.
import { type Context, secondsUntil } from "./context";
import { Dialog } from "./dialog";
import { button, h, setText } from "./dom";
import type { Note } from "./note";
import type { Outcome, Snapshot } from "./protocol.gen";
import { endedElsewhere, outcomeWords } from "./roles";
import { t } from "./words";

const OUTCOMES: readonly Outcome[] = [
  "seen",
  "finished_by_phone",
  "not_reached",
  "left",
  "sent_elsewhere",
  "wrong_person",
];

export class Ending {
  readonly end = new Dialog("end-dialog", t("How did the visit end?"));
  readonly leave = new Dialog("leave-dialog", t("Leave the visit?"));

  constructor(
    private readonly context: Context,
    private readonly left: () => void,
  ) {}

  openEnd(): void {
    this.end.body.replaceChildren(
      h("p", {}, t("One tap ends the visit for everybody. You can undo it for ten seconds.")),
      h(
        "div",
        { class: "outcomes" },
        OUTCOMES.map((outcome) =>
          button(
            outcomeWords(outcome),
            { "data-outcome": outcome, on: { click: () => void this.pressEnd(outcome) } },
            "secondary",
          ),
        ),
      ),
      h(
        "p",
        {},
        button(
          t("Only leave this page; the visit stays open"),
          { id: "step-out", on: { click: () => void this.pressLeave() } },
          "plain",
        ),
      ),
    );
    this.end.open();
  }

  openLeave(): void {
    this.leave.body.replaceChildren(
      h("p", {}, t("You can come back with the same link. The doctor lets you in again.")),
      h(
        "div",
        { class: "bs-actions" },
        button(t("Leave the visit"), { id: "leave-now", on: { click: () => void this.pressLeave() } }, "warning"),
        button(t("Stay"), { on: { click: () => this.leave.close() } }, "secondary"),
      ),
    );
    this.leave.open();
  }

  private async pressEnd(outcome: Outcome): Promise<void> {
    if (await this.context.send("end_visit", { outcome })) this.end.close();
  }

  private async pressLeave(): Promise<void> {
    this.leave.close();
    this.end.close();
    await this.context.send("leave", {});
    this.left();
  }
}

/** The doctor's page after the end: what was said, undo while it is possible, then where to go. */
export class Ended {
  readonly root = h("main", { class: "ended", id: "ended" });
  private readonly title = h("h1", { class: "nhsuk-heading-l", tabindex: -1 }, t("The visit has ended"));
  private readonly outcome = h("p", { class: "ended__outcome" });
  private readonly count = h("span", {});
  private readonly undo: HTMLButtonElement;
  private readonly next: HTMLElement;
  private readonly noteCard = h("section", { class: "ended__card ended__note", "aria-label": t("Note of this visit") });
  private until: string | null = null;
  /** Somebody ended it here and could take it back; nobody can where the desk did. */
  private wasOurs = false;

  constructor(
    private readonly context: Context,
    private readonly skewMs: () => number,
    private readonly note: Note | null,
  ) {
    const { config } = context;
    this.undo = button("", { id: "undo-end", on: { click: () => void this.context.send("undo_end", {}) } });
    this.undo.replaceChildren(t("Undo"), " ", this.count);
    this.next = h(
      "div",
      { class: "bs-actions" },
      config.film_url &&
        h("a", { class: "nhsuk-button nhsuk-button--secondary", href: config.film_url }, t("The page of this visit")),
      h(
        "a",
        { class: "nhsuk-button nhsuk-button--secondary", href: config.back_url, id: "back-to-list" },
        t("Back to the list"),
      ),
    );
    this.root.append(
      h("section", { class: "ended__card" }, this.title, this.outcome, this.undo, this.next),
      this.noteCard,
    );
  }

  render(room: Snapshot): void {
    this.wasOurs ||= room.undo_until !== null;
    setText(this.outcome, this.wasOurs && room.outcome ? outcomeWords(room.outcome) : endedElsewhere(room.outcome));
    this.until = room.undo_until;
    // The note is finished and signed after the visit: it moves here with every word in it.
    if (this.note && !this.noteCard.contains(this.note.root)) {
      this.note.root.hidden = false;
      this.note.setSignable(true);
      this.noteCard.replaceChildren(this.note.root);
    }
    this.tick();
  }

  tick(): void {
    const left = this.until ? Math.ceil(secondsUntil(this.until, this.skewMs())) : 0;
    this.undo.hidden = left <= 0;
    setText(this.count, left > 0 ? `(${left})` : "");
  }
}
