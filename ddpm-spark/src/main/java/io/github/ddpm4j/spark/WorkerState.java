package io.github.ddpm4j.spark;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import io.github.ddpm4j.internal.checkpoint.CheckpointFile;
import io.github.ddpm4j.internal.checkpoint.CheckpointFolder;
import io.github.ddpm4j.internal.files.WholeFile;
import io.github.ddpm4j.internal.torch.Machine;
import io.github.ddpm4j.model.TrainableDenoiser;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;

/**
 * What travels from a worker's round to its next one: a checkpoint without the weights and their
 * average, in place of which the next round has the weights that the driver made.
 */
final class WorkerState {

  private static final String WEIGHTS = "weights/";
  private static final String AVERAGES = "averages/";

  private WorkerState() {}

  /** Of the newest checkpoint of a folder. */
  static byte[] of(Path folder) throws IOException {
    CheckpointFolder.Entry newest =
        new CheckpointFolder(folder)
            .newestWhole()
            .orElseThrow(() -> new IOException("the round left no checkpoint in " + folder));
    try (NDManager manager = Machine.newManager(Device.cpu())) {
      CheckpointFile.Contents whole = CheckpointFile.read(newest.file(), manager);
      Map<String, NDArray> kept = new TreeMap<>(whole.tensors());
      kept.keySet().removeIf(name -> name.startsWith(WEIGHTS) || name.startsWith(AVERAGES));
      ByteArrayOutputStream out = new ByteArrayOutputStream();
      CheckpointFile.write(out, new CheckpointFile.Contents(whole.description(), kept));
      return out.toByteArray();
    }
  }

  /** Makes the checkpoint to go on from. */
  static Path checkpoint(
      byte[] state, TrainableDenoiser network, float[] weights, Path folder, long steps)
      throws IOException {
    Path file = folder.resolve("state");
    Files.write(file, state);
    try (NDManager manager = Machine.newManager(Device.cpu())) {
      CheckpointFile.Contents kept = CheckpointFile.read(file, manager);
      Map<String, NDArray> all = new TreeMap<>(kept.tensors());
      FlatWeights.arrays(network, weights, manager)
          .forEach(
              (name, values) -> {
                all.put(WEIGHTS + name, values);
                all.put(AVERAGES + name, values);
              });
      String stem = String.format(Locale.ROOT, "step-%010d", steps);
      return WholeFile.write(
              folder,
              stem,
              sha256 -> stem + "." + sha256.substring(0, 16) + ".safetensors",
              out ->
                  CheckpointFile.write(out, new CheckpointFile.Contents(kept.description(), all)))
          .file();
    }
  }
}
