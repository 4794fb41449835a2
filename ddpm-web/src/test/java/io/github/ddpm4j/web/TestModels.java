package io.github.ddpm4j.web;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.model.Attributes;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.Condition.Kind;
import io.github.ddpm4j.model.Denoiser;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.schedule.Schedules;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.concurrent.Semaphore;

/** Models that need no training: the exact network of Gaussian noise, of any condition. */
final class TestModels {

  private TestModels() {}

  /** Colour pictures of 6 x 8, by attributes. */
  static DDPM attributes() {
    Map<String, List<String>> values = new LinkedHashMap<>();
    values.put("hat", List.of("none", "red", "blue"));
    values.put("glasses", List.of("none", "dark"));
    return builder(new Gauss(new Shape(3, 6, 8), 0, new Semaphore(Integer.MAX_VALUE / 2)))
        .metadata(Map.of(Attributes.METADATA, Attributes.of(values).toString()))
        .build();
  }

  /** Grey pictures of 4 x 4, without a condition. */
  static DDPM plain() {
    return builder(new Gauss(new Shape(1, 4, 4), -1, new Semaphore(Integer.MAX_VALUE / 2))).build();
  }

  /** Grey pictures of 4 x 4 that are far too bright. */
  static DDPM bright() {
    Gauss gauss = new Gauss(new Shape(1, 4, 4), -1, new Semaphore(Integer.MAX_VALUE / 2));
    return DDPM.builder()
        .schedule(Schedules.cosine(100))
        .denoiser(new Bright(gauss))
        .clip(false)
        .build();
  }

  /** Colour pictures of 80 x 80. */
  static DDPM large() {
    return builder(new Gauss(new Shape(3, 80, 80), -1, new Semaphore(Integer.MAX_VALUE / 2)))
        .build();
  }

  /** Fails without a word. */
  static DDPM broken() {
    return builder(new Broken()).build();
  }

  /** Two classes of grey pictures of 4 x 4, whose calls wait for permits. */
  static DDPM classes(Semaphore open) {
    return builder(new Gauss(new Shape(1, 4, 4), 2, open))
        .classNames(List.of("Boot", "Bag"))
        .build();
  }

  /** Two classes of grey pictures of 4 x 4, and no picture without a class. */
  static DDPM classesAlone() {
    Gauss gauss = new Gauss(new Shape(1, 4, 4), 2, new Semaphore(Integer.MAX_VALUE / 2));
    return builder(new NeedsAClass(gauss)).build();
  }

  private static DDPM.Builder builder(Denoiser denoiser) {
    return DDPM.builder().schedule(Schedules.cosine(100)).denoiser(denoiser);
  }

  private record Gauss(Shape shape, int count, Semaphore open) implements Denoiser {

    @Override
    public NDArray predict(NDArray x, NoiseLevels levels, Condition condition) {
      open.acquireUninterruptibly();
      double[] factors =
          levels.each(
              level ->
                  level.noise()
                      / (level.signal() * level.signal() * 0.25 + level.noise() * level.noise()));
      try (NDArray factor =
          x.getManager()
              .create(factors, new Shape(levels.size(), 1, 1, 1))
              .toType(x.getDataType(), false)) {
        return x.mul(factor);
      }
    }

    @Override
    public Optional<Shape> imageShape() {
      return Optional.of(shape);
    }

    @Override
    public OptionalInt classes() {
      return count > 0 ? OptionalInt.of(count) : OptionalInt.empty();
    }

    @Override
    public Set<Kind> conditionKinds() {
      return count > 0 ? Set.of(Kind.LABELS) : count == 0 ? Set.of(Kind.VECTORS) : Set.of();
    }
  }

  /** Says that what it sees is noise over a picture of 3. */
  private record Bright(Gauss gauss) implements Denoiser {

    @Override
    public NDArray predict(NDArray x, NoiseLevels levels, Condition condition) {
      Shape each = new Shape(levels.size(), 1, 1, 1);
      try (NDManager manager = x.getManager().newSubManager()) {
        NDArray picture = manager.create(levels.each(level -> 3 * level.signal()), each);
        NDArray noise = manager.create(levels.each(level -> level.noise()), each);
        NDArray eps = x.sub(picture).div(noise).toType(x.getDataType(), true);
        eps.attach(x.getManager());
        return eps;
      }
    }

    @Override
    public Optional<Shape> imageShape() {
      return gauss.imageShape();
    }
  }

  private record Broken() implements Denoiser {

    @Override
    public NDArray predict(NDArray x, NoiseLevels levels, Condition condition) {
      throw new NullPointerException();
    }

    @Override
    public Optional<Shape> imageShape() {
      return Optional.of(new Shape(1, 4, 4));
    }
  }

  private record NeedsAClass(Gauss gauss) implements Denoiser {

    @Override
    public NDArray predict(NDArray x, NoiseLevels levels, Condition condition) {
      return gauss.predict(x, levels, condition);
    }

    @Override
    public void requireUsable(Shape images, DataType type, Condition condition) {
      if (!condition.has(Kind.LABELS)) {
        throw new IllegalArgumentException("every image must have a class");
      }
    }

    @Override
    public Optional<Shape> imageShape() {
      return gauss.imageShape();
    }

    @Override
    public OptionalInt classes() {
      return gauss.classes();
    }

    @Override
    public Set<Kind> conditionKinds() {
      return gauss.conditionKinds();
    }
  }
}
