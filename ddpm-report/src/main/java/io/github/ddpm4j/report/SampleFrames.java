package io.github.ddpm4j.report;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * The grids of samples of a run, the first first. There are never more than {@value #MOST}, nor of
 * more than {@value #MOST_CHARACTERS} characters: then every second one is dropped, and of those
 * that come every second one is kept. The last one is always there.
 */
final class SampleFrames {

  static final int MOST = 40;
  static final long MOST_CHARACTERS = 16_000_000;

  /**
   * A grid.
   *
   * @param number how many there were before it
   * @param step after how many steps it was drawn
   * @param width in pixels, as is {@code height}
   * @param png the picture, in Base64
   */
  record Frame(long number, long step, int width, int height, String png) {}

  private final List<Frame> frames = new ArrayList<>();
  private long every = 1;
  private long count;

  void add(long step, int width, int height, String png) {
    if (!frames.isEmpty() && last().number() % every != 0) {
      frames.remove(frames.size() - 1);
    }
    frames.add(new Frame(count++, step, width, height, png));
    while (frames.size() > MOST || (frames.size() > 2 && characters() > MOST_CHARACTERS)) {
      every *= 2;
      Frame last = last();
      frames.removeIf(frame -> frame.number() % every != 0 && frame.number() != last.number());
    }
  }

  private Frame last() {
    return frames.get(frames.size() - 1);
  }

  private long characters() {
    return frames.stream().mapToLong(frame -> frame.png().length()).sum();
  }

  List<Frame> all() {
    return List.copyOf(frames);
  }

  /** Without the pictures, which lie in the page. */
  void save(DataOutput out) throws IOException {
    out.writeLong(every);
    out.writeLong(count);
    out.writeInt(frames.size());
    for (Frame frame : frames) {
      out.writeLong(frame.number());
      out.writeLong(frame.step());
      out.writeInt(frame.width());
      out.writeInt(frame.height());
    }
  }

  /**
   * Goes on from what was saved.
   *
   * @param pictures those of the page by step; a frame without one is left out
   * @return how many were left out
   */
  int restore(DataInput in, Map<Long, String> pictures) throws IOException {
    frames.clear();
    every = in.readLong();
    count = in.readLong();
    int size = in.readInt();
    for (int i = 0; i < size; i++) {
      Frame frame = new Frame(in.readLong(), in.readLong(), in.readInt(), in.readInt(), "");
      String png = pictures.get(frame.step());
      if (png != null) {
        frames.add(new Frame(frame.number(), frame.step(), frame.width(), frame.height(), png));
      }
    }
    return size - frames.size();
  }
}
