// Who waits, who is in, who was put out: the doctor's part of the door. A patient sees their own second device here.
// Leaves who may do what to the server; buttons only appear for those who hold the right.
import { type Context, may } from "./context";
import { Dialog } from "./dialog";
import { button, h, keyed, setNodes, setText } from "./dom";
import { makeGuestForm } from "./guest-link";
import type { Note } from "./note";
import type { CardView, GuestView, PersonView, Snapshot, WaitingView } from "./protocol.gen";
import { isGuest, roleWords } from "./roles";
import { hourMinute, t, tn } from "./words";

export class People {
  /** Over the pictures: whoever asks to come in. */
  readonly lobby = h("section", { class: "lobby", id: "lobby", "aria-label": t("Waiting to come in"), hidden: true });
  /** In the side panel. */
  readonly root: HTMLElement;
  readonly confirm = new Dialog("confirm", t("Not the right person?"), "alarm");
  private readonly waiting = h("ul", { class: "lobby__list" });
  private readonly guests = h("ul", { class: "lobby__list" });
  private readonly devices = h("ul", { class: "lobby__list" });
  private readonly inside = h("ul", { class: "people__list", id: "people-inside" });
  private readonly blocked = h("ul", { class: "people__list", id: "people-blocked" });
  private readonly blockedPart: HTMLElement;
  private known = new Set<string>();

  constructor(
    private readonly context: Context,
    private readonly note: Note | null,
  ) {
    this.lobby.append(this.waiting, this.guests, this.devices);
    this.blockedPart = h("div", { hidden: true }, h("h3", { class: "nhsuk-heading-s" }, t("Put out")), this.blocked);
    this.root = h(
      "div",
      { class: "people" },
      h("h3", { class: "nhsuk-heading-s" }, t("In the visit")),
      this.inside,
      this.blockedPart,
      makeGuestForm(this.context.config.guest_link_url),
    );
  }

  render(room: Snapshot): void {
    this.lobby.hidden = room.waiting.length + room.guests.length + room.devices.length === 0;
    keyed(
      this.guests,
      room.guests,
      (each) => each.participant_id,
      (each) => this.makeGuest(each),
    );
    keyed(
      this.waiting,
      room.waiting,
      (each) => each.participant_id,
      (each) => this.makeWaiting(each),
      (item, each) => this.refreshWaiting(item, each, room),
    );
    keyed(
      this.devices,
      room.devices,
      (each) => each.device,
      (each) => this.makeDevice(room, each.participant_id, each.device, each.name),
    );
    this.announce(room);
    const others = room.people.filter((each) => each.state === "admitted");
    keyed(
      this.inside,
      others,
      (each) => each.participant_id,
      (each) => this.makeInside(room, each),
      (item, each) => refreshInside(item, each, room.cards),
    );
    this.blockedPart.hidden = room.blocked.length === 0;
    keyed(
      this.blocked,
      room.blocked,
      (each) => each.participant_id,
      (each) =>
        h(
          "li",
          { class: "people__item" },
          h("bdi", { class: "bs-name people__name" }, each.name),
          button(
            t("Let back to the door"),
            { on: { click: () => void this.context.send("unblock", { participant_id: each.participant_id }) } },
            "secondary",
          ),
        ),
    );
  }

  private announce(room: Snapshot): void {
    for (const each of room.guests) {
      if (!this.known.has(each.participant_id))
        this.context.announcer.say(
          t("{name} ({role}) asks to come in. Do you agree?", { name: each.name, role: roleWords(each.role) }),
        );
    }
    const here = new Set([
      ...room.guests.map((each) => each.participant_id),
      ...room.waiting.map((each) => each.participant_id),
      ...room.devices.map((each) => each.device),
    ]);
    for (const each of room.waiting) {
      if (!this.known.has(each.participant_id))
        this.context.announcer.say(t("{name} is waiting to come in.", { name: each.name }));
    }
    this.known = here;
  }

  private makeWaiting(view: WaitingView): HTMLElement {
    const { participant_id } = view;
    return h(
      "li",
      { class: "lobby__card", "data-participant": participant_id },
      h("p", { class: "lobby__name" }, h("bdi", { class: "bs-name" })),
      h("dl", { class: "lobby__facts" }),
      h(
        "div",
        { class: "bs-actions" },
        button(t("Admit"), {
          class: "nhsuk-button",
          "data-act": "admit",
          on: { click: () => void this.context.send("admit", { participant_id }) },
        }),
        view.role !== "guest" && view.role !== "interpreter"
          ? button(
              t("Not the right person"),
              { "data-act": "wrong", on: { click: () => this.askWrong(participant_id, view.name) } },
              "secondary",
            )
          : button(
              t("Don't let in"),
              {
                "data-act": "remove",
                on: { click: () => void this.context.send("remove", { participant_id, block: true }) },
              },
              "secondary",
            ),
      ),
    );
  }

  private refreshWaiting(item: HTMLElement, view: WaitingView, { cards, people }: Snapshot): void {
    setText(item.querySelector("bdi") as Element, view.name);
    item.dataset.state = view.away ? "away" : view.late ? "late" : "here";
    const facts: [string, string][] = [
      [t("Waiting since"), hourMinute(view.waiting_since) + (view.late ? ` – ${t("late")}` : "")],
    ];
    const isProxy = view.role === "proxy";
    const born = isProxy ? t("Birth date of the patient") : t("Birth date");
    if (!isGuest(view.role)) facts.unshift([born, view.birth_date ? dateWords(view.birth_date) : t("not given")]);
    else facts.unshift([t("Comes as"), roleWords(view.role)]);
    facts.push([t("Link opened by"), view.opened_by ?? t("not given")]);
    const identity = {
      self: "",
      helping: t("somebody helping answered"),
      denied: t("said: I am not this person"),
      not_given: t("not answered"),
    }[view.identity];
    if (identity && !isGuest(view.role) && !isProxy) facts.push([t("Who they say they are"), identity]);
    const card = cards.find((each) => each.participant_id === view.participant_id);
    if (card) facts.push(...cardFacts(card));
    const isPatientThere = people.some(
      (each) => each.state === "admitted" && (each.role === "patient" || each.role === "proxy"),
    );
    const agreement = {
      not_needed: "",
      asked: isPatientThere ? t("is being asked") : t("is asked as soon as they are in the visit"),
      yes: t("agrees"),
      no: t("does not agree"),
    }[view.agreement];
    if (agreement) facts.push([t("The patient"), agreement]);
    const admit = item.querySelector<HTMLButtonElement>("[data-act=admit]");
    if (admit) admit.disabled = view.agreement === "asked" || view.agreement === "no";
    if (view.away) facts.push([t("Connection"), t("lost – coming back")]);
    const list = item.querySelector("dl") as Element;
    showFacts(list as HTMLElement, facts);
  }

  /** The patient's word on a guest, by name and role, before the doctor can let them in. */
  private makeGuest({ participant_id, name, role }: GuestView): HTMLElement {
    const answer = (agree: boolean) => ({
      "data-act": agree ? "agree" : "disagree",
      on: { click: () => void this.context.send("agree_guest", { participant_id, agree }) },
    });
    return h(
      "li",
      { class: "lobby__card", "data-participant": participant_id },
      h("p", { class: "lobby__name" }, tn("{name} ({role}) asks to join your visit", { name, role: roleWords(role) })),
      h("p", {}, t("They would see and hear you. It is your choice.")),
      h(
        "div",
        { class: "bs-actions" },
        button(t("I agree"), answer(true), "secondary"),
        button(t("I don't agree"), answer(false), "secondary"),
      ),
    );
  }

  private makeDevice(room: Snapshot, participant_id: string, device: string, name: string): HTMLElement {
    const mine = participant_id === room.you.participant_id;
    return h(
      "li",
      { class: "lobby__card", "data-device": device },
      h(
        "p",
        { class: "lobby__name" },
        mine ? t("Your link was opened on another device") : tn("{name} opened the link on another device", { name }),
      ),
      h(
        "p",
        {},
        mine
          ? t("If that was you, you can move the visit there. If it was not you, do nothing and tell the doctor.")
          : t("Let it in only if they say that they changed devices."),
      ),
      h(
        "div",
        { class: "bs-actions" },
        button(
          mine ? t("Move the visit there") : t("Let the other device take over"),
          {
            "data-act": "allow-device",
            on: { click: () => void this.context.send("allow_device", { participant_id, device }) },
          },
          "secondary",
        ),
      ),
    );
  }

  private makeInside(room: Snapshot, view: PersonView): HTMLElement {
    const { participant_id, name, role } = view;
    const isYou = participant_id === room.you.participant_id;
    const actions: HTMLElement[] = [];
    if (!isYou && may(room, "admit")) {
      actions.push(
        button(
          t("Back to the waiting room"),
          { "data-act": "back", on: { click: () => void this.context.send("back_to_waiting", { participant_id }) } },
          "secondary",
        ),
      );
      if (role === "patient" || role === "proxy")
        actions.push(
          button(
            t("Not the right person"),
            { "data-act": "wrong", on: { click: () => this.askWrong(participant_id, name) } },
            "secondary",
          ),
        );
    }
    if (!isYou && may(room, "remove") && role !== "patient")
      actions.push(
        button(
          t("Put out of the visit"),
          {
            "data-act": "remove",
            on: { click: () => void this.context.send("remove", { participant_id, block: true }) },
          },
          "secondary",
        ),
      );
    return h(
      "li",
      { class: "people__item" },
      h("p", { class: "people__name" }, h("bdi", { class: "bs-name" }, name), ` ${isYou ? t("(you)") : ""}`),
      h("p", { class: "bs-muted people__state" }),
      h("dl", { class: "lobby__facts people__card", hidden: true }),
      actions.length > 0 && h("div", { class: "bs-actions" }, actions),
    );
  }

  private askWrong(participant_id: string, name: string): void {
    this.confirm.body.replaceChildren(
      h("p", {}, tn("{name} is cut off at once, and their link is closed for good.", { name })),
      h("p", {}, t("The appointment goes back to how it was, and an incident is filed for the clinic.")),
      h(
        "div",
        { class: "bs-actions" },
        button(t("Cut off now"), { id: "wrong-now", on: { click: () => void this.cutOff(participant_id) } }, "warning"),
        button(t("Cancel"), { on: { click: () => this.confirm.close() } }, "secondary"),
      ),
    );
    this.confirm.open();
  }

  private async cutOff(participant_id: string): Promise<void> {
    this.confirm.close();
    this.note?.save();
    if (await this.context.send("wrong_person", { participant_id })) await this.note?.beginAnew();
  }
}

function cardFacts(card: CardView): [string, string][] {
  const missing = t("not given");
  return [
    [t("Where they are"), card.place ?? missing],
    [t("Phone given at the door"), card.phone ?? missing],
    [t("Who is with them"), card.others ?? missing],
    [t("Agreed to a video visit"), card.agrees ? t("yes") : missing],
  ];
}

function showFacts(list: HTMLElement, facts: readonly [string, string][]): void {
  const key = JSON.stringify(facts);
  if (list.dataset.facts === key) return;
  list.dataset.facts = key;
  list.replaceChildren(
    ...facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, h("bdi", {}, value)))),
  );
}

function refreshInside(item: HTMLElement, view: PersonView, cards: readonly CardView[]): void {
  const card = cards.find((each) => each.participant_id === view.participant_id);
  const list = item.querySelector<HTMLElement>(".people__card");
  if (list) {
    list.hidden = !card;
    if (card) showFacts(list, cardFacts(card));
  }
  const parts = [roleWords(view.role)];
  if (view.away) parts.push(t("connection lost"));
  else {
    parts.push(
      { on: t("microphone on"), muted: t("muted"), none: t("no microphone"), denied: t("no microphone") }[
        view.microphone
      ],
    );
    parts.push({ on: t("camera on"), off: t("camera off"), none: t("no camera"), denied: t("no camera") }[view.camera]);
    if (view.screen) parts.push(t("shares a screen"));
  }
  setNodes(item.querySelector(".people__state") as Element, [parts.join(" · ")]);
}

function dateWords(date: string): string {
  const [year, month, day] = date.split("-").map(Number);
  if (!year || !month || !day) return date;
  return new Intl.DateTimeFormat(document.documentElement.lang || undefined, {
    dateStyle: "long",
    timeZone: "UTC",
  }).format(new Date(Date.UTC(year, month - 1, day)));
}
