package io.github.ddpm4j.internal.data;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.training.dataset.Batch;
import ai.djl.training.dataset.Dataset;
import ai.djl.training.dataset.RandomAccessDataset;
import ai.djl.training.dataset.Sampler;
import ai.djl.translate.TranslateException;
import io.github.ddpm4j.internal.files.WholeFile;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.Iterator;
import java.util.List;

/**
 * What tells one data set from another: its size and the digest of a sample of its records, images
 * and labels, spread evenly. Records that are augmented at random have no digest, unless the data
 * set tells how they are augmented.
 */
public final class DataFingerprint {

  private static final int RECORDS = 16;
  private static final int DIGITS = 16;

  /** In the fingerprint of records that differ from time to time. */
  private static final String RANDOM = " records, random";

  private static final String OWN_BATCHES = "batches of its own";

  private DataFingerprint() {}

  /**
   * The fingerprint of a data set.
   *
   * @param dataset the dataset
   * @param manager owns what is read on the way
   * @return a short text
   * @throws java.io.UncheckedIOException if it cannot be read
   */
  public static String of(Dataset dataset, NDManager manager) {
    if (!(dataset instanceof RandomAccessDataset indexed)) {
      return OWN_BATCHES;
    }
    return Datasets.read(
        () -> {
          indexed.prepare();
          String digest = digest(indexed, manager);
          return indexed.size()
              + (digest.equals(digest(indexed, manager)) ? " records, sample " + digest : RANDOM)
              + augmentation(indexed);
        });
  }

  /**
   * What a run says of its data: their number and what is done to them, without reading any.
   *
   * @param dataset the dataset, prepared
   * @return words for the provenance of a model
   */
  public static String words(Dataset dataset) {
    return dataset instanceof RandomAccessDataset indexed
        ? indexed.size() + " records" + augmentation(indexed)
        : OWN_BATCHES;
  }

  private static String augmentation(RandomAccessDataset dataset) {
    String words = dataset instanceof DescribedDataset described ? described.augmentation() : "";
    return words.isEmpty() ? "" : ", " + words;
  }

  /**
   * Whether a fingerprint is that of records that differ from time to time.
   *
   * @param fingerprint what {@link #of} returned
   * @return whether it is
   */
  public static boolean isRandom(String fingerprint) {
    return fingerprint.contains(RANDOM);
  }

  private static String digest(RandomAccessDataset dataset, NDManager manager)
      throws IOException, TranslateException {
    MessageDigest sha256 = WholeFile.sha256();
    try (NDManager own = manager.newSubManager()) {
      for (Batch batch : dataset.getData(own, new Spread(dataset.size()))) {
        try (batch) {
          batch.getData().forEach(array -> add(sha256, array));
          batch.getLabels().forEach(array -> add(sha256, array));
        }
      }
    }
    return HexFormat.of().formatHex(sha256.digest()).substring(0, DIGITS);
  }

  private static void add(MessageDigest sha256, NDArray array) {
    sha256.update(array.getShape().toString().getBytes(StandardCharsets.UTF_8));
    sha256.update(array.toByteBuffer());
  }

  /** One record at a time: their sizes may differ. */
  private record Spread(long size) implements Sampler {
    @Override
    public Iterator<List<Long>> sample(RandomAccessDataset dataset) {
      List<List<Long>> all = new ArrayList<>();
      long count = Math.min(RECORDS, size);
      for (long i = 0; i < count; i++) {
        all.add(List.of(i * size / count));
      }
      return all.iterator();
    }

    @Override
    public int getBatchSize() {
      return 1;
    }
  }
}
