export default function ({ data, parentElement, setTriggerValue }) {
  const nav = parentElement.querySelector('nav');
  nav.setAttribute('aria-label', data.label);
  if (nav.children.length !== data.chips.length)
    nav.replaceChildren(...data.chips.map(() => document.createElement('a')));
  data.chips.forEach(({ name, title, help, href }, k) => {
    const chip = nav.children[k];
    Object.assign(chip, { href, title: help, textContent: title });
    chip.ariaCurrent = name === data.current ? 'true' : null;
    chip.onclick = (event) => {  // without another visit; a new tab opens the link
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault(); setTriggerValue('picked', name);
    };
  });
}
