// What pictures of the plane share: their world, and the slider of the noise level.
import { Picture } from './stage.js';
import { fetchWorld } from './world.js';

const LOW = .015, HIGH = .5;  // as the server's levels
export const sigmaOf = (notch) => (notch < 1 ? 0 : LOW * (HIGH / LOW) ** ((notch - 1) / 99));
export const notchOf = (sigma) =>
  (sigma ? Math.round(1 + 99 * Math.log(sigma / LOW) / Math.log(HIGH / LOW)) : 0);

export class PlanePicture extends Picture {
  constructor(root) {
    super(root);
    const resized = new ResizeObserver(() => this.later());  // texts above a chart change its height
    for (const chart of root.querySelectorAll('svg')) resized.observe(chart);
  }

  set(facts) {
    super.set(facts);
    if (this.url === facts.world) return;
    this.url = facts.world; this.world = null;
    this.text('wait', 'A small network is being trained …');
    fetchWorld(this.url).then((world) => {
      if (this.url !== facts.world) return;
      this.world = world; this.text('wait', ''); this.arrived(); this.later();
    }, (error) => this.text('wait', `The picture could not be drawn: ${error.message}`));
  }

  arrived() {}

  // Let a range input whose notches are 0 (no noise) to 100 set the noise level.
  bindNoise() {
    const input = this.root.querySelector('[name=noise]');
    input.min = this.lowest ?? 0; input.max = 100; input.step = 1;
    input.addEventListener('input', () => { this.sigma = sigmaOf(+input.value); this.later(); });
  }

  showNoise() {
    const input = this.root.querySelector('[name=noise]'), notch = notchOf(this.sigma);
    if (+input.value !== notch) input.value = notch;
    input.setAttribute('aria-valuetext', this.sigma ? `sigma ${this.sigma.toFixed(3)}` : 'no noise');
    this.text('sigma', this.sigma ? this.sigma.toFixed(3) : '0, no noise');
  }
}
