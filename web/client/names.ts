// While a screen is shared in one visit of a doctor's, the pages of their other visits name nobody: any of them may be
// on that screen. Leaves the lists to clinic.ts, and what is hidden to the styles.
import type { Snapshot } from "./protocol.gen";

const NOBODYS = "Bedside";

export class Names {
  private isShared = document.documentElement.dataset.names === "hidden";
  private isHere = false;
  private isGone = false;

  /** `title`: the page's own, with a name in it. */
  constructor(
    private readonly title: string,
    private readonly changed: (hidden: boolean) => void,
  ) {}

  /** A screen is shared in some visit of this doctor's, by the clinic's list. */
  tell(isShared: boolean): void {
    this.isShared = isShared;
    this.show();
  }

  /** A screen that is shared in this very visit may show the people of this visit. */
  apply(room: Snapshot): void {
    this.isHere = room.people.some((each) => each.screen);
    this.show();
  }

  /** Signed out, or the link is closed: the tab names nobody any more. */
  forget(): void {
    this.isGone = true;
    this.show();
  }

  private show(): void {
    const hidden = this.isShared && !this.isHere;
    document.documentElement.dataset.names = hidden ? "hidden" : "shown";
    document.title = hidden || this.isGone ? NOBODYS : `${this.title} – ${NOBODYS}`;
    this.changed(hidden);
  }
}
