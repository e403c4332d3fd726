// Algorithm 1 in the plane: the radius of the mean softmax, and its gradient in sigma, exactly.
import { density, quantile } from './normal.js';
import { clamp } from './stage.js';

// The network's outputs at a point, and how they change along a direction (forward mode).
const along = (world, x, y, dx, dy) => {
  let values = [x, y], rates = [dx, dy];
  world.layers.forEach(({ weight, bias }, l) => {
    const next = new Array(bias.length), change = new Array(bias.length), width = values.length;
    for (let r = 0, at = 0; r < bias.length; r++) {
      let sum = bias[r], rate = 0;
      for (let c = 0; c < width; c++, at++) { sum += weight[at] * values[c]; rate += weight[at] * rates[c]; }
      const last = l === world.layers.length - 1, value = last ? sum : Math.tanh(sum);
      next[r] = value; change[r] = last ? rate : (1 - value * value) * rate;
    }
    values = next; rates = change;
  });
  return [values, rates];
};

/**
 * R(sigma) = sigma/2 (Phi^-1(E_A) - Phi^-1(E_B)) and dR/dsigma with the given noise
 * [x0, y0, x1, y1, ...]; E is the mean softmax, kept within [limit, 1 - limit].
 */
export const softRadius = (world, [x, y], sigma, noise, limit) => {
  const mean = new Array(world.classes).fill(0), rate = [...mean], n = noise.length / 2;
  for (let i = 0; i < noise.length; i += 2) {
    const [dx, dy] = [noise[i], noise[i + 1]];
    const [logits, change] = along(world, x + sigma * dx, y + sigma * dy, dx, dy);
    const most = Math.max(...logits), e = logits.map((v) => Math.exp(v - most));
    const sum = e.reduce((a, b) => a + b), p = e.map((v) => v / sum);
    const drift = p.reduce((s, v, k) => s + v * change[k], 0);
    p.forEach((v, k) => { mean[k] += v / n; rate[k] += v * (change[k] - drift) / n; });
  }
  const order = mean.map((_, k) => k).sort((a, b) => mean[b] - mean[a]);
  const parts = order.slice(0, 2).map((k) => {
    const kept = clamp(mean[k], limit, 1 - limit), z = quantile(kept);
    return { z, rate: kept === mean[k] ? rate[k] / density(z) : 0 };
  });
  const gap = parts[0].z - parts[1].z;
  return { radius: sigma / 2 * gap, gradient: gap / 2 + sigma / 2 * (parts[0].rate - parts[1].rate),
    p: mean[order[0]], best: order[0] };
};

