// Radius curves in the plane: what N votes are expected to prove at each noise level.
import { clamp } from './stage.js';

export const HUES = { A: '#009E73', B: '#CC79A7', C: '#E69F00', D: '#7A5BD0' };
export const TICKS = [.015, .03, .05, .1, .2];
const NOTCHES = 80;

/** What votes prove: the probit of a class and the radius over sigma, tables of the server. */
export class Proved {
  constructor({ z, proved }) { Object.assign(this, { z, proved }); }

  at(z) {
    const { z: grid, proved } = this, last = grid.length - 1;
    const place = clamp((z - grid[0]) / (grid[last] - grid[0]), 0, 1) * last;
    const i = Math.min(Math.floor(place), last - 1), way = place - i;
    return proved[i] + way * (proved[i + 1] - proved[i]);
  }

  get cap() { return this.proved[this.proved.length - 1]; }

  // The radius for one class at a point; 0 where it loses the vote.
  radius(world, [x, y], k, sigma) { return sigma * this.at(world.at(x, y, sigma).z[k]); }

  // Its curve: [[sigma, radius], ...], the best of them in the middle of `best`.
  curve(world, at, k, [low, high]) {
    const points = Array.from({ length: NOTCHES + 1 }, (_, i) => {
      const sigma = low * (high / low) ** (i / NOTCHES);
      return [sigma, this.radius(world, at, k, sigma)];
    });
    return { points, best: points.reduce((a, b) => (b[1] > a[1] ? b : a)) };
  }
}

/** Let a pointer on a chart whose x axis is the noise level move it. */
export const dragSigma = (svg, chart, [low, high], moved) => {
  svg.classList.add('ddrs-hand');
  svg.onpointerdown = (event) => {
    if (event.button) return;
    const move = (at) => {
      const x = at.clientX - svg.getBoundingClientRect().left, { x0, x1 } = chart;
      moved(low * (high / low) ** clamp((x - x0) / (x1 - x0), 0, 1));
    };
    svg.setPointerCapture(event.pointerId); move(event); svg.onpointermove = move;
  };
  svg.onpointerup = svg.onpointercancel = () => { svg.onpointermove = null; };
};

/** Draw curves of points by name: {A: {points, best}}, a line at sigma, and the cap of the votes. */
export const drawCurves = (chart, curves, { sigma, bounds, cap, high,
  ticks = [0, .05, .1, .15, .2, .25] }) => {
  chart.begin({ left: 3, right: 1, top: 2, bottom: 3.2,
    x: { range: bounds, log: true, ticks: TICKS, title: 'noise level σ' },
    y: { range: [0, high], ticks: ticks.filter((v) => v <= high), title: 'certified radius R' } });
  const [low] = bounds, most = Math.min(bounds[1], high / cap);
  chart.path(Array.from({ length: 20 }, (_, i) => low * (most / low) ** (i / 19)).map((s) => [s, cap * s]), 'ddrs-cap');
  for (const [name, { points, best, text }] of Object.entries(curves)) {
    const hue = `" style="--hue:${HUES[name]}`;
    chart.path(points, `ddrs-own-curve${hue}`);
    if (best[1] > 0) {
      chart.dot(chart.sx(best[0]), chart.sy(best[1]), .3 * chart.rem, `ddrs-own-dot${hue}`);
      const early = chart.sx(best[0]) < chart.x0 + 2 * chart.rem;  // away from the ticks of the axis
      chart.write(chart.sx(best[0]) + (early ? .5 * chart.rem : 0), chart.sy(best[1]) - .6 * chart.rem, text ?? name,
        'ddrs-sigma-name', early ? 'start' : 'middle');
    }
  }
  if (sigma) sigmaLine(chart, sigma, '');  // its slider shows it
};

export const sigmaLine = (chart, sigma, name = `σ = ${sigma.toFixed(3)}`) => {
  const x = chart.sx(sigma);
  chart.line(x, chart.y0, x, chart.y1, 'ddrs-sigma-line');
  chart.write(chart.x1, chart.y1 - .8 * chart.rem, name, 'ddrs-sigma-name', 'end');  // above all data
};
