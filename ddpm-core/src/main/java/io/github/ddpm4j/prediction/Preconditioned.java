package io.github.ddpm4j.prediction;

import io.github.ddpm4j.internal.description.Description;
import io.github.ddpm4j.internal.description.Quote;
import io.github.ddpm4j.process.LinearForm;
import io.github.ddpm4j.schedule.Level;
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
              + Quote.of(type)
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
  private double deviation(Level level) {
    return Math.hypot(level.noise(), level.signal() * sigmaData);
  }

  @Override
  public LinearForm target(Schedule schedule, Level level) {
    double d = deviation(level);
    return new LinearForm(level.noise() / (d * sigmaData), -level.signal() * sigmaData / d);
  }

  @Override
  public LinearForm x0(Schedule schedule, Level level) {
    double d = deviation(level);
    return new LinearForm(
        level.signal() * sigmaData * sigmaData / (d * d), level.noise() * sigmaData / d);
  }

  @Override
  public LinearForm epsilon(Schedule schedule, Level level) {
    double d = deviation(level);
    return new LinearForm(level.noise() / (d * d), -level.signal() * sigmaData / d);
  }

  @Override
  public boolean scalesInput() {
    return true;
  }

  @Override
  public boolean tellsTimesteps() {
    return false;
  }

  @Override
  public double inputScale(Level level) {
    return 1 / deviation(level);
  }

  @Override
  public double networkTimestep(Level level) {
    if (level.signal() == 0 || level.noise() == 0) {
      throw new IllegalArgumentException(
          "prediction "
              + this
              + " tells the network ln(noise / signal), which needs both above 0, but at timestep "
              + level.timestep()
              + " signal was "
              + level.signal()
              + " and noise "
              + level.noise()
              + "; use a sampler that asks at noisy images with some signal alone, or VELOCITY");
    }
    return (Math.log(level.noise()) - Math.log(level.signal())) / 4;
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
