package io.github.ddpm4j.evaluation;

import ai.djl.inference.Predictor;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.nn.Block;
import ai.djl.training.ParameterStore;
import ai.djl.translate.TranslateException;
import io.github.ddpm4j.internal.torch.GradMode;
import io.github.ddpm4j.internal.torch.Shutdown;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Objects;
import java.util.function.UnaryOperator;

/**
 * A feature extractor, by which images are compared: maps each image to a row of numbers. Any such
 * function works; the factories provide common ones.
 *
 * <p>Metrics are comparable only if they use the same features. Published FID, KID and precision
 * and recall use the 2,048 activations before the last layer of one particular Inception-v3, the
 * Inception score its class probabilities; {@link #torchScript} reads such a file.
 */
@FunctionalInterface
public interface Features {

  /**
   * Computes the features of images.
   *
   * @param images a batch in the data range, float32 or float64, shape (N, C, H, W); not closed;
   *     temporaries attached to its manager are freed
   * @return N rows of equal length
   */
  double[][] of(NDArray images);

  /**
   * The raw pixels, C · H · W numbers per image. No network is involved, so perceptual content is
   * ignored: suitable for small images and quick checks.
   *
   * @return the features; thread-safe
   */
  static Features pixels() {
    return Features::rows;
  }

  /**
   * The features computed by a function of a batch.
   *
   * @param function takes images of shape (N, C, H, W) and returns (N, …), float32 or float64; its
   *     result and any arrays it leaves in the images' manager are closed
   * @return the features, as thread-safe as the function
   */
  static Features function(UnaryOperator<NDArray> function) {
    Objects.requireNonNull(function, "function");
    return images -> {
      Shutdown.requireGoing();
      try (NDManager scope = images.getManager().newSubManager();
          NDArray copy = images.duplicate();
          GradMode off = GradMode.off()) {
        copy.attach(scope);
        try (NDArray made = function.apply(copy)) {
          return rows(made, images.getShape().get(0));
        }
      }
    };
  }

  /**
   * The first output of a DJL block, run for inference.
   *
   * @param block an initialised block that takes (N, C, H, W) in the data range; not closed
   * @return the features, as thread-safe as the block
   */
  static Features block(Block block) {
    Objects.requireNonNull(block, "block");
    return function(
        images ->
            block
                .forward(new ParameterStore(images.getManager(), false), new NDList(images), false)
                .head());
  }

  /**
   * The first output of a DJL predictor.
   *
   * @param predictor takes a list of one array (N, C, H, W) in the data range; not closed
   * @return the features, for one thread at a time; a {@link TranslateException} is wrapped in an
   *     {@link IllegalStateException}
   */
  static Features predictor(Predictor<NDList, NDList> predictor) {
    Objects.requireNonNull(predictor, "predictor");
    return function(
        images -> {
          try {
            NDList output = predictor.predict(new NDList(images));
            output.attach(images.getManager());
            return output.head();
          } catch (TranslateException e) {
            throw new IllegalStateException(
                "the predictor of the features failed on images of shape " + images.getShape(), e);
          }
        });
  }

  /**
   * The features of a network in a TorchScript file, as written by {@code torch.jit.save}.
   *
   * @param file the file
   * @return a builder, to describe the input that the network expects
   */
  static TorchScriptFeatures.Builder torchScript(Path file) {
    Objects.requireNonNull(file, "file");
    return new TorchScriptFeatures.Builder(file);
  }

  /** An array of shape (N, …) as rows, in {@code double}. */
  private static double[][] rows(NDArray array) {
    if (array.getShape().dimension() == 0) {
      throw new IllegalArgumentException(
          "images must have shape (N, C, H, W), but were a single number");
    }
    return rows(array, array.getShape().get(0));
  }

  private static double[][] rows(NDArray array, long images) {
    if (array.getShape().dimension() < 2 || array.getShape().get(0) != images) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "features of %d images must have shape (%d, …), but had %s",
              images,
              images,
              array.getShape()));
    }
    try (NDArray doubles = array.toType(DataType.FLOAT64, true)) {
      double[] flat = doubles.toDoubleArray();
      int width = flat.length / Math.toIntExact(images);
      double[][] rows = new double[Math.toIntExact(images)][width];
      for (int i = 0; i < rows.length; i++) {
        System.arraycopy(flat, i * width, rows[i], 0, width);
      }
      return rows;
    }
  }
}
