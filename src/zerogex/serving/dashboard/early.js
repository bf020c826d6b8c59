// Runs before the first paint, so that a light page never flashes dark.
"use strict";
(() => {
  const asked = new URLSearchParams(location.search).get("theme");
  let kept = null;
  try { kept = localStorage.getItem("zerogex.theme"); } catch { /* storage is off: the default stands */ }
  const theme = [asked, kept].find((word) => word === "light" || word === "dark") ?? "dark";
  document.documentElement.dataset.theme = theme;
})();
