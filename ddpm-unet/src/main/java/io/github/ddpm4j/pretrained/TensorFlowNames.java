package io.github.ddpm4j.pretrained;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import io.github.ddpm4j.internal.io.TensorInfo;
import io.github.ddpm4j.internal.io.TensorSource;
import java.io.IOException;
import java.util.Collections;
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
final class TensorFlowNames implements TensorSource {

  private static final String AVERAGE = "/ExponentialMovingAverage";

  private final TensorSource source;

  /** The names of the file, by ours. */
  private final Map<String, String> names = new LinkedHashMap<>();

  private final Map<String, TensorInfo> tensors = new LinkedHashMap<>();

  private TensorFlowNames(TensorSource source) throws IOException {
    this.source = source;
    for (Map.Entry<String, TensorInfo> entry : source.tensors().entrySet()) {
      String name = renamed(entry.getKey());
      if (names.put(name, entry.getKey()) != null) {
        throw new IOException(source.about(entry.getKey()) + " is there twice");
      }
      tensors.put(name, entry.getValue());
    }
  }

  /** The same source, or one with other names if its own are TensorFlow's. */
  static TensorSource of(TensorSource source) throws IOException {
    String signature = "/" + PaperCode.SIGNATURE.replace('.', '/');
    boolean own =
        source.tensors().keySet().stream()
            .anyMatch(name -> ("/" + plain(name)).endsWith(signature));
    return own ? new TensorFlowNames(source) : source;
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

  private String own(String name) {
    return names.getOrDefault(name, name);
  }

  @Override
  public Map<String, TensorInfo> tensors() {
    return Collections.unmodifiableMap(tensors);
  }

  @Override
  public Map<String, Object> metadata() {
    return source.metadata();
  }

  @Override
  public NDArray read(String name, NDManager manager) throws IOException {
    return source.read(own(name), manager);
  }

  @Override
  public void readInto(String name, NDArray target) throws IOException {
    source.readInto(own(name), target);
  }

  @Override
  public String about(String name) {
    return source.about(own(name));
  }

  @Override
  public void close() throws IOException {
    source.close();
  }
}
