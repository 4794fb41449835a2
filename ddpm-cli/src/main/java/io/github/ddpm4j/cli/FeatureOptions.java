package io.github.ddpm4j.cli;

import ai.djl.modality.cv.Image;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.benchmark.Cli;
import io.github.ddpm4j.evaluation.Features;
import io.github.ddpm4j.evaluation.TorchScriptFeatures;
import io.github.ddpm4j.models.EfficientNetLite0;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** In which features pictures are compared. */
final class FeatureOptions {

  /** The network in the box. A file of this name goes before it. */
  private static final Path LITE0 = Path.of("lite0");

  @Option(
      names = "--features",
      paramLabel = "FILE",
      description =
          "A network in TorchScript for pixels in [0, 1], or lite0, the EfficientNet-Lite0 in the"
              + " box (default: the pixels).")
  private @Nullable Path features;

  @Option(
      names = "--features-side",
      paramLabel = "N",
      description = "The side to which pictures are resized for it.")
  private @Nullable Integer side;

  /** Features, and what to close after them. */
  record Loaded(Features features, Runnable end) implements AutoCloseable {

    @Override
    public void close() {
      end.run();
    }
  }

  /** Checks what can be told without loading a network. */
  void check() throws IOException {
    if (side != null) {
      Cli.atLeast("--features-side", 1, side);
    }
    if (features != null && !isLite0()) {
      Inputs.require(List.of(features));
    }
    if (side != null && isLite0()) {
      throw new IllegalArgumentException(
          "--features-side is for a network of yours; lite0 resizes pictures to "
              + EfficientNetLite0.SIDE);
    }
  }

  /** What stands beside figures. */
  String name() {
    return features == null ? "pixels" : isLite0() ? "EfficientNet-Lite0" : features.toString();
  }

  /** What statistics must share to be compared: features of other sizes are other features. */
  String name(Shape shape) {
    String size = shape.get(0) + "x" + shape.get(1) + "x" + shape.get(2);
    if (features == null) {
      return "pixels of " + size;
    }
    return (isLite0() ? "EfficientNet-Lite0" : features.getFileName())
        + (side == null ? "" : " at " + side + "x" + side)
        + ", of pictures of "
        + size;
  }

  /**
   * Loads the network, if there is one.
   *
   * @return the features; the caller closes them
   */
  Loaded load(String device) throws IOException {
    if (features == null) {
      return new Loaded(Features.pixels(), () -> {});
    }
    if (isLite0()) {
      EfficientNetLite0 network = EfficientNetLite0.load(Cli.device(device));
      return new Loaded(network, network::close);
    }
    TorchScriptFeatures.Builder file = Features.torchScript(features).device(Cli.device(device));
    if (side != null) {
      file.resize(side, side, Image.Interpolation.BILINEAR);
    }
    TorchScriptFeatures network = file.load();
    return new Loaded(network, network::close);
  }

  private boolean isLite0() {
    return LITE0.equals(features) && !Files.exists(LITE0);
  }
}
