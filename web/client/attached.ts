// What is attached to the note that is being written: files, and lines taken over from the chat.
// Leaves to the server what may be attached, and to note.ts the text.
import { button, h, setText } from "./dom";
import type { AttachedFile } from "./wire";
import { t } from "./words";

interface Line {
  n: number;
  at: string;
  name: string;
  text: string;
}

export class Attached {
  readonly root: HTMLElement;
  private readonly list = h("ul", { class: "nhsuk-list attached__list", id: "attached-list" });
  private readonly status = h("p", { class: "attached__status", id: "attached-status", role: "status" });
  private readonly title = h("span", { class: "nhsuk-details__summary-text" });
  private readonly lines = h("form", {
    class: "attached__lines",
    id: "attached-lines",
    hidden: true,
    on: { submit: (event) => void this.take(event) },
  });

  constructor(
    private readonly url: string,
    files: AttachedFile[],
  ) {
    const input = h("input", { class: "nhsuk-file-upload", id: "attach-file", type: "file" });
    input.addEventListener("change", () => void this.upload(input));
    this.root = h(
      "details",
      { class: "nhsuk-details attached", id: "attached" },
      h("summary", { class: "nhsuk-details__summary" }, this.title),
      h(
        "div",
        { class: "nhsuk-details__text" },
        this.list,
        h("label", { class: "nhsuk-label", for: "attach-file" }, t("Attach a file: PDF, text or picture")),
        input,
        button(
          t("Take lines over from the chat"),
          { id: "attach-chat", on: { click: () => void this.choose() } },
          "secondary",
        ),
        this.lines,
        this.status,
      ),
    );
    this.show(files);
  }

  private show(files: AttachedFile[]): void {
    setText(this.title, t("Attached to the note: {n}", { n: files.length }));
    this.list.hidden = files.length === 0;
    this.list.replaceChildren(
      ...files.map((file) =>
        h(
          "li",
          {},
          h("a", { href: `${this.url}/${file.id}`, download: true }, h("bdi", {}, file.name)),
          " ",
          button(
            t("Remove"),
            { "aria-label": t("Remove {name}", { name: file.name }), on: { click: () => void this.remove(file) } },
            "secondary",
          ),
        ),
      ),
    );
  }

  private async upload(input: HTMLInputElement): Promise<void> {
    const file = input.files?.[0];
    if (!file) return;
    const form = new FormData();
    form.append("file", file);
    setText(this.status, t("Attaching…"));
    const done = await this.send("POST", "", form);
    if (done) setText(this.status, t("{name} is attached.", { name: file.name }));
    input.value = "";
  }

  private async remove(file: AttachedFile): Promise<void> {
    if (await this.send("DELETE", `/${file.id}`)) setText(this.status, t("{name} was removed.", { name: file.name }));
    this.root.querySelector<HTMLElement>("summary")?.focus();
  }

  private async choose(): Promise<void> {
    if (!this.lines.hidden) {
      this.lines.hidden = true;
      return;
    }
    try {
      const response = await fetch(`${this.url}/chat`, { headers: { Accept: "application/json" } });
      if (!response.ok) throw new Error(String(response.status));
      const { lines } = (await response.json()) as { lines: Line[] };
      if (lines.length === 0) setText(this.status, t("Nothing was written in the chat yet."));
      else this.offer(lines);
    } catch {
      setText(this.status, t("The chat could not be fetched just now. Try again later."));
    }
  }

  private offer(lines: Line[]): void {
    setText(this.status, "");
    this.lines.replaceChildren(
      h(
        "fieldset",
        { class: "nhsuk-fieldset" },
        h(
          "legend",
          { class: "nhsuk-fieldset__legend nhsuk-fieldset__legend--s" },
          t("Which lines belong to the note?"),
        ),
        h("div", { class: "nhsuk-checkboxes nhsuk-checkboxes--small" }, ...lines.map((line) => this.line(line))),
      ),
      button(t("Take them over"), { type: "submit", id: "attach-lines" }, "secondary"),
    );
    this.lines.hidden = false;
    this.lines.querySelector("input")?.focus();
  }

  private line(line: Line): HTMLElement {
    const id = `attach-line-${line.n}`;
    return h(
      "div",
      { class: "nhsuk-checkboxes__item" },
      h("input", { class: "nhsuk-checkboxes__input", type: "checkbox", name: "line", id, value: line.n }),
      h(
        "label",
        { class: "nhsuk-label nhsuk-checkboxes__label", for: id },
        `${line.at} `,
        h("bdi", { class: "bs-name" }, line.name),
        ": ",
        h("bdi", {}, line.text),
      ),
    );
  }

  private async take(event: Event): Promise<void> {
    event.preventDefault();
    const chosen = new URLSearchParams();
    for (const box of this.lines.querySelectorAll<HTMLInputElement>("input:checked")) chosen.append("line", box.value);
    if (chosen.size === 0) {
      setText(this.status, t("Choose at least one line."));
      return;
    }
    if (!(await this.send("POST", "/chat", chosen))) return;
    this.lines.hidden = true;
    setText(this.status, t("The lines are attached to the note."));
  }

  /** The list as it is now comes back; whatever is refused is said, and nothing is lost. */
  private async send(method: string, path: string, body?: BodyInit): Promise<boolean> {
    let answer: { attached?: AttachedFile[]; message?: string } = {};
    try {
      const response = await fetch(`${this.url}${path}`, {
        method,
        body: body ?? null,
        headers: { Accept: "application/json" },
      });
      answer = (await response.json()) as typeof answer;
      if (response.ok && answer.attached) {
        this.show(answer.attached);
        return true;
      }
    } catch {
      answer = {};
    }
    setText(this.status, answer.message || t("That did not reach the clinic. Nothing was changed; try again."));
    return false;
  }
}
