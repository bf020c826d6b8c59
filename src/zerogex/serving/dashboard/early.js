// Runs before the first paint, so that a light page never flashes dark and a view never shows another's panels.
"use strict";
(() => {
  const query = new URLSearchParams(location.search);
  let kept = null;
  try { kept = localStorage.getItem("zerogex.theme"); } catch { /* storage is off: the default stands */ }
  const theme = [query.get("theme"), kept].find((word) => word === "light" || word === "dark") ?? "dark";
  const views = ["overview", "strikes", "profile", "heatmap", "volatility", "flow", "history", "quality", "levels"];
  document.documentElement.dataset.theme = theme;
  document.documentElement.dataset.view = views.includes(query.get("view")) ? query.get("view") : "overview";
})();
