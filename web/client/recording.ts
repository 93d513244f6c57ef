// Asking for a recording, answering, the banner that is on every screen while one runs, and its stop button.
// Consent is decided by the server; here a person only sees the question and gives an answer.
import { whyNotAsked } from "./askable";
import { Chime } from "./chime";
import { type Context, may, secondsUntil } from "./context";
import { Dialog } from "./dialog";
import { button, h, keyed, setNodes, setText } from "./dom";
import { Pause } from "./pause";
import type { RecordingView, Snapshot } from "./protocol.gen";
import { Withdrawn } from "./withdrawn";
import { t, tn, tp } from "./words";
import { type Given, radio, YesDetails } from "./yes-details";

const LIVE = new Set(["starting", "running", "paused"]);

export function isLive(recording: RecordingView): boolean {
  return LIVE.has(recording.phase);
}

export class Recording {
  readonly banner: HTMLElement;
  readonly question = new Dialog("recording-question", t("May this visit be recorded?"), "question", false);
  readonly ask = new Dialog("recording-ask", t("Ask to record"));
  readonly withdrawn: Withdrawn;
  private readonly pause: Pause;
  private readonly tone = new Chime();
  private readonly bannerText = h("p", { class: "recording__text", tabindex: -1 });
  private readonly answers = h("ul", { class: "recording__answers", hidden: true });
  private readonly stop: HTMLButtonElement;
  private asked = "";
  private lastPhase = "off";
  private stoppedHere = "";
  private isHeld = false;
  private isStopping = false;
  private lastCode: string | null = null;
  private deadline: string | null = null;
  private readonly left = h("p", { class: "bs-muted question__left", id: "question-left" });

  constructor(
    private readonly context: Context,
    private readonly skewMs: () => number,
  ) {
    this.pause = new Pause(context);
    this.withdrawn = new Withdrawn(context);
    this.stop = button(
      t("Stop recording"),
      { id: "stop-recording", on: { click: () => void this.handleStop() } },
      "warning",
    );
    this.banner = h(
      "section",
      { class: "recording", id: "recording-banner", "aria-label": t("Recording"), hidden: true },
      h("span", { class: "recording__dot", "aria-hidden": "true" }),
      this.bannerText,
      this.answers,
      this.pause.buttons,
      this.stop,
    );
  }

  render(room: Snapshot): void {
    const { recording } = room;
    this.renderBanner(room, recording);
    this.renderQuestion(room, recording);
    if (recording.phase !== this.lastPhase || recording.code !== this.lastCode) this.tell(room, recording);
    this.lastPhase = recording.phase;
    this.lastCode = recording.code;
  }

  /** The clinic hasn't answered a press that ends storing: said here, where the press was, until it has. */
  hold(yes: boolean, room: Snapshot): void {
    this.isHeld = yes;
    this.renderBanner(room, room.recording);
    if (yes) this.context.announcer.say(this.heldWords(room), true);
  }

  /** Each second: how long is left to answer. */
  tick(): void {
    if (!this.question.isOpen || !this.deadline) return;
    const left = Math.max(0, Math.ceil(secondsUntil(this.deadline, this.skewMs())));
    setText(
      this.left,
      tp("{count} second left. No answer counts as No.", "{count} seconds left. No answer counts as No.", left),
    );
  }

  /** The doctor's question: for which purpose. Nothing is preselected. */
  openAsk(): void {
    const room = this.context.room();
    const why = room ? whyNotAsked(room) : "";
    if (why) {
      this.ask.body.replaceChildren(h("p", { id: "why-not-asked" }, why));
      this.ask.open();
      return;
    }
    if (this.context.config.purposes.length === 0) {
      const none = t(
        "The clinic has no purposes for recordings yet. An administrator can add them; the visit goes on.",
      );
      this.ask.body.replaceChildren(h("p", {}, none));
    } else this.ask.body.replaceChildren(this.makeAsk(room?.recording.phase === "declined"));
    this.ask.open();
  }

  private makeAsk(again: boolean): HTMLFormElement {
    const choices = this.context.config.purposes.map(({ code, words }, index) =>
      radio("purpose", `purpose-${index}`, code, words),
    );
    const problem = h("p", { class: "nhsuk-error-message", role: "alert", hidden: true });
    return h(
      "form",
      { on: { submit: (event) => void this.handleAsk(event, problem) } },
      h("p", {}, t("Everybody in the visit is asked. Recording starts only when all have said yes.")),
      again && h("p", {}, t("Somebody said no. You can ask once more.")),
      h(
        "fieldset",
        { class: "nhsuk-fieldset" },
        h("legend", { class: "nhsuk-fieldset__legend nhsuk-fieldset__legend--s" }, t("What is the recording for?")),
        h("div", { class: "nhsuk-radios nhsuk-radios--small" }, choices),
      ),
      problem,
      button(t("Ask everybody"), { type: "submit", id: "ask-everybody" }),
    );
  }

  private renderBanner(room: Snapshot, recording: RecordingView): void {
    const live = isLive(recording);
    const asking = recording.phase === "asking";
    const isAsker = may(room, "ask_recording");
    this.banner.hidden = !live && !(asking && isAsker);
    this.banner.dataset.state = recording.phase;
    this.banner.dataset.held = String(this.isHeld);
    this.stop.hidden = !recording.recording_id;
    const isSent = this.isHeld && this.isStopping;
    this.stop.setAttribute("aria-disabled", String(isSent));
    setText(this.stop, isSent ? t("Stopping …") : asking ? t("Don't record") : t("Stop recording"));
    setNodes(this.bannerText, this.isHeld ? tn(this.heldWords(room), {}) : bannerNodes(recording));
    this.pause.render(room, recording);
    if (this.isHeld) this.hidePause();
    const showAnswers = isAsker && (asking || recording.phase === "paused");
    this.answers.hidden = !showAnswers;
    keyed(
      this.answers,
      showAnswers ? room.people.filter((each) => recording.answers[each.participant_id]) : [],
      (each) => each.participant_id,
      () => h("li", {}),
      (item, each) => setNodes(item, tn(answerWords(recording.answers[each.participant_id]), { name: each.name })),
    );
  }

  /** Pressed already; who pressed by keyboard stands on the words that say so. */
  private hidePause(): void {
    if (this.pause.buttons.contains(document.activeElement)) this.bannerText.focus();
    this.pause.buttons.hidden = true;
  }

  private heldWords(room: Snapshot): string {
    return room.mode === "direct"
      ? t("Not heard by the clinic yet. It is said again until it is.")
      : t("Not heard by the clinic yet: your picture and sound are held back until it is.");
  }

  private renderQuestion(room: Snapshot, recording: RecordingView): void {
    const mine = recording.answers[room.you.participant_id];
    // Somebody's No ends the question for everybody, also for those who had not answered.
    const isAsking = recording.phase === "asking" || recording.phase === "paused";
    const open = isAsking && room.you.state === "admitted" && mine === "asked" && recording.recording_id !== null;
    if (!open) {
      this.question.close();
      this.asked = "";
      return;
    }
    this.deadline = recording.answer_by;
    const key = `${recording.recording_id} ${recording.question}`;
    if (this.asked === key) return;
    this.asked = key;
    this.question.body.replaceChildren(...this.makeQuestion(room, recording));
    this.question.open();
    this.tick();
    this.context.announcer.say(t("You are asked whether this visit may be recorded."), true);
  }

  private makeQuestion(room: Snapshot, recording: RecordingView): HTMLElement[] {
    const row = (label: string, value: string | null) =>
      h("div", {}, h("dt", {}, label), h("dd", {}, value ?? t("not given")));
    const details = new YesDetails(Boolean(room.you.may_speak_for_patient), async (given) =>
      details.say((await this.answer(recording, given)) ? "" : this.refusal()),
    );
    const choose = h(
      "div",
      { class: "question__answers" },
      button(t("Yes"), { id: "answer-yes", on: { click: () => this.chooseYes(choose, details.root) } }, "secondary"),
      button(
        t("No"),
        { id: "answer-no", on: { click: () => void this.answer(recording, { answer: "no" }) } },
        "secondary",
      ),
    );
    return [
      h(
        "dl",
        { class: "question__facts" },
        row(t("Why"), recording.purpose),
        row(t("Who may watch"), recording.who_may_watch),
        row(t("How long it is kept"), recording.kept),
      ),
      h(
        "p",
        {},
        t(
          "No changes nothing in your care. Anybody can stop the recording at any time, with a button that is always on the screen.",
        ),
      ),
      recording.consent_text ? h("p", { class: "question__text", dir: "auto" }, recording.consent_text) : h("span", {}),
      choose,
      details.root,
      this.left,
    ];
  }

  private chooseYes(choose: HTMLElement, details: HTMLFormElement): void {
    choose.hidden = true;
    details.hidden = false;
    details.querySelector("input")?.focus({ preventScroll: true });
    details.scrollIntoView({ block: "nearest" });
  }

  private async answer(recording: RecordingView, given: Given): Promise<boolean> {
    const body = { others_present: "", others_agree: false, given_for: "self" as const, ...given };
    if (!recording.recording_id) return true;
    const taken = await this.context.send("answer_recording", {
      recording_id: recording.recording_id,
      question: recording.question,
      ...body,
    });
    return taken !== null;
  }

  /** Why an answer was refused: in the question, since that covers where notices stand. */
  private refusal(): string {
    const { announcer } = this.context;
    const words = announcer.words("refused");
    announcer.dismiss("refused");
    return words;
  }

  private async handleAsk(event: Event, problem: HTMLElement): Promise<void> {
    event.preventDefault();
    const chosen = this.ask.body.querySelector<HTMLInputElement>("input[name=purpose]:checked");
    problem.hidden = chosen !== null;
    setText(problem, chosen ? "" : t("Choose what the recording is for."));
    if (!chosen) return;
    // Refused, it closes too: why stands in the notice, which a dialog would leave unread.
    await this.context.send("ask_recording", { purpose: chosen.value });
    this.ask.close();
  }

  private async handleStop(): Promise<void> {
    const room = this.context.room();
    const recording = room?.recording;
    const id = recording?.recording_id;
    if (!id || !room || !recording || this.isStopping) return;
    const wasLive = recording.phase === "running" || recording.phase === "paused";
    const isHost = may(room, "ask_recording");
    // A doctor mostly stops because it is enough: the choice is offered, not put before them.
    this.stoppedHere = wasLive && isHost ? id : "";
    this.isStopping = true;
    const isStopped = await this.context.send("stop_recording", { recording_id: id });
    this.isStopping = false;
    if (isStopped && wasLive && !isHost) this.withdrawn.open(id);
  }

  private tell(room: Snapshot, recording: RecordingView): void {
    const { announcer } = this.context;
    const was = LIVE.has(this.lastPhase);
    // What was said about the last answer is no longer true.
    announcer.dismiss("recording");
    const tone = TONES[was || recording.phase === "running" ? recording.phase : ""];
    if (tone) this.tone.tell(tone);
    if (recording.phase === "running") announcer.say(t("This visit is being recorded."), true);
    else if (recording.phase === "paused") announcer.say(bannerWords(recording), true);
    else if (recording.phase === "stopped" && was)
      announcer.notice("recording", t("Recording has stopped. The visit goes on."), this.offerDeletion(recording));
    else if (recording.phase === "failed" && (was || this.lastPhase === "asking"))
      announcer.notice("recording", failedWords(recording, this.lastPhase));
    else if (recording.phase === "declined" && this.lastPhase === "asking") this.tellDeclined(room, recording);
  }

  private offerDeletion(recording: RecordingView): { label: string; run(): void } | undefined {
    const id = recording.recording_id;
    if (!id || id !== this.stoppedHere) return undefined;
    return { label: t("Keep or delete what was recorded"), run: () => this.withdrawn.open(id) };
  }

  private tellDeclined(room: Snapshot, recording: RecordingView): void {
    const again = recording.may_ask_again && may(room, "ask_recording");
    this.context.announcer.notice(
      "recording",
      t("The visit is not recorded. Nothing else changes."),
      again ? { label: t("Ask once more"), run: () => this.openAsk() } : undefined,
    );
  }
}

/** A store that is full is said as that: it helps nobody to ask again before somebody has made room. */
function failedWords(recording: RecordingView, before: string): string {
  if (recording.code !== "storage_full") return t("Recording is not possible just now. The visit goes on.");
  return before === "running" || before === "paused"
    ? t("Recording has stopped: the clinic's store is full. What was recorded is kept. The visit goes on.")
    : t("Recording is not possible: the clinic's store is full. The visit goes on.");
}

/** Rising when it runs, level when it pauses, falling when it is over. */
const TONES: Record<string, readonly number[] | undefined> = {
  running: [523, 784],
  paused: [523, 523],
  stopped: [784, 523],
  failed: [784, 523],
};

function bannerNodes(recording: RecordingView): Node[] {
  if (recording.phase === "paused" && recording.code === "examination" && recording.paused_by)
    return tn("Recording is paused for an examination, by {name}", { name: recording.paused_by });
  return tn(bannerWords(recording), {});
}

function bannerWords(recording: RecordingView): string {
  switch (recording.phase) {
    case "asking":
      return t("Asking everybody whether this visit may be recorded");
    case "starting":
      return t("Recording is about to start");
    case "paused":
      if (recording.code === "examination") return t("Recording is paused for an examination");
      return recording.code === "newcomer" || recording.code === "asking"
        ? t("Recording is paused until everybody has answered")
        : t("Recording is paused");
    default:
      return t("This visit is being recorded");
  }
}

function answerWords(answer: string | undefined): string {
  if (answer === "yes") return t("{name}: yes");
  if (answer === "no") return t("{name}: no");
  return t("{name}: no answer yet");
}
