package io.github.ddpm4j.benchmark;

import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import java.util.List;
import java.util.Map;

/**
 * A whole run.
 *
 * @param machine what it ran on
 * @param versions of what it ran
 * @param settings how it ran
 * @param bounds what the machine can do
 * @param rows a network each, run in one way
 */
record Report(
    Map<String, String> machine,
    Map<String, String> versions,
    Map<String, Object> settings,
    Map<String, Spread> bounds,
    List<Row> rows) {

  private static final Gson GSON = new GsonBuilder().setPrettyPrinting().create();

  /**
   * A network, run in one way.
   *
   * @param preset which network
   * @param variant how it ran
   * @param device where
   * @param parameters how many numbers it has
   * @param measures what was measured, by the keys of the table's columns
   */
  record Row(
      String preset, String variant, String device, long parameters, Map<String, Spread> measures) {

    /** The median, or nothing if it was not measured. */
    double median(Measure measure) {
      Spread spread = measures.get(measure.key);
      return spread == null ? Double.NaN : spread.median();
    }
  }

  /**
   * The file.
   *
   * @return JSON
   */
  String toJson() {
    return GSON.toJson(this) + "\n";
  }

  static Report fromJson(String json) {
    return GSON.fromJson(json, Report.class);
  }
}
