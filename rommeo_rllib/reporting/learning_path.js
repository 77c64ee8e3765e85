// Moves policies and opponent models over the reward surface, one report after the other.
// Without this script the picture shows the whole path of the first seed.
"use strict";
for (const player of document.querySelectorAll("[data-learning-path]")) {
  const { box, low, high, runs } = JSON.parse(
    document.getElementById(player.dataset.learningPath).textContent
  );
  const part = (name) => player.querySelector(`[data-part="${name}"]`);
  const [button, slider, choice, said] = ["button", "slider", "choice", "said"].map(part);
  const [left, top, width, height] = box;
  const x = (value) => left + (width * (value - low[0])) / (high[0] - low[0]);
  const y = (value) => top + height - (height * (value - low[1])) / (high[1] - low[1]);
  const at = ([a, b]) => `${x(a).toFixed(1)} ${y(b).toFixed(1)}`;
  const line = (points) => (points.length ? "M" + points.map(at).join("L") : "");
  const dots = (points) => points.map((point) => `M${at(point)}h0`).join("");
  const RECENT = 50;
  const SECONDS = 12;
  let run = runs[0];
  let moment = 0; // In reports, a fraction of the way to the next one.
  let before = null;
  let frame = null;

  const between = (points) => {
    const index = Math.floor(moment);
    const share = moment - index;
    const next = points[Math.min(index + 1, points.length - 1)];
    return points[index].map((value, axis) => value + share * (next[axis] - value));
  };
  const trail = (points) => [...points.slice(0, Math.floor(moment) + 1), between(points)];
  const text = (point) => `(${point.map((value) => value.toFixed(1)).join(", ")})`;

  function show(name, points) {
    part(`${name}-trail`).setAttribute("d", points ? line(trail(points)) : "");
    part(name).style.display = points ? "" : "none";
    if (points) part(name).setAttribute("transform", `translate(${at(between(points))})`);
  }

  function draw() {
    const step = run.steps[Math.floor(moment)];
    const played = run.plays.slice(0, Math.max(0, step - run.first_play));
    part("plays").setAttribute("d", dots(played));
    part("recent").setAttribute("d", dots(played.slice(-RECENT)));
    show("policy", run.policy);
    show("model", run.model);
    const alpha = run.alpha ? `, alpha ${run.alpha[Math.floor(moment)].toPrecision(3)}` : "";
    const model = run.model ? `, opponent models at ${text(between(run.model))}` : "";
    said.textContent = `Env step ${step}: policies at ${text(between(run.policy))}${model}${alpha}`;
    slider.value = moment;
    slider.setAttribute("aria-valuetext", `env step ${step}`);
  }

  function go(now) {
    const last = run.steps.length - 1;
    if (before !== null) moment = Math.min(last, moment + ((now - before) / 1000 / SECONDS) * last);
    before = now;
    draw();
    if (moment < last) frame = requestAnimationFrame(go);
    else pause();
  }

  function pause() {
    cancelAnimationFrame(frame);
    frame = before = null;
    button.textContent = "Play";
  }

  function play() {
    if (moment >= run.steps.length - 1) moment = 0;
    button.textContent = "Pause";
    frame = requestAnimationFrame(go);
  }

  function choose(index) {
    pause();
    run = runs[index];
    slider.max = run.steps.length - 1;
    moment = run.steps.length - 1;
    draw();
  }

  button.addEventListener("click", () => (frame === null ? play() : pause()));
  slider.addEventListener("input", () => {
    pause();
    moment = Number(slider.value);
    draw();
  });
  choice.addEventListener("change", () => choose(choice.value));
  choose(0);
  part("controls").hidden = false;
  // Motion begins by itself only where it is welcome, and when it comes into sight.
  if (!matchMedia("(prefers-reduced-motion: reduce)").matches) {
    const sight = new IntersectionObserver((entries) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      sight.disconnect();
      play();
    }, { threshold: 0.6 });
    sight.observe(player.querySelector("svg"));
  }
}
