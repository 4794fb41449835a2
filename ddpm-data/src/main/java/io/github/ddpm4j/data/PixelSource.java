package io.github.ddpm4j.data;

import ai.djl.ndarray.types.Shape;
import java.io.IOException;
import java.util.List;

/**
 * Pictures of 8 bits in Java's memory, as their files have them.
 *
 * @param image (C, H, W)
 * @param pixels row-major over (N, C, H, W), unsigned
 * @param labels one per picture
 * @param classNames by label; empty if they are not known
 * @param origin where they come from
 */
// The arrays are made once and never changed.
@SuppressWarnings("ArrayRecordComponent")
record PixelSource(Shape image, byte[] pixels, int[] labels, List<String> classNames, String origin)
    implements Source {

  @Override
  public int size() {
    return labels.length;
  }

  @Override
  public Frame frame(int index) {
    int length = Math.toIntExact(image.size());
    short[] levels = new short[length];
    for (int i = 0; i < length; i++) {
      levels[i] = Frame.level(pixels[index * length + i]);
    }
    return new Frame((int) image.get(0), (int) image.get(1), (int) image.get(2), levels);
  }

  @Override
  public int label(int index) {
    return labels[index];
  }

  @Override
  public String name(int index) {
    return "picture " + index + " of " + origin;
  }

  PictureDataset.Builder<?> dataset() {
    return new Builder(image, this);
  }

  /** Builds a dataset of pictures that need no reading. */
  static final class Builder extends PictureDataset.Builder<Builder> {

    private final Source source;

    Builder(Shape image, Source source) {
      super(image);
      this.source = source;
    }

    @Override
    protected Builder self() {
      return this;
    }

    @Override
    public PictureDataset build() throws IOException {
      requireUsable();
      return new PictureDataset(this, source, workers(), "");
    }
  }
}
