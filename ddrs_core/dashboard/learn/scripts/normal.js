// The normal distribution: cdf, density, quantile, and draws.
export const density = (z) => Math.exp(-z * z / 2) / Math.sqrt(2 * Math.PI);

// Abramowitz and Stegun 26.2.17, to 7.5e-8.
export const cdf = (z) => {
  const t = 1 / (1 + .2316419 * Math.abs(z));
  const tail = density(z) * t * (.31938153 + t * (-.356563782 + t * (1.781477937
    + t * (-1.821255978 + t * 1.330274429))));
  return z < 0 ? tail : 1 - tail;
};

// Acklam's rational approximation, to 1.2e-9 relative.
export const quantile = (p) => {
  if (p <= 0) return -Infinity;
  if (p >= 1) return Infinity;
  if (p > .5) return -quantile(1 - p);
  if (p < .02425) {
    const q = Math.sqrt(-2 * Math.log(p));
    return (((((-7.784894002430293e-3 * q - .3223964580411365) * q - 2.400758277161838) * q
      - 2.549732539343734) * q + 4.374664141464968) * q + 2.938163982698783)
      / ((((7.784695709041462e-3 * q + .3224671290700398) * q + 2.445134137142996) * q
      + 3.754408661907416) * q + 1);
  }
  const q = p - .5, r = q * q;
  return (((((-39.69683028665376 * r + 220.9460984245205) * r - 275.9285104469687) * r
    + 138.357751867269) * r - 30.66479806614716) * r + 2.506628277459239) * q
    / (((((-54.47609879822406 * r + 161.5858368580409) * r - 155.6989798598866) * r
    + 66.80131188771972) * r - 13.28068155288572) * r + 1);
};

// Uniform numbers that are the same for the same seed (mulberry32).
export const uniform = (seed) => () => {
  seed = (seed + 0x6D2B79F5) | 0;
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
};

// n pairs of standard normal numbers, the same for the same seed: [x0, y0, x1, y1, ...].
export const normals = (n, seed) => {
  const next = uniform(seed), found = new Float64Array(2 * n);
  for (let i = 0; i < 2 * n; i += 2) {
    const far = Math.sqrt(-2 * Math.log(1 - next())), angle = 2 * Math.PI * next();
    found[i] = far * Math.cos(angle); found[i + 1] = far * Math.sin(angle);
  }
  return found;
};
