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
import java.nio.file.Path;
import java.util.Objects;
import java.util.function.UnaryOperator;

/**
 * What images are compared by: a row of numbers per image. Any function of that kind will do; the
 * factories make the usual ones.
 *
 * <p>Figures are comparable only if they rest on the same features. FID, KID and precision and
 * recall as published rest on the 2,048 numbers before the last layer of one certain Inception-v3,
 * the Inception score on its class probabilities; {@link #torchScript} reads such a file.
 */
@FunctionalInterface
public interface Features {

  /**
   * Works out the features of images.
   *
   * @param images a batch in the data range, float32 or float64, shape (N, C, H, W); not closed,
   *     and nothing stays attached to its manager
   * @return N rows of equal length
   */
  double[][] of(NDArray images);

  /**
   * The pixels themselves, C · H · W numbers per image. No network stands between the figure and
   * the images, and none sees what matters in them: for small images and quick looks.
   *
   * @return the features; thread-safe
   */
  static Features pixels() {
    return Features::rows;
  }

  /**
   * Whatever a function makes of a batch.
   *
   * @param function takes images of shape (N, C, H, W) and returns (N, …), float32 or float64; what
   *     it returns and what it leaves in the manager of the images is closed
   * @return the features, as thread-safe as the function
   */
  static Features function(UnaryOperator<NDArray> function) {
    Objects.requireNonNull(function, "function");
    return images -> {
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
   * @return the features, for one thread at a time; a {@link TranslateException} comes as the cause
   *     of an {@link IllegalStateException}
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
   * A network in a TorchScript file, as {@code torch.jit.save} writes them.
   *
   * @param file the file
   * @return a builder, to say what the network expects of its input
   */
  static TorchScriptFeatures.Builder torchScript(Path file) {
    return new TorchScriptFeatures.Builder(file);
  }

  /** An array of shape (N, …) as rows, in {@code double}. */
  private static double[][] rows(NDArray array) {
    return rows(array, array.getShape().get(0));
  }

  private static double[][] rows(NDArray array, long images) {
    if (array.getShape().dimension() < 2 || array.getShape().get(0) != images) {
      throw new IllegalArgumentException(
          "features of %d images must have shape (%d, …), but had %s"
              .formatted(images, images, array.getShape()));
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
