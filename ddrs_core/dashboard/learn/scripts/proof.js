// Why a vote proves a ball: the worst classifier that agrees with the vote is a half-line.
import { cdf, density, quantile } from './normal.js';
import { Chart, Picture, clamp, down, mount, percent } from './stage.js';

const CELLS = 24, LOW = -3, HIGH = 4.2;  // cells lie between LOW sigma and HIGH sigma
const AXIS = [-.8, 1.1];

class Proof extends Picture {
  constructor(root) {
    super(root);
    this.here = new Chart(this.part('here')); this.there = new Chart(this.part('there'));
    for (const name of ['p', 'sigma', 'delta']) this.bind(name, name);
    this.part('worst').onclick = () => { this.mode = 'half'; this.later(); };
    this.part('play').onclick = () => { this.mode = 'game'; this.later(); };
    this.part('clear').onclick = () => { this.taken.fill(0); this.later(); };
    this.taken = new Uint8Array(CELLS);
    this.strip();
    this.part('there').onpointerdown = (event) => {
      const move = (at) => {
        const box = this.part('there').getBoundingClientRect(), { x0, x1 } = this.there;
        const x = AXIS[0] + (at.clientX - box.left - x0) / (x1 - x0) * (AXIS[1] - AXIS[0]);
        this.delta = clamp(Math.round(100 * x) / 100, 0, .8); this.later();
      };
      event.currentTarget.setPointerCapture(event.pointerId);
      move(event); event.currentTarget.onpointermove = move;
    };
    this.part('there').onpointerup = (event) => { event.currentTarget.onpointermove = null; };
  }

  // The cells, as buttons: a press paints, a held pointer paints on, arrows walk.
  strip() {
    const strip = this.part('cells');
    for (let i = 0; i < CELLS; i++) {
      const cell = document.createElement('button');
      cell.type = 'button'; cell.tabIndex = i ? -1 : 0;
      cell.onclick = (event) => { if (!event.detail) this.paint(i, 1 - this.taken[i]); };
      cell.onpointerdown = (event) => {
        event.preventDefault(); cell.focus({ preventScroll: true });
        this.brush = 1 - this.taken[i]; this.paint(i, this.brush);
      };
      cell.onpointerenter = (event) => { if (event.buttons & 1) this.paint(i, this.brush); };
      cell.onkeydown = (event) => {
        const way = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
        if (!way) return;
        event.preventDefault(); event.stopPropagation();
        strip.children[clamp(i + way, 0, CELLS - 1)].focus();
      };
      cell.onfocus = () => { for (const other of strip.children) other.tabIndex = other === cell ? 0 : -1; };
      strip.append(cell);
    }
  }

  edge(i) { return i <= 0 ? -Infinity : i >= CELLS ? Infinity : this.sigma * (LOW + (HIGH - LOW) * i / CELLS); }

  // The share of the noise around a point that falls into a cell.
  mass(i, centre) {
    return cdf((this.edge(i + 1) - centre) / this.sigma) - cdf((this.edge(i) - centre) / this.sigma);
  }

  orange(centre) {
    return this.taken.reduce((sum, taken, i) => sum + taken * this.mass(i, centre), 0);
  }

  paint(i, taken) {
    if (this.taken[i] === taken) return;
    if (taken && this.orange(0) + this.mass(i, 0) > 1 - this.p + 1e-9) {
      this.refused = true; this.later(); return;
    }
    this.refused = false; this.taken[i] = taken; this.later();
  }

  set(facts) {
    super.set(facts);
    const { mode, p, sigma, delta } = facts.scene;
    Object.assign(this, { mode, p, sigma, delta, refused: false });
    this.game = mode === 'game';
    this.taken.fill(0);
    for (const name of ['p', 'sigma']) this.part(`${name}-side`).hidden = this.game;
  }

  draw() {
    const { p, sigma, delta, mode } = this, half = mode === 'half';
    for (const name of ['p', 'sigma', 'delta']) this.show(name, this[name]);
    this.radius = sigma * quantile(p);
    this.worst = cdf(quantile(p) - delta / sigma);
    const kept = half ? this.worst : 1 - this.orange(delta), spent = half ? 1 - p : this.orange(0);
    this.panel(this.here, 0, `noise around the image x: blue has ${percent(1 - spent)}${half ? '' : `, may fall to ${percent(p)}`}`);
    this.panel(this.there, delta, `noise around the moved image: blue has ${percent(kept)}`, true);
    this.cells(half);
    this.part('worst').hidden = half || !this.game; this.part('play').hidden = !half || !this.game;
    this.part('clear').hidden = half || !this.game;
    this.say(half, kept, spent);
  }

  // The blue and the orange part under the bell curve around a centre.
  panel(chart, centre, title, axis = false) {
    const { sigma } = this, high = 1.12 * density(0) / sigma, bell = (x) => density((x - centre) / sigma) / sigma;
    chart.begin({ left: 1, right: 1, top: 2, bottom: axis ? 3 : .4,
      x: { range: AXIS, ticks: axis ? [-.5, 0, .5, 1] : [],
        title: axis ? 'distance from x, in the direction of the move (drag the curve)' : '' },
      y: { range: [0, high], ticks: [] } });
    const parts = this.mode === 'half' ? [[-Infinity, this.radius, 0], [this.radius, Infinity, 1]]
      : [...this.taken].map((taken, i) => [this.edge(i), this.edge(i + 1), taken]);
    for (const [from, to, taken] of parts) {
      const a = clamp(from, ...AXIS), b = clamp(to, ...AXIS), points = [[a, 0]];
      if (b <= a) continue;
      for (let k = 0; k <= 60; k++) points.push([a + (b - a) * k / 60, bell(a + (b - a) * k / 60)]);
      chart.path([...points, [b, 0]], taken ? 'ddrs-orange' : 'ddrs-blue', 'Z');
    }
    chart.path(Array.from({ length: 161 }, (_, k) => {
      const x = AXIS[0] + (AXIS[1] - AXIS[0]) * k / 160;
      return [x, bell(x)];
    }), 'ddrs-bell');
    chart.line(chart.sx(centre), chart.y0, chart.sx(centre), chart.sy(bell(centre)), 'ddrs-limit');
    chart.write(chart.sx(centre) - .3 * chart.rem, chart.y0 - .5 * chart.rem, axis ? 'x + δ' : 'x', 'ddrs-on-hue', 'end');
    if (this.mode === 'half') chart.line(chart.sx(this.radius), chart.y0, chart.sx(this.radius), chart.y1, 'ddrs-cut');
    if (this.mode === 'half' && !axis)
      chart.write(chart.sx(this.radius) + .5 * chart.rem, chart.y1 + .6 * chart.rem, `R = ${down(this.radius)}`, 'ddrs-panel-title');
    chart.write(chart.x0, chart.y1 - .7 * chart.rem, title, 'ddrs-panel-title');
    chart.line(chart.x0, chart.y0, chart.x1, chart.y0, 'ddrs-base');
    chart.end();
  }

  cells(half) {
    const strip = this.part('cells'), { here } = this;
    strip.classList.toggle('ddrs-plain', half);
    [...strip.children].forEach((cell, i) => {
      const a = here.sx(Math.max(this.edge(i), AXIS[0])), b = here.sx(Math.min(this.edge(i + 1), AXIS[1]));
      const taken = half ? this.edge(i) + 1e-9 >= this.radius : this.taken[i];
      cell.style.cssText = `left:${a}px;width:${Math.max(0, b - a)}px`;
      cell.className = taken ? 'ddrs-orange' : 'ddrs-blue';
      cell.disabled = half;
      cell.setAttribute('aria-pressed', String(Boolean(taken)));
      cell.setAttribute('aria-label', `cell ${i + 1}: ${percent(this.mass(i, 0))} of the noise around x`);
    });
  }

  say(half, kept, spent) {
    const { p, sigma, delta, radius, worst } = this;
    this.text('p', percent(p)); this.text('sigma', sigma.toFixed(2)); this.text('delta', delta.toFixed(2));
    this.text('kept', `blue keeps ${half ? '≥ ' : ''}${percent(kept)}`);
    const won = kept > .5;
    this.part('kept').className = won ? 'ddrs-good' : 'ddrs-bad';
    this.text('verdict', won ? 'and so the majority.' : 'and has lost the majority.');
    if (!half) {
      this.text('more', this.refused ? `Too much: only ${percent(1 - p)} of the noise around x may be orange.`
        : `Orange used ${percent(spent)} of the ${percent(1 - p)} that the vote leaves it. `
          + `No arrangement at all brings blue below ${percent(worst)}.`);
    } else {
      this.text('more', this.game ? 'The worst case: everything from some distance on is orange, '
        + 'and nothing before it.' : '');
    }
    this.part('formula').hidden = !half;
    this.part('formula').innerHTML = `<i>R</i> = <i>σ</i> · Φ⁻¹(<i>p</i><sub>A</sub>)<br>= ${sigma.toFixed(2)} · Φ⁻¹(${
      Number(p.toFixed(3))}) = ${sigma.toFixed(2)} · ${quantile(p).toFixed(3)}<br><b>= ${down(radius)}</b>`;
    this.text('compare', !half ? '' : delta < radius ? `δ = ${delta.toFixed(2)} is smaller: proved.`
      : `δ = ${delta.toFixed(2)} is not smaller: nothing is proved there.`);
  }
}

export default mount(Proof);
