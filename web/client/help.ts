// What to do when a camera or microphone can't be opened, for the browser at hand. Only words: pure and without a page.
import type { Failure, Kind } from "./devices";
import { t } from "./words";

export interface Help {
  title: string;
  text: string;
  steps: string[];
}

export type BrowserName = "firefox" | "safari" | "ios" | "android" | "chromium";

export function browserOf(userAgent: string): BrowserName {
  if (/iPhone|iPad|iPod/.test(userAgent)) return "ios";
  if (/Firefox\//.test(userAgent)) return "firefox";
  if (/Android/.test(userAgent)) return "android";
  if (/Safari\//.test(userAgent) && !/Chrom(e|ium)\//.test(userAgent)) return "safari";
  return "chromium";
}

function deniedSteps(browser: BrowserName): string[] {
  switch (browser) {
    case "firefox":
      return [
        t("Press the camera or lock sign at the left of the address."),
        t("Remove “Blocked” beside camera and microphone."),
        t("Press Try again and choose Allow."),
      ];
    case "safari":
      return [
        t("In the menu, choose Safari, then Settings for this website."),
        t("Set camera and microphone to Allow."),
        t("Press Try again."),
      ];
    case "ios":
      return [
        t("Press the “aA” or page sign beside the address, then Website Settings."),
        t("Set camera and microphone to Allow."),
        t("If they are greyed out: Settings of the phone, Safari, Camera and Microphone."),
      ];
    case "android":
      return [
        t("Press the lock or sliders sign beside the address, then Permissions."),
        t("Turn on camera and microphone."),
        t("If they are missing: Settings of the phone, Apps, your browser, Permissions."),
      ];
    default:
      return [
        t("Press the camera or sliders sign in the address bar."),
        t("Set camera and microphone to Allow."),
        t("Press Try again."),
      ];
  }
}

/** `other`: whether the other of the two works, which is what going in without this one means. */
export function helpFor(kind: Kind, failure: Failure, userAgent: string, other = true): Help {
  const alone =
    kind === "audio"
      ? t("You can still go in: you will see, hear and write, and the doctor can ring you.")
      : t("You can still go in: you will be heard, but not seen.");
  const without = other
    ? alone
    : t("You can still go in: you will see, hear and write, but not be seen or heard. The doctor can ring you.");
  const thing = kind === "audio" ? t("microphone") : t("camera");
  switch (failure) {
    case "denied":
      return {
        title: t("This page may not use your {thing}", { thing }),
        text: without,
        steps: deniedSteps(browserOf(userAgent)),
      };
    case "in_use":
      return {
        title: t("Your {thing} is used by another program", { thing }),
        text: without,
        steps: [t("Close other video calls and programs that use it."), t("Press Try again.")],
      };
    case "insecure":
      return {
        title: t("This browser can't open your {thing} here", { thing }),
        text: t("Open the link in Chrome, Firefox, Edge or Safari itself, not inside another app. {without}", {
          without,
        }),
        steps: [],
      };
    default:
      return {
        title: t("No {thing} found", { thing }),
        text: without,
        steps: [t("Plug it in or switch it on."), t("Press Try again.")],
      };
  }
}
