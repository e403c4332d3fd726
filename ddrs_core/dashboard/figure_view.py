"""A figure that is updated in place: zoom and hover survive every tick of a live page.

``st.plotly_chart`` builds its chart anew on every change of the data; this component calls
``Plotly.react`` on the one it has. plotly.js comes from the installed plotly package.
"""

from __future__ import annotations

from pathlib import Path

import plotly
import streamlit as st

from ddrs_core.figures import Figure, encode_figure

PLOTLY_JS = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
PLOTLY_ROUTE = "/ddrs/plotly.min.js"

_JS = """
const load = (url) => (window.__ddrsPlotly ??= new Promise((done, fail) => {
  const tag = document.createElement('script');
  tag.src = url; tag.onload = () => done(window.Plotly);
  tag.onerror = () => { window.__ddrsPlotly = undefined; fail(new Error('plotly.js')); };
  document.head.append(tag);
}));
const draw = async (host, data) => {
  const Plotly = await load(data.url);
  if (!host.isConnected) return;
  const css = getComputedStyle(host);
  const text = css.getPropertyValue('--st-text-color').trim() || css.color;
  const back = css.getPropertyValue('--st-background-color').trim() || '#fff';
  const font = css.getPropertyValue('--st-font').trim() || css.fontFamily;
  const muted = `color-mix(in srgb, ${text} 22%, ${back})`;
  const probe = document.createElement('i');
  probe.style.color = muted; host.append(probe);
  const grey = getComputedStyle(probe).color.replace(/color\\(srgb (\\S+) (\\S+) (\\S+).*\\)/,
    (_, r, g, b) => `rgb(${[r, g, b].map((v) => Math.round(v * 255))})`);
  probe.remove();
  const figure = JSON.parse(data.figure.replaceAll('"@text"', JSON.stringify(text))
    .replaceAll('"@muted"', JSON.stringify(grey)));
  figure.layout.font.family = font;
  figure.layout.hoverlabel = { bgcolor: back, bordercolor: grey, font: { color: text } };
  await Plotly.react(host, figure.data, figure.layout, {
    responsive: true, displaylogo: false,
    modeBarButtonsToRemove: ['select2d', 'lasso2d', 'autoScale2d'],
    toImageButtonOptions: { format: 'svg', filename: data.name },
  });
  host.dataset.updates = Number(host.dataset.updates || 0) + 1;
};
export default function ({ data, parentElement }) {
  const host = parentElement.querySelector('.ddrs-figure');
  host.style.height = data.height + 'px';
  host.setAttribute('aria-label', data.alt);
  host.__next = data;
  if (!host.__busy) {
    host.__busy = (async () => {
      while (host.__next) { const now = host.__next; host.__next = null; await draw(host, now); }
    })().catch((e) => { host.textContent = 'The figure could not be drawn: ' + e.message; })
      .finally(() => { host.__busy = null; });
  }
  return () => { if (!host.isConnected && window.Plotly) window.Plotly.purge(host); };
}
"""

_component = st.components.v2.component(
    "ddrs_figure",
    html='<div class="ddrs-figure" role="img" style="width:100%"></div>',
    js=_JS,
    isolate_styles=False,
)


def show_figure(figure: Figure, *, key: str, name: str, alt: str, height: int = 360) -> None:
    """Draw a figure, or update the one that stands under the same key.

    Args:
        figure: from ``ddrs_core.figures``.
        key: identity of the place on the page.
        name: file name of the SVG that the figure's toolbar saves.
        alt: what the figure shows, for those who cannot see it.
        height: in pixels.
    """
    base = (st.get_option("server.baseUrlPath") or "").strip("/")
    url = f"/{base}{PLOTLY_ROUTE}" if base else PLOTLY_ROUTE
    data = {
        "figure": encode_figure(figure), "height": height, "name": name, "alt": alt, "url": url
    }  # fmt: skip
    _component(key=key, data=data)
