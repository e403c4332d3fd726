const decode = (text) => new Int32Array(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
const fetched = (window.__ddrsGalleries ??= {});
const indexOf = (url) => (fetched[url] ??= fetch(url).then((r) => r.json()).then((d) =>
  ({ ...d, labels: decode(d.labels) })).catch(() => { delete fetched[url]; }));
export default async function ({ data, parentElement, setTriggerValue }) {
  const box = parentElement.querySelector('.ddrs-gallery'), sizer = box.firstElementChild;
  const note = parentElement.querySelector('.ddrs-gallery-note');
  const state = (box.__state ??= { cells: new Map() });
  state.data = data; state.pick = (i) => setTriggerValue('picked', i);
  const listed = data.images;  // some images, with captions
  const index = listed ? { names: [], labels: [] }
    : await indexOf(data.url + 'index.json' + data.version);
  if (state.data !== data) return;
  if (!index) { note.textContent = 'The images could not be loaded.'; return; }
  const { names, labels } = index;
  const shown = JSON.stringify([data.url, data.version, data.only, listed, data.captions]);
  if (state.shown !== shown) {
    state.shown = shown; sizer.replaceChildren(); state.cells.clear();
    state.list = listed ?? (data.only < 0 ? null
      : [...labels.keys()].filter((i) => labels[i] === data.only));
    state.count = state.list ? state.list.length : labels.length; state.selected = null;
  }
  const at = (place) => (state.list ? state.list[place] : place);
  const placeOf = (i) => (state.list ? state.list.indexOf(i) : i);
  note.textContent = `${state.count.toLocaleString('en')} image${state.count === 1 ? '' : 's'}` +
    (listed || data.only < 0 ? '' : ` of class ${names[data.only]}`);
  const render = () => {
    const width = sizer.clientWidth, columns = Math.max(3, Math.round(width / (listed ? 104 : 48)));
    const side = width / columns, cell = listed ? side + 38 : side;  // height of a row
    const first = Math.floor(box.scrollTop / cell) - 2;
    const last = Math.ceil((box.scrollTop + box.clientHeight) / cell) + 2;
    state.columns = columns; state.cell = cell;
    sizer.style.height = Math.ceil(state.count / columns) * cell + 'px';
    const from = Math.max(0, first * columns), to = Math.min(state.count, last * columns);
    for (const [place, button] of state.cells)
      if (place < from || place >= to) { button.remove(); state.cells.delete(place); }
    for (let place = from; place < to; place++) {
      const i = at(place);
      let button = state.cells.get(place);
      if (!button) {
        button = document.createElement('button'); button.type = 'button';
        const label = labels[i] < 0 ? '' : `, class ${names[labels[i]]}`;
        button.dataset.label = listed ? data.captions[place].replace('\n', ', ') : `image ${i}${label}`;
        button.dataset.index = i; button.onclick = () => state.pick(i);
        const image = new Image(); image.alt = ''; image.decoding = 'async';
        const text = document.createElement(listed ? 'small' : 'b');
        text.textContent = listed ? data.captions[place] : names[labels[i]] ?? '';
        button.append(image, text);
        sizer.append(button); state.cells.set(place, button);
      }
      const x = (place % columns) * side, y = Math.floor(place / columns) * cell;
      button.style.cssText = `left:${x}px;top:${y}px;width:${side}px;height:${cell}px`;
      button.setAttribute('aria-pressed', String(i === state.data.selected));
      const [outcome, said] = state.data.known[i] ?? ['', ''];
      button.dataset.outcome = outcome;
      button.title = button.dataset.label + said;
      button.setAttribute('aria-label', button.title);
    }
    if (!state.cells.has(state.stop)) state.stop = placeOf(state.data.selected);
    if (!state.cells.has(state.stop)) state.stop = Math.ceil(box.scrollTop / cell) * columns;
    for (const [place, button] of state.cells) button.tabIndex = place === state.stop ? 0 : -1;
    clearTimeout(state.late);
    state.late = setTimeout(() => { for (const button of state.cells.values()) {
      const image = button.firstChild;
      if (!image.src) image.src = data.url +
        `${listed ? `${data.split}/` : ''}${button.dataset.index}.png${data.version}`;
    } }, state.quick ? 0 : 60);
  };
  box.onscroll = () => { state.quick = false; render(); };
  box.onkeydown = (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -state.columns,
      ArrowDown: state.columns }[event.key];
    const now = step && placeOf(Number(event.target.dataset.index)), next = now + step;
    if (!step || next < 0 || next >= state.count) return;
    event.preventDefault();
    const top = Math.floor(next / state.columns) * state.cell;
    if (top < box.scrollTop) box.scrollTop = top;
    if (top + state.cell > box.scrollTop + box.clientHeight)
      box.scrollTop = top + state.cell - box.clientHeight;
    state.stop = next; render(); state.cells.get(next)?.focus();
  };
  if (!state.watch) {
    state.watch = new ResizeObserver(() => state.render()); state.watch.observe(box);
  }
  state.render = render; state.quick = true; render();
  if (state.selected !== data.selected) {
    state.selected = data.selected; state.stop = placeOf(data.selected); render();
    const place = placeOf(data.selected), top = Math.floor(place / state.columns) * state.cell;
    const end = box.scrollTop + box.clientHeight;
    if (place >= 0 && (top < box.scrollTop || top + state.cell > end)) {
      box.scrollTop = Math.max(0, top - state.cell); render();
    }
  }
}
