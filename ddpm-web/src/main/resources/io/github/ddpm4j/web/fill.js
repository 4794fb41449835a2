// A picture into which a hole is painted: with a mouse, a finger or the keys.
export class Hole {
  brush = 3;

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
    let painting = null; // whether the stroke paints or takes away
    canvas.addEventListener("pointerdown", event => {
      const cell = this.at(event);
      painting = !this.cells[cell.y * this.width + cell.x];
      canvas.setPointerCapture(event.pointerId);
      this.paint(cell, painting);
    });
    canvas.addEventListener("pointermove", event => {
      if (painting !== null) {
        this.paint(this.at(event), painting);
      }
    });
    for (const over of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(over, () => painting = null);
    }
    canvas.addEventListener("keydown", event => this.key(event));
    canvas.addEventListener("blur", () => {
      this.cursor = null;
      this.show();
    });
  }

  open(address, width, height) {
    this.width = width;
    this.height = height;
    this.canvas.width = width * 8;
    this.canvas.height = height * 8;
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

  paint(cell, isHole) {
    const reach = (this.brush - 1) / 2;
    for (let y = Math.ceil(cell.y - reach); y <= cell.y + reach; y++) {
      for (let x = Math.ceil(cell.x - reach); x <= cell.x + reach; x++) {
        if (x >= 0 && x < this.width && y >= 0 && y < this.height) {
          this.cells[y * this.width + x] = isHole ? 1 : 0;
        }
      }
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
      cell.x = Math.min(this.width - 1, Math.max(0, cell.x + move[0]));
      cell.y = Math.min(this.height - 1, Math.max(0, cell.y + move[1]));
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

  show() {
    const pen = this.canvas.getContext("2d");
    const side = 8;
    pen.imageSmoothingEnabled = false;
    pen.clearRect(0, 0, this.canvas.width, this.canvas.height);
    if (this.image && this.image.naturalWidth > 0) {
      pen.drawImage(this.image, 0, 0, this.canvas.width, this.canvas.height);
    }
    for (let i = 0; i < this.cells.length; i++) {
      if (this.cells[i]) {
        const x = i % this.width * side;
        const y = Math.floor(i / this.width) * side;
        pen.fillStyle = "#d9822b";
        pen.fillRect(x, y, side, side);
        pen.fillStyle = "#ffd9a8"; // a pattern, for whoever does not tell the colours apart
        pen.fillRect(x, y, side / 2, side / 2);
      }
    }
    if (this.cursor) {
      pen.lineWidth = 2;
      pen.strokeStyle = "#000";
      pen.strokeRect(this.cursor.x * side - 1, this.cursor.y * side - 1, side + 2, side + 2);
      pen.strokeStyle = "#fff";
      pen.strokeRect(this.cursor.x * side + 1, this.cursor.y * side + 1, side - 2, side - 2);
    }
  }
}
