// Makes faces-golden.txt: whole portraits as DiceBear itself draws them.
//
//   npm install @dicebear/core@9 @dicebear/pixel-art@9.4.3 @resvg/resvg-js@2
//   node make_faces_golden.mjs node_modules > faces-golden.txt
//
// A line has the choices of FaceParts.Slot, in its order, and 16x16 colours in hexadecimal.
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const modules = path.resolve(process.argv[2]);
const { Resvg } = createRequire(path.join(modules, 'x.js'))('@resvg/resvg-js');
const load = (file) => import(pathToFileURL(path.join(modules, '@dicebear', file)).href);
const { createAvatar } = await load('core/lib/index.js');
const pixelArt = await load('pixel-art/lib/index.js');
const components = await load('pixel-art/lib/components/index.js');
const properties = pixelArt.schema.properties;
const backgrounds = ['f4f4f0', 'b6e3f4', 'c7ecc9', 'fbe8a6', 'ffd5dc', 'd1d4f9'];

let state = 7;
const below = (n) => {
  state = (state * 1103515245 + 12345) % 2147483648;
  return Math.floor((state / 2147483648) * n);
};

for (let k = 0; k < 12; k++) {
  const background = below(backgrounds.length);
  const skin = below(properties.skinColor.default.length);
  const choices = [background, skin];
  const options = {
    seed: 'any',
    backgroundColor: [backgrounds[background]],
    skinColor: [properties.skinColor.default[skin]],
  };
  for (const part of ['accessories', 'clothing', 'eyes', 'glasses', 'beard', 'mouth', 'hair', 'hat']) {
    const optional = properties[`${part}Probability`] !== undefined;
    // Beards are drawn otherwise here: see make_faces.mjs.
    const there = part !== 'beard' && (!optional || below(3) === 0);
    const names = Object.keys(components[part]).sort();
    const style = below(names.length);
    options[part] = [names[style]];
    if (optional) options[`${part}Probability`] = there ? 100 : 0;
    choices.push(there ? style + (optional ? 1 : 0) : 0);
    const colors = properties[`${part}Color`];
    if (colors) {
      const color = below(colors.default.length);
      options[`${part}Color`] = [colors.default[color]];
      choices.push(color);
    }
  }
  const image = new Resvg(createAvatar(pixelArt, options).toString(), { fitTo: { mode: 'width', value: 16 } }).render();
  const pixels = Buffer.from(image.pixels.filter((_, i) => i % 4 !== 3));
  console.log(choices.join(' ') + ' ' + pixels.toString('hex'));
}
