// How much sigma may vary: lengths of noise, the room against the dimension, and with a distance.
import { Chart, Picture, grouped, mount, percent } from './stage.js';

const POINTS = 400;
const span = (a, b, n) => Array.from({ length: n + 1 }, (_, i) => a + (b - a) * i / n);
// The density of |noise| / (sigma_0 sqrt(d)) at r for noise of level s sigma_0, over its maximum.
const density = (d, s) => {
  const log = (r) => (d - 1) * Math.log(r / s) - d * r * r / (2 * s * s);
  const top = log(s * Math.sqrt((d - 1) / d));
  return (r) => (r > 0 ? Math.exp(log(r) - top) : 0);
};

class Varying extends Picture {
  constructor(root) {
    super(root);
    this.chart = new Chart(this.part('chart'));
    for (const name of ['place', 'excess', 'p', 'band']) this.bind(name, name);
  }

  set(facts) {
    super.set(facts);
    const { view, dimension, excess = .1, pairs = false } = facts.scene;
    Object.assign(this, { view, excess, pairs, p: .99, band: dimension,
      place: facts.dimensions.indexOf(dimension) });
    for (const name of ['lengths', 'room', 'band']) this.part(`${name}-side`).hidden = name !== view;
    this.part('slide').hidden = view === 'band';
    this.root.querySelector('[name=place]').max = facts.dimensions.length - 1;
    for (const name of ['place', 'excess', 'p', 'band']) this.show(name, this[name]);
  }

  draw() {
    const { dimensions, names } = this.facts, d = dimensions[this.place];
    if (d) this.text('dimension', grouped(d) + (names[d] ? ` (${names[d]})` : ''));
    this.text('excess', this.excess ? `${percent(this.excess)} larger` : 'the same');
    ({ lengths: () => this.drawLengths(d), room: () => this.drawRoom(d), band: () => this.drawBand() })[this.view]();
  }

  drawLengths(d) {
    const chart = this.chart, edge = this.facts.radius[this.place];
    const least = this.facts.least[this.place][Math.round(100 * this.excess)], proved = least > .5;
    const last = 2.2;
    chart.begin({ left: 1, right: 5.5, top: 3.6, bottom: 3.2,
      x: { range: [0, last], ticks: [0, .5, 1, 1.5, 2], title: 'length of the noise, in units of σ₀√d' },
      y: { range: [0, 1.06], ticks: [] } });
    const own = density(d, 1), other = density(d, 1 + this.excess);
    const near = [1, 1 + this.excess, edge].flatMap((c) => span(c - 4 / Math.sqrt(d), c + 4 / Math.sqrt(d), POINTS));
    const xs = [...span(0, last, POINTS), ...near, edge].filter((x) => x >= 0 && x <= last).sort((a, b) => a - b);
    const area = (f, from, to, style) => {
      const inside = xs.filter((x) => x >= from && x <= to);
      if (inside.length > 1)
        chart.path([[inside[0], 0], ...inside.map((x) => [x, f(x)]), [inside.at(-1), 0]], style, 'Z');
    };
    area(other, 0, edge, 'ddrs-area-a'); area(other, edge, last, 'ddrs-area-b');
    chart.path(xs.map((x) => [x, own(x)]), 'ddrs-own'); chart.path(xs.map((x) => [x, other(x)]), 'ddrs-other-line');
    const x = chart.sx(edge), { rem } = chart;
    chart.line(x, chart.y0, x, chart.y1 - 1.6 * rem, 'ddrs-limit');
    chart.write(x - .6 * rem, chart.y1 - .8 * rem, '← answers A', 'ddrs-a-name', 'end');
    chart.write(x + .6 * rem, chart.y1 - .8 * rem, 'answers B →', 'ddrs-b-name', 'start');
    chart.write(chart.x0, chart.y1 + 1.2 * rem, 'image: σ₀', 'ddrs-own-name');
    chart.write(chart.x0, chart.y1 + 2.6 * rem, `neighbour: ${(1 + this.excess).toFixed(2)} σ₀`, 'ddrs-chosen-name');
    chart.end();
    this.text('count', `${percent(least, 1)} ${proved ? '> ½' : '≤ ½'}`);
    this.text('said', proved ? 'The neighbour’s share of A, at least: its class is proved.'
      : 'The neighbour’s share of A in the worst case: nothing is proved.');
  }

  drawRoom(d) {
    const chart = this.chart, { dimensions, names, room } = this.facts;
    chart.begin({ left: 4.4, right: 6, top: 2, bottom: 3.2,
      x: { range: [2, 150528], log: true, ticks: [10, 100, 1e3, 1e4, 1e5], format: grouped, title: 'dimension d' },
      y: { range: [.001, 3], log: true, ticks: [.001, .01, .1, 1], format: percent,
        title: 'by how much the neighbour’s σ may be larger' } });
    for (const p of Object.keys(room))
      chart.path(dimensions.map((n, i) => [n, room[p][i]]), Number(p) === this.p ? 'ddrs-curve' : 'ddrs-faint');
    const mine = room[String(this.p)], { rem } = chart, byRoom = Object.keys(room).sort((a, b) => room[b].at(-1) - room[a].at(-1));
    byRoom.forEach((p, k) => chart.write(chart.x1 + .5 * rem, chart.sy(room[byRoom[1]].at(-1)) + 1.2 * (k - 1) * rem,
      `p_A = ${p}`, Number(p) === this.p ? 'ddrs-sigma-name' : 'ddrs-tick', 'start', 'central'));
    dimensions.forEach((n, i) => {
      if (!names[n]) return;
      chart.dot(chart.sx(n), chart.sy(mine[i]), .28 * chart.rem, 'ddrs-share');
      const late = n > 1e5;  // the others stand above all lines, it below them
      chart.write(chart.sx(n) + (late ? 0 : .4 * rem), late ? chart.sy(room[byRoom[2]][i]) + 1.5 * rem
        : chart.sy(room[byRoom[0]][i]) - .5 * rem, names[n], 'ddrs-tick', late ? 'end' : 'start');
    });
    const at = mine[this.place], x = chart.sx(d), y = chart.sy(at);
    chart.line(x, chart.y0, x, y, 'ddrs-limit'); chart.line(chart.x0, y, x, y, 'ddrs-limit');
    chart.dot(x, y, .5 * chart.rem, 'ddrs-grip');
    chart.end();
    this.text('count', percent(at, at < .01 ? 2 : at < .1 ? 1 : 0));
    this.text('said', `is the room in ${grouped(d)} dimensions at p_A = ${this.p}.`);
  }

  drawBand() {
    const chart = this.chart, { bands, distances, reach, pairs, different, outside, sigmas } = this.facts;
    const [low, high] = bands[this.band], shown = this.pairs;
    const [bottom, top] = shown ? [.25, 2] : [.8, 1.25];
    const ticks = shown ? [.25, .35, .5, .7, 1, 1.4, 2] : [.8, .9, 1, 1.1, 1.2];
    chart.begin({ left: 4, right: 1.5, top: 2, bottom: 3.2,
      x: { range: [0, 2.5], ticks: [0, .5, 1, 1.5, 2], format: (v) => `${v} σ₀`, title: 'distance of the neighbour' },
      y: { range: [bottom, top], log: true, ticks, title: 'σ of the neighbour / σ₀' } });
    chart.path([...distances.map((r, i) => [r, high[i]]), ...distances.map((r, i) => [r, low[i]]).reverse()], 'ddrs-band', 'Z');
    chart.line(chart.x0, chart.sy(1), chart.sx(reach), chart.sy(1), 'ddrs-limit');
    chart.write(chart.sx(reach) + .4 * chart.rem, chart.sy(1), 'R', 'ddrs-tick', 'start', 'central');
    if (shown) pairs[0].forEach((far, i) =>
      chart.dot(chart.sx(far), chart.sy(pairs[1][i]), .17 * chart.rem, 'ddrs-pair'));
    chart.end();
    if (shown) {
      this.text('count', `${outside[this.band]} of ${different} outside`);
      this.text('said', `${this.band === 64 ? 'Pairs with different σ.' : `As if they had ${grouped(this.band)} dimensions.`} `
        + `The σ go from ${sigmas[0].toFixed(2)} to ${sigmas[1].toFixed(2)}.`);
    } else {
      this.text('count', `−${percent(1 - low[0], 1)} to +${percent(high[0] - 1, 1)}`);
      this.text('said', `is the room right beside the image; none is left at ${reach.toFixed(2)} σ₀.`);
    }
  }
}

export default mount(Varying);
