"use strict";
const video = document.getElementById("video");
const duration = Number(document.querySelector(".plots").dataset.duration);
const plots = [...document.querySelectorAll(".row .plot")];
const heads = plots.map((plot) => plot.appendChild(document.createElement("i")));

// A place that is asked for before the video is known is kept until it is.
let asked = null;
function seek(time) {
  asked = time;
  if (video.readyState > 0) { video.currentTime = time; }
  show(time);
}
function show(time) {
  for (const head of heads) { head.style.left = (duration > 0 ? 100 * time / duration : 0) + "%"; }
}
video.addEventListener("loadedmetadata", () => { if (asked !== null) { video.currentTime = asked; } });
video.addEventListener("timeupdate", () => show(video.currentTime));

for (const button of document.querySelectorAll("button[data-time]")) {
  button.addEventListener("click", (event) => { event.stopPropagation(); seek(Number(button.dataset.time)); });
}
for (const plot of plots) {
  plot.addEventListener("click", (event) => {
    const box = plot.getBoundingClientRect();
    seek(duration * Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1));
  });
}
document.getElementById("file").addEventListener("change", (event) => {
  const file = event.target.files[0];
  if (file) { URL.revokeObjectURL(video.src); video.src = URL.createObjectURL(file); }
});
