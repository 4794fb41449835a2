package io.github.ddpm4j.internal.checkpoint;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import io.github.ddpm4j.internal.description.Description;
import io.github.ddpm4j.internal.io.ModelDescription;
import io.github.ddpm4j.internal.io.ModelFolder;
import io.github.ddpm4j.internal.torch.Machine;
import java.io.IOException;
import java.util.Map;

/** The model with the averaged weights of a checkpoint, to be used while the run goes on. */
public final class CheckpointModel {

  /** Where a checkpoint has the description of its model. */
  public static final String MODEL = "model";

  /** Where a checkpoint has the averaged weights. */
  public static final String AVERAGES = "averages/";

  private CheckpointModel() {}

  /**
   * Reads a model.
   *
   * @param entry the checkpoint
   * @param device where to put the weights
   * @return the model; the caller closes its denoiser
   * @throws IOException if reading fails, or the file is damaged or no checkpoint
   */
  public static ModelFolder.Contents read(CheckpointFolder.Entry entry, Device device)
      throws IOException {
    entry.requireWhole();
    try (NDManager manager = Machine.newManager(Device.cpu())) {
      CheckpointFile.Contents contents = CheckpointFile.read(entry.file(), manager);
      Map<String, Object> model =
          Description.of("the checkpoint", contents.description()).object(MODEL);
      return ModelDescription.of(model, device, weights -> set(weights, contents.tensors()));
    } catch (IllegalArgumentException e) {
      throw new IOException(entry.file() + " is not valid: " + e.getMessage(), e);
    }
  }

  private static void set(Map<String, NDArray> weights, Map<String, NDArray> tensors) {
    weights.forEach(
        (name, weight) -> {
          NDArray average = tensors.get(AVERAGES + name);
          if (average == null || !average.getShape().equals(weight.getShape())) {
            throw new IllegalArgumentException(
                "the average of " + name + " is missing, or has another shape than the weight");
          }
          // Attached to the manager of the checkpoint, which is closed soon.
          weight.set(new NDIndex("..."), average.toDevice(weight.getDevice(), false));
        });
  }
}
