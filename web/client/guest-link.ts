// The doctor's form that makes a link for one more person, and the link, shown once to be copied.
// Who may come in is decided at the door.
import { button, h, icon, setText } from "./dom";
import { t } from "./words";

/** The form at `address`; none for whoever may not bring anybody in. */
export function makeGuestForm(address: string | null): HTMLElement | null {
  if (!address) return null;
  const result = h("div", { class: "people__link", role: "status" });
  const form = h(
    "form",
    { class: "people__guest", on: { submit: (event) => void handleGuest(event, address, form, result) } },
    h("h3", { class: "nhsuk-heading-s" }, t("Bring somebody in")),
    h(
      "p",
      { class: "bs-muted" },
      t("Makes a link for one person and this visit only. They wait at the door like everybody."),
    ),
    h("label", { class: "nhsuk-label", for: "guest-name" }, t("Their name")),
    h("input", {
      class: "nhsuk-input",
      id: "guest-name",
      name: "name",
      required: true,
      maxlength: 64,
      autocomplete: "off",
    }),
    h("label", { class: "nhsuk-label", for: "guest-role" }, t("They come as")),
    h(
      "select",
      { class: "nhsuk-select", id: "guest-role", name: "role" },
      h("option", { value: "interpreter" }, t("interpreter")),
      h("option", { value: "guest" }, t("family, friend or specialist")),
    ),
    button(t("Make the link"), { type: "submit", id: "guest-make" }, "secondary"),
    result,
  );
  return form;
}

async function handleGuest(event: Event, address: string, form: HTMLFormElement, result: HTMLElement): Promise<void> {
  event.preventDefault();
  const body = Object.fromEntries(new FormData(form));
  try {
    const response = await fetch(address, {
      method: "POST",
      headers: { "Content-Type": "application/json", Accept: "application/json" },
      body: JSON.stringify(body),
      credentials: "same-origin",
    });
    const reply = (await response.json()) as { url?: string; message?: string };
    if (!response.ok || !reply.url) throw new Error(reply.message);
    showLink(result, reply.url);
    form.reset();
  } catch (error) {
    result.replaceChildren(
      h(
        "p",
        { class: "nhsuk-error-message" },
        (error as Error).message || t("The link was not made. Please try again."),
      ),
    );
  }
}

function showLink(result: HTMLElement, url: string): void {
  const field = h("input", {
    class: "nhsuk-input",
    id: "guest-link",
    readonly: true,
    value: url,
    "aria-label": t("Link for the guest"),
  });
  const copy = button(
    t("Copy the link"),
    { on: { click: () => void navigator.clipboard?.writeText(url).then(() => setText(copy, t("Copied"))) } },
    "secondary",
  );
  result.replaceChildren(h("p", {}, icon("check"), t("Link made. Send it to them:")), field, copy);
}
