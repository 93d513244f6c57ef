// The visit's page after the visit: its note is written here as it is in the room, saved as it is typed.
// Once it is signed, what never came to it is shown. Leaves writing, saving and what two writers do to note.ts.
import { Left } from "./left";
import { Note } from "./note";
import type { NoteConfig } from "./wire";

const place = document.getElementById("visit-note");
if (place?.dataset.note) {
  // The room's own key: what a tab of the room could not send any more is found here.
  const note = new Note(JSON.parse(place.dataset.note) as NoteConfig, place.dataset.place ?? "");
  note.setSignable(true);
  place.replaceChildren(note.root);
}

const left = document.getElementById("visit-left");
if (left?.dataset.key) {
  const words = new Left(left.dataset.place ?? "", left.dataset.key);
  left.replaceChildren(words.root);
  void words.show();
}
