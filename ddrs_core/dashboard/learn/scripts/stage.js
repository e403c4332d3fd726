// What pictures of lessons share: their life on the page, charts, and numbers as text.
export const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
export const down = (value, digits = 3) => {  // radii are rounded down
  const unit = 10 ** digits;
  return (Math.floor(value * unit + 1e-9) / unit).toFixed(digits);
};
export const grouped = (number) => number.toLocaleString('en');
export const percent = (share, digits = 1) => `${Number((100 * share).toFixed(digits))} %`;
export const still = () => matchMedia('(prefers-reduced-motion: reduce)').matches;

/**
 * The module's default export for a class of pictures. The class gets the element that holds the
 * template; `set(facts)` is called with what the server knows whenever that changes, and `draw()`
 * after it and after every change of size, theme and whatever calls `later()`. `facts.scene` is
 * what the step shows at first; `tell(name, value)` reports to the server.
 */
export const mount = (Kind) => ({ data, parentElement, setTriggerValue }) => {
  const root = parentElement.firstElementChild;
  if (!root.__picture) {
    const picture = root.__picture = new Kind(root);
    new ResizeObserver(() => picture.later()).observe(root);
  }
  root.__picture.tell = setTriggerValue;
  if (root.__live === data.live) return;
  root.__live = data.live;
  root.__picture.set(JSON.parse(data.live));
  root.__picture.later();
};

export class Picture {
  constructor(root) {
    this.root = root;
    this.part = (name) => root.querySelector(`[data-part=${name}]`);
  }

  later() {
    cancelAnimationFrame(this.next);
    this.next = requestAnimationFrame(() => this.root.isConnected && this.facts && this.draw());
  }

  set(facts) { this.facts = facts; }

  draw() {}

  // Let an input, or several of the same name, change a field; text shows it.
  bind(name, field, read = Number) {
    for (const input of this.root.querySelectorAll(`[name=${name}]`))
      input.addEventListener('input', () => { this[field] = read(input.value); this.later(); });
  }

  // Let the inputs show what a scene says.
  show(name, value) {
    for (const input of this.root.querySelectorAll(`[name=${name}]`)) {
      if (input.type === 'radio') input.checked = input.value === String(value);
      else input.value = value;
    }
  }

  // p_A is written with a subscript.
  text(name, text) {
    const part = this.part(name);
    if (part.__text === text) return;
    part.__text = part.textContent = text;
    if (text.includes('p_A')) part.innerHTML = part.innerHTML.replaceAll('p_A', '<i>p</i><sub>A</sub>');
  }
}

const escaped = (text) => String(text).replaceAll('&', '&amp;').replaceAll('<', '&lt;')
  .replaceAll('p_A', '<tspan font-style="italic">p</tspan><tspan font-size=".75em" dy=".3em">A</tspan><tspan dy="-.25em">\u200b</tspan>');

/** A chart with axes in an <svg>, in pixels; what it draws is collected and set at once. */
export class Chart {
  constructor(svg) { this.svg = svg; }

  /**
   * Begin: x and y are {range, ticks, title, log, format}.
   */
  begin({ x, y, left = 3.4, right = 1, top = 1, bottom = 3 }) {
    const rem = this.rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
    const { clientWidth: width, clientHeight: height } = this.svg;
    Object.assign(this, { width, height, parts: [],
      x0: left * rem, x1: width - right * rem, y0: height - bottom * rem, y1: top * rem });
    const scale = ({ range: [a, b], log }, from, to) => {
      const f = log ? Math.log10 : (v) => v;
      return (value) => from + (f(value) - f(a)) / (f(b) - f(a)) * (to - from);
    };
    this.sx = scale(x, this.x0, this.x1); this.sy = scale(y, this.y0, this.y1);
    const name = (axis) => axis.format ?? String;
    for (const tick of y.ticks) {
      this.line(this.x0, this.sy(tick), this.x1, this.sy(tick), 'ddrs-grid');
      this.write(this.x0 - .5 * rem, this.sy(tick), name(y)(tick), 'ddrs-tick', 'end', 'central');
    }
    for (const tick of x.ticks) {
      this.line(this.sx(tick), this.y0, this.sx(tick), this.y0 + .3 * rem, 'ddrs-grid');
      this.write(this.sx(tick), this.y0 + .45 * rem, name(x)(tick), 'ddrs-tick', 'middle', 'hanging');
    }
    this.write((this.x0 + this.x1) / 2, height - .2 * rem, x.title ?? '', 'ddrs-axis', 'middle', 'auto');
    if (y.title) this.write(this.x0, this.y1 - .6 * rem, y.title, 'ddrs-axis', 'start', 'auto');
  }

  add(markup) { this.parts.push(markup); }

  line(x0, y0, x1, y1, style) {
    this.add(`<line class="${style}" x1="${x0}" y1="${y0}" x2="${x1}" y2="${y1}"/>`);
  }

  dot(x, y, r, style) { this.add(`<circle class="${style}" cx="${x}" cy="${y}" r="${r}"/>`); }

  box(x0, y0, x1, y1, style) {
    this.add(`<rect class="${style}" x="${Math.min(x0, x1)}" y="${Math.min(y0, y1)}" width="${
      Math.abs(x1 - x0)}" height="${Math.abs(y1 - y0)}"/>`);
  }

  // A line through points [[x, y], ...] in the units of the axes.
  path(points, style, close = '') {
    const way = points.map(([x, y]) => `${this.sx(x).toFixed(1)} ${this.sy(y).toFixed(1)}`);
    this.add(`<path class="${style}" d="M${way.join('L')}${close}"/>`);
  }

  write(x, y, text, style, anchor = 'start', baseline = 'auto') {
    this.add(`<text class="${style}" x="${x}" y="${y}" text-anchor="${anchor}" dominant-baseline="${
      baseline}">${escaped(text)}</text>`);
  }

  end() { this.svg.innerHTML = this.parts.join(''); }
}
