// A small encoder trained by contrast: images of eight numbers, three of content and five of style, onto the sphere.

import { largest } from "./maths.js";

const CONTENT = 3;
const INPUTS = 8;
const HIDDEN = 32;
const DIM = 3;
const CLASSES = 6;
const EACH = 16; // images of a class
const BATCH = 48;
const NEAREST = 5;
const SPREAD = 0.2; // of a class's content around its centre
const JITTER = 0.15; // of a view's content around its image's
const ADAM = { first: 0.9, second: 0.999, tiny: 1e-8 };

/** Uniform numbers in [0, 1), the same for a seed in every browser (mulberry32). */
function uniform(seed) {
  let state = seed * 0x9e3779b9;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const normal = (random) => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
const drawn = (random, size, scale) => Float64Array.from({ length: size }, () => scale * normal(random));

/** The centre of a class: a positive or a negative axis. */
function corner(label) {
  const centre = new Float64Array(CONTENT);
  centre[label % CONTENT] = label < CONTENT ? 1 : -1;
  return centre;
}

/** A unit vector, `point`, for each row of inputs, with what the way back needs. */
function forward({ first, bias, second }, rows) {
  return rows.map((row) => {
    const hidden = new Float64Array(HIDDEN);
    for (let h = 0; h < HIDDEN; h++) {
      let sum = bias[h];
      for (let i = 0; i < INPUTS; i++) sum += first[h * INPUTS + i] * row[i];
      hidden[h] = Math.max(0, sum);
    }
    const raw = new Float64Array(DIM);
    for (let d = 0; d < DIM; d++) for (let h = 0; h < HIDDEN; h++) raw[d] += second[d * HIDDEN + h] * hidden[h];
    const length = Math.sqrt(inner(raw, raw));
    return { row, hidden, length, point: raw.map((value) => value / length) };
  });
}

/** Add to the gradients what points (n) contribute, whose own gradients are `slopes`. */
function backward({ second }, passed, slopes, gradients) {
  passed.forEach(({ row, hidden, length, point }, n) => {
    const along = point.reduce((sum, value, d) => sum + value * slopes[n][d], 0);
    const raw = point.map((value, d) => (slopes[n][d] - value * along) / length);
    for (let h = 0; h < HIDDEN; h++) {
      if (hidden[h] === 0) continue;
      let slope = 0;
      for (let d = 0; d < DIM; d++) {
        gradients.second[d * HIDDEN + h] += raw[d] * hidden[h];
        slope += raw[d] * second[d * HIDDEN + h];
      }
      gradients.bias[h] += slope;
      for (let i = 0; i < INPUTS; i++) gradients.first[h * INPUTS + i] += slope * row[i];
    }
  });
}

const inner = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];

/**
 * Loss and gradients of queries and keys (rows of inputs) with targets: share `shares[i]` is on key i, the rest on key
 * `partners[i]`. push: the softmax over all keys; otherwise each query is only pulled to its target.
 */
export function contrast(encoder, { queries, keys, shares, partners }, { temperature, push }) {
  const [asked, stored] = [forward(encoder, queries), forward(encoder, keys)];
  const n = asked.length;
  const zeros = () => Array.from({ length: n }, () => new Float64Array(DIM));
  const [toQueries, toKeys] = [zeros(), zeros()];
  let loss = 0;
  for (let i = 0; i < n; i++) {
    const similar = stored.map(({ point }) => inner(asked[i].point, point));
    const highest = Math.max(...similar);
    const weights = similar.map((value) => Math.exp((value - highest) / temperature));
    const sum = weights.reduce((total, weight) => total + weight, 0);
    for (let j = 0; j < n; j++) {
      const target = (j === i ? shares[i] : 0) + (j === partners[i] ? 1 - shares[i] : 0);
      const share = weights[j] / sum;
      if (target > 0) loss -= (target * (push ? Math.log(share) : similar[j])) / n;
      const slope = push ? (share - target) / temperature / n : -target / n;
      for (let d = 0; d < DIM; d++) {
        toQueries[i][d] += slope * stored[j].point[d];
        toKeys[j][d] += slope * asked[i].point[d];
      }
    }
  }
  const gradients = Object.fromEntries(Object.entries(encoder).map(([name, { length }]) => [name, new Float64Array(length)]));
  backward(encoder, asked, toQueries, gradients);
  backward(encoder, stored, toKeys, gradients);
  return { loss, gradients };
}

/** Images, an encoder and its optimiser, all drawn from a seed. */
export class Playground {
  constructor(seed) {
    this.random = uniform(seed + 1);
    const centres = Array.from({ length: CLASSES }, (_, label) => corner(label));
    this.labels = Array.from({ length: CLASSES * EACH }, (_, i) => i % CLASSES);
    this.contents = this.labels.map((label) => {
      const noise = drawn(this.random, CONTENT, SPREAD);
      return centres[label].map((value, c) => value + noise[c]);
    });
    this.weights = {
      first: drawn(this.random, HIDDEN * INPUTS, Math.sqrt(2 / INPUTS)),
      bias: drawn(this.random, HIDDEN, 0.1),
      second: drawn(this.random, DIM * HIDDEN, Math.sqrt(1 / HIDDEN)),
    };
    this.moments = Object.entries(this.weights).map(([name, { length }]) => {
      return { name, mean: new Float64Array(length), square: new Float64Array(length) };
    });
    this.steps = 0;
    this.history = [this.measure()];
  }

  /** A view of some images: their content jittered, and a style of its own. */
  view(images, style) {
    return images.map((i) => [
      ...this.contents[i].map((value) => value + JITTER * normal(this.random)),
      ...drawn(this.random, INPUTS - CONTENT, style),
    ]);
  }

  /** Some of the images, and two views of each; with i-Mix the queries are blends, with shares and partners. */
  batch({ style, mix }) {
    const images = this.shuffled(this.labels.map((_, i) => i)).slice(0, BATCH);
    const [views, keys] = [this.view(images, style), this.view(images, style)];
    const own = images.map((_, i) => i);
    if (!mix) return { queries: views, keys, shares: own.map(() => 1), partners: own };
    const partners = this.shuffled(own);
    const shares = own.map(() => 0.5 + 0.5 * this.random());
    const queries = views.map((row, i) =>
      row.map((value, k) => shares[i] * value + (1 - shares[i]) * views[partners[i]][k]),
    );
    return { queries, keys, shares, partners };
  }

  shuffled(values) {
    const mixed = [...values];
    for (let i = mixed.length - 1; i > 0; i--) {
      const j = Math.floor(this.random() * (i + 1));
      [mixed[i], mixed[j]] = [mixed[j], mixed[i]];
    }
    return mixed;
  }

  /** Train some steps by Adam. settings: temperature, style, rate, mix, push. */
  train(settings, steps) {
    for (let step = 0; step < steps; step++) {
      const { gradients } = contrast(this.weights, this.batch(settings), settings);
      this.steps++;
      for (const { name, mean, square } of this.moments) this.adam(this.weights[name], gradients[name], mean, square, settings);
    }
    this.history.push(this.measure());
  }

  adam(weights, gradients, mean, square, { rate }) {
    const [first, second] = [1 - ADAM.first ** this.steps, 1 - ADAM.second ** this.steps];
    gradients.forEach((slope, i) => {
      mean[i] += (1 - ADAM.first) * (slope - mean[i]);
      square[i] += (1 - ADAM.second) * (slope * slope - square[i]);
      weights[i] -= (rate * mean[i]) / first / (Math.sqrt(square[i] / second) + ADAM.tiny);
    });
  }

  /** Where the images are, seen without style. */
  points() {
    const rows = this.contents.map((content) => [...content, ...new Float64Array(INPUTS - CONTENT)]);
    return forward(this.weights, rows).map(({ point }) => point);
  }

  /** Alignment and uniformity (Wang and Isola 2020), both better if lower; and the share of neighbours of one class. */
  measure() {
    const points = this.points();
    const [whole, pairs, pure] = [[], [], []];
    points.forEach((a, i) => {
      const cosines = points.map((b, j) => (i === j ? -2 : inner(a, b)));
      const alike = (j) => this.labels[j] === this.labels[i];
      pure.push(largest(cosines, NEAREST).filter(alike).length / NEAREST);
      for (let j = 0; j < i; j++) {
        const squared = 2 - 2 * cosines[j];
        pairs.push(Math.exp(-2 * squared));
        if (alike(j)) whole.push(squared);
      }
    });
    return { step: this.steps, alignment: mean(whole), uniformity: Math.log(mean(pairs)), purity: mean(pure) };
  }
}

const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
