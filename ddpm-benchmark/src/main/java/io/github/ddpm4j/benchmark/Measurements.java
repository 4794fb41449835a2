package io.github.ddpm4j.benchmark;

import ai.djl.Device;
import ai.djl.engine.Engine;
import com.google.gson.Gson;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.OptionalDouble;

/** What one process measures, as it collects it and as it tells its parent. */
final class Measurements {

  private String device = "";
  private long parameters;
  private final Map<String, String> versions = new LinkedHashMap<>();
  private final Map<String, Spread> measures = new LinkedHashMap<>();

  private Measurements() {}

  /**
   * Measures, in this process.
   *
   * @param part what
   * @param preset the network
   * @param variant how it runs
   * @param device where
   * @param effort how much
   * @return what was measured
   */
  static Measurements of(Part part, Preset preset, Variant variant, Device device, Effort effort) {
    Measurements measurements = new Measurements();
    measurements.device = device.toString();
    measurements.versions.put("djl", Engine.getDjlVersion());
    measurements.versions.put("libtorch", Engine.getInstance().getVersion());
    switch (part) {
      case INFERENCE -> {
        measurements.parameters =
            InferenceTimes.measure(preset, variant, device, effort, measurements);
        measurements.put(Measure.RSS_INFERENCE, Memory.peakMegabytes());
      }
      case STEP -> {
        measurements.parameters = StepTimes.measure(preset, variant, device, effort, measurements);
        measurements.put(Measure.RSS_TRAINING, Memory.peakMegabytes());
      }
      case PIECES ->
          measurements.parameters =
              PieceTimes.measure(preset, variant, device, effort, measurements);
      case CHECKPOINT ->
          measurements.parameters =
              CheckpointTimes.measure(preset, variant, device, effort, measurements);
      case LOAD ->
          measurements.parameters =
              LoadTimes.measure(preset, variant, device, effort, measurements);
      case BOUNDS -> Bounds.measure(device, effort, measurements);
    }
    return measurements;
  }

  static Measurements fromJson(String json) {
    return new Gson().fromJson(json, Measurements.class);
  }

  /**
   * What a child prints.
   *
   * @return one line of JSON
   */
  String toJson() {
    return new Gson().toJson(this);
  }

  void put(Measure measure, OptionalDouble value) {
    value.ifPresent(known -> put(measure, Spread.of(known)));
  }

  void put(Measure measure, Spread spread) {
    put(measure.key, spread);
  }

  void put(String name, Spread spread) {
    measures.put(name, spread);
  }

  String device() {
    return device;
  }

  long parameters() {
    return parameters;
  }

  Map<String, String> versions() {
    return versions;
  }

  Map<String, Spread> measures() {
    return measures;
  }
}
