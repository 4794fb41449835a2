package io.github.ddpm4j.prediction;

import io.github.ddpm4j.internal.description.Description;
import io.github.ddpm4j.schedule.Schedule;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.OptionalDouble;

/** {@link Prediction#edm}. */
final class Preconditioned extends Prediction {

  private static final String TYPE = "EDM";

  private final double sigmaData;

  Preconditioned(double sigmaData) {
    super(TYPE);
    this.sigmaData = sigmaData;
  }

  static Prediction of(Map<?, ?> settings) {
    String type = Description.typeOf("prediction", settings);
    if (!type.equals(TYPE)) {
      throw new IllegalArgumentException(
          "prediction type must be "
              + TYPE
              + ", but was "
              + type
              + "; predictions without settings are a name alone");
    }
    Description edm = Description.typed("prediction", settings);
    edm.allowOnly("sigmaData");
    return edm(edm.number("sigmaData"));
  }

  @Override
  public Object describe() {
    Map<String, Object> settings = new LinkedHashMap<>();
    settings.put("type", TYPE);
    settings.put("sigmaData", sigmaData);
    return settings;
  }

  /** d, the standard deviation of x. */
  private double deviation(double signal, double noise) {
    return Math.hypot(noise, signal * sigmaData);
  }

  @Override
  LinearForm targetForm(Schedule schedule, double timestep, double signal, double noise) {
    double d = deviation(signal, noise);
    return new LinearForm(noise / (d * sigmaData), -signal * sigmaData / d);
  }

  @Override
  LinearForm x0Form(Schedule schedule, double timestep, double signal, double noise) {
    double d = deviation(signal, noise);
    return new LinearForm(signal * sigmaData * sigmaData / (d * d), noise * sigmaData / d);
  }

  @Override
  LinearForm epsilonForm(Schedule schedule, double timestep, double signal, double noise) {
    double d = deviation(signal, noise);
    return new LinearForm(noise / (d * d), -signal * sigmaData / d);
  }

  @Override
  public double inputScale(double signal, double noise) {
    return 1 / deviation(signal, noise);
  }

  @Override
  public double networkTimestep(double timestep, double signal, double noise) {
    if (signal == 0 || noise == 0) {
      throw new IllegalArgumentException(
          "prediction "
              + this
              + " tells the network ln(noise / signal), which needs both above 0, but at timestep "
              + timestep
              + " signal was "
              + signal
              + " and noise "
              + noise
              + "; use a sampler that asks at noisy images with some signal alone, or VELOCITY");
    }
    return (Math.log(noise) - Math.log(signal)) / 4;
  }

  @Override
  public OptionalDouble sigmaData() {
    return OptionalDouble.of(sigmaData);
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof Preconditioned edm && edm.sigmaData == sigmaData;
  }

  @Override
  public int hashCode() {
    return Double.hashCode(sigmaData);
  }

  @Override
  public String toString() {
    return name() + "(" + sigmaData + ")";
  }
}
