const load = (url) => (window.__ddrsPlotly ??= new Promise((done, fail) => {
  const tag = document.createElement('script');
  tag.src = url; tag.onload = () => done(window.Plotly);
  tag.onerror = () => { window.__ddrsPlotly = undefined; fail(new Error('no plotly.js')); };
  document.head.append(tag);
}));
const mix = (host, text, back) => {
  const probe = document.createElement('i');
  probe.style.color = `color-mix(in srgb, ${text} 22%, ${back})`; host.append(probe);
  const found = getComputedStyle(probe).color; probe.remove();
  return found.replace(/color\(srgb (\S+) (\S+) (\S+).*\)/,
    (_, ...c) => `rgb(${c.slice(0, 3).map((v) => Math.round(v * 255))})`);
};
const draw = async (host, json, { url, name, hidden, chart }, part) => {
  const Plotly = await load(url);
  if (!host.isConnected) return;
  const css = getComputedStyle(host);
  const get = (n, other) => css.getPropertyValue(n).trim() || other;
  const text = get('--st-text-color', css.color), back = get('--st-background-color', '#fff');
  const grey = mix(host.parentElement, text, back);
  const figure = JSON.parse(json.replaceAll('"@text"', JSON.stringify(text))
    .replaceAll('"@muted"', JSON.stringify(grey)));
  figure.layout.font.family = get('--st-font', css.fontFamily);
  figure.layout.hoverlabel = { bgcolor: back, bordercolor: grey, font: { color: text } };
  await Plotly.react(host, figure.data, figure.layout, {
    responsive: true, displaylogo: false,
    modeBarButtonsToRemove: hidden,
    toImageButtonOptions: { format: 'svg', filename: `${name}-${part}` },
  });
  if (chart.picks && !host.__reports) { host.__reports = true; report(host); }
  host.dataset.updates = Number(host.dataset.updates || 0) + 1;
  host.dispatchEvent(new Event('drawn'));
};
const pump = async (host) => {
  try {
    while (host.__next) { const args = host.__next; host.__next = null; await draw(host, ...args); }
  } catch (e) { host.textContent = 'The figure could not be drawn: ' + e.message; }
  host.__busy = false;
};
const report = (host) => {  // clicks on points
  const drag = () => host.querySelector('.nsewdrag');
  host.on('plotly_hover', () => { drag().style.cursor = 'pointer'; });
  host.on('plotly_unhover', () => { drag().style.cursor = ''; });
  host.on('plotly_click', ({ points }) => host.__tell('picked', points.at(-1).customdata));
};
const ask = (host, args) => {
  host.__next = host.__args = args;
  if (!host.__busy) { host.__busy = true; pump(host); }
};
const followWidth = (host) => {  // a sidebar that folds resizes no window
  host.__follows = new ResizeObserver(() => {
    const drawn = host._fullLayout?.width, width = host.clientWidth;
    if (drawn && width && Math.abs(drawn - width) > 1) window.Plotly.Plots.resize(host)
      .then(() => host.dispatchEvent(new Event('drawn')), () => {});
  });
  host.__follows.observe(host);
};
const followTheme = (root) => {
  const probe = document.createElement('i');  // a change of its colours is the change of theme
  probe.style.cssText = `position: absolute; visibility: hidden; transition: all 1ms;
    color: var(--st-text-color); background: var(--st-background-color)`;
  const redraw = () => {
    for (const host of root.querySelectorAll('[data-figure]'))
      if (host.__args) ask(host, host.__args);
  };
  let next;
  probe.ontransitionend = () => {
    cancelAnimationFrame(next); next = requestAnimationFrame(redraw);
  };
  root.append(probe);
};
export default function ({ data, parentElement, setStateValue, setTriggerValue }) {
  if (!parentElement.__follows) { parentElement.__follows = true; followTheme(parentElement); }
  for (const part of parentElement.querySelectorAll('[data-text]')) {
    const value = data.texts[part.dataset.text] ?? '';
    if (part.__value !== value) part.innerHTML = part.__value = value;
  }
  for (const host of parentElement.querySelectorAll('[data-figure]')) {
    if (!host.__follows) followWidth(host);
    if (data.chart.height) host.style.height = `${data.chart.height}px`;
    if (data.chart.alt) host.setAttribute('aria-label', data.chart.alt);
    host.__tell = setTriggerValue;
    const name = host.dataset.figure, value = data.figures[name];
    if (!value || host.__value === value) continue;
    host.__value = value; ask(host, [value, data, name]);
  }
  if (data.script) import(new URL(data.script, location.href).href).then((script) =>
    script.default({ data, parentElement, setStateValue, setTriggerValue }));
  return () => {
    for (const host of parentElement.querySelectorAll('[data-figure]'))
      if (!host.isConnected && window.Plotly) window.Plotly.purge(host);
  };
}
