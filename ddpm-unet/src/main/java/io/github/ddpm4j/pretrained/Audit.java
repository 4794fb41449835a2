package io.github.ddpm4j.pretrained;

import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * What loading a model found and did, to be read by people: {@link #toString()} is a page. Nothing
 * that a network needs is missing when there is an audit; what was missing would have been refused.
 *
 * @param family the library that the network is of
 * @param source the file of the weights, and the names in it that all weights begin with
 * @param parameters the number of values of the network
 * @param transforms how many tensors of the file were used, by how they became weights
 * @param unused tensors of the file that are known to mean nothing, and were left out
 * @param elsewhere the number of other tensors in the file, such as those of an optimizer's copy
 * @param differences how the model differs from the defaults of {@code DDPM.builder()} and {@code
 *     UNet.builder()}
 * @param assumed what neither the file nor the caller says, and how it was understood
 */
public record Audit(
    String family,
    String source,
    long parameters,
    Map<String, Integer> transforms,
    List<String> unused,
    int elsewhere,
    List<String> differences,
    List<String> assumed) {

  /**
   * Copies the collections.
   *
   * @param family the library
   * @param source the file of the weights, and what their names begin with
   * @param parameters the number of values of the network
   * @param transforms how many tensors were used, by how they became weights
   * @param unused tensors that are known to mean nothing
   * @param elsewhere the number of other tensors in the file
   * @param differences how the model differs from the defaults
   * @param assumed what nobody says, and how it was understood
   */
  public Audit {
    transforms = Map.copyOf(transforms);
    unused = List.copyOf(unused);
    differences = List.copyOf(differences);
    assumed = List.copyOf(assumed);
  }

  /** A page of text, without a line break at its end. */
  @Override
  public String toString() {
    StringBuilder page = new StringBuilder();
    page.append("Network of ").append(family).append('\n');
    page.append("Weights from ").append(source).append('\n');
    page.append(String.format(Locale.ROOT, "%,d parameters\n", parameters));
    section(
        page,
        "Tensors used",
        transforms.entrySet().stream()
            .sorted(Map.Entry.comparingByKey())
            .map(entry -> entry.getValue() + " " + entry.getKey())
            .toList());
    section(page, "Tensors without a meaning for the network, left out", unused);
    if (elsewhere > 0) {
      page.append(elsewhere).append(" other tensors in the file, not looked at\n");
    }
    section(page, "Different from the defaults of this library", differences);
    section(page, "Assumed, since neither the file nor the caller says", assumed);
    return page.toString().stripTrailing();
  }

  private static void section(StringBuilder page, String title, List<String> lines) {
    if (!lines.isEmpty()) {
      page.append(title).append(":\n");
      lines.forEach(line -> page.append("  ").append(line).append('\n'));
    }
  }
}
