// Emergency and carrying on by phone: what a doctor needs when the picture no longer helps.
// Facts come from the clinic, by the server; what was fetched once stays on this page.
import type { Context } from "./context";
import { Dialog } from "./dialog";
import { button, h } from "./dom";
import type { EmergencyFacts } from "./protocol.gen";
import { hourMinute, t } from "./words";

function dial(number: string): HTMLElement {
  return h("a", { class: "dial", href: `tel:${dialled(number)}` }, h("bdi", {}, number));
}

/** What a telephone is told to dial, of whatever somebody wrote. */
function dialled(words: string): string {
  return words.replace(/[^+\d*#]/g, "");
}

/** The door takes any words for a phone ("the usual one"); only what has digits can be rung. */
function canRing(words: string): boolean {
  return words.replace(/\D/g, "").length >= 3;
}

/** What was given at the door, and the number on file where it is another: both, since either may be the wrong one. */
function phoneFacts(reply: { phone: string | null; phone_on_file: string | null }): HTMLElement[] {
  const { phone, phone_on_file } = reply;
  const given = !phone ? t("not given") : canRing(phone) ? dial(phone) : h("bdi", { class: "bs-name" }, phone);
  const facts = [fact(t("Phone given at the door"), given)];
  if (phone_on_file && dialled(phone_on_file) !== dialled(phone ?? ""))
    facts.push(fact(t("Phone on file"), dial(phone_on_file)));
  return facts;
}

/** A country's code as its name in the page's language; anything else as it is. */
function countryWords(country: string): string {
  if (!/^[A-Z]{2}$/.test(country)) return country;
  return new Intl.DisplayNames([document.documentElement.lang || "en"], { type: "region" }).of(country) ?? country;
}

/** Why this country: a guess is called one. */
function countryFrom(facts: Pick<EmergencyFacts, "country_from">): string {
  return {
    place: t("by where the patient says they are"),
    phone: t("by the patient's phone: ask where they are"),
    clinic: t("the clinic's own country: ask where they are"),
  }[facts.country_from];
}

/** A number with its country and what told it. */
function ring(label: string, facts: Pick<EmergencyFacts, "number" | "country_from">): HTMLElement {
  return fact(label, h("span", {}, dial(facts.number), h("span", { class: "fact__why" }, countryFrom(facts))));
}

function fact(label: string, value: Node | string): HTMLElement {
  return h("div", { class: "fact" }, h("dt", {}, label), h("dd", {}, value));
}

export class Urgent {
  readonly emergency = new Dialog("emergency-dialog", t("Emergency"), "alarm");
  readonly phone = new Dialog("phone-dialog", t("Carry on by phone"));
  private facts: EmergencyFacts | null = null;

  constructor(private readonly context: Context) {}

  /** One press: place, phone and that country's number, and the time is written into the visit. */
  async pressEmergency(): Promise<void> {
    this.showEmergency();
    this.emergency.open();
    const reply = await this.context.send("emergency", {});
    if (!reply) return;
    this.facts = reply;
    this.showEmergency();
    this.context.announcer.say(t("Where the patient is and whom to ring is on the screen."), true);
  }

  openPhone(): void {
    if (this.context.room()?.by_phone) {
      this.phone.open();
      void this.pressPhone();
      return;
    }
    this.phone.body.replaceChildren(
      h(
        "p",
        {},
        t(
          "The visit, the note and the clock stay open. A recording stops. The patient's page says that you are ringing.",
        ),
      ),
      h(
        "div",
        { class: "bs-actions" },
        button(t("Carry on by phone"), { id: "phone-now", on: { click: () => void this.pressPhone() } }),
        button(t("Cancel"), { on: { click: () => this.phone.close() } }, "secondary"),
      ),
    );
    this.phone.open();
  }

  private async pressPhone(): Promise<void> {
    const reply = await this.context.send("carry_on_by_phone", {});
    if (!reply) return;
    this.phone.body.replaceChildren(
      reply.phone || reply.phone_on_file
        ? h("dl", { class: "facts" }, ...phoneFacts(reply))
        : h("p", {}, t("The patient gave no phone number. The clinic's desk may have one.")),
      h("p", {}, t("The patient's page says that you are ringing.")),
      h("div", { class: "bs-actions" }, button(t("Close"), { on: { click: () => this.phone.close() } }, "secondary")),
    );
  }

  /** What this page has of the card already: it helps while the doctor's own network is gone. */
  private knownHere(): HTMLElement[] {
    const card = this.context.room()?.cards.find((each) => each.place || each.phone);
    if (!card) return [];
    const place = card.place ? h("bdi", { class: "bs-name" }, card.place) : t("not given");
    const phones = phoneFacts({ phone: card.phone, phone_on_file: null });
    return [h("dl", { class: "facts", id: "emergency-known" }, fact(t("Where the patient is"), place), ...phones)];
  }

  private showEmergency(): void {
    const { facts } = this;
    const missing = t("not given");
    this.emergency.body.replaceChildren(
      ...(facts
        ? [
            h(
              "dl",
              { class: "facts", id: "emergency-facts" },
              ring(t("Emergency number ({country})", { country: countryWords(facts.country) }), facts),
              ...(facts.also
                ? [ring(t("If they are in {country}", { country: countryWords(facts.also.country) }), facts.also)]
                : []),
              fact(t("Where the patient is"), facts.place ? h("bdi", { class: "bs-name" }, facts.place) : missing),
              ...phoneFacts(facts),
            ),
            h(
              "p",
              { class: "bs-muted" },
              t("Written into the visit at {time}. The visit goes on.", { time: hourMinute(facts.pressed_at) }),
            ),
          ]
        : [
            h("p", { role: "status" }, t("Fetching where the patient is and whom to ring …")),
            ...this.knownHere(),
            h("p", { class: "bs-muted" }, t("If this takes long, ring your emergency number now.")),
          ]),
    );
  }
}
