package io.github.ddpm4j.loss;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.ops.EagerOps;
import io.github.ddpm4j.internal.ops.Given;
import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.model.Diffusion;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.schedule.Level;
import io.github.ddpm4j.schedule.Schedule;
import io.github.ddpm4j.spi.Ops;
import java.util.Optional;

/**
 * A per-image loss between the network's output and its target. Written against {@link Ops}, so
 * that the same code runs on arrays and can be compiled. A loss must use only {@code ops} on its
 * arguments, which are not arrays during compilation.
 *
 * @see Losses
 */
public interface Loss {

  /**
   * The loss of each image.
   *
   * @param ops the operations
   * @param output the network's prediction, (N, C, H, W)
   * @param target the target, same shape
   * @param <T> the operand type
   * @return the loss per image, shape (N)
   */
  <T> T perImage(Ops<T> ops, T output, T target);

  /**
   * The loss of each image from all available inputs. This is the method that training calls; by
   * default it is the loss between output and target.
   *
   * @param ops the operations
   * @param input output, target, images and coefficients that depend on their timesteps
   * @param <T> the operand type
   * @return the loss per image, shape (N)
   * @throws IllegalArgumentException if the loss cannot be used with the model
   */
  default <T> T perImage(Ops<T> ops, Input<T> input) {
    return perImage(ops, input.output(), input.target());
  }

  /**
   * Whether the loss trains a learned variance.
   *
   * @return false by default
   */
  default boolean trainsVariance() {
    return false;
  }

  /**
   * The mean loss of a batch.
   *
   * @param output the network's prediction, shape (N, C, H, W)
   * @param target the target, same shape and dtype
   * @return the mean over the images, a scalar attached to the manager of {@code output}
   * @throws IllegalArgumentException if the shapes differ, or the loss does not return one number
   *     per image
   */
  default NDArray evaluate(NDArray output, NDArray target) {
    Given.open(output, "output");
    Given.open(target, "target");
    if (!output.getShape().equals(target.getShape())) {
      throw new IllegalArgumentException(
          "output shape "
              + output.getShape()
              + " does not match target shape "
              + target.getShape());
    }
    EagerOps ops = EagerOps.inference();
    return ops.scope(
        () -> {
          NDArray each = perImage(ops, output, target);
          if (!each.getShape().equals(new Shape(output.getShape().get(0)))) {
            throw new IllegalArgumentException(
                "loss "
                    + this
                    + " must give one number per image, shape (N), but gave "
                    + each.getShape()
                    + " for outputs of shape "
                    + output.getShape()
                    + "; end it with ops.meanPerImage(…)");
          }
          return each.mean();
        });
  }

  /**
   * All inputs available to a loss, for any interpreter. Supplied by training; losses that need
   * only output and target can ignore it.
   *
   * @param <T> the operand type
   * @see Loss#perImage(io.github.ddpm4j.spi.Ops, Input)
   */
  public interface Input<T> {

    /**
     * The network's prediction.
     *
     * @return shape (N, C, H, W)
     */
    T output();

    /**
     * The target.
     *
     * @return shape (N, C, H, W)
     */
    T target();

    /**
     * The network's variance output, v.
     *
     * @return shape (N, C, H, W), or empty if the variance is not learned
     */
    Optional<T> variance();

    /**
     * The clean images.
     *
     * @return x_0, shape (N, C, H, W)
     */
    T x0();

    /**
     * The noisy images.
     *
     * @return x_t, shape (N, C, H, W)
     */
    T xt();

    /**
     * The noisy images as the network saw them.
     *
     * @return x_t times {@link Prediction#inputScale}, which differs from x_t under {@link
     *     Prediction#edm} alone; shape (N, C, H, W)
     */
    T networkInput();

    /**
     * A coefficient per image, computed in {@code double} on request.
     *
     * @param coefficient which one
     * @return shape (N, 1, 1, 1)
     */
    T coefficient(Coefficient coefficient);

    /**
     * The range of clean images.
     *
     * @return the range
     */
    DataRange dataRange();

    /**
     * The number of timesteps T.
     *
     * @return at least 1
     */
    int timesteps();

    /**
     * The coefficients that depend on an image's noise level. Those of x̂_0 exist at every level;
     * the others belong to a step of the schedule, so that the level must be one of its timesteps.
     */
    enum Coefficient {
      /** 1 at timestep 0, where the step leads to the image, and 0 at all others. */
      FIRST {
        @Override
        public double at(Diffusion diffusion, Level level) {
          return timestep(diffusion, level) == 0 ? 1 : 0;
        }
      },
      /**
       * The factor of x_0 in the mean of q(x_{t−1} | x_t, x_0), {@link Schedule#posteriorMeanX0}.
       */
      POSTERIOR_X0 {
        @Override
        public double at(Diffusion diffusion, Level level) {
          return diffusion.schedule().posteriorMeanX0(timestep(diffusion, level));
        }
      },
      /**
       * The log variance of q(x_{t−1} | x_t, x_0), {@link Schedule#posteriorLogVarianceClipped}.
       */
      POSTERIOR_LOG_VARIANCE {
        @Override
        public double at(Diffusion diffusion, Level level) {
          return diffusion.schedule().posteriorLogVarianceClipped(timestep(diffusion, level));
        }
      },
      /** The factor of x_t in x̂_0, {@link Prediction#x0}; at every level. */
      X0_OF_XT {
        @Override
        public double at(Diffusion diffusion, Level level) {
          return diffusion.prediction().x0(diffusion.schedule(), level).first();
        }
      },
      /** The factor of the output in x̂_0; at every level. */
      X0_OF_OUTPUT {
        @Override
        public double at(Diffusion diffusion, Level level) {
          return diffusion.prediction().x0(diffusion.schedule(), level).second();
        }
      },
      /** The log variance ln σ² of the reverse process at v = 0, or the fixed one. */
      LOG_VARIANCE {
        @Override
        public double at(Diffusion diffusion, Level level) {
          return (greatest(diffusion, level) + least(diffusion, level)) / 2;
        }
      },
      /** The slope of ln σ² in v; 0 if the variance is fixed. */
      LOG_VARIANCE_OF_V {
        @Override
        public double at(Diffusion diffusion, Level level) {
          return (greatest(diffusion, level) - least(diffusion, level)) / 2;
        }
      };

      /**
       * The value of the coefficient.
       *
       * @param diffusion schedule, prediction and variance
       * @param level the noise level
       * @return the number
       * @throws IllegalArgumentException if the coefficient belongs to a step of the schedule, and
       *     the level is none of its timesteps
       */
      public abstract double at(Diffusion diffusion, Level level);

      double greatest(Diffusion diffusion, Level level) {
        return diffusion
            .variance()
            .greatestLogVariance(diffusion.schedule(), timestep(diffusion, level));
      }

      double least(Diffusion diffusion, Level level) {
        return diffusion
            .variance()
            .leastLogVariance(diffusion.schedule(), timestep(diffusion, level));
      }

      /** The timestep of the level, which must be one of the schedule's. */
      int timestep(Diffusion diffusion, Level level) {
        double timestep = level.timestep();
        int timesteps = diffusion.schedule().timesteps();
        if (timestep != Math.rint(timestep) || timestep < 0 || timestep >= timesteps) {
          throw new IllegalArgumentException(
              "the loss asks for "
                  + this
                  + ", which belongs to a step of the schedule, timesteps 0 to "
                  + (timesteps - 1)
                  + ", but an image stands at "
                  + timestep
                  + "; use TimestepSampler.uniform() or lossSecondMoment(), or a loss without it:"
                  + " X0_OF_XT and X0_OF_OUTPUT exist at every level, the terms of a bound do not");
        }
        return (int) timestep;
      }
    }
  }
}
