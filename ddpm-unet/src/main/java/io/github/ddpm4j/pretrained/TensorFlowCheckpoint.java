package io.github.ddpm4j.pretrained;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The files of a checkpoint of TensorFlow, which are not read. */
final class TensorFlowCheckpoint {

  private static final Pattern PART =
      Pattern.compile("(.+)\\.(?:index|meta|data-\\d+-of-\\d+(?:\\.tempstate\\d+)?)");

  private TensorFlowCheckpoint() {}

  /**
   * Refuses a part of a checkpoint, what its parts have in common, and a folder of them.
   *
   * @throws IOException if it is such a thing, with the way out
   */
  static void refuse(Path path) throws IOException {
    Path folder = Files.isDirectory(path) ? path : path.toAbsolutePath().getParent();
    String name = String.valueOf(path.getFileName());
    Matcher part = PART.matcher(name);
    if (Files.isDirectory(path)) {
      if (Files.isRegularFile(path.resolve("checkpoint")) && !isOther(path)) {
        throw refused(path, "tf.train.latest_checkpoint(\"" + path + "\")");
      }
    } else if (name.equals("checkpoint") && Files.isRegularFile(path)) {
      throw refused(path, "tf.train.latest_checkpoint(\"" + folder + "\")");
    } else if (part.matches() && Files.isRegularFile(path)) {
      throw refused(path, "\"" + path.resolveSibling(part.group(1)) + "\"");
    } else if (!Files.exists(path) && Files.isRegularFile(path.resolveSibling(name + ".index"))) {
      throw refused(path, "\"" + path + "\"");
    }
  }

  /** Whether a folder is one of diffusers or of ours, whatever else lies in it. */
  private static boolean isOther(Path folder) {
    return Files.exists(folder.resolve("model_index.json"))
        || Files.exists(folder.resolve("config.json"))
        || Files.exists(folder.resolve("ddpm.json"));
  }

  private static IOException refused(Path path, String checkpoint) {
    return new IOException(
        path
            + " is of a checkpoint of TensorFlow, which is not read; save its variables in Python"
            + " and load that file: reader = tf.train.load_checkpoint("
            + checkpoint
            + "); numpy.savez(\"model.npz\", **{name: reader.get_tensor(name) for name in"
            + " reader.get_variable_to_shape_map()})");
  }
}
