// The explorer's board: a visitor drags sigma, and copies, votes, formula and radius follow from
// the counts that are there, without asking the server.
const ROOT2 = Math.SQRT2;
const erf = (x) => {  // Abramowitz and Stegun 7.1.26, to 1.5e-7
  const t = 1 / (1 + 0.3275911 * Math.abs(x));
  const tail = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t
    + 0.254829592) * t * Math.exp(-x * x);
  return x < 0 ? tail - 1 : 1 - tail;
};
const KEPT_AXIS = { 'yaxis.type': 'category', 'yaxis.autorange': 'reversed' };  // else plotly.js would guess it again
const TAKES_KEYS = 'input, textarea, select, button, a, summary, [role], [contenteditable]';
const normal = (z) => (1 + erf(z / ROOT2)) / 2;
const down = (value) => (Math.floor(value * 1000 + 1e-9) / 1000).toFixed(3);
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
const same = (a, b) => Math.abs(a / b - 1) < 1e-6;

// Where sigma lies between the levels of a grid: the one below, and the share of the way above it.
const between = (levels, sigma) => {
  let i = levels.findIndex((level) => level > sigma) - 1;
  if (i < 0) i = sigma < levels[0] ? 0 : levels.length - 2;
  const way = Math.log(sigma / levels[i]) / Math.log(levels[i + 1] / levels[i]);
  return [i, clamp(way, 0, 1)];
};
const mix = ([i, way], values) => values[i] + way * (values[i + 1] - values[i]);

class Board {
  constructor(root) {
    this.root = root;
    this.part = (name) => root.querySelector(`[data-part=${name}]`);
    this.figure = (name) => root.querySelector(`[data-figure=${name}]`);
    this.hand = null;  // the level that the visitor holds; null: the one of the run
    this.touch();
    const curve = this.figure('curve');
    curve.addEventListener('drawn', () => {
      curve.on('plotly_afterplot', () => this.place());  // as after another size of the window
      this.place();
    }, { once: true });
    this.figure('votes').addEventListener('drawn', () => { this.votes = null; this.draw(); });
    window.addEventListener('ddrs-noise', () => root.isConnected && this.draw());
    this.part('certify').onclick = () => this.tell('certify', this.sigma);
    this.part('back').onclick = () => this.move(null);
    this.part('pin').onclick = () => this.tell('pin', true);
    this.part('copy').onclick = () => this.copyLink();
    const look = this.part('look');
    look.oninput = () => {
      clearTimeout(this.late);
      this.late = setTimeout(() => this.keep('shown', [this.live.job, +look.max, +look.value]), 60);
    };
    this.part('handle').onkeydown = (event) => this.press(event);
    const anywhere = (event) => {
      if (!root.isConnected) document.removeEventListener('keydown', anywhere);
      else if (!event.defaultPrevented) this.steer(event);
    };
    document.addEventListener('keydown', anywhere);
  }

  update(live, setStateValue, setTriggerValue) {
    const before = this.live?.id;
    Object.assign(this, { live, keep: setStateValue, tell: setTriggerValue });
    if (before !== live.id || live.hand !== this.given) this.hand = this.given = live.hand;
    if (!before && live.held) this.hand = clamp(live.held, ...live.range);
    else if (before !== live.id) this.hand ??= live.opens;
    const look = this.part('look'), { last, shown } = live.look;
    if (look.max !== String(last) || document.activeElement !== look || look.disabled) {
      look.max = last; look.value = shown;
    }
    look.disabled = !live.look.can;
    const [pinned, other] = live.pinned, named = this.part('other');
    named.textContent = named.title = pinned && !other ? 'A is this run' : other;
    this.part('pin').lastElementChild.textContent = pinned ? 'Clear A' : 'Pin as A';
    this.part('pin').title = pinned ? '' : 'Keep this run on the axes, beside the next one.';
    this.nameLevel();
    this.draw();
  }

  get sigma() { return this.hand ?? this.live.now; }

  // What is known of a level: from a certificate if there is one, else from the curve's votes.
  at(sigma) {
    const { curve, step, certificates, two } = this.live;
    const proved = certificates.find((c) => same(c.sigma, sigma));
    if (proved) return { proved, ...proved };
    if (!curve) return this.hand === null && step ? step : null;
    const at = between(curve.sigmas, sigma), radius = mix(at, curve.radius);
    const zb = two ? mix(at, curve.zb) : 0, za = two ? 2 * radius / sigma + zb : radius / sigma;
    const name = curve.names[at[0] + Math.round(at[1])];
    return { radius, name, pa: radius > 0 ? normal(za) : mix(at, curve.pa),
      pb: two && radius > 0 ? normal(zb) : 1 - normal(za), za, zb };
  }

  draw() {
    if (!this.live) return;
    this.place(); this.formula(); this.copies();
    const own = this.hand !== null || !this.live.seen;
    if (own && this.live.curve) this.bars(); else if (this.votes) this.restore();
  }

  // The handle on the curve, in the pixels of the drawn figure.
  place() {
    const layout = this.figure('curve')._fullLayout, handle = this.part('handle');
    const at = layout && this.live && layout.xaxis.l2p(Math.log10(this.sigma));
    handle.hidden = !(at >= 0 && at <= layout.xaxis._length);  // none outside the figure
    if (handle.hidden) return;
    const { xaxis: x, yaxis: y } = layout, sigma = this.sigma, found = this.at(sigma);
    const radius = clamp(found?.radius ?? 0, 0, y.range[1]);
    handle.style.cssText = `left:${x._offset + at}px;`
      + `top:${y._offset}px;height:${y._length}px;--grip:${y.l2p(radius)}px`;
    handle.classList.toggle('ddrs-right', at > x._length - 90);
    handle.dataset.grade = found?.proved?.grade ?? '';
    const mark = this.marks().find((m) => same(m.sigma, sigma)), name = mark?.name ?? 'σ';
    handle.lastElementChild.textContent = `${name} = ${sigma.toFixed(3)}`;
    handle.setAttribute('aria-valuemin', this.live.range[0]);
    handle.setAttribute('aria-valuemax', this.live.range[1]);
    handle.setAttribute('aria-valuenow', sigma.toFixed(4));
    handle.setAttribute('aria-valuetext', `${name} = ${sigma.toFixed(3)}, radius `
      + (found ? `${found.proved ? '' : 'about '}${down(found.radius)}` : 'unknown'));
  }

  marks() {
    const { sigma0, star, curve } = this.live;
    const found = [{ name: 'σ₀', sigma: sigma0 }];
    if (star) found.push({ name: 'σ*', sigma: star });
    if (curve) {
      const best = curve.radius.indexOf(Math.max(...curve.radius));
      found.push({ name: 'top of the curve', sigma: curve.sigmas[best] });
    }
    return found;
  }

  formula() {
    const { two, n } = this.live, sigma = this.sigma, found = this.at(sigma);
    const proved = found?.proved, none = found && !(found.radius > 0);
    this.part('radius').textContent = !found ? 'R = …' : none ? 'Abstains'
      : `R ${proved ? '=' : '≈'} ${down(found.radius)}`;
    const mark = this.marks().find((m) => same(m.sigma, sigma));
    for (const part of this.root.querySelectorAll('[data-live=sigma]'))
      part.textContent = `${mark?.name ?? 'σ'} = ${sigma.toFixed(3)}`;
    this.part('badge').innerHTML = none ? '' : proved ? proved.badge : this.live.estimate;
    const digits = (p) => (p > 0.9995 ? Math.min(p, 0.99999).toFixed(5) : p.toFixed(4));
    const A = 'Φ⁻¹(<i>p</i><sub>A</sub>)', B = 'Φ⁻¹(<i>p</i><sub>B</sub>)', s = sigma.toFixed(3);
    const rule = two ? `<i>σ</i>/2 · (${A} − ${B})` : `<i>σ</i> · ${A}`;
    const numbers = !found || none || found.pa === undefined ? ''
      : two ? ` = ${s}/2 · (Φ⁻¹(${digits(found.pa)}) − Φ⁻¹(${digits(found.pb)}))`
        : ` = ${s} · Φ⁻¹(${digits(found.pa)})`;
    this.part('formula').innerHTML = `${numbers ? '= ' : '<i>R</i> = '}${rule}${numbers}`;
    const { sigma0 } = this.live, start = same(sigma, sigma0) ? null : this.at(sigma0);
    const beside = !start ? '' : ` At σ₀: ${!(start.radius > 0) ? 'abstains'
      : `R ${start.proved ? '=' : '≈'} ${down(start.radius)}`}.`;
    this.part('said').textContent = (!found ? 'Votes are being counted.'
      : proved ? proved.said : none ? (two ? 'No class leads clearly: nothing can be proved here.'
        : `No majority (${found.pa?.toFixed(3)}): nothing can be proved here.`)
        : `Class ${found.name}: about what ${n.toLocaleString('en')} votes would prove.`) + beside;
    const certify = this.part('certify'), text = `Certify σ = ${s}`;
    if (certify.lastChild.textContent !== text) certify.lastChild.textContent = text;
    certify.disabled = Boolean(proved) || !this.live.idle;
    certify.style.visibility = proved ? 'hidden' : '';
    this.part('back').style.visibility = this.hand === null ? 'hidden' : '';
    this.part('back').lastChild.textContent = this.live.step ? 'Follow the run' : 'Back to σ₀';
  }

  // The image, and its copies at this level with what the network says of them.
  copies() {
    const noise = window.__ddrsNoise?.[this.live.noise];
    if (!noise) return;
    const { curve, seen, label } = this.live, sigma = this.sigma, [c, h, w] = noise.shape;
    const x = (noise.x_ ??= bytes(noise.x)), e = (noise.e_ ??= new Int8Array(bytes(noise.eps).buffer));
    let said = this.hand === null ? seen : null;
    if (!said && curve?.said) {
      const near = between(curve.sigmas, sigma), i = near[0] + Math.round(near[1]);
      said = { classes: curve.said[i], confidence: curve.confidence[i] };
    }
    const size = c * h * w, plane = h * w;
    this.root.querySelectorAll('canvas').forEach((canvas, k) => {
      if (canvas.width !== w) canvas.width = w;
      if (canvas.height !== h) canvas.height = h;
      const to = canvas.getContext('2d'), image = to.createImageData(w, h), from = (k - 1) * size;
      for (let p = 0; p < plane; p++) {
        for (let j = 0; j < 3; j++) {
          const at = (c === 1 ? 0 : j * plane) + p;
          image.data[4 * p + j] = x[at] + (k ? sigma * e[from + at] * noise.scale * 255 : 0);
        }
        image.data[4 * p + 3] = 255;
      }
      to.putImageData(image, 0, 0);
      canvas.classList.toggle('ddrs-pixelated', Math.max(h, w) <= 64);
      if (!k) return;
      const name = said?.classes[k - 1], host = canvas.parentElement;
      host.lastElementChild.textContent = name === undefined ? '…'
        : `${name} · ${Math.round(100 * said.confidence[k - 1])}%`;
      host.title = name === undefined ? '' : `The network says ${name}.`;
      host.className = name === undefined || label === null ? ''
        : name === label ? 'ddrs-agrees' : 'ddrs-differs';
    });
  }

  // Votes at the level that the visitor holds: between the counts of the levels beside it.
  bars() {
    const host = this.figure('votes'), { curve, label, colours } = this.live;
    if (!host._fullLayout) return;
    this.votes ??= { x: host.data[0].x, y: host.data[0].y, marker: host.data[0].marker.color,
      error_x: host.data[0].error_x, title: host.layout.xaxis.title.text };
    const at = between(curve.sigmas, this.sigma);
    const share = curve.shares.map((values) => mix(at, values));
    const best = share.indexOf(Math.max(...share));
    const names = curve.classes.map((name) => (name === label ? `${name} (label)` : name));
    const lead = label === null ? this.votes.marker[0] : curve.classes[best] === label
      ? colours.right : colours.wrong;
    const colour = share.map((_, i) => (i === best ? lead : colours.other));
    window.Plotly.update(host, { x: [share], y: [names], 'marker.color': [colour],
      'error_x.visible': false }, { ...KEPT_AXIS, 'xaxis.title.text': 'share of the curve’s votes' });
  }

  restore() {
    const host = this.figure('votes'), { x, y, marker, title } = this.votes;
    this.votes = null;
    window.Plotly.update(host, { x: [x], y: [y], 'marker.color': [marker],
      'error_x.visible': true }, { ...KEPT_AXIS, 'xaxis.title.text': title });
  }

  move(sigma) {
    this.hand = sigma === null ? null : clamp(sigma, ...this.live.range);
    cancelAnimationFrame(this.next);
    this.next = requestAnimationFrame(() => this.draw());
    clearTimeout(this.named);
    this.named = setTimeout(() => this.nameLevel(), 250);
  }

  // The address of the page names the level that the visitor holds, certified or not.
  nameLevel() {
    if (!this.root.isConnected) return;
    const url = new URL(location.href), held = this.hand !== null && this.hand !== this.live.hand;
    if (held) url.searchParams.set('drag', this.hand.toPrecision(4)); else url.searchParams.delete('drag');
    if (url.href !== location.href) history.replaceState(history.state, '', url);
  }

  async copyLink() {
    clearTimeout(this.named); this.nameLevel();
    const label = this.part('copy').lastElementChild;
    try { await navigator.clipboard.writeText(location.href); } catch {  // none without https
      const field = document.createElement('textarea');
      field.value = location.href; document.body.append(field); field.select();
      document.execCommand('copy'); field.remove();
    }
    label.textContent = 'Copied';
    setTimeout(() => { label.textContent = 'Copy link'; }, 1500);
  }

  touch() {
    const area = this.part('touch'), handle = this.part('handle');
    const axes = () => this.figure('curve')._fullLayout;
    const inside = (event, x, y) => {
      const box = this.figure('curve').getBoundingClientRect();
      const left = event.clientX - box.left - x._offset, top = event.clientY - box.top - y._offset;
      return left >= -8 && left <= x._length + 8 && top >= 0 && top <= y._length;
    };
    const follow = (event) => {
      const { xaxis: x } = axes(), box = this.figure('curve').getBoundingClientRect();
      const at = event.clientX - box.left - x._offset;
      const near = this.marks().map((m) => ({ ...m, far: Math.abs(x.l2p(Math.log10(m.sigma)) - at) }))
        .sort((a, b) => a.far - b.far)[0];
      this.move(near && near.far < 6 ? near.sigma : 10 ** x.p2l(at));
    };
    area.addEventListener('pointerdown', (event) => {
      const layout = axes();
      if (!layout || event.button || !this.live || !inside(event, layout.xaxis, layout.yaxis)) return;
      event.preventDefault(); event.stopPropagation();
      area.setPointerCapture(event.pointerId); handle.focus({ preventScroll: true });
      follow(event); area.onpointermove = follow;
    }, true);
    area.onpointerup = area.onpointercancel = () => { area.onpointermove = null; };
  }

  // Space runs and pauses; the arrows look back, and step where nothing is ahead.
  steer(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest(TAKES_KEYS)) return;
    const click = (name) => document.querySelector(`.st-key-explorer_${name} button`)?.click();
    const look = this.part('look'), to = Number(look.value) + { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (event.key === ' ') click('run');
    else if (!look.disabled && to >= 1 && to <= Number(look.max)) { look.value = to; look.oninput(); }
    else if (event.key === 'ArrowRight') click('step');
    else return;
    event.preventDefault();
  }

  press(event) {
    const way = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 }[event.key];
    const jump = { PageDown: -1, PageUp: 1 }[event.key];
    if (way) this.move(this.sigma * (event.shiftKey ? 1.1 : 1.02) ** way);
    else if (jump) {
      const next = this.marks().map((m) => m.sigma).sort((a, b) => jump * (a - b))
        .find((sigma) => jump * (sigma - this.sigma) > 1e-6 * sigma);
      if (next) this.move(next);
    } else if (event.key === 'Home') this.move(this.live.range[0]);
    else if (event.key === 'End') this.move(this.live.range[1]);
    else if (event.key === 'Escape') this.move(null);
    else return;
    event.preventDefault(); event.stopPropagation();
  }
}

export default function ({ data, parentElement, setStateValue, setTriggerValue }) {
  const board = (parentElement.__board ??= new Board(parentElement));
  if (board.text === data.live) return;
  board.text = data.live;
  board.update(JSON.parse(data.live), setStateValue, setTriggerValue);
}
