// Whether the doctor may ask for a recording just now, and if not, why in words: pure, from the snapshot alone.
// The server decides it again when it is asked.
import type { Snapshot } from "./protocol.gen";
import { t } from "./words";

/** What stands in the way, or "" when everybody may be asked. */
export function whyNotAsked({ recording, by_phone, node_down, people }: Snapshot): string {
  if (by_phone) return t("The visit goes on by phone, which isn't recorded.");
  if (recording.phase === "declined" && !recording.may_ask_again)
    return t("Everybody was asked twice, and not all said yes. Nobody is asked again in this visit.");
  if (node_down) return t("Recording is not possible just now. The visit goes on; try again in a few minutes.");
  if (people.filter((one) => one.state === "admitted").length < 2) return t("Nobody else is in the visit yet.");
  return "";
}
