// Runs on every page: the components of nhsuk-frontend that ours use, and htmx, under the one Trusted Types policy.
// Leaves the live list of arrivals to clinic.ts and the visit to room.ts.
import "./trusted";
import "./signed-off";
import "htmx.org";
import "./countdown";
import {
  Button,
  CharacterCount,
  Checkboxes,
  createAll,
  ErrorSummary,
  FileUpload,
  NotificationBanner,
  PasswordInput,
  Radios,
  SkipLink,
  Tabs,
} from "nhsuk-frontend";

// The answer to a form takes the form's own entry in the history: Back then asks for the page again,
// where the browser would otherwise ask whether to send the form once more.
if ("revisitable" in document.documentElement.dataset) history.replaceState(history.state, "", location.href);
// Enter (or Go on a phone's keyboard) goes to the next question where sending the form means more than one answer.
for (const form of document.querySelectorAll<HTMLFormElement>("form[data-enter=next]"))
  form.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.isComposing || !(event.target instanceof HTMLInputElement)) return;
    if (["button", "submit"].includes(event.target.type)) return;
    event.preventDefault();
    const fields = [...form.querySelectorAll<HTMLElement>("input:not([hidden]), button:not([hidden])")];
    fields[fields.indexOf(event.target) + 1]?.focus();
  });

document.body.classList.add("js-enabled", "nhsuk-frontend-supported");
for (const part of [
  Button,
  CharacterCount,
  Checkboxes,
  ErrorSummary,
  FileUpload,
  NotificationBanner,
  PasswordInput,
  Radios,
  SkipLink,
  Tabs,
]) {
  createAll(part);
}
