// Clopper-Pearson live: a hundred certifications of an image whose p is known, and the cap of N.
import { Chart, Picture, down, grouped, mount, percent, still } from './stage.js';

const TRIES = 100;
const draws = (n, p) => { let k = 0; for (let i = 0; i < n; i++) k += Math.random() < p; return k; };

class Samples extends Picture {
  constructor(root) {
    super(root);
    for (const name of ['columns', 'running', 'caps']) this[name] = new Chart(this.part(name));
    this.bind('place', 'place');
    for (const [name, field] of [['p', 'p'], ['n', 'n'], ['alpha', 'alpha']]) this.bind(name, field);
    root.addEventListener('input', (event) => {
      if (event.target.name !== 'place') this.forget();
    });
    this.part('go').onclick = () => this.certify();
  }

  set(facts) {
    super.set(facts);
    const { view, p, n, alpha } = facts.scene;
    Object.assign(this, { view, alpha });
    if (view === 'tries') Object.assign(this, { p, n });
    else this.place = facts.counts.indexOf(n);
    for (const part of ['tries', 'cap'])
      for (const name of [part, `${part}-side`]) this.part(name).hidden = part !== view;
    this.root.querySelector('[name=place]').max = facts.counts.length - 1;
    for (const name of ['p', 'n', 'alpha', 'place']) this.show(name, this[name]);
    this.forget();
  }

  forget() { Object.assign(this, { counts: [], total: 0, wrong: 0, track: [] }); this.later(); }

  get bounds() { return this.facts.bounds[this.n][this.alpha]; }

  certify() {
    cancelAnimationFrame(this.moving);
    this.counts = [];
    const some = still() ? TRIES : 2;  // a frame
    const move = () => {
      for (let i = 0; i < some && this.counts.length < TRIES; i++) {
        const k = draws(this.n, this.p);
        this.counts.push(k); this.total += 1; this.wrong += this.bounds[k] > this.p;
        this.track.push(1 - this.wrong / this.total);
      }
      this.later();
      if (this.counts.length < TRIES && this.root.isConnected) this.moving = requestAnimationFrame(move);
    };
    move();
  }

  draw() { if (this.view === 'tries') { this.drawTries(); this.drawRunning(); } else this.drawCap(); }

  drawTries() {
    const chart = this.columns, { p, bounds, n } = this, low = p < .75 ? 0 : .5;
    chart.begin({ left: 3.6, right: 4.2, top: 1.7, bottom: 1.4,
      x: { range: [.3, TRIES + .7], ticks: [] },
      y: { range: [low, 1], ticks: low ? [.5, .6, .7, .8, .9, 1] : [0, .25, .5, .75, 1],
        title: 'share of right votes' } });
    const half = Math.max(1.2, (chart.x1 - chart.x0) / TRIES * .32);
    chart.line(chart.x0, chart.sy(.5), chart.x1, chart.sy(.5), 'ddrs-limit');
    const first = this.total - this.counts.length;
    this.counts.forEach((k, i) => {
      const x = chart.sx(i + 1), bound = Math.max(bounds[k], low), bad = bounds[k] > p;
      chart.box(x - half, chart.sy(bound), x + half, chart.sy(1), bad ? 'ddrs-false' : 'ddrs-true');
      if (k / n >= low) chart.dot(x, chart.sy(k / n), half * .9, 'ddrs-share');
    });
    chart.line(chart.x0, chart.sy(p), chart.x1, chart.sy(p), 'ddrs-truth');
    chart.write(chart.x1 + .3 * chart.rem, chart.sy(p), `p = ${p.toFixed(2)}`, 'ddrs-truth-name', 'start', 'central');
    chart.write(chart.x1 + .3 * chart.rem, chart.sy(.5), 'majority', 'ddrs-tick', 'start', low ? 'auto' : 'central');
    const from = this.counts.length ? `tries ${grouped(first + 1)} to ${grouped(this.total)}` : 'a column for every try';
    chart.write((chart.x0 + chart.x1) / 2, chart.height - .3 * chart.rem,
      `${from}: bar from the bound to 1, dot at the share of the votes`, 'ddrs-axis', 'middle');
    chart.end();
    const exact = this.facts.false[n][this.alpha][this.facts.true.indexOf(p)];
    const medium = [...this.counts].sort((a, b) => a - b)[Math.floor(this.counts.length / 2)];
    const abstains = this.counts.filter((k) => bounds[k] <= .5).length;
    this.text('p', p.toFixed(2));
    this.text('wrong', this.total ? `${grouped(this.wrong)} of ${grouped(this.total)} false` : 'none yet');
    this.text('said', `Allowed: ${percent(this.alpha)}. To expect here: ${percent(exact, exact < .01 ? 3 : 1)}.`);
    this.text('more', !this.counts.length ? '' : abstains
      ? `${abstains} of these ${this.counts.length} abstain: the bound is not above ½.`
      : `Typical: p_A = ${down(bounds[medium])}, so R = ${down(this.facts.radii[n][this.alpha][medium])} σ.`);
  }

  drawRunning() {
    const chart = this.running, { alpha, track } = this;
    const lowest = Math.min(1 - 2.5 * alpha, ...track.slice(20), 1 - .01);
    chart.begin({ left: 3.6, right: 4.2, top: 1.7, bottom: 2.6,
      x: { range: [1, Math.max(TRIES, track.length)], ticks: [1, Math.max(TRIES, track.length)], format: grouped,
        title: 'certifications so far' },
      y: { range: [lowest, 1], ticks: [lowest, 1], format: (v) => percent(v, alpha < .01 ? 1 : 0),
        title: 'share of true bounds so far' } });
    const promised = chart.sy(1 - alpha);
    chart.line(chart.x0, promised, chart.x1, promised, 'ddrs-limit');
    chart.write(chart.x1 + .3 * chart.rem, promised, '1 − α', 'ddrs-tick', 'start', 'central');
    if (track.length > 1)
      chart.path(track.map((share, i) => [i + 1, Math.max(share, lowest)]), 'ddrs-running');
    chart.end();
  }

  drawCap() {
    const chart = this.caps, { counts } = this.facts, caps = this.facts.caps[this.alpha];
    const n = counts[this.place], cap = caps[this.place], lowest = this.facts.lowest[this.alpha][this.place];
    chart.begin({ left: 3.4, right: 1.5, top: 2, bottom: 3.2,
      x: { range: [1, 1e5], log: true, ticks: [1, 10, 100, 1e3, 1e4, 1e5], format: grouped,
        title: 'N, votes that all agree' },
      y: { range: [0, 4.3], ticks: [0, 1, 2, 3, 4], format: (v) => `${v} σ`, title: 'largest radius that they prove' } });
    const last = counts.findIndex((_, i) => caps[i] > 0);
    chart.box(chart.x0, chart.y0, chart.sx(counts[last] - .5), chart.y1, 'ddrs-nothing');
    chart.write(chart.x0 + .6 * chart.rem, chart.y1 + 1.4 * chart.rem,
      last > 1 ? `up to ${counts[last] - 1} votes:` : '', 'ddrs-tick');
    chart.write(chart.x0 + .6 * chart.rem, chart.y1 + 2.7 * chart.rem, 'always abstain', 'ddrs-tick');
    chart.path(counts.slice(last).map((m, i) => [m, caps[last + i]]), 'ddrs-curve');
    const x = chart.sx(n), y = chart.sy(cap);
    chart.line(x, chart.y0, x, y, 'ddrs-limit'); chart.line(chart.x0, y, x, y, 'ddrs-limit');
    chart.dot(x, y, .5 * chart.rem, cap > 0 ? 'ddrs-grip' : 'ddrs-grip ddrs-off');
    chart.end();
    const p = lowest > .9995 ? lowest.toFixed(6) : lowest.toFixed(4);
    this.text('count', grouped(n));
    this.text('radius', cap > 0 ? `R ≤ ${down(cap)} σ` : 'abstains');
    this.text('why', cap > 0 ? 'even if every vote agrees' : 'even though every vote agrees');
    this.text('formula', `p_A = ${this.alpha}^(1/${grouped(n)}) = ${p} ${cap > 0 ? '>' : '<'} ½`);
  }
}

export default mount(Samples);
