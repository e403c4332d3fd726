// The playground: points, network, noise levels and memory of the plane, all open.
import { Proved, dragSigma, drawCurves } from './curve.js';
import { COLOURS, NAMES, PlaneMap, css } from './map.js';
import { PlanePicture } from './plane.js';
import { settleAll } from './settle.js';
import { Chart, down, grouped, mount, percent } from './stage.js';

const USUAL = { data: 'moons', seed: 1, width: 32, noise: 0, start: 0, own: '', sigma: .05,
  view: 'vote', field: 'one', x: .5, y: .5, bank: '' };
const PROBLEM = ['data', 'seed', 'width', 'noise', 'start', 'own'];
const MOST = 120, LARGE = .25;  // points; the radius of full strength
const hex = (v) => Math.round(255 * v).toString(16).padStart(2, '0');
const groups = (text, size) => text.match(new RegExp(`.{${size}}`, 'g')) ?? [];
const place = (text) => [parseInt(text.slice(0, 2), 16) / 255, parseInt(text.slice(2, 4), 16) / 255];

class Playground extends PlanePicture {
  constructor(root) {
    super(root);
    this.lowest = 1;
    this.map = new PlaneMap(this.part('map'), (name, at) => this.touch(name, at));
    this.chart = new Chart(this.part('curve'));
    this.bindNoise();
    this.told = new Set();
    this.part('curve').addEventListener('pointerup', () => this.report());
    root.addEventListener('change', (event) => this.changed(event.target));
    for (const [name, act] of Object.entries({
      other: () => { this.start = (this.start + 1) % 10000; this.problem(); },
      train: () => { this.own = this.drawn.map(([x, y, k]) => hex(x) + hex(y) + k).join(''); this.problem(); },
      store: () => { this.bank += hex(this.x) + hex(this.y); this.report(); },
      forget: () => { this.bank = ''; this.report(); },
      clear: () => { this.drawn = []; this.pen = this.pen < 0 ? 0 : this.pen; this.show('pen', this.pen); this.later(); },
    })) this.part(name).onclick = () => { act(); this.later(); };
  }

  set(facts) {
    const { state } = facts.scene;
    if (this.told.has(state)) { this.facts = facts; return; }  // an echo of what was reported
    const found = Object.fromEntries(new URLSearchParams(state));
    for (const [name, usual] of Object.entries(USUAL))
      this[name] = name in found ? (typeof usual === 'number' ? Number(found[name]) : found[name]) : usual;
    this.proved = new Proved(facts.proved);
    this.drawn = groups(this.own, 5).map((text) => [...place(text), Number(text[4])]);
    this.pen = -1;
    this.facts = facts;
    this.problem(false);
    dragSigma(this.part('curve'), this.chart, facts.bounds, (s) => { this.sigma = s; this.later(); });
  }

  // Ask for the world of the points and the network that are chosen.
  problem(report = true) {
    const query = new URLSearchParams(PROBLEM.filter((name) => name !== 'own' || this.own).map((name) => [name, this[name]]));
    super.set({ ...this.facts, world: `${this.facts.route}?${query}` });
    for (const name of ['data', 'width', 'view', 'field']) this.show(name, this[name]);
    this.show('blur', this.noise);
    if (this.own) this.show('data', 'own');
    this.pen = -1; this.show('pen', -1);
    if (report) this.report();
  }

  arrived() { this.known = null; }

  changed({ name, value }) {
    if (name === 'data') {
      if (value === 'own') { this.pen = 0; this.show('pen', 0); }
      else { Object.assign(this, { data: value, own: '', drawn: [], bank: '' }); this.problem(); }
    } else if (name === 'width' || name === 'blur') {
      this[name === 'blur' ? 'noise' : name] = Number(value); this.problem();
    } else if (name === 'noise') this.report();
    else if (name === 'pen') this.pen = Number(value);
    else if (name === 'view' || name === 'field') { this[name] = value; this.report(); }
    this.later();
  }

  touch(name, [x, y]) {
    Object.assign(this, { x, y });
    clearTimeout(this.soon); this.soon = setTimeout(() => this.report(), 400);
    this.later();
  }

  // Tell the server what the address should say.
  report() {
    const kept = new URLSearchParams();
    for (const [name, usual] of Object.entries(USUAL)) {
      const value = typeof usual === 'number' ? Number(this[name].toFixed(4)) : this[name];
      if (value !== usual) kept.set(name, value);
    }
    const state = kept.toString();
    this.told.add(state); this.tell('state', state);
  }

  // Of every point of the grid: the class that wins at the start level, and its largest radius.
  best() {
    const { world, proved, facts, sigma } = this, size = world.grid ** 2;
    if (this.known?.sigma === sigma) return this.known;
    const radius = new Float32Array(size), answer = new Uint8Array(size), start = world.fields(sigma);
    for (let i = 0; i < size; i++)
      for (let k = 1; k < start.length; k++) if (start[k][i] > start[answer[i]][i]) answer[i] = k;
    world.sigmas.forEach((level, s) => {
      if (level > facts.bounds[1]) return;
      for (let i = 0; i < size; i++)
        radius[i] = Math.max(radius[i], level * proved.at(world.levels[s][answer[i]][i]));
    });
    return (this.known = { sigma, radius, answer });
  }

  // Class, level and radius at a point: at the one level, or at its own best one for the class
  // that wins at the start level.
  judge(x, y) {
    const { world, proved, facts } = this, { best } = world.at(x, y, this.sigma);
    const levels = this.field === 'one' ? [this.sigma] : world.sigmas.filter((s) => s <= facts.bounds[1]);
    return levels.map((sigma) => {
      const { z, p } = world.at(x, y, sigma), radius = sigma * proved.at(z[best]);
      return { x, y, sigma, p: p[best], best, k: radius > 0 ? best : null, radius };
    }).reduce((a, b) => (b.radius > a.radius ? b : a));
  }

  draw() {
    const { map, pen } = this;
    this.showNoise(); this.drawing();
    if (!this.world) return;
    const began = performance.now();
    map.begin(this.world);
    map.canvas.onpointerdown = null;
    if (pen >= 0) { this.paper(); return; }
    this.regions();
    if (this.own) map.points(this.drawn, .26 * map.rem); else map.points(this.world.points, .16 * map.rem, .7);
    this.memory();
    this.point();
    this.root.dataset.took = (performance.now() - began).toFixed(1);
  }

  regions() {
    const { map, world, sigma, view, field, proved } = this, n = world.grid;
    if (view === 'network') { map.base(); map.borderOfNetwork(); return; }
    if (field === 'best') {
      const { radius, answer } = this.best();
      map.fill(n, (i, j) => [COLOURS[answer[j * n + i]], .06 + .7 * Math.min(1, radius[j * n + i] / LARGE)]);
      map.borderOfNetwork(); map.borderOfSmoothed(sigma);
    } else if (view === 'radius') {
      const fields = world.fields(sigma);
      map.fill(n, (i, j) => {
        let k = 0;
        for (let c = 1; c < fields.length; c++) if (fields[c][j * n + i] > fields[k][j * n + i]) k = c;
        return [COLOURS[k], .04 + .72 * Math.min(1, sigma * proved.at(fields[k][j * n + i]) / LARGE)];
      });
      map.borderOfNetwork(); map.borderOfSmoothed(sigma);
    } else { map.smoothed(sigma); map.borderOfNetwork(); map.borderOfSmoothed(sigma); }
  }

  // P, its ball, and the points inside whose own level gives another answer.
  point() {
    const { map, world, x, y } = this, found = this.judge(x, y), n = world.grid;
    let others = 0, inside = 0;
    if (found.radius > 0) {
      map.ball(x, y, found.radius, map.text, { fill: .1 });
      if (this.field === 'best') {
        const { answer, radius } = this.best();
        for (let j = 0; j < n; j++) {
          for (let i = 0; i < n; i++) {
            const [a, b] = [(i + .5) / n, (j + .5) / n];
            if (Math.hypot(a - x, b - y) >= found.radius || !radius[j * n + i]) continue;
            inside += 1;
            if (answer[j * n + i] !== found.k) { others += 1; map.mark(a, b); }
          }
        }
      }
    }
    map.handle('P', [x, y], { text: 'P', label: 'Point P', hue: world.says(x, y) });
    map.place('P'); map.keep(['P']);
    const part = this.part('answer');
    this.text('answer', found.k === null ? 'abstains' : `${NAMES[found.best]}, R = ${down(found.radius)}`);
    part.style.setProperty('--hue', css(found.best));
    this.text('why', `σ = ${found.sigma.toFixed(3)}: ${percent(found.p)} of the noise is ${NAMES[found.best]}.`);
    this.part('badge').innerHTML = this.facts.badges[this.field];
    this.text('gap', !inside ? '' : others ? `${percent(others / inside, 0)} of the points in this ball (crosses) answer differently with their own σ.`
      : 'All points in this ball give the same answer with their own σ.');
    const label = found.best, { points, best } = this.proved.curve(world, [x, y], label, this.facts.bounds);
    drawCurves(this.chart, { C: { points, best: [best[0], this.field === 'best' ? best[1] : 0], text: 'own σ' } }, {
      sigma: this.field === 'one' && this.sigma <= this.facts.bounds[1] ? this.sigma : null,
      bounds: this.facts.bounds, cap: this.proved.cap, high: .25, ticks: [0, .1, .2] });
    this.chart.end();
  }

  memory() {
    const { map } = this, list = settleAll(groups(this.bank, 4).map((text) => this.judge(...place(text))));
    for (const { x, y, k, radius, outcome } of list) {
      if (k === null) continue;
      if (outcome !== 'adopted') map.ball(x, y, radius, css(k), { fill: .25, width: 2.2, dash: outcome === 'trimmed' ? [6, 4] : [] });
      map.dot(x, y, k, .3 * map.rem, map.text);
    }
    const last = list.at(-1), said = { untouched: 'kept as it is', trimmed: 'trimmed: it ends where another class begins',
      adopted: 'adopted: it lies in a ball of another class and takes its answer', enlarged: 'enlarged: a ball of its class around it proves more',
      rescued: 'rescued: it abstained inside a stored ball', abstains: 'not stored: it abstains' };
    const name = this.part('level');
    name.textContent = this.field === 'one' ? 'one noise level' : 'starting at';
    this.text('stored', last ? `${grouped(list.length)} stored; the last: ${said[last.outcome]} (R ${down(last.claimed)} → ${down(last.radius)}).`
      : 'Store balls, nearer and nearer to a border.');
    this.part('forget').disabled = !list.length;
    this.part('store').disabled = list.length >= MOST;
  }

  // Points drawn by hand, until a network is trained on them.
  paper() {
    const { map } = this;
    map.fill(1, () => [map.paper, 1]); map.points(this.drawn, .26 * map.rem);
    map.canvas.onpointerdown = (event) => this.put(map.spot(event));
    map.handle('pen', [this.x, this.y], { label: 'Pen: Enter puts a point', hue: this.pen }); map.keep(['pen']);
    map.handles.get('pen').onclick = (event) => { if (!event.detail) this.put([this.x, this.y]); };
  }

  // Add a point, or take the one away that is there.
  put([x, y]) {
    const near = this.drawn.findIndex(([a, b]) => Math.hypot(a - x, b - y) < .02);
    if (near >= 0) this.drawn.splice(near, 1);
    else if (this.drawn.length < MOST) this.drawn.push([x, y, this.pen]);
    this.later();
  }

  drawing() {
    const on = this.pen >= 0, classes = new Set(this.drawn.map(([, , k]) => k)).size;
    this.part('draw-side').hidden = !on; this.part('look-side').hidden = on;
    this.part('train').disabled = classes < 2;
    this.text('drawn', `${this.drawn.length} points. Press on the picture to add one, on a point to take it away.`
      + (classes < 2 ? ' Two classes are needed.' : ''));
  }
}

export default mount(Playground);
