const TAKES_KEYS = 'input, textarea, select, [role=slider], [role=combobox], [contenteditable]';
const press = (name) => document.querySelector(`.st-key-${name} button`)?.click();
const keys = { ArrowRight: 'learn_next', PageDown: 'learn_next', ArrowLeft: 'learn_back', PageUp: 'learn_back' };
export default function ({ data, parentElement, setTriggerValue }) {
  const part = (name) => parentElement.querySelector(`[data-part=${name}]`);
  const note = part('note'), timer = part('timer'), dots = parentElement.querySelector('.ddrs-dots');
  note.innerHTML = data.note;
  if (!data.present) note.hidden = true;
  part('keys').hidden = !data.present;
  dots.setAttribute('aria-label', `Screen ${data.step} of ${data.length}`);
  dots.replaceChildren(...Array.from({ length: data.length }, (_, i) => {
    const dot = document.createElement('i');
    dot.className = [i + 1 === data.step && 'ddrs-here', i + 1 < data.step && 'ddrs-seen',
      i + 1 === data.question && 'ddrs-asks'].filter(Boolean).join(' ');
    return dot;
  }));
  timer.hidden = !data.present;
  if (data.present && !parentElement.__ticks) {
    const since = (window.__ddrsLessonSince ??= Date.now());
    const show = () => {
      const s = Math.floor((Date.now() - since) / 1000);
      timer.textContent = `${Math.floor(s / 60)}:${String(s % 60).padStart(2, '0')}`;
    };
    show(); parentElement.__ticks = setInterval(show, 1000);
  }
  const down = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (event.target.closest(TAKES_KEYS)) return;
    if (keys[event.key]) press(keys[event.key]);
    else if (event.key === 'n' && data.present) note.hidden = !note.hidden;
    else if (event.key === 'Escape' && data.present) setTriggerValue('leave', true);
    else return;
    event.preventDefault();
  };
  document.removeEventListener('keydown', parentElement.__down);
  document.addEventListener('keydown', parentElement.__down = down);
  return () => {
    if (parentElement.isConnected) return;  // another step, not another page
    document.removeEventListener('keydown', parentElement.__down);
    clearInterval(parentElement.__ticks);
  };
}
