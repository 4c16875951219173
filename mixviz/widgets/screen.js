// A picture that the kernel draws, described for those who do not see it.

import { follow } from "./canvas.js";

function render({ model, el }) {
  const image = document.createElement("img");
  image.className = "mixviz-picture";
  image.style.cssText = `display: block; width: 100%; max-width: ${model.get("size")[0]}px`;
  el.append(image);

  const describe = () => (image.alt = model.get("about"));
  function show() {
    const before = image.src;
    image.src = URL.createObjectURL(new Blob([model.get("value")], { type: "image/png" }));
    if (before) URL.revokeObjectURL(before);
  }
  model.on("change:value", show);
  model.on("change:about", describe);
  describe();
  show();
  const end = follow({ model, el });
  return () => {
    model.off("change:value", show);
    model.off("change:about", describe);
    URL.revokeObjectURL(image.src);
    end();
  };
}

export default { render };
