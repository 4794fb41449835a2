package io.github.ddpm4j.loss;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.ops.EagerOps;
import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.model.Diffusion;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.prediction.Variance;
import io.github.ddpm4j.process.LinearForm;
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
    if (!output.getShape().equals(target.getShape())) {
      throw new IllegalArgumentException(
          "output shape "
              + output.getShape()
              + " does not match target shape "
              + target.getShape());
    }
    NDArray each = perImage(EagerOps.inference(), output, target);
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
     * The noisy images that the network saw.
     *
     * @return x_t, shape (N, C, H, W)
     */
    T xt();

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

    /** The coefficients that depend on an image's timestep, which must be one of the schedule's. */
    enum Coefficient {
      /** 1 at timestep 0, where the step leads to the image, and 0 at all others. */
      FIRST {
        @Override
        double of(Diffusion diffusion, int t) {
          return t == 0 ? 1 : 0;
        }
      },
      /**
       * The factor of x_0 in the mean of q(x_{t−1} | x_t, x_0), {@link Schedule#posteriorMeanX0}.
       */
      POSTERIOR_X0 {
        @Override
        double of(Diffusion diffusion, int t) {
          return diffusion.schedule().posteriorMeanX0(t);
        }
      },
      /**
       * The log variance of q(x_{t−1} | x_t, x_0), {@link Schedule#posteriorLogVarianceClipped}.
       */
      POSTERIOR_LOG_VARIANCE {
        @Override
        double of(Diffusion diffusion, int t) {
          return diffusion.schedule().posteriorLogVarianceClipped(t);
        }
      },
      /** The factor of x_t in x̂_0, {@link Prediction#x0}. */
      X0_OF_XT {
        @Override
        double of(Diffusion diffusion, int t) {
          return x0(diffusion, t).first();
        }
      },
      /** The factor of the output in x̂_0. */
      X0_OF_OUTPUT {
        @Override
        double of(Diffusion diffusion, int t) {
          return x0(diffusion, t).second();
        }
      },
      /** The log variance ln σ² of the reverse process at v = 0, or the fixed one. */
      LOG_VARIANCE {
        @Override
        double of(Diffusion diffusion, int t) {
          Variance variance = diffusion.variance();
          return (variance.greatestLogVariance(diffusion.schedule(), t)
                  + variance.leastLogVariance(diffusion.schedule(), t))
              / 2;
        }
      },
      /** The slope of ln σ² in v; 0 if the variance is fixed. */
      LOG_VARIANCE_OF_V {
        @Override
        double of(Diffusion diffusion, int t) {
          Variance variance = diffusion.variance();
          return (variance.greatestLogVariance(diffusion.schedule(), t)
                  - variance.leastLogVariance(diffusion.schedule(), t))
              / 2;
        }
      };

      abstract double of(Diffusion diffusion, int t);

      private static LinearForm x0(Diffusion diffusion, int t) {
        return diffusion.prediction().x0(diffusion.schedule(), Level.of(diffusion.schedule(), t));
      }

      /**
       * The value of the coefficient.
       *
       * @param diffusion schedule, prediction and variance
       * @param timestep the timestep
       * @return the number
       * @throws IllegalArgumentException if the timestep is not one of the schedule's
       */
      public double at(Diffusion diffusion, double timestep) {
        int timesteps = diffusion.schedule().timesteps();
        if (timestep != Math.rint(timestep) || timestep < 0 || timestep >= timesteps) {
          throw new IllegalArgumentException(
              "the bound is a sum over the timesteps of the schedule, 0 to "
                  + (timesteps - 1)
                  + ", but an image stands at "
                  + timestep
                  + "; use TimestepSampler.uniform() or lossSecondMoment()");
        }
        return of(diffusion, (int) timestep);
      }
    }
  }
}
