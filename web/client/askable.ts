// Whether the doctor may ask for a recording just now, and if not, why in words: pure, from the snapshot alone.
// The server decides it again when it is asked.
import type { Snapshot } from "./protocol.gen";
import { t } from "./words";

/** What stands in the way, or "" when everybody may be asked. */
export function whyNotAsked(room: Snapshot): string {
  if (room.node_down) return t("Recording is not possible just now. The visit goes on; try again in a few minutes.");
  return "";
}
