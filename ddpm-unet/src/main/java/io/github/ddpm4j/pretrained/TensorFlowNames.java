package io.github.ddpm4j.pretrained;

import io.github.ddpm4j.internal.io.TensorSource;
import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * The variables of TensorFlow under names as the other libraries have them: dots between the parts,
 * and what a variable is to others before its name and not behind it.
 *
 * <pre>
 * model/conv_in/W                                model.conv_in.W
 * model/conv_in/W/ExponentialMovingAverage   ema.model.conv_in.W
 * model/conv_in/W/Adam                 optimizer.model.conv_in.W.Adam
 * </pre>
 */
final class TensorFlowNames {

  private static final String AVERAGE = "/ExponentialMovingAverage";

  private TensorFlowNames() {}

  /**
   * The same source, or one with other names if its own are TensorFlow's.
   *
   * @throws IOException if two of its names would become one
   */
  static TensorSource of(TensorSource source) throws IOException {
    String signature = "/" + PaperCode.SIGNATURE.replace('.', '/');
    boolean own =
        source.tensors().keySet().stream()
            .anyMatch(name -> ("/" + plain(name)).endsWith(signature));
    return own ? new RenamedTensors(source, names(source)) : source;
  }

  /** The names of the file, by ours. */
  private static Map<String, String> names(TensorSource source) throws IOException {
    Map<String, String> names = new LinkedHashMap<>();
    for (String name : source.tensors().keySet()) {
      if (names.put(renamed(name), name) != null) {
        throw new IOException(source.about(name) + " is there twice");
      }
    }
    return names;
  }

  /** Without the number of the output, which names of TensorFlow 1 may have. */
  private static String plain(String name) {
    return name.endsWith(":0") ? name.substring(0, name.length() - 2) : name;
  }

  private static String renamed(String full) {
    String name = plain(full);
    if (name.endsWith(AVERAGE)) {
      return "ema." + name.substring(0, name.length() - AVERAGE.length()).replace('/', '.');
    }
    String dotted = name.replace('/', '.');
    return name.endsWith("/Adam") || name.endsWith("/Adam_1") ? "optimizer." + dotted : dotted;
  }
}
