// A sigma for every input: Algorithm 1 step by step, the response surface, and what both are worth.
import { softRadius } from './ascent.js';
import { HUES, Proved, drawCurves, sigmaLine } from './curve.js';
import { PlaneMap } from './map.js';
import { normals, quantile } from './normal.js';
import { PlanePicture } from './plane.js';
import { Chart, clamp, down, grouped, mount, percent, still } from './stage.js';

const GROUPS = 50;  // of copies, for the curve that the algorithm climbs on average
const HIGH = .25;  // radius that the chart shows
const VIEWS = ['ascent', 'surface', 'rows'];

class OwnSigma extends PlanePicture {
  constructor(root) {
    super(root);
    this.map = new PlaneMap(this.part('map'), (_, at) => { this.at = at; this.name = ''; this.show('point', ''); this.restart(); });
    this.chart = new Chart(this.part('curve'));
    this.part('step').onclick = () => { this.step(); this.later(); };
    this.part('run').onclick = () => this.run();
    this.part('again').onclick = () => this.restart();
    this.part('next').onclick = () => { this.round = Math.min(this.round + 1, this.rounds.length - 1); this.later(); };
    this.part('first').onclick = () => { this.round = 0; this.later(); };
    root.addEventListener('change', (event) => {
      if (event.target.name === 'which') { this.row = event.target.value; this.later(); }
      if (event.target.name === 'point') this.choose(event.target.value);
    });
    this.seed = 0;
  }

  set(facts) {
    super.set(facts);
    const { view, point, row } = facts.scene;
    Object.assign(this, { view, row, bounds: facts.bounds, proved: new Proved(facts.proved) });
    for (const name of VIEWS) this.part(`${name}-side`).hidden = name !== view;
    this.part('curve').toggleAttribute('hidden', view === 'rows'); this.part('choices').hidden = view === 'rows';
    for (const name of ['ascent', 'surface']) this.part(`${name}-buttons`).hidden = name !== view;
    this.table();
    this.choose(point ?? 'B');
  }

  choose(name) {
    this.name = name; this.at = [...this.facts.points[name]]; this.round = 0;
    this.show('point', name);
    this.rounds = this.facts.rounds?.[name] ?? [];
    this.restart();
  }

  restart() {
    cancelAnimationFrame(this.moving);
    Object.assign(this, { sigma: this.facts.start, track: [], last: null, known: null });
    this.later();
  }

  arrived() { this.known = null; }

  // One step of Algorithm 1, with fresh noise.
  step() {
    const { lr, samples, clamp: limit } = this.facts.ascent;
    if (!this.world || this.track.length >= this.facts.ascent.steps) return false;
    const noise = normals(samples, 1 + (this.seed += 1));
    const found = softRadius(this.world, this.at, this.sigma, noise, limit);
    this.last = { ...found, sigma: this.sigma, noise };
    this.track.push([this.sigma, found.radius]);
    this.sigma = clamp(this.sigma + lr * found.gradient, ...this.bounds);
    return true;
  }

  run() {
    cancelAnimationFrame(this.moving);
    if (still()) { while (this.step()); this.later(); return; }
    const move = () => {
      const more = this.step();
      this.later();
      if (more && this.root.isConnected) this.moving = requestAnimationFrame(move);
    };
    move();
  }

  draw() {
    if (!this.world) return;
    const began = performance.now(), { map, world } = this;
    map.begin(world);
    map.base(); map.borderOfNetwork();
    this[`draw_${this.view}`]();
    this.root.dataset.took = (performance.now() - began).toFixed(1);
  }

  // The curves at this point: what votes prove, and what the algorithm climbs on average.
  curves() {
    if (this.known) return this.known;
    const { world, at, bounds, proved } = this, label = world.says(...at), { samples, clamp: limit } = this.facts.ascent;
    this.groups ??= Array.from({ length: GROUPS }, (_, i) => normals(samples, 5000 + i));
    const { points, best } = proved.curve(world, at, label, bounds);
    const soft = points.filter((_, i) => i % 4 === 0)
      .map(([s]) => [s, this.groups.reduce((sum, noise) => sum + softRadius(world, at, s, noise, limit).radius, 0) / GROUPS])
      .filter(([, r]) => r <= HIGH);  // it leaves the chart
    return (this.known = { label, points, best, soft });
  }

  // What the level of the start and the best one would prove.
  otherwise() {
    const { label, best } = this.curves(), { start } = this.facts;
    return `${down(this.proved.radius(this.world, this.at, label, start))} at the start (σ = ${start}), ${down(best[1])} at the best level`;
  }

  frame(extra = {}) {
    const { points, best } = this.curves();
    drawCurves(this.chart, { C: { points, best: [best[0], 0] } }, { bounds: this.bounds,
      cap: this.proved.cap, high: HIGH, ...extra });
  }

  draw_ascent() {
    const { map, at, sigma, last, track, facts, chart } = this, { label, soft } = this.curves();
    map.points(this.world.points, .13 * map.rem, .4);
    const shown = last ?? { noise: normals(facts.ascent.samples, 1), sigma };
    for (let i = 0; i < shown.noise.length; i += 2) {
      const a = at[0] + shown.sigma * shown.noise[i], b = at[1] + shown.sigma * shown.noise[i + 1];
      map.dot(a, b, this.world.says(a, b), .24 * map.rem, map.text);
    }
    const radius = this.proved.radius(this.world, at, label, sigma);
    map.ball(...at, radius, map.text, { fill: .12 });
    map.handle('P', at, { text: this.name || 'P', label: `Point ${this.name || 'P'}`, hue: label }); map.place('P'); map.keep(['P']);
    this.frame();
    chart.path(soft, 'ddrs-soft');
    for (const [s, r] of track) chart.dot(chart.sx(s), chart.sy(clamp(r, 0, HIGH)), .16 * chart.rem, 'ddrs-tried');
    sigmaLine(chart, sigma);
    if (last) {
      const way = [-.16, .16].map((d) => [last.sigma * Math.exp(d), last.radius + last.sigma * last.gradient * d]);
      chart.path(way, 'ddrs-tangent');
      chart.dot(chart.sx(last.sigma), chart.sy(clamp(last.radius, 0, HIGH)), .32 * chart.rem, 'ddrs-here');
    }
    chart.end();
    const { lr, steps, samples } = facts.ascent;
    this.text('count', `step ${track.length} of ${steps}: ${grouped(track.length * samples)} noisy copies`);
    this.part('rule').innerHTML = last ? `<i>σ</i> ← ${last.sigma.toFixed(4)} + ${lr} · ${last.gradient.toFixed(2).replace('-', '−')} = <b>${sigma.toFixed(4)}</b>`
      : '<i>σ</i> ← <i>σ</i> + lr · d<i>R</i>/d<i>σ</i>';
    this.text('worth', `R = ${down(radius)} at this σ; ${this.otherwise()}.`);
  }

  draw_surface() {
    const { map, at, chart, round, rounds } = this, fit = rounds[round], { label } = this.curves();
    map.points(this.world.points, .13 * map.rem, .4);
    if (!fit) return;
    const best = fit.chosen ?? fit.levels[fit.radius.indexOf(Math.max(...fit.radius))];
    const radius = this.proved.radius(this.world, at, label, best);
    map.ball(...at, radius, map.text, { fill: .12 });
    map.handle(this.name, at, { text: this.name, label: `Point ${this.name}`, hue: label });
    map.keep([this.name]); map.canvas.onpointerdown = null;
    this.frame();
    const inside = fit.levels.map((s, i) => [s, i]).filter(([s]) => s >= this.bounds[0] && s <= this.bounds[1] * 1.0001);
    const edge = (name) => inside.map(([s, i]) => [s, clamp(fit[name][i], 0, HIGH)]);
    chart.path([...edge('low'), ...edge('high').reverse()], 'ddrs-fit-band', 'Z');
    chart.path(edge('radius'), 'ddrs-running');
    for (const [s, i] of inside) {
      if (!fit.n[i]) continue;
      const share = fit.held[i] / fit.n[i], whole = fit.held[i] === fit.n[i];
      const y = clamp(s * Math.min(quantile(share), this.proved.cap), 0, HIGH);
      chart.dot(chart.sx(s), chart.sy(y), (.12 + .03 * Math.sqrt(fit.n[i])) * chart.rem, whole ? 'ddrs-votes ddrs-whole' : 'ddrs-votes');
      if (fit.planned[i]) chart.box(chart.sx(s) - 3, chart.y0, chart.sx(s) + 3, chart.y0 - .05 * fit.planned[i] * chart.rem, 'ddrs-planned');
    }
    sigmaLine(chart, best, fit.chosen ? `σ* = ${best.toFixed(3)}` : `σ = ${best.toFixed(3)}`);
    chart.end();
    const votes = fit.n.reduce((a, b) => a + b, 0);
    this.text('votes', fit.chosen ? `chosen, after at most ${this.facts.votes} votes` : `round ${round + 1}: ${votes} votes`);
    this.part('next').disabled = round === rounds.length - 1;
    this.text('expects', `R = ${down(radius)} there; ${this.otherwise()}.`);
  }

  draw_rows() {
    const { map, world, facts, row } = this, { sigmas, radii } = facts.rows.find(({ name }) => name === row);
    map.keep([]); map.canvas.onpointerdown = null;
    world.fresh.forEach(([x, y], i) => {
      if (radii[i] > 0) map.ball(x, y, radii[i], map.text, { width: .8, fill: .03 });
    });
    world.fresh.forEach(([x, y, k], i) => map.judged(x, y, k, radii[i] > 0));
    const levels = [...sigmas].sort((a, b) => a - b), at = (q) => levels[Math.floor(q * (levels.length - 1))].toFixed(3);
    this.text('range', at(0) === at(1) ? `Every point gets σ = ${at(0)}.`
      : `Half of the points get a σ between ${at(.25)} and ${at(.75)}, the others less or more.`);
  }

  table() {
    const body = this.part('table');
    body.replaceChildren(...(this.facts.rows ?? []).map(({ name, title, badge, passes, mean, right, at }) => {
      const line = document.createElement('tr');
      line.innerHTML = `<th scope="row"><label><input type="radio" name="which"> <span></span></label> <small></small></th>`
        + `<td>${passes ? grouped(passes) : '–'}</td><td>${down(mean)}</td><td>${percent(right, 0)}</td><td>${percent(at, 0)}</td>`;
      const input = line.querySelector('input');
      input.value = name; input.checked = name === this.row;
      line.querySelector('span').textContent = title;
      line.querySelector('small').innerHTML = badge;
      return line;
    }));
  }
}

export default mount(OwnSigma);
