// One sigma for all: the radius curves of several points, and what one level is worth for a data set.
import { HUES, Proved, TICKS, dragSigma, drawCurves, sigmaLine } from './curve.js';
import { PlaneMap } from './map.js';
import { PlanePicture } from './plane.js';
import { Chart, down, mount, percent } from './stage.js';

const NOTCHES = 100;

class OneSigma extends PlanePicture {
  constructor(root) {
    super(root);
    this.map = new PlaneMap(this.part('map'), (name, at) => {
      this.points[name] = at; delete this.curves[name]; this.later();
    });
    this.own = new Chart(this.part('own')); this.mean = new Chart(this.part('mean'));
    this.right = new Chart(this.part('right'));
    this.input = root.querySelector('[name=sigma]');
    this.input.max = NOTCHES;
    this.input.oninput = () => {
      const [low, high] = this.bounds;
      this.sigma = low * (high / low) ** (this.input.value / NOTCHES); this.later();
    };
    this.part('decide').onclick = () => {
      const { levels } = this.facts, away = levels.map((level) => Math.abs(Math.log(level / this.sigma)));
      this.decided = this.sigma; this.later();
      this.tell('level', away.indexOf(Math.min(...away)));
    };
  }

  set(facts) {
    const scene = JSON.stringify(facts.scene), same = this.drawn === scene;
    this.drawn = scene;
    super.set(facts);
    if (same) return;  // only the choices of the class are new
    const { points, sigma, view } = facts.scene;
    Object.assign(this, { points: structuredClone(points), sigma, view, curves: {}, decided: null,
      bounds: facts.bounds, proved: new Proved(facts.proved) });
    for (const name of ['own', 'mean', 'right'])
      dragSigma(this.part(name), this[name], this.bounds, (s) => { this.sigma = s; this.later(); });
    this.part('points-side').hidden = view === 'set'; this.part('set-side').hidden = view !== 'set';
  }

  draw() {
    if (!this.world) return;
    const began = performance.now(), { map, world, sigma, view } = this, [low, high] = this.bounds;
    map.begin(world);
    map.smoothed(sigma); map.borderOfSmoothed(sigma);
    this.input.value = Math.round(NOTCHES * Math.log(sigma / low) / Math.log(high / low));
    this.input.setAttribute('aria-valuetext', `sigma ${sigma.toFixed(3)}`);
    this.text('sigma', sigma.toFixed(3));
    if (view === 'set') this.drawSet(); else this.drawPoints();
    this.root.dataset.took = (performance.now() - began).toFixed(1);
  }

  drawPoints() {
    const { map, world, sigma, bounds, points, proved } = this, rows = this.part('rows');
    map.points(world.points, .13 * map.rem, .4);
    rows.replaceChildren();
    for (const [name, at] of Object.entries(points)) {
      const label = world.says(...at);
      this.curves[name] ??= proved.curve(world, at, label, bounds);
      const found = world.at(...at, sigma), radius = proved.radius(world, at, label, sigma);
      if (radius > 0) map.ball(...at, radius, map.text, { fill: .12 });
      map.handle(name, at, { text: name, label: `Point ${name}`, hue: label });
      const row = document.createElement('li'), letter = document.createElement('b');
      letter.textContent = name; letter.style.setProperty('--hue', HUES[name]);
      row.append(letter, radius > 0 ? `R = ${down(radius)}` : found.best === label ? 'abstains' : 'wrong answer');
      rows.append(row);
    }
    map.keep(Object.keys(points)); map.canvas.onpointerdown = null;
    drawCurves(this.own, this.curves, { sigma, bounds, cap: proved.cap, high: .25 });
    this.own.end();
  }

  // Radii and right answers of the training points, when all get the same level.
  drawSet() {
    const { map, world, sigma, bounds, proved, decided } = this, { levels, mean, right } = this.facts;
    map.keep([]);
    let sum = 0, good = 0;
    for (const [x, y, k] of world.points) {
      const radius = proved.radius(world, [x, y], k, sigma);
      sum += radius; good += radius > 0;
      if (radius > 0) map.ball(x, y, radius, map.text, { width: .8, fill: .03 });
    }
    for (const [x, y, k] of world.points) map.judged(x, y, k, proved.radius(world, [x, y], k, sigma) > 0);
    const n = world.points.length, axis = { range: bounds, log: true, ticks: TICKS };
    const top = Math.max(...mean), best = levels[mean.indexOf(top)];
    this.text('now', `mean radius ${down(sum / n)}`);
    this.text('share', `${percent(good / n, 0)} of ${n} training points proved right`);
    this.tellClass();
    this.part('reveal').hidden = decided === null; this.part('decide').hidden = decided !== null;
    if (decided === null) { this.text('verdict', ''); return; }
    this.mean.begin({ left: 3, right: 1, top: 1.8, bottom: .4, x: { ...axis, ticks: [] },
      y: { range: [0, .08], ticks: [0, .04, .08], title: 'mean radius, wrong ones count as 0' } });
    const { counts } = this.facts, most = Math.max(1, ...counts ?? []);
    (counts ?? []).forEach((n, i) => n && this.mean.box(this.mean.sx(levels[i]) - 4, this.mean.y0,
      this.mean.sx(levels[i]) + 4, this.mean.y0 - .6 * n / most * (this.mean.y0 - this.mean.y1), 'ddrs-planned'));
    this.mean.path(levels.map((s, i) => [s, mean[i]]), 'ddrs-curve');
    sigmaLine(this.mean, sigma, ''); this.mean.end();
    this.right.begin({ left: 3, right: 1, top: 1.8, bottom: 3, x: { ...axis, title: 'noise level σ, the same for every point' },
      y: { range: [.5, 1], ticks: [.5, 1], format: (v) => percent(v, 0), title: 'proved right' } });
    this.right.path(levels.map((s, i) => [s, right[i]]), 'ddrs-running');
    sigmaLine(this.right, sigma, ''); this.right.end();
    this.text('verdict', `Your choice: ${decided.toFixed(3)}. The mean radius alone would choose ${best.toFixed(3)}; ${
      percent(1 - right[mean.indexOf(top)], 0)} of the points are lost there.`);
  }

  // What the students of a class have chosen so far; the presenter sees it.
  tellClass() {
    const { counts, levels } = this.facts;
    if (!counts) return;
    const chosen = counts.flatMap((n, i) => new Array(n).fill(levels[i].toFixed(3)));
    this.text('class', !chosen.length ? 'Nobody has chosen yet.' : `${chosen.length} chosen, from ${chosen[0]} to ${
      chosen.at(-1)}; the middle one is ${chosen[Math.floor(chosen.length / 2)]}.`);
  }
}

export default mount(OneSigma);
