// A time that is kept for a while: counts down where the page says so, and says at the end what that means.
// Leaves the truth to the server, which judges by its own clock.

const ends = new WeakMap<HTMLElement, number>();

function tick(): void {
  for (const place of document.querySelectorAll<HTMLElement>("[data-countdown]")) {
    const known = ends.get(place);
    const end = known ?? performance.now() + Number(place.dataset.countdown) * 1000;
    if (known === undefined) ends.set(place, end);
    const left = Math.max(0, Math.ceil((end - performance.now()) / 1000));
    if (left > 0) {
      place.textContent = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
      continue;
    }
    place.removeAttribute("data-countdown");
    place.setAttribute("role", "alert");
    place.textContent = place.dataset.ended ?? "";
  }
}

if (document.querySelector("[data-countdown], [hx-target='#hold']")) {
  tick();
  setInterval(tick, 500);
}
