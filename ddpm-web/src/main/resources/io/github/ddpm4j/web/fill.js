// A picture into which a hole is painted: with a mouse, a finger or the keys.
const MOST_SIDE = 1024; // of the canvas
const FINE = 64; // pixels of a side up to which a brush of 1 is a pixel

export class Hole {
  brush = 3; // of 1 to 9

  /**
   * @param say tells screen readers
   * @param lost is called when a picture cannot be loaded
   */
  constructor(canvas, say, lost) {
    this.canvas = canvas;
    this.say = say;
    this.lost = lost;
    this.width = this.height = 0;
    this.cells = new Uint8Array(0);
    this.cursor = null;
    let stroke = null; // the pointer that paints or takes away
    canvas.addEventListener("pointerdown", event => {
      if (!event.isPrimary || event.button !== 0) {
        return;
      }
      const cell = this.at(event);
      stroke = { pointer: event.pointerId, isHole: !this.cells[cell.y * this.width + cell.x] };
      canvas.setPointerCapture(event.pointerId);
      this.paint(cell, stroke.isHole);
    });
    canvas.addEventListener("pointermove", event => {
      if (stroke && stroke.pointer === event.pointerId) {
        this.paint(this.at(event), stroke.isHole);
      }
    });
    for (const over of ["pointerup", "pointercancel", "lostpointercapture"]) {
      canvas.addEventListener(over, () => stroke = null);
    }
    canvas.addEventListener("keydown", event => this.key(event));
    canvas.addEventListener("focus", () => this.show());
    canvas.addEventListener("blur", () => this.show());
  }

  open(address, width, height) {
    this.width = width;
    this.height = height;
    const longer = Math.max(width, height);
    this.side = Math.min(8, Math.max(1, Math.floor(MOST_SIDE / longer))); // of a pixel on the canvas
    this.grain = Math.max(1, Math.round(longer / FINE)); // the pixels of a brush of 1, and of a key
    this.canvas.width = width * this.side;
    this.canvas.height = height * this.side;
    this.cells = new Uint8Array(width * height);
    this.cursor = null;
    const image = this.image = new Image();
    image.onload = () => this.show();
    image.onerror = () => {
      if (image === this.image) {
        this.lost();
      }
    };
    image.src = address;
  }

  at(event) {
    const box = this.canvas.getBoundingClientRect();
    return {
      x: Math.min(this.width - 1, Math.max(0, Math.floor((event.clientX - box.left) / box.width * this.width))),
      y: Math.min(this.height - 1, Math.max(0, Math.floor((event.clientY - box.top) / box.height * this.height))),
    };
  }

  /** What the brush covers at a pixel: from the first row and column to before the last. */
  reach(cell) {
    const width = this.brush * this.grain;
    const left = cell.x - Math.floor((width - 1) / 2);
    const top = cell.y - Math.floor((width - 1) / 2);
    return {
      left: Math.max(0, left), right: Math.min(this.width, left + width),
      top: Math.max(0, top), bottom: Math.min(this.height, top + width),
    };
  }

  paint(cell, isHole) {
    const { left, right, top, bottom } = this.reach(cell);
    for (let y = top; y < bottom; y++) {
      this.cells.fill(isHole ? 1 : 0, y * this.width + left, y * this.width + right);
    }
    this.show();
  }

  key(event) {
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const move = moves[event.key];
    if (!move && event.key !== " ") {
      return;
    }
    event.preventDefault();
    this.cursor ??= { x: Math.floor(this.width / 2), y: Math.floor(this.height / 2) };
    const cell = this.cursor;
    if (move) {
      cell.x = Math.min(this.width - 1, Math.max(0, cell.x + move[0] * this.grain));
      cell.y = Math.min(this.height - 1, Math.max(0, cell.y + move[1] * this.grain));
      this.show();
    } else {
      this.paint(cell, !this.cells[cell.y * this.width + cell.x]);
    }
    this.say("Row " + (cell.y + 1) + ", column " + (cell.x + 1)
      + (this.cells[cell.y * this.width + cell.x] ? ", hole" : ", kept"));
  }

  half(isRight) {
    for (let i = 0; i < this.cells.length; i++) {
      const x = i % this.width;
      const y = Math.floor(i / this.width);
      this.cells[i] = (isRight ? x >= this.width / 2 : y >= this.height / 2) ? 1 : 0;
    }
    this.say((isRight ? "Right" : "Bottom") + " half is the hole");
    this.show();
  }

  clear() {
    this.cells.fill(0);
    this.say("No hole");
    this.show();
  }

  isEmpty() {
    return !this.cells.includes(1);
  }

  /** A hexadecimal digit for four pixels, row by row, the first its highest bit: 1 is kept, 0 is hole. */
  mask() {
    const digits = new Uint8Array(Math.ceil(this.cells.length / 4));
    this.cells.forEach((cell, i) => digits[i >> 2] |= cell ? 0 : 8 >> i % 4);
    return Array.from(digits, digit => digit.toString(16)).join("");
  }

  /** A pattern, for whoever does not tell the colours apart. */
  pattern(pen) {
    const tile = document.createElement("canvas");
    tile.width = tile.height = Math.max(2, this.side * this.grain);
    const part = tile.getContext("2d");
    part.fillStyle = "#d9822b";
    part.fillRect(0, 0, tile.width, tile.width);
    part.fillStyle = "#ffd9a8";
    part.fillRect(0, 0, tile.width / 2, tile.width / 2);
    return pen.createPattern(tile, "repeat");
  }

  show() {
    const pen = this.canvas.getContext("2d");
    const side = this.side;
    pen.imageSmoothingEnabled = false;
    pen.clearRect(0, 0, this.canvas.width, this.canvas.height);
    if (this.image && this.image.naturalWidth > 0) {
      pen.drawImage(this.image, 0, 0, this.canvas.width, this.canvas.height);
    }
    pen.fillStyle = this.pattern(pen);
    for (let y = 0; y < this.height; y++) {
      const row = this.cells.subarray(y * this.width, (y + 1) * this.width);
      let from = row.indexOf(1);
      while (from !== -1) { // a run of them at once
        const next = row.indexOf(0, from);
        const to = next === -1 ? this.width : next;
        pen.fillRect(from * side, y * side, (to - from) * side, side);
        from = row.indexOf(1, to);
      }
    }
    if (this.cursor && document.activeElement === this.canvas) {
      const { left, right, top, bottom } = this.reach(this.cursor);
      const line = Math.max(2, this.canvas.width / 128);
      pen.lineWidth = line;
      for (const [colour, out] of [["#000", line / 2], ["#fff", -line / 2]]) {
        pen.strokeStyle = colour;
        pen.strokeRect(left * side - out, top * side - out, (right - left) * side + 2 * out, (bottom - top) * side + 2 * out);
      }
    }
  }
}
