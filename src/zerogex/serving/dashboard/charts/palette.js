// The page's colours and shared chart settings, read from the style sheet so that themes stay in one place.

export function palette() {
  const style = getComputedStyle(document.documentElement);
  const names = ["ground", "panel", "raised", "line", "ink", "soft", "faint", "call", "put", "flip", "spot", "pain", "net", "cold", "hot", "loud"];
  return Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
}

export const FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif';

/** `#rrggbb` with an opacity. */
export const fade = (hex, alpha) => hex + Math.round(255 * alpha).toString(16).padStart(2, "0");

/** An ECharts instance that follows its element's size; tooltips are drawn, not written as markup. */
export function newChart(element) {
  const chart = echarts.init(element, null, { renderer: "canvas" });
  new ResizeObserver(() => { if (element.clientWidth > 0) chart.resize(); }).observe(element);
  return chart;
}

export function base(colors, top = 64) {
  return {
    animation: false,
    textStyle: { fontFamily: FONT, fontSize: 12, color: colors.soft },
    grid: { left: 8, right: 12, top, bottom: 8, containLabel: true },
    tooltip: {
      trigger: "axis", renderMode: "richText", confine: true, backgroundColor: colors.raised, borderColor: colors.line, borderWidth: 1,
      padding: [8, 12], textStyle: { fontFamily: FONT, fontSize: 12.5, color: colors.ink, lineHeight: 19 },
      axisPointer: { type: "line", lineStyle: { color: colors.faint, width: 1, type: [2, 3] } },
    },
  };
}

export function axis(colors, more) {
  return {
    axisLine: { show: false }, axisTick: { show: false },
    axisLabel: { color: colors.faint, fontSize: 12, fontFamily: FONT, hideOverlap: true },
    splitLine: { lineStyle: { color: colors.line, width: 1 } },
    ...more,
  };
}

/** What an ECharts instance shows, as a canvas for a file. */
export const picture = (chart) => chart ? chart.renderToCanvas({ pixelRatio: 2, backgroundColor: palette().panel }) : null;

/** Take the size of an element that was hidden or resized, before places in it are computed. */
export function fit(chart, element) {
  if (element.clientWidth && (chart.getWidth() !== element.clientWidth || chart.getHeight() !== element.clientHeight)) chart.resize();
}
