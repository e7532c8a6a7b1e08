for (const button of document.querySelectorAll("[data-show]")) {
  button.addEventListener("click", () => {
    const wanted = button.dataset.show;
    const part = button.closest("section");
    for (const other of part.querySelectorAll("[data-show]")) {
      other.setAttribute("aria-pressed", String(other === button));
    }
    for (const face of part.querySelectorAll(".face")) {
      face.hidden = wanted !== "all" && face.dataset.kind !== wanted;
    }
  });
}
for (const face of document.querySelectorAll(".face")) {
  const hint = face.querySelector(".hint");
  const mark = (au) => {
    for (const part of face.querySelectorAll("[data-au]")) {
      part.classList.toggle("on", part.dataset.au === au);
    }
    face.classList.toggle("marked", au !== null);
    const chip = au && face.querySelector(`.chip[data-au="${au}"]`);
    if (hint) hint.textContent = chip ? chip.dataset.name : "";
  };
  for (const part of face.querySelectorAll("[data-au]")) {
    for (const name of ["pointerenter", "focus", "click"]) part.addEventListener(name, () => mark(part.dataset.au));
    for (const name of ["pointerleave", "blur"]) part.addEventListener(name, () => mark(null));
  }
}
