// Codes of the protocol in words that a person reads.
import type { Departure, Outcome, Role } from "./protocol.gen";
import { t } from "./words";

export function roleWords(role: Role): string {
  return {
    doctor: t("doctor"),
    patient: t("patient"),
    proxy: t("helping the patient"),
    guest: t("guest"),
    interpreter: t("interpreter"),
  }[role];
}

/** Somebody who was invited to the patient's visit: neither the patient nor who acts for them, nor the doctor. */
export function isGuest(role: Role): boolean {
  return role === "guest" || role === "interpreter";
}

export function outcomeWords(outcome: Outcome): string {
  return {
    seen: t("Seen"),
    finished_by_phone: t("Finished by phone"),
    not_reached: t("Not reached"),
    left: t("Left before the end"),
    sent_elsewhere: t("Sent to emergency or in person"),
    wrong_person: t("Wrong person"),
  }[outcome];
}

/** Why a visit is over that no doctor of it ended on this page. */
export function endedElsewhere(outcome: Outcome | null): string {
  if (outcome === null) return t("The appointment was cancelled. What you wrote is kept among your notes to sign.");
  if (outcome === "not_reached") return t("It was written down that the patient did not come.");
  return outcomeWords(outcome);
}

/** Why this page is no longer in the visit, and what to do now. */
export function departureWords(reason: Departure | null): { title: string; text: string; mayReturn: boolean } {
  switch (reason) {
    case "removed":
      return {
        title: t("You were taken out of the visit"),
        text: t("If you think this was a mistake, please ring the clinic."),
        mayReturn: false,
      };
    case "wrong_person":
    case "link_closed":
      return {
        title: t("This link is closed"),
        text: t("Please ring the clinic; they will send you a new link."),
        mayReturn: false,
      };
    case "replaced":
      return {
        title: t("The visit goes on in another window"),
        text: t("Your camera and microphone are off here."),
        mayReturn: true,
      };
    case "visit_ended":
      return { title: t("The visit has ended"), text: "", mayReturn: false };
    default:
      return { title: t("You left the visit"), text: t("You can come back with the same link."), mayReturn: true };
  }
}
