// The board that moves an image inside and out of its certified ball: the votes are there, and the
// browser moves.
const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));

class Board {
  constructor(root) {
    this.root = root;
    this.way = 0;
    this.part = (name) => root.querySelector(`[data-part=${name}]`);
    this.figure = root.querySelector('[data-figure=moved]');
    this.buttons = [...root.querySelectorAll('[data-way]')];
    this.part('move').oninput = () => this.draw();
    for (const button of this.buttons)
      button.onclick = () => { this.way = Number(button.dataset.way); this.draw(); };
    this.figure.addEventListener('drawn', () => this.mark());
    window.addEventListener('ddrs-noise', () => root.isConnected && this.draw());
  }

  update(live) {
    this.live = live;
    this.draw();
  }

  get at() { return Number(this.part('move').value); }

  draw() {
    const { votes, noise: name } = this.live ?? {}, noise = window.__ddrsNoise?.[name];
    for (const button of this.buttons)
      button.setAttribute('aria-pressed', String(Number(button.dataset.way) === this.way));
    if (!noise) return;
    const x = (noise.x_ ??= bytes(noise.x)), [c, h, w] = noise.shape, plane = h * w;
    const d = votes && new Int8Array(bytes(votes.ways[this.way]).buffer);
    const scale = votes ? 255 * votes.scales[this.way][this.at] : 0;
    this.root.querySelectorAll('canvas').forEach((canvas, moved) => {
      if (canvas.width !== w) canvas.width = w;
      if (canvas.height !== h) canvas.height = h;
      const to = canvas.getContext('2d'), image = to.createImageData(w, h);
      for (let p = 0; p < plane; p++) {
        for (let j = 0; j < 3; j++) {
          const at = (c === 1 ? 0 : j * plane) + p;
          image.data[4 * p + j] = x[at] + (moved && d ? scale * d[at] : 0);
        }
        image.data[4 * p + 3] = 255;
      }
      to.putImageData(image, 0, 0);
      canvas.classList.toggle('ddrs-pixelated', Math.max(h, w) <= 64);
    });
    if (!votes) return;
    const far = votes.distances[this.at], share = (this.at / this.live.inside).toFixed(3);
    this.part('far').textContent = `moved by ${far.toFixed(3)} = ${Number(share)} R`;
    const [style, said] = votes.said[this.way][this.at];
    this.part('said').textContent = said;
    this.part('said').className = style;
    this.part('move').setAttribute('aria-valuetext', `${Number(share)} R: ${said}`);
    this.mark();
  }

  mark() {
    const { votes } = this.live ?? {}, host = this.figure;
    if (!votes || !host._fullLayout) return;
    const x = [votes.distances[this.at]], y = [votes.shares[this.way][this.at]];
    const last = host.data.length - 1;
    if (host.data[last].x[0] !== x[0] || host.data[last].y[0] !== y[0])
      window.Plotly.restyle(host, { x: [x], y: [y] }, [last]);
  }
}

export default function ({ data, parentElement }) {
  const board = (parentElement.__board ??= new Board(parentElement));
  if (board.text === data.live) return;
  board.text = data.live;
  board.update(JSON.parse(data.live));
}
