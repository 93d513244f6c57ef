// After somebody has stopped the recording: whether what was recorded is kept, and whose part of it.
import type { Context } from "./context";
import { Dialog } from "./dialog";
import { button, h } from "./dom";
import type { KeepWhat } from "./protocol.gen";
import { t } from "./words";

export class Withdrawn {
  readonly dialog = new Dialog("withdrawn", t("What should happen to what was recorded?"), "question");
  private recordingId = "";

  constructor(private readonly context: Context) {}

  /** Nothing is chosen beforehand; closed without a word, what was recorded is kept as was agreed. */
  open(recordingId: string): void {
    this.recordingId = recordingId;
    const choice = (what: KeepWhat, words: string, hint: string) =>
      h(
        "div",
        { class: "withdrawn__choice" },
        button(words, { id: `withdrawn-${what}`, on: { click: () => void this.choose(what) } }, "secondary"),
        h("p", { class: "bs-muted" }, hint),
      );
    this.dialog.body.replaceChildren(
      h("p", {}, t("The recording has stopped. The visit goes on, and your answer changes nothing in your care.")),
      choice("keep", t("Keep it"), t("As long as you were told when you agreed.")),
      choice(
        "delete_mine",
        t("Delete my part"),
        t("Your picture and your sound. Your voice may still be heard through somebody else's microphone."),
      ),
      choice("delete_all", t("Delete all of it"), t("Nobody can watch it any more. This can't be undone.")),
    );
    this.dialog.open();
  }

  private async choose(choice: KeepWhat): Promise<void> {
    const said = await this.context.send("choose_withdrawn", { recording_id: this.recordingId, choice });
    if (!said) return;
    this.dialog.close();
    this.context.announcer.notice("withdrawn", said.result === "asked" ? ASKED() : DONE[choice]());
  }
}

const ASKED = () => t("Your wish was passed on. Somebody at the clinic answers it and gives the reason.");

const DONE: Record<KeepWhat, () => string> = {
  keep: () => t("What was recorded is kept, as you were told."),
  delete_mine: () => t("Your part of the recording is being deleted."),
  delete_all: () => t("The recording is being deleted."),
};
