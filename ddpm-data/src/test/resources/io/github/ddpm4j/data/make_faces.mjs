// Makes faces.png and faces.txt of ddpm-data's resources, the parts of the pixel-art portraits.
//
//   npm install @dicebear/core@9 @dicebear/pixel-art@9.4.3 @resvg/resvg-js@2
//   node make_faces.mjs node_modules FOLDER      (Node 20.15 or newer)
//
// The design is "Pixel Art" by DiceBear, CC0 1.0; its LICENSE is kept as faces-licence.txt.
//
// Laying a part of the colour C over a background B is affine in both: (1 − a) B + q C + r. A part
// is drawn in black, which gives a and r, and in white, which gives q + r; fixed colours are grey.
// faces.png has a sprite of 16x16 for each part, 16 in a row, with a, q, r as red, green, blue.
import { createRequire } from 'node:module';
import fs from 'node:fs';
import path from 'node:path';
import zlib from 'node:zlib';
import { pathToFileURL } from 'node:url';

const modules = path.resolve(process.argv[2]);
const target = process.argv[3];
const { Resvg } = createRequire(path.join(modules, 'x.js'))('@resvg/resvg-js');
const lib = path.join(modules, '@dicebear/pixel-art/lib');
const load = (file) => import(pathToFileURL(path.join(lib, file)).href);
const components = await load('components/index.js');
const { schema } = await load('schema.js');
const { create } = await load('index.js');

const SIDE = 16;
const COLUMNS = 16;

function draw(svg) {
  const image = new Resvg(
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16" fill="none" shape-rendering="crispEdges">${svg}</svg>`,
    { fitTo: { mode: 'width', value: SIDE } },
  ).render();
  return image.pixels; // RGBA, premultiplied
}

function sprite(svgOf) {
  const dark = draw(svgOf('#000000'));
  const light = draw(svgOf('#ffffff'));
  const out = Buffer.alloc(SIDE * SIDE * 3);
  for (let i = 0; i < SIDE * SIDE; i++) {
    const [r, g, b, a] = dark.subarray(4 * i, 4 * i + 4);
    if (r !== g || g !== b) throw new Error('a fixed colour that is not grey');
    if (a !== light[4 * i + 3]) throw new Error('coverage that depends on the colour');
    out.set([a, light[4 * i] - r, r], 3 * i);
  }
  return out;
}

// The body: what index.js draws before the parts.
const body = (color) => {
  const none = { prng: { pick: () => 'transparent', bool: () => false }, options: {} };
  const drawn = create(none).body;
  return drawn.replaceAll('transparent', color);
};

const lines = [];
const sprites = [];
lines.push('# part: the names of its sprites, in the order of faces.png; colours of a part');
lines.push('body: body');
sprites.push(sprite(body));
const parts = ['accessories', 'clothing', 'eyes', 'glasses', 'beard', 'mouth', 'hair', 'hat'];
for (const part of parts) {
  const names = Object.keys(components[part]).sort();
  lines.push(`${part}: ${names.join(' ')}`);
  for (const name of names) {
    sprites.push(
      sprite((color) => {
        const colors = new Proxy({}, { get: (_, key) => (key === (part === 'beard' ? 'hair' : part) ? color : '#ff00ff') });
        // The mask of a beard is as opaque as the hair is bright, so that dark ones vanish: white.
        return components[part][name]({}, colors).replace(/(<mask.*?fill=")[^"]*/, '$1#fff');
      }),
    );
  }
}
for (const part of ['skin', ...parts]) {
  const colors = schema.properties[`${part}Color`];
  if (colors) lines.push(`${part} colours: ${colors.default.join(' ')}`);
}

// A PNG of 8-bit RGB.
const rows = Math.ceil(sprites.length / COLUMNS);
const width = COLUMNS * SIDE;
const raw = Buffer.alloc(rows * SIDE * (1 + 3 * width));
sprites.forEach((s, k) => {
  for (let y = 0; y < SIDE; y++) {
    const at = (Math.floor(k / COLUMNS) * SIDE + y) * (1 + 3 * width) + 1 + 3 * SIDE * (k % COLUMNS);
    s.copy(raw, at, 3 * SIDE * y, 3 * SIDE * (y + 1));
  }
});
const chunk = (type, data) => {
  const all = Buffer.concat([Buffer.from(type), data]);
  const out = Buffer.alloc(all.length + 8);
  out.writeUInt32BE(data.length, 0);
  all.copy(out, 4);
  out.writeUInt32BE(zlib.crc32(all), all.length + 4);
  return out;
};
const header = Buffer.alloc(13);
header.writeUInt32BE(width, 0);
header.writeUInt32BE(rows * SIDE, 4);
header.set([8, 2, 0, 0, 0], 8);
fs.writeFileSync(
  path.join(target, 'faces.png'),
  Buffer.concat([
    Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]),
    chunk('IHDR', header),
    chunk('IDAT', zlib.deflateSync(raw, { level: 9 })),
    chunk('IEND', Buffer.alloc(0)),
  ]),
);
fs.writeFileSync(path.join(target, 'faces.txt'), lines.join('\n') + '\n');
fs.copyFileSync(path.join(modules, '@dicebear/pixel-art/LICENSE'), path.join(target, 'faces-licence.txt'));
console.log(sprites.length, 'sprites');
