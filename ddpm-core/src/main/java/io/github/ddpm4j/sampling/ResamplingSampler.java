package io.github.ddpm4j.sampling;

import io.github.ddpm4j.model.Diffusion;
import io.github.ddpm4j.schedule.Level;
import io.github.ddpm4j.spi.SamplingPlan;
import java.util.ArrayList;
import java.util.List;

/**
 * Goes back to more noise and down again, several times over, on the way of another sampler
 * (Lugmayr et al. 2022, "RePaint", section 4.2 and appendix B): what an inpainted region holds gets
 * time to agree with what is known around it.
 *
 * <p>Before the last row, and each {@code jumpLength} rows before that as long as so many rows have
 * gone before, x jumps back up by {@code jumpLength} rows, {@code jumps − 1} times, as in the
 * paper's code:
 *
 * <pre>
 *   x_up = r x + n z,    r = α_up / α,    n² = σ_up² − r² σ²
 * </pre>
 *
 * <p>The jump is folded into the row before it: its factors times r, and its noise √(r² s² + n²),
 * of which s may be the network's to say.
 */
final class ResamplingSampler implements Sampler {

  private final Sampler base;
  private final int jumpLength;
  private final int jumps;

  ResamplingSampler(Sampler base, int jumpLength, int jumps) {
    if (jumpLength < 1 || jumps < 1) {
      throw new IllegalArgumentException(
          "resampling needs jumps over at least 1 row, made at least once, but jumpLength was "
              + jumpLength
              + " and jumps "
              + jumps);
    }
    this.base = base;
    this.jumpLength = jumpLength;
    this.jumps = jumps;
  }

  Sampler base() {
    return base;
  }

  /** The same jumps between the rows of another sampler. */
  ResamplingSampler over(Sampler changed) {
    return new ResamplingSampler(changed, jumpLength, jumps);
  }

  @Override
  public SamplingPlan plan(Diffusion diffusion, int start) {
    SamplingPlan plan = base.plan(diffusion, start);
    if (plan.depth() > 0) {
      throw new IllegalArgumentException(
          "resampling jumps between the rows of a sampler, which "
              + base
              + " does not allow: its rows look back; use ddpm or ddim");
    }
    List<SamplingPlan.Step> rows = new ArrayList<>();
    int last = plan.steps().size() - 1;
    for (int i = 0; i <= last; i++) {
      rows.add(plan.steps().get(i));
      boolean turns = i < last && (last - i - 1) % jumpLength == 0 && i + 1 >= jumpLength;
      for (int jump = 1; turns && jump < jumps; jump++) {
        int up = i + 1 - jumpLength;
        rows.set(rows.size() - 1, andUp(plan, i, plan.steps().get(up)));
        rows.addAll(plan.steps().subList(up, i + 1));
      }
    }
    return new SamplingPlan(rows, plan.memory(), plan.initialScale(), plan.end());
  }

  /** Row i, and from where it ends up to the level before the row {@code up}. */
  private static SamplingPlan.Step andUp(SamplingPlan plan, int i, SamplingPlan.Step up) {
    SamplingPlan.Step row = plan.steps().get(i);
    if (up.signal() == 0) {
      throw new IllegalArgumentException(
          "resampling cannot jump back to where no signal is left; start later than the first"
              + " timestep, or use a schedule that keeps some signal");
    }
    Level after = plan.levelAfter(i);
    double ratio = up.signal() / after.signal();
    double carried = ratio * after.noise();
    double fresh = Math.sqrt(Math.max(0, up.noise() * up.noise() - carried * carried));
    boolean learned = row.learnsVariance();
    double low = ratio * row.noiseLow();
    double high = ratio * row.noiseHigh();
    return new SamplingPlan.Step(
        row.level(),
        ratio * row.cX(),
        ratio * row.cX0(),
        ratio * row.cEps(),
        List.of(),
        learned ? low : Math.hypot(low, fresh),
        learned ? high : Math.hypot(high, fresh),
        learned ? fresh : 0);
  }

  @Override
  public String toString() {
    return base + ", resampling=" + jumpLength + "x" + jumps;
  }
}
