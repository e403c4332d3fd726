// What a certificate does not say: a ruler, certified nonsense, and plots with a flaw.
import { Chart, Picture, down, mount, percent } from './stage.js';

const thumb = (pixels) => {
  const canvas = document.createElement('canvas');
  canvas.width = canvas.height = 8;
  const to = canvas.getContext('2d'), image = to.createImageData(8, 8);
  pixels.forEach((v, p) => image.data.set([255 * v, 255 * v, 255 * v, 255], 4 * p));
  to.putImageData(image, 0, 0);
  return canvas;
};
const card = ({ pixels }, ...lines) => {
  const figure = document.createElement('figure'), caption = document.createElement('figcaption');
  caption.append(...lines.map((line, i) => Object.assign(document.createElement(i ? 'span' : 'b'), { textContent: line })));
  figure.append(thumb(pixels), caption);
  return figure;
};
const said = (one) => (one.answer < 0 ? 'abstains' : `answer ${one.answer}`);

class Limits extends Picture {
  constructor(root) {
    super(root);
    this.chart = new Chart(this.part('plot'));
    this.part('reveal').onclick = () => { this.open = !this.open; this.later(); };
  }

  set(facts) {
    super.set(facts);
    Object.assign(this, { view: facts.scene.view, open: false });
    const claim = facts.claims[this.view];
    for (const name of ['ruler', 'nonsense']) this.part(name).hidden = this.view !== name;
    this.part('claim').hidden = this.part('reveal').hidden = !claim;
    this.part('plot').toggleAttribute('hidden', this.view === 'nonsense');
    if (claim) this.text('claim', `“${claim[0]}”`);
    this.part('ruler').replaceChildren(...facts.ruler.map((one) => card(one, one.name, said(one))));
    this.part('nonsense').replaceChildren(...facts.nonsense.map((one) =>
      card(one, one.name, `certified: ${one.answer}`, `within R = ${down(one.radius)}`)));
  }

  draw() {
    const claim = this.facts.claims[this.view];
    if (claim) {
      this.part('claim').classList.toggle('ddrs-flawed', this.open);
      this.text('reveal', this.open ? 'Show the claim again' : 'Show the flaw');
      this.text('count', this.open ? 'The flaw' : 'What is wrong?');
      this.text('said', this.open ? claim[1] : 'Discuss it first.');
    }
    this[this.view]();
  }

  ruler() {
    const { ruler } = this.facts, chart = this.chart, radius = ruler[0].radius, last = ruler.at(-1).distance;
    chart.begin({ left: 3, right: 3, top: 1, bottom: 3.4, x: { range: [0, 1.04 * last], ticks: [0, .5, 1, 1.5, 2, 2.5, 3],
      title: 'ℓ₂ distance from the image' }, y: { range: [0, 1], ticks: [] } });
    const base = chart.y0 - .2 * chart.rem, cards = [...this.part('ruler').children];
    const box = chart.svg.getBoundingClientRect();
    chart.box(chart.x0, base - 1.1 * chart.rem, chart.sx(radius), base + .2 * chart.rem, 'ddrs-band');
    chart.line(chart.x0, base + .2 * chart.rem, chart.x1, base + .2 * chart.rem, 'ddrs-limit');
    ruler.forEach((one, k) => {
      const from = cards[k].getBoundingClientRect(), x = chart.sx(one.distance);
      const kind = one.answer === ruler[0].answer ? 'ddrs-same' : 'ddrs-changed';
      cards[k].className = kind;
      chart.line(from.left + from.width / 2 - box.left, 0, x, base - .5 * chart.rem, `ddrs-thread ${kind}`);
      chart.dot(x, base - .5 * chart.rem, .4 * chart.rem, kind);
    });
    chart.end();
    this.text('count', `R = ${down(radius)}`);
    this.text('said', `One pixel to the right is ${last.toFixed(2)} away.`);
  }

  nonsense() {
    this.text('count', 'all certified');
    this.text('said', 'by 10,000 votes at σ = 0.25 and α = 0.001.');
  }

  // Curves of certified accuracy: {label: [values, style]}.
  curves(shown) {
    const { radii } = this.facts, chart = this.axes(), { rem } = chart;
    Object.entries(shown).forEach(([label, [values, kind]], k) => {
      chart.path(radii.map((r, i) => [r, values[i]]), kind);
      radii.forEach((r, i) => chart.dot(chart.sx(r), chart.sy(values[i]), .22 * rem, `ddrs-mark ${kind}`));
      const y = chart.y1 + (1.2 + 1.6 * k) * rem, x = chart.x1 - 10 * rem;
      chart.add(`<path class="${kind}" d="M${x} ${y}h${1.6 * rem}"/>`);
      chart.write(x + 2.1 * rem, y, label, `ddrs-name ${kind}`, 'start', 'central');
    });
    chart.end();
  }

  axes() {
    this.chart.begin({ left: 3.8, right: 5, top: 1.8, bottom: 3.2,
      x: { range: [0, 1], ticks: this.facts.radii, title: 'radius r' },
      y: { range: [0, 1], ticks: [0, .25, .5, .75, 1], format: (v) => percent(v), title: 'certified accuracy' } });
    return this.chart;
  }

  baseline() {
    const { own, training, tuned } = this.facts.accuracy;
    this.curves({ 'a σ for every image': [own, 'ddrs-hero'], 'fixed σ': [training, 'ddrs-plain'],
      ...(this.open ? { 'one σ, tuned': [tuned, 'ddrs-tuned'] } : {}) });
  }

  envelope() {
    const { small, tuned, training } = this.facts.accuracy;
    const best = small.map((share, i) => Math.max(share, tuned[i], training[i]));
    this.curves(this.open
      ? { 'σ = 0.25': [small, 'ddrs-hero'], 'σ = 0.30': [tuned, 'ddrs-tuned'], 'σ = 0.50': [training, 'ddrs-plain'] }
      : { 'our method': [best, 'ddrs-hero'], 'σ = 0.50': [training, 'ddrs-plain'] });
  }

  mean() {
    const { mean, right } = this.facts, values = this.open ? right : mean, top = this.open ? 1 : 2.5;
    const chart = this.chart, names = ['ours', 'smoothed, own σ', 'smoothed, one σ'];
    chart.begin({ left: 3.8, right: 1, top: 1.8, bottom: 2, x: { range: [.4, 3.6], ticks: [1, 2, 3], format: (k) => names[k - 1] },
      y: { range: [0, top], ticks: this.open ? [0, .25, .5, .75, 1] : [0, .5, 1, 1.5, 2, 2.5], format: this.open ? (v) => percent(v) : String,
        title: this.open ? 'certified accuracy at r = 0' : 'average certified radius' } });
    values.forEach((value, k) => {
      const x = chart.sx(k + 1), half = .28 * (chart.sx(2) - chart.sx(1));
      chart.box(x - half, chart.sy(0), x + half, chart.sy(value), k ? 'ddrs-other' : 'ddrs-hero-bar');
      chart.write(x, chart.sy(value) - .5 * chart.rem, this.open ? percent(value) : value.toFixed(2), 'ddrs-value', 'middle');
    });
    chart.end();
  }

  rounded() {
    const chart = this.chart, printed = [.71, .72, .73, .74, .75, .76], { near } = this.facts;
    const count = (from, to) => near.filter((r) => r >= from && r < to).length;
    chart.begin({ left: 3.8, right: 1, top: 1.8, bottom: 3.2, x: { range: [.705, .765], ticks: printed,
      format: (r) => r.toFixed(2), title: 'certified radius as printed' },
    y: { range: [0, 160], ticks: [0, 50, 100, 150], title: 'images' } });
    const half = .38 * (chart.sx(.72) - chart.sx(.71)), { rem } = chart;
    for (const r of printed) {
      const all = count(r - .005, r + .005), false_ = this.open && r === .75 ? count(.745, .75) : 0, x = chart.sx(r);
      chart.box(x - half, chart.sy(0), x + half, chart.sy(all), r < .75 ? 'ddrs-other' : 'ddrs-label');
      if (false_) chart.box(x - half, chart.sy(0), x + half, chart.sy(false_), 'ddrs-false');
      chart.write(x, chart.sy(all) - .5 * rem, String(all), 'ddrs-value', 'middle');
      if (false_) chart.write(x, chart.sy(false_) - .5 * rem, `${false_} below`, 'ddrs-on-bar', 'middle');
    }
    chart.end();
  }

  runs() {
    const chart = this.chart, { parts, all } = this.facts.runs, best = Math.max(...parts);
    chart.begin({ left: 3.8, right: 7, top: 1.8, bottom: 3.2, x: { range: [0, parts.length + 1], ticks: this.open ? [1, 5, 10, 15, 20] : [],
      title: this.open ? 'run' : '' }, y: { range: [0, 1], ticks: [0, .25, .5, .75, 1], format: (v) => percent(v), title: 'certified accuracy at r = 0.5' } });
    parts.forEach((share, k) => {
      if (this.open || share === best && k === parts.indexOf(best))
        chart.dot(chart.sx(this.open ? k + 1 : (parts.length + 1) / 2), chart.sy(share), .5 * chart.rem, share === best ? 'ddrs-false' : 'ddrs-other');
    });
    if (this.open) {
      chart.line(chart.x0, chart.sy(all), chart.x1, chart.sy(all), 'ddrs-truth');
      chart.write(chart.x1 + .4 * chart.rem, chart.sy(all), `all: ${percent(all)}`, 'ddrs-truth-name', 'start', 'central');
    }
    chart.write(chart.x1 + .4 * chart.rem, chart.sy(best), `${this.open ? 'best: ' : ''}${percent(best)}`, 'ddrs-b-name', 'start', 'central');
    chart.end();
  }
}

export default mount(Limits);
