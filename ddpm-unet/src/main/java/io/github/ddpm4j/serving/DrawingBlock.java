package io.github.ddpm4j.serving;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.nn.AbstractBlock;
import ai.djl.training.ParameterStore;
import ai.djl.util.PairList;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.pretrained.Pretrained;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.sampling.Sampling;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A model that draws as a block of DJL: from one array (4), int64, of seed, count, steps (0: the
 * model's own) and label (-1: none) to one of images (count, C, H, W), which belongs to the manager
 * of the former. It has no parameters of DJL's; its network is freed by {@link #close()}.
 */
final class DrawingBlock extends AbstractBlock implements AutoCloseable {

  private static final byte VERSION = 1;
  private static final int INPUTS = 4;

  private final DDPM ddpm;

  /** Of a folder of diffusers, which says how to sample. */
  private final @Nullable Pretrained pretrained;

  private DrawingBlock(DDPM ddpm, @Nullable Pretrained pretrained) {
    super(VERSION);
    this.ddpm = ddpm;
    this.pretrained = pretrained;
  }

  static DrawingBlock load(Path folder, Device device) throws IOException {
    if (Files.exists(folder.resolve("ddpm.json"))) {
      return new DrawingBlock(DDPM.load(folder, device), null);
    }
    Pretrained pretrained = Pretrained.options().device(device).load(folder);
    return new DrawingBlock(pretrained.ddpm(), pretrained);
  }

  List<String> classNames() {
    return ddpm.classNames();
  }

  DataRange dataRange() {
    return ddpm.dataRange();
  }

  static NDArray input(DrawingRequest request, NDManager manager) {
    return manager.create(
        new long[] {request.seed(), request.count(), request.steps(), request.label()});
  }

  @Override
  protected NDList forwardInternal(
      ParameterStore parameterStore,
      NDList inputs,
      boolean training,
      @Nullable PairList<String, Object> params) {
    long[] wanted = inputs.singletonOrThrow().toLongArray();
    int count = Math.toIntExact(wanted[1]);
    Sampling sampling = sampling(Math.toIntExact(wanted[2])).seed(wanted[0]);
    if (wanted[3] >= 0) {
      int[] labels = new int[count];
      Arrays.fill(labels, Math.toIntExact(wanted[3]));
      sampling.condition(Condition.labels(labels));
    }
    try (Samples samples = sampling.generate(count)) {
      return new NDList(samples.toNDArray(inputs.head().getManager()));
    }
  }

  private Sampling sampling(int steps) {
    if (pretrained != null) {
      Sampling sampling = pretrained.sampling();
      return steps == 0 ? sampling : sampling.sampler(pretrained.sampler(steps));
    }
    return steps == 0 ? ddpm.sampling() : ddpm.sampling().sampler(Samplers.ddim(steps));
  }

  /** Of a request nothing is known but that its images have four axes. */
  @Override
  public Shape[] getOutputShapes(Shape[] inputShapes) {
    if (inputShapes.length != 1 || inputShapes[0].size() != INPUTS) {
      throw new IllegalArgumentException(
          "a model that draws takes one array of seed, count, steps and label, but was given "
              + Arrays.toString(inputShapes));
    }
    return new Shape[] {new Shape(-1, -1, -1, -1)};
  }

  @Override
  public void close() {
    if (pretrained != null) {
      pretrained.close();
    }
    ddpm.close();
  }
}
