// What all parts of the page share: sliders with their values in words, and numbers as text.

const UNITS = { degrees: (value) => `${value}°`, share: (value) => value.toFixed(2), plain: String };

/** The number at which a slider stands. */
export const numberOf = (slider) => Number(slider.value);

/** A share in whole per cent. */
export const percent = (share) => `${Math.round(100 * share)} %`;

/** Keep the <output> beside every slider, and what a screen reader says of it, at the slider's value. */
export function showValues(root) {
  for (const slider of root.querySelectorAll("input[type=range]")) {
    const shown = slider.closest("label").querySelector("output");
    const show = () => {
      const text = UNITS[slider.dataset.unit ?? "plain"](numberOf(slider));
      shown.textContent = text;
      slider.setAttribute("aria-valuetext", text);
    };
    slider.addEventListener("input", show);
    show();
  }
}

/** Move a slider from the script as a reader does. */
export function move(slider, value) {
  slider.value = value;
  slider.dispatchEvent(new Event("input"));
}
