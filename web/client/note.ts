// The doctor's note beside the picture. What is typed stays in this browser until the server has acknowledged it, so a
// killed server, a closed tab or a lost network costs no word. Two writers are shown both texts.
// Leaves signing to the server's page.
import { Attached } from "./attached";
import { button, h, setText } from "./dom";
import { apart, Kept } from "./kept";
import { keepSummary, releaseFields } from "./release";
import type { NoteConfig } from "./wire";
import { hourMinute, t } from "./words";

const AFTER_KEY_MS = 400;
const AT_LEAST_EVERY_MS = 2000;
const RETRY_MS = [500, 1000, 2000, 4000];

export class Note {
  readonly root: HTMLElement;
  private readonly text: HTMLTextAreaElement;
  private readonly status = h("p", { class: "note__status", id: "note-status", role: "status", "data-state": "saved" });
  private readonly conflict = h("div", { class: "note__conflict", id: "note-conflict", hidden: true });
  private readonly sign: HTMLFormElement;
  private readonly kept: Kept;
  private revision: number;
  private saved: string;
  private inFlight = false;
  private tries = 0;
  /** Sent without an answer: what the server holds of these is this browser's own. */
  private readonly unanswered = new Set<string>();
  private typedSince = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private blocked = false;

  constructor(
    private readonly config: NoteConfig,
    participation: string,
  ) {
    this.kept = new Kept(`bedside-draft:${participation}`, config.keep_key);
    this.revision = config.revision;
    // A note that nobody began stands with its headings; left alone, they are nothing to save.
    this.saved = config.revision === 0 ? config.text || config.template : config.text;
    this.text = h("textarea", {
      class: "nhsuk-textarea note__text",
      id: "note-text",
      // Signing sends what stands on the screen, so that a newer text of somebody else's is shown beside it.
      name: "text",
      form: "note-signing",
      dir: "auto",
      spellcheck: true,
      "aria-describedby": "note-status",
      on: {
        input: () => this.handleInput(),
        blur: () => this.save(),
        focus: () => this.text.scrollIntoView({ block: "nearest" }),
      },
    });
    this.text.value = this.saved;
    this.sign = h(
      "form",
      {
        method: "post",
        action: config.sign_url,
        class: "note__sign",
        id: "note-signing",
        hidden: true,
        on: { submit: (event) => void this.handleSign(event) },
      },
      h("input", { type: "hidden", name: "revision", value: this.revision }),
      releaseFields(config.release),
      button(t("Sign the note"), { type: "submit", id: "note-sign" }, "secondary"),
    );
    this.root = h(
      "div",
      { class: "note" },
      h("label", { class: "nhsuk-label", for: "note-text" }, t("Note of this visit")),
      this.text,
      button(
        t("Put in what the system knows"),
        { id: "note-start", on: { click: () => void this.putStart() } },
        "secondary",
      ),
      this.status,
      this.conflict,
      new Attached(config.attached_url, config.attached).root,
      this.sign,
    );
    void this.recover();
    void keepSummary(this.sign, new Kept(`bedside-summary:${participation}`, config.keep_key));
    window.addEventListener("online", () => this.save());
    window.addEventListener("pagehide", () => this.keep());
  }

  /** Everything typed is acknowledged. */
  get isSaved(): boolean {
    return this.text.value === this.saved && !this.inFlight;
  }

  /** Signing leaves this page, so it is offered only when the visit is over. */
  setSignable(yes: boolean): void {
    this.sign.hidden = !yes;
  }

  /** The stranger is gone, and what was written about them went with them: the patient's own note begins. */
  async beginAnew(): Promise<void> {
    clearTimeout(this.timer);
    try {
      const response = await fetch(this.config.url, { headers: { Accept: "application/json" } });
      if (!response.ok) return;
      const held = (await response.json()) as { revision: number; text: string };
      // What was still on its way is answered with both texts.
      if (this.inFlight || this.blocked || held.revision >= this.revision) return;
      this.text.value = held.revision === 0 ? this.config.template : held.text;
      this.acknowledge(this.text.value, held.revision);
      this.show("saved", t("What you had written stands on the visit’s page. This is a new note."));
    } catch {
      return;
    }
  }

  private async recover(): Promise<void> {
    const before = this.text.value;
    const found = await this.kept.load();
    const isUntouched = this.text.value === before;
    const unsent = found.filter((one) => one.text !== this.saved);
    this.kept.take(found);
    if (unsent.length === 0) {
      if (!isUntouched) return;
      this.kept.forget();
      this.show("saved", "");
      return;
    }
    const texts = unsent.map((one) => one.text);
    this.text.value = apart(isUntouched ? texts : [...texts, this.text.value]).join("\n\n");
    // Written on top of an older text than the server has now: the server decides, and answers with both.
    this.revision = Math.min(...unsent.map((one) => one.revision));
    this.keep();
    this.show("unsaved", t("Text from before is still here. Saving…"));
    this.save();
  }

  private handleInput(): void {
    this.keep();
    this.show("unsaved", t("Not saved yet"));
    this.typedSince ||= Date.now();
    clearTimeout(this.timer);
    const wait = Math.min(AFTER_KEY_MS, Math.max(0, this.typedSince + AT_LEAST_EVERY_MS - Date.now()));
    this.timer = setTimeout(() => this.save(), wait);
  }

  /** Identity, place, who is there, consents, times: above what is written, as the doctor's own text from then on. */
  private async putStart(): Promise<void> {
    try {
      const response = await fetch(this.config.start_url, { headers: { Accept: "application/json" } });
      if (!response.ok) throw new Error(String(response.status));
      const { text } = (await response.json()) as { text: string };
      this.text.value = `${text}\n\n${this.text.value}`;
      this.text.focus();
      this.text.setSelectionRange(0, 0);
      this.handleInput();
    } catch {
      this.show(
        this.status.dataset.state ?? "saved",
        t("That could not be fetched just now. Write on; try again later."),
      );
    }
  }

  save(): void {
    clearTimeout(this.timer);
    if (this.inFlight || this.blocked || this.text.value === this.saved) return;
    this.typedSince = 0;
    void this.put(this.text.value);
  }

  private async put(text: string): Promise<void> {
    this.inFlight = true;
    let response: Response | null = null;
    let body: { revision?: number; text?: string; message?: string } = {};
    this.unanswered.add(text);
    try {
      response = await fetch(this.config.draft_url, {
        method: "PUT",
        headers: { "Content-Type": "application/json", "If-Match": String(this.revision), Accept: "application/json" },
        body: JSON.stringify({ text }),
        credentials: "same-origin",
        signal: AbortSignal.timeout(8000),
      });
      body = (await response.json()) as typeof body;
    } catch {
      response = null;
    }
    this.inFlight = false;
    if (response?.ok && body.revision !== undefined) this.acknowledge(text, body.revision);
    else if (response?.status === 409 && body.text !== undefined)
      this.askBoth(body.text, body.revision ?? this.revision);
    else if (response && response.status >= 400 && response.status < 500 && response.status !== 429)
      this.refuse(response.status, body.message);
    else this.again();
  }

  private acknowledge(text: string, revision: number): void {
    this.tries = 0;
    this.revision = revision;
    this.saved = text;
    const field = this.root.querySelector<HTMLInputElement>("input[name=revision]");
    if (field) field.value = String(revision);
    this.unanswered.clear();
    if (this.text.value !== text) {
      this.keep();
      this.save();
      return;
    }
    this.kept.forget();
    this.show("saved", t("Saved at {time}", { time: hourMinute(new Date().toISOString()) }));
  }

  private again(): void {
    this.show(
      "waiting",
      t("Not saved: no connection. Your text is safe in this browser and is sent as soon as possible."),
    );
    const wait = RETRY_MS[Math.min(this.tries, RETRY_MS.length - 1)];
    this.tries += 1;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.save(), wait);
  }

  private refuse(status: number, message?: string): void {
    const words =
      status === 401
        ? t("You are signed out. Sign in again in another tab; your text is safe here.")
        : message || t("The note can't be saved. Your text is safe in this browser.");
    this.show("refused", words);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.save(), 5000);
  }

  /** Somebody else saved meanwhile: nothing is lost, the writer decides. */
  private askBoth(theirs: string, revision: number): void {
    if (theirs === this.text.value || this.unanswered.has(theirs)) {
      this.acknowledge(theirs, revision);
      return;
    }
    this.blocked = true;
    const decide = (text: string) => {
      this.revision = revision;
      this.saved = theirs;
      this.text.value = text;
      this.blocked = false;
      this.conflict.hidden = true;
      this.text.focus();
      if (text === theirs) this.acknowledge(theirs, revision);
      else this.handleInput();
    };
    this.show("conflict", t("This note was also changed somewhere else"));
    this.conflict.replaceChildren(
      h("h3", { class: "nhsuk-heading-s" }, t("Both texts are here")),
      h("h4", { class: "note__which" }, t("Yours")),
      h("div", { class: "note__both", dir: "auto", tabindex: 0 }, this.text.value),
      h("h4", { class: "note__which" }, t("The other one")),
      h("div", { class: "note__both", dir: "auto", tabindex: 0 }, theirs),
      h(
        "div",
        { class: "bs-actions" },
        button(t("Keep both, one after the other"), { on: { click: () => decide(`${theirs}\n\n${this.text.value}`) } }),
        button(t("Keep mine"), { on: { click: () => decide(this.text.value) } }, "secondary"),
        button(t("Keep the other one"), { on: { click: () => decide(theirs) } }, "secondary"),
      ),
    );
    this.conflict.hidden = false;
  }

  private async handleSign(event: Event): Promise<void> {
    if (this.isSaved) return;
    event.preventDefault();
    this.save();
    this.show("unsaved", t("Saving first. Press Sign once more when it says saved."));
  }

  private show(state: string, words: string): void {
    this.status.dataset.state = state;
    setText(this.status, words);
  }

  private keep(): void {
    if (this.text.value !== this.saved) this.kept.keep({ text: this.text.value, revision: this.revision });
  }
}
