package io.github.ddpm4j.cli;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import io.github.ddpm4j.evaluation.FeatureStatistics;
import io.github.ddpm4j.internal.io.TensorFiles;
import io.github.ddpm4j.internal.io.TensorInfo;
import io.github.ddpm4j.internal.io.TensorSource;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Map;

/** What a file of tensors holds that is no model, or none that is known. */
final class TensorListing {

  private static final String FORMAT = "format";
  private static final String STATISTICS = "ddpm4j feature statistics";
  private static final String RUN = "ddpm4j sampling run";
  private static final int LONGEST_VALUE = 200;

  private TensorListing() {}

  /** Whether a file is one of this library's that holds tensors and is no model. */
  static boolean isOurs(Path file) {
    try (TensorSource source = TensorFiles.open(file)) {
      Object format = source.metadata().get(FORMAT);
      return STATISTICS.equals(format) || RUN.equals(format);
    } catch (IOException e) {
      return false; // and whoever reads it as something else says why it can't
    }
  }

  /** Adds what the file holds. */
  static void add(Facts facts, Path file) throws IOException {
    try (TensorSource source = TensorFiles.open(file)) {
      Object format = source.metadata().get(FORMAT);
      if (STATISTICS.equals(format)) {
        FeatureStatistics statistics = FeatureStatistics.load(file);
        facts
            .named("what", "statistics of features, as evaluate --save writes them")
            .named("features", statistics.features())
            .named("pictures", statistics.count(), new JsonPrimitive(statistics.count()))
            .named(
                "numbers a picture",
                statistics.dimension(),
                new JsonPrimitive(statistics.dimension()));
        return;
      }
      if (RUN.equals(format)) {
        facts.named("what", "a sampling run that was saved in its midst");
      }
      list(facts, source);
    }
  }

  private static void list(Facts facts, TensorSource source) {
    JsonObject metadata = new JsonObject();
    source
        .metadata()
        .forEach(
            (name, value) -> {
              facts.line(name, cut(value));
              metadata.addProperty(name, String.valueOf(value));
            });
    JsonArray tensors = new JsonArray();
    long bytes = 0;
    long numbers = 0;
    for (Map.Entry<String, TensorInfo> tensor : source.tensors().entrySet()) {
      TensorInfo info = tensor.getValue();
      facts.line(
          String.format(Locale.ROOT, "%-5s %-22s %s", info.kind(), info.shape(), tensor.getKey()));
      JsonObject one = new JsonObject();
      one.addProperty("name", tensor.getKey());
      one.addProperty("kind", String.valueOf(info.kind()));
      JsonArray shape = new JsonArray();
      for (long length : info.shape().getShape()) {
        shape.add(length);
      }
      one.add("shape", shape);
      tensors.add(one);
      bytes += info.bytes();
      numbers += info.shape().size();
    }
    facts
        .line(
            String.format(
                Locale.ROOT,
                "%d tensors of %,d numbers, %,d bytes once they are read",
                source.tensors().size(),
                numbers,
                bytes))
        .json("metadata", metadata)
        .json("tensors", tensors)
        .json("bytes", new JsonPrimitive(bytes));
  }

  private static String cut(Object value) {
    String text = String.valueOf(value).replaceAll("\\s+", " ");
    return text.length() <= LONGEST_VALUE ? text : text.substring(0, LONGEST_VALUE) + " ...";
  }
}
