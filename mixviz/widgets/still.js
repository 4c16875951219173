// Shows the frame drawn for the values of the controls; if there is none, resets the other controls.
(() => {
  const root = document.currentScript.previousElementSibling;
  const { rest, partner, controls, frames } = JSON.parse(root.querySelector("script").textContent);
  const entries = [...root.querySelectorAll("input, select")];
  const key = (places) => places.join(",");

  function nearest(moved) {
    const places = entries.map((entry) => Number(entry.value));
    if (frames[key(places)]) return places;
    const kept = (...those) => rest.map((place, which) => (those.includes(which) ? places[which] : place));
    const withPartner = kept(moved, partner);
    return frames[key(withPartner)] ? withPartner : kept(moved);
  }

  function show(moved) {
    const places = nearest(moved);
    const frame = frames[key(places)];
    entries.forEach((entry, which) => {
      entry.value = places[which];
      entry.disabled = frame.disabled.includes(which);
      const written = entry.parentElement.querySelector("output");
      if (written) written.value = controls[which].values[places[which]];
    });
    root.querySelector("img").src = frame.image;
    root.querySelector("img").alt = frame.caption;
    root.querySelector("p").textContent = frame.caption;
  }

  entries.forEach((entry, which) => entry.addEventListener("input", () => show(which)));
  show(0);
})();
