"""A board: figures and texts that are updated in place, several times a second, as one element.

``st.plotly_chart`` builds its chart anew on every change, and every element of a ticking fragment
is drawn again by the browser. A board is a single component: it calls ``Plotly.react`` on the
figures that it has, so zoom and hover survive, and touches only the texts that changed.
plotly.js is served from ``assets/vendor``; nothing is loaded from elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import streamlit as st

from ddrs_core.figures import Figure, encode_figure

PLOTLY_JS = Path(__file__).resolve().parents[3] / "assets" / "vendor" / "plotly-basic.min.js"
PLOTLY_ROUTE = "/ddrs/plotly-basic-4.1.1.min.js"
HIDDEN_BUTTONS = ("select2d", "lasso2d", "sendChartToCloud")  # of every figure

_JS = """
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
  return found.replace(/color\\(srgb (\\S+) (\\S+) (\\S+).*\\)/,
    (_, ...c) => `rgb(${c.slice(0, 3).map((v) => Math.round(v * 255))})`);
};
const draw = async (host, json, url, name) => {
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
    modeBarButtonsToRemove: @hidden,
    toImageButtonOptions: { format: 'svg', filename: name },
  });
  host.dataset.updates = Number(host.dataset.updates || 0) + 1;
};
const pump = async (host) => {
  try {
    while (host.__next) { const args = host.__next; host.__next = null; await draw(host, ...args); }
  } catch (e) { host.textContent = 'The figure could not be drawn: ' + e.message; }
  host.__busy = false;
};
const ask = (host, args) => {
  host.__next = host.__args = args;
  if (!host.__busy) { host.__busy = true; pump(host); }
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
export default function ({ data, parentElement }) {
  if (!parentElement.__follows) { parentElement.__follows = true; followTheme(parentElement); }
  for (const part of parentElement.querySelectorAll('[data-text]')) {
    const value = data.texts[part.dataset.text] ?? '';
    if (part.__value !== value) part.innerHTML = part.__value = value;
  }
  for (const host of parentElement.querySelectorAll('[data-figure]')) {
    const name = host.dataset.figure, value = data.figures[name];
    if (!value || host.__value === value) continue;
    host.__value = value; ask(host, [value, data.url, `${data.name}-${name}`]);
  }
  return () => {
    for (const host of parentElement.querySelectorAll('[data-figure]'))
      if (!host.isConnected && window.Plotly) window.Plotly.purge(host);
  };
}
"""


class Board:
    """A kind of board; made once, at import.

    Args:
        name: unique among components.
        html: its fixed markup; elements with ``data-figure="x"`` and ``data-text="y"`` are filled.
    """

    def __init__(self, name: str, html: str) -> None:
        js = _JS.replace("@hidden", json.dumps(HIDDEN_BUTTONS))
        self._mount = st.components.v2.component(name, html=html, js=js, isolate_styles=False)

    def show(
        self, *, key: str, name: str, figures: Mapping[str, Figure], texts: Mapping[str, str]
    ) -> None:
        """Draw the board, or update the one that stands under the same key.

        Args:
            key: identity of the place on the page.
            name: how saved figures begin, as ``name-figure.svg``.
            figures: from ``ddrs_core.figures``, by ``data-figure``.
            texts: HTML, by ``data-text``; what comes from users or data must be escaped.
        """
        base = (st.get_option("server.baseUrlPath") or "").strip("/")
        data = {
            "figures": {part: encode_figure(figure) for part, figure in figures.items()},
            "texts": dict(texts),
            "url": f"/{base}{PLOTLY_ROUTE}" if base else PLOTLY_ROUTE,
            "name": name,
        }
        self._mount(key=key, data=data)
