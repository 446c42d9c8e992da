// A run as it goes on: its page is kept up to date by events, and its figures are drawn.
"use strict";

{ // what is named here is of this page alone
  const live = document.getElementById("live");
  const lines = document.getElementById("lines");
  const pause = document.getElementById("pause");
  const told = document.getElementById("told");
  let held = []; // what came while the page stands still
  let still = false;
  let chart;

  function show(event) {
    if (event.type === "log") {
      const id = event.data.match(/data-line="(\d+)"/)?.[1];
      if (lines.querySelector(`[data-line="${id}"]`)) return;
      lines.insertAdjacentHTML("beforeend", event.data);
      showLocal(lines);
    } else if (event.type === "live") {
      live.innerHTML = event.data;
      showLocal(live);
      draw();
    } else {
      told.textContent = `The run has ended: ${event.data}.`;
      pause?.remove();
      for (const one of document.querySelectorAll("[data-when-ended]")) one.hidden = false;
      document.querySelector("[data-opens=cancel]")?.remove();
      live.dataset.ended = event.data;
    }
  }

  function label() {
    const lines = held.filter((event) => event.type === "log").length;
    pause.querySelector("span").textContent = !still ? "Pause" : lines ? `Go on (${lines} new)` : "Go on";
  }

  function take(event) {
    if (!still) show(event);
    else {
      held.push(event);
      label();
    }
  }

  if (live.dataset.after) {
    const from = `/runs/${live.dataset.run}/stream?after=${encodeURIComponent(live.dataset.after)}`;
    const events = new EventSource(from); // when it is cut, the browser goes on after the last event it got
    for (const name of ["log", "live"]) events.addEventListener(name, take);
    events.addEventListener("done", (event) => {
      events.close();
      take(event);
    });
  }

  pause?.addEventListener("click", () => {
    still = !still;
    pause.setAttribute("aria-pressed", String(still));
    told.textContent = still ? "The page stands still; the run goes on." : "The page follows the run again.";
    if (!still) for (const event of held.splice(0)) show(event);
    label();
  });

  function draw() {
    const points = JSON.parse(live.querySelector("[data-points]").dataset.points);
    const place = document.getElementById("chart");
    const columns = [0, 1, 2].map((at) => points.map((point) => point[at]));
    place.closest("section").hidden = points.length < 3; // one step is no course: the figures above say it all
    if (points.length < 3) return;
    if (chart) {
      chart.setData(columns);
      return;
    }
    place.textContent = "";
    const ink = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
    const colour = (name) => {
      const probe = document.createElement("i");
      probe.className = `ink-${name}`;
      place.append(probe);
      const found = getComputedStyle(probe).color;
      probe.remove();
      return found || ink(`--${name}`);
    };
    const axis = { stroke: colour("soft"), grid: { stroke: colour("line"), width: 1 }, ticks: { stroke: colour("line") } };
    const short = (self, values) => values.map((value) => Intl.NumberFormat("en", { notation: "compact" }).format(value));
    chart = new uPlot(
      {
        width: place.clientWidth,
        height: 200,
        tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "UTC"),
        scales: { records: {}, bytes: {} },
        axes: [axis, { ...axis, scale: "records", values: short }, { ...axis, scale: "bytes", side: 1, values: short, grid: { show: false } }],
        series: [
          { label: "UTC" },
          { label: "Records", scale: "records", stroke: colour("accent"), width: 2 },
          { label: "Bytes", scale: "bytes", stroke: colour("busy"), width: 2, dash: [6, 4] },
        ],
      },
      columns,
      place,
    );
  }

  new ResizeObserver(() => {
    const place = document.getElementById("chart");
    if (chart && chart.width !== place.clientWidth) chart.setSize({ width: place.clientWidth, height: 200 });
  }).observe(document.getElementById("chart"));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    chart?.destroy();
    chart = undefined;
    draw();
  });
  draw();
}
