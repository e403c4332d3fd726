// A classifier of the plane and what noise makes of it; the server has worked it out once.
import { cdf } from './normal.js';
import { clamp } from './stage.js';

const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer;
const known = new Map();

/** The world at an address; it is fetched once a visit. */
export const fetchWorld = (url) => {
  if (!known.has(url)) {
    known.set(url, fetch(url).then(async (answer) => {
      if (!answer.ok) throw new Error(await answer.text());
      return new World(await answer.json());
    }));
    known.get(url).catch(() => known.delete(url));
    for (const old of [...known.keys()].slice(0, -6)) known.delete(old);
  }
  return known.get(url);
};

export class World {
  constructor(facts) {
    const { grid, classes, sigmas } = Object.assign(this, facts);
    this.last = sigmas.length - 1;
    this.window = new Uint8Array(bytes(facts.window));
    this.freshZ = new Float32Array(bytes(facts.freshZ));
    this.layers = facts.layers.map(({ weight, bias }) => ({
      weight: new Float32Array(bytes(weight)), bias: new Float32Array(bytes(bias)) }));
    const steps = new Int16Array(bytes(facts.z)), size = grid * grid;
    const plane = sigmas.length * size, stored = steps.length / plane;
    this.levels = sigmas.map((_, s) => Array.from({ length: classes }, (_, k) => {
      const field = new Float32Array(size), from = Math.min(k, stored - 1) * plane + s * size;
      const sign = k < stored ? 1 : -1;  // of two classes, the second one is the rest
      for (let i = 0, sum = 0; i < size; i++) {
        sum = (i % grid ? sum : 0) + steps[from + i];
        field[i] = sign * sum / facts.scale;
      }
      return field;
    }));
  }

  // Where sigma lies among the levels, from 0 to the last.
  place(sigma) {
    const first = this.sigmas[0], ratio = Math.log(this.sigmas[this.last] / first);
    return clamp(Math.log(sigma / first) / ratio, 0, 1) * this.last;
  }

  sigmaAt(place) {
    return this.sigmas[0] * (this.sigmas[this.last] / this.sigmas[0]) ** (place / this.last);
  }

  // The probit of every class, everywhere, at one noise level.
  fields(sigma) {
    if (this.kept?.sigma === sigma) return this.kept.fields;
    const place = this.place(sigma), i = Math.min(Math.floor(place), this.last - 1), way = place - i;
    const fields = this.levels[i].map((low, k) => {
      const high = this.levels[i + 1][k], mixed = new Float32Array(low.length);
      for (let j = 0; j < low.length; j++) mixed[j] = low[j] + way * (high[j] - low[j]);
      return mixed;
    });
    this.kept = { sigma, fields };
    return fields;
  }

  // A field at a point, between the four nearest points of the grid.
  sample(field, x, y) {
    const n = this.grid, u = clamp(x * n - .5, 0, n - 1.001), v = clamp(y * n - .5, 0, n - 1.001);
    const i = Math.floor(u), j = Math.floor(v), a = u - i, b = v - j, at = j * n + i;
    return (field[at] * (1 - a) + field[at + 1] * a) * (1 - b)
      + (field[at + n] * (1 - a) + field[at + n + 1] * a) * b;
  }

  // What the smoothed classifier says at a point: class, probit, probability and radius.
  at(x, y, sigma) {
    const place = this.place(sigma), i = Math.min(Math.floor(place), this.last - 1), way = place - i;
    const z = this.levels[i].map((low, k) => (1 - way) * this.sample(low, x, y)
      + way * this.sample(this.levels[i + 1][k], x, y));
    const best = z.indexOf(Math.max(...z));
    return { z, best, p: z.map(cdf), radius: Math.max(0, sigma * z[best]), proves: z[best] > 0 };
  }

  // The network's own outputs before the softmax.
  logits(x, y) {
    let values = [x, y];
    this.layers.forEach(({ weight, bias }, l) => {
      const found = new Array(bias.length), width = values.length;
      for (let r = 0, at = 0; r < bias.length; r++) {
        let sum = bias[r];
        for (let c = 0; c < width; c++) sum += weight[at++] * values[c];
        found[r] = l < this.layers.length - 1 ? Math.tanh(sum) : sum;
      }
      values = found;
    });
    return values;
  }

  says(x, y) {
    const values = this.logits(x, y);
    return values.indexOf(Math.max(...values));
  }

  // For every class but the last of two, how far its network's output leads, on the grid.
  get leads() {
    if (this.kept_ !== undefined) return this.kept_;
    const n = this.grid, all = Array.from({ length: this.classes }, () => new Float32Array(n * n));
    for (let j = 0, at = 0; j < n; j++) {
      for (let i = 0; i < n; i++, at++)
        this.logits((i + .5) / n, (j + .5) / n).forEach((value, k) => { all[k][at] = value; });
    }
    return (this.kept_ = all);
  }
}

/** Lines along which the class with the largest field changes, as flat [x0, y0, x1, y1, ...]. */
export const borders = (fields, n) => {
  const lines = [], last = fields.length === 2 ? 1 : fields.length;
  for (let k = 0; k < last; k++) {
    const lead = (i) => {
      let other = -Infinity;
      for (let j = 0; j < fields.length; j++) if (j !== k) other = Math.max(other, fields[j][i]);
      return fields[k][i] - other;
    };
    const margin = Float32Array.from({ length: n * n }, (_, i) => lead(i));
    contour(margin, n, 0, lines);
  }
  return lines;
};

/** Marching squares: where a field crosses a value, added to lines. */
export const contour = (field, n, value, lines = []) => {
  const unit = (i) => (i + .5) / n;
  for (let j = 0; j < n - 1; j++) {
    for (let i = 0; i < n - 1; i++) {
      const at = j * n + i, a = field[at] - value, b = field[at + 1] - value;
      const c = field[at + n] - value, d = field[at + n + 1] - value, cuts = [];
      if (a > 0 !== b > 0) cuts.push(unit(i + a / (a - b)), unit(j));
      if (b > 0 !== d > 0) cuts.push(unit(i + 1), unit(j + b / (b - d)));
      if (c > 0 !== d > 0) cuts.push(unit(i + c / (c - d)), unit(j + 1));
      if (a > 0 !== c > 0) cuts.push(unit(i), unit(j + a / (a - c)));
      if (cuts.length >= 4) lines.push(...cuts);
    }
  }
  return lines;
};
