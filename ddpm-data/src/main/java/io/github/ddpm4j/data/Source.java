package io.github.ddpm4j.data;

import java.io.IOException;
import java.util.List;

/** Pictures by their number, from a folder or from memory. Thread-safe. */
interface Source {

  /** What {@link #label} says of a picture without one. */
  int NO_LABEL = -1;

  /** Finds out what must be known before the first picture is read; does so once. */
  default void prepare() throws IOException {}

  /** The number of pictures; known once prepared. */
  int size();

  /** Reads a picture. Its height and width are at least those of the dataset. */
  Frame frame(int index) throws IOException;

  /** The class of a picture, from 0, or {@link #NO_LABEL}. */
  int label(int index);

  /** Where a picture comes from, so that one can find it. */
  String name(int index);

  /** The names of the classes, by their labels; empty if there are none. */
  List<String> classNames();

  /** Some of the pictures, in a given order. */
  default Source only(int[] indices) {
    return new Some(this, indices);
  }

  /** Some pictures of another source. */
  // The array is made for it alone.
  @SuppressWarnings("ArrayRecordComponent")
  record Some(Source all, int[] indices) implements Source {

    @Override
    public void prepare() throws IOException {
      all.prepare();
    }

    @Override
    public int size() {
      return indices.length;
    }

    @Override
    public Frame frame(int index) throws IOException {
      return all.frame(indices[index]);
    }

    @Override
    public int label(int index) {
      return all.label(indices[index]);
    }

    @Override
    public String name(int index) {
      return all.name(indices[index]);
    }

    @Override
    public List<String> classNames() {
      return all.classNames();
    }
  }
}
