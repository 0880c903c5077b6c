"use strict";
(() => {
  // A click on a curve or a segment goes there in the video of the same card.
  const seek = (card, time) => {
    const video = card.querySelector("video");
    if (!video) { return; }
    if (video.readyState > 0) { video.currentTime = time; }
    else { video.addEventListener("loadedmetadata", () => { video.currentTime = time; }, { once: true }); video.load(); }
    mark(card, time);
  };
  const mark = (card, time) => {
    const plots = card.querySelector(".plots");
    const duration = plots ? Number(plots.dataset.duration) : 0;
    if (!plots || !(duration > 0)) { return; }
    for (const plot of plots.querySelectorAll(".plot")) {
      let head = plot.querySelector(":scope > i");
      if (!head) { head = plot.appendChild(document.createElement("i")); }
      head.style.left = 100 * time / duration + "%";
    }
  };
  document.addEventListener("click", (event) => {
    const theme = event.target.closest("[data-theme=toggle]");
    if (theme) { document.body.classList.toggle("dark"); return; }
    const card = event.target.closest(".cl-timeline");
    if (!card) { return; }
    const button = event.target.closest("button[data-time]");
    if (button) { seek(card, Number(button.dataset.time)); return; }
    const plot = event.target.closest(".plot");
    if (plot) {
      const box = plot.getBoundingClientRect();
      const share = Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1);
      seek(card, share * Number(card.querySelector(".plots").dataset.duration));
    }
  });
  document.addEventListener("timeupdate", (event) => {
    const card = event.target.closest && event.target.closest(".cl-timeline");
    if (card) { mark(card, event.target.currentTime); }
  }, true);
})();
