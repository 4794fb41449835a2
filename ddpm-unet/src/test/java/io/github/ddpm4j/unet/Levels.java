package io.github.ddpm4j.unet;

import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.schedule.Level;
import java.util.Arrays;

/** Levels for networks, which look at the timesteps alone. */
final class Levels {

  private Levels() {}

  static NoiseLevels at(double... timesteps) {
    return NoiseLevels.of(Arrays.stream(timesteps).mapToObj(t -> new Level(t, 0.6, 0.8)).toList());
  }
}
