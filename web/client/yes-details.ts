// What goes with a yes to being recorded: who else is in the room and that they agree, and for whom it is given.
// Leaves the question itself, and sending the answer, to recording.ts.
import { button, h, setText } from "./dom";
import type { AnswerRecording } from "./protocol.gen";
import { t } from "./words";

export type Given = Pick<AnswerRecording, "answer"> & Partial<AnswerRecording>;

export function radio(name: string, id: string, value: string, words: string): HTMLElement {
  return h(
    "div",
    { class: "nhsuk-radios__item" },
    h("input", { class: "nhsuk-radios__input", type: "radio", name, id, value }),
    h("label", { class: "nhsuk-label nhsuk-radios__label", for: id }, words),
  );
}

export class YesDetails {
  readonly root: HTMLFormElement;
  private readonly others = h("input", {
    class: "nhsuk-input",
    id: "others-present",
    maxlength: 200,
    autocomplete: "off",
    on: { input: () => this.askOthers() },
  });
  private readonly agreeBox = h("input", { class: "nhsuk-checkboxes__input", type: "checkbox", id: "others-agree" });
  private readonly agree = h(
    "div",
    { class: "nhsuk-checkboxes nhsuk-checkboxes--small", hidden: true },
    h(
      "div",
      { class: "nhsuk-checkboxes__item" },
      this.agreeBox,
      h(
        "label",
        { class: "nhsuk-label nhsuk-checkboxes__label", for: "others-agree" },
        t("They agree to the recording"),
      ),
    ),
  );
  private readonly problem = h("p", { class: "nhsuk-error-message", role: "alert", hidden: true });

  /** `forWhom`: a helper may speak for the patient, and says whether they do. */
  constructor(
    private readonly forWhom: boolean,
    private readonly answer: (given: Given) => void,
  ) {
    this.root = h(
      "form",
      { class: "question__details", hidden: true, on: { submit: (event) => this.handleSubmit(event) } },
      h(
        "label",
        { class: "nhsuk-label", for: "others-present" },
        t("Who else is in the room with you? Leave it empty if you are alone."),
      ),
      this.others,
      this.agree,
      forWhom && makeForWhom(),
      this.problem,
      h(
        "div",
        { class: "question__answers" },
        button(t("Send my yes"), { type: "submit", id: "send-yes" }, "secondary"),
        button(t("No, don't record"), { on: { click: () => this.answer({ answer: "no" }) } }, "secondary"),
      ),
    );
  }

  /** Why a yes was refused, or nothing. */
  say(words: string): void {
    setText(this.problem, words);
    this.problem.hidden = !words;
    this.problem.scrollIntoView({ block: "nearest" });
  }

  private handleSubmit(event: Event): void {
    event.preventDefault();
    const present = this.others.value.trim();
    const given = this.root.querySelector<HTMLInputElement>("input[name=given-for]:checked")?.value;
    const missing = this.missing(present, given);
    this.say(missing);
    if (missing) return;
    this.answer({
      answer: "yes",
      others_present: present,
      others_agree: present !== "" && this.agreeBox.checked,
      given_for: given === "patient" ? "patient" : "self",
    });
  }

  private missing(present: string, given: string | undefined): string {
    if (present && !this.agreeBox.checked) return t("Say that they agree, or answer No.");
    return this.forWhom && !given ? t("Say for whom you agree.") : "";
  }

  private askOthers(): void {
    this.agree.hidden = this.others.value.trim() === "";
    this.root.scrollIntoView({ block: "nearest" });
  }
}

function makeForWhom(): HTMLElement {
  return h(
    "fieldset",
    { class: "nhsuk-fieldset" },
    h("legend", { class: "nhsuk-fieldset__legend nhsuk-fieldset__legend--s" }, t("For whom do you agree?")),
    h(
      "div",
      { class: "nhsuk-radios nhsuk-radios--small" },
      radio("given-for", "given-self", "self", t("For myself")),
      radio("given-for", "given-patient", "patient", t("For the patient, whom I help")),
    ),
  );
}
