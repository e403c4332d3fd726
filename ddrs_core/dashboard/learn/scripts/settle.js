// Algorithm 2 for balls in the plane: what a new one may keep, given those that are stored.
const far = (a, b) => Math.hypot(a.x - b.x, a.y - b.y);

/** The new ball {x, y, k, radius} (k is null for an abstention) with its outcome, class and radius. */
export const settle = (stored, ball) => {
  const parts = stored.map((by) => ({ by, slack: far(by, ball) - by.radius }));
  const widest = (k) => parts.filter(({ by, slack }) => slack < 0 && (k === null || by.k === k))
    .sort((a, b) => a.slack - b.slack)[0];
  const made = { ...ball, claimed: ball.radius, outcome: 'untouched' };
  if (ball.k === null) {
    const found = widest(null);
    return found ? { ...made, outcome: 'rescued', k: found.by.k, radius: -found.slack } : { ...made, outcome: 'abstains' };
  }
  const nearest = parts.filter(({ by, slack }) => by.k !== ball.k && slack < ball.radius)
    .sort((a, b) => a.slack - b.slack)[0];
  if (nearest && nearest.slack <= 0)
    return { ...made, outcome: 'adopted', k: nearest.by.k, radius: -nearest.slack };
  if (nearest) Object.assign(made, { outcome: 'trimmed', radius: nearest.slack });
  const wider = widest(ball.k);
  if (wider && -wider.slack > made.radius) Object.assign(made, { outcome: 'enlarged', radius: -wider.slack });
  return made;
};

/** Settle balls one after the other; adopted, enlarged and rescued ones change nothing later. */
export const settleAll = (balls) => {
  const stored = [];
  return balls.map((ball) => {
    const made = settle(stored, ball);
    if (made.outcome === 'untouched' || made.outcome === 'trimmed') stored.push(made);
    return made;
  });
};
