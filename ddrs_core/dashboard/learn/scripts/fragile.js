// An attack on a network: the length of a change is dragged, and the answer flips.
import { Chart, Picture, grouped, mount, percent } from './stage.js';

const GAIN = 3;  // of the shown change
const paint = (canvas, shade) => {
  const to = canvas.getContext('2d'), image = to.createImageData(8, 8);
  for (let p = 0; p < 64; p++) image.data.set([...shade(p), 255], 4 * p);
  to.putImageData(image, 0, 0);
};
const grey = (value) => Array(3).fill(255 * value);
const signed = (value) => (value < 0  // blue takes light away, orange adds some
  ? [255 + 255 * value, 255 + 141 * value, 255 + 77 * value]
  : [255 - 42 * value, 255 - 161 * value, 255 - 255 * value]);

class Fragile extends Picture {
  constructor(root) {
    super(root);
    this.bars = new Chart(this.part('bars')); this.curve = new Chart(this.part('curve'));
    this.bind('size', 'size'); this.bind('image', 'image'); this.bind('kind', 'kind', String);
  }

  set(facts) {
    super.set(facts);
    Object.assign(this, { kind: 'attack', image: 0, crossed: new Set() }, facts.scene);
    for (const name of ['image', 'all']) this.part(name).hidden = name !== this.view;
    this.part('image-side').hidden = this.view !== 'image';
    for (const name of ['size', 'kind', 'image']) this.show(name, this[name]);
    facts.images.forEach((image, k) => paint(this.part(`thumb${k}`), (p) => grey(image.pixels[p])));
  }

  get place() { return Math.round(this.size * (this.facts.sizes.length - 1)); }

  // Random directions were judged at a few lengths only, so those are offered.
  draw() {
    const few = this.view === 'all' || this.kind === 'random', step = few ? this.facts.coarse[1] : this.facts.sizes[1];
    this.root.querySelector('[name=size]').step = step;
    this.size = Math.round(this.size / step) * step;
    this.show('size', this.size);
    this.text('size', this.size.toFixed(2));
    if (this.view === 'image') this.drawImage(); else this.drawAll();
  }

  drawImage() {
    const image = this.facts.images[this.image], change = image.changes[this.kind];
    const said = image.said[this.kind][this.place];
    const best = said.indexOf(Math.max(...said)), right = best === image.label;
    paint(this.part('before'), (p) => grey(image.pixels[p]));
    paint(this.part('change'), (p) => signed(Math.max(-1, Math.min(1, GAIN * this.size * change[p]))));
    paint(this.part('after'), (p) => grey(Math.max(0, Math.min(1, image.pixels[p] + this.size * change[p]))));
    this.text('was', String(image.label)); this.text('is', String(best));
    this.root.querySelector('.ddrs-sum').classList.toggle('ddrs-flipped', !right);
    const chart = this.bars;
    chart.begin({ left: 3.4, right: 1, top: 1.8, bottom: 1.7,
      x: { range: [-.6, 9.6], ticks: said.map((_, k) => k) },
      y: { range: [0, 1], ticks: [0, .5, 1], format: (v) => percent(v), title: 'confidence of the network' } });
    const half = (chart.sx(1) - chart.sx(0)) * .36;
    said.forEach((share, k) => chart.box(chart.sx(k) - half, chart.sy(0), chart.sx(k) + half, chart.sy(share / 1000),
      k === image.label ? 'ddrs-label' : k === best ? 'ddrs-false' : 'ddrs-other'));
    chart.end();
    const at = Math.round(this.size * (this.facts.coarse.length - 1));
    if (this.kind === 'attack') {
      this.text('count', right ? 'still right' : `${image.label} has become ${best}`);
      if (!right) this.crossed.add(this.image);
      this.text('said', this.crossed.has(this.image)
        ? `This attack flips the answer at a length of ${image.distance.toFixed(3)}.` : 'at this length of the attack.');
    } else {
      this.text('count', `${grouped(image.flips[at])} of ${grouped(image.directions)}`);
      const known = this.facts.scene.kind === 'random' || this.crossed.has(this.image);
      this.text('said', `random directions of length ${this.size.toFixed(2)} change the answer.${
        known ? ` The attack needs ${image.distance.toFixed(3)}.` : ''}`);
    }
  }

  drawAll() {
    const chart = this.curve, { distances, random, coarse, sizes } = this.facts, size = sizes[this.place];
    const right = (r) => distances.filter((distance) => distance > r).length / distances.length;
    chart.begin({ left: 3.8, right: 7.5, top: 1.8, bottom: 3.2,
      x: { range: [0, 1], ticks: [0, .2, .4, .6, .8, 1], title: 'length of the change' },
      y: { range: [0, 1], ticks: [0, .25, .5, .75, 1], format: (v) => percent(v), title: 'still right, of a hundred images' } });
    chart.path(coarse.map((r, i) => [r, random[i]]), 'ddrs-drawn');
    chart.path(sizes.flatMap((r, i) => (i ? [[r, right(sizes[i - 1])], [r, right(r)]] : [[r, right(r)]])), 'ddrs-chosen');
    chart.write(chart.x1 + .5 * chart.rem, chart.sy(random.at(-1)), 'drawn', 'ddrs-drawn-name', 'start', 'central');
    chart.write(chart.x1 + .5 * chart.rem, chart.sy(right(1)), 'chosen', 'ddrs-chosen-name', 'start', 'central');
    const x = chart.sx(size), at = Math.round(size * (coarse.length - 1));
    chart.line(x, chart.y0, x, chart.y1, 'ddrs-limit');
    chart.dot(x, chart.sy(right(size)), .45 * chart.rem, 'ddrs-false');
    chart.end();
    this.text('count', `${percent(right(size), 0)} survive`);
    this.text('said', `a chosen change of length ${size.toFixed(2)}; ${percent(random[at], 1)} a random one.`);
  }
}

export default mount(Fragile);
