// The live explorer of latent spaces: networks that Keras trained, run by hand-written code in the reader's browser.
// It mounts on every <div data-explorer="URL of index.json">; as the module of the anywidget
// vae_keras.explorer.Explorer it shows one model.

// ---- numbers ----

/** Reads little-endian float16 numbers, from an ArrayBuffer or a view of one. */
export function readFloat16(bytes) {
  const view = ArrayBuffer.isView(bytes)
    ? new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    : new DataView(bytes);
  const numbers = new Float32Array(view.byteLength >> 1);
  for (let i = 0; i < numbers.length; i++) {
    const half = view.getUint16(2 * i, true);
    const exponent = (half >> 10) & 31;
    const fraction = half & 1023;
    let size = (1 + fraction / 1024) * 2 ** (exponent - 15);
    if (exponent === 0) size = fraction * 2 ** -24;
    if (exponent === 31) size = fraction ? NaN : Infinity;
    numbers[i] = half & 0x8000 ? -size : size;
  }
  return numbers;
}

/** The error function: a rational approximation that is right to 1e-7. */
export function erf(x) {
  x = Math.max(-4, Math.min(4, x));
  const s = x * x;
  const above = ((((((-2.72614225801306e-10 * s + 2.77068142495902e-8) * s - 2.10102402082508e-6) * s
    - 5.69250639462346e-5) * s - 7.34990630326855e-4) * s - 2.95459980854025e-3) * s - 1.60960333262415e-2);
  const below = ((((-1.45660718464996e-5 * s - 2.13374055278905e-4) * s - 1.68282697438203e-3) * s
    - 7.37332916720468e-3) * s - 1.42647390514189e-2);
  return (x * above) / below;
}

/** A layer's activation: null for a linear one, undefined for an unknown one. */
function activationOf({ activation, negative_slope: slope }) {
  return {
    linear: null,
    relu: (x) => (x > 0 ? x : 0),
    gelu: (x) => 0.5 * x * (1 + erf(x * Math.SQRT1_2)),
    gelu_tanh: (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x))),
    leaky_relu: (x) => (x > 0 ? x : slope * x),
    elu: (x) => (x > 0 ? x : Math.expm1(x)),
    silu: (x) => x / (1 + Math.exp(-x)),
    tanh: Math.tanh,
    sigmoid: (x) => 1 / (1 + Math.exp(-x)),
  }[activation ?? "linear"];
}

/** Applies the activation of a layer to its values, in place. */
export function activate(values, layer) {
  const each = activationOf(layer);
  if (each) for (let i = 0; i < values.length; i++) values[i] = each(values[i]);
  return values;
}

/** x (inputs) times the kernel (inputs, units), plus the bias. */
export function dense(x, layer, weights) {
  const { inputs, units } = layer;
  const y = Float64Array.from(weights.subarray(layer.bias, layer.bias + units));
  for (let i = 0; i < inputs; i++) {
    const value = x[i];
    // Most pixels of a digit are 0.
    if (value === 0) continue;
    const row = layer.kernel + i * units;
    for (let j = 0; j < units; j++) y[j] += value * weights[row + j];
  }
  return y;
}

/**
 * A convolution, or its transpose, with TensorFlow's padding "same": what is odd of it is at the bottom and right.
 * Each pixel of the smaller image, the output or the transpose's input, belongs to size * size of the larger one.
 */
export function convolution(x, layer, weights) {
  const { height, width, channels, filters, size, stride } = layer;
  const transposed = layer.type === "conv2d_transpose";
  const [rows, columns] = [height, width].map((side) => (transposed ? side : Math.ceil(side / stride)));
  const [tall, wide] = [height, width].map((side) => (transposed ? side * stride : side));
  const top = Math.max((rows - 1) * stride + size - tall, 0) >> 1;
  const left = Math.max((columns - 1) * stride + size - wide, 0) >> 1;
  const y = new Float64Array((transposed ? tall * wide : rows * columns) * filters);
  for (let i = 0; i < y.length; i++) y[i] = weights[layer.bias + (i % filters)];
  for (let row = 0, small = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++, small++) {
      for (let a = 0; a < size; a++) {
        const r = row * stride + a - top;
        if (r < 0 || r >= tall) continue;
        for (let b = 0; b < size; b++) {
          const c = column * stride + b - left;
          if (c < 0 || c >= wide) continue;
          const large = r * wide + c;
          const from = (transposed ? small : large) * channels;
          const to = (transposed ? large : small) * filters;
          let kernel = layer.kernel + (a * size + b) * channels * filters;
          if (transposed) {
            for (let f = 0; f < filters; f++, kernel += channels) {
              // Two sums: an addition waits for the one before it.
              let [even, odd] = [0, 0];
              for (let k = 0; k < channels; k += 2) {
                even += x[from + k] * weights[kernel + k];
                if (k + 1 < channels) odd += x[from + k + 1] * weights[kernel + k + 1];
              }
              y[to + f] += even + odd;
            }
          } else {
            for (let k = 0; k < channels; k++) {
              for (let f = 0; f < filters; f++) y[to + f] += x[from + k] * weights[kernel++];
            }
          }
        }
      }
    }
  }
  return y;
}

/** Cuts rows and columns off an image. */
export function crop(x, layer) {
  const { height, width, channels, top, bottom, left, right } = layer;
  const line = (width - left - right) * channels;
  const y = new Float64Array((height - top - bottom) * line);
  for (let row = top, to = 0; row < height - bottom; row++, to += line) {
    const from = (row * width + left) * channels;
    for (let i = 0; i < line; i++) y[to + i] = x[from + i];
  }
  return y;
}

/** Runs layers one after the other. */
export function run(layers, weights, x) {
  const kinds = { dense, crop };
  for (const layer of layers) x = activate((kinds[layer.type] ?? convolution)(x, layer, weights), layer);
  return x;
}

/** z -> pixels, (height * width * channels) in [0, 1]. */
export function decode(model, z) {
  return Float32Array.from(run(model.decoder.layers, model.decoder.weights, z));
}

/** An image -> {zMean, zLogVar}; of an autoencoder zMean is z, and zLogVar is null. */
export function encode(encoder, image) {
  const x = run(encoder.layers, encoder.weights, image);
  const head = (layer) => layer && Float32Array.from(run([layer], encoder.weights, x));
  return { zMean: head(encoder.z_mean), zLogVar: head(encoder.z_log_var) ?? null };
}

/** Draws of N(0, 1), the same for the same seed. */
export function normals(seed) {
  const uniform = () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  return () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
}

// ---- pictures ----

/**
 * Makes an image of ink, (width * height) numbers in [0, 1], as MNIST was made: fitted into a box of 20 x 20, each
 * pixel the mean of the ink that it covers, the centre of mass in the middle of 28 x 28. Without ink it is null.
 */
export function drawnToImage(ink, width, height, image = { height: 28, width: 28 }) {
  let [left, right, top, bottom] = [width, -1, height, -1];
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      if (!ink[i]) continue;
      [left, right, top] = [Math.min(left, x), Math.max(right, x + 1), Math.min(top, y)];
      bottom = y + 1;
    }
  }
  if (right < 0) return null;
  const box = Math.round((Math.min(image.height, image.width) * 20) / 28);
  const scale = Math.max(right - left, bottom - top) / box;
  // The overlap of each pixel of the ink with each pixel of the box, along one axis.
  const overlaps = (start, end) => {
    const shares = [];
    for (let p = start; p < end; p++) {
      const [a, b] = [(p - start) / scale, (p + 1 - start) / scale];
      for (let q = Math.floor(a); q < b && q < box; q++) shares.push([p, q, Math.min(b, q + 1) - Math.max(a, q)]);
    }
    return shares;
  };
  const small = new Float64Array(box * box);
  const columns = overlaps(left, right);
  for (const [y, row, tall] of overlaps(top, bottom)) {
    for (const [x, column, wide] of columns) small[row * box + column] += ink[y * width + x] * tall * wide;
  }
  let [mass, massX, massY] = [0, 0, 0];
  small.forEach((value, i) => {
    mass += value;
    massX += value * (i % box);
    massY += value * Math.floor(i / box);
  });
  const toX = Math.round(image.width / 2 - massX / mass);
  const toY = Math.round(image.height / 2 - massY / mass);
  const result = new Float32Array(image.height * image.width);
  small.forEach((value, i) => {
    const [x, y] = [(i % box) + toX, Math.floor(i / box) + toY];
    if (x >= 0 && x < image.width && y >= 0 && y < image.height) result[y * image.width + x] = Math.min(1, value);
  });
  return result;
}

/** The ink of a whole square of side * side numbers: each pixel is the mean of what it covers. */
export function shrunk(ink, side, { height, width }) {
  const scale = side / Math.max(height, width);
  return Float32Array.from({ length: height * width }, (_, i) => {
    const [left, top] = [i % width, Math.floor(i / width)].map((place) => Math.round(place * scale));
    const [right, bottom] = [(i % width) + 1, Math.floor(i / width) + 1].map((place) => Math.round(place * scale));
    let sum = 0;
    for (let y = top; y < bottom; y++) for (let x = left; x < right; x++) sum += ink[y * side + x];
    return sum / ((right - left) * (bottom - top));
  });
}

// ---- geometry ----

/** The variance of each latent over the codes. */
export function variances(codes) {
  return Array.from(codes[0] ?? [], (_, k) => {
    const mean = codes.reduce((sum, code) => sum + code[k], 0) / codes.length;
    return codes.reduce((sum, code) => sum + (code[k] - mean) ** 2, 0) / codes.length;
  });
}

// The two latents that vary most, in their order.
function widest(codes) {
  const of = variances(codes);
  return of.map((_, k) => k).sort((a, b) => of[b] - of[a]).slice(0, 2).sort((a, b) => a - b);
}

/** The number of the code that is nearest to z. */
export function nearest(codes, z) {
  let [best, least] = [0, Infinity];
  codes.forEach((code, number) => {
    let distance = 0;
    for (let i = 0; i < z.length; i++) distance += (code[i] - z[i]) ** 2;
    if (distance < least) [best, least] = [number, distance];
  });
  return best;
}

// The image in the middle of the first class.
function typical(codes, labels) {
  const own = codes.filter((_, i) => labels[i] === 0);
  return own.length ? nearest(codes, codes[0].map((_, k) => median(own.map((code) => code[k])))) : 0;
}

/** The square around points of the plane, {x, y, half}: its centre and half of its side. */
export function square(points) {
  const ends = [0, 1].map((i) => [Math.min(...points.map((p) => p[i])), Math.max(...points.map((p) => p[i]))]);
  const half = 0.54 * Math.max(...ends.map(([low, high]) => high - low));
  return { x: (ends[0][0] + ends[0][1]) / 2, y: (ends[1][0] + ends[1][1]) / 2, half: half > 1e-5 ? half : 1 };
}

/** Reads the gaps that vae_keras.explorer.write found: size * size bits, in rows along z2. */
export function readGaps({ low, high, size, bits, share }) {
  const bytes = Uint8Array.from(atob(bits), (character) => character.charCodeAt(0));
  const [width, height] = [0, 1].map((i) => (high[i] - low[i]) / size);
  const cells = [];
  for (let i = 0; i < size * size; i++) {
    if (!((bytes[i >> 3] >> (7 - (i & 7))) & 1)) continue;
    cells.push([low[0] + ((i % size) + 0.5) * width, low[1] + (Math.floor(i / size) + 0.5) * height]);
  }
  return { cells, width, height, share };
}

// ---- likelihood ----

/** log p(x|z) of Bernoulli pixels, from the logits of the decoder; probabilities keep 1e-7 from 0 and 1. */
export function logLikelihood(logits, image) {
  const largest = Math.log((1 - 1e-7) / 1e-7);
  let [sum, product] = [0, 1];
  for (let i = 0; i < image.length; i++) {
    const logit = Math.max(-largest, Math.min(largest, logits[i]));
    sum += image[i] * logit - (logit > 0 ? logit : 0);
    // The logarithm of a product of many is taken once; 500 factors below 2 do not overflow.
    product *= 1 + Math.exp(-Math.abs(logit));
    if (i % 500 === 499) [sum, product] = [sum - Math.log(product), 1];
  }
  return sum - Math.log(product);
}

/** The layers of a decoder without the sigmoid at their end: they give logits. */
export function toLogits(layers) {
  const last = layers.findLastIndex((layer) => layer.activation && layer.activation !== "linear");
  if (layers[last]?.activation !== "sigmoid") return layers;
  return layers.with(last, { ...layers[last], activation: "linear" });
}

/** KL(q || N(0, I)) of the encoder's normal distribution, in nats. */
export function klDivergence(zMean, zLogVar) {
  let sum = 0;
  for (let i = 0; i < zMean.length; i++) sum += (zMean[i] ** 2 + Math.exp(zLogVar[i]) - zLogVar[i] - 1) / 2;
  return sum;
}

/**
 * The ELBO of an image, in nats. The mean of log p(x|z) over the encoder's distribution is for two latents a sum over a
 * grid, as good as exact for a normal distribution, and for more the mean of 400 draws with a fixed seed.
 */
export function elbo({ layers, weights, image, zMean, zLogVar }) {
  const logits = toLogits(layers);
  const sigma = Array.from(zLogVar, (v) => Math.exp(v / 2));
  const at = (noise) => logLikelihood(run(logits, weights, noise.map((e, i) => zMean[i] + sigma[i] * e)), image);
  let [sum, total] = [0, 0];
  if (zMean.length === 2) {
    for (let a = -5; a <= 5; a += 0.5) {
      for (let b = -5; b <= 5; b += 0.5) {
        const weight = Math.exp(-(a * a + b * b) / 2);
        if (weight < 1e-6) continue;
        sum += weight * at([a, b]);
        total += weight;
      }
    }
  } else {
    const normal = normals(0);
    for (; total < 400; total++) sum += at(sigma.map(normal));
  }
  return sum / total - klDivergence(zMean, zLogVar);
}

/**
 * log p(x) and the true posterior of two latents: the integral of p(x|z) p(z) as a sum over cells. Those that can
 * matter are divided by three until the sum stays within the tolerance. Gives x, y, side and log p(z|x) of each.
 */
export function exactPosterior({ layers, weights, image, zMean, zLogVar }, tolerance = 0.01) {
  const logits = toLogits(layers);
  const logJoint = (x, y) =>
    logLikelihood(run(logits, weights, [x, y]), image) - (x * x + y * y) / 2 - Math.log(2 * Math.PI);
  const reach = Math.max(5, ...[0, 1].map((i) => Math.abs(zMean[i]) + 4 * Math.exp(Math.min(zLogVar[i], 0) / 2)));
  const key = (i, j) => (i + 50000) * 100000 + j + 50000;
  let step = reach / 17;
  let cells = new Map();
  for (let i = -17; i <= 17; i++) {
    for (let j = -17; j <= 17; j++) cells.set(key(i, j), { i, j, log: logJoint(i * step, j * step) });
  }
  let leaves = [];
  let [logP, error] = [-Infinity, Infinity];
  // Wide cells see little of a narrow peak: they are divided also far below the largest.
  for (const margin of [60, 30, 25, 20, 20]) {
    const largest = Math.max(...[...cells.values()].map((cell) => cell.log));
    const all = [...leaves, ...[...cells.values()].map((cell) => ({ ...cell, step }))];
    const sum = all.reduce((total, cell) => total + Math.exp(cell.log - largest) * cell.step ** 2, 0);
    [error, logP] = [Math.abs(largest + Math.log(sum) - logP), largest + Math.log(sum)];
    if (error < tolerance || step < 0.002) {
      leaves = all;
      break;
    }
    const divided = new Map();
    for (const { i, j, log } of cells.values()) {
      let matters = false;
      for (let a = -1; a <= 1 && !matters; a++) {
        for (let b = -1; b <= 1 && !matters; b++) matters = cells.get(key(i + a, j + b))?.log > largest - margin;
      }
      if (!matters) leaves.push({ i, j, log, step });
      for (let a = -1; matters && a <= 1; a++) {
        for (let b = -1; b <= 1; b++) {
          const [k, l] = [3 * i + a, 3 * j + b];
          // The middle of the nine is the cell's own centre.
          const value = a || b ? logJoint((k * step) / 3, (l * step) / 3) : log;
          divided.set(key(k, l), { i: k, j: l, log: value });
        }
      }
    }
    cells = divided;
    step /= 3;
  }
  return {
    logP,
    error,
    cells: Float32Array.from(leaves.flatMap(({ i, j, step: side, log }) => [i * side, j * side, side, log - logP])),
  };
}

// What the worker needs.
const OF_THE_WORKER = [
  erf, activationOf, activate, dense, convolution, crop, run, normals, logLikelihood, toLogits, klDivergence, elbo,
  exactPosterior,
];

/** Runs elbo and exactPosterior in a worker. */
export function likelihoodInWorker(job) {
  const answer = "onmessage = ({ data }) => postMessage("
    + "{ elbo: elbo(data), ...(data.zMean.length === 2 ? exactPosterior(data) : {}) });";
  const code = new Blob([...OF_THE_WORKER, answer].map((part) => `${part}\n`), { type: "text/javascript" });
  const url = URL.createObjectURL(code);
  const worker = new Worker(url);
  const stop = () => {
    worker.terminate();
    URL.revokeObjectURL(url);
  };
  const promise = new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) => resolve(data);
    worker.onerror = (event) => reject(new Error(`The likelihood was not computed: ${event.message}`));
  }).finally(stop);
  worker.postMessage(job);
  return { promise, stop };
}

// ---- sources ----

// The numbers into a layer, out of it, in its kernel and in its bias.
function sizes(layer) {
  const { height, width, channels, filters, size, stride } = layer;
  if (layer.type === "dense") return [layer.inputs, layer.units, layer.inputs * layer.units, layer.units];
  if (layer.type === "crop") {
    const left = (height - layer.top - layer.bottom) * (width - layer.left - layer.right);
    return [height * width * channels, left * channels, 0, 0];
  }
  const grown = { conv2d: (side) => Math.ceil(side / stride), conv2d_transpose: (side) => side * stride }[layer.type];
  const outputs = grown && grown(height) * grown(width) * filters;
  return [height * width * channels, outputs, size * size * channels * filters, filters];
}

function checkLayers(layers, file, blob, first, last) {
  if (!Array.isArray(layers) || !layers.length) throw new Error(`The description of ${file} lists no layers.`);
  let before = first;
  layers.forEach((layer, number) => {
    const name = `Layer ${number + 1} of ${file}`;
    const [inputs, outputs, kernel, bias] = sizes(layer);
    if (!(outputs > 0)) throw new Error(`${name} is of an unknown kind or size: ${JSON.stringify(layer)}.`);
    if (activationOf(layer) === undefined) throw new Error(`${name} has an unknown activation: ${layer.activation}.`);
    if (inputs !== before) throw new Error(`${name} takes ${inputs} numbers, but is given ${before}.`);
    for (const [offset, count] of [[layer.kernel, kernel], [layer.bias, bias]]) {
      if (count && !(Number.isInteger(offset) && offset >= 0 && 2 * (offset + count) <= blob)) {
        throw new Error(`${name} reads ${count} numbers from number ${offset} on, but the file has ${blob / 2}.`);
      }
    }
    before = outputs;
  });
  if (before !== last) throw new Error(`${file} gives ${before} numbers. Expected ${last}.`);
}

/** Checks the description of a model; raises an Error with a sentence. */
export function checkModel(model, count) {
  if (model?.format !== 1) throw new Error(`The model has format ${model?.format}. Expected 1: write it anew.`);
  const { latent_dim: latents, image, codes, decoder, encoder, name } = model;
  const pixels = image?.height * image?.width * image?.channels;
  if (!(latents > 1) || !(pixels > 0)) {
    throw new Error(`${name} has ${latents} latents and ${pixels} pixels. Expected two latents or more, and an image.`);
  }
  if (!Array.isArray(codes) || codes.length !== count || codes.some((code) => code?.length !== latents)) {
    throw new Error(`${name} has ${codes?.length} codes. Expected ${count}, of ${latents} numbers each: one an image.`);
  }
  checkLayers(decoder?.layers, `the decoder of ${name}`, decoder?.bytes, latents, pixels);
  for (const head of [encoder?.z_mean, encoder?.z_log_var]) {
    if (head) checkLayers([...encoder.layers, head], `the encoder of ${name}`, encoder.bytes, pixels, latents);
  }
  return model;
}

function checkedWeights(bytes, expected, file) {
  if (bytes.byteLength !== expected) {
    throw new Error(`${file} has ${bytes.byteLength} bytes. Expected ${expected}: it is cut short or another model's.`);
  }
  return readFloat16(bytes);
}

async function fetched(url, how) {
  const file = new URL(url).pathname.split("/").pop();
  let response;
  try {
    response = await fetch(url);
  } catch {
    throw new Error(`${file} could not be loaded.`);
  }
  if (!response.ok) throw new Error(`${file} could not be loaded: the server answers ${response.status}.`);
  try {
    return await how(response);
  } catch {
    throw new Error(`${file} cannot be read: it is cut short or damaged.`);
  }
}

// Loads each thing once; what failed is tried again.
function once(load) {
  const kept = new Map();
  return (key) => {
    if (!kept.has(key)) {
      const promise = load(key);
      kept.set(key, promise);
      promise.catch(() => kept.delete(key));
    }
    return kept.get(key);
  };
}

/** Models and images that lie beside an index.json. */
export async function siteSource(url) {
  const index = await fetched(url, (response) => response.json());
  const names = new Set(index.models?.map((model) => model.name));
  if (!names.size || !index.data || !names.has(index.start)) {
    throw new Error("index.json names no models, or none to start with.");
  }
  const of = (name) => index.models.find((model) => model.name === name);
  const beside = (file) => new URL(file, url).href;
  const json = once((name) => fetched(beside(of(name).file), (response) => response.json()));
  const part = async (name, which) => {
    const model = checkModel(await json(name), index.data[of(name).data].count);
    const half = model[which];
    const weights = await fetched(beside(half.file), (response) => response.arrayBuffer());
    return { ...half, weights: checkedWeights(weights, half.bytes, half.file) };
  };
  return {
    index,
    json,
    model: once(async (name) => {
      const decoder = await part(name, "decoder");
      return { ...(await json(name)), decoder };
    }),
    encoder: once((name) => part(name, "encoder")),
    images: once(async (data) => {
      const about = index.data[data];
      const pixels = await fetched(beside(about.file), async (response) => {
        const stream = response.body.pipeThrough(new DecompressionStream("gzip"));
        return new Uint8Array(await new Response(stream).arrayBuffer());
      });
      return checkedImages({ ...about, pixels }, about.file);
    }),
  };
}

function checkedImages(images, file) {
  const { count, height, width, channels, pixels, labels } = images;
  if (pixels.length !== count * height * width * channels || labels?.length !== count) {
    const given = `${pixels.length} numbers and ${labels?.length} labels`;
    throw new Error(`${file} has ${given}. Expected ${count} images of ${height} x ${width} x ${channels}.`);
  }
  return images;
}

// The one model of a widget, from its traits.
function widgetSource(widget) {
  const bytes = (name) => {
    const view = widget.get(name);
    return new Uint8Array(view.buffer ?? view, view.byteOffset ?? 0, view.byteLength);
  };
  const about = widget.get("_model");
  const images = checkedImages({ ...widget.get("_images"), pixels: bytes("_pixels") }, "The widget");
  const model = checkModel(about, images.count);
  const half = (which) => ({
    ...model[which],
    weights: checkedWeights(bytes(`_${which}`), model[which].bytes, `The ${which}`),
  });
  const whole = { ...model, decoder: half("decoder") };
  return {
    index: { start: model.name, models: [model] },
    json: async () => model,
    model: async () => whole,
    encoder: async () => half("encoder"),
    images: async () => images,
  };
}

// ---- page ----

// The colours of the classes, as in every figure of the book: vae_keras/plots/style.py.
export const COLOURS = [
  "#1489ff", "#d84e14", "#0000ff", "#62d876", "#ebc400", "#c47689", "#273b62", "#00d8ff", "#004e27", "#4e149d",
];
const PAD = 280;
// A latent whose code varies less than this is unused, as vae_keras.activity has it.
const USED = 0.01;
const PICTURES_OF_A_PATH = 11;

const SWITCHES = {
  kind: "Model", beta: "Beta, the weight of KL", activation: "Activation", network: "Network",
  latent_dim: "Latents, numbers per image", data: "Data",
};
const NAMES = { autoencoder: "Autoencoder", vae: "VAE", mnist: "MNIST", fashion_mnist: "Fashion-MNIST" };

/** Makes an element: attributes are set, functions listen, false is left out. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children);
  return element;
}

const number = (value, digits = 2) => value.toFixed(digits).replace("-", "−");
const point = (z) => `(${Array.from(z, (value) => number(value)).join(", ")})`;
const withArticle = (name) => (/^\d$/.test(name) ? `a${name === "8" ? "n" : ""} ${name}` : name);
let identities = 0;
const identity = () => `vae-explorer-${(identities += 1)}`;

/** Draws pixels in [0, 1], grey ones as ink on paper. They stay on the canvas as floats. */
export function drawPixels(canvas, pixels, { height, width, channels }, at = 0) {
  const context = canvas.getContext("2d");
  const data = context.createImageData(width, height);
  for (let i = 0; i < height * width; i++) {
    for (let c = 0; c < 3; c++) {
      data.data[4 * i + c] = 255 * (channels === 1 ? 1 - pixels[i] : pixels[3 * i + c]) + 0.5;
    }
    data.data[4 * i + 3] = 255;
  }
  context.putImageData(data, at, 0);
  canvas.pixels = pixels;
}

function picture(caption, name) {
  const canvas = make("canvas", { role: "img", "aria-label": caption, "data-picture": name, width: 28, height: 28 });
  const text = make("figcaption", {}, caption);
  const element = make("figure", {}, canvas, text);
  const draw = (pixels, image, words = caption) => {
    Object.assign(canvas, { width: image.width, height: image.height });
    drawPixels(canvas, pixels, image);
    text.textContent = words;
    canvas.setAttribute("aria-label", words);
  };
  return { element, draw, clear: () => canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height) };
}

function pixelsOf(images, i) {
  const size = images.height * images.width * images.channels;
  return Float32Array.from(images.pixels.subarray(i * size, (i + 1) * size), (value) => value / 255);
}

/** The plane of the codes, which answers the pointer, the keys and the finger. */
function createPlane({ onMove, onEnd, calm }) {
  const canvas = make("canvas", { "aria-hidden": "true" });
  const handles = ["A", "B"].map((name, which) =>
    make("button", { type: "button", class: "handle", hidden: true, "data-end": name }, name));
  const element = make("div", {
    class: "plane", tabindex: 0, role: "application",
    "aria-label": "Plane of the codes. Arrow keys move the point that is decoded, Shift makes larger steps.",
  }, canvas, ...handles);
  const edge = { left: 46, right: 4, top: 14, bottom: 36 };
  let view = null;
  let shown = null;
  let animation = null;
  let frame = 0;

  const side = () => element.clientWidth - edge.left - edge.right;
  const unitToPixels = ([x, y]) => [edge.left + (x + 1) * (side() / 2), edge.top + (1 - y) * (side() / 2)];
  const toPixels = (place) => unitToPixels(toUnit(place));
  const toUnit = ([x, y]) => [(x - view.range.x) / view.range.half, (y - view.range.y) / view.range.half];
  const fromUnit = (place) => {
    const [x, y] = place.map((value) => Math.max(-1, Math.min(1, value)) * view.range.half);
    return [view.range.x + x, view.range.y + y];
  };
  const toPlane = (event) => {
    const box = canvas.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left - edge.left, event.clientY - box.top - edge.top];
    return fromUnit([(x / side()) * 2 - 1, 1 - (y / side()) * 2]);
  };
  // Where an arrow key leads from a point, and whether it goes forward.
  const stepped = (event, from) => {
    const direction = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    if (!direction) return null;
    event.preventDefault();
    const size = event.shiftKey ? 0.25 : 0.05;
    const to = fromUnit(toUnit(from).map((value, i) => value + size * direction[i]));
    return { to, turn: direction[0] + direction[1] };
  };

  let held = false;
  for (const type of ["pointerdown", "pointermove"]) {
    element.addEventListener(type, (event) => {
      if (!view || event.target.closest(".handle")) return;
      if (type === "pointerdown") {
        element.setPointerCapture(event.pointerId);
        // A mouse has to leave the plane for the switches: a click keeps the point where it is.
        held = event.pointerType === "mouse" && !held;
      } else if (held && !event.buttons) return;
      onMove(toPlane(event));
    });
  }
  element.addEventListener("keydown", (event) => {
    if (!view || event.target !== element) return;
    const step = stepped(event, view.point);
    if (step) onMove(step.to);
  });
  handles.forEach((handle, which) => {
    handle.addEventListener("pointerdown", (event) => handle.setPointerCapture(event.pointerId));
    handle.addEventListener("pointermove", (event) => {
      if (handle.hasPointerCapture(event.pointerId)) onEnd(which, toPlane(event));
    });
    handle.addEventListener("keydown", (event) => {
      const step = stepped(event, view.ends[which].point);
      if (step) onEnd(which, step.to, step.turn);
    });
  });

  const draw = () => {
    frame = 0;
    if (!view || !element.clientWidth) return;
    const [size, ratio] = [element.clientWidth, window.devicePixelRatio || 1];
    if (canvas.width !== Math.round(size * ratio)) canvas.width = canvas.height = Math.round(size * ratio);
    const context = canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    if (animation) {
      const part = Math.min(1, (performance.now() - animation.start) / 450);
      const eased = part * part * (3 - 2 * part);
      shown = view.points.map((to, i) => {
        const [a, b] = [animation.from[i], toUnit(to)];
        return [a[0] + (b[0] - a[0]) * eased, a[1] + (b[1] - a[1]) * eased];
      });
      if (part === 1) animation = null;
      else schedule();
    }
    paintPlane(context, { ...view, edge, size, side: side(), toPixels, pixels: shown.map(unitToPixels) });
    handles.forEach((handle, which) => {
      handle.hidden = !view.ends;
      if (!view.ends) return;
      const [x, y] = toPixels(view.ends[which].point);
      handle.style.left = `${x}px`;
      handle.style.top = `${y}px`;
      handle.setAttribute("aria-label", view.ends[which].label);
    });
  };
  const schedule = () => {
    frame ||= requestAnimationFrame(draw);
  };
  const observer = new ResizeObserver(schedule);
  observer.observe(element);
  return {
    element,
    // Points that are others wander to their places.
    show(next) {
      const moved = view && (view.points !== next.points || view.range.half !== next.range.half);
      const from = shown;
      view = next;
      if (moved && from?.length === view.points.length && !calm.matches) animation = { from, start: performance.now() };
      if (!animation) shown = view.points.map(toUnit);
      schedule();
    },
    stop: () => observer.disconnect(),
  };
}

// Round numbers for the ticks of an axis, about five.
function ticks(low, high) {
  const rough = (high - low) / 5;
  const unit = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((times) => times * unit).find((value) => value >= rough);
  const values = [];
  for (let i = Math.ceil(low / step); i * step <= high; i++) values.push(i * step);
  return { values, digits: Math.max(0, -Math.floor(Math.log10(step) + 1e-9)) };
}

const median = (values) => Float64Array.from(values).sort()[values.length >> 1];

// Names of classes at the medians of their points, moved apart.
function placedNames(points, labels, names, context) {
  const places = names.map((name, label) => {
    const own = points.filter((_, i) => labels[i] === label);
    const width = context.measureText(name).width + 12;
    return { name, label, width, own, x: median(own.map((p) => p[0])) + label / 50, y: median(own.map((p) => p[1])) };
  }).filter(({ own }) => own.length);
  for (let round = 0; round < 60; round++) {
    for (const a of places) {
      for (const b of places) {
        if (a === b) continue;
        const [overX, overY] = [(a.width + b.width) / 2 + 2 - Math.abs(a.x - b.x), 22 - Math.abs(a.y - b.y)];
        if (overX <= 0 || overY <= 0) continue;
        if (overX < overY) a.x += (Math.sign(a.x - b.x) * overX) / 4;
        else a.y += ((Math.sign(a.y - b.y) || a.label - b.label) * overY) / 4;
      }
    }
  }
  return places;
}

function paintPlane(context, view) {
  const { edge, side, size, range, toPixels } = view;
  const bottom = edge.top + side;
  const scale = side / 2 / range.half;
  context.fillStyle = "#fff";
  context.fillRect(0, 0, size, size);
  context.font = "12px system-ui, sans-serif";
  context.fillStyle = "#4a4f57";
  context.strokeStyle = "#e7e8ea";
  context.lineWidth = 1;
  const { values: across, digits } = ticks(range.x - range.half, range.x + range.half);
  context.textAlign = "center";
  for (const value of across) {
    const [x] = toPixels([value, 0]);
    context.strokeRect(x, edge.top, 0, side);
    context.fillText(number(value, digits), x, bottom + 14);
  }
  context.textAlign = "right";
  for (const value of ticks(range.y - range.half, range.y + range.half).values) {
    const [, y] = toPixels([0, value]);
    context.strokeRect(edge.left, y, side, 0);
    context.fillText(number(value, digits), edge.left - 5, y + 4);
  }
  context.textAlign = "center";
  context.fillText(view.axes[0], edge.left + side / 2, bottom + 29);
  context.save();
  context.translate(12, edge.top + side / 2);
  context.rotate(-Math.PI / 2);
  context.fillText(view.axes[1], 0, 0);
  context.restore();

  context.save();
  context.beginPath();
  context.rect(edge.left, edge.top, side, side);
  context.clip();
  if (view.gaps) paintGaps(context, view, scale);
  if (view.posterior) paintPosterior(context, view, scale);
  view.pixels.forEach(([x, y], i) => {
    context.beginPath();
    context.arc(x, y, 3, 0, 7);
    context.fillStyle = COLOURS[view.labels[i] % COLOURS.length];
    context.fill();
  });
  context.font = `bold ${view.names.some((name) => name.length > 3) ? 11 : 13}px system-ui, sans-serif`;
  for (const { name, label, width, x, y } of placedNames(view.pixels, view.labels, view.names, context)) {
    const colour = COLOURS[label % COLOURS.length];
    context.fillStyle = colour;
    context.strokeStyle = "#fff";
    context.lineWidth = 2;
    context.beginPath();
    context.roundRect(x - width / 2, y - 9, width, 18, 9);
    context.stroke();
    context.fill();
    const [red, green, blue] = [1, 3, 5].map((i) => parseInt(colour.slice(i, i + 2), 16));
    context.fillStyle = 0.3 * red + 0.59 * green + 0.11 * blue > 120 ? "#000" : "#fff";
    context.fillText(name, x, y + 4.5);
  }
  if (view.ends) {
    outlined(context, () => {
      context.moveTo(...toPixels(view.ends[0].point));
      context.lineTo(...toPixels(view.ends[1].point));
    });
  }
  if (view.gaussian) paintGaussian(context, view, scale);
  paintPointer(context, view);
  if (view.posterior) paintInset(context, view, scale);
  context.restore();
}

function paintGaps(context, { gaps, toPixels }, scale) {
  context.fillStyle = "#bd1f0140";
  const [width, height] = [gaps.width * scale, gaps.height * scale];
  context.beginPath();
  for (const centre of gaps.cells) {
    const [x, y] = toPixels(centre);
    context.rect(x - width / 2, y - height / 2, width, height);
  }
  context.fill();
}

function paintPosterior(context, { posterior, toPixels }, scale) {
  let highest = -Infinity;
  for (let i = 3; i < posterior.length; i += 4) highest = Math.max(highest, posterior[i]);
  for (let i = 0; i < posterior.length; i += 4) {
    const share = Math.exp(posterior[i + 3] - highest);
    if (share < 0.01) continue;
    const [x, y] = toPixels([posterior[i], posterior[i + 1]]);
    const cell = posterior[i + 2] * scale;
    context.fillStyle = `rgba(40, 40, 48, ${0.75 * share})`;
    context.fillRect(x - cell / 2, y - cell / 2, cell, cell);
  }
}

// A posterior is often smaller than a dot: here it is once more, enlarged.
function paintInset(context, { posterior, gaussian, edge, side, toPixels }, plain) {
  const [mean, size] = [gaussian.mean, 0.42 * side];
  const left = toPixels(mean)[0] > edge.left + side / 2 ? edge.left + 6 : edge.left + side - size - 6;
  const top = edge.top + 6;
  let half = 4 * Math.max(...gaussian.sigma);
  let highest = -Infinity;
  for (let i = 3; i < posterior.length; i += 4) highest = Math.max(highest, posterior[i]);
  for (let i = 0; i < posterior.length; i += 4) {
    if (posterior[i + 3] < highest - 4.6) continue;
    half = Math.max(half, ...[0, 1].map((k) => Math.abs(posterior[i + k] - mean[k]) + posterior[i + 2]));
  }
  const scale = size / 2 / half;
  const inside = ([x, y]) => [left + size / 2 + (x - mean[0]) * scale, top + size / 2 - (y - mean[1]) * scale];
  context.save();
  context.beginPath();
  context.rect(left, top, size, size);
  Object.assign(context, { fillStyle: "#fff", strokeStyle: "#4a4f57", lineWidth: 1 });
  context.fill();
  context.stroke();
  context.clip();
  paintPosterior(context, { posterior, toPixels: inside }, scale);
  paintGaussian(context, { gaussian, toPixels: inside }, scale);
  Object.assign(context, { fillStyle: "#4a4f57", font: "12px system-ui, sans-serif" });
  context.fillText(`enlarged ${number(scale / plain, 0)} times`, left + size / 2, top + size - 6);
  context.restore();
}

// Black lines on white ones.
function outlined(context, trace) {
  for (const [colour, width] of [["#fff", 5], ["#111", 2]]) {
    Object.assign(context, { strokeStyle: colour, lineWidth: width });
    context.beginPath();
    trace();
    context.stroke();
  }
}

function paintGaussian(context, { gaussian: { mean, sigma }, toPixels }, scale) {
  const [x, y] = toPixels(mean);
  outlined(context, () => {
    if (sigma) context.ellipse(x, y, 2 * sigma[0] * scale, 2 * sigma[1] * scale, 0, 0, 7);
    for (const turn of [1, -1]) {
      context.moveTo(x - 5, y - 5 * turn);
      context.lineTo(x + 5, y + 5 * turn);
    }
  });
}

function paintPointer(context, { point, real, toPixels }) {
  const [x, y] = toPixels(point);
  const [realX, realY] = toPixels(real);
  outlined(context, () => {
    context.moveTo(x, y);
    context.lineTo(realX, realY);
    context.moveTo(realX + 6, realY);
    context.arc(realX, realY, 6, 0, 7);
    context.moveTo(x + 11, y);
    context.arc(x, y, 11, 0, 7);
  });
}

/** The model that is nearest to what is wanted; `key` must be met. */
export function bestModel(models, wanted, key) {
  const weights = { data: 32, kind: 16, network: 8, latent_dim: 8, activation: 4, beta: 2, epoch: 1 };
  const score = (model) => {
    const met = Object.entries(weights).filter(([name]) => model[name] === wanted[name]);
    return met.reduce((sum, [, weight]) => sum + weight, 0) + model.epoch / 1e6;
  };
  const fitting = models.filter((model) => model[key] === wanted[key]);
  return fitting.reduce((best, model) => (score(model) > score(best) ? model : best));
}

// Whether models differ in these settings at most.
function alikeBut(a, b, ...settings) {
  return Object.keys(SWITCHES).every((name) => settings.includes(name) || a[name] === b[name]);
}

/** Radio buttons for each setting in which models differ. */
function createSwitches(models, keys, onChange) {
  const groups = keys.map((key) => {
    const values = [...new Set(models.map((model) => model[key]))].filter((value) => value != null);
    if (values.every((value) => typeof value === "number")) values.sort((a, b) => a - b);
    const name = identity();
    const radios = values.map((value) => make("input", {
      type: "radio", name, value, "data-switch": key, change: () => onChange(key, value),
    }));
    const labels = radios.map((radio) => make("label", {}, radio, make("span", {}, NAMES[radio.value] ?? radio.value)));
    const element = make("fieldset", {}, make("legend", {}, SWITCHES[key]), make("div", {}, ...labels));
    return { key, values, radios, element };
  }).filter((group) => group.values.length > 1);
  return {
    elements: groups.map((group) => group.element),
    show(model) {
      for (const { key, values, radios } of groups) {
        radios.forEach((radio, i) => {
          const value = values[i];
          radio.checked = model[key] === value;
          // Data, network and latents lead to the nearest model that there is.
          const free = ["data", "network", "latent_dim"].includes(key);
          const ignored = key === "kind" ? ["kind", "beta"] : [key];
          const fits = (other) => other[key] === value && (free || alikeBut(model, other, ...ignored));
          radio.disabled = !models.some(fits);
        });
      }
    },
  };
}

/** The drawing pad; onDraw is told when the ink changes. */
function createPad(onDraw) {
  const canvas = make("canvas", {
    class: "pad", width: PAD, height: PAD, role: "img", "data-pad": true,
    "aria-label": "Drawing pad, for a mouse, a pen or a finger. Without one, take a held-out picture.",
  });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  let last = null;
  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * PAD, ((event.clientY - box.top) / box.height) * PAD];
  };
  const stroke = (event) => {
    const next = place(event);
    Object.assign(context, { lineWidth: 24, lineCap: "round", strokeStyle: "#000" });
    context.beginPath();
    context.moveTo(...(last ?? next));
    context.lineTo(...next);
    context.stroke();
    last = next;
    onDraw(null);
  };
  canvas.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    canvas.setPointerCapture(event.pointerId);
    last = null;
    stroke(event);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (canvas.hasPointerCapture(event.pointerId)) (event.getCoalescedEvents?.() ?? [event]).forEach(stroke);
  });
  const clear = () => context.clearRect(0, 0, PAD, PAD);
  return {
    canvas,
    ink: () => {
      const { data } = context.getImageData(0, 0, PAD, PAD);
      return new Float32Array(PAD * PAD).map((_, i) => data[4 * i + 3] / 255);
    },
    clear,
    /** Puts an image on the pad, its pixels as large squares. */
    put(pixels, { height, width }) {
      const small = make("canvas", { width, height });
      const data = new ImageData(width, height);
      pixels.forEach((value, i) => (data.data[4 * i + 3] = 255 * value + 0.5));
      small.getContext("2d").putImageData(data, 0, 0);
      clear();
      context.imageSmoothingEnabled = false;
      const scale = PAD / Math.max(width, height);
      context.drawImage(small, 0, 0, width * scale, height * scale);
    },
  };
}

/** Builds the explorer into an element, from a source as siteSource gives it; returns a function that ends it. */
async function build(root, source, compact) {
  const { index } = source;
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  const models = compact
    ? index.models.filter((model) => [index.start, index.beside].includes(model.name))
    : index.models;
  const of = (name) => models.find((model) => model.name === name);
  const wanted = { ...of(index.start) };
  const state = { model: null, images: null, z: null, axes: [0, 1], ends: [{ image: 0 }, { image: 1 }] };
  const ui = make("div", { class: "vae-explorer" });
  const live = make("p", { class: "hidden-text", role: "status", "aria-live": "polite" });
  const problem = make("p", { class: "problem", role: "alert", hidden: true });
  const about = make("p", { class: "note" });
  const crossed = make("p", { class: "note", hidden: true }, "Crossed out: not trained for this choice.");

  const decoded = picture("Decoded from the point", "decoded");
  const real = picture("Nearest real image", "real");
  const coordinates = make("p", { class: "coordinates" });
  let lastSaid = 0;
  let saying = 0;
  const say = (sentence) => {
    clearTimeout(saying);
    saying = setTimeout(() => {
      lastSaid = performance.now();
      live.textContent = sentence;
    }, Math.max(150, lastSaid + 1000 - performance.now()));
  };
  const className = (i) => state.images.class_names[state.images.labels[i]];
  const inPlane = (z) => state.axes.map((axis) => z[axis]);
  const move = (z) => {
    const { model, images } = state;
    state.z = Array.from(z, Math.fround);
    state.real = nearest(model.codes, state.z);
    decoded.draw(decode(model, state.z), model.image);
    real.draw(pixelsOf(images, state.real), images, `Nearest real image: ${withArticle(className(state.real))}`);
    root.dataset.z = state.z.join(",");
    const where = model.latent_dim === 2 ? `z = ${point(state.z)}` : `z = ${point(inPlane(state.z))} in this plane`;
    coordinates.textContent = where;
    say(`${where}. The nearest real image is ${withArticle(className(state.real))}.`);
    sliders?.show();
    draw();
  };
  const moveInPlane = (place) => {
    const z = [...state.z];
    state.axes.forEach((axis, i) => (z[axis] = place[i]));
    move(z);
  };

  const plane = createPlane({ calm, onMove: moveInPlane, onEnd: (...change) => moveEnd(...change) });
  const endName = (end, which) => `${which ? "End" : "Start"} of the path: `
    + (end.z ? point(end.z) : withArticle(className(end.image)));
  const endOf = (end) => end.z ?? state.model.codes[end.image];
  const draw = () => {
    const { model, images, drawn } = state;
    const posterior = checked("exact") && drawn?.likelihood?.cells;
    plane.show({
      points: state.points,
      range: state.range,
      axes: state.axes.map((axis) => `z${axis + 1}`),
      labels: images.labels,
      names: images.class_names,
      point: inPlane(state.z),
      real: inPlane(model.codes[state.real]),
      gaps: checked("gaps") ? state.gaps : null,
      posterior: posterior || null,
      gaussian: drawn && {
        mean: inPlane(drawn.zMean),
        sigma: drawn.zLogVar && inPlane(drawn.zLogVar).map((v) => Math.exp(v / 2)),
      },
      ends: checked("path") ? state.ends.map((end, i) => ({
        point: inPlane(endOf(end)),
        label: `${endName(end, i)}. Arrow keys move it.`,
      })) : null,
    });
  };

  const boxes = {};
  const checked = (name) => Boolean(boxes[name]?.checked);
  const option = (name, text, change) => {
    boxes[name] = make("input", { type: "checkbox", "data-option": name, change });
    return make("label", { class: "option" }, boxes[name], make("span", {}, text));
  };
  const gapShare = make("span", { class: "note" });
  const strip = make("canvas", { role: "img", "data-picture": "path" });
  const stripBox = make("section", { hidden: true },
    make("h3", {}, "The straight path from A to B, decoded"), strip,
    make("p", { class: "note" }, "Drag A and B, or move them with the arrow keys. "),
    make("button", { type: "button", "data-action": "pair", click: () => otherPair() }, "Two other images"));

  const guarded = (action) => async (...values) => {
    try {
      await action(...values);
    } catch (error) {
      complain(error);
    }
  };
  const showGaps = () => {
    const { gaps } = state;
    boxes.gaps?.toggleAttribute("disabled", !gaps);
    gapShare.textContent = gaps && checked("gaps")
      ? `${Math.round(100 * gaps.share)} % of the region that the central 95 % of the codes span is in gaps, red: `
        + `no ${state.model.kind === "vae" ? "draw" : "code"} of a training image is near.` : "";
    draw();
  };

  const drawPath = () => {
    stripBox.hidden = !checked("path");
    if (!checked("path")) return draw();
    const [from, to] = state.ends.map(endOf);
    const { image } = state.model;
    strip.width = PICTURES_OF_A_PATH * image.width;
    strip.height = image.height;
    const all = [];
    for (let i = 0; i < PICTURES_OF_A_PATH; i++) {
      const part = i / (PICTURES_OF_A_PATH - 1);
      const z = Array.from(from, (value, k) => value + (to[k] - value) * part);
      drawPixels(strip, decode(state.model, z), image, i * image.width);
      all.push(strip.pixels);
    }
    strip.pixels = all;
    strip.setAttribute("aria-label", `${all.length} images decoded along the path from A to B`);
    draw();
  };
  const moveEnd = (which, to, turn) => {
    const end = state.ends[which];
    const { count } = state.images;
    // A point of the plane says nothing of further latents: then the ends are images.
    if (state.model.latent_dim === 2) end.z = to;
    else end.image = turn ? (end.image + turn + count) % count : nearest(state.points, to);
    say(`${endName(end, which)}.`);
    drawPath();
  };
  const otherPair = () => {
    const { labels, count } = state.images;
    const pick = () => Math.floor(Math.random() * count);
    const a = pick();
    let b = pick();
    while (labels[a] === labels[b] && new Set(labels).size > 1) b = pick();
    state.ends = [{ image: a }, { image: b }];
    say(`The path leads from ${withArticle(className(a))} to ${withArticle(className(b))}.`);
    drawPath();
  };

  const change = (key, value) => {
    wanted[key] = value;
    return show(bestModel(models, wanted, key).name);
  };
  const switches = createSwitches(models, compact ? ["kind"] : Object.keys(SWITCHES), change);
  const epochs = compact ? null : createEpochs((epoch) => change("epoch", epoch));
  const sameAxes = option("same", "Axes that fit autoencoder and VAE", () => show(state.model.name));

  const sliders = compact ? null : createSliders(state, move, () => arrange());
  const pad = compact ? null : createDrawing({ state, source, draw, option, checked, say, guarded, className });

  const arrange = () => {
    state.points = state.model.codes.map(inPlane);
    state.range = square([state.model, ...state.others].flatMap((one) => one.codes.map(inPlane)));
    move(state.z);
    drawPath();
  };
  let turn = 0;
  let slid = false;
  let started = false;
  const show = async (name) => {
    const mine = (turn += 1);
    try {
      const entry = of(name);
      const family = models.filter((one) => alikeBut(entry, one)).sort((a, b) => a.epoch - b.epoch);
      // Once the slider moves the axes are those of all epochs.
      slid ||= entry !== family.at(-1);
      const others = slid ? [...family] : [entry];
      const alike = models.filter((one) => one.kind !== entry.kind && alikeBut(entry, one, "kind", "beta"));
      const settings = { ...family.at(-1), kind: alike[0]?.kind, beta: wanted.beta ?? 1 };
      const other = alike.length && bestModel(alike, settings, "kind");
      boxes.same?.toggleAttribute("disabled", !other);
      if (checked("same") && other) others.push(other);
      const [model, images, ...loaded] = await Promise.all(
        [source.model(name), source.images(entry.data), ...others.map((one) => source.json(one.name))],
      );
      if (mine !== turn) return;
      const before = state.model;
      const sameImages = before && before.data === model.data;
      // The same image in another space is at another place.
      const focus = sameImages ? state.real : typical(model.codes, images.labels);
      if (sameImages) {
        state.ends = state.ends.map((end) => ({ image: end.z ? nearest(before.codes, end.z) : end.image }));
      } else {
        const { labels } = images;
        state.ends = [{ image: 0 }, { image: Math.max(1, labels.findIndex((label) => label !== labels[0])) }];
      }
      Object.assign(state, { model, images, others: loaded, gaps: model.gaps ? readGaps(model.gaps) : null });
      if (before?.latent_dim !== model.latent_dim) state.axes = model.latent_dim > 2 ? widest(model.codes) : [0, 1];
      if (before?.name !== model.name || !state.z) state.z = model.codes[focus];
      for (const key of ["data", "kind", "network", "latent_dim", "activation", "epoch"]) wanted[key] = entry[key];
      if (entry.beta !== null) wanted.beta = entry.beta;
      problem.hidden = true;
      delete root.dataset.failed;
      root.dataset.name = name;
      const unused = variances(model.codes).flatMap((variance, k) => (variance > USED ? [] : [`z${k + 1}`]));
      about.textContent = describe(model);
      if (model.latent_dim === 2 && unused.length) {
        about.textContent += ` Unused, the same for every image: ${unused.join(" and ")}.`;
      }
      switches.show(entry);
      crossed.hidden = !ui.querySelector("fieldset input:disabled");
      epochs?.show(family, entry, model.epochs);
      sliders?.build();
      arrange();
      showGaps();
      await pad?.show();
    } catch (error) {
      if (mine === turn) complain(error);
    }
  };
  const complain = (error) => {
    if (!started) throw error;
    problem.textContent = error.message;
    problem.hidden = false;
    root.dataset.failed = "";
    switches.show(of(state.model.name));
  };

  const pictures = make("div", { class: "pictures" }, decoded.element, real.element, coordinates);
  const hint = "Every dot is a held-out image, coloured by its class. Move over the plane: the decoder draws what it makes of "
    + "the point in the large ring. The small ring is the nearest dot. A click holds the point, another lets it go.";
  ui.append(make("p", { class: "note" }, hint), make("div", { class: "layout" },
    make("div", { class: "space" }, plane.element, ...(compact ? [] : [make("div", { class: "options" },
      option("gaps", "Shade the gaps", showGaps),
      option("path", "Straight path between two points", drawPath),
      models.some((model) => model.kind !== models[0].kind) ? sameAxes : "", gapShare)])),
    make("div", { class: "side" }, pictures, problem,
      make("div", { class: "switches" }, ...switches.elements, epochs?.element ?? ""), crossed,
      ...(compact ? [] : [about, sliders.element])),
  ), live);
  if (!compact) ui.lastChild.before(stripBox, pad.element);
  addStyle(root);
  root.append(ui);
  try {
    await show(index.start);
    started = true;
  } catch (error) {
    ui.remove();
    throw error;
  }
  return () => {
    plane.stop();
    pad?.stop();
    epochs?.stop();
    clearTimeout(saying);
    ui.remove();
  };
}

function describe({ kind, beta, activation, network, epoch, epochs, held_out: heldOut }) {
  const parts = [kind === "vae" ? `VAE with beta ${beta}` : "Autoencoder", network, activation];
  if (epochs) parts.push(`after ${epoch} of ${epochs} epochs`);
  const { reconstruction_loss: error, kl_loss: kl } = heldOut ?? {};
  const sentence = `${parts.filter(Boolean).join(", ")}.`;
  if (error === undefined) return sentence;
  // The loss itself weighs KL by beta, so those of two betas cannot be compared: minus the ELBO can.
  const nats = kl === undefined ? `reconstruction ${number(error, 1)} nats`
    : `${number(error + kl, 1)} nats, minus the ELBO: ${number(error, 1)} reconstruction + ${number(kl, 1)} KL`;
  return `${sentence} Held-out images, mean: ${nats}.`;
}

/** The slider over the epochs, and a button that plays them. */
function createEpochs(onChange) {
  const name = identity();
  const slider = make("input", { type: "range", id: name, min: 0, step: 1, "data-switch": "epoch" });
  const output = make("output", { for: name });
  const play = make("button", { type: "button", "data-action": "play" }, "Play");
  const label = make("label", { for: name }, "Epoch of training");
  const element = make("div", { class: "epochs" }, label, slider, output, play);
  let states = [];
  let timer = 0;
  const choose = () => onChange(states[slider.value].epoch);
  const stop = () => {
    clearTimeout(timer);
    timer = 0;
    play.textContent = "Play";
  };
  slider.addEventListener("input", () => {
    stop();
    choose();
  });
  play.addEventListener("click", async () => {
    if (timer) return stop();
    slider.value = slider.value === slider.max ? 0 : slider.value;
    play.textContent = "Stop";
    const next = async () => {
      await choose();
      if (!timer) return;
      if (slider.value === slider.max) return stop();
      timer = setTimeout(() => {
        slider.value = Number(slider.value) + 1;
        next();
      }, 900);
    };
    timer = 1;
    next();
  });
  return {
    element,
    stop,
    show(family, entry, last) {
      states = family;
      element.hidden = states.length < 2;
      slider.max = states.length - 1;
      slider.value = states.findIndex((one) => one.name === entry.name);
      slider.setAttribute("aria-valuetext", `after ${entry.epoch} epochs`);
      output.textContent = `${entry.epoch} of ${last}`;
    },
  };
}

/** A slider for each of many latents, and the two that the plane shows. */
function createSliders(state, move, arrange) {
  const element = make("section", { class: "sliders", hidden: true });
  let inputs = [];
  let built = 0;
  return {
    element,
    build() {
      const { latent_dim: count, codes } = state.model;
      const used = variances(codes).map((variance) => variance > USED);
      element.hidden = count < 3;
      if (built === count) return;
      built = count;
      if (count < 3) return;
      const axis = (which, title) => make("label", {}, `${title} `, make("select", {
        "data-axis": which,
        change: (event) => {
          state.axes[which] = Number(event.target.value);
          arrange();
        },
      }, ...Array.from({ length: count }, (_, i) => {
        const one = make("option", { value: i }, `z${i + 1}`);
        one.selected = i === state.axes[which];
        return one;
      })));
      const largest = Math.ceil(Math.max(4, ...codes.flat().map(Math.abs)));
      inputs = Array.from({ length: count }, (_, i) => make("input", {
        type: "range", min: -largest, max: largest, step: "any", "data-latent": i,
        input: (event) => {
          const z = [...state.z];
          z[i] = Number(event.target.value);
          move(z);
        },
      }));
      element.replaceChildren(
        make("h3", {}, `The ${count} latents`),
        make("p", { class: "note" }, `${used.filter(Boolean).length} of them are used. The others have `
          + "the same mean for every image: nothing is written in them."),
        make("p", { class: "axes" }, axis(0, "Plane: across"), axis(1, "up")),
        make("div", {}, ...inputs.map((input, i) => 
          make("label", { class: used[i] ? "" : "unused" }, make("span", {}, `z${i + 1}`), input))),
      );
    },
    show() {
      if (element.hidden) return;
      inputs.forEach((input, i) => {
        if (document.activeElement !== input) input.value = state.z[i];
        input.setAttribute("aria-valuetext", number(state.z[i]));
      });
    },
  };
}

/** Where a digit is drawn and encoded. */
function createDrawing({ state, source, draw, option, checked, say, guarded, className }) {
  const seen = picture("What the encoder sees", "seen");
  const reconstruction = picture("Its reconstruction", "reconstruction");
  const facts = make("dl", { "data-facts": true });
  const heading = make("h3", {}, "");
  const hint = make("p", { class: "note" }, "");
  const random = make("button", { type: "button", "data-action": "random", click: () => putRandom() }, "");
  let running = null;
  let timer = 0;
  let waiting = 0;

  const ofDigits = () => state.images.class_names.every((name) => /^\d$/.test(name));
  const forget = () => {
    clearTimeout(timer);
    running?.stop();
    running = null;
  };
  const tell = () => {
    const { drawn, model } = state;
    const { zMean, zLogVar, likelihood } = drawn;
    const rows = [];
    const add = (name, value) => rows.push(make("dt", {}, name), make("dd", {}, value));
    if (zMean.length === 2) add(zLogVar ? "z mean" : "z", point(zMean));
    if (zMean.length === 2 && zLogVar) add("sigma", point(zLogVar.map((v) => Math.exp(v / 2))));
    const nats = { KL: zLogVar && klDivergence(zMean, zLogVar) };
    if (likelihood) Object.assign(nats, { ELBO: likelihood.elbo, "log p(x)": likelihood.logP });
    for (const [name, value] of Object.entries(nats)) if (value != null) add(name, `${number(value, 1)} nats`);
    facts.replaceChildren(...rows);
    facts.toggleAttribute("data-done", Boolean(likelihood));
    hint.textContent = hintFor(model, likelihood);
  };
  const hintFor = (model, likelihood) => {
    if (!state.drawn) return "Draw with a mouse, a pen or a finger. A cross in the plane shows its code.";
    if (model.kind !== "vae") return "The cross is its z. An autoencoder names no distribution, and has no ELBO.";
    if (!checked("exact")) return "The cross is its z mean, the ellipse two standard deviations.";
    if (!likelihood) return "Computing the likelihood …";
    if (model.latent_dim !== 2) return "The exact log p(x) is a sum over a plane: it needs two latents.";
    return "Dark shading is the true posterior p(z|x), the ellipse the encoder's q(z|x).";
  };
  const encodeInk = guarded(async () => {
    forget();
    const { model } = state;
    const encoder = await source.encoder(model.name);
    if (model !== state.model) return;
    const ink = pad.ink();
    // Only digits were fitted into a box and centred.
    let image = ofDigits() ? drawnToImage(ink, PAD, PAD, model.image) : shrunk(ink, PAD, model.image);
    if (!image?.some((value) => value > 0)) return clear();
    // The Bernoulli likelihood is one of black and white pixels.
    const exact = checked("exact") && model.kind === "vae";
    if (exact) image = image.map((value) => (value >= 0.5 ? 1 : 0));
    const { zMean, zLogVar } = encode(encoder, image);
    state.drawn = { image, zMean, zLogVar, likelihood: null };
    element.dataset.z = zMean.join(",");
    seen.draw(image, model.image);
    reconstruction.draw(decode(model, zMean), model.image);
    tell();
    draw();
    if (!exact) return;
    const { drawn } = state;
    const { layers, weights } = model.decoder;
    timer = setTimeout(guarded(async () => {
      if (drawn !== state.drawn) return;
      running = likelihoodInWorker({ layers, weights, image, zMean, zLogVar });
      drawn.likelihood = await running.promise;
      if (drawn !== state.drawn) return;
      tell();
      draw();
      const { elbo: bound, logP } = drawn.likelihood;
      say(`ELBO ${number(bound, 1)} nats${logP === undefined ? "" : `, log p of x ${number(logP, 1)} nats`}.`);
    }), 250);
  });
  const clear = () => {
    forget();
    pad.clear();
    state.drawn = null;
    seen.clear();
    reconstruction.clear();
    facts.replaceChildren();
    facts.removeAttribute("data-done");
    hint.textContent = hintFor(state.model);
    draw();
  };
  const pad = createPad(() => {
    waiting ||= requestAnimationFrame(() => {
      waiting = 0;
      encodeInk();
    });
  });
  const putRandom = async () => {
    const i = Math.floor(Math.random() * state.images.count);
    pad.put(pixelsOf(state.images, i), state.images);
    element.dataset.image = i;
    await encodeInk();
    say(`The pad shows a held-out picture, ${withArticle(className(i))}.`);
  };
  const element = make("section", { class: "drawing" }, heading,
    make("div", { class: "row" },
      make("div", { class: "wide" }, pad.canvas, make("div", { class: "buttons" }, random,
        make("button", { type: "button", "data-action": "clear", click: () => clear() }, "Clear"))),
      seen.element, reconstruction.element,
      make("div", { class: "wide" }, facts, hint,
        option("exact", "In black and white: ELBO, exact log p(x) and the true posterior", encodeInk))));
  return {
    element,
    stop: forget,
    async show() {
      const { model } = state;
      element.hidden = model.image.channels !== 1;
      if (element.hidden) return clear();
      const digits = ofDigits();
      heading.textContent = `Draw a ${digits ? "digit" : "picture"}`;
      random.textContent = `A held-out ${digits ? "digit" : "picture"}`;
      element.querySelector(".option").hidden = model.kind !== "vae";
      if (state.drawn) await encodeInk();
      else hint.textContent = hintFor(model);
    },
  };
}

// ---- style, mount ----

const STYLE = `
.vae-explorer { color-scheme: light dark; --text: light-dark(#1f2328, #e6e8eb); --soft: light-dark(#575d66, #a9b0ba);
 --line: light-dark(#c4c8ce, #4a505a); --panel: light-dark(#f4f5f7, #23262c); --strong: light-dark(#0b57c2, #8ab8ff);
 --on-strong: light-dark(#fff, #10131a); --wrong: light-dark(#a31a00, #ff9d85);
 container-type: inline-size; color: var(--text); font: 15px/1.45 system-ui, sans-serif; margin: 1rem 0;
 html[data-theme=light] &, body[data-jp-theme-light=true] & { color-scheme: light; }
 html[data-theme=dark] &, body[data-jp-theme-light=false] & { color-scheme: dark; }
 * { box-sizing: border-box; }
 [hidden] { display: none !important; }
 figure, fieldset, fieldset label, dl, dd, .options label, .sliders label { margin: 0; }
 figure, figcaption { padding: 0; }
 canvas, .plane { background: #fff; border: 1px solid var(--line); border-radius: 4px; }
 canvas { display: block; width: 100%; image-rendering: pixelated; }
 :is(.plane, button, input, select):focus-visible { outline: 3px solid var(--strong); outline-offset: 2px; }
 .layout { display: grid; gap: 1rem 1.5rem; }
 .layout > *, figure, fieldset { min-width: 0; }
 .side { display: contents; }
 .plane { position: relative; width: 100%; aspect-ratio: 1; cursor: crosshair; touch-action: none; overflow: hidden;
  user-select: none; }
 .plane { --strong: #0b57c2; outline-offset: -3px !important; }
 .plane canvas { height: 100%; border: 0; }
 .handle { position: absolute; width: 30px; height: 30px; margin: -15px 0 0 -15px; padding: 0; border-radius: 50%;
  border: 2px solid #fff; background: #111; color: #fff; font: bold 14px system-ui, sans-serif; cursor: grab;
  touch-action: none; }
 .pictures { order: -1; display: grid; grid-template-columns: 1fr 1fr; gap: .25rem 1rem; align-content: start;
  max-width: 25rem; }
 figcaption { margin-top: .25rem; font-size: 14px; font-weight: 400; line-height: 1.3; min-height: 2.6em; text-align: left;
  color: var(--text); }
 .coordinates { grid-column: 1 / -1; margin: 0; font-weight: 600; }
 .note { margin: .25rem 0; color: var(--soft); font-size: 14px; }
 .options, .switches, .buttons { display: flex; flex-wrap: wrap; gap: .4rem 1rem; margin-top: .5rem; }
 .option { display: flex; gap: .4rem; align-items: baseline; min-height: 24px; }
 .options .note { flex-basis: 100%; margin: 0; }
 fieldset { border: 0; padding: 0; }
 legend, .epochs > label { padding: 0; margin: 0 0 .15rem; font-size: 13px; color: var(--soft); }
 fieldset > div { display: inline-flex; border: 1px solid var(--line); border-radius: 6px; overflow: hidden; }
 fieldset label { position: relative; }
 fieldset label + label { border-left: 1px solid var(--line); }
 fieldset input { position: absolute; inset: 0; margin: 0; width: 100%; height: 100%; opacity: 0; cursor: pointer; }
 fieldset span { display: block; padding: .3rem .7rem; background: var(--panel); }
 input:checked + span { background: var(--strong); color: var(--on-strong); font-weight: 600; }
 .option input + span { background: none; color: inherit; font-weight: 400; }
 input:disabled + span { color: var(--soft); text-decoration: line-through; }
 fieldset input:focus-visible + span { outline: 3px solid var(--text); outline-offset: -3px; }
 .epochs { display: grid; grid-template-columns: minmax(8rem, 1fr) auto auto; gap: 0 .6rem; align-items: center;
  flex: 1 1 18rem; }
 .epochs > label { grid-column: 1 / -1; }
 input[type=range] { width: 100%; min-width: 0; height: 24px; margin: 0; accent-color: var(--strong); }
 button:not(.handle), select { font: inherit; padding: .3rem .8rem; color: var(--text); background: var(--panel);
  border: 1px solid var(--line); border-radius: 6px; cursor: pointer; }
 h3 { margin: 1rem 0 .4rem; font-size: 17px; font-weight: 600; color: var(--text); }
 .sliders > div { display: grid; grid-template-columns: repeat(auto-fill, minmax(9rem, 1fr)); gap: .1rem .8rem; }
 .axes { display: flex; flex-wrap: wrap; gap: .4rem .8rem; }
 .unused span { color: var(--soft); }
 .sliders div label { display: flex; align-items: center; }
 .sliders span { min-width: 2.4em; }
 .row { display: grid; grid-template-columns: 1fr 1fr; gap: 1rem; align-items: start; }
 .wide { grid-column: 1 / -1; }
 .pad { max-width: 260px; touch-action: none; cursor: crosshair; border: 2px dashed #6b7280; }
 dl { display: grid; grid-template-columns: auto 1fr; gap: .1rem .8rem; }
 dt { font-weight: 400; color: var(--soft); }
 dd { font-weight: 600; }
 .problem { margin: .5rem 0; padding: .5rem .8rem; border-left: 4px solid; background: var(--panel);
  color: var(--wrong); }
 .hidden-text { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
}
@container (min-width: 600px) {
 .vae-explorer .layout { grid-template-columns: minmax(0, 1.2fr) minmax(0, 1fr); }
 .vae-explorer .side { display: block; }
 .vae-explorer .row { grid-template-columns: minmax(200px, 260px) repeat(2, minmax(0, 8.5rem)) minmax(0, 1fr); }
 .vae-explorer .wide { grid-column: auto; }
}
`;

function addStyle(root) {
  const home = root.getRootNode();
  const place = home.head ?? home;
  if (!place.querySelector("style.vae-explorer")) place.append(make("style", { class: "vae-explorer" }, STYLE));
}

/** Mounts the explorer; where something is wrong, the element's content stays and a sentence says what. */
export async function mount(root, source, compact = false) {
  const fallback = [...root.children];
  try {
    const end = await build(root, await source, compact);
    for (const child of fallback) child.hidden = true;
    root.dataset.ready = "";
    performance.mark("vae-explorer-ready");
    return end;
  } catch (error) {
    addStyle(root);
    const text = `The live explorer cannot be shown. ${error.message}`;
    root.prepend(make("div", { class: "vae-explorer" }, make("p", { class: "problem", role: "alert" }, text)));
    root.dataset.failed = "";
    return () => {};
  }
}

if (typeof document !== "undefined") {
  for (const root of document.querySelectorAll("[data-explorer]:not([data-mounted])")) {
    root.dataset.mounted = "";
    const index = root.dataset.explorer;
    const url = index ? new URL(index, document.baseURI) : new URL("../models/index.json", import.meta.url);
    mount(root, siteSource(url.href), root.hasAttribute("data-compact"));
  }
}

export default {
  render({ model, el }) {
    const root = make("div");
    el.append(root);
    const source = Promise.resolve().then(() => widgetSource(model));
    const ended = mount(root, source);
    return () => ended.then((end) => end());
  },
};
