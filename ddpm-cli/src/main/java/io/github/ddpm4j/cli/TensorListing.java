package io.github.ddpm4j.cli;

import io.github.ddpm4j.evaluation.FeatureStatistics;
import io.github.ddpm4j.internal.io.TensorFiles;
import io.github.ddpm4j.internal.io.TensorInfo;
import io.github.ddpm4j.internal.io.TensorSource;
import java.io.IOException;
import java.io.PrintWriter;
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

  /** Prints the file. */
  static void print(PrintWriter out, Path file) throws IOException {
    try (TensorSource source = TensorFiles.open(file)) {
      Object format = source.metadata().get(FORMAT);
      if (STATISTICS.equals(format)) {
        FeatureStatistics statistics = FeatureStatistics.load(file);
        InfoCommand.line(out, "what", "statistics of features, as evaluate --save writes them");
        InfoCommand.line(out, "features", statistics.features());
        InfoCommand.line(out, "pictures", statistics.count());
        InfoCommand.line(out, "numbers a picture", statistics.dimension());
        return;
      }
      if (RUN.equals(format)) {
        InfoCommand.line(out, "what", "a sampling run that was saved in its midst");
      }
      list(out, source);
    }
  }

  private static void list(PrintWriter out, TensorSource source) {
    source.metadata().forEach((name, value) -> InfoCommand.line(out, name, cut(value)));
    long bytes = 0;
    long numbers = 0;
    for (Map.Entry<String, TensorInfo> tensor : source.tensors().entrySet()) {
      TensorInfo info = tensor.getValue();
      out.println(
          String.format(Locale.ROOT, "%-5s %-22s %s", info.kind(), info.shape(), tensor.getKey()));
      bytes += info.bytes();
      numbers += info.shape().size();
    }
    out.println(
        String.format(
            Locale.ROOT,
            "%d tensors of %,d numbers, %,d bytes once they are read",
            source.tensors().size(),
            numbers,
            bytes));
  }

  private static String cut(Object value) {
    String text = String.valueOf(value).replaceAll("\\s+", " ");
    return text.length() <= LONGEST_VALUE ? text : text.substring(0, LONGEST_VALUE) + " ...";
  }
}
