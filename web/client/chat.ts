// The written conversation of a visit. A line is shown as sent only when the server has stored it.
// Leaves who may read what to the server.
import type { Context } from "./context";
import { button, h, keyed, setText } from "./dom";
import { CHAT_LIMIT_CHARACTERS, type ChatLine, type Snapshot } from "./protocol.gen";
import { roleWords } from "./roles";
import { hourMinute, t } from "./words";

const LINK = /\b(?:https?:\/\/|mailto:)[^\s<>"']+/g;

/** Text as text; only http, https and mailto become links, which learn nothing of this page. */
function linked(text: string): Node[] {
  const nodes: Node[] = [];
  let from = 0;
  for (const match of text.matchAll(LINK)) {
    nodes.push(document.createTextNode(text.slice(from, match.index)));
    nodes.push(h("a", { href: match[0], rel: "noopener noreferrer", target: "_blank" }, match[0]));
    from = match.index + match[0].length;
  }
  nodes.push(document.createTextNode(text.slice(from)));
  return nodes;
}

export class Chat {
  readonly root: HTMLElement;
  unread = 0;
  private readonly lines = new Map<number, ChatLine>();
  private readonly list = h("ol", { class: "chat__lines", id: "chat-lines", tabindex: 0, "aria-label": t("Messages") });
  private readonly empty = h(
    "p",
    { class: "bs-muted chat__empty" },
    t("Nothing written yet. What you write here is kept with the visit."),
  );
  private readonly text: HTMLTextAreaElement;
  private readonly problem = h("p", { class: "chat__problem", id: "chat-problem", role: "alert", hidden: true });
  private readonly form: HTMLFormElement;
  private loading = false;
  /** How many lines there were when they were last fetched: of some this page may not have all. */
  private fetched = 0;
  private isOpen = false;

  constructor(
    private readonly context: Context,
    private readonly changed: () => void,
  ) {
    this.text = h("textarea", {
      class: "nhsuk-textarea",
      id: "chat-text",
      rows: 2,
      "aria-describedby": "chat-problem",
      on: { keydown: (event) => this.handleKey(event) },
    });
    this.form = h(
      "form",
      { class: "chat__form", on: { submit: (event) => this.handleSubmit(event) } },
      h("label", { class: "nhsuk-label", for: "chat-text" }, t("Write a message")),
      this.text,
      this.problem,
      button(t("Send"), { type: "submit", id: "chat-send" }),
    );
    this.root = h("div", { class: "chat" }, this.empty, this.list, this.form);
  }

  render(room: Snapshot): void {
    if (room.you.state !== "admitted") return;
    const shut = [...this.lines.keys()].filter((n) => n <= room.chat_from);
    for (const n of shut) this.lines.delete(n);
    if (shut.length > 0) this.add([]);
    const newest = Math.max(this.fetched, room.chat_from, ...this.lines.keys());
    if (room.chat_count > newest && !this.loading) void this.load(room.chat_count);
  }

  setOpen(open: boolean): void {
    this.isOpen = open;
    if (!open) return;
    this.unread = 0;
    this.list.scrollTop = this.list.scrollHeight;
  }

  handle(line: ChatLine): void {
    if (this.lines.has(line.n)) return;
    this.add([line]);
    const mine = line.participant_id === this.context.room()?.you.participant_id;
    if (mine) return;
    if (!this.isOpen) this.unread += 1;
    this.context.announcer.say(t("Message from {name}: {text}", { name: line.name, text: line.text }));
    this.changed();
  }

  private async load(count: number): Promise<void> {
    this.loading = true;
    const reply = await this.context.send("chat_history", { after: 0 });
    if (reply) {
      this.fetched = count;
      this.add(reply.lines);
    }
    this.loading = false;
  }

  private add(lines: ChatLine[]): void {
    for (const line of lines) this.lines.set(line.n, line);
    const atEnd = this.list.scrollHeight - this.list.scrollTop - this.list.clientHeight < 40;
    const sorted = [...this.lines.values()].sort((a, b) => a.n - b.n);
    keyed(
      this.list,
      sorted,
      (line) => String(line.n),
      (line) => this.make(line),
    );
    this.empty.hidden = this.lines.size > 0;
    if (atEnd || !this.isOpen) this.list.scrollTop = this.list.scrollHeight;
  }

  private make(line: ChatLine): HTMLElement {
    const mine = line.participant_id === this.context.room()?.you.participant_id;
    return h(
      "li",
      { class: `chat__line${mine ? " chat__line--mine" : ""}` },
      h(
        "p",
        { class: "chat__head" },
        h("bdi", { class: "bs-name" }, mine ? t("You") : line.name),
        h("span", {}, ` ${mine ? "" : roleWords(line.role)} `),
        h("time", { datetime: line.at }, hourMinute(line.at)),
      ),
      h("p", { class: "chat__text", dir: "auto" }, linked(line.text)),
    );
  }

  private handleKey(event: KeyboardEvent): void {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    this.form.requestSubmit();
  }

  private async handleSubmit(event: Event): Promise<void> {
    event.preventDefault();
    const text = this.text.value.trim();
    if (!text) return;
    const length = Array.from(text).length;
    if (length > CHAT_LIMIT_CHARACTERS) {
      this.tell(
        t("This message is too long: {length} characters, at most {limit} are possible. Nothing was sent.", {
          length,
          limit: CHAT_LIMIT_CHARACTERS,
        }),
      );
      return;
    }
    this.text.value = "";
    this.tell("");
    const waiting = h(
      "li",
      { class: "chat__line chat__line--mine chat__line--waiting" },
      h("p", { class: "chat__text", dir: "auto" }, text),
      h("p", { class: "chat__head" }, t("Sending…")),
    );
    this.list.append(waiting);
    this.list.scrollTop = this.list.scrollHeight;
    const reply = await this.context.send("chat", { text });
    waiting.remove();
    if (reply) return;
    this.tell(t("Your message was not sent. It is back in the box."));
    if (!this.text.value) this.text.value = text;
  }

  private tell(problem: string): void {
    setText(this.problem, problem);
    this.problem.hidden = !problem;
  }
}
