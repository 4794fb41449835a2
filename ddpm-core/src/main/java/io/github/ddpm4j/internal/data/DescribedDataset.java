package io.github.ddpm4j.internal.data;

/** A dataset that knows more of itself than its records. */
public interface DescribedDataset {

  /**
   * Where a record comes from, so that its user can find it.
   *
   * @param index the index of the record
   * @return such as the name of its file
   */
  String nameOf(long index);

  /**
   * What is done to records at random when they are trained on, in words; the same in every
   * process.
   *
   * @return empty for nothing
   */
  String augmentation();
}
