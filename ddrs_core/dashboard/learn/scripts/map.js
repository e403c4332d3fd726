// The plane: regions of classes, points, clouds of noise and balls on a canvas; what can be moved
// is a button above it, for mouse, finger and keyboard.
import { cdf } from './normal.js';
import { clamp } from './stage.js';
import { borders } from './world.js';

export const NAMES = ['blue', 'orange', 'green'];
export const COLOURS = [[0, 114, 178], [213, 94, 0], [0, 158, 115]];
const STEP = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
const FINE = 3;  // pixels of the picture for each point of the grid
export const css = (k, opacity = 1) => `rgba(${COLOURS[k]}, ${opacity})`;

export class PlaneMap {
  /** Args: the element that holds a <canvas>; what to do when a handle has moved. */
  constructor(host, moved) {
    this.host = host; this.moved = moved;
    this.canvas = host.querySelector('canvas');
    this.image = document.createElement('canvas');
    this.handles = new Map();
  }

  // Begin a picture: the colours of the theme, and a square as large as there is room for.
  begin(world) {
    this.world = world;
    const style = getComputedStyle(this.host), { clientWidth: w, clientHeight: h } = this.host;
    const side = Math.max(40, Math.floor(Math.min(w, h || w))), scale = devicePixelRatio || 1;
    if (this.canvas.width !== Math.round(side * scale)) {
      this.canvas.width = this.canvas.height = Math.round(side * scale);
      this.canvas.style.width = this.canvas.style.height = `${side}px`;
    }
    this.side = side; this.rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
    this.to = this.canvas.getContext('2d');
    this.to.setTransform(scale, 0, 0, scale, 0, 0);
    this.text = style.getPropertyValue('--st-text-color').trim() || style.color;
    const back = style.getPropertyValue('--st-background-color').trim() || '#fff';
    if (back !== this.back) {
      this.to.fillStyle = this.back = back; this.to.fillRect(0, 0, 1, 1);
      this.paper = [...this.to.getImageData(0, 0, 1, 1).data.slice(0, 3)];
    }
  }

  px(x) { return x * this.side; }
  py(y) { return (1 - y) * this.side; }

  // Fill an image of n x n pixels and spread it over the map; colour(i, j) -> [hue, strength].
  fill(n, colour) {
    const { image, paper } = this;
    if (image.width !== n) image.width = image.height = n;
    const to = image.getContext('2d'), pixels = to.createImageData(n, n), { data } = pixels;
    for (let j = 0, at = 0; j < n; j++) {
      for (let i = 0; i < n; i++, at += 4) {
        const [hue, strength] = colour(i, n - 1 - j);
        for (let c = 0; c < 3; c++) data[at + c] = paper[c] + strength * (hue[c] - paper[c]);
        data[at + 3] = 255;
      }
    }
    to.putImageData(pixels, 0, 0);
    this.to.imageSmoothingEnabled = true; this.to.imageSmoothingQuality = 'high';
    this.to.drawImage(image, 0, 0, this.side, this.side);
  }

  // The network's own regions.
  base() {
    const { window, cells } = this.world;
    this.fill(cells, (i, j) => [COLOURS[window[j * cells + i]], .62]);
  }

  // The regions of the smoothed classifier; the stronger, the clearer the vote.
  smoothed(sigma) {
    const { world } = this, fields = world.fields(sigma), { grid } = world, n = FINE * grid;
    this.fill(n, (i, j) => {
      const x = (i + .5) / n, y = (j + .5) / n;
      let best = 0, z = -Infinity;
      for (let k = 0; k < fields.length; k++) {
        const value = world.sample(fields[k], x, y);
        if (value > z) { z = value; best = k; }
      }
      return [COLOURS[best], z > 0 ? .1 + .62 * (2 * cdf(z) - 1) : .05];
    });
  }

  lines(flat, colour, width, dash = []) {
    const { to } = this;
    to.beginPath();
    for (let i = 0; i < flat.length; i += 4) {
      to.moveTo(this.px(flat[i]), this.py(flat[i + 1]));
      to.lineTo(this.px(flat[i + 2]), this.py(flat[i + 3]));
    }
    to.strokeStyle = colour; to.lineWidth = width; to.setLineDash(dash); to.lineCap = 'round';
    to.stroke(); to.setLineDash([]);
  }

  borderOfNetwork() {
    this.world.edge ??= borders(this.world.leads, this.world.grid);
    this.to.globalAlpha = .45;
    this.lines(this.world.edge, this.text, 1.2);
    this.to.globalAlpha = 1;
  }

  borderOfSmoothed(sigma) {
    this.lines(borders(this.world.fields(sigma), this.world.grid), this.text, 2.4);
  }

  dot(x, y, k, radius, edge = this.back) {
    const { to } = this;
    to.beginPath(); to.arc(this.px(x), this.py(y), radius, 0, 7);
    to.fillStyle = css(k); to.fill();
    to.lineWidth = 1.2; to.strokeStyle = edge; to.stroke();
  }

  points(list, radius = .2 * this.rem, opacity = 1) {
    this.to.globalAlpha = opacity;
    for (const [x, y, k] of list) this.dot(x, y, k, radius);
    this.to.globalAlpha = 1;
  }

  ball(x, y, radius, colour = this.text, { dash = [], fill = 0, width = 2.4 } = {}) {
    const { to } = this;
    to.beginPath(); to.arc(this.px(x), this.py(y), radius * this.side, 0, 7);
    if (fill) { to.globalAlpha = fill; to.fillStyle = colour; to.fill(); to.globalAlpha = 1; }
    to.strokeStyle = colour; to.lineWidth = width; to.setLineDash(dash); to.stroke(); to.setLineDash([]);
  }

  // A small cross.
  mark(x, y, size = .12 * this.rem, width = 1.4, colour = this.text) {
    const { to } = this, [a, b, r] = [this.px(x), this.py(y), size];
    to.beginPath();
    to.moveTo(a - r, b - r); to.lineTo(a + r, b + r); to.moveTo(a - r, b + r); to.lineTo(a + r, b - r);
    to.strokeStyle = colour; to.lineWidth = width; to.stroke();
  }

  // A point that is proved right, or a lost one, with a cross.
  judged(x, y, k, right) {
    this.dot(x, y, k, .2 * this.rem);
    if (right) return;
    this.mark(x, y, .3 * this.rem, 4.5, this.back); this.mark(x, y, .3 * this.rem, 2.2);
  }

  // The handle of a point that can be moved; its text names it.
  handle(name, [x, y], { text = '', label = name, hue = null } = {}) {
    let handle = this.handles.get(name);
    if (!handle) {
      handle = document.createElement('button');
      handle.type = 'button'; handle.className = 'ddrs-plane-handle';
      this.handles.set(name, handle); this.host.append(handle);
      this.follow(handle, name);
    }
    Object.assign(handle.style, { left: `${this.canvas.offsetLeft + this.px(x)}px`,
      top: `${this.canvas.offsetTop + this.py(y)}px` });
    handle.style.setProperty('--hue', hue === null ? '' : css(hue));
    handle.at = [x, y]; handle.dataset.text = text;
    handle.setAttribute('aria-label', `${label} at ${x.toFixed(2)}, ${y.toFixed(2)}; arrow keys move it`);
  }

  // Forget the handles that are not named.
  keep(names) {
    for (const [name, handle] of this.handles)
      if (!names.includes(name)) { handle.remove(); this.handles.delete(name); }
  }

  spot(event) {
    const box = this.canvas.getBoundingClientRect();
    return [clamp((event.clientX - box.left) / box.width, 0, 1),
      clamp(1 - (event.clientY - box.top) / box.height, 0, 1)];
  }

  follow(handle, name) {
    handle.onpointerdown = (event) => {
      if (event.button) return;
      event.preventDefault(); handle.focus({ preventScroll: true });
      handle.setPointerCapture(event.pointerId);
      handle.onpointermove = (at) => this.moved(name, this.spot(at));
    };
    handle.onpointerup = handle.onpointercancel = () => { handle.onpointermove = null; };
    handle.onkeydown = (event) => {
      const way = STEP[event.key];
      if (!way || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault(); event.stopPropagation();
      const far = event.shiftKey ? .05 : .01;
      this.moved(name, handle.at.map((v, i) => clamp(v + far * way[i], 0, 1)));
    };
  }

  // A press anywhere on the map moves this handle there.
  place(name) {
    this.canvas.onpointerdown = (event) => {
      if (event.button) return;
      event.preventDefault();
      this.moved(name, this.spot(event));
      const handle = this.handles.get(name);
      handle.focus({ preventScroll: true });
      handle.setPointerCapture(event.pointerId);
      handle.onpointermove = (at) => this.moved(name, this.spot(at));
    };
  }
}
