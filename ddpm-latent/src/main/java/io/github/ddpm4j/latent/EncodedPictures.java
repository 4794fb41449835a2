package io.github.ddpm4j.latent;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.dataset.Batch;
import ai.djl.training.dataset.RandomAccessDataset;
import ai.djl.training.dataset.Sampler;
import io.github.ddpm4j.internal.data.DataFingerprint;
import io.github.ddpm4j.internal.data.Datasets;
import io.github.ddpm4j.internal.data.DescribedDataset;
import io.github.ddpm4j.internal.data.Images;
import io.github.ddpm4j.internal.data.RecordNames;
import io.github.ddpm4j.internal.io.Safetensors;
import io.github.ddpm4j.internal.io.TensorFiles;
import io.github.ddpm4j.internal.io.TensorSource;
import io.github.ddpm4j.internal.ops.Upload;
import io.github.ddpm4j.internal.torch.GradMode;
import io.github.ddpm4j.internal.torch.Machine;
import io.github.ddpm4j.model.DataRange;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.stream.DoubleStream;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import org.jspecify.annotations.Nullable;

/**
 * What an autoencoder says of all pictures of a dataset, without a scale, in Java's memory. A file
 * of it says by which weights, how and of which pictures it was made.
 */
final class EncodedPictures {

  private static final String MEAN = "mean";
  private static final String LOG_VARIANCE = "log_variance";
  private static final String LABELS = "labels";

  private static final String AUTOENCODER = "ddpm4j.autoencoder";
  private static final String CONFIGURATION = "ddpm4j.configuration.";
  private static final String PRECISION = "ddpm4j.precision";
  private static final String TILES = "ddpm4j.tiles";
  private static final String DATA = "ddpm4j.data";

  /** What a configuration says that changes nothing of what is encoded. */
  private static final Set<String> NO_MATTER = Set.of("_diffusers_version", "scaling_factor");

  /** So many values of pictures are encoded at once. */
  private static final long VALUES_AT_ONCE = 1 << 18;

  private static final int MOST_AT_ONCE = 256;

  private final Shape shape;
  private final List<float[]> means;

  /** As many as means, or none. */
  private final List<float[]> logVariances;

  /** As many as means, or none. */
  private final List<Long> labels;

  private EncodedPictures(
      Shape shape, List<float[]> means, List<float[]> logVariances, List<Long> labels) {
    this.shape = shape;
    this.means = means;
    this.logVariances = logVariances;
    this.labels = labels;
  }

  /** Encodes all pictures. */
  static EncodedPictures of(Autoencoder autoencoder, RandomAccessDataset pictures) {
    try (NDManager reading = Machine.newManager(Device.cpu())) {
      fingerprint(pictures, reading);
      return encode(autoencoder, pictures, reading);
    }
  }

  /** The same, from a file if there is one, else into it. */
  static EncodedPictures of(Autoencoder autoencoder, RandomAccessDataset pictures, Path file)
      throws IOException {
    try (NDManager reading = Machine.newManager(Device.cpu())) {
      String data = fingerprint(pictures, reading);
      Map<String, String> words = words(autoencoder, data);
      Tiles tiles = autoencoder.tiles();
      if (Files.exists(file)) {
        return read(file, words, tiles, reading);
      }
      EncodedPictures encoded = encode(autoencoder, pictures, reading);
      words.put(TILES, tiles(tiles, encoded.shape));
      encoded.write(file, words, reading);
      return encoded;
    }
  }

  /**
   * What a file says of what was encoded, but for the tiles, which depend on the size of latents.
   * Weights are float32: those that are held in 16 bits have no digest.
   */
  private static Map<String, String> words(Autoencoder autoencoder, String data) {
    Map<String, String> words = new LinkedHashMap<>();
    words.put(AUTOENCODER, autoencoder.weighted().digest());
    autoencoder
        .config()
        .words(1)
        .forEach(
            (word, value) -> {
              if (!NO_MATTER.contains(word)) {
                words.put(CONFIGURATION + word, String.valueOf(value));
              }
            });
    words.put(PRECISION, autoencoder.weighted().mode().type().name());
    words.put(DATA, data);
    return words;
  }

  /** The side of the tiles that latents take, 0 if they are of one. */
  private static String tiles(Tiles tiles, Shape latents) {
    return String.valueOf(tiles.cut(latents.get(1), latents.get(2)) ? tiles.side() : 0);
  }

  /** How a file was made whose words differ. */
  private static String meaning(String word) {
    return switch (word) {
      case AUTOENCODER -> "by another autoencoder, or other weights of it";
      case PRECISION -> "in another precision";
      case TILES -> "with other tiles";
      case DATA -> "of other pictures";
      default -> "by an autoencoder of another configuration";
    };
  }

  private static String fingerprint(RandomAccessDataset pictures, NDManager reading) {
    String random = pictures instanceof DescribedDataset described ? described.augmentation() : "";
    String fingerprint = random.isEmpty() ? DataFingerprint.of(pictures, reading) : "";
    if (!random.isEmpty() || DataFingerprint.isRandom(fingerprint)) {
      throw new IllegalArgumentException(
          "pictures are encoded once, so they must be the same each time they are read, but the"
              + " dataset changes them at random"
              + (random.isEmpty() ? "" : " (" + random + ")")
              + "; build it without");
    }
    return fingerprint;
  }

  /* ---------------- Encoding ---------------- */

  private static EncodedPictures encode(
      Autoencoder autoencoder, RandomAccessDataset pictures, NDManager reading) {
    return Datasets.read(
        () -> {
          int size = Math.toIntExact(pictures.size());
          if (size == 0) {
            throw new IllegalArgumentException(
                "the dataset is empty; there must be at least one picture to encode");
          }
          Encoding encoding = new Encoding(autoencoder);
          int batchSize = 1; // until the first tells how large they are
          while (encoding.means.size() < size) {
            Some some = new Some(encoding.means.size(), size, batchSize);
            Iterator<Batch> batches = pictures.getData(reading, some).iterator();
            List<Long> indices = some.batch();
            try (Batch batch = Datasets.next(pictures, batches, () -> indices, reading)) {
              long values = encoding.add(batch, RecordNames.of(pictures, indices));
              requireRoom(size, Objects.requireNonNull(encoding.shape));
              batchSize = (int) Math.max(1, Math.min(MOST_AT_ONCE, VALUES_AT_ONCE / values));
            }
          }
          return new EncodedPictures(
              Objects.requireNonNull(encoding.shape),
              encoding.means,
              encoding.logVariances,
              encoding.labels);
        });
  }

  private static void requireRoom(int size, Shape shape) {
    long numbers = size * shape.size();
    if (numbers > Integer.MAX_VALUE) {
      throw new IllegalArgumentException(
          "latents of a dataset must be at most "
              + Integer.MAX_VALUE
              + " numbers, but those of "
              + size
              + " pictures of the shape "
              + shape
              + " are "
              + numbers
              + "; encode a part of it, by subDataset(from, to)");
    }
  }

  /** One batch of a dataset. */
  private record Some(long first, long size, int batchSize) implements Sampler {

    List<Long> batch() {
      return LongStream.range(first, Math.min(size, first + batchSize)).boxed().toList();
    }

    @Override
    public Iterator<List<Long>> sample(RandomAccessDataset dataset) {
      return List.of(batch()).iterator();
    }

    @Override
    public int getBatchSize() {
      return batchSize;
    }
  }

  /** What was encoded so far. */
  private static final class Encoding {
    private final Autoencoder autoencoder;
    private final List<float[]> means = new ArrayList<>();
    private final List<float[]> logVariances = new ArrayList<>();
    private final List<Long> labels = new ArrayList<>();
    private @Nullable Shape image;
    private @Nullable Shape shape;

    Encoding(Autoencoder autoencoder) {
      this.autoencoder = autoencoder;
    }

    /** Encodes a batch; returns how many values a picture has. */
    long add(Batch batch, RecordNames names) {
      String name = "the pictures (" + names.all() + ")";
      NDArray read = Datasets.images(batch, names, Optional.empty());
      Images.requireFloat32(name, read, DataRange.DEFAULT);
      Images.requireBatch(name, read, Optional.ofNullable(image));
      Images.requireInRange(name, read, DataRange.DEFAULT);
      image = read.getShape().slice(1);
      int count = Math.toIntExact(read.getShape().get(0));
      addLabels(batch.getLabels(), count, names);
      try (NDManager own = Machine.newManager(autoencoder.device());
          GradMode off = GradMode.off()) {
        NDArray images = read.toDevice(own.getDevice(), true);
        images.attach(own);
        try (Autoencoder.Latents latents = autoencoder.encode(images)) {
          shape = latents.mean().getShape().slice(1);
          addRows(latents.mean(), means);
          latents.logVariance().ifPresent(all -> addRows(all, logVariances));
        }
      }
      return image.size();
    }

    private void addLabels(NDList own, int count, RecordNames names) {
      if (own.isEmpty()) {
        return;
      }
      NDArray all = own.head();
      if (own.size() > 1 || all.size() != count || all.getDataType().isFloating()) {
        throw new IllegalArgumentException(
            "labels of pictures that are encoded must be one whole number each, but those of "
                + names.all()
                + " are "
                + own.size()
                + (own.size() > 1 ? " arrays" : " array of " + all.getDataType())
                + " of shape "
                + all.getShape()
                + "; leave them out, and give conditions by training().condition(...)");
      }
      try (NDArray numbers = all.toType(DataType.INT64, true)) {
        for (long label : numbers.toLongArray()) {
          labels.add(label);
        }
      }
    }
  }

  private static void addRows(NDArray array, List<float[]> rows) {
    long count = array.getShape().get(0);
    int size = Math.toIntExact(array.size() / count);
    long some = Math.max(1, VALUES_AT_ONCE / size); // a buffer of Java ends at 2 GB
    for (long first = 0; first < count; first += some) {
      try (NDArray part = array.get(new NDIndex("{}:{}", first, Math.min(count, first + some)))) {
        float[] all = part.toFloatArray();
        for (int from = 0; from < all.length; from += size) {
          rows.add(Arrays.copyOfRange(all, from, from + size));
        }
      }
    }
  }

  /* ---------------- The file ---------------- */

  private void write(Path file, Map<String, String> words, NDManager manager) throws IOException {
    try (NDManager own = manager.newSubManager()) {
      int[] all = IntStream.range(0, size()).toArray();
      Map<String, NDArray> tensors = new LinkedHashMap<>();
      tensors.put(MEAN, means(own, all));
      if (hasVariances()) {
        tensors.put(LOG_VARIANCE, logVariances(own, all));
      }
      if (hasLabels()) {
        double[] numbers = labels.stream().mapToDouble(Long::doubleValue).toArray();
        tensors.put(
            LABELS, Upload.doubles(own, numbers, new Shape(numbers.length), DataType.FLOAT64));
      }
      Safetensors.write(file, tensors, words);
    }
  }

  private static EncodedPictures read(
      Path file, Map<String, String> words, Tiles tiles, NDManager manager) throws IOException {
    try (NDManager own = manager.newSubManager();
        TensorSource source = TensorFiles.open(file)) {
      for (Map.Entry<String, String> word : words.entrySet()) {
        require(file, source, word.getKey(), word.getValue());
      }
      Shape shape = source.tensors().containsKey(MEAN) ? source.info(MEAN).shape() : new Shape();
      if (shape.dimension() != 4 || shape.size() == 0) {
        throw damaged(file);
      }
      require(file, source, TILES, tiles(tiles, shape.slice(1)));
      List<float[]> means = rows(source, MEAN, own);
      boolean spread = source.tensors().containsKey(LOG_VARIANCE);
      List<float[]> logVariances = spread ? rows(source, LOG_VARIANCE, own) : List.of();
      List<Long> labels = List.of();
      if (source.tensors().containsKey(LABELS)) {
        try (NDArray numbers = source.read(LABELS, own)) {
          labels =
              DoubleStream.of(numbers.toDoubleArray())
                  .mapToObj(label -> Math.round(label))
                  .toList();
        }
      }
      if ((spread && !source.info(LOG_VARIANCE).shape().equals(shape))
          || (!labels.isEmpty() && labels.size() != means.size())) {
        throw damaged(file);
      }
      return new EncodedPictures(shape.slice(1), means, logVariances, labels);
    }
  }

  private static List<float[]> rows(TensorSource source, String name, NDManager own)
      throws IOException {
    List<float[]> rows = new ArrayList<>();
    try (NDArray all = source.readFloat32(name, own)) {
      addRows(all, rows);
    }
    return rows;
  }

  private static void require(Path file, TensorSource source, String word, String wanted)
      throws IOException {
    Object found = source.metadata().get(word);
    if (found == null) {
      throw new IOException(
          file + " holds no latents of a dataset: it does not say " + word + "; name another file");
    }
    if (!found.equals(wanted)) {
      throw new IOException(
          file
              + " was made "
              + meaning(word)
              + ": "
              + word
              + " is "
              + found
              + " there, and "
              + wanted
              + " here; delete it to encode the pictures anew, or name another file");
    }
  }

  private static IOException damaged(Path file) {
    return new IOException(
        file + " is damaged: its tensors are not those of latents of a dataset; delete it");
  }

  /* ---------------- What there is ---------------- */

  int size() {
    return means.size();
  }

  /** (C, H, W). */
  Shape shape() {
    return shape;
  }

  boolean hasVariances() {
    return !logVariances.isEmpty();
  }

  boolean hasLabels() {
    return !labels.isEmpty();
  }

  long label(int picture) {
    return labels.get(picture);
  }

  /** The means of some pictures, shape (N, C, H, W). */
  NDArray means(NDManager owner, int... pictures) {
    return array(owner, means, pictures);
  }

  /** The logarithms of their variances. */
  NDArray logVariances(NDManager owner, int... pictures) {
    return array(owner, logVariances, pictures);
  }

  private NDArray array(NDManager owner, List<float[]> rows, int... pictures) {
    return Upload.rows(
        owner,
        new Shape(pictures.length).addAll(shape),
        DataType.FLOAT32,
        (i, target) -> {
          float[] row = rows.get(pictures[i]);
          for (int k = 0; k < row.length; k++) {
            target[k] = row[k];
          }
        });
  }
}
