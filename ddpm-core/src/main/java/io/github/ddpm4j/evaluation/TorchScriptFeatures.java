package io.github.ddpm4j.evaluation;

import ai.djl.Device;
import ai.djl.MalformedModelException;
import ai.djl.Model;
import ai.djl.modality.cv.Image;
import ai.djl.modality.cv.util.NDImageUtils;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.ops.Given;
import io.github.ddpm4j.internal.ops.Upload;
import io.github.ddpm4j.internal.torch.GradMode;
import io.github.ddpm4j.internal.torch.Machine;
import io.github.ddpm4j.internal.torch.ModuleCall;
import io.github.ddpm4j.internal.torch.Turns;
import io.github.ddpm4j.model.DataRange;
import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Locale;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Features from a network in a TorchScript file. The file does not describe the expected input, so
 * the {@link Builder} must be given it; metrics depend on each of these settings, especially the
 * resizing (Parmar, Zhang, Zhu 2022).
 *
 * <p>Owns the network: close it. Thread-safe; closing waits for the calls that have begun.
 */
public final class TorchScriptFeatures implements Features, AutoCloseable {

  /** The default batch size: {@value}. */
  public static final int DEFAULT_BATCH_SIZE = 32;

  private final Model model;
  private final Builder settings;
  private final Turns turns =
      new Turns("TorchScriptFeatures", "these features are closed; load the file again");

  private TorchScriptFeatures(Model model, Builder settings) {
    this.model = model;
    this.settings = settings;
  }

  /**
   * Computes the features of images, batch by batch.
   *
   * @param images images in the data range, float32 or float64, shape (N, C, H, W), on any device;
   *     not closed
   * @return N rows: the values of the chosen output per image, whatever its shape
   * @throws IllegalArgumentException if the images have the wrong number of dimensions, were made
   *     in another range than {@link Builder#dataRange}, as 0 to 255, or have a number of channels
   *     that differs from the network's while neither is 1
   * @throws IllegalStateException if these features are closed
   */
  @Override
  public double[][] of(NDArray images) {
    Given.open(images, "images");
    if (images.getShape().dimension() != 4) {
      throw new IllegalArgumentException(
          "images must have shape (N, C, H, W), but had " + images.getShape());
    }
    int count = Math.toIntExact(images.getShape().get(0));
    double[][] rows = new double[count][];
    try (Turns.Turn turn = turns.use();
        GradMode off = GradMode.off()) {
      PictureChecks.requireLike("images", images, new DataRange(settings.min, settings.max));
      for (int first = 0; first < count; first += settings.batchSize) {
        int end = Math.min(count, first + settings.batchSize);
        try (NDManager scope = model.getNDManager().newSubManager();
            NDArray part = images.get(new NDIndex("{}:{}", first, end));
            NDArray copy = part.duplicate()) {
          copy.attach(scope);
          double[][] some = features(scope, copy);
          System.arraycopy(some, 0, rows, first, some.length);
        }
      }
    }
    return rows;
  }

  private double[][] features(NDManager scope, NDArray images) {
    NDArray input =
        settings.prepare(
            scope, images.toDevice(scope.getDevice(), false).toType(DataType.FLOAT32, false));
    NDList outputs;
    try (ModuleCall call = new ModuleCall(model.getBlock(), "forward")) {
      outputs = call.with(input).run(scope);
    }
    outputs.attach(scope);
    if (settings.output >= outputs.size()) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "output must be below %d, the number of outputs of %s, but was %d",
              outputs.size(),
              settings.file,
              settings.output));
    }
    return Features.pixels().of(outputs.get(settings.output));
  }

  @Override
  public String toString() {
    return "TorchScriptFeatures[" + settings.file.getFileName() + "]";
  }

  /** Frees the network, once the calls that have begun are done. Idempotent. */
  @Override
  public void close() {
    turns.close(model::close);
  }

  /** Describes the input that the network in a file expects. */
  public static final class Builder {

    private final Path file;
    private double min = -1;
    private double max = 1;
    private double[] mean = {0};
    private double[] deviation = {1};
    private int height;
    private int width;
    private Image.Interpolation interpolation = Image.Interpolation.BILINEAR;
    private int batchSize = DEFAULT_BATCH_SIZE;
    private int output;
    private @Nullable Device device;

    Builder(Path file) {
      this.file = file;
    }

    /**
     * The data range of the images, which is mapped to [0, 1] first.
     *
     * @param min black, the default is −1
     * @param max white, the default is 1
     * @return this builder
     * @throws IllegalArgumentException unless both are finite and {@code min < max}
     */
    public Builder dataRange(double min, double max) {
      if (!(min < max) || Double.isInfinite(min) || Double.isInfinite(max)) {
        throw new IllegalArgumentException(
            "dataRange needs finite numbers, the first below the second, but they were "
                + min
                + " and "
                + max);
      }
      this.min = min;
      this.max = max;
      return this;
    }

    /**
     * Normalizes pixels in [0, 1] to (pixel − mean) / deviation, per channel. The number of values
     * is the number of channels that the network expects; single-channel images are repeated to
     * match. By default, the network receives values in [0, 1] and the channels of the images.
     *
     * @param mean the mean, one value per channel
     * @param deviation the standard deviation, as many values, above 0
     * @return this builder
     * @throws IllegalArgumentException if there are no values, their numbers differ, or a value is
     *     invalid
     */
    public Builder normalize(double[] mean, double[] deviation) {
      boolean fits = mean.length > 0 && mean.length == deviation.length;
      for (int i = 0; fits && i < mean.length; i++) {
        fits = Double.isFinite(mean[i]) && deviation[i] > 0 && Double.isFinite(deviation[i]);
      }
      if (!fits) {
        throw new IllegalArgumentException(
            "normalize needs a finite mean and a deviation above 0 for each channel, but they were "
                + Arrays.toString(mean)
                + " and "
                + Arrays.toString(deviation));
      }
      this.mean = mean.clone();
      this.deviation = deviation.clone();
      return this;
    }

    /**
     * Resizes images with the engine's bilinear interpolation (corners not aligned, no
     * antialiasing) or another one. By default they keep their size.
     *
     * @param height the height, at least 1; 299 for Inception-v3
     * @param width the width, at least 1
     * @param interpolation the interpolation, usually {@link Image.Interpolation#BILINEAR}
     * @return this builder
     * @throws IllegalArgumentException if a size is less than 1
     */
    public Builder resize(int height, int width, Image.Interpolation interpolation) {
      Objects.requireNonNull(interpolation, "interpolation");
      if (height < 1 || width < 1) {
        throw new IllegalArgumentException(
            "resize needs sizes of at least 1, but they were " + height + " and " + width);
      }
      this.height = height;
      this.width = width;
      this.interpolation = interpolation;
      return this;
    }

    /**
     * The number of images per network call. Affects memory and speed.
     *
     * @param batchSize at least 1; the default is {@value TorchScriptFeatures#DEFAULT_BATCH_SIZE}
     * @return this builder
     * @throws IllegalArgumentException if {@code batchSize} is less than 1
     */
    public Builder batchSize(int batchSize) {
      if (batchSize < 1) {
        throw new IllegalArgumentException("batchSize must be at least 1, but was " + batchSize);
      }
      this.batchSize = batchSize;
      return this;
    }

    /**
     * The index of the network output that holds the features.
     *
     * @param output the index, from 0, the default
     * @return this builder
     * @throws IllegalArgumentException if {@code output} is negative
     */
    public Builder output(int output) {
      if (output < 0) {
        throw new IllegalArgumentException("output must be at least 0, but was " + output);
      }
      this.output = output;
      return this;
    }

    /**
     * The device of the network.
     *
     * @param device the default is the engine's
     * @return this builder
     */
    public Builder device(Device device) {
      Objects.requireNonNull(device, "device");
      this.device = device;
      return this;
    }

    /**
     * Loads the file.
     *
     * @return the features; the caller closes them
     * @throws java.nio.file.NoSuchFileException if there is no such file
     * @throws IOException if reading fails, or the file is not TorchScript
     */
    public TorchScriptFeatures load() throws IOException {
      Device where = Machine.device(device);
      Model model = Model.newInstance("features", where, "PyTorch");
      try (InputStream in = new BufferedInputStream(Files.newInputStream(file))) {
        model.load(in);
      } catch (IOException e) {
        model.close();
        throw e;
      } catch (MalformedModelException | RuntimeException e) {
        model.close();
        throw new IOException(
            file
                + " holds no TorchScript that the engine can load; torch.jit.save writes such files",
            e);
      }
      ModuleCall.inference(model.getBlock());
      return new TorchScriptFeatures(model, copy());
    }

    private Builder copy() {
      Builder copy = new Builder(file);
      copy.min = min;
      copy.max = max;
      copy.mean = mean;
      copy.deviation = deviation;
      copy.height = height;
      copy.width = width;
      copy.interpolation = interpolation;
      copy.batchSize = batchSize;
      copy.output = output;
      copy.device = device;
      return copy;
    }

    /** Images of the data range as what the network expects, attached to {@code scope}. */
    private NDArray prepare(NDManager scope, NDArray images) {
      NDArray x = images.sub(min).div(max - min);
      if (height > 0) {
        // The engine resizes (N, H, W, C).
        x = NDImageUtils.resize(x.transpose(0, 2, 3, 1), width, height, interpolation);
        x = x.transpose(0, 3, 1, 2);
      }
      long channels = x.getShape().get(1);
      if (channels == 1 && mean.length > 1) {
        x = x.repeat(1, mean.length);
      } else if (mean.length > 1 && channels != mean.length) {
        throw new IllegalArgumentException(
            String.format(
                Locale.ROOT,
                "images must have %d channels, as the network was said to want, or 1, but had %d",
                mean.length,
                channels));
      }
      Shape perChannel = new Shape(1, mean.length, 1, 1);
      return x.sub(Upload.doubles(scope, mean, perChannel, DataType.FLOAT32))
          .div(Upload.doubles(scope, deviation, perChannel, DataType.FLOAT32));
    }
  }
}
