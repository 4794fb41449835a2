package io.github.ddpm4j.models;

import ai.djl.Device;
import ai.djl.modality.cv.Image;
import ai.djl.modality.cv.util.NDImageUtils;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.evaluation.Features;
import io.github.ddpm4j.internal.files.ResourceFile;
import io.github.ddpm4j.internal.io.TensorFiles;
import io.github.ddpm4j.internal.io.TensorSource;
import io.github.ddpm4j.internal.ops.ImageLayout;
import io.github.ddpm4j.internal.ops.Script;
import io.github.ddpm4j.internal.ops.Script.Value;
import io.github.ddpm4j.internal.ops.ScriptOps;
import io.github.ddpm4j.internal.torch.GradMode;
import io.github.ddpm4j.internal.torch.Machine;
import io.github.ddpm4j.internal.torch.Program;
import io.github.ddpm4j.internal.torch.Turns;
import java.io.IOException;
import java.io.InputStream;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * The {@value #COUNT} features before the classifier of EfficientNet-Lite0, a network that was
 * trained on ImageNet, for pictures of any size: they are resized to {@value #SIDE}x{@value #SIDE}
 * by the engine's bilinear interpolation (corners not aligned, no antialiasing).
 *
 * <pre>{@code
 * try (EfficientNetLite0 features = EfficientNetLite0.load()) {
 *   KernelDistance.estimate(features.of(drawn), features.of(real), Bootstrap.seeded(0));
 * }
 * }</pre>
 *
 * <p>Distances of these features are neither the FID nor the KID of papers, which use Inception-v3:
 * name the network beside each figure. Published weights (Apache-2.0) with batch normalisation
 * taken in, stored as float16 and computed in float32.
 *
 * <p>Owns its weights: close it. Thread-safe; closing waits for the calls that have begun.
 */
public final class EfficientNetLite0 implements Features, AutoCloseable {

  /** The number of features: {@value}. */
  public static final int COUNT = Lite0Network.FEATURES;

  /** The side to which pictures are resized: {@value}. */
  public static final int SIDE = 224;

  /** Pictures per call of the network: some 80 MB each at its widest. */
  private static final int BATCH = 8;

  // (pixel - 127) / 128 for levels of 0 to 255, as the published code rounds it.
  private static final double MEAN = 0.498;
  private static final double DEVIATION = 0.502;

  /** Values of pictures may overshoot a little. */
  private static final double FAR = 2;

  private static final String INFER = "infer";
  private static final int DIMENSIONS = 4;
  private static final int COLORS = 3;

  private final NDManager manager;
  private final Map<String, NDArray> weights;
  private final Program program;
  private final Turns turns =
      new Turns("EfficientNetLite0", "these features are closed; load them again");

  private EfficientNetLite0(NDManager manager, Map<String, NDArray> weights, Program program) {
    this.manager = manager;
    this.weights = weights;
    this.program = program;
  }

  /**
   * Loads the network onto the engine's default device.
   *
   * @return the features; the caller closes them
   * @throws IOException if there is no room for a temporary file
   */
  public static EfficientNetLite0 load() throws IOException {
    return open(null);
  }

  /**
   * Loads the network.
   *
   * @param device where to put the weights
   * @return the features; the caller closes them
   * @throws IllegalArgumentException if the device is a GPU that the engine does not see
   * @throws IOException if there is no room for a temporary file
   */
  public static EfficientNetLite0 load(Device device) throws IOException {
    return open(Objects.requireNonNull(device, "device"));
  }

  private static EfficientNetLite0 open(@Nullable Device device) throws IOException {
    NDManager manager = Machine.newManager(device);
    boolean done = false;
    try (GradMode off = GradMode.off()) {
      Map<String, NDArray> weights = read(manager);
      EfficientNetLite0 features = new EfficientNetLite0(manager, weights, compile(weights));
      done = true;
      return features;
    } finally {
      if (!done) {
        manager.close();
      }
    }
  }

  private static Map<String, NDArray> read(NDManager manager) throws IOException {
    String resource = "efficientnet-lite0.safetensors";
    InputStream in =
        Objects.requireNonNull(EfficientNetLite0.class.getResourceAsStream(resource), resource);
    Map<String, NDArray> weights = new LinkedHashMap<>();
    try (ResourceFile file = ResourceFile.of(in, "ddpm4j-");
        TensorSource source = TensorFiles.open(file.path())) {
      for (Lite0Network.Layer layer : Lite0Network.layers()) {
        for (String name : List.of(layer.name() + ".weight", layer.name() + ".bias")) {
          weights.put(name, source.readFloat32(name, manager));
        }
      }
    }
    return weights;
  }

  private static Program compile(Map<String, NDArray> weights) {
    Map<String, Value> values = new LinkedHashMap<>();
    for (String name : weights.keySet()) {
      values.put(name, new Value("p[" + values.size() + "]"));
    }
    Script script = new Script();
    ScriptOps ops = ScriptOps.inference(script, Script.Type.FLOAT32, ImageLayout.CHANNELS_FIRST);
    Value features =
        Lite0Network.forward(
            ops, name -> Objects.requireNonNull(values.get(name), name), new Value("x"), SIDE);
    return Program.compile(script.method(INFER, "x: Tensor, p: List[Tensor]", "Tensor", features));
  }

  /**
   * Computes the features of images.
   *
   * @param images in [−1, 1], float32 or float64, shape (N, 1, H, W) or (N, 3, H, W), on any
   *     device; not closed
   * @return N rows of {@value #COUNT} numbers from 0 to 6
   * @throws IllegalArgumentException if the images have another shape, or a value that is not a
   *     number or is beyond ±2
   * @throws IllegalStateException if these features are closed
   */
  @Override
  public double[][] of(NDArray images) {
    Shape shape = images.getShape();
    if (shape.dimension() != DIMENSIONS || (shape.get(1) != 1 && shape.get(1) != COLORS)) {
      throw new IllegalArgumentException(
          "images must have shape (N, 1, H, W) or (N, 3, H, W), but had " + shape);
    }
    requireRange(images);
    int count = Math.toIntExact(shape.get(0));
    double[][] rows = new double[count][];
    try (Turns.Turn turn = turns.use();
        GradMode off = GradMode.off()) {
      for (int first = 0; first < count; first += BATCH) {
        int end = Math.min(count, first + BATCH);
        try (NDManager scope = manager.newSubManager();
            NDArray part = images.get(new NDIndex("{}:{}", first, end));
            NDArray copy = part.duplicate()) {
          copy.attach(scope);
          NDArray made =
              program
                  .call(INFER, prepared(copy), List.of(new NDList(weights.values())))
                  .singletonOrThrow();
          made.attach(scope);
          System.arraycopy(Features.pixels().of(made), 0, rows, first, end - first);
        }
      }
    }
    return rows;
  }

  /** Pictures of 0 to 255, say, would give figures that mean nothing. */
  private static void requireRange(NDArray images) {
    try (NDArray sizes = images.abs();
        NDArray largest = sizes.max()) {
      double most = largest.toType(DataType.FLOAT64, false).getDouble();
      if (!(most <= FAR)) {
        throw new IllegalArgumentException(
            "images must lie in [-1, 1], but hold a value of size "
                + most
                + "; map them, or clip them if that is meant");
      }
    }
  }

  private NDArray prepared(NDArray images) {
    NDArray x = images.toDevice(manager.getDevice(), false).toType(DataType.FLOAT32, false);
    // The engine resizes (N, H, W, C).
    x = x.add(1).div(2).transpose(0, 2, 3, 1);
    x = NDImageUtils.resize(x, SIDE, SIDE, Image.Interpolation.BILINEAR).transpose(0, 3, 1, 2);
    return (x.getShape().get(1) == 1 ? x.repeat(1, COLORS) : x).sub(MEAN).div(DEVIATION);
  }

  /** The name that belongs beside every figure. */
  @Override
  public String toString() {
    return "EfficientNet-Lite0";
  }

  /** Frees the network, once the calls that have begun are done. Idempotent. */
  @Override
  public void close() {
    turns.close(
        () -> {
          program.close();
          manager.close();
        });
  }
}
