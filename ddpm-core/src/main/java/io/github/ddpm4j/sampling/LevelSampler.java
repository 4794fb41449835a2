package io.github.ddpm4j.sampling;

import io.github.ddpm4j.model.Diffusion;
import io.github.ddpm4j.schedule.Level;
import io.github.ddpm4j.schedule.ProbabilityPath;
import io.github.ddpm4j.schedule.TimestepSpacing;
import io.github.ddpm4j.spi.SamplingPlan;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A sampler whose only settings are the noise levels to visit: {@link Samplers#euler}, {@link
 * Samplers#eulerAncestral}, {@link Samplers#heun} or {@link Samplers#plms}. Immutable.
 */
public final class LevelSampler extends LevelOptions<LevelSampler> {

  private final Method method;

  /** How x gets from one level to the next. */
  enum Method {
    EULER("euler", TimestepSpacing.TRAILING) {
      @Override
      SamplingPlan plan(ProbabilityPath path, List<Level> levels) {
        return EulerMethod.plan(levels);
      }
    },
    EULER_ANCESTRAL("euler-a", TimestepSpacing.TRAILING) {
      @Override
      SamplingPlan plan(ProbabilityPath path, List<Level> levels) {
        return EulerAncestralMethod.plan(levels);
      }
    },
    HEUN("heun", TimestepSpacing.TRAILING) {
      @Override
      SamplingPlan plan(ProbabilityPath path, List<Level> levels) {
        return HeunMethod.plan(path, levels);
      }
    },
    PLMS("plms", null) {
      @Override
      SamplingPlan plan(ProbabilityPath path, List<Level> levels) {
        return PlmsMethod.plan(levels);
      }
    };

    private final String text;
    private final @Nullable TimestepSpacing spacing;

    /** A spacing of null is what {@link UsualSpacing} says. */
    Method(String text, @Nullable TimestepSpacing spacing) {
      this.text = text;
      this.spacing = spacing;
    }

    abstract SamplingPlan plan(ProbabilityPath path, List<Level> levels);
  }

  private LevelSampler(LevelGrid grid, Method method) {
    super(grid);
    this.method = method;
  }

  static LevelSampler of(Method method, int steps) {
    return new LevelSampler(LevelGrid.of(steps, method.spacing, null, false), method);
  }

  @Override
  LevelSampler with(LevelGrid changed) {
    return new LevelSampler(changed, method);
  }

  @Override
  SamplingPlan plan(Diffusion diffusion, List<Level> levels, boolean fromNoise) {
    return method.plan(diffusion.schedule().path(), levels);
  }

  @Override
  public String toString() {
    return grid().text(method.text).toString();
  }
}
