// Voting over noise: the regions of a network, a cloud of noisy copies, and the regions of the vote.
import { normals } from './normal.js';
import { NAMES, PlaneMap, css } from './map.js';
import { PlanePicture, notchOf, sigmaOf } from './plane.js';
import { mount, percent, still } from './stage.js';

const COPIES = 200;

class Voting extends PlanePicture {
  constructor(root) {
    super(root);
    this.map = new PlaneMap(this.part('map'), (_, at) => { this.at = at; this.later(); });
    this.bindNoise();
    this.bind('regions', 'regions', String);
    this.part('again').onclick = () => { this.seed += 1; this.draws(); this.later(); };
    this.part('sweep').onclick = () => this.sweep();
    this.seed = 9; this.draws();
  }

  draws() { this.noise = normals(COPIES, this.seed); }

  set(facts) {
    super.set(facts);
    const { point, sigma, regions, votes } = facts.scene;
    Object.assign(this, { at: [...point], sigma, regions, votes });
    this.show('regions', regions);
    for (const part of ['noise-side', 'votes-side']) this.part(part).hidden = !votes;
    cancelAnimationFrame(this.moving);
  }

  // From no noise to much of it, and back to where it was.
  sweep() {
    cancelAnimationFrame(this.moving);
    this.regions = 'vote'; this.show('regions', 'vote');
    if (still()) { this.sigma = sigmaOf(notchOf(this.sigma) >= 100 ? 0 : 100); this.later(); return; }
    const begin = performance.now();
    const move = (now) => {
      const way = Math.min(1, (now - begin) / 6000);
      this.sigma = sigmaOf(Math.round(100 * way));
      this.later();
      if (way < 1 && this.root.isConnected) this.moving = requestAnimationFrame(move);
    };
    this.moving = requestAnimationFrame(move);
  }

  draw() {
    if (!this.world) return;
    const { map, world, sigma, votes } = this, [x, y] = this.at;
    const began = performance.now();
    map.begin(world);
    if (this.regions === 'vote' && sigma) { map.smoothed(sigma); map.borderOfNetwork(); map.borderOfSmoothed(sigma); }
    else { map.base(); map.borderOfNetwork(); }
    map.points(world.points, (votes ? .15 : .2) * map.rem, votes ? .55 : 1);
    const says = world.says(x, y), counts = new Array(world.classes).fill(0);
    if (votes) {
      for (let i = 0; i < 2 * COPIES && sigma; i += 2) {
        const a = x + sigma * this.noise[i], b = y + sigma * this.noise[i + 1], k = world.says(a, b);
        counts[k] += 1;
        map.dot(a, b, k, .17 * map.rem, map.text);
      }
    } else {
      this.near = this.nearest(x, y, says);
      map.ball(x, y, this.near, map.text, { dash: [5, 4], width: 1.6 });
    }
    map.handle('P', this.at, { text: 'P', label: 'Point P', hue: says });
    map.place('P');
    this.showNoise();
    if (votes) this.tell_votes(says, counts); else this.tell_network(says);
    this.root.dataset.took = (performance.now() - began).toFixed(1);
  }

  // How far the next point is at which the network answers differently.
  nearest(x, y, says) {
    const { window, cells } = this.world;
    let least = 2;
    for (let j = 0, at = 0; j < cells; j++) {
      for (let i = 0; i < cells; i++, at++)
        if (window[at] !== says)
          least = Math.min(least, Math.hypot((i + .5) / cells - x, (j + .5) / cells - y));
    }
    return least;
  }

  tell_network(says) {
    this.text('who', 'The network says');
    this.answer(says);
    this.text('why', `and something else ${this.near.toFixed(3)} away.`);
  }

  tell_votes(says, counts) {
    const { world, sigma } = this, [x, y] = this.at;
    const found = sigma ? world.at(x, y, sigma) : { best: says, p: counts.map((_, k) => +(k === says)), proves: true };
    const bar = this.part('bar');
    while (bar.children.length > world.classes) bar.lastChild.remove();
    found.p.forEach((p, k) => {
      const part = bar.children[k] ?? bar.appendChild(document.createElement('i'));
      part.style.cssText = `flex:${p} 0 0;background:${css(k)}`;
      part.textContent = p > .12 ? percent(p, 0) : '';
    });
    this.text('who', sigma ? 'The vote says' : 'Without noise, there is only the network’s answer:');
    this.answer(found.best);
    this.text('why', !sigma ? '' : found.best === says ? 'and so does the network itself.'
      : `although the network itself says ${NAMES[says]} at P.`);
    this.text('counted', sigma ? `${COPIES} copies drawn: ${counts.map((n, k) => `${n} ${NAMES[k]}`).join(', ')}. `
      + 'The bar shows the exact shares.' : '');
  }

  answer(k) {
    const part = this.part('answer');
    this.text('answer', NAMES[k]); part.style.setProperty('--hue', css(k));
  }
}

export default mount(Voting);
