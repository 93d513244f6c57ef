// While it is recorded: pause for an examination, say that somebody came in, take the recording up again.
// What a press leads to is the server's; the banner around these buttons is recording.ts.
import type { Context } from "./context";
import { button, h } from "./dom";
import type { PauseWhy, RecordingView, Role, Snapshot } from "./protocol.gen";
import { t } from "./words";

const PATIENTS_SIDE_AND_DOCTOR: ReadonlySet<Role> = new Set<Role>(["doctor", "patient", "proxy"]);

export class Pause {
  readonly buttons = h("div", { class: "recording__acts" });
  private readonly examine = button(
    t("Pause for examination"),
    { id: "pause-recording", on: { click: () => void this.pause("examination") } },
    "secondary",
  );
  private readonly cameIn = button(
    t("Someone came in"),
    { id: "someone-came-in", on: { click: () => void this.pause("someone_came_in") } },
    "secondary",
  );
  private readonly resume = button(
    t("Go on recording"),
    { id: "resume-recording", on: { click: () => void this.handleResume() } },
    "secondary",
  );

  constructor(private readonly context: Context) {
    this.buttons.append(this.examine, this.cameIn, this.resume);
  }

  render(room: Snapshot, recording: RecordingView): void {
    const runs = recording.phase === "running";
    const mine = recording.answers[room.you.participant_id];
    const focused = [this.examine, this.cameIn, this.resume].find((each) => each === document.activeElement);
    this.examine.hidden = !runs || !PATIENTS_SIDE_AND_DOCTOR.has(room.you.role);
    this.cameIn.hidden = mine !== "yes" || !(runs || recording.code === "examination");
    this.resume.hidden = recording.phase !== "paused" || !recording.may_resume;
    const shown = [this.resume, this.examine, this.cameIn].find((each) => !each.hidden);
    this.buttons.hidden = shown === undefined;
    // Who pressed by keyboard stands on the button that has come in its place.
    if (focused?.hidden) shown?.focus();
  }

  private async pause(why: PauseWhy): Promise<void> {
    const id = this.context.room()?.recording.recording_id;
    if (id) await this.context.send("pause_recording", { recording_id: id, why });
  }

  private async handleResume(): Promise<void> {
    const id = this.context.room()?.recording.recording_id;
    if (id) await this.context.send("resume_recording", { recording_id: id });
  }
}
