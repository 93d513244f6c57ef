// What the page says when its connection is refused for good: for staff, whose way back is signing in, and for people
// with a link. Only words and addresses; showing them is door.ts's.
import { departureWords } from "./roles";
import { t } from "./words";

export interface Refusal {
  title: string;
  text: string;
  mayReturn: boolean;
  link?: { label: string; href: string };
}

export function patientRefusal(code: string, message: string): Refusal {
  const words = departureWords(code === "removed" ? "removed" : "link_closed");
  return {
    title: code === "not_signed_in" ? t("Please open your link again") : words.title,
    text: message ? t(message) : words.text,
    mayReturn: false,
  };
}

/** `back` is the page of the day, `here` this page: where signing in leads again. */
export function staffRefusal(code: string, clinic: string, back: string, here: string): Refusal {
  if (code === "not_signed_in")
    return {
      title: t("You are signed out"),
      text: t("Sign in again to go on here. The visit stays open meanwhile, and what you wrote in the note is kept."),
      mayReturn: false,
      link: { label: t("Sign in"), href: `/c/${clinic}/sign-in?next=${encodeURIComponent(here)}` },
    };
  const isOver = code === "visit_over";
  return {
    title: isOver ? t("The visit has ended") : t("This visit is closed to you"),
    text: isOver ? "" : t("It may have been given to somebody else, or you signed in as somebody else."),
    mayReturn: false,
    link: { label: t("Back to the list"), href: back },
  };
}
