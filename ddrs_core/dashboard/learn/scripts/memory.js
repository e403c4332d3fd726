// Balls that contradict each other, the memory that trims them, and orders of arrival.
import { Chart, Picture, down, mount } from './stage.js';

const style = (answer) => ({ 9: 'ddrs-nine', 3: 'ddrs-three' })[answer] ?? 'ddrs-none';

class Memory extends Picture {
  constructor(root) {
    super(root);
    this.chart = new Chart(this.part('balls'));
    this.bind('first', 'first', String); this.bind('order', 'order'); this.bind('arrivals', 'arrivals');
    this.part('shuffle').onclick = () => {
      this.rows = this.rows < this.facts.orders.length ? this.rows + 1 : 3; this.later();
    };
  }

  set(facts) {
    super.set(facts);
    Object.assign(this, { first: 'none', order: 0, arrivals: 0, rows: 0 }, facts.scene);
    for (const name of ['pair', 'walk', 'orders']) this.part(`${name}-side`).hidden = name !== this.view;
    this.part('balls').toggleAttribute('hidden', this.view === 'orders');
    this.part('strip').hidden = this.view === 'pair';
    this.part('rows').hidden = this.view !== 'orders';
    for (const name of ['first', 'order', 'arrivals']) this.show(name, this[name]);
    [...this.part('strip').children].forEach((figure, k) => {
      const to = figure.firstChild.getContext('2d'), image = to.createImageData(8, 8);
      facts.points[k].pixels.forEach((v, p) => image.data.set([255 * v, 255 * v, 255 * v, 255], 4 * p));
      to.putImageData(image, 0, 0);
    });
  }

  draw() { ({ pair: () => this.drawPair(), walk: () => this.drawWalk(), orders: () => this.drawOrders() })[this.view](); }

  // True to scale, and as large as all balls [[centre, radius], ...] leave room for.
  begin(balls) {
    const { clientWidth: width, clientHeight: height } = this.chart.svg;
    const left = Math.min(...balls.map(([at, r]) => at - r)), right = Math.max(...balls.map(([at, r]) => at + r));
    const high = 2 * Math.max(...balls.map(([, r]) => r)), wide = 1.03 * Math.max(right - left, high * width / height);
    const from = (left + right - wide) / 2, to = from + wide;
    this.chart.begin({ left: 0, right: 0, top: 0, bottom: 0, x: { range: [from, to], ticks: [] },
      y: { range: [-1, 1], ticks: [] } });
    this.unit = width / (to - from); this.middle = height / 2;
  }

  ball(at, radius, kind) { this.chart.dot(this.chart.sx(at), this.middle, radius * this.unit, kind); }

  drawPair() {
    const { classes, radii, sigmas, distance } = this.facts.pair, { chart } = this;
    const late = { none: null, 9: 1, 3: 0 }[this.first];
    const held = radii.map((radius, i) => (i === late ? distance - radii[1 - i] : radius));
    this.begin(radii.map((radius, i) => [i * distance, radius]));
    const { rem } = chart;
    [0, 1].forEach((i) => {
      const at = i * distance;
      if (held[i] < radii[i]) this.ball(at, radii[i], 'ddrs-claimed');
      this.ball(at, held[i], `ddrs-ball ${style(classes[i])}`);
    });
    if (late === null) this.lens(distance, ...radii);
    [0, 1].forEach((i) => {
      const x = chart.sx(i * distance), y = this.middle, r = held[i] * this.unit;
      const small = r < 3.6 * rem ? r : 0;  // then they stand outside of it
      const edge = chart.sx(i ? held[0] : distance - held[1]), tight = Math.abs(x - edge) < 2.4 * rem;  // of the other ball
      const side = tight ? edge + (i ? .4 : -.4) * rem : x, anchor = !tight ? 'middle' : i ? 'start' : 'end';
      chart.dot(x, y, .35 * rem, style(classes[i]));
      chart.write(x, y - small - (small ? .3 : .8) * rem, String(classes[i]), 'ddrs-centre', 'middle');
      chart.write(side, y + small + 1.6 * rem, `σ = ${sigmas[i].toFixed(2)}`, 'ddrs-tick', anchor);
      chart.write(side, y + small + 2.9 * rem, `R = ${down(held[i])}`, 'ddrs-tick', anchor);
    });
    chart.end();
    if (late === null) {
      this.text('count', `overlap ${(radii[0] + radii[1] - distance).toFixed(3)}`);
      this.text('said', `The centres are ${distance.toFixed(3)} apart, both radii together `
        + `${(radii[0] + radii[1]).toFixed(3)}.`);
      this.text('more', '');
    } else {
      this.text('count', `${classes[late]} is trimmed`);
      this.text('said', `Its radius is ${down(held[late])} instead of ${down(radii[late])}; the centres are d = ${distance.toFixed(3)} apart.`);
      this.text('more', `The ${classes[1 - late]} was stored first and keeps its ball.`);
    }
  }

  // What belongs to both balls.
  lens(d, a, b) {
    const x = (d * d + a * a - b * b) / (2 * d), h = Math.sqrt(a * a - x * x), { chart, unit, middle } = this;
    const [px, top, bottom] = [chart.sx(x), middle - h * unit, middle + h * unit];
    chart.add(`<path class="ddrs-lens" d="M${px} ${top}A${a * unit} ${a * unit} 0 0 1 ${px} ${bottom}A${b * unit} ${b * unit} 0 0 1 ${px} ${top}Z"/>`);
  }

  drawWalk() {
    const { points, orders, length } = this.facts, order = orders[this.order], { chart } = this;
    const came = order.slice(0, this.arrivals), last = came.at(-1);
    this.begin(points.flatMap(({ t, radius }, k) => [radius, ...orders.slice(0, 2).map((one) =>
      one.find(({ row }) => row === k).radius)].map((r) => [t * length, r])));
    const { rem } = chart;
    for (const one of came)
      if (['untouched', 'trimmed'].includes(one.outcome))
        this.ball(points[one.row].t * length, one.radius, `ddrs-ball ddrs-stored ${style(one.answer)}`);
    if (last) {
      const point = points[last.row], at = point.t * length;
      this.ball(at, point.radius, `ddrs-claimed ${style(point.claimed)}`);
      if (last.radius > 0) this.ball(at, last.radius, `ddrs-ball ${style(last.answer)}`);
    }
    points.forEach((point, k) => {
      const one = came.find(({ row }) => row === k), x = chart.sx(point.t * length);
      chart.dot(x, this.middle, (one === last && one ? .5 : .3) * rem, one ? style(one.answer) : 'ddrs-waiting');
    });
    chart.end();
    this.caption((k) => came.find(({ row }) => row === k), last?.row);
    this.text('arrived', `${came.length} of ${points.length}`);
    const adopted = came.filter(({ outcome }) => outcome === 'adopted').length;
    this.text('count', last ? last.outcome : 'empty memory');
    this.text('said', !last ? 'Drag: let the images arrive.' : `Its votes: ${points[last.row].claimed} within ${down(points[last.row].radius)} at σ = `
      + `${points[last.row].sigma.toFixed(2)}. The memory: ${last.answer} within ${down(last.radius)}.`);
    this.text('more', came.length ? `${adopted} of ${came.length} adopted another class.` : '');
  }

  caption(find, here) {
    [...this.part('strip').children].forEach((figure, k) => {
      const one = find(k);
      figure.className = `${one ? style(one.answer) : ''} ${k === here ? 'ddrs-here' : ''}`;
      figure.lastElementChild.textContent = one ? String(one.answer) : '·';
      figure.title = `votes: ${this.facts.points[k].claimed}`;
    });
  }

  drawOrders() {
    const { orders, points } = this.facts, shown = orders.slice(0, this.rows);
    const table = this.part('rows');
    table.replaceChildren(...shown.flatMap((order) => points.map((_, k) => {
      const cell = document.createElement('i'), { answer, outcome } = order.find(({ row }) => row === k);
      cell.className = style(answer); cell.textContent = answer; cell.title = outcome;
      return cell;
    })));
    const nines = points.map((_, k) => shown.filter((order) => order.find(({ row }) => row === k).answer === 9).length);
    [...this.part('strip').children].forEach((figure, k) => {
      figure.className = style(points[k].claimed); figure.lastElementChild.textContent = String(points[k].claimed);
    });
    const torn = nines.filter((count) => count > 0 && count < shown.length).length;
    this.text('count', `${torn} of ${points.length} depend`);
    this.text('said', `on the order, in ${shown.length} orders so far.`);
    this.text('more', 'Under the images: what their own votes say. First row: from the 9 to the 3. Second row: from the 3 to the 9. Then random orders.');
  }
}

export default mount(Memory);
