export default function ({ data, parentElement, setStateValue }) {
  const button = parentElement.querySelector('button'), [icon, label] = button.children;
  icon.textContent = data.icon; label.textContent = data.label;
  button.title = data.help; button.disabled = data.disabled;
  if (button.__token !== data.token) { button.__token = data.token; button.__count = data.seen; }
  button.onclick = () => {
    button.__count += 1;
    setStateValue('pressed', [data.token, button.__count]);
  };
}
