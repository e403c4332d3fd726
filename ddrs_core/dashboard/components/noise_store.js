export default function ({ data }) {
  const known = (window.__ddrsNoise ??= {});
  if (known[data.id]) return;
  known[data.id] = data;
  for (const old of Object.keys(known).slice(0, -4)) delete known[old];
  window.dispatchEvent(new Event('ddrs-noise'));
}
