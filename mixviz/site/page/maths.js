// Similarities and what a softmax makes of them.

/** The cosine of two vectors of unit length. */
export function cosine(a, b) {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

/** Probabilities of cosines at a temperature. */
export function softmax(cosines, temperature) {
  const highest = Math.max(...cosines);
  const weights = cosines.map((value) => Math.exp((value - highest) / temperature));
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return weights.map((weight) => weight / sum);
}

/** Cross entropy of probabilities and targets, in nats. */
export function crossEntropy(targets, probabilities) {
  return targets.reduce((sum, target, i) => (target > 0 ? sum - target * Math.log(probabilities[i]) : sum), 0);
}

/** Places of the largest values, the largest first. */
export function largest(values, count) {
  const places = Array.from(values, (_, i) => i);
  return places.sort((a, b) => values[b] - values[a]).slice(0, count);
}

/** Numbers from a to b, both included. */
export function spaced(a, b, count) {
  return Array.from({ length: count }, (_, i) => a + ((b - a) * i) / (count - 1));
}

/** A function that runs `update`, and once more if it is called meanwhile; never two at once. */
export function latest(update) {
  let [wanted, running] = [false, false];
  return async () => {
    wanted = true;
    if (running) return;
    running = true;
    try {
      while (wanted) {
        wanted = false;
        await update();
      }
    } finally {
      running = false;
    }
  };
}

/** A function that runs `update` once it has not been called for some milliseconds. */
export function rested(update, milliseconds) {
  let timer = 0;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(update, milliseconds);
  };
}
