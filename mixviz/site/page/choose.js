// A choice among stored images, as radio buttons that show them, or the reader's own image by file, drop or paste.

import { address, fromFile } from "./images.js";

/**
 * Fill a fieldset. bank: pictures and names; offered: rows; chosen: the first choice.
 * Gives {picture, row, name}, the current choice, whose row is -1 if it is the reader's own; `changed` is called.
 */
export function chooser(fieldset, { bank, offered, chosen, changed }) {
  const current = {};
  const strip = document.createElement("div");
  strip.className = "strip";
  const pick = (picture, row, name) => {
    Object.assign(current, { picture, row, name });
    changed(current);
  };
  const option = (picture, row, name) => {
    const label = document.createElement("label");
    const radio = Object.assign(document.createElement("input"), { type: "radio", name: fieldset.id, value: row });
    radio.checked = row === chosen;
    radio.addEventListener("change", () => pick(picture, row, name));
    const image = Object.assign(document.createElement("img"), { src: address(picture), alt: name, title: name });
    label.append(radio, image);
    strip.append(label);
    return radio;
  };
  for (const row of offered) option(bank.pictures[row], row, bank.names[row]);

  const own = Object.assign(document.createElement("input"), { type: "file", accept: "image/*" });
  const label = Object.assign(document.createElement("label"), { className: "own", textContent: "or your own image " });
  const told = Object.assign(document.createElement("output"), { className: "problem" });
  label.append(own);
  fieldset.append(strip, label, told);
  const take = async (file) => {
    told.textContent = "";
    try {
      const picture = await fromFile(file);
      option(picture, -1, `your own image, ${file.name}`).checked = true;
      pick(picture, -1, "your own image");
    } catch {
      told.textContent = "This file is no image that the browser can read.";
    }
  };
  own.addEventListener("change", () => own.files.length && take(own.files[0]));
  fieldset.addEventListener("dragover", (event) => event.preventDefault());
  fieldset.addEventListener("drop", (event) => {
    event.preventDefault();
    if (event.dataTransfer.files.length) take(event.dataTransfer.files[0]);
  });
  Object.assign(current, { picture: bank.pictures[chosen], row: chosen, name: bank.names[chosen] });
  return current;
}
