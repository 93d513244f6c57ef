// On every page of a doctor: who waits, live, with a sound that repeats until seen and a picture that says the same.
// Leaves the list of today's visits to the server's page.
import "./trusted";
import { ArrivalsSocket } from "./arrivals";
import { Chime } from "./chime";
import { button, h, icon, keyed, setNodes, setText } from "./dom";
import type { Arrivals, ArrivalView } from "./protocol.gen";
import { roleWords } from "./roles";
import { duration, hourMinute, t, tp } from "./words";

class ArrivalsView {
  private readonly title = h("h2", { class: "bs-arrivals__title", id: "arrivals-title" });
  private readonly list = h("ul", { class: "bs-arrivals__list", id: "arrivals-list" });
  private readonly live = h("div", { class: "nhsuk-u-visually-hidden", role: "status", "aria-live": "polite" });
  private readonly seen: HTMLButtonElement;
  private readonly allow: HTMLButtonElement;
  private readonly chime = new Chime();
  private readonly socket: ArrivalsSocket;
  private readonly plainTitle = document.title;
  private arrivals: Arrivals | null = null;

  constructor(private readonly root: HTMLElement) {
    this.seen = button(
      t("I have seen it"),
      { id: "arrivals-seen", on: { click: () => this.handleSeen() } },
      "secondary",
    );
    this.allow = button(
      t("Turn on the sound"),
      { id: "arrivals-sound", hidden: true, on: { click: () => void this.allowSound() } },
      "secondary",
    );
    const bell = h("span", { class: "bs-arrivals__bell" }, icon("bell"));
    root.append(
      h(
        "div",
        { class: "nhsuk-width-container bs-arrivals__row" },
        bell,
        this.title,
        this.list,
        h("div", { class: "bs-actions" }, this.allow, this.seen),
      ),
    );
    root.after(this.live);
    this.socket = new ArrivalsSocket(root.dataset.clinic ?? "", (arrivals) => this.render(arrivals));
    setInterval(() => this.refreshTimes(), 10_000);
    // Not at pointerdown: a button that goes away then would move the one under the finger, and its click be lost.
    document.addEventListener("click", () => void this.allowSound(), { once: true });
    document.addEventListener("keydown", () => void this.allowSound(), { once: true });
  }

  private render(arrivals: Arrivals): void {
    const known = new Set(this.arrivals?.waiting.map((each) => each.participant_id));
    const fresh = arrivals.waiting.filter((each) => !known.has(each.participant_id));
    this.arrivals = arrivals;
    hideNames(arrivals.names_hidden);
    const count = arrivals.waiting.length;
    const rings = !arrivals.silent && arrivals.waiting.some((each) => !each.seen);
    this.root.hidden = count === 0;
    this.root.dataset.state = rings ? "ringing" : "quiet";
    setText(this.title, tp("{count} person is waiting", "{count} people are waiting", count));
    keyed(
      this.list,
      arrivals.silent ? [] : arrivals.waiting,
      (each) => each.participant_id,
      () => h("li", { class: "bs-arrivals__item" }),
      (item, each) => this.refresh(item, each),
    );
    this.seen.hidden = !rings;
    if (rings) this.chime.start();
    else this.chime.stop();
    setTimeout(() => {
      this.allow.hidden = !this.chime.isBlocked;
    }, 300);
    // A page may be named after its patient.
    const title = arrivals.names_hidden ? "Bedside" : this.plainTitle;
    document.title = count ? `(${count}) ${title}` : title;
    if (fresh.length && !arrivals.silent)
      setText(this.live, fresh.map((each) => t("{name} is waiting.", { name: this.nameOf(each) })).join(" "));
    this.root.dispatchEvent(new CustomEvent("bedside:arrivals", { bubbles: true, detail: arrivals }));
  }

  private refresh(item: HTMLElement, view: ArrivalView): void {
    const { visitUrl = "", clinic = "" } = this.root.dataset;
    // Nobody's yet: the list has the button that takes them.
    const address = view.untaken
      ? `/c/${encodeURIComponent(clinic)}/clinic#walk-ins`
      : visitUrl.replace("{room}", encodeURIComponent(view.room_id));
    const name = h("bdi", { class: "bs-name" }, this.nameOf(view));
    const minutes = duration((Date.now() - Date.parse(view.waiting_since)) / 1000);
    item.dataset.participant = view.participant_id;
    const facts = [
      roleWords(view.role),
      t("since {time}", { time: hourMinute(view.waiting_since) }),
      minutes,
      view.late ? t("late") : "",
      view.untaken ? t("walk-in, no doctor yet") : "",
    ];
    const who = address
      ? h("a", { class: "bs-arrivals__who", href: address }, name)
      : h("span", { class: "bs-arrivals__who" }, name);
    const since = h("span", { class: "bs-arrivals__since" }, facts.filter(Boolean).join(" · "));
    // Kept while it says the same, so that a focused link isn't taken away.
    const old = item.querySelector(".bs-arrivals__who");
    if (old && old.textContent === who.textContent && old.getAttribute("href") === who.getAttribute("href"))
      setText(item.querySelector(".bs-arrivals__since") as Element, since.textContent ?? "");
    else setNodes(item, [who, since]);
  }

  private nameOf(view: ArrivalView): string {
    return view.name ?? t("Somebody");
  }

  private refreshTimes(): void {
    if (this.arrivals) this.render({ ...this.arrivals });
  }

  private handleSeen(): void {
    this.socket.seen((this.arrivals?.waiting ?? []).filter((each) => !each.seen).map((each) => each.participant_id));
    this.chime.stop();
  }

  private async allowSound(): Promise<void> {
    await this.chime.allow();
    this.allow.hidden = !this.chime.isBlocked;
  }
}

/** While this doctor shows a screen to somebody, no patient's name stands on any of their pages. */
function hideNames(hidden: boolean): void {
  document.documentElement.dataset.names = hidden ? "hidden" : "shown";
}

const place = document.getElementById("arrivals");
if (place) new ArrivalsView(place);
